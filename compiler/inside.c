/* inside.c: proof that every read is inside.
 *
 * A position is taken apart into a sum of atoms with polynomial coefficients: indices, and terms
 * that are no sums (//, %, min, max, abs, loads). Each atom has an interval; the interval of the
 * sum must lie in 0 … size - 1. Where that does not do, guards help: a condition of the node, or of
 * a `where` on the way, is an inequality F <= 0, and P - L <= 0 follows from it if P - L - F <= 0
 * always. All of it works on polynomials, so what is proved holds for every value of the sizes that
 * vary. */
#include "row.h"

#include <stdlib.h>

enum { MostAtoms = 12, MostTried = 24, MostNesting = 40, MostDepth = 4000 };

typedef struct Sum {
    Term *atom[MostAtoms];
    Dim coef[MostAtoms];
    int n;
    Dim base;
    bool whole;
} Sum; /* whole: all of it is in here */
typedef VEC(Sum) Facts; /* each: at most 0 */
typedef struct Range {
    Dim lo, hi;
} Range; /* NULL: no bound known */

static Dim dim_whole(Ctx *c, int64_t n) {
    return dim(c, n);
}

/* Is a >= 0, for all sizes? (a // k) * k is a - a % k, which is easier to compare. */
static bool not_negative(Ctx *c, Dim a) {
    Dim zero = dim_whole(c, 0);
    for (int turn = 0; turn < 4; turn++) {
        if (dim_less(c, a, zero) == 0)
            return true;
        Dim next = a;
        for (int k = 0; k < a->n; k++) {
            const Monomial *m = &a->term[k];
            int64_t by;
            if (m->n != 1 || m->atom[0]->kind != AtomFloorDiv || !dim_number(m->atom[0]->b, &by) ||
                by <= 0 || m->coef % by)
                continue;
            Dim quotient = dim_floordiv(c, m->atom[0]->a, m->atom[0]->b),
                rest = dim_mod(c, m->atom[0]->a, m->atom[0]->b);
            Dim whole = dim_sub(c, m->atom[0]->a, rest);
            next = dim_sub(c, next, dim_mul(c, dim_whole(c, m->coef), quotient));
            next = dim_add(c, next, dim_mul(c, dim_whole(c, m->coef / by), whole));
            break;
        }
        if (next == a)
            return false;
        a = next;
    }
    return false;
}

static bool not_positive(Ctx *c, Dim a) {
    return not_negative(c, dim_sub(c, dim_whole(c, 0), a));
}

/* ---- sums */

static void sum_add_atom(Ctx *c, Sum *s, Term *atom, Dim coef) {
    for (int k = 0; k < s->n; k++)
        if (s->atom[k] == atom) {
            s->coef[k] = dim_add(c, s->coef[k], coef);
            if (!dim_is(s->coef[k], 0))
                return;
            s->atom[k] = s->atom[--s->n];
            s->coef[k] = s->coef[s->n];
            return;
        }
    if (s->n == MostAtoms) {
        s->whole = false;
        return;
    }
    s->atom[s->n] = atom;
    s->coef[s->n++] = coef;
}

static bool known(Ctx *c, const Term *t, Dim *d) {
    if (t->kind == TSize) {
        *d = t->size;
        return true;
    }
    if (t->kind != TNumber || t->number != (double)(int64_t)t->number)
        return false;
    *d = dim_whole(c, (int64_t)t->number);
    return true;
}

static void sum_add(Ctx *c, Sum *s, Term *t, Dim by, int depth) {
    Dim d;
    if (known(c, t, &d)) {
        s->base = dim_add(c, s->base, dim_mul(c, by, d));
        return;
    }
    if (t->kind == TApply && depth < MostNesting) {
        Dim minus = dim_sub(c, dim_whole(c, 0), by);
        switch (t->fn->id) {
        case FnAdd:
            sum_add(c, s, t->kid[0], by, depth + 1);
            sum_add(c, s, t->kid[1], by, depth + 1);
            return;
        case FnSub:
            sum_add(c, s, t->kid[0], by, depth + 1);
            sum_add(c, s, t->kid[1], minus, depth + 1);
            return;
        case FnNeg:
            sum_add(c, s, t->kid[0], minus, depth + 1);
            return;
        case FnMul:
            if (known(c, t->kid[1], &d)) {
                sum_add(c, s, t->kid[0], dim_mul(c, by, d), depth + 1);
                return;
            }
            if (known(c, t->kid[0], &d)) {
                sum_add(c, s, t->kid[1], dim_mul(c, by, d), depth + 1);
                return;
            }
            break;
        default:
            break;
        }
    }
    sum_add_atom(c, s, t, by);
}

static Sum sum_of(Ctx *c, Term *t) {
    Sum s = { .base = dim_whole(c, 0), .whole = true };
    sum_add(c, &s, t, dim_whole(c, 1), 0);
    return s;
}

static Sum sum_minus(Ctx *c, const Sum *a, const Sum *b) {
    Sum s = *a;
    s.base = dim_sub(c, a->base, b->base);
    s.whole = a->whole && b->whole;
    for (int k = 0; k < b->n; k++)
        sum_add_atom(c, &s, b->atom[k], dim_sub(c, dim_whole(c, 0), b->coef[k]));
    return s;
}

/* ---- ranges */

static Range range(Ctx *c, Term *t, int depth);

/* Digits of a mixed radix: (a * c + b) with b < c is handled by its coefficients, as any sum. */
static Range sum_range(Ctx *c, const Sum *s, int depth) {
    Range out = { s->base, s->base };
    if (!s->whole)
        return (Range){ NULL, NULL };
    for (int k = 0; k < s->n; k++) {
        bool up = not_negative(c, s->coef[k]);
        if (!up && !not_positive(c, s->coef[k]))
            return (Range){ NULL, NULL };
        Range r = range(c, s->atom[k], depth + 1);
        Dim lo = up ? r.lo : r.hi, hi = up ? r.hi : r.lo;
        out.lo = out.lo && lo ? dim_add(c, out.lo, dim_mul(c, s->coef[k], lo)) : NULL;
        out.hi = out.hi && hi ? dim_add(c, out.hi, dim_mul(c, s->coef[k], hi)) : NULL;
    }
    return out;
}

/* The better of two bounds that both hold; either may be missing. */
static Dim bound_of_both(Ctx *c, Dim a, Dim b, bool greater) {
    if (!a || !b)
        return a ? a : b;
    return greater ? dim_max(c, a, b) : dim_min(c, a, b);
}

static Range min_range(Ctx *c, Range a, Range b) {
    return (Range){ a.lo && b.lo ? dim_min(c, a.lo, b.lo) : NULL,
                    bound_of_both(c, a.hi, b.hi, false) };
}

static Range max_range(Ctx *c, Range a, Range b) {
    return (Range){ bound_of_both(c, a.lo, b.lo, true),
                    a.hi && b.hi ? dim_max(c, a.hi, b.hi) : NULL };
}

static Range abs_range(Ctx *c, Range a) {
    Dim zero = dim_whole(c, 0);
    if (a.lo && not_negative(c, a.lo))
        return a;
    if (!a.lo || !a.hi)
        return (Range){ zero, NULL };
    return (Range){ zero, dim_max(c, a.hi, dim_sub(c, zero, a.lo)) };
}

static Range mod_range(Ctx *c, Range a, Dim by) {
    Dim last = dim_sub(c, by, dim_whole(c, 1));
    if (!not_negative(c, last))
        return (Range){ NULL, NULL };
    bool up = a.lo && not_negative(c, a.lo);
    return (Range){ dim_whole(c, 0), up ? bound_of_both(c, a.hi, last, false) : last };
}

static Range div_range(Ctx *c, Range a, Dim by) {
    if (!not_negative(c, dim_sub(c, by, dim_whole(c, 1))))
        return (Range){ NULL, NULL };
    return (Range){ a.lo ? dim_floordiv(c, a.lo, by) : NULL,
                    a.hi ? dim_floordiv(c, a.hi, by) : NULL };
}

static Range mul_range(Ctx *c, Range a, Range b) {
    bool up = a.lo && b.lo && not_negative(c, a.lo) && not_negative(c, b.lo);
    if (!up)
        return (Range){ NULL, NULL };
    return (Range){ dim_mul(c, a.lo, b.lo), a.hi && b.hi ? dim_mul(c, a.hi, b.hi) : NULL };
}

static Range apply_range(Ctx *c, Term *t, int depth) {
    Dim by;
    switch (t->fn->id) {
    case FnAdd:
    case FnSub:
    case FnNeg: {
        Sum s = sum_of(c, t);
        return sum_range(c, &s, depth);
    }
    case FnMul: {
        Sum s = sum_of(c, t);
        if (s.n != 1 || s.atom[0] != t)
            return sum_range(c, &s, depth);
        return mul_range(c, range(c, t->kid[0], depth + 1), range(c, t->kid[1], depth + 1));
    }
    case FnMin:
        return min_range(c, range(c, t->kid[0], depth + 1), range(c, t->kid[1], depth + 1));
    case FnMax:
        return max_range(c, range(c, t->kid[0], depth + 1), range(c, t->kid[1], depth + 1));
    case FnAbs:
        return abs_range(c, range(c, t->kid[0], depth + 1));
    case FnCast:
        return t->kid[0]->elem == AnyInt || t->kid[0]->elem == I32 ? range(c, t->kid[0], depth + 1)
                                                                   : (Range){ NULL, NULL };
    case FnFloorDiv:
        return known(c, t->kid[1], &by) ? div_range(c, range(c, t->kid[0], depth + 1), by)
                                        : (Range){ NULL, NULL };
    case FnMod:
        return known(c, t->kid[1], &by) ? mod_range(c, range(c, t->kid[0], depth + 1), by)
                                        : (Range){ NULL, NULL };
    case FnWhere: {
        Range a = range(c, t->kid[1], depth + 1), b = range(c, t->kid[2], depth + 1);
        return (Range){ a.lo && b.lo ? dim_min(c, a.lo, b.lo) : NULL,
                        a.hi && b.hi ? dim_max(c, a.hi, b.hi) : NULL };
    }
    default:
        return (Range){ NULL, NULL };
    }
}

static Range range(Ctx *c, Term *t, int depth) {
    Dim d;
    if (depth > MostNesting)
        return (Range){ NULL, NULL };
    if (known(c, t, &d))
        return (Range){ d, d };
    if (t->kind == TIndex)
        return (Range){ dim_whole(c, 0), dim_sub(c, t->index->size, dim_whole(c, 1)) };
    return t->kind == TApply ? apply_range(c, t, depth) : (Range){ NULL, NULL };
}

bool term_upper(Ctx *c, Term *t, Dim *hi) {
    Range r = range(c, t, 0);
    if (r.hi)
        *hi = r.hi;
    return r.hi != NULL;
}

/* max(0, min(i, size - 1)): inside, unless there is nothing to read. */
static bool clamped_to(Ctx *c, const Term *t, Dim size) {
    Dim d;
    bool low = t->kind == TApply && t->fn->id == FnMax && known(c, t->kid[0], &d) && dim_is(d, 0);
    const Term *high = low ? t->kid[1] : NULL;
    if (!high || high->kind != TApply || high->fn->id != FnMin)
        return false;
    return known(c, high->kid[1], &d) && d == dim_sub(c, size, dim_whole(c, 1));
}

bool inside_proved(Ctx *c, Term *pos, Dim size) {
    if (pos->kind == TIndex && pos->index->size == size)
        return true;
    if (clamped_to(c, pos, size))
        return true;
    Range r = range(c, pos, 0);
    return r.lo && r.hi && not_negative(c, r.lo) &&
           not_negative(c, dim_sub(c, dim_sub(c, size, dim_whole(c, 1)), r.hi));
}

/* ---- guards */

/* a + offset <= b is a fact. */
static void learn(Ctx *c, Facts *f, Term *a, Term *b, int offset) {
    Sum x = sum_of(c, a), y = sum_of(c, b), fact = sum_minus(c, &x, &y);
    fact.base = dim_add(c, fact.base, dim_whole(c, offset));
    if (fact.whole)
        push(c, f, fact);
}

static void learn_cond(Ctx *c, Facts *f, Term *t, bool holds) {
    if (t->kind != TApply || t->n < 1)
        return;
    FnId id = t->fn->id;
    if (id == FnNot) {
        learn_cond(c, f, t->kid[0], !holds);
        return;
    }
    if ((id == FnAnd && holds) || (id == FnOr && !holds)) {
        learn_cond(c, f, t->kid[0], holds);
        learn_cond(c, f, t->kid[1], holds);
        return;
    }
    if (t->n != 2 || !elem_is_int(t->kid[0]->elem) || !elem_is_int(t->kid[1]->elem))
        return;
    if (!holds) {
        static const FnId negated[] = {
            [FnLt] = FnGe, [FnLe] = FnGt, [FnGt] = FnLe, [FnGe] = FnLt, [FnEq] = FnNe, [FnNe] = FnEq
        };
        if (id < FnEq || id > FnGe)
            return;
        id = negated[id];
    }
    if (id == FnLt || id == FnLe || id == FnEq)
        learn(c, f, t->kid[0], t->kid[1], id == FnLt);
    if (id == FnGt || id == FnGe || id == FnEq)
        learn(c, f, t->kid[1], t->kid[0], id == FnGt);
}

static bool follows_from(Ctx *c, const Sum *s, const Sum *fact) {
    Sum rest = sum_minus(c, s, fact);
    Range r = sum_range(c, &rest, 0);
    return r.hi && not_positive(c, r.hi);
}

/* Does s <= 0 follow, from nothing or from one fact? Of a long chain of `where`, as concat makes it,
 * the last guards speak of the part at hand; the first are the node's own conditions. */
static bool follows(Ctx *c, const Sum *s, const Facts *f) {
    Range r = sum_range(c, s, 0);
    if (r.hi && not_positive(c, r.hi))
        return true;
    for (int k = f->n - 1; k >= 0; k--) {
        if (k == f->n - 1 - MostTried && k >= MostTried)
            k = MostTried - 1;
        if (follows_from(c, s, &f->at[k]))
            return true;
    }
    return false;
}

static bool inside_by_guard(Ctx *c, Term *pos, Dim size, const Facts *f) {
    Sum p = sum_of(c, pos), zero = { .base = dim_whole(c, 0), .whole = true };
    Sum low = sum_minus(c, &zero, &p), high = p;
    high.base = dim_add(c, dim_sub(c, p.base, size), dim_whole(c, 1));
    return p.whole && follows(c, &low, f) && follows(c, &high, f);
}

static bool reads_inside(Ctx *c, Term *t, Facts *f, Term **load, int *axis, int depth);

/* A chain of `where`, each in the last branch of the one before: no recursion along it. */
static bool chain_inside(Ctx *c, Term *t, Facts *f, Term **load, int *axis, int depth) {
    int mark = f->n;
    bool fine = true;
    for (; fine && t->kind == TApply && t->fn->id == FnWhere; t = t->kid[2]) {
        int before = f->n;
        fine = reads_inside(c, t->kid[0], f, load, axis, depth + 1);
        learn_cond(c, f, t->kid[0], true);
        fine = fine && reads_inside(c, t->kid[1], f, load, axis, depth + 1);
        f->n = before;
        learn_cond(c, f, t->kid[0], false);
    }
    fine = fine && reads_inside(c, t, f, load, axis, depth + 1);
    f->n = mark;
    return fine;
}

static bool reads_inside(Ctx *c, Term *t, Facts *f, Term **load, int *axis, int depth) {
    if (depth > MostDepth)
        return true;
    if (t->kind == TApply && t->fn->id == FnWhere)
        return chain_inside(c, t, f, load, axis, depth);
    for (int k = 0; k < t->n; k++) {
        if (!reads_inside(c, t->kid[k], f, load, axis, depth + 1))
            return false;
        if (t->kind != TLoad || t->outside)
            continue;
        Dim size = t->from->type.dim[k];
        if (inside_proved(c, t->kid[k], size) || inside_by_guard(c, t->kid[k], size, f))
            continue;
        *load = t;
        *axis = k;
        return false;
    }
    return !t->outside || reads_inside(c, t->outside, f, load, axis, depth + 1);
}

static bool all_inside(Ctx *c, const Clause *k, Term **load, int *axis) {
    Facts facts = { 0 }, *f = &facts;
    for (int j = 0; j < k->ncond; j++) {
        if (!reads_inside(c, k->cond[j], f, load, axis, 0))
            return false;
        learn_cond(c, f, k->cond[j], true);
    }
    return reads_inside(c, k->body, f, load, axis, 0);
}

/* ---- what is asked only while the loops run */

typedef struct Runs {
    Symbol *symbol[2 * MaxRank];
    int n;
    bool never; /* a loop over nothing */
} Runs;

/* A loop over T, or 3 * T, runs only where T is at least 1: until runs_end the proof knows that. */
static void runs_over(Runs *r, const Index *i) {
    Dim size = i->size;
    r->never |= dim_is(size, 0);
    for (int k = 0; size->n == 1 && k < size->term[0].n; k++) {
        const Atom *a = size->term[0].atom[k];
        if (a->kind != AtomSymbol || a->symbol->lo != 0 || a->symbol->hi < 1 || r->n == 2 * MaxRank)
            continue;
        r->symbol[r->n++] = a->symbol;
        a->symbol->lo = 1;
    }
}

static void runs_end(const Runs *r) {
    for (int k = 0; k < r->n; k++)
        r->symbol[k]->lo = 0;
}

bool inside_check(Ctx *c, const Axis *axes, int naxis, const Clause *k, Term **load, int *axis) {
    Runs r = { .n = 0 };
    for (int i = 0; i < naxis; i++)
        for (int j = 0; j < axes[i].n; j++)
            runs_over(&r, axes[i].index[j]);
    for (int i = 0; i < k->nbind; i++)
        runs_over(&r, k->bind[i]);
    bool fine = r.never || all_inside(c, k, load, axis);
    runs_end(&r);
    return fine;
}
