/* resolve.c: every name in every body is looked up, and what can be said without shapes is said.
 *
 * needs: modules whose tables of names are complete. gives: diagnostics, nothing else; so code that
 * no elaboration reaches is checked as well. One walk over a body in the order of its text keeps,
 * for each name, whether it has a value here (on every path, on some, on none: rule 9), which
 * values those may be (so that one nobody reads is found), whether a chain can be continued (rule
 * 25), and which instances have been named (rules 19 to 22). Rules 5 to 9, 36, 43 to 47. */
#include "resolve.h"

#include <string.h>

/* ---- the ends of bodies */

static int line_number(Span at) {
    int line = 1;
    for (int i = 0; i < at.from; i++)
        line += at.src->text[i] == '\n';
    return line;
}

static void unused_values(Resolver *r) {
    if (r->m->src->library)
        return;
    for (int i = 0; i < r->defs.n; i++) {
        const Def *d = r->defs.at[i];
        if (d->used || d->quiet)
            continue;
        if (d->replaced.src)
            warning_at(r->c, d->at, "this value of `%s` is never used: it is replaced on line %d",
                       d->name, line_number(d->replaced));
        else
            warning_at(r->c, d->at, "the value of `%s` is never used", d->name);
    }
}

static void lacks_value(Resolver *r, const Local *out) {
    Ctx *c = r->c;
    if (out->fact.given == IsGiven || r->quiet)
        return;
    error_at(c, out->at,
             out->fact.given ? "`%s` has a value on some paths only"
                             : "`%s` is never given a value",
             out->name);
    if (out->fact.given)
        note_at(c, out->fact.where, "given here");
}

/* Rule 26: a chain without `->` at the end of a body goes to the one output without a value. */
static void outputs(Resolver *r) {
    VEC(Local *) open = {0};
    int outs = 0;
    for (int i = 0; i < r->locals.n; i++) {
        Local *l = r->locals.at[i];
        if (l->kind != LocalOutput)
            continue;
        outs++;
        if (l->fact.given == NotGiven)
            push(r->c, &open, l);
        mark_used(l->fact.reach);
    }
    const Stmt *last = r->chain.open ? r->chain.last : NULL;
    bool flows = last && !last->nleft;
    if (flows && open.n == 1)
        give_value(r, open.at[0], open.at[0]->at, true);
    else if (flows && outs && !open.n && !r->m->src->library && !r->train)
        warning_at(r->c, last->at, "the end of this chain is never used: every output has a value");
    for (int i = 0; i < r->locals.n; i++)
        if (r->locals.at[i]->kind == LocalOutput)
            lacks_value(r, r->locals.at[i]);
}

static bool has_in(const Body *b) {
    for (int i = 0; i < b->n; i++)
        if (b->at[i]->kind == SIn)
            return true;
    return false;
}

static bool has_broken(const Body *b) {
    for (int i = 0; i < b->n; i++)
        if (b->at[i]->broken || has_broken(&b->at[i]->body) || has_broken(&b->at[i]->other))
            return true;
    return false;
}

static bool has_out(const Body *b) {
    for (int i = 0; i < b->n; i++)
        if (b->at[i]->kind == SOut)
            return true;
    return false;
}

/* ---- declarations */

static Kind kind_of_field(Resolver *r, const Field *f) {
    if (!f->type || f->type->list)
        return (Kind){.nature = f->type ? Unclear : Somevalue};
    if (f->type->dims.given)
        return (Kind){.nature = Tensorial};
    Name t = f->type->name;
    if (t && !strcmp(t, "block"))
        return (Kind){.nature = ARecipe};
    if (t && !strcmp(t, "model"))
        return (Kind){.nature = Unclear};
    Item *it = t ? find_item(r, t) : NULL;
    return (Kind){.nature = it && it->kind == IConfig ? Constant : Unclear};
}

/* A default may use the parameters before it (rule 15). */
static void resolve_params(Resolver *r, const FieldList *l) {
    int errors = r->c->errors;
    for (int i = 0; i < l->n; i++) {
        const Field *f = &l->at[i];
        resolve_type(r, f->type, false);
        if (f->init)
            resolve_expr(r, f->init);
        declare_local(r, f->name, f->at, LocalParameter, kind_of_field(r, f));
    }
    r->item->vague |= r->c->errors > errors;
}

/* Of an op: first all the indices, whose sizes and bounds may speak of any parameter. */
static void resolve_op_params(Resolver *r, const FieldList *l) {
    for (int i = 0; i < l->n; i++) {
        introduce_indices(r, &l->at[i].dims);
        resolve_type(r, l->at[i].type, true);
    }
    for (int i = 0; i < l->n; i++) {
        const Field *f = &l->at[i];
        declare_local(r, f->name, f->at, LocalParameter,
                      f->dims.given ? (Kind){.nature = Somevalue} : kind_of_field(r, f));
    }
    for (int i = 0; i < l->n; i++) {
        resolve_index_list(r, &l->at[i].dims);
        if (l->at[i].outside)
            resolve_expr(r, l->at[i].outside);
        if (l->at[i].init)
            resolve_expr(r, l->at[i].init);
    }
}

static void resolve_model(Resolver *r, const Item *it) {
    Kind tensor = {.nature = Tensorial};
    resolve_params(r, &it->params);
    if (!has_in(&it->body))
        declare_local(r, name(r->c, "input"), it->name_at, LocalInput, tensor);
    if (!has_out(&it->body) && it->body.given)
        declare_local(r, name(r->c, "output"), it->name_at, LocalOutput, tensor);
    NameScope inner = {.up = r->scope};
    r->scope = &inner;
    resolve_body(r, &it->body);
    outputs(r);
    r->scope = inner.up;
    unused_values(r);
}

static bool has_index_lists(const Item *it) {
    bool yes = it->result_dims.given;
    for (int i = 0; i < it->params.n; i++)
        yes |= it->params.at[i].dims.given;
    for (int i = 0; i < it->result.n; i++)
        yes |= it->result.at[i].dims.given;
    return yes;
}

static void resolve_results(Resolver *r, const Item *it) {
    introduce_indices(r, &it->result_dims);
    resolve_index_list(r, &it->result_dims);
    resolve_type(r, it->result_type, false);
    for (int i = 0; i < it->result.n; i++) {
        introduce_indices(r, &it->result.at[i].dims);
        resolve_index_list(r, &it->result.at[i].dims);
        resolve_type(r, it->result.at[i].type, true);
    }
}

static void resolve_op(Resolver *r, const Item *it) {
    r->indexed = has_index_lists(it);
    resolve_op_params(r, &it->params);
    resolve_results(r, it);
    NameScope inner = {.up = r->scope};
    r->scope = &inner;
    if (it->e)
        resolve_expr(r, it->e);
    resolve_body(r, &it->body);
    r->scope = inner.up;
    unused_values(r);
}

/* The gradient of f(inputs, results, result gradients, parameters) belongs to the op above it. */
static void resolve_gradient(Resolver *r, const Item *it) {
    Item *op = find_item(r, it->name);
    if (!op || op->module_in != r->m)
        error_at(r->c, it->name_at, "this file has no op `%s`", it->name);
    else
        for (int i = 0; i < op->params.n; i++)
            introduce_indices(r, &op->params.at[i].dims);
    resolve_op(r, it);
    r->indexed = true;
}

/* `c = "expf"`, `reference = f`, `gradient = dy * y`: the last speaks of parameters, results and d
 * + result. */
static void resolve_extern(Resolver *r, const Item *it) {
    resolve_op_params(r, &it->params);
    resolve_results(r, it);
    for (int i = 0; i < it->result.n; i++) {
        const Field *f = &it->result.at[i];
        declare_local(r, f->name, f->at, LocalValue, (Kind){.nature = Somevalue})->fact.given =
            IsGiven;
        Name d = name(r->c, "d%s", f->name);
        if (!find_local(r, d))
            declare_local(r, d, f->at, LocalValue, (Kind){.nature = Somevalue})->fact.given =
                IsGiven;
    }
    for (int i = 0; i < it->nfield; i++)
        if (it->field[i].init)
            resolve_expr(r, it->field[i].init);
}

static void resolve_config(Resolver *r, const Item *it) {
    int errors = r->c->errors;
    for (int i = 0; i < it->nfield; i++) {
        const Field *f = &it->field[i];
        resolve_type(r, f->type, false);
        if (f->init)
            resolve_expr(r, f->init);
        declare_local(r, f->name, f->at, LocalParameter, (Kind){.nature = Unclear});
    }
    r->item->vague |= r->c->errors > errors;
}

static void resolve_train(Resolver *r, const Item *it) {
    r->train = true;
    resolve_params(r, &it->params);
    Local *step =
        declare_local(r, name(r->c, "step"), it->name_at, LocalInput, (Kind){.nature = Tensorial});
    step->read = true;
    NameScope inner = {.up = r->scope};
    r->scope = &inner;
    resolve_body(r, &it->body);
    r->scope = inner.up;
    unused_values(r);
}

/* ---- exports */

/* The names an entry's own body sees of the model: what is there before anything runs (rule 55). */
static void declare_held(Resolver *r, const Body *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (!s->name || s->broken)
            continue;
        if (s->kind == SParam)
            declare_local(r, s->name, s->name_at, LocalParam, (Kind){.nature = Tensorial});
        if (s->kind == SState)
            declare_local(r, s->name, s->name_at, LocalState, (Kind){.nature = Tensorial});
        if (s->kind == SBlock)
            declare_local(r, s->name, s->name_at, LocalBlock, (Kind){.nature = AnInstance});
        if (s->kind == SLet)
            declare_local(r, s->name, s->name_at, LocalLet, (Kind){.nature = Unclear});
    }
}

static bool type_mentions(const TypeExpr *t, Name n) {
    if (t && t->list && type_mentions(t->list, n))
        return true;
    for (int i = 0; t && i < t->dims.n; i++) {
        const Expr *e = t->dims.at[i].e;
        if (e && e->kind == EName && e->name == n)
            return true;
    }
    return false;
}

static bool has_terminal_or_symbol(const Body *b, Name n) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if ((s->kind == SIn || s->kind == SOut) && (s->name == n || type_mentions(s->type, n)))
            return true;
        for (int k = 0; k < s->nleft; k++)
            if (type_mentions(s->left[k].type, n))
                return true;
    }
    return false;
}

static void resolve_bound(Resolver *r, const Bound *b, const Item *model, const EntryItem *e) {
    if (b->lo)
        resolve_expr(r, b->lo);
    if (b->hi)
        resolve_expr(r, b->hi);
    const Body *body = e->body.given ? &e->body : model ? &model->body : NULL;
    if (!body || r->quiet || has_broken(body) || has_terminal_or_symbol(body, b->name))
        return;
    error_at(r->c, (Span){b->at.src, b->at.from, b->at.from + (int)strlen(b->name)},
             "%s has no dimension and no input `%s`", e->body.given ? e->name : model->name,
             b->name);
}

static void start_body(Resolver *r) {
    r->changes.n = r->locals.n = r->defs.n = 0;
    r->names = r->unnamed = (Map){0};
    r->chain = (Chain){0};
}

/* A body of its own, in the scope of the model's parameters, blocks, params and states. */
static void resolve_entry(Resolver *r, const EntryItem *e, Item *model) {
    for (int i = 0; i < e->nbound; i++)
        resolve_bound(r, &e->bound[i], model, e);
    if (!e->body.given)
        return;
    NameScope held = {.up = r->scope}, own = {.up = &held};
    Module *here = r->m;
    NameScope *outer = r->scope;
    start_body(r);
    r->scope = &held;
    if (model && model->module_in) {
        for (int i = 0; i < model->params.n; i++) {
            const Field *f = &model->params.at[i];
            declare_local(r, f->name, f->at, LocalParameter, kind_of_field(r, f));
        }
        declare_held(r, &model->body);
    }
    r->m = here;
    r->scope = &own;
    resolve_body(r, &e->body);
    outputs(r);
    r->scope = outer;
    unused_values(r);
    diag_body(r->c, e->body.span);
}

static void resolve_export(Resolver *r, const Item *it) {
    Kind k = resolve_expr(r, it->e);
    if (k.nature == AModel) {
        error_at(r->c, it->e->at, "%s still needs its parameters: `%s()`", k.item->name,
                 k.item->name);
        k = (Kind){.nature = ARecipe, .item = k.item};
    } else if (k.nature != ARecipe && k.nature != Unclear)
        error_at(r->c, it->e->at, "`export` takes a model with its parameters");
    Item *model = k.nature == ARecipe && k.item && k.item->kind == IModel ? k.item : NULL;
    if (!model)
        r->quiet = true;
    if (k.nature == ARecipe && !model)
        error_at(r->c, it->e->at, "`export` takes a model, found an op");
    for (int i = 0; i < it->nentry; i++) {
        for (int j = 0; j < i; j++)
            if (it->entry[j].name == it->entry[i].name) {
                error_at(r->c, it->entry[i].at, "two entries are named `%s`", it->entry[i].name);
                note_at(r->c, it->entry[j].at, "the first is here");
                break;
            }
        resolve_entry(r, &it->entry[i], model);
    }
}

static void resolve_let(Resolver *r, const Item *it) {
    resolve_type(r, it->type, false);
    if (it->e)
        resolve_expr(r, it->e);
}

static void resolve_eg(Resolver *r, const Item *it) {
    if (it->e)
        resolve_expr(r, it->e);
}

static bool lost_declarations(const Module *m) {
    for (int i = 0; i < m->syntax->n; i++) {
        const Item *it = m->syntax->item[i];
        if ((it->kind == IUse && !it->used) || it->broken)
            return true;
    }
    return m->syntax->broken;
}

void resolve(Ctx *c, Module *m) {
    static void (*const by_kind[])(Resolver *, const Item *) = {
        [IConfig] = resolve_config, [ILet] = resolve_let,       [IModel] = resolve_model,
        [IOp] = resolve_op,         [IExtern] = resolve_extern, [IGradient] = resolve_gradient,
        [IEg] = resolve_eg,         [ITrain] = resolve_train,   [IExport] = resolve_export,
    };
    bool lost = lost_declarations(m);
    for (int i = 0; i < m->syntax->n; i++) {
        Item *it = m->syntax->item[i];
        if (it->kind == IUse || (!it->name && it->kind != IEg && it->kind != IExport))
            continue;
        NameScope file = {0};
        Resolver r = {
            .c = c, .m = m, .item = it, .scope = &file, .quiet = lost || has_broken(&it->body)};
        int errors = c->errors;
        by_kind[it->kind](&r, it);
        it->broken |= c->errors > errors;
        diag_body(c, it->line);
    }
}
