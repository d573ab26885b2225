/* linear.c: integer terms as linear sums.
 *
 * Positions and bounds are compared, solved and printed in one form: multiples of atoms plus a size.
 * An atom is whatever is no sum: an index, a load, a quotient, a product of two things that vary. */
#include "loops.h"

#include <stdlib.h>

static bool small_int(Elem e) {
    return e == I32 || e == AnyInt || e == I8 || e == I16 || e == U8 || e == U16;
}

/* Does a load stand in it? Locals that hold a position do not count: they are within int. */
bool reads_data(const Term *t) {
    if (t->kind == TLoad && !(t->from->kind == TLocal && t->elem == AnyInt))
        return true;
    for (int i = 0; i < t->n; i++)
        if (reads_data(t->kid[i]))
            return true;
    return false;
}

/* Narrow and long integers wrap elsewhere than int: their sums are atoms. */
static bool is_index_sum(const Term *t) {
    return t->kind == TApply && (t->elem == I32 || t->elem == AnyInt);
}

static bool add_atom(Linear *l, Term *t, int64_t times) {
    for (int i = 0; i < l->n; i++) {
        if (l->atom[i] != t)
            continue;
        l->coef[i] += times;
        if (l->coef[i] == 0) {
            for (int k = i + 1; k < l->n; k++) {
                l->atom[k - 1] = l->atom[k];
                l->coef[k - 1] = l->coef[k];
            }
            l->n--;
        }
        return true;
    }
    if (l->n == LinearMax)
        return false;
    l->atom[l->n] = t;
    l->coef[l->n++] = times;
    return true;
}

static bool fits_int(int64_t a, int64_t b) {
    return llabs(a) < INT64_C(1) << 31 && llabs(b) < INT64_C(1) << 31;
}

static bool add_term(Ctx *c, Linear *l, Term *t, int64_t times) {
    if (times == 0)
        return true;
    if (t->kind == TNumber && small_int(t->elem)) {
        if (!fits_int(times, (int64_t)t->number))
            return false;
        l->base = dim_add(c, l->base, dim(c, times * (int64_t)t->number));
        return true;
    }
    if (t->kind == TSize) {
        l->base = dim_add(c, l->base, dim_mul(c, t->size, dim(c, times)));
        return true;
    }
    if (!is_index_sum(t))
        return add_atom(l, t, times);
    Term **kid = t->kid;
    switch (t->fn->id) {
    case FnAdd: return add_term(c, l, kid[0], times) && add_term(c, l, kid[1], times);
    case FnSub: return add_term(c, l, kid[0], times) && add_term(c, l, kid[1], -times);
    case FnNeg: return add_term(c, l, kid[0], -times);
    case FnMul:
        for (int i = 0; i < 2; i++)
            if (kid[i]->kind == TNumber && fits_int(times, (int64_t)kid[i]->number))
                return add_term(c, l, kid[1 - i], times * (int64_t)kid[i]->number);
        return add_atom(l, t, times);
    default: return add_atom(l, t, times);
    }
}

void linear(Ctx *c, Term *t, Linear *out) {
    *out = (Linear){ .base = dim(c, 0) };
    if (add_term(c, out, t, 1))
        return;
    *out = (Linear){ .base = dim(c, 0), .n = 1, .atom = { t }, .coef = { 1 } };
}

void linear_add(Ctx *c, Linear *to, const Linear *l, int64_t times) {
    to->base = dim_add(c, to->base, dim_mul(c, l->base, dim(c, times)));
    for (int i = 0; i < l->n; i++) {
        if (add_atom(to, l->atom[i], l->coef[i] * times))
            continue;
        Term *rest = linear_term(c, to);            // too long: what there is becomes one atom
        *to = (Linear){ .base = dim(c, 0), .n = 2, .atom = { rest, l->atom[i] }, .coef = { 1, l->coef[i] * times } };
    }
}

bool linear_take(Linear *l, Term *atom, int64_t *coef) {
    for (int i = 0; i < l->n; i++) {
        if (l->atom[i] != atom)
            continue;
        *coef = l->coef[i];
        return add_atom(l, atom, -l->coef[i]);
    }
    return false;
}

static Term *size_term(Ctx *c, Dim d) {
    int64_t n;
    return dim_number(d, &n) ? term_number(c, I32, (double)n) : term_size(c, d);
}

static Term *multiple(Ctx *c, Term *t, int64_t n) {
    return n == 1 ? t : term_apply2(c, FnMul, I32, t, term_number(c, I32, (double)n));
}

static Term *sum_terms(Ctx *c, Term *a, Term *b) {
    return a ? term_apply2(c, FnAdd, I32, a, b) : b;
}

static Term *add_atoms(Ctx *c, Term *sum, const Linear *l, bool data, bool taken) {
    for (int i = 0; i < l->n; i++) {
        if (reads_data(l->atom[i]) != data || (l->coef[i] < 0) != taken)
            continue;
        sum = taken ? term_apply2(c, FnSub, I32, sum, multiple(c, l->atom[i], -l->coef[i]))
                    : sum_terms(c, sum, multiple(c, l->atom[i], l->coef[i]));
    }
    return sum;
}

/* What is added first, then the number or size, then what is taken away: 1 - y, never -y + 1. What comes from data
 * stands last: it alone may leave the range of int. */
Term *linear_term(Ctx *c, const Linear *l) {
    Term *sum = add_atoms(c, NULL, l, false, false);
    int64_t base;
    bool number = dim_number(l->base, &base), plain = sum;
    for (int i = 0; i < l->n; i++)
        plain |= l->coef[i] < 0 && !reads_data(l->atom[i]);
    if (!plain && number && base <= 0)
        sum = add_atoms(c, NULL, l, true, false);
    bool done = sum && !plain;
    if (number && base < 0 && sum)
        sum = term_apply2(c, FnSub, I32, sum, term_number(c, I32, (double)-base));
    else if (!number || base != 0 || !sum)
        sum = sum_terms(c, sum, size_term(c, l->base));
    sum = add_atoms(c, sum, l, false, true);
    if (!done)
        sum = add_atoms(c, sum, l, true, false);
    return add_atoms(c, sum, l, true, true);
}

Term *tidy(Ctx *c, Term *t) {
    if (!is_index_sum(t))
        return t;
    Linear l;
    linear(c, t, &l);
    if (l.n == 1 && l.coef[0] == 1 && dim_is(l.base, 0))
        return l.atom[0];
    return linear_term(c, &l);
}

int64_t stride_in(Ctx *c, Term *t, Index *i, bool *known) {
    Linear l;
    int64_t coef = 0;
    linear(c, t, &l);
    linear_take(&l, term_index(c, i), &coef);
    for (int k = 0; k < l.n; k++)
        if (term_uses(l.atom[k], i))
            *known = false;
    return coef;
}

/* The largest or smallest value of a sum: its indices at their ends, other atoms at what term_range knows. */
static bool extreme(Ctx *c, const Linear *l, bool largest, Dim *out) {
    Dim sum = l->base;
    for (int i = 0; i < l->n; i++) {
        bool up = (l->coef[i] > 0) == largest;
        Dim end;
        int64_t lo, hi;
        if (l->atom[i]->kind == TIndex)
            end = up ? dim_sub(c, l->atom[i]->index->size, dim(c, 1)) : dim(c, 0);
        else if (term_range(c, l->atom[i], &lo, &hi) && llabs(lo) < INT64_C(1) << 40 && llabs(hi) < INT64_C(1) << 40)
            end = dim(c, up ? hi : lo);
        else
            return false;
        sum = dim_add(c, sum, dim_mul(c, end, dim(c, l->coef[i])));
    }
    *out = sum;
    return true;
}

static bool proved_negative(Ctx *c, Linear *l) {
    Dim most;
    return extreme(c, l, true, &most) && dim_less(c, most, dim(c, 0)) == 1;
}

/* A sum with data in it wraps, unless its ends are within int. */
static bool wraps(Ctx *c, const Linear *l) {
    bool data = false;
    Dim least, most;
    int64_t lo, hi, unused;
    for (int i = 0; i < l->n; i++)
        data |= reads_data(l->atom[i]);
    if (!data || (l->n == 1 && l->coef[0] == 1 && dim_is(l->base, 0)))
        return false;
    if (!extreme(c, l, false, &least) || !extreme(c, l, true, &most))
        return true;
    dim_bounds(c, least, &lo, &unused);
    dim_bounds(c, most, &unused, &hi);
    return lo < INT32_MIN || hi > INT32_MAX;
}

bool always_below(Ctx *c, Term *t, Dim size) {
    Linear l;
    int64_t lo, hi, n;
    linear(c, t, &l);
    bool sure = !wraps(c, &l);
    l.base = dim_sub(c, l.base, size);
    if (sure && proved_negative(c, &l))
        return true;
    return dim_number(size, &n) && term_range(c, t, &lo, &hi) && hi < n;
}

bool never_negative(Ctx *c, Term *t) {
    Linear l, minus = { .base = dim(c, -1) };
    int64_t lo, hi;
    linear(c, t, &l);
    linear_add(c, &minus, &l, -1);
    return (!wraps(c, &l) && proved_negative(c, &minus)) || (term_range(c, t, &lo, &hi) && lo >= 0);
}
