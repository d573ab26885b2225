/* resolve_expr.c: expressions, types and index lists. What can be said of an application without
 * shapes is said here. See resolve.c. */
#include "resolve.h"

#include <ctype.h>
#include <string.h>

/* ---- calls */

static bool is_reduction(const Expr *e) {
    static const char *const names[] = {"sum", "prod", "max",    "min",
                                        "any", "all",  "argmax", "argmin"};
    if (e->kid[0]->kind != EName || !among(names, 8, e->kid[0]->name))
        return false;
    for (int i = 0; i < e->narg; i++)
        if (e->arg[i].sep == ':')
            return true;
    return false;
}

static const Expr *without_dots(const Expr *e) {
    return e && e->kind == EPack ? e->kid[0] : e;
}

/* `k < e` and `k <= e` of a name not yet known introduce it; anything else is a condition. */
static void resolve_binder(Resolver *r, const Expr *e) {
    e = without_dots(e);
    bool bound = e && e->kind == EBinary && (e->op == OpLt || e->op == OpLe) &&
                 e->kid[0]->kind == EName && !find_local(r, e->kid[0]->name);
    if (!bound) {
        if (e)
            resolve_expr(r, e);
        return;
    }
    resolve_expr(r, e->kid[1]);
    declare_local(r, e->kid[0]->name, e->kid[0]->at, LocalIndex, (Kind){.nature = Constant});
}

/* sum(k < n, c: e): rule 66 */
static Kind resolve_reduction(Resolver *r, const Expr *e) {
    NameScope inner = {.up = r->scope};
    r->scope = &inner;
    for (int i = 0; i < e->narg; i++) {
        const Arg *a = &e->arg[i];
        resolve_binder(r, a->sep ? a->key : a->value);
        if (a->sep && a->value)
            resolve_expr(r, without_dots(a->value));
    }
    r->scope = inner.up;
    return (Kind){.nature = Somevalue};
}

static Kind join_kinds(Kind a, Kind b) {
    if (a.nature == Tensorial || b.nature == Tensorial)
        return (Kind){.nature = Tensorial};
    if (a.nature == Constant && b.nature == Constant)
        return (Kind){.nature = Constant};
    return (Kind){.nature = Somevalue};
}

static bool is_given(const Expr *e) {
    return e->kid[0]->kind == EName && !strcmp(e->kid[0]->name, "given");
}

/* given(x) asks whether there is an x: that reads no value. */
static Kind resolve_given(Resolver *r, const Expr *e) {
    for (int i = 0; i < e->narg; i++)
        if (e->arg[i].value && e->arg[i].value->kind == EName) {
            Local *l = find_local(r, e->arg[i].value->name);
            if (l)
                l->read = true;
            else
                unknown_name(r, e->arg[i].value->name, e->arg[i].at, false);
        }
    return (Kind){.nature = Constant};
}

/* Named arguments of row makers such as rearrange(x, "…", h = 8) are names of the pattern. */
static Kind resolve_args(Resolver *r, const Expr *e, bool *positional) {
    Kind all = {.nature = Constant};
    for (int i = 0; i < e->narg; i++) {
        const Arg *a = &e->arg[i];
        if (!a->value)
            continue;
        if (a->sep && a->key && a->key->kind != EName && !r->quiet)
            error_at(r->c, a->key->at, "on the left of `%c` stands a name", a->sep);
        if (!a->sep)
            *positional = true;
        all = join_kinds(all, resolve_expr(r, without_dots(a->value)));
    }
    return all;
}

static bool first_tensor_named(const Expr *e, const Item *op) {
    if (!op || !op->params.n)
        return true;
    for (int i = 0; i < e->narg; i++)
        if (e->arg[i].name == op->params.at[0].name)
            return true;
    return false;
}

static bool op_takes_tensor(const Item *op) {
    if (!op || !op->params.n)
        return false;
    const Field *f = &op->params.at[0];
    return f->dims.given || !f->type || f->type->dims.given;
}

static Kind resolve_call(Resolver *r, const Expr *e, const Path *as) {
    if (is_reduction(e))
        return resolve_reduction(r, e);
    if (is_given(e))
        return resolve_given(r, e);
    Kind f = resolve_expr(r, e->kid[0]);
    bool positional = false;
    Kind args = resolve_args(r, e, &positional);
    switch (f.nature) {
    case AModel:
        return (Kind){.nature = ARecipe, .item = f.item};
    case AConfig:
        return (Kind){.nature = Constant, .item = f.item};
    case ARecipe:
        if (!as && f.item && f.item->kind == IModel)
            unnamed_instance(r, e, f.item);
        return (Kind){.nature = f.item && f.item->kind != IModel ? Somevalue : Tensorial,
                      .item = f.item,
                      .applied = true};
    case AnInstance:
        return (Kind){.nature = Tensorial, .item = f.item, .applied = true};
    case AnOp:
        if (op_takes_tensor(f.item) && !positional && !first_tensor_named(e, f.item))
            return (Kind){.nature = ARecipe, .item = f.item};
        if (!f.item && !positional)
            return (Kind){.nature = Unclear};
        if (!f.item && args.nature != Tensorial)
            return (Kind){.nature = args.nature == Constant ? Constant : Somevalue};
        return args.nature == Constant && op_takes_tensor(f.item) ? (Kind){.nature = Somevalue}
                                                                  : args;
    case Tensorial:
    case Constant:
        if (f.applied || e->kid[0]->kind == EInt || e->kid[0]->kind == EFloat ||
            e->kid[0]->kind == EStr)
            error_at(r->c, e->at, "`%s` is a value, and cannot be applied",
                     source_text(r->c, e->kid[0]->at));
        return (Kind){.nature = Unclear};
    default:
        return (Kind){.nature = Unclear};
    }
}

/* ---- subscripts, attributes */

static bool starts_at_run_time(Kind k) {
    return k.nature == Tensorial;
}

static void slice_at_run_time(Resolver *r, const Sub *s) {
    Ctx *c = r->c;
    error_at(c, s->at, "a slice that starts at run time needs a length known when compiling");
    const Expr *b = s->b;
    const char *a = source_text(c, s->a->at);
    if (b && b->kind == EBinary && b->op == OpAdd && !strcmp(source_text(c, b->kid[0]->at), a)) {
        const char *n = source_text(c, b->kid[1]->at);
        help(c, "`%s +: %s`: from %s, %s long", a, n, a, n);
    } else
        help(c, "`%s +: n`: from %s, n long", a, a);
}

static void resolve_subs(Resolver *r, const Expr *e) {
    for (int i = 0; i < e->nsub; i++) {
        const Sub *s = &e->sub[i];
        Kind a = s->a ? resolve_expr(r, without_dots(s->a)) : (Kind){.nature = Constant};
        if (s->b)
            resolve_expr(r, s->b);
        if (s->s)
            resolve_expr(r, s->s);
        if (s->kind == SubSlice && starts_at_run_time(a) && !r->indexed)
            slice_at_run_time(r, s);
    }
}

static Kind resolve_index(Resolver *r, const Expr *e) {
    Kind x = resolve_expr(r, e->kid[0]);
    resolve_subs(r, e);
    if (x.nature == AnInstance)
        return x;
    if (x.nature == Tensorial || x.nature == Constant)
        return (Kind){.nature = x.nature};
    return (Kind){.nature = Unclear};
}

static Kind resolve_attribute(Resolver *r, const Expr *e) {
    Kind x = resolve_expr(r, e->kid[0]);
    if (x.nature == AModule) {
        const Module *m = x.item->used;
        Item *it = m ? map_get(&m->names, e->name) : NULL;
        if (m && (!it || it->module_in != m))
            error_at(r->c, e->op_at, "%s declares no `%s`", m->src->path, e->name);
        return it && it->module_in == m ? of_item(r, it, e->op_at) : (Kind){.nature = Unclear};
    }
    if (!strcmp(e->name, "shape"))
        return (Kind){.nature = Constant};
    if (!strcmp(e->name, "T") && x.nature == Tensorial)
        return (Kind){.nature = Tensorial};
    return (Kind){.nature = Unclear};
}

/* ---- expressions */

static Kind resolve_list_for(Resolver *r, const Expr *e) {
    resolve_expr(r, e->kid[1]);
    if (e->kid[2])
        resolve_expr(r, e->kid[2]);
    NameScope inner = {.up = r->scope};
    r->scope = &inner;
    Kind each = {.nature = Unclear};
    Local *a = e->name ? declare_local(r, e->name, e->at, LocalTurn, each) : NULL;
    Local *b = e->name2 ? declare_local(r, e->name2, e->at, LocalTurn, each) : NULL;
    if (a)
        a->turns = true;
    if (b)
        b->turns = true;
    if (e->kid[3])
        resolve_expr(r, e->kid[3]);
    resolve_expr(r, e->kid[0]);
    r->scope = inner.up;
    return each;
}

static Kind resolve_kids(Resolver *r, const Expr *e) {
    Kind k = {.nature = Constant};
    for (int i = 0; i < e->n; i++)
        k = join_kinds(k, resolve_expr(r, without_dots(e->kid[i])));
    return k;
}

Kind resolve_applied(Resolver *r, const Expr *e, const Path *as) {
    switch (e->kind) {
    case EInt:
    case EFloat:
    case EBool:
    case ENone:
        return (Kind){.nature = Constant};
    case EStr:
        resolve_kids(r, e);
        return (Kind){.nature = Constant};
    case EName:
        return resolve_name(r, e, false);
    case EList:
    case EGroup: {
        Kind k = resolve_kids(r, e);
        return (Kind){.nature = k.nature == Tensorial  ? Unclear
                                : k.nature == Constant ? Constant
                                                       : Unclear};
    }
    case EListFor:
        return resolve_list_for(r, e);
    case EUnary:
    case EBinary:
        return resolve_kids(r, e);
    case EIf: {
        resolve_expr(r, e->kid[0]);
        Kind a = resolve_expr(r, e->kid[1]), b = resolve_expr(r, e->kid[2]);
        return a.nature == Tensorial && b.nature == Tensorial ? (Kind){.nature = Tensorial}
                                                              : (Kind){.nature = Unclear};
    }
    case ECall:
        return resolve_call(r, e, as);
    case EIndex:
        return resolve_index(r, e);
    case EAttr:
        return resolve_attribute(r, e);
    case EAs:
        return resolve_as(r, e);
    case EPack:
        return resolve_expr(r, e->kid[0]);
    }
    return (Kind){.nature = Unclear};
}

Kind resolve_expr(Resolver *r, const Expr *e) {
    return resolve_applied(r, e, NULL);
}

/* ---- types */

static bool is_symbol(Name n) {
    return isupper((unsigned char)n[0]) != 0;
}

static void resolve_in_dims(Resolver *r, const Expr *e) {
    if (e->kind == EName) {
        resolve_name(r, e, true);
        return;
    }
    if (e->kind != EBinary && e->kind != EUnary) {
        resolve_expr(r, e);
        return;
    }
    for (int i = 0; i < e->n; i++)
        resolve_in_dims(r, e->kid[i]);
}

/* Rule 36. */
void resolve_dims(Resolver *r, const DimList *d, bool introduces) {
    for (int i = 0; i < d->n; i++) {
        const Expr *e = d->at[i].e;
        if (!e)
            continue;
        bool fresh = introduces && e->kind == EName && is_symbol(e->name) &&
                     !find_local(r, e->name) && !find_item(r, e->name);
        if (fresh)
            declare_local(r, e->name, e->at, LocalSymbol, (Kind){.nature = Constant});
        else
            resolve_in_dims(r, e);
    }
}

void resolve_type(Resolver *r, const TypeExpr *t, bool introduces) {
    if (!t)
        return;
    if (t->list)
        resolve_type(r, t->list, introduces);
    if (t->count && !(t->count->kind == EName && !strcmp(t->count->name, "_")))
        resolve_expr(r, t->count);
    if (t->name)
        resolve_type_name(r, t->name, t->at);
    resolve_dims(r, &t->dims, introduces);
}

/* Index lists: x[n, (g, c), h..., y < e, t?]. An index brings its size, the same name with a
 * capital (rule 63). */
static void introduce_index(Resolver *r, const Expr *e) {
    Ctx *c = r->c;
    if (find_local(r, e->name) || !strcmp(e->name, "_"))
        return;
    declare_local(r, e->name, e->at, LocalIndex, (Kind){.nature = Somevalue});
    char *size = format(c, "%s", e->name);
    size[0] = (char)toupper((unsigned char)size[0]);
    Name n = intern(c, size, strlen(size));
    if (n != e->name && !find_local(r, n))
        declare_local(r, n, e->at, LocalSymbol, (Kind){.nature = Constant});
}

static void introduce_index_of(Resolver *r, const Expr *e) {
    e = without_dots(e);
    if (e->kind == EName)
        introduce_index(r, e);
    else if (e->kind == EGroup)
        for (int i = 0; i < e->n; i++)
            introduce_index_of(r, e->kid[i]);
    else if (e->kind == EBinary && e->op == OpLt && e->kid[0]->kind == EName)
        introduce_index(r, e->kid[0]);
}

void introduce_indices(Resolver *r, const DimList *d) {
    for (int i = 0; i < d->n; i++)
        if (d->at[i].e)
            introduce_index_of(r, d->at[i].e);
}

void resolve_index_list(Resolver *r, const DimList *d) {
    for (int i = 0; i < d->n; i++)
        if (d->at[i].e)
            resolve_expr(r, d->at[i].e->kind == EPack ? d->at[i].e->kid[0] : d->at[i].e);
}
