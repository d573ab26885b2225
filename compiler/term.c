/* term.c: scalar terms over loads.
 *
 * Terms are made by the functions here alone, once each: equal terms are one pointer. What is made
 * of numbers is computed when it is made, and what changes no bit of the result is dropped: x * 1,
 * but for floats neither x * 0 nor x + 0. Integer arithmetic goes to affine.c first, which knows
 * about ranges and sizes. */
#include "compiler.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct Terms { Term **slot; int n, cap; uint32_t walks; };

/* ---- one pointer for equal terms */

static uint32_t hash_bits(uint32_t h, uint64_t v) {
    return (h ^ (uint32_t)(v * 0x9E3779B97F4A7C15u >> 32)) * 16777619u;
}

static uint32_t hash_word(uint32_t h, const void *p) {
    return hash_bits(h, (uint64_t)(uintptr_t)p);
}

static uint64_t double_bits(double v) {
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static uint32_t hash_of_term(const Term *t) {
    uint32_t h = hash_bits(hash_bits(2166136261u, (uint64_t)t->kind * 64 + (uint64_t)t->elem),
                           double_bits(t->number));
    h = hash_word(hash_word(hash_word(h, t->index), t->size), t->from);
    h = hash_word(hash_word(hash_word(h, t->outside), t->as), t->fn);
    for (int i = 0; i < t->n; i++)
        h = hash_word(h, t->kid[i]);
    return h;
}

static bool same(const Term *a, const Term *b) {
    if (a->hash != b->hash || a->kind != b->kind || a->elem != b->elem || a->index != b->index ||
        a->size != b->size || a->from != b->from || a->outside != b->outside || a->as != b->as ||
        a->fn != b->fn || a->n != b->n || double_bits(a->number) != double_bits(b->number))
        return false;
    for (int i = 0; i < a->n; i++)
        if (a->kid[i] != b->kid[i])
            return false;
    return true;
}

static void terms_grow(Ctx *c, struct Terms *t) {
    Term **old = t->slot;
    int was = t->cap;
    t->cap = was ? was * 2 : 1024;
    t->slot = NEWN(c, Term *, t->cap);
    for (int i = 0; i < was; i++) {
        if (!old[i])
            continue;
        uint32_t h = old[i]->hash & (uint32_t)(t->cap - 1);
        while (t->slot[h])
            h = (h + 1) & (uint32_t)(t->cap - 1);
        t->slot[h] = old[i];
    }
}

static Term *term_new(Ctx *c, Term want) {
    if (!c->terms)
        c->terms = NEW(c, struct Terms);
    struct Terms *t = c->terms;
    if (t->n * 2 >= t->cap)
        terms_grow(c, t);
    want.hash = hash_of_term(&want);
    uint32_t h = want.hash & (uint32_t)(t->cap - 1);
    for (; t->slot[h]; h = (h + 1) & (uint32_t)(t->cap - 1))
        if (same(t->slot[h], &want))
            return t->slot[h];
    Term *made = NEW(c, Term);
    *made = want;
    made->kid = NEWN(c, Term *, want.n);
    if (want.n)
        memcpy(made->kid, want.kid, sizeof *want.kid * (size_t)want.n);
    t->slot[h] = made;
    t->n++;
    return made;
}

Term *term_number(Ctx *c, Elem e, double v) {
    return term_new(c, (Term){ .kind = TNumber, .elem = e, .number = v });
}

Term *term_index(Ctx *c, Index *i) {
    return term_new(c, (Term){ .kind = TIndex, .elem = I32, .index = i });
}

Term *term_size(Ctx *c, Dim d) {
    int64_t n;
    if (dim_number(d, &n))
        return term_number(c, AnyInt, (double)n);
    return term_new(c, (Term){ .kind = TSize, .elem = AnyInt, .size = d });
}

/* A number written without a type takes that of what it meets. */
static Term *adapted(Ctx *c, Term *t, Elem e) {
    bool any = t->elem == AnyInt || t->elem == AnyFloat;
    if (t->kind != TNumber || !any || e == t->elem || e == NoElem || e == Bool)
        return t;
    return term_number(c, e, t->number);
}

Term *term_load(Ctx *c, Tensor *t, Term **at, int n, Term *outside, Name as) {
    assert(n == t->type.rank);
    bool inside = true;
    for (int i = 0; outside && i < n; i++)
        inside = inside && term_inside(c, at[i], t->type.dim[i]);
    if (outside)
        outside = inside ? NULL : adapted(c, outside, t->type.elem);
    return term_new(c, (Term){ .kind = TLoad,
                               .elem = t->type.elem,
                               .from = t,
                               .kid = at,
                               .n = n,
                               .outside = outside,
                               .as = as });
}

Term *term_plain(Ctx *c, const Fn *f, Elem e, Term **arg) {
    return term_new(c, (Term){ .kind = TApply, .elem = e, .fn = f, .kid = arg, .n = f->arity });
}

/* ---- folding */

static bool is_plain_number(const Term *t, double v) {
    return t->kind == TNumber && double_bits(t->number) == double_bits(v);
}

/* The type a function computes in: that of its result, or for comparisons that of what is compared. */
static Elem operand_elem(const Fn *f, Elem e, Term **arg) {
    bool compares = (f->id >= FnEq && f->id <= FnGe) || f->id == FnIsNan || f->id == FnIsInf;
    if (!compares)
        return e;
    Elem found = arg[0]->elem;
    if (f->arity > 1 && (found == AnyInt || (found == AnyFloat && arg[1]->elem != AnyInt)))
        found = arg[1]->elem;
    return found;
}

static Term *fold_numbers(Ctx *c, const Fn *f, Elem e, Elem of, Term **arg) {
    double v[3] = { 0 };
    for (int i = 0; i < f->arity; i++) {
        if (arg[i]->kind != TNumber)
            return NULL;
        v[i] = arg[i]->number;
    }
    if (!fn_known(f) || f->id == FnStopGradient || f->arity > 3)
        return NULL;
    return term_number(c, e, fn_eval(f, of, v));
}

static Term *fold_where(Term **arg) {
    if (arg[0]->kind == TNumber)
        return arg[0]->number != 0.0 ? arg[1] : arg[2];
    return arg[1] == arg[2] ? arg[1] : NULL;
}

static Term *fold_logic(Ctx *c, FnId f, Term **arg) {
    if (f == FnNot)
        return arg[0]->kind == TApply && arg[0]->fn->id == FnNot ? arg[0]->kid[0] : NULL;
    if (arg[0] == arg[1])
        return arg[0];
    for (int i = 0; i < 2; i++) {
        if (arg[i]->kind != TNumber)
            continue;
        bool value = arg[i]->number != 0.0;
        return value == (f == FnAnd) ? arg[1 - i] : term_number(c, Bool, value);
    }
    return NULL;
}

/* What is exact for every float: signed zeros, infinities and NaN included. */
static Term *fold_float(Ctx *c, FnId f, Elem e, Term **arg) {
    switch (f) {
    case FnAdd: return is_plain_number(arg[1], -0.0) ? arg[0] : is_plain_number(arg[0], -0.0) ? arg[1] : NULL;
    case FnSub: return is_plain_number(arg[1], 0.0) ? arg[0] : NULL;
    case FnMul: return is_plain_number(arg[1], 1.0) ? arg[0] : is_plain_number(arg[0], 1.0) ? arg[1] : NULL;
    case FnDiv: return is_plain_number(arg[1], 1.0) ? arg[0] : NULL;
    case FnPow:
        return is_plain_number(arg[1], 1.0)   ? arg[0]
               : is_plain_number(arg[1], 2.0) ? term_apply2(c, FnMul, e, arg[0], arg[0])
                                              : NULL;
    case FnNeg: return arg[0]->kind == TApply && arg[0]->fn->id == FnNeg ? arg[0]->kid[0] : NULL;
    case FnMax:
    case FnMin: return arg[0] == arg[1] ? arg[0] : NULL;
    case FnLt:
    case FnGt:  return arg[0] == arg[1] ? term_number(c, Bool, 0.0) : NULL;
    default:    return NULL;
    }
}

static Term *fold_application(Ctx *c, const Fn *f, Elem e, Elem of, Term **arg) {
    if (f->id == FnWhere)
        return fold_where(arg);
    if (f->id == FnAnd || f->id == FnOr || f->id == FnNot)
        return fold_logic(c, f->id, arg);
    if (f->id == FnCast && arg[0]->elem == e)
        return arg[0];
    if (of == Bool && (f->id == FnEq || f->id == FnNe) && arg[0] == arg[1])
        return term_number(c, Bool, f->id == FnEq);
    if (elem_is_int(of) || (f->id == FnCast && elem_is_int(e) && elem_is_int(arg[0]->elem)))
        return term_integer(c, f, e, arg);
    return elem_is_float(of) ? fold_float(c, f->id, e, arg) : NULL;
}

Term *term_apply(Ctx *c, const Fn *f, Elem e, Term **arg) {
    Term *own[3];
    assert(f->arity <= 3);
    Elem of = operand_elem(f, e, arg);
    for (int i = 0; i < f->arity; i++)
        own[i] = f->id == FnCast ? arg[i] : adapted(c, arg[i], of);
    Term *t = fold_numbers(c, f, e, of, own);
    if (!t)
        t = fold_application(c, f, e, of, own);
    return t ? adapted(c, t, e) : term_plain(c, f, e, own);
}

Term *term_apply1(Ctx *c, FnId f, Elem e, Term *a) {
    return term_apply(c, fn(f), e, (Term *[]){ a });
}

Term *term_apply2(Ctx *c, FnId f, Elem e, Term *a, Term *b) {
    return term_apply(c, fn(f), e, (Term *[]){ a, b });
}

/* ---- walks */

/* Terms share their parts, so each remembers what this walk made of it. A walk that a leaf begins may take its place:
 * the term is then walked again, with the same result. */
typedef struct Walk {
    Term *(*leaf)(Ctx *, Term *, void *);
    void *with;
    uint32_t number;
} Walk;

static Term *walk(Ctx *c, Term *t, Walk *w) {
    if (t->walk == w->number)
        return t->image;
    Term *r = t;
    if (t->kind == TApply || t->kind == TLoad) {
        bool same_kids = true;
        Term *few[MaxRank], **kid = t->n <= MaxRank ? few : NEWN(c, Term *, t->n);
        for (int i = 0; i < t->n; i++) {
            kid[i] = walk(c, t->kid[i], w);
            same_kids = same_kids && kid[i] == t->kid[i];
        }
        Term *outside = t->outside ? walk(c, t->outside, w) : NULL;
        if (t->kind == TApply && !same_kids)
            r = term_apply(c, t->fn, t->elem, kid);
        if (t->kind == TLoad && !(same_kids && outside == t->outside))
            r = term_load(c, t->from, kid, t->n, outside, t->as);
    }
    bool folded = r->kind != t->kind || r->fn != t->fn; /* to a part that was asked for already */
    Term *new = folded ? NULL : w->leaf(c, r, w->with);
    if (new)
        r = new;
    if (t->n) {
        t->walk = w->number;
        t->image = r;
    }
    return r;
}

Term *term_map(Ctx *c, Term *t, Term *(*leaf)(Ctx *, Term *, void *), void *with) {
    return walk(c, t, &(Walk){ .leaf = leaf, .with = with, .number = ++c->terms->walks });
}

typedef struct IndexSubst { Index *const *from; Term *const *to; int n; } IndexSubst;

static Term *subst_leaf(Ctx *c, Term *t, void *with) {
    (void)c;
    const IndexSubst *s = with;
    for (int i = 0; t->kind == TIndex && i < s->n; i++)
        if (t->index == s->from[i])
            return s->to[i];
    return NULL;
}

Term *term_subst(Ctx *c, Term *t, Index *const *from, Term *const *to, int n) {
    return term_map(c, t, subst_leaf, &(IndexSubst){ from, to, n });
}

bool term_uses(const Term *t, const Index *i) {
    if (t->kind == TIndex)
        return t->index == i;
    for (int k = 0; k < t->n; k++)
        if (term_uses(t->kid[k], i))
            return true;
    return t->outside && term_uses(t->outside, i);
}

bool term_reads(const Term *t) {
    if (t->kind == TLoad)
        return true;
    for (int k = 0; k < t->n; k++)
        if (term_reads(t->kid[k]))
            return true;
    return false;
}

/* ---- text */

enum { InOr = 1, InAnd, InNot, InCompare, InSum, InProduct, InMinus, InPower, InWord };

static const struct { unsigned char own, left, right; } levels[] = {     /* of an operator and of what it joins */
    [FnAdd] = {InSum, InSum, InProduct},         [FnSub] = {InSum, InSum, InProduct},
    [FnMul] = {InProduct, InProduct, InMinus},   [FnDiv] = {InProduct, InProduct, InMinus},
    [FnMod] = {InProduct, InProduct, InMinus},   [FnFloorDiv] = {InProduct, InProduct, InMinus},
    [FnPow] = {InPower, InWord, InMinus},        [FnNeg] = {InMinus, InMinus, 0},
    [FnEq] = {InCompare, InSum, InSum}, [FnNe] = {InCompare, InSum, InSum},
    [FnLt] = {InCompare, InSum, InSum}, [FnLe] = {InCompare, InSum, InSum},
    [FnGt] = {InCompare, InSum, InSum}, [FnGe] = {InCompare, InSum, InSum},
    [FnAnd] = {InAnd, InAnd, InNot}, [FnOr] = {InOr, InOr, InAnd}, [FnNot] = {InNot, InNot, 0},
    [FnExtern] = {0, 0, 0},
};

typedef struct TermPrinter { Ctx *c; Text text; const Map *names; } TermPrinter;

static void print(TermPrinter *p, const Term *t, int level);

static void print_term_number(TermPrinter *p, const Term *t) {
    char s[40];
    if (t->elem == Bool) {
        text_add(p->c, &p->text, "%s", t->number != 0.0 ? "true" : "false");
        return;
    }
    if (isinf(t->number) || t->number != t->number) {
        text_add(p->c, &p->text, "%s",
                 t->number != t->number ? "nan"
                 : t->number > 0.0      ? "inf"
                                        : "-inf");
        return;
    }
    if (elem_is_int(t->elem)) {
        text_add(p->c, &p->text, "%.0f", t->number);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, t->number);
        double back;
        if (sscanf(s, "%lf", &back) == 1 && back == t->number)
            break;
    }
    text_add(p->c, &p->text, "%s%s", s, strpbrk(s, ".e") ? "" : ".0");
}

static void print_list(TermPrinter *p, Term *const *kid, int n) {
    for (int i = 0; i < n; i++) {
        if (i)
            text_add(p->c, &p->text, ", ");
        print(p, kid[i], 0);
    }
}

static const char *load_label(const TermPrinter *p, const void *thing, const char *plain) {
    Name n = p->names ? (Name)map_get(p->names, thing) : NULL;
    return n ? n : plain;
}

static void print_load(TermPrinter *p, const Term *t) {
    const char *plain = t->as ? t->as : t->from->name;
    text_add(p->c, &p->text, "%s%s", t->outside ? "(" : "",
             load_label(p, t->from, plain ? plain : "?"));
    if (t->n)
        text_add(p->c, &p->text, "[");
    print_list(p, t->kid, t->n);
    if (t->n)
        text_add(p->c, &p->text, "]");
    if (!t->outside)
        return;
    text_add(p->c, &p->text, " else ");
    print(p, t->outside, 0);
    text_add(p->c, &p->text, ")");
}

static void print_apply(TermPrinter *p, const Term *t, int level) {
    int own = levels[t->fn->id].own;
    if (!own) {
        text_add(p->c, &p->text, "%s(", t->fn->id == FnCast ? elem_name(t->elem) : t->fn->name);
        print_list(p, t->kid, t->n);
        text_add(p->c, &p->text, ")");
        return;
    }
    if (own < level)
        text_add(p->c, &p->text, "(");
    if (t->n == 1) {
        text_add(p->c, &p->text, t->fn->id == FnNot ? "not " : "-");
        print(p, t->kid[0], levels[t->fn->id].left);
    } else {
        print(p, t->kid[0], levels[t->fn->id].left);
        text_add(p->c, &p->text, " %s ", t->fn->name);
        print(p, t->kid[1], levels[t->fn->id].right);
    }
    if (own < level)
        text_add(p->c, &p->text, ")");
}

/* How tightly the text of a size hangs together. */
static int size_level(const Term *t) {
    Dim d = t->size;
    if (d->n > 1)
        return InSum;
    if (d->term[0].coef != 1 || d->term[0].n > 1)
        return d->term[0].coef < 0 ? InSum : InProduct;
    int kind = d->term[0].atom[0]->kind;
    return kind == AtomFloorDiv || kind == AtomMod ? InProduct : InWord;
}

static void print(TermPrinter *p, const Term *t, int level) {
    bool round = false;
    switch (t->kind) {
    case TNumber:
        round = t->number < 0.0 && level >= InMinus;
        text_add(p->c, &p->text, "%s", round ? "(" : "");
        print_term_number(p, t);
        break;
    case TIndex: text_add(p->c, &p->text, "%s", load_label(p, t->index, t->index->name)); break;
    case TSize:
        round = size_level(t) < level;
        text_add(p->c, &p->text, "%s%s", round ? "(" : "", dim_text(p->c, t->size));
        break;
    case TLoad:  print_load(p, t); break;
    case TApply: print_apply(p, t, level); break;
    }
    if (round)
        text_add(p->c, &p->text, ")");
}

char *term_text_named(Ctx *c, const Term *t, const Map *names) {
    TermPrinter p = { .c = c, .names = names };
    print(&p, t, 0);
    return p.text.s;
}

char *term_text(Ctx *c, const Term *t) {
    return term_text_named(c, t, NULL);
}
