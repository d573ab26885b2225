/* apply.c: a model applied: parameters bound, an instance found or made, terminals bound, the body run.
 *
 * Every application runs the body anew, so shapes and compile-time branches are its own; what is
 * shared is the instance, whose parameters and states are made once and found again. */
#include "flatten.h"

#include <string.h>

Act *act_new(Act *up, Elab *e, Item *decl, Instance *in) {
    Act *b = NEW(e->c, Act);
    b->e = e;
    b->decl = decl;
    b->module = decl ? decl->module_in : e->module;
    b->in = in;
    b->up = up;
    b->scope = scope_in(e->c, NULL, true);
    return b;
}

Value recipe_value(Recipe *r, Span at) {
    return (Value){ .kind = VRecipe, .recipe = r, .at = at };
}

/* ---- what a model declares ------------------------------------------------------------------------- */

static bool args_star(const Expr *x) {
    if (!x)
        return false;
    for (int i = 0; i < x->narg; i++)
        if (x->arg[i].sep == '*' || args_star(x->arg[i].value))
            return true;
    for (int i = 0; i < x->n; i++)
        if (args_star(x->kid[i]))
            return true;
    return false;
}

static bool body_star(const Body *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (args_star(s->e) || body_star(&s->body) || body_star(&s->other))
            return true;
    }
    return false;
}

const ModelInfo *model_info(Elab *e, Item *m) {
    ModelInfo *info = map_get(&e->info, m);
    if (info)
        return info;
    info = NEW(e->c, ModelInfo);
    info->in = NEWN(e->c, Stmt *, m->body.n + 1);
    info->out = NEWN(e->c, Stmt *, m->body.n + 1);
    for (int i = 0; i < m->body.n; i++) {
        Stmt *s = m->body.at[i];
        if (s->kind == SIn)
            info->in[info->nin++] = s;
        if (s->kind == SOut)
            info->out[info->nout++] = s;
    }
    info->star = body_star(&m->body);
    map_put(e->c, &e->info, m, info);
    return info;
}

/* Without an `in` there is one, `input`; without an `out`, `output` (rule 10). */
static Name in_name(Elab *e, const ModelInfo *m, int i) {
    return m->nin ? m->in[i]->name : name(e->c, "input");
}
static int in_count(const ModelInfo *m) {
    return m->nin ? m->nin : 1;
}
static int out_count(const ModelInfo *m) {
    return m->nout ? m->nout : 1;
}

static int find_in(Elab *e, const ModelInfo *m, Name n) {
    for (int i = 0; i < in_count(m); i++)
        if (in_name(e, m, i) == n)
            return i;
    return -1;
}

/* ---- the second list ------------------------------------------------------------------------------------------ */

static void forgotten(Act *a, Item *m, const Stmt *in, const Expr *call, Span at, Name what) {
    Ctx *c = a->e->c;
    error_at(c, at, "%s needs `%s`, and nothing is bound to it", m->name, what);
    if (in)
        note_at(c, in->name_at, "declared here, without a default");
    if (!call)
        return;
    char *rest = args_text(c, call, NULL);
    const char *here = a->decl ? a->decl->name : "this model";
    help(c, "bind it: `%s(%s%s%s: …)`, or write `*` to make it an input of %s",
         source_text(c, call->kid[0]->at), rest, *rest ? ", " : "", what, here);
}

static void parameter_misplaced(Act *a, const Item *m, const Expr *call, const Arg *arg) {
    Ctx *c = a->e->c;
    const Expr *first = call->kid[0];
    if (!arg->name || !has_field(m, arg->name)) {
        error_at(c, arg->at, "a terminal is bound with `:`: `%s: …`",
                 arg->key ? source_text(c, arg->key->at) : "x");
        return;
    }
    error_at(c, arg->at, "`%s` is a parameter of %s, and belongs in the first list", arg->name,
             m->name);
    if (first->kind != ECall)
        return;
    char *rest = args_text(c, first, NULL);
    help(c, "`%s(%s%s%s)(%s)`", source_text(c, first->kid[0]->at), rest, *rest ? ", " : "",
         source_text(c, arg->at), args_text(c, call, arg));
}

static bool too_many_terminals(Act *a, const ModelInfo *info, Item *m, Span at) {
    Ctx *c = a->e->c;
    Text t = { 0 };
    for (int i = 0; i < in_count(info); i++)
        text_add(c, &t, "%s%s", i ? ", " : "", in_name(a->e, info, i));
    error_at(c, at, "%s has %d input%s (%s); this is one more", m->name, in_count(info),
             in_count(info) == 1 ? "" : "s", t.s);
    return false;
}

/* Where the terminals of one application are gathered before its body runs. */
typedef struct Binder {
    Given *in;
    bool *bound;
    VEC(Given) extra;
    bool star;
} Binder;

static bool bind_terminal(Act *a, Item *m, const Expr *call, const Arg *arg, Binder *b,
                          int *position) {
    Elab *e = a->e;
    const ModelInfo *info = model_info(e, m);
    if (arg->sep == '*')
        return b->star = true;
    if (arg->sep == '=') {
        parameter_misplaced(a, m, call, arg);
        return false;
    }
    Value v = evaluate(a, arg->value);
    v.at = arg->value->at;
    int k = arg->sep ? (arg->name ? find_in(e, info, arg->name) : -1) : (*position)++;
    if (!arg->sep && k >= in_count(info))
        return too_many_terminals(a, info, m, arg->at);
    if (arg->sep && k < 0) {
        push(e->c, &b->extra, ((Given){ .name = arg->name, .value = v, .at = arg->at }));
        return true;
    }
    if (b->bound[k]) {
        error_at(e->c, arg->at, "`%s` is bound twice", in_name(e, info, k));
        return false;
    }
    b->bound[k] = true;
    b->in[k] = (Given){ .name = in_name(e, info, k), .value = v, .at = arg->at };
    return true;
}

static bool bind_flow(Act *a, Item *m, const Value *flow, Binder *b, Span at) {
    const ModelInfo *info = model_info(a->e, m);
    for (int k = 0; k < in_count(info); k++) {
        if (b->bound[k])
            continue;
        b->bound[k] = true;
        b->in[k] = (Given){ .name = in_name(a->e, info, k), .value = *flow, .at = at };
        b->in[k].value.at = at;
        return true;
    }
    error_at(a->e->c, at, "every input of %s is bound, and the chain's value has nowhere to go",
             m->name);
    return false;
}

static bool bind_all(Act *a, Item *m, const Expr *call, const Value *flow, Binder *b, Span at) {
    Elab *e = a->e;
    const ModelInfo *info = model_info(e, m);
    int position = 0;
    bool good = true;
    b->in = NEWN(e->c, Given, in_count(info));
    b->bound = NEWN(e->c, bool, in_count(info));
    for (int i = 0; call && i < call->narg; i++)
        good = bind_terminal(a, m, call, &call->arg[i], b, &position) && good;
    if (flow && good)
        good = bind_flow(a, m, flow, b, at);
    for (int k = 0; good && !b->star && k < in_count(info); k++) {
        const Stmt *in = info->nin ? info->in[k] : NULL;
        if (b->bound[k] || (in && in->e))
            continue;
        forgotten(a, m, in, call, at, in_name(e, info, k));
        good = false;
    }
    return good;
}

static bool any_poison(const Binder *b, int n) {
    for (int k = 0; k < n; k++)
        if (b->bound[k] && b->in[k].value.kind == VPoison)
            return true;
    for (int k = 0; k < b->extra.n; k++)
        if (b->extra.at[k].value.kind == VPoison)
            return true;
    return false;
}

/* ---- inputs of the body ------------------------------------------------------------------------------------------ */

static Given *given_named(Act *b, Name n) {
    for (int i = 0; i < b->ngiven; i++)
        if (b->given[i].name == n)
            return &b->given[i];
    return NULL;
}

static Value default_input(Act *b, const Stmt *s);

/* An input of the whole. Where an entry leaves it out (`k = none`), its default stands in. */
static Value own_input(Act *b, const Stmt *s) {
    Value v = root_input(b, s->name, s->type, s->e != NULL, s->name_at);
    return v.kind == VNone && s->e ? default_input(b, s) : v;
}

/* `*`: what the caller was given under this name, or an input of the whole. */
static bool from_outside(Act *b, const Stmt *s, Value *v) {
    Act *at = b;
    while (at->star && at->up) {
        at = at->up;
        while (at->up && !at->decl)
            at = at->up;
        if (at->root) {
            *v = own_input(b, s);
            return true;
        }
        Given *g = given_named(at, s->name);
        if (!g)
            continue;
        g->used = true;
        *v = g->value;
        return true;
    }
    return false;
}

static Value default_input(Act *b, const Stmt *s) {
    Elab *e = b->e;
    Type t;
    if (s->e->kind == ENone)
        return none_at(s->e->at);
    if (s->e->kind == ECall && s->type && type_of(b, s->type, &t, false)) {
        Value v = init_value(b, s->e, &t);
        if (v.kind == VInit && !strcmp(v.init->kind, "zeros"))
            return filled(b, &t, 0, s->name);
        if (v.kind == VInit && !strcmp(v.init->kind, "ones"))
            return filled(b, &t, 1, s->name);
        if (v.kind == VInit && !strcmp(v.init->kind, "constant"))
            return filled(b, &t, v.init->arg[0], s->name);
        if (v.kind == VInit) {
            error_at(e->c, s->e->at,
                     "an input's default is a value; `%s` is an initialiser of weights",
                     v.init->kind);
            return no_value();
        }
        return v;
    }
    return evaluate(b, s->e);
}

void set_inputs(Act *b, Stmt *s) {
    Elab *e = b->e;
    Given *g = given_named(b, s->name);
    Value v;
    if (g) {
        g->used = true;
        v = g->value;
        if (v.kind == VNone && !(s->e && s->e->kind == ENone)) {
            error_at(e->c, g->at, "`%s` may be absent, and `%s` of %s must be given",
                     source_text(e->c, g->at), s->name, b->decl->name);
            v = no_value();
        }
    } else if (b->root) {
        v = own_input(b, s);
    } else if (!from_outside(b, s, &v)) {
        v = s->e ? default_input(b, s) : no_value();
    }
    if (v.kind != VNone)
        v = fit_tensor(b, s->type, v, true, s->name, b->decl->name, s->name_at);
    scope_declare(e->c, b->scope, s->name, VarIn, v, s->name_at);
}

/* ---- running the body ------------------------------------------------------------------------------------------------ */

static char *application_text(Act *a, const Recipe *r, const Instance *in) {
    Ctx *c = a->e->c;
    Text t = { 0 };
    int shown = 0;
    text_add(c, &t, "in %s", r->decl->name);
    for (int i = 0; r->given && i < r->n; i++)
        if (r->given[i])
            text_add(c, &t, "%s%s = %s", shown++ ? ", " : "(", r->decl->params.at[i].name,
                     value_text(c, &r->param[i]));
    if (shown)
        text_add(c, &t, ")");
    if (*in->path)
        text_add(c, &t, ", named `%s`", in->path);
    return t.s;
}

static Value out_value(Act *b, const Stmt *s, Var *v) {
    if (!v || !v->given)                /* an output without a name is a mistake, reported before */
        return no_value();
    return fit_tensor(b, s->type, v->value, false, s->name, NULL, s->name_at);
}

/* The end of an open chain is the value of the one `out` that has none (rule 26). */
static void finish_chain(Act *b, Scope *body, const ModelInfo *info) {
    if (!b->chained || b->named)
        return;
    Var *open = NULL;
    for (int i = 0; i < info->nout; i++) {
        Var *v = map_get(&body->names, info->out[i]->name);
        if (!v || v->given)
            continue;
        if (open)
            return;
        open = v;
    }
    if (!info->nout)
        open = map_get(&body->names, name(b->e->c, "output"));
    if (!open || open->given)
        return;
    open->value = b->chain;
    open->given = true;
}

static void declare_outs(Act *b, const ModelInfo *info) {
    Ctx *c = b->e->c;
    for (int i = 0; i < info->nout; i++)
        scope_declare(c, b->scope, info->out[i]->name, VarOut, no_value(), info->out[i]->name_at);
    if (!info->nout)
        scope_declare(c, b->scope, name(c, "output"), VarOut, no_value(), b->decl->name_at);
}

int run_model(Act *b, Value **out) {
    Elab *e = b->e;
    const ModelInfo *info = model_info(e, b->decl);
    b->scope = scope_in(e->c, b->scope, true);
    Scope *body = b->scope;
    declare_outs(b, info);
    if (!info->nin && !b->inputless) {
        Given *g = given_named(b, name(e->c, "input"));
        Value v = g         ? g->value
                  : b->root ? root_input(b, name(e->c, "input"), NULL, false, b->decl->name_at)
                            : no_value();
        if (g)
            g->used = true;
        scope_declare(e->c, b->scope, name(e->c, "input"), VarIn, v, b->decl->name_at);
    }
    exec_body(b, &b->decl->body);
    b->scope = body;
    finish_chain(b, body, info);
    int n = out_count(info);
    *out = NEWN(e->c, Value, n);
    for (int i = 0; i < n; i++) {
        Var *v = map_get(&body->names, info->nout ? info->out[i]->name : name(e->c, "output"));
        (*out)[i] = info->nout ? out_value(b, info->out[i], v) : v->given ? v->value : no_value();
    }
    return n;
}

static void unused_terminals(Act *b, int errors) {
    Ctx *c = b->e->c;
    const ModelInfo *info = model_info(b->e, b->decl);
    for (int i = 0; i < b->ngiven; i++) {
        if (b->given[i].used || c->errors > errors)
            continue;
        Text t = { 0 };
        for (int k = 0; k < in_count(info); k++)
            text_add(c, &t, "%s%s", k ? ", " : "", in_name(b->e, info, k));
        error_at(c, b->given[i].at, "%s has no terminal `%s` (its inputs: %s)", b->decl->name,
                 b->given[i].name, t.s);
    }
}

static int all_poison(Elab *e, Item *m, Value **out) {
    int n = out_count(model_info(e, m));
    *out = NEWN(e->c, Value, n);
    return n;
}

/* What a note about an application underlines: the model with its parameters, or `net(x)` of a block. */
static Span frame_span(const Expr *call, Span at) {
    return call && call->kid[0]->kind == ECall ? call->kid[0]->at : at;
}

static int run_instance(Act *a, Recipe *r, Instance *in, Binder *binder, Span frame, Span at,
                        Value **out) {
    Elab *e = a->e;
    Ctx *c = e->c;
    const ModelInfo *info = model_info(e, r->decl);
    Act *b = act_new(a, e, r->decl, in);
    b->given = NEWN(c, Given, in_count(info) + binder->extra.n);
    for (int k = 0; k < in_count(info); k++)
        if (binder->bound[k])
            b->given[b->ngiven++] = binder->in[k];
    for (int k = 0; k < binder->extra.n; k++)
        b->given[b->ngiven++] = binder->extra.at[k];
    b->star = binder->star;
    for (int i = 0; i < r->n; i++)
        scope_declare(c, b->scope, r->decl->params.at[i].name, VarParam, r->param[i],
                      r->decl->params.at[i].at);
    int errors = c->errors;
    b->frame = (Frame){ frame, application_text(a, r, in), c->frame };
    c->frame = &b->frame;
    e->depth++;
    int n = run_model(b, out);
    e->depth--;
    c->frame = b->frame.up;
    unused_terminals(b, errors);
    for (int i = 0; i < n; i++)
        (*out)[i].at = at;
    return n;
}

static void needs_name(Act *a, const Recipe *r, const Instance *in, Span at) {
    Ctx *c = a->e->c;
    if (!a->loop || !in->weights)
        return;
    error_at(c, at, "an instance with weights, in a loop, needs a name with an index");
    help(c, "`(%s as %s[%s])`", source_text(c, at), snake(c, r->decl->name), a->loop);
}

/* A model that applies itself twice doubles the work at every level: the place is told before memory
 * ends. Half of it is left for the passes that follow. */
static void too_many_applications(Elab *e, Span at) {
    Ctx *c = e->c;
    size_t limit = c->limit ? c->limit / 2 : MostMemory;
    if (++e->applications <= MostInstances && c->used <= limit)
        return;
    if (e->applications > MostInstances)
        error_at(c, at, "a program applies models at most %d times", MostInstances);
    else
        error_at(c, at, "the %d models applied up to here take more than %zu MiB of memory",
                 e->applications, limit >> 20);
    fail(c);
}

int apply_model(Act *a, Recipe *r, const Expr *call, const Value *flow, const Path *as, Span at,
                Value **out) {
    Elab *e = a->e;
    Binder binder = { 0 };
    if (r->partial) {
        error_at(e->c, at, "`%s` is only the beginning of the path of an instance", r->partial);
        return all_poison(e, r->decl, out);
    }
    if (e->depth >= MostDepth) {
        error_at(e->c, at, "models apply one another more than %d deep here", MostDepth);
        fail(e->c);
    }
    too_many_applications(e, at);
    bool good = bind_all(a, r->decl, call, flow, &binder, at);
    Instance *in = r->instance ? r->instance
                   : as        ? instance_at_path(a, r->decl, as)
                               : instance_unnamed(a, r->decl, at);
    if (!good || !in || any_poison(&binder, in_count(model_info(e, r->decl))))
        return all_poison(e, r->decl, out);
    if (r->instance && !r->param) {
        error_at(e->c, at,
                 "`%s` can be read here, not applied: apply it where its block is declared",
                 in->path);
        return all_poison(e, r->decl, out);
    }
    int n = run_instance(a, r, in, &binder, frame_span(call, at), at, out);
    if (!r->instance && !as)
        needs_name(a, r, in, at);
    return n;
}
