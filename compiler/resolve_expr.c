/* resolve_expr.c: names in expressions, types and paths.
 *
 * Scopes of a body, and for each name whether it has a value where it stands; what can be said of applications and their
 * names without shapes. See resolve.h. */
#include "resolve.h"

#include <ctype.h>
#include <string.h>

/* ---- names ---------------------------------------------------------------------------------------- */

/* Functions of the compiler itself. What `ops` declares is not here. */
static const char *const builtins[] = {
    "given", "len", "reverse", "range", "int", "float", "bool", "str", "inside", "grad", "shape",
    "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64",
    "sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "mean", "amax", "amin", "log", "exp", "sqrt",
    "zeros", "ones", "constant", "normal", "uniform", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal",
    "uniform_fan_in", "orthogonal", "identity", "truncated_normal", "sinusoid", "randn", "rand", "bernoulli", "randint", "flatten", "pad", "resize",
};
static const char *const constants[] = { "pi", "inf", "nan", "training" };
static const char *const types[] = {
    "float", "int", "bool", "str", "any", "dtype", "block", "model",
    "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64",
};
enum { Builtins = sizeof builtins / sizeof *builtins, Constants = sizeof constants / sizeof *constants, Types = sizeof types / sizeof *types };

static bool among(const char *const *list, int n, const char *s)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i], s)) return true;
    return false;
}

Local *find_local(const Resolver *r, Name n)
{
    for (const Scope *s = r->scope; s; s = s->up) {
        Local *l = map_get(&s->names, n);
        if (l) return l;
    }
    return NULL;
}

Item *find_item(const Resolver *r, Name n) { return map_get(&r->m->names, n); }

static void check_hiding(Resolver *r, Name n, Span at)
{
    Local *outer = find_local(r, n);
    Item *it = find_item(r, n);
    if (!outer && (!it || it->module_in != r->m)) return;
    warning_at(r->c, at, "`%s` hides another of that name", n);
    note_at(r->c, outer ? outer->at : it->name_at, "this one");
}

Local *declare_local(Resolver *r, Name n, Span at, LocalKind k, Kind is)
{
    Local *l = NEW(r->c, Local), *first = map_get(&r->scope->names, n);
    *l = (Local){ .name = n, .at = at, .kind = k, .is = is };
    l->fact.given = k == LocalOutput || k == LocalValue ? NotGiven : IsGiven;
    if (n[0] == '_' && !n[1]) return l;
    if (first) {
        error_at(r->c, at, "`%s` is declared twice", n);
        note_at(r->c, first->at, "the first is here");
    } else if (k != LocalSymbol && k != LocalIndex && !r->m->src->library) check_hiding(r, n, at);
    if (k != LocalSymbol && k != LocalIndex && isupper((unsigned char)n[0]))
        error_at(r->c, at, "`%s` begins with a capital, as only models, configs, `train` blocks and dimension symbols do", n);
    map_put(r->c, &r->scope->names, n, l);
    push(r->c, &r->locals, l);
    return l;
}

/* ---- suggestions ---------------------------------------------------------------------------------- */

typedef struct Nearest { Name asked; const char *best; int distance; } Nearest;

static void consider(Nearest *n, const char *candidate)
{
    int d = edit_distance(n->asked, candidate);
    if (d < n->distance && d > 0) n->distance = d, n->best = candidate;
}

static const char *nearest_name(const Resolver *r, Name asked)
{
    size_t len = strlen(asked);
    Nearest n = { asked, NULL, len < 3 ? 1 : len < 6 ? 2 : 3 };
    for (int i = 0; i < r->locals.n; i++)
        if (find_local(r, r->locals.at[i]->name)) consider(&n, r->locals.at[i]->name);
    for (int i = 0; i < r->m->names.cap; i++)            /* slot order cannot show: ties go to the smaller text */
        if (r->m->names.slot[i].key) {
            const char *s = r->m->names.slot[i].key;
            bool tie = n.best && edit_distance(asked, s) == n.distance && strcmp(s, n.best) < 0 && !find_local(r, n.best);
            if (tie) n.best = s;
            consider(&n, s);
        }
    for (int i = 0; i < Builtins; i++) consider(&n, builtins[i]);
    return n.best;
}

void unknown_name(Resolver *r, Name n, Span at, bool in_dims)
{
    enum { Shown = 50 };
    if (r->quiet) return;
    const char *near = r->c->errors < Shown ? nearest_name(r, n) : NULL;
    bool symbol = isupper((unsigned char)n[0]);
    if (in_dims && symbol) {
        error_at(r->c, at, "dimension `%s` is not known here: only `in` and a typed assignment introduce one", n);
        return;
    }
    error_at(r->c, at, "`%s` is not known here", n);
    const char *more = in_dims ? " Dimension symbols begin with a capital" : "";
    if (near) help(r->c, "did you mean `%s`?%s", near, more);
    else if (in_dims) help(r->c, "a number, a parameter or a size stands here.%s", more);
}

/* ---- values on paths ------------------------------------------------------------------------------ */

Reach *reach_join(Ctx *c, Reach *a, Reach *b)
{
    if (!a || a == b) return b;
    if (!b) return a;
    Reach *both = NEW(c, Reach);
    bool larger = a->n >= b->n;         /* the larger in front: mark_used recurses into the smaller only */
    *both = (Reach){ .a = larger ? a : b, .b = larger ? b : a, .n = a->n + b->n < a->n ? a->n : a->n + b->n };
    if (both->n > 1 << 30) both->n = 1 << 30;
    return both;
}

void mark_used(Reach *reach)
{
    for (; reach && !reach->used; reach = reach->a) {
        reach->used = true;
        if (reach->def) reach->def->used = true;
        if (reach->b) mark_used(reach->b);
    }
}

void set_fact(Resolver *r, Local *l, Fact f)
{
    push(r->c, &r->changes, ((Change){ l, l->fact }));
    l->fact = f;
}

/* Rule 9. */
static void read_local(Resolver *r, Local *l, Span at)
{
    Ctx *c = r->c;
    l->read = true;
    l->last_read = ++r->reads;
    mark_used(l->fact.reach);
    if (l->fact.given == IsGiven || r->quiet) return;
    const Stmt *s = l->fact.branch;
    if (l->fact.given == NotGiven) error_at(c, at, "`%s` has no value here", l->name);
    else if (s->kind == SIf) {
        const char *cond = source_text(c, s->e->at);
        bool simple = s->e->kind == EName || s->e->kind == ECall || s->e->kind == EAttr;
        error_at(c, at, !l->fact.other ? "`%s` has a value only if `%s`" : simple ? "`%s` has a value only if `not %s`" :
                 "`%s` has a value only if `not (%s)`", l->name, cond);
    } else error_at(c, at, "`%s` has a value only if this loop has a turn", l->name);
    if (l->fact.given == PerhapsGiven) note_at(c, l->fact.where, "given here");
    Fact f = l->fact;
    f.given = IsGiven;                  /* once is enough */
    set_fact(r, l, f);
}

/* A top-level `let`: of which model it is a recipe shows in its text. */
static Kind kind_of_let(const Item *it)
{
    const Expr *e = it->e;
    if (!e || e->kind != ECall || e->kid[0]->kind != EName) return (Kind){ .nature = Unknown };
    Item *f = map_get(&it->module_in->names, e->kid[0]->name);
    return f && f->kind == IModel ? (Kind){ .nature = ARecipe, .item = f } : (Kind){ .nature = Unknown };
}

static Kind of_item(Resolver *r, Item *it, Span at)
{
    Item *other = map_get(&r->m->twice, it->name);
    if (other && it->module_in != r->m) {
        error_at(r->c, at, "`%s` comes from two files", it->name);
        note_at(r->c, it->name_at, "one");
        note_at(r->c, other->name_at, "the other");
        help(r->c, "`use … as name` qualifies, `use …: A, B` selects");
        return (Kind){ .nature = Unknown };
    }
    switch (it->kind) {
    case IModel: return (Kind){ .nature = AModel, .item = it };
    case IOp: case IExtern: return (Kind){ .nature = AnOp, .item = it };
    case IConfig: return (Kind){ .nature = AConfig, .item = it };
    case IUse: return (Kind){ .nature = AModule, .item = it };
    case ILet: return kind_of_let(it);
    default: return (Kind){ .nature = Unknown };
    }
}

static Kind resolve_name(Resolver *r, const Expr *e, bool in_dims)
{
    Local *l = find_local(r, e->name);
    if (l) {
        read_local(r, l, e->at);
        return l->is;
    }
    if (e->name[0] == '_' && !e->name[1]) {
        if (!in_dims && !r->quiet) error_at(r->c, e->at, "`_` is no name, and has no value");
        return (Kind){ .nature = Unknown };
    }
    Item *it = find_item(r, e->name);
    if (it) return of_item(r, it, e->at);
    if (among(constants, Constants, e->name)) return (Kind){ .nature = Constant };
    if (rowmaker_named(e->name) || fn_named(r->c, e->name) || among(builtins, Builtins, e->name))
        return (Kind){ .nature = AnOp };
    unknown_name(r, e->name, e->at, in_dims);
    return (Kind){ .nature = Unknown };
}

/* ---- what changes from turn to turn --------------------------------------------------------------- */

bool varies(Resolver *r, const Expr *e)
{
    if (!e) return false;
    if (e->kind == EName) {
        Local *l = find_local(r, e->name);
        return l && l->turns;
    }
    for (int i = 0; i < e->n; i++) if (varies(r, e->kid[i])) return true;
    for (int i = 0; i < e->narg; i++) if (varies(r, e->arg[i].value)) return true;
    for (int i = 0; i < e->nsub; i++)
        if (varies(r, e->sub[i].a) || varies(r, e->sub[i].b)) return true;
    return false;
}

static bool path_varies(Resolver *r, const Path *p)
{
    for (int i = 0; i < p->part.n; i++)
        if (varies(r, p->part.at[i].index) || varies(r, p->part.at[i].string)) return true;
    return false;
}

/* ---- instances and their names (rules 18 to 22) --------------------------------------------------- */

static bool exclusive(const Branch *a, const Branch *b)
{
    for (const Branch *x = a; x; x = x->up)
        for (const Branch *y = b; y; y = y->up)
            if (x->stmt == y->stmt && x->other != y->other) return true;
    return false;
}

static const char *text_before_call(Resolver *r, const Expr *applied)
{
    if (applied && applied->kind == ECall && applied->kid[0]->kind == ECall) return source_text(r->c, applied->kid[0]->at);
    return applied ? source_text(r->c, applied->at) : "…";
}

static void same_in_every_turn(Resolver *r, const Path *p, const char *text, const char *what, const Expr *applied)
{
    Ctx *c = r->c;
    error_at(c, p->at, "every turn of this loop names %s `%s`", what, text);
    if (!applied || applied->kind != ECall) {
        help(c, "one a turn: `as %s[%s]`", text, r->loop->stmt->name);
        return;
    }
    Text args = { 0 };
    text_add(c, &args, "");
    for (int i = 0; i < applied->narg; i++) text_add(c, &args, "%s%s", i ? ", " : "", source_text(c, applied->arg[i].at));
    bool second = applied->kid[0]->kind == ECall;
    help(c, "one set of weights a turn: `as %s[%s]`; one set for all turns: `block %s = %s` before the loop, and `%s(%s)`",
         text, r->loop->stmt->name, text, text_before_call(r, applied), text, second ? args.s : "");
}

static bool in_for(const Resolver *r)
{
    for (const Loop *l = r->loop; l; l = l->up)
        if (l->stmt->kind == SFor) return true;
    return false;
}

/* `what` is "an instance" or "a parameter". */
void name_instance(Resolver *r, const Path *p, const char *what, const Expr *applied)
{
    Ctx *c = r->c;
    const char *text = source_text(c, p->at);
    if (!strcmp(text, "_") || r->item->kind == IExport) return;
    bool turns = path_varies(r, p);
    if (in_for(r) && !turns) {
        same_in_every_turn(r, p, text, what, applied);
        return;
    }
    Name key = name(c, "%c%s", what[3], text);
    Named *same = map_get(&r->names, key);
    for (Named *n = same; n; n = n->next) {
        if (exclusive(n->branch, r->branch) || (turns && n->loop != r->loop)) continue;
        error_at(c, p->at, "two %ss are named `%s`", strchr(what, ' ') + 1, text);
        note_at(c, n->at, "the first is here");
        return;
    }
    Named *n = NEW(c, Named);
    *n = (Named){ same, p->at, r->loop, r->branch };
    map_put(c, &r->names, key, n);
}

/* Does an instance of it hold anything? Known once its text is seen; a recipe that is a parameter counts as nothing. */
static bool body_has_weights(Resolver *r, Item *model, const Body *b);

static bool expr_has_weights(Resolver *r, Item *model, const Expr *e)
{
    if (!e) return false;
    if (e->kind == EName) {
        Item *it = map_get(&model->module_in->names, e->name);
        return it && it->kind == IModel && it != model && has_weights(r, it);
    }
    for (int i = 0; i < e->n; i++) if (expr_has_weights(r, model, e->kid[i])) return true;
    for (int i = 0; i < e->narg; i++) if (expr_has_weights(r, model, e->arg[i].value)) return true;
    return false;
}

static bool stmt_has_weights(Resolver *r, Item *model, const Stmt *s)
{
    if (s->kind == SParam || s->kind == SState) return true;
    return expr_has_weights(r, model, s->e) || body_has_weights(r, model, &s->body) || body_has_weights(r, model, &s->other);
}

static bool body_has_weights(Resolver *r, Item *model, const Body *b)
{
    for (int i = 0; i < b->n; i++)
        if (stmt_has_weights(r, model, b->at[i])) return true;
    return false;
}

bool has_weights(Resolver *r, Item *model)
{
    static const char no[] = "no", yes[] = "yes";
    if (!model || model->kind != IModel || !model->module_in) return false;
    const char *known = map_get(&r->c->weighty, model);
    if (known) return known == yes;
    map_put(r->c, &r->c->weighty, model, (void *)no);    /* while it is looked at: models may apply themselves */
    bool any = body_has_weights(r, model, &model->body);
    if (any) map_put(r->c, &r->c->weighty, model, (void *)yes);
    return any;
}

static char *snake(Ctx *c, Name n)
{
    Text t = { 0 };
    text_add(c, &t, "");
    for (int i = 0; n[i]; i++)
        text_add(c, &t, "%s%c", i && isupper((unsigned char)n[i]) && !isupper((unsigned char)n[i - 1]) ? "_" : "", tolower((unsigned char)n[i]));
    return t.s;
}

/* The value of the statement with the instance in it named. */
static char *with_name(Resolver *r, const Expr *e, const char *path)
{
    Ctx *c = r->c;
    Span whole = r->stmt && r->stmt->e ? r->stmt->e->at : e->at;
    if (whole.from == e->at.from && whole.to == e->at.to) return format(c, "%s as %s", source_text(c, e->at), path);
    Span before = { whole.src, whole.from, e->at.from }, after = { whole.src, e->at.to, whole.to };
    return format(c, "%.*s(%s as %s)%.*s", before.to - before.from, whole.src->text + before.from, source_text(c, e->at), path,
                  after.to - after.from, whole.src->text + after.from);
}

void unnamed_instance(Resolver *r, const Expr *e, Item *model)
{
    Ctx *c = r->c;
    if (!has_weights(r, model) || r->quiet || r->train) return;
    if (in_for(r)) {
        error_at(c, e->at, "an instance with weights, in a loop, needs a name with an index");
        help(c, "`%s`", with_name(r, e, format(c, "%s[%s]", snake(c, model->name), r->loop->stmt->name)));
        return;
    }
    const Named *first = map_get(&r->unnamed, model);
    if (first && !exclusive(first->branch, r->branch)) {
        warning_at(c, e->at, "two instances of %s have no name: their weights are told apart by counting", model->name);
        note_at(c, first->at, "the first is here");
        help(c, "`%s`", with_name(r, e, "name"));
    } else if (!first) {
        Named *n = NEW(c, Named);
        *n = (Named){ .at = e->at, .branch = r->branch };
        map_put(c, &r->unnamed, model, n);
    }
}

/* ---- `as` ----------------------------------------------------------------------------------------- */

static const char *sort_of(const Expr *e)
{
    static const char *const by_op[] = {
        [OpAdd] = "a sum", [OpSub] = "a difference", [OpMul] = "a product", [OpMatmul] = "a product", [OpDiv] = "a quotient",
        [OpFloorDiv] = "a quotient", [OpMod] = "a remainder", [OpPow] = "a power", [OpJoin] = "a joined list",
        [OpEq] = "a comparison", [OpNe] = "a comparison", [OpLt] = "a comparison", [OpLe] = "a comparison",
        [OpGt] = "a comparison", [OpGe] = "a comparison", [OpAnd] = "a condition", [OpOr] = "a condition",
        [OpNeg] = "a negation", [OpNot] = "a condition",
    };
    switch (e->kind) {
    case EBinary: case EUnary: return by_op[e->op];
    case EIf:     return "a choice";
    case EList: case EListFor: return "a list";
    case ECall:   return "no application of a model";
    default:      return "a value";
    }
}

/* Rule 19: `path` is what follows `as`. */
void not_applied(Resolver *r, const Expr *e, Span as, const Path *path)
{
    Ctx *c = r->c;
    error_at(c, as, "`as` names a block, and `%s` is %s", source_text(c, e->at), sort_of(e));
    if (e->kind != EBinary) return;
    const Expr *a = e->kid[0], *b = e->kid[1];
    const char *p = source_text(c, path->at);
    if (b->kind == ECall)
        help(c, "to name the block in it: `%s %s (%s as %s)`", source_text(c, a->at), op_text(e->op), source_text(c, b->at), p);
    else if (a->kind == ECall)
        help(c, "to name the block in it: `(%s as %s) %s %s`", source_text(c, a->at), p, op_text(e->op), source_text(c, b->at));
}

void resolve_path(Resolver *r, const Path *p)
{
    for (int i = 0; i < p->part.n; i++) {
        if (p->part.at[i].index) resolve_expr(r, p->part.at[i].index);
        if (p->part.at[i].string) resolve_expr(r, p->part.at[i].string);
    }
}

static Kind resolve_as(Resolver *r, const Expr *e)
{
    Kind k = resolve_applied(r, e->kid[0], &e->path);
    resolve_path(r, &e->path);
    if (k.applied || (k.nature == Unknown && e->kid[0]->kind == ECall)) name_instance(r, &e->path, "an instance", e->kid[0]);
    else if (k.nature != Unknown || e->kid[0]->kind != ECall) not_applied(r, e->kid[0], e->op_at, &e->path);
    return k;
}

/* ---- calls ---------------------------------------------------------------------------------------- */

static bool is_reduction(const Expr *e)
{
    static const char *const names[] = { "sum", "prod", "max", "min", "any", "all", "argmax", "argmin" };
    if (e->kid[0]->kind != EName || !among(names, 8, e->kid[0]->name)) return false;
    for (int i = 0; i < e->narg; i++)
        if (e->arg[i].sep == ':') return true;
    return false;
}

static const Expr *unpacked(const Expr *e) { return e && e->kind == EPack ? e->kid[0] : e; }

/* `k < e` and `k <= e` of a name not yet known introduce it; anything else is a condition. */
static void resolve_binder(Resolver *r, const Expr *e)
{
    e = unpacked(e);
    bool bound = e && e->kind == EBinary && (e->op == OpLt || e->op == OpLe) && e->kid[0]->kind == EName && !find_local(r, e->kid[0]->name);
    if (!bound) { if (e) resolve_expr(r, e); return; }
    resolve_expr(r, e->kid[1]);
    declare_local(r, e->kid[0]->name, e->kid[0]->at, LocalIndex, (Kind){ .nature = Constant });
}

/* sum(k < n, c: e): rule 66 */
static Kind resolve_reduction(Resolver *r, const Expr *e)
{
    Scope inner = { .up = r->scope };
    r->scope = &inner;
    for (int i = 0; i < e->narg; i++) {
        const Arg *a = &e->arg[i];
        resolve_binder(r, a->sep ? a->key : a->value);
        if (a->sep && a->value) resolve_expr(r, unpacked(a->value));
    }
    r->scope = inner.up;
    return (Kind){ .nature = Somevalue };
}

static Kind join_kinds(Kind a, Kind b)
{
    if (a.nature == Tensorial || b.nature == Tensorial) return (Kind){ .nature = Tensorial };
    if (a.nature == Constant && b.nature == Constant) return (Kind){ .nature = Constant };
    return (Kind){ .nature = Somevalue };
}

static bool is_given(const Expr *e) { return e->kid[0]->kind == EName && !strcmp(e->kid[0]->name, "given"); }

/* given(x) asks whether there is an x: that reads no value. */
static Kind resolve_given(Resolver *r, const Expr *e)
{
    for (int i = 0; i < e->narg; i++)
        if (e->arg[i].value && e->arg[i].value->kind == EName) {
            Local *l = find_local(r, e->arg[i].value->name);
            if (l) l->read = true;
            else unknown_name(r, e->arg[i].value->name, e->arg[i].at, false);
        }
    return (Kind){ .nature = Constant };
}

/* Named arguments of row makers such as rearrange(x, "…", h = 8) are names of the pattern. */
static Kind resolve_args(Resolver *r, const Expr *e, bool *positional)
{
    Kind all = { .nature = Constant };
    for (int i = 0; i < e->narg; i++) {
        const Arg *a = &e->arg[i];
        if (!a->value) continue;
        if (a->sep && a->key && a->key->kind != EName && !r->quiet)
            error_at(r->c, a->key->at, "on the left of `%c` stands a name", a->sep);
        if (!a->sep) *positional = true;
        all = join_kinds(all, resolve_expr(r, unpacked(a->value)));
    }
    return all;
}

static bool first_tensor_named(const Expr *e, const Item *op)
{
    if (!op || !op->params.n) return true;
    for (int i = 0; i < e->narg; i++)
        if (e->arg[i].name == op->params.at[0].name) return true;
    return false;
}

static bool takes_tensor(const Item *op)
{
    if (!op || !op->params.n) return false;
    const Field *f = &op->params.at[0];
    return f->dims.given || !f->type || f->type->dims.given;
}

static Kind resolve_call(Resolver *r, const Expr *e, const Path *as)
{
    if (is_reduction(e)) return resolve_reduction(r, e);
    if (is_given(e)) return resolve_given(r, e);
    Kind f = resolve_expr(r, e->kid[0]);
    bool positional = false;
    Kind args = resolve_args(r, e, &positional);
    switch (f.nature) {
    case AModel:  return (Kind){ .nature = ARecipe, .item = f.item };
    case AConfig: return (Kind){ .nature = Constant, .item = f.item };
    case ARecipe:
        if (!as && f.item && f.item->kind == IModel) unnamed_instance(r, e, f.item);
        return (Kind){ .nature = f.item && f.item->kind != IModel ? Somevalue : Tensorial, .item = f.item, .applied = true, .fresh = true };
    case AnInstance: return (Kind){ .nature = Tensorial, .item = f.item, .applied = true };
    case AnOp:
        if (takes_tensor(f.item) && !positional && !first_tensor_named(e, f.item)) return (Kind){ .nature = ARecipe, .item = f.item };
        if (!f.item && !positional) return (Kind){ .nature = Unknown };
        if (!f.item && args.nature != Tensorial) return (Kind){ .nature = args.nature == Constant ? Constant : Somevalue };
        return args.nature == Constant && takes_tensor(f.item) ? (Kind){ .nature = Somevalue } : args;
    case Tensorial: case Constant:
        if (f.applied || e->kid[0]->kind == EInt || e->kid[0]->kind == EFloat || e->kid[0]->kind == EStr)
            error_at(r->c, e->at, "`%s` is a value, and cannot be applied", source_text(r->c, e->kid[0]->at));
        return (Kind){ .nature = Unknown };
    default: return (Kind){ .nature = Unknown };
    }
}

/* ---- subscripts, attributes ----------------------------------------------------------------------- */

static bool starts_at_run_time(Kind k) { return k.nature == Tensorial; }

static void run_time_slice(Resolver *r, const Sub *s)
{
    Ctx *c = r->c;
    error_at(c, s->at, "a slice that starts at run time needs a length known when compiling");
    const Expr *b = s->b;
    const char *a = source_text(c, s->a->at);
    if (b && b->kind == EBinary && b->op == OpAdd && !strcmp(source_text(c, b->kid[0]->at), a)) {
        const char *n = source_text(c, b->kid[1]->at);
        help(c, "`%s +: %s`: from %s, %s long", a, n, a, n);
    } else help(c, "`%s +: n`: from %s, n long", a, a);
}

static void resolve_subs(Resolver *r, const Expr *e)
{
    for (int i = 0; i < e->nsub; i++) {
        const Sub *s = &e->sub[i];
        Kind a = s->a ? resolve_expr(r, unpacked(s->a)) : (Kind){ .nature = Constant };
        if (s->b) resolve_expr(r, s->b);
        if (s->s) resolve_expr(r, s->s);
        if (s->kind == SubSlice && starts_at_run_time(a) && !r->indexed) run_time_slice(r, s);
    }
}

static Kind resolve_index(Resolver *r, const Expr *e)
{
    Kind x = resolve_expr(r, e->kid[0]);
    resolve_subs(r, e);
    if (x.nature == AnInstance) return x;
    if (x.nature == Tensorial || x.nature == Constant) return (Kind){ .nature = x.nature };
    return (Kind){ .nature = Unknown };
}

static Kind resolve_attribute(Resolver *r, const Expr *e)
{
    Kind x = resolve_expr(r, e->kid[0]);
    if (x.nature == AModule) {
        const Module *m = x.item->used;
        Item *it = m ? map_get(&m->names, e->name) : NULL;
        if (m && (!it || it->module_in != m)) error_at(r->c, e->op_at, "%s declares no `%s`", m->src->path, e->name);
        return it && it->module_in == m ? of_item(r, it, e->op_at) : (Kind){ .nature = Unknown };
    }
    if (!strcmp(e->name, "shape")) return (Kind){ .nature = Constant };
    if (!strcmp(e->name, "T") && x.nature == Tensorial) return (Kind){ .nature = Tensorial };
    return (Kind){ .nature = Unknown };
}

/* ---- expressions ---------------------------------------------------------------------------------- */

static Kind resolve_list_for(Resolver *r, const Expr *e)
{
    resolve_expr(r, e->kid[1]);
    if (e->kid[2]) resolve_expr(r, e->kid[2]);
    Scope inner = { .up = r->scope };
    r->scope = &inner;
    Kind each = { .nature = Unknown };
    Local *a = e->name ? declare_local(r, e->name, e->at, LocalTurn, each) : NULL;
    Local *b = e->name2 ? declare_local(r, e->name2, e->at, LocalTurn, each) : NULL;
    if (a) a->turns = true;
    if (b) b->turns = true;
    if (e->kid[3]) resolve_expr(r, e->kid[3]);
    resolve_expr(r, e->kid[0]);
    r->scope = inner.up;
    return each;
}

static Kind resolve_kids(Resolver *r, const Expr *e)
{
    Kind k = { .nature = Constant };
    for (int i = 0; i < e->n; i++) k = join_kinds(k, resolve_expr(r, unpacked(e->kid[i])));
    return k;
}

Kind resolve_applied(Resolver *r, const Expr *e, const Path *as)
{
    switch (e->kind) {
    case EInt: case EFloat: case EBool: case ENone: return (Kind){ .nature = Constant };
    case EStr:     resolve_kids(r, e); return (Kind){ .nature = Constant };
    case EName:    return resolve_name(r, e, false);
    case EList: case EGroup: {
        Kind k = resolve_kids(r, e);
        return (Kind){ .nature = k.nature == Tensorial ? Unknown : k.nature == Constant ? Constant : Unknown };
    }
    case EListFor: return resolve_list_for(r, e);
    case EUnary: case EBinary: return resolve_kids(r, e);
    case EIf: {
        resolve_expr(r, e->kid[0]);
        Kind a = resolve_expr(r, e->kid[1]), b = resolve_expr(r, e->kid[2]);
        return a.nature == Tensorial && b.nature == Tensorial ? (Kind){ .nature = Tensorial } : (Kind){ .nature = Unknown };
    }
    case ECall:  return resolve_call(r, e, as);
    case EIndex: return resolve_index(r, e);
    case EAttr:  return resolve_attribute(r, e);
    case EAs:    return resolve_as(r, e);
    case EPack:  return resolve_expr(r, e->kid[0]);
    }
    return (Kind){ .nature = Unknown };
}

Kind resolve_expr(Resolver *r, const Expr *e) { return resolve_applied(r, e, NULL); }

/* ---- types ---------------------------------------------------------------------------------------- */

static bool is_symbol(Name n) { return isupper((unsigned char)n[0]) != 0; }

static void resolve_in_dims(Resolver *r, const Expr *e)
{
    if (e->kind == EName) { resolve_name(r, e, true); return; }
    if (e->kind != EBinary && e->kind != EUnary) { resolve_expr(r, e); return; }
    for (int i = 0; i < e->n; i++) resolve_in_dims(r, e->kid[i]);
}

/* Rule 36. */
void resolve_dims(Resolver *r, const DimList *d, bool introduces)
{
    for (int i = 0; i < d->n; i++) {
        const Expr *e = d->at[i].e;
        if (!e) continue;
        bool fresh = introduces && e->kind == EName && is_symbol(e->name) && !find_local(r, e->name) && !find_item(r, e->name);
        if (fresh) declare_local(r, e->name, e->at, LocalSymbol, (Kind){ .nature = Constant });
        else resolve_in_dims(r, e);
    }
}

void resolve_type(Resolver *r, const TypeExpr *t, bool introduces)
{
    if (!t) return;
    if (t->list) resolve_type(r, t->list, introduces);
    if (t->count && !(t->count->kind == EName && !strcmp(t->count->name, "_"))) resolve_expr(r, t->count);
    if (t->name && !among(types, Types, t->name)) {
        Item *it = find_item(r, t->name);
        if (!it && !r->quiet) {
            Nearest n = { t->name, NULL, 3 };
            for (int i = 0; i < Types; i++) consider(&n, types[i]);
            error_at(r->c, t->at, "there is no type `%s`", t->name);
            if (n.best) help(r->c, "did you mean `%s`?", n.best);
        } else if (it && it->kind != IConfig) {
            error_at(r->c, t->at, "`%s` is no type", t->name);
            if (it->kind == IModel) help(r->c, "a parameter that is a configured model has type `block`, a model's name `model`");
        }
    }
    resolve_dims(r, &t->dims, introduces);
}

/* Index lists: x[n, (g, c), h..., y < e, t?]. An index brings its size, the same name with a capital (rule 63). */
static void introduce_index(Resolver *r, const Expr *e)
{
    Ctx *c = r->c;
    if (find_local(r, e->name) || !strcmp(e->name, "_")) return;
    declare_local(r, e->name, e->at, LocalIndex, (Kind){ .nature = Somevalue });
    char *size = format(c, "%s", e->name);
    size[0] = (char)toupper((unsigned char)size[0]);
    Name n = intern(c, size, strlen(size));
    if (n != e->name && !find_local(r, n)) declare_local(r, n, e->at, LocalSymbol, (Kind){ .nature = Constant });
}

static void introduce_index_of(Resolver *r, const Expr *e)
{
    e = unpacked(e);
    if (e->kind == EName) introduce_index(r, e);
    else if (e->kind == EGroup) for (int i = 0; i < e->n; i++) introduce_index_of(r, e->kid[i]);
    else if (e->kind == EBinary && e->op == OpLt && e->kid[0]->kind == EName) introduce_index(r, e->kid[0]);
}

void introduce_indices(Resolver *r, const DimList *d)
{
    for (int i = 0; i < d->n; i++)
        if (d->at[i].e) introduce_index_of(r, d->at[i].e);
}

void resolve_index_list(Resolver *r, const DimList *d)
{
    for (int i = 0; i < d->n; i++)
        if (d->at[i].e) resolve_expr(r, d->at[i].e->kind == EPack ? d->at[i].e->kid[0] : d->at[i].e);
}
