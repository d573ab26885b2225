/* dim.c: sizes as polynomials (rules 35-38).
 *
 * A Dim is a sum of monomials: a number times a product of atoms. An atom is a symbol, or
 * something no polynomial can say: a // b, a % b, min(a, b), max(a, b). Atoms and polynomials are
 * interned, so equal normal forms are one pointer.
 *
 * Monomials are sorted by degree, then by the age of their atoms, and never have the factor 0. In
 * `a // k` every coefficient of a lies in [0, k) and shares no factor with k, and a is no quotient
 * itself: whatever way the size of a chain of convolutions is written, it comes out the same.
 *
 * What is assumed (`require`) is kept as rules `atom = polynomial`. Arithmetic ignores them,
 * except that a division uses them where that makes it simpler; dim_bind applies them all, and
 * what compares binds first. */
#include "compiler.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MaxTerms = 300, MaxWeight = 1000 };       /* beyond that nobody means it, and it would take for ever */

static const int64_t largest = (int64_t)1 << 62;

typedef struct AtomNode { Atom atom; int id, weight; } AtomNode;        /* an Atom * is an AtomNode * */
typedef struct PolyNode { struct Poly poly; int weight; } PolyNode;

typedef struct Rule {
    const Atom *atom; Dim by;
    const Atom *quotient; int64_t k;    /* of a multiple: by = k * quotient - …; inside quotient atom stays */
} Rule;

struct Dims {
    PolyNode **poly; int npoly, poly_cap;
    AtomNode **atom; int natom, atom_cap;
    VEC(Rule) rule;
    bool said_large, said_long;
};

static struct Dims *dims(Ctx *c) {
    if (!c->dims)
        c->dims = NEW(c, struct Dims);
    return c->dims;
}

/* ---- numbers that saturate */

static int64_t add_sat(int64_t a, int64_t b) {
    if (b > 0 ? a > largest - b : a < -largest - b)
        return b > 0 ? largest : -largest;
    return a + b;
}

static int64_t mul_sat(int64_t a, int64_t b) {
    if (a == 0 || b == 0)
        return 0;
    int64_t room = largest / (b < 0 ? -b : b);
    if (a > room || a < -room)
        return (a < 0) == (b < 0) ? largest : -largest;
    return a * b;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t floor_mod(int64_t a, int64_t b) {
    return a - floor_div(a, b) * b;
}

static int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

static int64_t checked(Ctx *c, int64_t n) {
    if (n < largest && n > -largest)
        return n;
    if (!dims(c)->said_large)
        error_plain(c, "a size is larger than 2^62");
    dims(c)->said_large = true;
    return n < 0 ? -largest : largest;
}

/* ---- atoms and polynomials are interned */

static uint32_t mix(uint32_t h, const void *p) {
    uint64_t v = (uint64_t)(uintptr_t)p * 0x9E3779B97F4A7C15u;
    return (h ^ (uint32_t)(v >> 32)) * 16777619u;
}

static uint32_t atom_hash(const Atom *a) {
    return mix(mix(mix((uint32_t)a->kind + 1, a->symbol), a->a), a->b);
}

static uint32_t poly_hash(const Monomial *m, int n) {
    uint32_t h = 2166136261u;
    for (int i = 0; i < n; i++) {
        h = (h ^ (uint32_t)((uint64_t)m[i].coef * 0x9E3779B97F4A7C15u >> 32)) * 16777619u;
        for (int k = 0; k < m[i].n; k++)
            h = mix(h, m[i].atom[k]);
    }
    return h;
}

static int atom_id(const Atom *a) {
    return ((const AtomNode *)a)->id;
}
static int weight(Dim a) {
    return ((const PolyNode *)a)->weight;
}

static bool poly_is(Dim p, const Monomial *m, int n) {
    if (p->n != n)
        return false;
    for (int i = 0; i < n; i++) {
        if (p->term[i].coef != m[i].coef || p->term[i].n != m[i].n)
            return false;
        for (int k = 0; k < m[i].n; k++)
            if (p->term[i].atom[k] != m[i].atom[k])
                return false;
    }
    return true;
}

static void atoms_grow(Ctx *c, struct Dims *d) {
    AtomNode **old = d->atom;
    int was = d->atom_cap;
    d->atom_cap = was ? was * 2 : 64;
    d->atom = NEWN(c, AtomNode *, d->atom_cap);
    for (int i = 0; i < was; i++) {
        if (!old[i])
            continue;
        uint32_t h = atom_hash(&old[i]->atom) & (uint32_t)(d->atom_cap - 1);
        while (d->atom[h])
            h = (h + 1) & (uint32_t)(d->atom_cap - 1);
        d->atom[h] = old[i];
    }
}

static const Atom *atom(Ctx *c, Atom a) {
    struct Dims *d = dims(c);
    if (d->natom * 2 >= d->atom_cap)
        atoms_grow(c, d);
    uint32_t h = atom_hash(&a) & (uint32_t)(d->atom_cap - 1);
    for (; d->atom[h]; h = (h + 1) & (uint32_t)(d->atom_cap - 1)) {
        const Atom *b = &d->atom[h]->atom;
        if (b->kind == a.kind && b->symbol == a.symbol && b->a == a.a && b->b == a.b)
            return b;
    }
    AtomNode *n = NEW(c, AtomNode);
    *n = (AtomNode){ .atom = a, .id = d->natom++, .weight = 1 };
    if (a.a)
        n->weight += weight(a.a) + weight(a.b);
    d->atom[h] = n;
    return &n->atom;
}

static void polys_grow(Ctx *c, struct Dims *d) {
    PolyNode **old = d->poly;
    int was = d->poly_cap;
    d->poly_cap = was ? was * 2 : 256;
    d->poly = NEWN(c, PolyNode *, d->poly_cap);
    for (int i = 0; i < was; i++) {
        if (!old[i])
            continue;
        uint32_t h = old[i]->poly.hash & (uint32_t)(d->poly_cap - 1);
        while (d->poly[h])
            h = (h + 1) & (uint32_t)(d->poly_cap - 1);
        d->poly[h] = old[i];
    }
}

static int total_weight(const Monomial *m, int n) {
    int64_t w = 1;
    for (int i = 0; i < n; i++) {
        w++;
        for (int k = 0; k < m[i].n; k++)
            w += ((const AtomNode *)m[i].atom[k])->weight;
    }
    return w > INT32_MAX ? INT32_MAX : (int)w;
}

/* M is in normal form. */
static Dim poly(Ctx *c, const Monomial *m, int n) {
    struct Dims *d = dims(c);
    int w = total_weight(m, n);
    if (w > MaxWeight) {
        if (!d->said_long)
            error_plain(c, "a size has more than %d parts", (int)MaxTerms);
        d->said_long = true;
        return dim(c, 1);
    }
    if (d->npoly * 2 >= d->poly_cap)
        polys_grow(c, d);
    uint32_t hash = poly_hash(m, n), h = hash & (uint32_t)(d->poly_cap - 1);
    for (; d->poly[h]; h = (h + 1) & (uint32_t)(d->poly_cap - 1))
        if (d->poly[h]->poly.hash == hash && poly_is(&d->poly[h]->poly, m, n))
            return &d->poly[h]->poly;
    PolyNode *p = NEW(c, PolyNode);
    p->poly = (struct Poly){ .term = NEWN(c, Monomial, n), .n = n, .hash = hash };
    if (n)
        memcpy(p->poly.term, m, sizeof *m * (size_t)n);
    p->weight = w;
    d->poly[h] = p;
    d->npoly++;
    return &p->poly;
}

/* ---- normal form */

/* Degree falls, then older atoms first. */
static int monomial_order(const void *x, const void *y) {
    const Monomial *a = x, *b = y;
    if (a->n != b->n)
        return b->n - a->n;
    for (int i = 0; i < a->n; i++)
        if (a->atom[i] != b->atom[i])
            return atom_id(a->atom[i]) - atom_id(b->atom[i]);
    return 0;
}

static int atom_order(const void *x, const void *y) {
    return atom_id(*(const Atom *const *)x) - atom_id(*(const Atom *const *)y);
}

/* Sorts and merges in place. */
static Dim normal(Ctx *c, Monomial *m, int n) {
    if (n > 1)
        qsort(m, (size_t)n, sizeof *m, monomial_order);
    int out = 0;
    for (int i = 0; i < n;) {
        Monomial sum = m[i++];
        while (i < n && monomial_order(&sum, &m[i]) == 0)
            sum.coef = checked(c, add_sat(sum.coef, m[i++].coef));
        if (sum.coef)
            m[out++] = sum;
    }
    return poly(c, m, out);
}

static Monomial monomial_mul(Ctx *c, Monomial a, Monomial b) {
    Monomial m = { .coef = checked(c, mul_sat(a.coef, b.coef)), .n = a.n + b.n };
    if (!a.n || !b.n) {
        m.atom = a.n ? a.atom : b.atom;
        return m;
    }
    m.atom = NEWN(c, const Atom *, m.n);
    memcpy(m.atom, a.atom, sizeof *a.atom * (size_t)a.n);
    memcpy(m.atom + a.n, b.atom, sizeof *b.atom * (size_t)b.n);
    qsort(m.atom, (size_t)m.n, sizeof *m.atom, atom_order);
    return m;
}

static Dim dim_atom(Ctx *c, const Atom *a) {
    const Atom **one = NEW(c, const Atom *);
    *one = a;
    return poly(c, &(Monomial){ .coef = 1, .atom = one, .n = 1 }, 1);
}

Dim dim(Ctx *c, int64_t n) {
    return poly(c, &(Monomial){ .coef = checked(c, n) }, n != 0);
}

Dim dim_symbol(Ctx *c, Symbol *s) {
    return dim_atom(c, atom(c, (Atom){ .kind = AtomSymbol, .symbol = s }));
}

static Dim add_scaled(Ctx *c, Dim a, Dim b, int64_t by) {
    Monomial few[16], *m = a->n + b->n <= 16 ? few : NEWN(c, Monomial, a->n + b->n);
    if (a->n)
        memcpy(m, a->term, sizeof *m * (size_t)a->n);
    for (int i = 0; i < b->n; i++) {
        m[a->n + i] = b->term[i];
        m[a->n + i].coef = checked(c, mul_sat(b->term[i].coef, by));
    }
    return normal(c, m, a->n + b->n);
}

Dim dim_add(Ctx *c, Dim a, Dim b) {
    return a->n == 0 ? b : b->n == 0 ? a : add_scaled(c, a, b, 1);
}
Dim dim_sub(Ctx *c, Dim a, Dim b) {
    return b->n == 0 ? a : add_scaled(c, a, b, -1);
}

Dim dim_mul(Ctx *c, Dim a, Dim b) {
    int64_t n = (int64_t)a->n * b->n;
    if (dim_is(a, 1))
        return b;
    if (dim_is(b, 1))
        return a;
    if (n > MaxTerms) {
        if (!dims(c)->said_long)
            error_plain(c, "a size has more than %d parts", (int)MaxTerms);
        dims(c)->said_long = true;
        return dim(c, 1);
    }
    Monomial few[16], *m = n <= 16 ? few : NEWN(c, Monomial, n);
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < b->n; k++)
            m[i * b->n + k] = monomial_mul(c, a->term[i], b->term[k]);
    return normal(c, m, (int)n);
}

static Dim scale(Ctx *c, Dim a, int64_t by) {
    return add_scaled(c, dim(c, 0), a, by);
}

bool dim_number(Dim a, int64_t *n) {
    if (a->n > 1 || (a->n == 1 && a->term[0].n))
        return false;
    *n = a->n ? a->term[0].coef : 0;
    return true;
}

bool dim_is(Dim a, int64_t n) {
    int64_t v;
    return dim_number(a, &v) && v == n;
}

/* ---- bounds */

typedef struct Range { int64_t lo, hi; } Range;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static Range range_mul(Range a, Range b) {
    int64_t p = mul_sat(a.lo, b.lo), q = mul_sat(a.lo, b.hi), r = mul_sat(a.hi, b.lo),
            s = mul_sat(a.hi, b.hi);
    return (Range){ least(least(p, q), least(r, s)), most(most(p, q), most(r, s)) };
}

static Range range_div(Range a, Range b) {
    if (b.lo <= 0 && a.lo >= 0 && b.lo >= 0)
        b.lo = 1; /* what is divided by is not 0 */
    if (b.lo > 0 && b.hi >= b.lo)
        return (Range){ least(floor_div(a.lo, b.lo), floor_div(a.lo, b.hi)),
                        most(floor_div(a.hi, b.lo), floor_div(a.hi, b.hi)) };
    int64_t m = most(a.hi, -a.lo);
    return (Range){ -m, m };
}

static Range range_mod(Range a, Range b) {
    if (b.lo >= 0) {
        Range r = { 0, most(b.hi - 1, 0) };
        if (a.lo >= 0)
            r.hi = least(r.hi, a.hi);
        return r;
    }
    int64_t m = most(b.hi, -b.lo) - 1;
    return (Range){ -m, m };
}

static Range range_symbol(const Symbol *s) {
    if (!s->bounded && s->lo == 0 && s->hi == 0)
        return (Range){ 0, INT32_MAX };
    return (Range){ most(s->lo, -largest), least(s->hi, largest) };
}

static Range range_poly(Dim a);

static Range range_atom(const Atom *a) {
    if (a->kind == AtomSymbol)
        return range_symbol(a->symbol);
    Range x = range_poly(a->a), y = range_poly(a->b);
    switch (a->kind) {
    case AtomFloorDiv: return range_div(x, y);
    case AtomMod:      return range_mod(x, y);
    case AtomMin:      return (Range){least(x.lo, y.lo), least(x.hi, y.hi)};
    default:           return (Range){most(x.lo, y.lo), most(x.hi, y.hi)};
    }
}

static Range range_poly(Dim a) {
    Range sum = { 0, 0 };
    for (int i = 0; i < a->n; i++) {
        Range p = { a->term[i].coef, a->term[i].coef };
        for (int k = 0; k < a->term[i].n; k++)
            p = range_mul(p, range_atom(a->term[i].atom[k]));
        sum = (Range){ add_sat(sum.lo, p.lo), add_sat(sum.hi, p.hi) };
    }
    return sum;
}

/* The atom of a monomial `coef * (x // k)` with k a positive number, else NULL. */
static const Atom *quotient_of(const Monomial *m, int64_t *k) {
    if (m->n != 1 || m->atom[0]->kind != AtomFloorDiv)
        return NULL;
    return dim_number(m->atom[0]->b, k) && *k > 0 ? m->atom[0] : NULL;
}

/* By how much to scale `a` so that every quotient in it can be multiplied out; 0: too much. */
static int64_t clearing_factor(Dim a) {
    int64_t f = 1, k;
    for (int i = 0; i < a->n; i++) {
        if (!quotient_of(&a->term[i], &k))
            continue;
        int64_t need = k / gcd(k, mul_sat(f, a->term[i].coef));
        f = mul_sat(f, need);
        if (f > 1 << 20)
            return 0;
    }
    return f;
}

/* One end of the interval of f·a, with k(x // k) replaced by its own bound x or x - k + 1, so that
 * what stands in x cancels against the rest. */
static Dim multiply_out(Ctx *c, Dim a, int64_t f, bool upper) {
    Dim sum = dim(c, 0);
    for (int i = 0; i < a->n; i++) {
        int64_t k, coef = a->term[i].coef;
        const Atom *q = quotient_of(&a->term[i], &k);
        if (!q) {
            sum = add_scaled(c, sum, poly(c, &a->term[i], 1), f);
            continue;
        }
        Dim x = (coef > 0) == upper ? q->a : dim_sub(c, q->a, dim(c, k - 1));
        sum = add_scaled(c, sum, x, f * coef / k);
    }
    return sum;
}

/* Likewise with a min or max replaced by one of its sides, which bounds it. */
static void narrow_by_sides(Ctx *c, Dim a, Range *r) {
    for (int i = 0; i < a->n; i++) {
        const Monomial *m = &a->term[i];
        if (m->n != 1 || (m->atom[0]->kind != AtomMin && m->atom[0]->kind != AtomMax))
            continue;
        bool upper = (m->atom[0]->kind == AtomMin) == (m->coef > 0);
        Dim rest = dim_sub(c, a, poly(c, m, 1));
        Range x = range_poly(add_scaled(c, rest, m->atom[0]->a, m->coef));
        Range y = range_poly(add_scaled(c, rest, m->atom[0]->b, m->coef));
        if (upper)
            r->hi = least(r->hi, least(x.hi, y.hi));
        else
            r->lo = most(r->lo, most(x.lo, y.lo));
    }
}

void dim_bounds(Ctx *c, Dim a, int64_t *lo, int64_t *hi) {
    Range r = range_poly(a);
    int64_t f = clearing_factor(a), k;
    bool any = false;
    for (int i = 0; i < a->n; i++)
        any = any || quotient_of(&a->term[i], &k);
    if (any && f && a->n > 1 && r.lo > -largest / 2 && r.hi < largest / 2) {
        r.hi = least(r.hi, floor_div(range_poly(multiply_out(c, a, f, true)).hi, f));
        r.lo = most(r.lo, -floor_div(-range_poly(multiply_out(c, a, f, false)).lo, f));
    }
    if (a->n > 1)
        narrow_by_sides(c, a, &r);
    *lo = r.lo;
    *hi = r.hi;
}

/* ---- division */

/* a = k * q + r, where every coefficient of r lies in [0, k). */
static void split(Ctx *c, Dim a, int64_t k, Dim *q, Dim *r) {
    Monomial few[2][16];
    Monomial *mq = a->n <= 16 ? few[0] : NEWN(c, Monomial, a->n),
             *mr = a->n <= 16 ? few[1] : NEWN(c, Monomial, a->n);
    for (int i = 0; i < a->n; i++) {
        mq[i] = mr[i] = a->term[i];
        mq[i].coef = floor_div(a->term[i].coef, k);
        mr[i].coef = floor_mod(a->term[i].coef, k);
    }
    *q = normal(c, mq, a->n);
    *r = normal(c, mr, a->n);
}

/* Of k and all coefficients but the constant's. */
static int64_t common_factor(Dim a, int64_t k) {
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
        m[i].coef = floor_div(m[i].coef, g);
    }
    return normal(c, m, a->n);
}

/* Does a // k have one value over the bounds of a? */
static bool one_quotient(Ctx *c, Dim a, int64_t k, int64_t *value) {
    int64_t lo, hi;
    dim_bounds(c, a, &lo, &hi);
    *value = floor_div(lo, k);
    return lo > -largest && hi < largest && *value == floor_div(hi, k);
}

static Dim div_number(Ctx *c, Dim a, int64_t k) {
    if (k == 1)
        return a;
    Dim q, r;
    split(c, a, k, &q, &r);
    int64_t v, inner;
    if (one_quotient(c, r, k, &v))
        return dim_add(c, q, dim(c, v));
    int64_t g = common_factor(r, k);
    if (g > 1)
        return dim_add(c, q, div_number(c, shrink(c, r, g), k / g));
    for (int i = 0; i < r->n; i++) { /* (x // m + rest) // k = (x + m rest) // (m k) */
        const Atom *x = quotient_of(&r->term[i], &inner);
        if (!x || r->term[i].coef != 1 || mul_sat(inner, k) == largest)
            continue;
        Dim rest = dim_sub(c, r, poly(c, &r->term[i], 1));
        return dim_add(c, q, div_number(c, add_scaled(c, x->a, rest, inner), inner * k));
    }
    return dim_add(c, q,
                   dim_atom(c, atom(c, (Atom){ .kind = AtomFloorDiv, .a = r, .b = dim(c, k) })));
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
static bool divides(Ctx *c, Dim a, Dim b, Dim *q) {
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
        Dim one = poly(c, &m, 1);
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
            *q = dim_add(c, *q, poly(c, &m, 1));
        else
            *r = dim_add(c, *r, poly(c, &a->term[i], 1));
    }
}

void dim_split(Ctx *c, Dim a, Dim b, Dim *q, Dim *r) {
    int64_t k = 0;
    split_by(c, a, b, q, r);
    int n = (*r)->n - 1;
    if (n < 0 || (*r)->term[n].n || !dim_number(b, &k) || k < 1)
        return;
    int64_t v = floor_div((*r)->term[n].coef, k);
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
static Dim plain_div(Ctx *c, Dim a, Dim b) {
    int64_t k;
    if (dim_number(b, &k)) {
        if (k == 0)
            return by_zero(c);
        return k < 0 ? div_number(c, scale(c, a, -1), -k) : div_number(c, a, k);
    }
    Dim q, r;
    if (divides(c, a, b, &q))
        return q;
    split_by(c, a, b, &q, &r);
    if (between_0_and(c, r, b))
        return q;
    return dim_add(c, q, dim_atom(c, atom(c, (Atom){ .kind = AtomFloorDiv, .a = r, .b = b })));
}

/* x % m inside something % k is x, when k divides m. */
static Dim open_mods(Ctx *c, Dim a, int64_t k) {
    Dim sum = dim(c, 0);
    for (int i = 0; i < a->n; i++) {
        const Monomial *m = &a->term[i];
        int64_t inner;
        bool opens = m->n == 1 && m->atom[0]->kind == AtomMod &&
                     dim_number(m->atom[0]->b, &inner) && inner % k == 0;
        sum = add_scaled(c, sum, opens ? m->atom[0]->a : poly(c, m, 1), opens ? m->coef : 1);
    }
    return sum;
}

static Dim mod_number(Ctx *c, Dim a, int64_t k) {
    if (k == 1)
        return dim(c, 0);
    Dim q, r;
    int64_t v, n;
    split(c, open_mods(c, a, k), k, &q, &r);
    if (one_quotient(c, r, k, &v))
        return dim_sub(c, r, dim(c, v * k));
    int64_t g = common_factor(r, k);
    if (g > 1) { /* (g s + n) % k = g ((s + n // g) % (k / g)) + n % g */
        n = r->n && !r->term[r->n - 1].n ? r->term[r->n - 1].coef : 0;
        return dim_add(c, scale(c, mod_number(c, shrink(c, r, g), k / g), g), dim(c, n % g));
    }
    return dim_atom(c, atom(c, (Atom){ .kind = AtomMod, .a = r, .b = dim(c, k) }));
}

static Dim plain_mod(Ctx *c, Dim a, Dim b) {
    int64_t k;
    if (dim_number(b, &k)) {
        if (k == 0)
            return by_zero(c);
        return k < 0 ? scale(c, mod_number(c, scale(c, a, -1), -k), -1) : mod_number(c, a, k);
    }
    Dim q, r;
    if (divides(c, a, b, &q))
        return dim(c, 0);
    split_by(c, a, b, &q, &r);
    if (between_0_and(c, r, b))
        return r;
    return dim_atom(c, atom(c, (Atom){ .kind = AtomMod, .a = r, .b = b }));
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

static Dim choose(Ctx *c, Dim a, Dim b, bool min) {
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
    return dim_atom(c, atom(c, (Atom){ .kind = min ? AtomMin : AtomMax, .a = a, .b = b }));
}

/* ---- what is assumed */

static Dim rebuild(Ctx *c, Dim a, Dim (*replace)(Ctx *, const Atom *, void *), void *with) {
    Dim sum = dim(c, 0);
    for (int i = 0; i < a->n; i++) {
        Dim p = dim(c, a->term[i].coef);
        for (int k = 0; k < a->term[i].n; k++)
            p = dim_mul(c, p, replace(c, a->term[i].atom[k], with));
        sum = dim_add(c, sum, p);
    }
    return sum;
}

static Dim rebuild_atom(Ctx *c, const Atom *a, Dim (*replace)(Ctx *, const Atom *, void *),
                        void *with) {
    if (a->kind == AtomSymbol)
        return dim_atom(c, a);
    Dim x = rebuild(c, a->a, replace, with), y = rebuild(c, a->b, replace, with);
    switch (a->kind) {
    case AtomFloorDiv: return plain_div(c, x, y);
    case AtomMod:      return plain_mod(c, x, y);
    default:           return choose(c, x, y, a->kind == AtomMin);
    }
}

static Dim bind_atom(Ctx *c, const Atom *a, void *with) {
    struct Dims *d = dims(c);
    for (int i = 0; i < d->rule.n; i++) {
        if (d->rule.at[i].quotient == a)
            return dim_atom(c, a);
        if (d->rule.at[i].atom == a)
            return d->rule.at[i].by;
    }
    return rebuild_atom(c, a, bind_atom, with);
}

Dim dim_bind(Ctx *c, Dim a) {
    for (int turn = 0; dims(c)->rule.n && turn < 8; turn++) {
        Dim b = rebuild(c, a, bind_atom, NULL);
        if (a == b)
            break;
        a = b;
    }
    return a;
}

/* X % k is x - k (x // k). */
static Dim open_mod(Ctx *c, const Atom *a, void *with) {
    Dim x = rebuild_atom(c, a, open_mod, with);
    if (x->n != 1 || x->term[0].n != 1 || x->term[0].coef != 1 ||
        x->term[0].atom[0]->kind != AtomMod)
        return x;
    const Atom *m = x->term[0].atom[0];
    return dim_sub(c, m->a, dim_mul(c, m->b, plain_div(c, m->a, m->b)));
}

bool dim_equal(Ctx *c, Dim a, Dim b) {
    if (a == b)
        return true;
    a = dim_bind(c, a);
    b = dim_bind(c, b);
    if (a == b)
        return true;
    Dim d = rebuild(c, dim_sub(c, a, b), open_mod, NULL);
    int64_t lo, hi;
    dim_bounds(c, d, &lo, &hi);
    return lo == 0 && hi == 0;
}

static bool mentions_atom(Dim a, const Atom *x);

static bool atom_mentions(const Atom *a, const Atom *x) {
    return a == x || (a->a && (mentions_atom(a->a, x) || mentions_atom(a->b, x)));
}

static bool mentions_atom(Dim a, const Atom *x) {
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < a->term[i].n; k++)
            if (atom_mentions(a->term[i].atom[k], x))
                return true;
    return false;
}

/* The last monomial ±atom of `a` whose atom stands nowhere else in it, symbols before other atoms;
 * -1: none. */
static int solvable(Ctx *c, Dim a) {
    int found = -1;
    for (int i = 0; i < a->n; i++) {
        const Monomial *m = &a->term[i];
        if (m->n != 1 || (m->coef != 1 && m->coef != -1))
            continue;
        if (mentions_atom(dim_sub(c, a, poly(c, m, 1)), m->atom[0]))
            continue;
        if (found < 0 || m->atom[0]->kind == AtomSymbol)
            found = i;
    }
    return found;
}

void dim_assume_equal(Ctx *c, Dim a, Dim b) {
    Dim d = dim_sub(c, dim_bind(c, a), dim_bind(c, b));
    int i = solvable(c, d);
    if (i < 0)
        return; /* equal already, or nothing that could be replaced */
    Dim rest = dim_sub(c, d, poly(c, &d->term[i], 1));
    Rule r = { .atom = d->term[i].atom[0], .by = scale(c, rest, -d->term[i].coef) };
    push(c, &dims(c)->rule, r);
}

void dim_assume_multiple(Ctx *c, Dim a, int64_t k) {
    a = dim_bind(c, a);
    if (k < 0)
        k = -k;
    if (a->n == 1 && k)
        k /= gcd(k, a->term[0].coef);
    if (a->n == 1 && a->term[0].n == 1)
        a = dim_atom(c, a->term[0].atom[0]);
    int i = solvable(c, a);
    if (k < 2 || i < 0)
        return;
    Monomial m = a->term[i];
    Dim q = dim_atom(c, atom(c, (Atom){ .kind = AtomFloorDiv, .a = a, .b = dim(c, k) }));
    Dim rest = dim_sub(c, a, poly(c, &m, 1));
    Dim by = scale(c, add_scaled(c, scale(c, q, k), rest, -1), m.coef);
    Rule r = { .atom = m.atom[0], .by = by, .quotient = q->term[0].atom[0], .k = k };
    push(c, &dims(c)->rule, r);
}

/* With what is assumed where that is shorter. */
static Dim simpler(Ctx *c, Dim a, Dim b, Dim (*plain)(Ctx *, Dim, Dim)) {
    Dim x = plain(c, a, b);
    if (!dims(c)->rule.n)
        return x;
    Dim y = plain(c, dim_bind(c, a), dim_bind(c, b));
    return weight(y) < weight(x) || (y->n == 1 && x->n > 1) ? y : x;
}

Dim dim_floordiv(Ctx *c, Dim a, Dim b) {
    return simpler(c, a, b, plain_div);
}
Dim dim_mod(Ctx *c, Dim a, Dim b) {
    return simpler(c, a, b, plain_mod);
}
Dim dim_min(Ctx *c, Dim a, Dim b) {
    return dim_equal(c, a, b) ? a : choose(c, a, b, true);
}
Dim dim_max(Ctx *c, Dim a, Dim b) {
    return dim_equal(c, a, b) ? a : choose(c, a, b, false);
}

bool dim_exact(Ctx *c, Dim a, Dim b, Dim *q) {
    if (!b->n)
        return false;
    if (divides(c, a, b, q))
        return true;
    Dim ab = dim_bind(c, a), bb = dim_bind(c, b);
    if (!bb->n)
        return false;
    if (divides(c, ab, bb, q))
        return true;
    if (plain_mod(c, ab, bb)->n)
        return false;
    *q = plain_div(c, ab, bb);
    return true;
}

int dim_less(Ctx *c, Dim a, Dim b) {
    int64_t lo, hi;
    dim_bounds(c, dim_sub(c, a, b), &lo, &hi);
    if (dims(c)->rule.n && lo < 0 && hi >= 0)
        dim_bounds(c, dim_bind(c, dim_sub(c, a, b)), &lo, &hi);
    return hi < 0 ? 1 : lo >= 0 ? 0 : -1;
}

typedef struct Subst { Symbol *symbol; Dim by; } Subst;

static Dim subst_atom(Ctx *c, const Atom *a, void *with) {
    const Subst *s = with;
    return a->symbol == s->symbol ? s->by : rebuild_atom(c, a, subst_atom, with);
}

Dim dim_subst(Ctx *c, Dim a, Symbol *s, Dim by) {
    return rebuild(c, a, subst_atom, &(Subst){ s, by });
}

bool dim_symbols(Dim a, void (*each)(Symbol *, void *), void *with) {
    bool any = false;
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < a->term[i].n; k++) {
            const Atom *x = a->term[i].atom[k];
            if (x->kind != AtomSymbol) {
                any = dim_symbols(x->a, each, with) || any;
                any = dim_symbols(x->b, each, with) || any;
                continue;
            }
            if (each)
                each(x->symbol, with);
            any = true;
        }
    return any;
}

/* ---- text */

static const Rule *multiple_rule(Ctx *c, const Atom *quotient) {
    for (int i = 0; i < dims(c)->rule.n; i++)
        if (dims(c)->rule.at[i].quotient == quotient)
            return &dims(c)->rule.at[i];
    return NULL;
}

/* In parentheses unless it is one word. */
static char *operand_text(Ctx *c, Dim a) {
    int64_t n;
    bool word = (dim_number(a, &n) && n >= 0) ||
                (a->n == 1 && a->term[0].n == 1 && a->term[0].coef == 1 &&
                 a->term[0].atom[0]->kind != AtomFloorDiv && a->term[0].atom[0]->kind != AtomMod);
    return format(c, word ? "%s" : "(%s)", dim_text(c, a));
}

static char *atom_text(Ctx *c, const Atom *a, int64_t *coef, bool alone) {
    if (a->kind == AtomSymbol)
        return format(c, "%s", a->symbol->name);
    if (a->kind == AtomMin || a->kind == AtomMax)
        return format(c, "%s(%s, %s)", a->kind == AtomMin ? "min" : "max", dim_text(c, a->a),
                      dim_text(c, a->b));
    const char *op = a->kind == AtomMod ? "%" : "//";
    char *divisor = operand_text(c, a->b);
    const Rule *r = multiple_rule(c, a);
    if (r) { /* 4 * (H / 8) is read as H / 2 */
        int64_t g = gcd(*coef, r->k);
        *coef /= g;
        if (g == r->k)
            return operand_text(c, a->a);
        op = "/";
        divisor = format(c, "%lld", (long long)(r->k / g));
        alone = alone && (*coef == 1 || *coef == -1);
    }
    return format(c, alone ? "%s %s %s" : "(%s %s %s)", operand_text(c, a->a), op, divisor);
}

/* The text of |coef| · atoms. */
static char *monomial_text(Ctx *c, const Monomial *m) {
    int64_t coef = m->coef < 0 ? -m->coef : m->coef;
    bool alone = m->n == 1 && coef == 1;
    Text atoms = { 0 }, all = { 0 };
    for (int i = 0; i < m->n; i++) {
        bool single = alone || (m->n == 1 && multiple_rule(c, m->atom[i]));
        text_add(c, &atoms, "%s%s", i ? " * " : "", atom_text(c, m->atom[i], &coef, single));
    }
    if (coef != 1 || !m->n)
        text_add(c, &all, "%lld%s", (long long)coef, m->n ? " * " : "");
    if (m->n)
        text_add(c, &all, "%s", atoms.s);
    return all.s;
}

char *dim_text(Ctx *c, Dim a) {
    if (!a->n)
        return format(c, "0");
    int first = 0; /* `1 - H` rather than `-H + 1` */
    while (first < a->n && a->term[first].coef < 0)
        first++;
    Text t = { 0 };
    if (first < a->n)
        text_add(c, &t, "%s", monomial_text(c, &a->term[first]));
    for (int i = 0; i < a->n; i++) {
        if (i == first)
            continue;
        bool minus = a->term[i].coef < 0;
        text_add(c, &t, "%s%s",
                 t.n     ? minus ? " - " : " + "
                 : minus ? "-"
                         : "",
                 monomial_text(c, &a->term[i]));
    }
    return t.s;
}
