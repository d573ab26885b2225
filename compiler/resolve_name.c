/* resolve_name.c: scopes, and what a name in them is and has.
 *
 * For each local name it is known whether it has a value where it stands (rule 9), and which. */
#include "resolve.h"

#include <ctype.h>
#include <string.h>

/* ---- names */

/* Functions of the compiler itself. What `ops` declares is not here. */
static const char *const builtins[] = {
    "given", "len", "reverse", "range", "int", "float", "bool", "str", "inside", "grad", "shape",
    "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64",
    "sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "mean", "amax", "amin",
    "log", "exp", "sqrt", "flatten", "pad", "resize", "randn", "rand", "bernoulli", "randint",
    "zeros", "ones", "constant", "normal", "uniform", "kaiming_uniform", "kaiming_normal",
    "xavier_uniform", "xavier_normal", "uniform_fan_in", "orthogonal", "identity",
    "truncated_normal", "sinusoid",
};
static const char *const constants[] = { "pi", "inf", "nan", "training" };
static const char *const types[] = {
    "float", "int", "bool", "str", "any", "dtype", "block", "model",
    "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64",
};
enum {
    Builtins = sizeof builtins / sizeof *builtins,
    Constants = sizeof constants / sizeof *constants,
    Types = sizeof types / sizeof *types
};

bool among(const char *const *list, int n, const char *s) {
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i], s))
            return true;
    return false;
}

Local *find_local(const Resolver *r, Name n) {
    for (const NameScope *s = r->scope; s; s = s->up) {
        Local *l = map_get(&s->names, n);
        if (l)
            return l;
    }
    return NULL;
}

Item *find_item(const Resolver *r, Name n) {
    return map_get(&r->m->names, n);
}

static void check_hiding(Resolver *r, Name n, Span at) {
    Local *outer = find_local(r, n);
    Item *it = find_item(r, n);
    if (!outer && (!it || it->module_in != r->m))
        return;
    warning_at(r->c, at, "`%s` hides another of that name", n);
    note_at(r->c, outer ? outer->at : it->name_at, "this one");
}

Local *declare_local(Resolver *r, Name n, Span at, LocalKind k, Kind is) {
    Local *l = NEW(r->c, Local), *first = map_get(&r->scope->names, n);
    *l = (Local){.name = n, .at = at, .kind = k, .is = is};
    l->fact.given = k == LocalOutput || k == LocalValue ? NotGiven : IsGiven;
    if (n[0] == '_' && !n[1])
        return l;
    if (first) {
        error_at(r->c, at, "`%s` is declared twice", n);
        note_at(r->c, first->at, "the first is here");
    } else if (k != LocalSymbol && k != LocalIndex && !r->m->src->library)
        check_hiding(r, n, at);
    if (k != LocalSymbol && k != LocalIndex && isupper((unsigned char)n[0]))
        error_at(r->c, at,
                 "`%s` begins with a capital, as only models, configs, `train` blocks and "
                 "dimension symbols do",
                 n);
    map_put(r->c, &r->scope->names, n, l);
    push(r->c, &r->locals, l);
    return l;
}

/* ---- suggestions */

typedef struct Nearest { Name asked; const char *best; int distance; } Nearest;

static void consider(Nearest *n, const char *candidate) {
    int d = edit_distance(n->asked, candidate);
    if (d < n->distance && d > 0)
        n->distance = d, n->best = candidate;
}

static const char *nearest_name(const Resolver *r, Name asked) {
    size_t len = strlen(asked);
    Nearest n = {asked, NULL, len < 3 ? 1 : len < 6 ? 2 : 3};
    for (int i = 0; i < r->locals.n; i++)
        if (find_local(r, r->locals.at[i]->name))
            consider(&n, r->locals.at[i]->name);
    for (int i = 0; i < r->m->names.cap;
         i++) /* slot order cannot show: ties go to the smaller text */
        if (r->m->names.slot[i].key) {
            const char *s = r->m->names.slot[i].key;
            bool tie = n.best && edit_distance(asked, s) == n.distance && strcmp(s, n.best) < 0 &&
                       !find_local(r, n.best);
            if (tie)
                n.best = s;
            consider(&n, s);
        }
    for (int i = 0; i < Builtins; i++)
        consider(&n, builtins[i]);
    return n.best;
}

void unknown_name(Resolver *r, Name n, Span at, bool in_dims) {
    enum { Shown = 50 };
    if (r->quiet)
        return;
    const char *near = r->c->errors < Shown ? nearest_name(r, n) : NULL;
    bool symbol = isupper((unsigned char)n[0]);
    if (in_dims && symbol) {
        error_at(r->c, at,
                 "dimension `%s` is not known here: only `in` and a typed assignment introduce one",
                 n);
        return;
    }
    error_at(r->c, at, "`%s` is not known here", n);
    const char *more = in_dims ? " Dimension symbols begin with a capital" : "";
    if (near)
        help(r->c, "did you mean `%s`?%s", near, more);
    else if (in_dims)
        help(r->c, "a number, a parameter or a size stands here.%s", more);
}

/* ---- values on paths */

ReachSet *reach_join(Ctx *c, ReachSet *a, ReachSet *b) {
    if (!a || a == b)
        return b;
    if (!b)
        return a;
    ReachSet *both = NEW(c, ReachSet);
    bool larger = a->n >= b->n; /* the larger in front: mark_used recurses into the smaller only */
    *both = (ReachSet){
        .a = larger ? a : b, .b = larger ? b : a, .n = a->n + b->n < a->n ? a->n : a->n + b->n};
    if (both->n > 1 << 30)
        both->n = 1 << 30;
    return both;
}

void mark_used(ReachSet *reach) {
    for (; reach && !reach->used; reach = reach->a) {
        reach->used = true;
        if (reach->def)
            reach->def->used = true;
        if (reach->b)
            mark_used(reach->b);
    }
}

void set_fact(Resolver *r, Local *l, Fact f) {
    push(r->c, &r->changes, ((Change){l, l->fact}));
    l->fact = f;
}

/* Rule 9. */
static void read_local(Resolver *r, Local *l, Span at) {
    Ctx *c = r->c;
    l->read = true;
    l->last_read = ++r->reads;
    mark_used(l->fact.reach);
    if (l->fact.given == IsGiven || r->quiet)
        return;
    const Stmt *s = l->fact.branch;
    if (l->fact.given == NotGiven)
        error_at(c, at, "`%s` has no value here", l->name);
    else if (s->kind == SIf) {
        const char *cond = source_text(c, s->e->at);
        bool simple = s->e->kind == EName || s->e->kind == ECall || s->e->kind == EAttr;
        error_at(c, at,
                 !l->fact.other ? "`%s` has a value only if `%s`"
                 : simple       ? "`%s` has a value only if `not %s`"
                                : "`%s` has a value only if `not (%s)`",
                 l->name, cond);
    } else
        error_at(c, at, "`%s` has a value only if this loop has a turn", l->name);
    if (l->fact.given == PerhapsGiven)
        note_at(c, l->fact.where, "given here");
    Fact f = l->fact;
    f.given = IsGiven; /* once is enough */
    set_fact(r, l, f);
}

/* A top-level `let`: of which model it is a recipe shows in its text. */
static Kind kind_of_let(const Item *it) {
    const Expr *e = it->e;
    if (!e || e->kind != ECall || e->kid[0]->kind != EName)
        return (Kind){.nature = Unclear};
    Item *f = map_get(&it->module_in->names, e->kid[0]->name);
    return f && f->kind == IModel ? (Kind){.nature = ARecipe, .item = f}
                                  : (Kind){.nature = Unclear};
}

Kind of_item(Resolver *r, Item *it, Span at) {
    Item *other = map_get(&r->m->twice, it->name);
    if (other && it->module_in != r->m) {
        error_at(r->c, at, "`%s` comes from two files", it->name);
        note_at(r->c, it->name_at, "one");
        note_at(r->c, other->name_at, "the other");
        help(r->c, "`use … as name` qualifies, `use …: A, B` selects");
        return (Kind){.nature = Unclear};
    }
    switch (it->kind) {
    case IModel:
        return (Kind){.nature = AModel, .item = it};
    case IOp:
    case IExtern:
        return (Kind){.nature = AnOp, .item = it};
    case IConfig:
        return (Kind){.nature = AConfig, .item = it};
    case IUse:
        return (Kind){.nature = AModule, .item = it};
    case ILet:
        return kind_of_let(it);
    default:
        return (Kind){.nature = Unclear};
    }
}

Kind resolve_name(Resolver *r, const Expr *e, bool in_dims) {
    Local *l = find_local(r, e->name);
    if (l) {
        read_local(r, l, e->at);
        return l->is;
    }
    if (e->name[0] == '_' && !e->name[1]) {
        if (!in_dims && !r->quiet)
            error_at(r->c, e->at, "`_` is no name, and has no value");
        return (Kind){.nature = Unclear};
    }
    Item *it = find_item(r, e->name);
    if (it)
        return of_item(r, it, e->at);
    if (among(constants, Constants, e->name))
        return (Kind){.nature = Constant};
    if (rowmaker_named(e->name) || fn_named(r->c, e->name) || among(builtins, Builtins, e->name))
        return (Kind){.nature = AnOp};
    unknown_name(r, e->name, e->at, in_dims);
    return (Kind){.nature = Unclear};
}

void resolve_type_name(Resolver *r, Name n, Span at) {
    Ctx *c = r->c;
    if (among(types, Types, n))
        return;
    Item *it = find_item(r, n);
    if (!it && !r->quiet) {
        Nearest near = {n, NULL, 3};
        for (int i = 0; i < Types; i++)
            consider(&near, types[i]);
        error_at(c, at, "there is no type `%s`", n);
        if (near.best)
            help(c, "did you mean `%s`?", near.best);
    } else if (it && it->kind != IConfig) {
        error_at(c, at, "`%s` is no type", n);
        if (it->kind == IModel)
            help(c,
                 "a parameter that is a configured model has type `block`, a model's name `model`");
    }
}
