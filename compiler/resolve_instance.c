/* resolve_instance.c: instances and their names, as far as the text shows them (rules 18 to 22). */
#include "resolve.h"

#include <string.h>

/* ---- what changes from turn to turn */

bool varies(Resolver *r, const Expr *e) {
    if (!e)
        return false;
    if (e->kind == EName) {
        Local *l = find_local(r, e->name);
        return l && l->turns;
    }
    for (int i = 0; i < e->n; i++)
        if (varies(r, e->kid[i]))
            return true;
    for (int i = 0; i < e->narg; i++)
        if (varies(r, e->arg[i].value))
            return true;
    for (int i = 0; i < e->nsub; i++)
        if (varies(r, e->sub[i].a) || varies(r, e->sub[i].b))
            return true;
    return false;
}

static bool path_varies(Resolver *r, const Path *p) {
    for (int i = 0; i < p->part.n; i++)
        if (varies(r, p->part.at[i].index) || varies(r, p->part.at[i].string))
            return true;
    return false;
}

/* ---- instances and their names (rules 18 to 22) */

static bool exclusive(const Branch *a, const Branch *b) {
    for (const Branch *x = a; x; x = x->up)
        for (const Branch *y = b; y; y = y->up)
            if (x->stmt == y->stmt && x->other != y->other)
                return true;
    return false;
}

static const char *text_before_call(Resolver *r, const Expr *applied) {
    if (applied && applied->kind == ECall && applied->kid[0]->kind == ECall)
        return source_text(r->c, applied->kid[0]->at);
    return applied ? source_text(r->c, applied->at) : "…";
}

static void same_in_every_turn(Resolver *r, const Path *p, const char *text, const char *what,
                               const Expr *applied) {
    Ctx *c = r->c;
    error_at(c, p->at, "every turn of this loop names %s `%s`", what, text);
    if (!applied || applied->kind != ECall) {
        help(c, "one a turn: `as %s[%s]`", text, r->loop->stmt->name);
        return;
    }
    Text args = {0};
    text_add(c, &args, "");
    for (int i = 0; i < applied->narg; i++)
        text_add(c, &args, "%s%s", i ? ", " : "", source_text(c, applied->arg[i].at));
    bool second = applied->kid[0]->kind == ECall;
    help(c,
         "one set of weights a turn: `as %s[%s]`; one set for all turns: `block %s = %s` before "
         "the loop, and `%s(%s)`",
         text, r->loop->stmt->name, text, text_before_call(r, applied), text, second ? args.s : "");
}

static bool in_for(const Resolver *r) {
    for (const OuterLoop *l = r->loop; l; l = l->up)
        if (l->stmt->kind == SFor)
            return true;
    return false;
}

/* `what` is "an instance" or "a parameter". */
void name_instance(Resolver *r, const Path *p, const char *what, const Expr *applied) {
    Ctx *c = r->c;
    const char *text = source_text(c, p->at);
    if (!strcmp(text, "_") || r->item->kind == IExport)
        return;
    bool turns = path_varies(r, p);
    if (in_for(r) && !turns) {
        same_in_every_turn(r, p, text, what, applied);
        return;
    }
    Name key = name(c, "%c%s", what[3], text);
    NamedOnce *same = map_get(&r->names, key);
    for (NamedOnce *n = same; n; n = n->next) {
        if (exclusive(n->branch, r->branch) || (turns && n->loop != r->loop))
            continue;
        error_at(c, p->at, "two %ss are named `%s`", strchr(what, ' ') + 1, text);
        note_at(c, n->at, "the first is here");
        return;
    }
    NamedOnce *n = NEW(c, NamedOnce);
    *n = (NamedOnce){same, p->at, r->loop, r->branch};
    map_put(c, &r->names, key, n);
}

/* Does an instance of it hold anything? Known once its text is seen; a recipe that is a parameter
 * counts as nothing. */
static bool body_has_weights(Resolver *r, Item *model, const Body *b);

static bool expr_has_weights(Resolver *r, Item *model, const Expr *e) {
    if (!e)
        return false;
    if (e->kind == EName) {
        Item *it = map_get(&model->module_in->names, e->name);
        return it && it->kind == IModel && it != model && has_weights(r, it);
    }
    for (int i = 0; i < e->n; i++)
        if (expr_has_weights(r, model, e->kid[i]))
            return true;
    for (int i = 0; i < e->narg; i++)
        if (expr_has_weights(r, model, e->arg[i].value))
            return true;
    return false;
}

static bool stmt_has_weights(Resolver *r, Item *model, const Stmt *s) {
    if (s->kind == SParam || s->kind == SState)
        return true;
    return expr_has_weights(r, model, s->e) || body_has_weights(r, model, &s->body) ||
           body_has_weights(r, model, &s->other);
}

static bool body_has_weights(Resolver *r, Item *model, const Body *b) {
    for (int i = 0; i < b->n; i++)
        if (stmt_has_weights(r, model, b->at[i]))
            return true;
    return false;
}

bool has_weights(Resolver *r, Item *model) {
    static const char no[] = "no", yes[] = "yes";
    if (!model || model->kind != IModel || !model->module_in)
        return false;
    const char *known = map_get(&r->c->weighty, model);
    if (known)
        return known == yes;
    map_put(r->c, &r->c->weighty, model,
            (void *)no); /* while it is looked at: models may apply themselves */
    bool any = body_has_weights(r, model, &model->body);
    if (any)
        map_put(r->c, &r->c->weighty, model, (void *)yes);
    return any;
}

/* The value of the statement with the instance in it named. */
static char *with_name(Resolver *r, const Expr *e, const char *path) {
    Ctx *c = r->c;
    Span whole = r->stmt && r->stmt->e ? r->stmt->e->at : e->at;
    if (whole.from == e->at.from && whole.to == e->at.to)
        return format(c, "%s as %s", source_text(c, e->at), path);
    Span before = {whole.src, whole.from, e->at.from}, after = {whole.src, e->at.to, whole.to};
    return format(c, "%.*s(%s as %s)%.*s", before.to - before.from, whole.src->text + before.from,
                  source_text(c, e->at), path, after.to - after.from, whole.src->text + after.from);
}

void unnamed_instance(Resolver *r, const Expr *e, Item *model) {
    Ctx *c = r->c;
    if (!has_weights(r, model) || r->quiet || r->train)
        return;
    if (in_for(r)) {
        error_at(c, e->at, "an instance with weights, in a loop, needs a name with an index");
        help(c, "`%s`",
             with_name(r, e, format(c, "%s[%s]", snake(c, model->name), r->loop->stmt->name)));
        return;
    }
    const NamedOnce *first = map_get(&r->unnamed, model);
    if (first && !exclusive(first->branch, r->branch)) {
        warning_at(c, e->at,
                   "two instances of %s have no name: their weights are told apart by counting",
                   model->name);
        note_at(c, first->at, "the first is here");
        help(c, "`%s`", with_name(r, e, "name"));
    } else if (!first) {
        NamedOnce *n = NEW(c, NamedOnce);
        *n = (NamedOnce){.at = e->at, .branch = r->branch};
        map_put(c, &r->unnamed, model, n);
    }
}

/* ---- `as` */

static const char *sort_of(const Expr *e) {
    static const char *const by_op[] = {
        [OpAdd] = "a sum",       [OpSub] = "a difference",      [OpMul] = "a product",
        [OpDiv] = "a quotient",  [OpFloorDiv] = "a quotient",   [OpMod] = "a remainder",
        [OpPow] = "a power",     [OpMatmul] = "a product",      [OpJoin] = "a joined list",
        [OpEq] = "a comparison", [OpNe] = "a comparison",       [OpLt] = "a comparison",
        [OpLe] = "a comparison", [OpGt] = "a comparison",       [OpGe] = "a comparison",
        [OpAnd] = "a condition", [OpOr] = "a condition",        [OpNot] = "a condition",
        [OpNeg] = "a negation",
    };
    switch (e->kind) {
    case EBinary:
    case EUnary:
        return by_op[e->op];
    case EIf:
        return "a choice";
    case EList:
    case EListFor:
        return "a list";
    case ECall:
        return "no application of a model";
    default:
        return "a value";
    }
}

/* Rule 19: `path` is what follows `as`. */
void not_applied(Resolver *r, const Expr *e, Span as, const Path *path) {
    Ctx *c = r->c;
    error_at(c, as, "`as` names a block, and `%s` is %s", source_text(c, e->at), sort_of(e));
    if (e->kind != EBinary)
        return;
    const Expr *a = e->kid[0], *b = e->kid[1];
    const char *p = source_text(c, path->at);
    if (b->kind == ECall)
        help(c, "to name the block in it: `%s %s (%s as %s)`", source_text(c, a->at),
             op_text(e->op), source_text(c, b->at), p);
    else if (a->kind == ECall)
        help(c, "to name the block in it: `(%s as %s) %s %s`", source_text(c, a->at), p,
             op_text(e->op), source_text(c, b->at));
}

void resolve_path(Resolver *r, const Path *p) {
    for (int i = 0; i < p->part.n; i++) {
        if (p->part.at[i].index)
            resolve_expr(r, p->part.at[i].index);
        if (p->part.at[i].string)
            resolve_expr(r, p->part.at[i].string);
    }
}

Kind resolve_as(Resolver *r, const Expr *e) {
    Kind k = resolve_applied(r, e->kid[0], &e->path);
    resolve_path(r, &e->path);
    if (k.applied || (k.nature == Unclear && e->kid[0]->kind == ECall))
        name_instance(r, &e->path, "an instance", e->kid[0]);
    else if (k.nature != Unclear || e->kid[0]->kind != ECall)
        not_applied(r, e->kid[0], e->op_at, &e->path);
    return k;
}
