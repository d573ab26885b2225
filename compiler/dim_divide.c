/* dim_divide.c: quotients and remainders of sizes, and the smaller or larger of two.
 *
 * What divides is divided; of the rest, intervals decide where they can. What stays is an atom in
 * normal form, so that equal quotients are one pointer. Nothing assumed is used here. */
#include "dim_parts.h"

/* a = k * q + r, where every coefficient of r lies in [0, k). */
static void split_coefficients(Ctx *c, Dim a, int64_t k, Dim *q, Dim *r) {
    Monomial few[2][16];
    Monomial *mq = a->n <= 16 ? few[0] : NEWN(c, Monomial, a->n),
             *mr = a->n <= 16 ? few[1] : NEWN(c, Monomial, a->n);
    for (int i = 0; i < a->n; i++) {
        mq[i] = mr[i] = a->term[i];
        mq[i].coef = div_down(a->term[i].coef, k);
        mr[i].coef = mod_down(a->term[i].coef, k);
    }
    *q = dim_normal(c, mq, a->n);
    *r = dim_normal(c, mr, a->n);
}

/* Of k and all coefficients but the constant's. */
static int64_t common_coefficient(Dim a, int64_t k) {
    for (int i = 0; i < a->n; i++)
        if (a->term[i].n)
            k = gcd(k, a->term[i].coef);
    return k;
}

/* A // g, where g divides all but the constant. */
static Dim shrink(Ctx *c, Dim a, int64_t g) {
    Monomial *m = NEWN(c, Monomial, a->n);
    for (int i = 0; i < a->n; i++) {
        m[i] = a->term[i];
        m[i].coef = div_down(m[i].coef, g);
    }
    return dim_normal(c, m, a->n);
}

/* Does a // k have one value over the bounds of a? */
static bool one_quotient(Ctx *c, Dim a, int64_t k, int64_t *value) {
    int64_t lo, hi;
    dim_bounds(c, a, &lo, &hi);
    *value = div_down(lo, k);
    return lo > -dim_largest && hi < dim_largest && *value == div_down(hi, k);
}

static Dim div_number(Ctx *c, Dim a, int64_t k) {
    if (k == 1)
        return a;
    Dim q, r;
    split_coefficients(c, a, k, &q, &r);
    int64_t v, inner;
    if (one_quotient(c, r, k, &v))
        return dim_add(c, q, dim(c, v));
    int64_t g = common_coefficient(r, k);
    if (g > 1)
        return dim_add(c, q, div_number(c, shrink(c, r, g), k / g));
    for (int i = 0; i < r->n; i++) { /* (x // m + rest) // k = (x + m rest) // (m k) */
        const Atom *x = dim_quotient_of(&r->term[i], &inner);
        if (!x || r->term[i].coef != 1 || dim_times(inner, k) == dim_largest)
            continue;
        Dim rest = dim_sub(c, r, dim_poly(c, &r->term[i], 1));
        return dim_add(c, q, div_number(c, dim_add_scaled(c, x->a, rest, inner), inner * k));
    }
    return dim_add(
        c, q, dim_atom(c, atom_new(c, (Atom){ .kind = AtomFloorDiv, .a = r, .b = dim(c, k) })));
}

static bool monomial_div(Ctx *c, Monomial a, Monomial b, Monomial *q) {
    if (a.n < b.n || a.coef % b.coef)
        return false;
    *q = (Monomial){ .coef = a.coef / b.coef, .atom = NEWN(c, const Atom *, a.n) };
    int k = 0;
    for (int i = 0; i < a.n; i++)
        if (k < b.n && a.atom[i] == b.atom[k])
            k++;
        else
            q->atom[q->n++] = a.atom[i];
    return k == b.n;
}

/* Division of polynomials by the leading monomial: a / b if it has no remainder. */
bool dim_divides(Ctx *c, Dim a, Dim b, Dim *q) {
    int64_t x, y;
    *q = dim(c, 0);
    if (!b->n)
        return false;
    if (dim_number(a, &x) && dim_number(b, &y)) {
        if (x % y == 0)
            *q = dim(c, x / y);
        return x % y == 0;
    }
    for (int turn = 0; a->n; turn++) {
        Monomial m;
        if (turn > MaxTerms || !monomial_div(c, a->term[0], b->term[0], &m))
            return false;
        Dim one = dim_poly(c, &m, 1);
        *q = dim_add(c, *q, one);
        a = dim_sub(c, a, dim_mul(c, one, b));
    }
    return true;
}

/* q and r with a = b * q + r, taking to q what a single monomial b divides. */
static void split_by(Ctx *c, Dim a, Dim b, Dim *q, Dim *r) {
    *q = *r = dim(c, 0);
    for (int i = 0; i < a->n; i++) {
        Monomial m;
        if (b->n == 1 && monomial_div(c, a->term[i], b->term[0], &m))
            *q = dim_add(c, *q, dim_poly(c, &m, 1));
        else
            *r = dim_add(c, *r, dim_poly(c, &a->term[i], 1));
    }
}

void dim_split(Ctx *c, Dim a, Dim b, Dim *q, Dim *r) {
    int64_t k = 0;
    split_by(c, a, b, q, r);
    int n = (*r)->n - 1;
    if (n < 0 || (*r)->term[n].n || !dim_number(b, &k) || k < 1)
        return;
    int64_t v = div_down((*r)->term[n].coef, k);
    *q = dim_add(c, *q, dim(c, v));
    *r = dim_sub(c, *r, dim(c, v * k));
}

/* 0 <= r < b? */
static bool between_0_and(Ctx *c, Dim r, Dim b) {
    int64_t lo, hi;
    dim_bounds(c, r, &lo, &hi);
    if (lo < 0)
        return false;
    dim_bounds(c, dim_sub(c, r, b), &lo, &hi);
    return hi < 0;
}

static Dim by_zero(Ctx *c) {
    error_plain(c, "a size is divided by 0");
    return dim(c, 1);
}

/* Nothing assumed. */
Dim dim_plain_div(Ctx *c, Dim a, Dim b) {
    int64_t k;
    if (dim_number(b, &k)) {
        if (k == 0)
            return by_zero(c);
        return k < 0 ? div_number(c, dim_scale(c, a, -1), -k) : div_number(c, a, k);
    }
    Dim q, r;
    if (dim_divides(c, a, b, &q))
        return q;
    split_by(c, a, b, &q, &r);
    if (between_0_and(c, r, b))
        return q;
    return dim_add(c, q, dim_atom(c, atom_new(c, (Atom){ .kind = AtomFloorDiv, .a = r, .b = b })));
}

/* x % m inside something % k is x, when k divides m. */
static Dim open_mods(Ctx *c, Dim a, int64_t k) {
    Dim sum = dim(c, 0);
    for (int i = 0; i < a->n; i++) {
        const Monomial *m = &a->term[i];
        int64_t inner;
        bool opens = m->n == 1 && m->atom[0]->kind == AtomMod &&
                     dim_number(m->atom[0]->b, &inner) && inner % k == 0;
        sum =
            dim_add_scaled(c, sum, opens ? m->atom[0]->a : dim_poly(c, m, 1), opens ? m->coef : 1);
    }
    return sum;
}

static Dim mod_number(Ctx *c, Dim a, int64_t k) {
    if (k == 1)
        return dim(c, 0);
    Dim q, r;
    int64_t v, n;
    split_coefficients(c, open_mods(c, a, k), k, &q, &r);
    if (one_quotient(c, r, k, &v))
        return dim_sub(c, r, dim(c, v * k));
    int64_t g = common_coefficient(r, k);
    if (g > 1) { /* (g s + n) % k = g ((s + n // g) % (k / g)) + n % g */
        n = r->n && !r->term[r->n - 1].n ? r->term[r->n - 1].coef : 0;
        return dim_add(c, dim_scale(c, mod_number(c, shrink(c, r, g), k / g), g), dim(c, n % g));
    }
    return dim_atom(c, atom_new(c, (Atom){ .kind = AtomMod, .a = r, .b = dim(c, k) }));
}

Dim dim_plain_mod(Ctx *c, Dim a, Dim b) {
    int64_t k;
    if (dim_number(b, &k)) {
        if (k == 0)
            return by_zero(c);
        return k < 0 ? dim_scale(c, mod_number(c, dim_scale(c, a, -1), -k), -1)
                     : mod_number(c, a, k);
    }
    Dim q, r;
    if (dim_divides(c, a, b, &q))
        return dim(c, 0);
    split_by(c, a, b, &q, &r);
    if (between_0_and(c, r, b))
        return r;
    return dim_atom(c, atom_new(c, (Atom){ .kind = AtomMod, .a = r, .b = b }));
}

/* Any, as long as it is the same for everyone. */
static int dim_order(Dim a, Dim b) {
    for (int i = 0; i < a->n && i < b->n; i++) {
        int o = monomial_order(&a->term[i], &b->term[i]);
        if (o)
            return o;
        if (a->term[i].coef != b->term[i].coef)
            return a->term[i].coef < b->term[i].coef ? -1 : 1;
    }
    return b->n - a->n;
}

Dim dim_choose(Ctx *c, Dim a, Dim b, bool min) {
    int64_t lo, hi;
    dim_bounds(c, dim_sub(c, a, b), &lo, &hi);
    if (hi <= 0)
        return min ? a : b;
    if (lo >= 0)
        return min ? b : a;
    if (dim_order(a, b) > 0) {
        Dim t = a;
        a = b;
        b = t;
    }
    return dim_atom(c, atom_new(c, (Atom){ .kind = min ? AtomMin : AtomMax, .a = a, .b = b }));
}
