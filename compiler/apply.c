/* apply.c: a model applied: parameters bound, an instance found or made, terminals bound, the body run.
 *
 * Every application runs the body anew, so shapes and compile-time branches are its own; what is
 * shared is the instance, whose parameters and states are made once and found again. */
#include "flatten.h"

#include <ctype.h>
#include <string.h>

Act *act_new(Act *up, Elab *e, Item *decl, Instance *in)
{
    Act *b = NEW(e->c, Act);
    b->e = e;
    b->decl = decl;
    b->module = decl ? decl->module_in : e->module;
    b->in = in;
    b->up = up;
    b->scope = scope_in(e->c, NULL, true);
    return b;
}

Value recipe_value(Recipe *r, Span at)
{
    return (Value){ .kind = VRecipe, .recipe = r, .at = at };
}

/* ---- what a model declares ------------------------------------------------------------------------- */

static bool args_star(const Expr *x)
{
    if (!x) return false;
    for (int i = 0; i < x->narg; i++)
        if (x->arg[i].sep == '*' || args_star(x->arg[i].value)) return true;
    for (int i = 0; i < x->n; i++)
        if (args_star(x->kid[i])) return true;
    return false;
}

static bool body_star(const Body *b)
{
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (args_star(s->e) || body_star(&s->body) || body_star(&s->other)) return true;
    }
    return false;
}

const ModelInfo *model_info(Elab *e, Item *m)
{
    ModelInfo *info = map_get(&e->info, m);
    if (info) return info;
    info = NEW(e->c, ModelInfo);
    info->in = NEWN(e->c, Stmt *, m->body.n + 1);
    info->out = NEWN(e->c, Stmt *, m->body.n + 1);
    for (int i = 0; i < m->body.n; i++) {
        Stmt *s = m->body.at[i];
        if (s->kind == SIn) info->in[info->nin++] = s;
        if (s->kind == SOut) info->out[info->nout++] = s;
    }
    info->star = body_star(&m->body);
    map_put(e->c, &e->info, m, info);
    return info;
}

/* Without an `in` there is one, `input`; without an `out`, `output` (rule 10). */
static Name in_name(Elab *e, const ModelInfo *m, int i) { return m->nin ? m->in[i]->name : name(e->c, "input"); }
static int  in_count(const ModelInfo *m) { return m->nin ? m->nin : 1; }
static int  out_count(const ModelInfo *m) { return m->nout ? m->nout : 1; }

static int find_in(Elab *e, const ModelInfo *m, Name n)
{
    for (int i = 0; i < in_count(m); i++)
        if (in_name(e, m, i) == n) return i;
    return -1;
}

/* ---- the first list ---------------------------------------------------------------------------------- */

typedef struct Fields { const Field *at; int n; } Fields;

static Fields fields_of(const Item *decl)
{
    if (decl->kind == IConfig) return (Fields){ decl->field, decl->nfield };
    return (Fields){ decl->params.at, decl->params.n };
}

static int find_field(Fields f, Name n)
{
    for (int i = 0; i < f.n; i++)
        if (f.at[i].name == n) return i;
    return -1;
}

static char *field_names(Ctx *c, Fields f, bool types)
{
    Text t = { 0 };
    text_add(c, &t, "");
    for (int i = 0; i < f.n; i++) {
        text_add(c, &t, "%s%s", i ? ", " : "", f.at[i].name);
        if (types && f.at[i].type) text_add(c, &t, ": %s", type_expr_text(c, f.at[i].type));
    }
    return t.s;
}

static char *args_text(Ctx *c, const Expr *call, const Arg *but)
{
    Text t = { 0 };
    text_add(c, &t, "");
    for (int i = 0; i < call->narg; i++)
        if (&call->arg[i] != but) text_add(c, &t, "%s%s", t.n ? ", " : "", source_text(c, call->arg[i].at));
    return t.s;
}

static bool bad_arg(Act *a, const Item *decl, const Expr *call, const Arg *arg)
{
    Ctx *c = a->e->c;
    if (arg->sep == '*') {
        error_at(c, arg->at, "`*` stands for terminals, and belongs in the second list");
        return true;
    }
    if (arg->sep != ':') return false;
    char *what = arg->key ? source_text(c, arg->key->at) : "";
    if (decl->kind == IConfig) error_at(c, arg->at, "a field is given with `=`: `%s = …`", what);
    else error_at(c, arg->at, "`%s:` binds a terminal, and belongs in the second list", what);
    if (decl->kind != IConfig)
        help(c, "`%s(%s)(%s)`", source_text(c, call->kid[0]->at), args_text(c, call, arg), source_text(c, arg->at));
    return true;
}

static int no_such_field(Act *a, const Item *decl, const Arg *arg)
{
    Ctx *c = a->e->c;
    Fields f = fields_of(decl);
    const char *what = decl->kind == IConfig ? "field" : "parameter";
    Span at = arg->key ? arg->key->at : arg->at;
    if (f.n) error_at(c, at, "%s has no %s `%s` (it has %s)", decl->name, what, arg->name, field_names(c, f, false));
    else error_at(c, at, "%s has no %ss", decl->name, what);
    return -1;
}

static int too_many(Act *a, const Item *decl, const Expr *call)
{
    Ctx *c = a->e->c;
    Fields f = fields_of(decl);
    int found = 0;
    for (int i = 0; i < call->narg; i++) found += !call->arg[i].sep;
    error_at(c, call->at, "%s has %d parameter%s (%s), found %d", decl->name, f.n, f.n == 1 ? "" : "s",
             field_names(c, f, false), found);
    return -1;
}

/* Which field an argument is for; -1 after an error. */
static int field_of_arg(Act *a, const Item *decl, const Expr *call, const Arg *arg, int *position)
{
    Fields f = fields_of(decl);
    if (bad_arg(a, decl, call, arg)) return -1;
    if (!arg->sep) return *position < f.n ? (*position)++ : too_many(a, decl, call);
    int k = arg->name ? find_field(f, arg->name) : -1;
    return k >= 0 ? k : no_such_field(a, decl, arg);
}

static bool is_tensor_misplaced(Act *a, const Item *decl, const Expr *call, const Arg *arg, const Field *f, const Value *v)
{
    Ctx *c = a->e->c;
    if (decl->kind != IModel || v->kind != VTensor || arg->sep || !f->type || v->tensor->type.rank == 0) return false;
    error_at(c, arg->at, "the first list of %s takes parameters (%s), found a tensor", decl->name,
             field_names(c, fields_of(decl), true));
    help(c, "`%s(%s)(%s)`", source_text(c, call->kid[0]->at), args_text(c, call, arg), source_text(c, arg->at));
    return true;
}

/* What -p says of field `n` below the prefix now in force, as an expression; NULL: nothing. */
static const Expr *setting_for(Elab *e, const char *prefix, Name n, bool *deeper)
{
    const Expr *found = NULL;
    *deeper = false;
    size_t k = strlen(prefix);
    for (int i = 0; prefix && i < e->setting.n; i++) {
        SettingExpr *s = &e->setting.at[i];
        if (strncmp(s->name, prefix, k) != 0) continue;
        if (!strcmp(s->name + k, n)) { s->used = true; found = s->value; }
        size_t m = strlen(n);
        if (!strncmp(s->name + k, n, m) && s->name[k + m] == '.') *deeper = true;
    }
    return found;
}

/* Evaluates what field k gets: a setting, the argument, or nothing yet. */
static Value field_value(Act *a, const char *prefix, const Field *f, const Expr *e)
{
    bool deeper = false;
    const Expr *set = prefix ? setting_for(a->e, prefix, f->name, &deeper) : NULL;
    if (set) e = set;
    if (!e) return absent();
    a->e->config = deeper ? format(a->e->c, "%s%s.", prefix, f->name) : NULL;
    Value v = evaluate(a, e);
    a->e->config = NULL;
    return v;
}

static Value unknown_param(Act *a, const Field *f)
{
    Ctx *c = a->e->c;
    if (!f->type || f->type->list || !f->type->name || strcmp(f->type->name, "int") != 0) return no_value();
    Symbol *s = NEW(c, Symbol);
    *s = (Symbol){ .name = f->name, .at = f->at, .lo = 1, .hi = INT32_MAX };
    map_put(c, &a->e->unknown, s, s);
    return dim_value(dim_symbol(c, s));
}

/* Fills in defaults, in order, each in a scope with those before it; fits all to their types. */
static bool fill_fields(Act *a, Item *decl, Value *param, bool *given, const char *prefix, Span at, bool silent)
{
    Elab *e = a->e;
    Fields f = fields_of(decl);
    Act *b = act_new(a, e, decl, a->in);
    bool good = true;
    for (int i = 0; i < f.n; i++) {
        const Field *field = &f.at[i];
        if (!given[i]) {
            param[i] = field_value(b, prefix, field, field->init);
            if (is_absent(&param[i]) && e->check && !a->decl && !a->in->up && a->root) param[i] = unknown_param(a, field);
            else if (is_absent(&param[i])) {
                if (!silent) error_at(e->c, at, "%s needs `%s`, and has no default for it", decl->name, field->name);
                if (!silent && field->at.src) note_at(e->c, field->at, "declared here");
                good = false;
                param[i] = no_value();
            }
        }
        param[i] = fit_param(b, field, param[i], decl->name);
        scope_declare(e->c, b->scope, field->name, VarParam, param[i], field->at);
    }
    return good;
}

/* Binds the arguments of `call` to the fields of a model or config. */
static bool bind_fields(Act *a, Item *decl, const Expr *call, Value *param, bool *given, Span at)
{
    Elab *e = a->e;
    Fields f = fields_of(decl);
    const char *prefix = e->config;
    bool good = true;
    int position = 0;
    e->config = NULL;
    for (int i = 0; call && i < call->narg; i++) {
        const Arg *arg = &call->arg[i];
        int k = field_of_arg(a, decl, call, arg, &position);
        Value v = k < 0 ? no_value() : field_value(a, prefix, &f.at[k], arg->value);
        if (k >= 0 && !v.at.src) v.at = arg->value->at;
        if (k < 0 || is_tensor_misplaced(a, decl, call, arg, &f.at[k], &v)) { good = false; continue; }
        if (given[k]) {
            error_at(e->c, arg->at, "`%s` is given twice", f.at[k].name);
            good = false;
        }
        param[k] = v;
        given[k] = true;
    }
    return fill_fields(a, decl, param, given, prefix, at, !good) && good;
}

Value configure(Act *a, Item *m, const Expr *call)
{
    Ctx *c = a->e->c;
    Fields f = fields_of(m);
    Recipe *r = NEW(c, Recipe);
    *r = (Recipe){ .decl = m, .n = f.n, .param = NEWN(c, Value, f.n), .given = NEWN(c, bool, f.n) };
    if (!bind_fields(a, m, call, r->param, r->given, call ? call->at : m->name_at)) {
        Value v = no_value();
        return v;
    }
    return recipe_value(r, call ? call->at : m->name_at);
}

Value call_config(Act *a, Item *config, const Expr *call)
{
    Ctx *c = a->e->c;
    Value v = { .kind = VConfig, .decl = config, .n = config->nfield, .at = call->at };
    v.item = NEWN(c, Value, v.n);
    bool *given = NEWN(c, bool, v.n);
    return bind_fields(a, config, call, v.item, given, call->at) ? v : no_value();
}

/* ---- paths and instances --------------------------------------------------------------------------------- */

Name path_join(Ctx *c, Name up, Name below)
{
    if (!*up) return below;
    return *below ? name(c, "%s.%s", up, below) : up;
}

static Name part_text(Act *a, const struct PathPart *p)
{
    Ctx *c = a->e->c;
    int64_t n;
    if (p->name) return strcmp(p->name, "_") ? p->name : name(c, "");
    if (p->string) return eval_text(a, p->string);
    Value v = evaluate(a, p->index);
    if (v.kind == VInt && dim_number(v.whole, &n)) return name(c, "%lld", (long long)n);
    if (v.kind == VStr) return v.text;
    if (v.kind != VPoison && !value_unknown(a->e, &v))
        error_at(c, p->index->at, "an index of a path must be known when compiling, found %s", value_kind(c, &v));
    return NULL;
}

Name path_below(Act *a, const Path *p)
{
    Ctx *c = a->e->c;
    Name all = name(c, "");
    for (int i = 0; i < p->part.n; i++) {
        Name part = part_text(a, &p->part.at[i]);
        if (!part) return NULL;
        all = path_join(c, all, part);
    }
    return all;
}

/* LayerNorm is layer_norm, Conv2d is conv2d, LSTMCell is lstm_cell. */
Name snake(Ctx *c, Name n)
{
    Text t = { 0 };
    for (int i = 0; n[i]; i++) {
        bool upper = isupper((unsigned char)n[i]);
        bool starts = i > 0 && upper && (!isupper((unsigned char)n[i - 1]) || islower((unsigned char)n[i + 1]));
        text_add(c, &t, "%s%c", starts ? "_" : "", tolower((unsigned char)n[i]));
    }
    return intern(c, t.s, t.n);
}

static bool has_index(const Path *p)
{
    for (int i = 0; p && i < p->part.n; i++)
        if (p->part.at[i].index || (p->part.at[i].string && p->part.at[i].string->n)) return true;
    return false;
}

static void named_twice(Act *a, Name below, const Path *as, Span first)
{
    Ctx *c = a->e->c;
    if (a->loop && !has_index(as)) {
        error_at(c, as->at, "every turn of this loop names an instance `%s`", below);
        return;
    }
    error_at(c, as->at, "two instances are named `%s`", below);
    note_at(c, first, "the first is here");
}

Instance *instance_named(Act *a, Item *decl, Name below, Name key, Span at)
{
    Elab *e = a->e;
    Instance *i = map_get(&a->in->kid, key);
    if (i && i->decl == decl) return i;
    if (++e->instances > MostInstances) {
        error_at(e->c, at, "a program has at most %d instances", MostInstances);
        fail(e->c);
    }
    i = NEW(e->c, Instance);
    *i = (Instance){ .decl = decl, .path = path_join(e->c, a->in->path, below), .up = a->in, .at = at };
    map_put(e->c, &a->in->kid, key, i);
    push(e->c, &a->in->kids, key);
    return i;
}

static Instance *named_instance(Act *a, Item *decl, const Path *as)
{
    Ctx *c = a->e->c;
    Name below = path_below(a, as);
    if (!below) return NULL;
    if (!*below) return instance_named(a, decl, below, name(c, "_%d", a->unnamed++), as->at);
    Span *first = map_get(&a->used, below);
    if (first) {
        named_twice(a, below, as, *first);
        return NULL;
    }
    first = NEW(c, Span);
    *first = as->at;
    map_put(c, &a->used, below, first);
    return instance_named(a, decl, below, below, as->at);
}

static Instance *unnamed_instance(Act *a, Item *decl, Span at)
{
    Ctx *c = a->e->c;
    Name base = snake(c, decl->name), below = base;
    size_t n = (size_t)(uintptr_t)map_get(&a->count, base);
    if (n) below = name(c, "%s_%zu", base, n);
    map_put(c, &a->count, base, (void *)(uintptr_t)(n + 1));
    return instance_named(a, decl, below, below, at);
}

/* ---- parts of an instance: b.x ------------------------------------------------------------------------------ */

static bool begins_path(const Instance *i, Name p)
{
    size_t n = strlen(p);
    for (int k = 0; k < i->kids.n; k++)
        if (!strncmp(i->kids.at[k], p, n) && i->kids.at[k][n] == '.') return true;
    return false;
}

static Value no_part(Act *a, const Recipe *r, Name part, Span at)
{
    Ctx *c = a->e->c;
    Instance *i = r->instance;
    if (!i->kids.n && !i->weight.n) {
        error_at(c, at, "`%s` has not been applied yet, and so has no `%s`", i->path, part);
        return no_value();
    }
    Text t = { 0 };
    text_add(c, &t, "");
    for (int k = 0; k < i->kids.n && k < 8; k++) text_add(c, &t, "%s%s", k ? ", " : "", i->kids.at[k]);
    if (t.n) error_at(c, at, "%s has no parameter, state, block or path `%s` (below it: %s)", i->decl->name, part, t.s);
    else error_at(c, at, "%s has no parameter, state, block or path `%s`", i->decl->name, part);
    return no_value();
}

Value instance_part(Act *a, Recipe *r, Name part, Span at)
{
    Ctx *c = a->e->c;
    Instance *i = r->instance;
    Name p = r->partial ? name(c, "%s.%s", r->partial, part) : part;
    Tensor *t = map_get(&i->weight, p);
    Value *block = map_get(&i->block, p);
    if (t) return read_state(a->e, of_tensor(t));
    if (block) return *block;
    Instance *kid = map_get(&i->kid, p);
    Recipe *below = NEW(c, Recipe);
    if (kid) *below = (Recipe){ .decl = kid->decl, .instance = kid };
    else if (begins_path(i, p)) *below = (Recipe){ .decl = r->decl, .instance = i, .partial = p };
    else return no_part(a, r, p, at);
    return recipe_value(below, at);
}

/* ---- the second list ------------------------------------------------------------------------------------------ */

static void forgotten(Act *a, Item *m, const Stmt *in, const Expr *call, Span at, Name what)
{
    Ctx *c = a->e->c;
    error_at(c, at, "%s needs `%s`, and nothing is bound to it", m->name, what);
    if (in) note_at(c, in->name_at, "declared here, without a default");
    if (!call) return;
    char *rest = args_text(c, call, NULL);
    const char *here = a->decl ? a->decl->name : "this model";
    help(c, "bind it: `%s(%s%s%s: …)`, or write `*` to make it an input of %s", source_text(c, call->kid[0]->at), rest,
         *rest ? ", " : "", what, here);
}

static void parameter_misplaced(Act *a, const Item *m, const Expr *call, const Arg *arg)
{
    Ctx *c = a->e->c;
    const Expr *first = call->kid[0];
    if (!arg->name || find_field(fields_of(m), arg->name) < 0) {
        error_at(c, arg->at, "a terminal is bound with `:`: `%s: …`", arg->key ? source_text(c, arg->key->at) : "x");
        return;
    }
    error_at(c, arg->at, "`%s` is a parameter of %s, and belongs in the first list", arg->name, m->name);
    if (first->kind != ECall) return;
    char *rest = args_text(c, first, NULL);
    help(c, "`%s(%s%s%s)(%s)`", source_text(c, first->kid[0]->at), rest, *rest ? ", " : "", source_text(c, arg->at),
         args_text(c, call, arg));
}

static bool too_many_terminals(Act *a, const ModelInfo *info, Item *m, Span at)
{
    Ctx *c = a->e->c;
    Text t = { 0 };
    for (int i = 0; i < in_count(info); i++) text_add(c, &t, "%s%s", i ? ", " : "", in_name(a->e, info, i));
    error_at(c, at, "%s has %d input%s (%s); this is one more", m->name, in_count(info), in_count(info) == 1 ? "" : "s", t.s);
    return false;
}

/* Where the terminals of one application are gathered before its body runs. */
typedef struct Binder { Given *in; bool *bound; VEC(Given) extra; bool star; } Binder;

static bool bind_terminal(Act *a, Item *m, const Expr *call, const Arg *arg, Binder *b, int *position)
{
    Elab *e = a->e;
    const ModelInfo *info = model_info(e, m);
    if (arg->sep == '*') return b->star = true;
    if (arg->sep == '=') {
        parameter_misplaced(a, m, call, arg);
        return false;
    }
    Value v = evaluate(a, arg->value);
    v.at = arg->value->at;
    int k = arg->sep ? (arg->name ? find_in(e, info, arg->name) : -1) : (*position)++;
    if (!arg->sep && k >= in_count(info)) return too_many_terminals(a, info, m, arg->at);
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

static bool bind_flow(Act *a, Item *m, const Value *flow, Binder *b, Span at)
{
    const ModelInfo *info = model_info(a->e, m);
    for (int k = 0; k < in_count(info); k++) {
        if (b->bound[k]) continue;
        b->bound[k] = true;
        b->in[k] = (Given){ .name = in_name(a->e, info, k), .value = *flow, .at = at };
        b->in[k].value.at = at;
        return true;
    }
    error_at(a->e->c, at, "every input of %s is bound, and the chain's value has nowhere to go", m->name);
    return false;
}

static bool bind_all(Act *a, Item *m, const Expr *call, const Value *flow, Binder *b, Span at)
{
    Elab *e = a->e;
    const ModelInfo *info = model_info(e, m);
    int position = 0;
    bool good = true;
    b->in = NEWN(e->c, Given, in_count(info));
    b->bound = NEWN(e->c, bool, in_count(info));
    for (int i = 0; call && i < call->narg; i++) good = bind_terminal(a, m, call, &call->arg[i], b, &position) && good;
    if (flow && good) good = bind_flow(a, m, flow, b, at);
    for (int k = 0; good && !b->star && k < in_count(info); k++) {
        const Stmt *in = info->nin ? info->in[k] : NULL;
        if (b->bound[k] || (in && in->e)) continue;
        forgotten(a, m, in, call, at, in_name(e, info, k));
        good = false;
    }
    return good;
}

static bool any_poison(const Binder *b, int n)
{
    for (int k = 0; k < n; k++)
        if (b->bound[k] && b->in[k].value.kind == VPoison) return true;
    for (int k = 0; k < b->extra.n; k++)
        if (b->extra.at[k].value.kind == VPoison) return true;
    return false;
}

/* ---- inputs of the body ------------------------------------------------------------------------------------------ */

static Given *given_named(Act *b, Name n)
{
    for (int i = 0; i < b->ngiven; i++)
        if (b->given[i].name == n) return &b->given[i];
    return NULL;
}

/* `*`: what the caller was given under this name, or an input of the whole. */
static bool from_outside(Act *b, const Stmt *s, Value *v)
{
    Act *at = b;
    while (at->star && at->up) {
        at = at->up;
        while (at->up && !at->decl) at = at->up;
        if (at->root) {
            *v = root_input(b, s->name, s->type, s->e != NULL, s->name_at);
            return true;
        }
        Given *g = given_named(at, s->name);
        if (!g) continue;
        g->used = true;
        *v = g->value;
        return true;
    }
    return false;
}

static Value default_input(Act *b, const Stmt *s)
{
    Elab *e = b->e;
    Type t;
    if (s->e->kind == ENone) return none_at(s->e->at);
    if (s->e->kind == ECall && s->type && type_of(b, s->type, &t, false)) {
        Value v = init_value(b, s->e, &t);
        if (v.kind == VInit && !strcmp(v.init->kind, "zeros")) return filled(b, &t, 0, s->name);
        if (v.kind == VInit && !strcmp(v.init->kind, "ones")) return filled(b, &t, 1, s->name);
        if (v.kind == VInit && !strcmp(v.init->kind, "constant")) return filled(b, &t, v.init->arg[0], s->name);
        if (v.kind == VInit) {
            error_at(e->c, s->e->at, "an input's default is a value; `%s` is an initialiser of weights", v.init->kind);
            return no_value();
        }
        return v;
    }
    return evaluate(b, s->e);
}

void set_inputs(Act *b, Stmt *s)
{
    Elab *e = b->e;
    Given *g = given_named(b, s->name);
    Value v;
    if (g) {
        g->used = true;
        v = g->value;
        if (v.kind == VNone && !(s->e && s->e->kind == ENone)) {
            error_at(e->c, g->at, "`%s` may be absent, and `%s` of %s must be given", source_text(e->c, g->at), s->name, b->decl->name);
            v = no_value();
        }
    } else if (b->root) {
        v = root_input(b, s->name, s->type, s->e != NULL, s->name_at);
    } else if (!from_outside(b, s, &v)) {
        v = s->e ? default_input(b, s) : no_value();
    }
    if (v.kind != VNone) v = fit_tensor(b, s->type, v, true, s->name, b->decl->name, s->name_at);
    scope_declare(e->c, b->scope, s->name, VarIn, v, s->name_at);
}

/* ---- running the body ------------------------------------------------------------------------------------------------ */

static char *application_text(Act *a, const Recipe *r, const Instance *in)
{
    Ctx *c = a->e->c;
    Text t = { 0 };
    int shown = 0;
    text_add(c, &t, "in %s", r->decl->name);
    for (int i = 0; r->given && i < r->n; i++)
        if (r->given[i])
            text_add(c, &t, "%s%s = %s", shown++ ? ", " : "(", r->decl->params.at[i].name, value_text(c, &r->param[i]));
    if (shown) text_add(c, &t, ")");
    if (*in->path) text_add(c, &t, ", named `%s`", in->path);
    return t.s;
}

static Value out_value(Act *b, const Stmt *s, Var *v)
{
    if (!v->given) return no_value();
    return fit_tensor(b, s->type, v->value, false, s->name, NULL, s->name_at);
}

/* The end of an open chain is the value of the one `out` that has none (rule 26). */
static void finish_chain(Act *b, Scope *body, const ModelInfo *info)
{
    if (!b->chained || b->named) return;
    Var *open = NULL;
    for (int i = 0; i < info->nout; i++) {
        Var *v = map_get(&body->names, info->out[i]->name);
        if (v->given) continue;
        if (open) return;
        open = v;
    }
    if (!info->nout) open = map_get(&body->names, name(b->e->c, "output"));
    if (!open || open->given) return;
    open->value = b->chain;
    open->given = true;
}

static void declare_outs(Act *b, const ModelInfo *info)
{
    Ctx *c = b->e->c;
    for (int i = 0; i < info->nout; i++)
        scope_declare(c, b->scope, info->out[i]->name, VarOut, no_value(), info->out[i]->name_at);
    if (!info->nout) scope_declare(c, b->scope, name(c, "output"), VarOut, no_value(), b->decl->name_at);
}

int run_model(Act *b, Value **out)
{
    Elab *e = b->e;
    const ModelInfo *info = model_info(e, b->decl);
    b->scope = scope_in(e->c, b->scope, true);
    Scope *body = b->scope;
    declare_outs(b, info);
    if (!info->nin && !b->inputless) {
        Given *g = given_named(b, name(e->c, "input"));
        Value v = g ? g->value : b->root ? root_input(b, name(e->c, "input"), NULL, false, b->decl->name_at) : no_value();
        if (g) g->used = true;
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

static void unused_terminals(Act *b, int errors)
{
    Ctx *c = b->e->c;
    const ModelInfo *info = model_info(b->e, b->decl);
    for (int i = 0; i < b->ngiven; i++) {
        if (b->given[i].used || c->errors > errors) continue;
        Text t = { 0 };
        for (int k = 0; k < in_count(info); k++) text_add(c, &t, "%s%s", k ? ", " : "", in_name(b->e, info, k));
        error_at(c, b->given[i].at, "%s has no terminal `%s` (its inputs: %s)", b->decl->name, b->given[i].name, t.s);
    }
}

static int all_poison(Elab *e, Item *m, Value **out)
{
    int n = out_count(model_info(e, m));
    *out = NEWN(e->c, Value, n);
    return n;
}

/* What a note about an application underlines: the model with its parameters, or `net(x)` of a block. */
static Span frame_span(const Expr *call, Span at)
{
    return call && call->kid[0]->kind == ECall ? call->kid[0]->at : at;
}

static int run_instance(Act *a, Recipe *r, Instance *in, Binder *binder, Span frame, Span at, Value **out)
{
    Elab *e = a->e;
    Ctx *c = e->c;
    const ModelInfo *info = model_info(e, r->decl);
    Act *b = act_new(a, e, r->decl, in);
    b->given = NEWN(c, Given, in_count(info) + binder->extra.n);
    for (int k = 0; k < in_count(info); k++)
        if (binder->bound[k]) b->given[b->ngiven++] = binder->in[k];
    for (int k = 0; k < binder->extra.n; k++) b->given[b->ngiven++] = binder->extra.at[k];
    b->star = binder->star;
    for (int i = 0; i < r->n; i++)
        scope_declare(c, b->scope, r->decl->params.at[i].name, VarParam, r->param[i], r->decl->params.at[i].at);
    int errors = c->errors;
    b->frame = (Frame){ frame, application_text(a, r, in), c->frame };
    c->frame = &b->frame;
    e->depth++;
    int n = run_model(b, out);
    e->depth--;
    c->frame = b->frame.up;
    unused_terminals(b, errors);
    for (int i = 0; i < n; i++) (*out)[i].at = at;
    return n;
}

static void needs_name(Act *a, const Recipe *r, const Instance *in, Span at)
{
    Ctx *c = a->e->c;
    if (!a->loop || !in->weights) return;
    error_at(c, at, "an instance with weights, in a loop, needs a name with an index");
    help(c, "`(%s as %s[%s])`", source_text(c, at), snake(c, r->decl->name), a->loop);
}

int apply_model(Act *a, Recipe *r, const Expr *call, const Value *flow, const Path *as, Span at, Value **out)
{
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
    bool good = bind_all(a, r->decl, call, flow, &binder, at);
    Instance *in = r->instance ? r->instance : as ? named_instance(a, r->decl, as) : unnamed_instance(a, r->decl, at);
    if (!good || !in || any_poison(&binder, in_count(model_info(e, r->decl)))) return all_poison(e, r->decl, out);
    if (r->instance && !r->param) {
        error_at(e->c, at, "`%s` can be read here, not applied: apply it where its block is declared", in->path);
        return all_poison(e, r->decl, out);
    }
    int n = run_instance(a, r, in, &binder, frame_span(call, at), at, out);
    if (!r->instance && !as) needs_name(a, r, in, at);
    return n;
}
