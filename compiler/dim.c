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
#include "dim_parts.h"

#include <stdlib.h>
#include <string.h>

struct Dims *dim_facts(Ctx *c) {
    if (!c->dims)
        c->dims = NEW(c, struct Dims);
    return c->dims;
}

/* ---- numbers that saturate */

static int64_t add_saturated(int64_t a, int64_t b) {
    if (b > 0 ? a > dim_largest - b : a < -dim_largest - b)
        return b > 0 ? dim_largest : -dim_largest;
    return a + b;
}

int64_t dim_times(int64_t a, int64_t b) {
    if (a == 0 || b == 0)
        return 0;
    int64_t room = dim_largest / (b < 0 ? -b : b);
    if (a > room || a < -room)
        return (a < 0) == (b < 0) ? dim_largest : -dim_largest;
    return a * b;
}

static int64_t checked(Ctx *c, int64_t n) {
    if (n < dim_largest && n > -dim_largest)
        return n;
    if (!dim_facts(c)->said_large)
        error_plain(c, "a size is larger than 2^62");
    dim_facts(c)->said_large = true;
    return n < 0 ? -dim_largest : dim_largest;
}

/* ---- atoms and polynomials are interned */

static uint32_t hash_pointer(uint32_t h, const void *p) {
    uint64_t v = (uint64_t)(uintptr_t)p * 0x9E3779B97F4A7C15u;
    return (h ^ (uint32_t)(v >> 32)) * 16777619u;
}

static uint32_t atom_hash(const Atom *a) {
    return hash_pointer(hash_pointer(hash_pointer((uint32_t)a->kind + 1, a->symbol), a->a), a->b);
}

static uint32_t poly_hash(const Monomial *m, int n) {
    uint32_t h = 2166136261u;
    for (int i = 0; i < n; i++) {
        h = (h ^ (uint32_t)((uint64_t)m[i].coef * 0x9E3779B97F4A7C15u >> 32)) * 16777619u;
        for (int k = 0; k < m[i].n; k++)
            h = hash_pointer(h, m[i].atom[k]);
    }
    return h;
}

static int atom_id(const Atom *a) {
    return ((const AtomNode *)a)->id;
}

int dim_weight(Dim a) {
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

const Atom *atom_new(Ctx *c, Atom a) {
    struct Dims *d = dim_facts(c);
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
        n->weight += dim_weight(a.a) + dim_weight(a.b);
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

Dim dim_poly(Ctx *c, const Monomial *m, int n) {
    struct Dims *d = dim_facts(c);
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

int monomial_order(const void *x, const void *y) {
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

Dim dim_normal(Ctx *c, Monomial *m, int n) {
    if (n > 1)
        qsort(m, (size_t)n, sizeof *m, monomial_order);
    int out = 0;
    for (int i = 0; i < n;) {
        Monomial sum = m[i++];
        while (i < n && monomial_order(&sum, &m[i]) == 0)
            sum.coef = checked(c, add_saturated(sum.coef, m[i++].coef));
        if (sum.coef)
            m[out++] = sum;
    }
    return dim_poly(c, m, out);
}

static Monomial monomial_mul(Ctx *c, Monomial a, Monomial b) {
    Monomial m = { .coef = checked(c, dim_times(a.coef, b.coef)), .n = a.n + b.n };
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

Dim dim_atom(Ctx *c, const Atom *a) {
    const Atom **one = NEW(c, const Atom *);
    *one = a;
    return dim_poly(c, &(Monomial){ .coef = 1, .atom = one, .n = 1 }, 1);
}

Dim dim(Ctx *c, int64_t n) {
    return dim_poly(c, &(Monomial){ .coef = checked(c, n) }, n != 0);
}

Dim dim_symbol(Ctx *c, Symbol *s) {
    return dim_atom(c, atom_new(c, (Atom){ .kind = AtomSymbol, .symbol = s }));
}

Dim dim_add_scaled(Ctx *c, Dim a, Dim b, int64_t by) {
    Monomial few[16], *m = a->n + b->n <= 16 ? few : NEWN(c, Monomial, a->n + b->n);
    if (a->n)
        memcpy(m, a->term, sizeof *m * (size_t)a->n);
    for (int i = 0; i < b->n; i++) {
        m[a->n + i] = b->term[i];
        m[a->n + i].coef = checked(c, dim_times(b->term[i].coef, by));
    }
    return dim_normal(c, m, a->n + b->n);
}

Dim dim_add(Ctx *c, Dim a, Dim b) {
    return a->n == 0 ? b : b->n == 0 ? a : dim_add_scaled(c, a, b, 1);
}

Dim dim_sub(Ctx *c, Dim a, Dim b) {
    return b->n == 0 ? a : dim_add_scaled(c, a, b, -1);
}

Dim dim_mul(Ctx *c, Dim a, Dim b) {
    int64_t n = (int64_t)a->n * b->n;
    if (dim_is(a, 1))
        return b;
    if (dim_is(b, 1))
        return a;
    if (n > MaxTerms) {
        if (!dim_facts(c)->said_long)
            error_plain(c, "a size has more than %d parts", (int)MaxTerms);
        dim_facts(c)->said_long = true;
        return dim(c, 1);
    }
    Monomial few[16], *m = n <= 16 ? few : NEWN(c, Monomial, n);
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < b->n; k++)
            m[i * b->n + k] = monomial_mul(c, a->term[i], b->term[k]);
    return dim_normal(c, m, (int)n);
}

Dim dim_scale(Ctx *c, Dim a, int64_t by) {
    return dim_add_scaled(c, dim(c, 0), a, by);
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

typedef struct Interval { int64_t lo, hi; } Interval;

static int64_t lesser(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t greater(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static Interval range_mul(Interval a, Interval b) {
    int64_t p = dim_times(a.lo, b.lo), q = dim_times(a.lo, b.hi), r = dim_times(a.hi, b.lo),
            s = dim_times(a.hi, b.hi);
    return (Interval){ lesser(lesser(p, q), lesser(r, s)), greater(greater(p, q), greater(r, s)) };
}

static Interval range_div(Interval a, Interval b) {
    if (b.lo <= 0 && a.lo >= 0 && b.lo >= 0)
        b.lo = 1; /* what is divided by is not 0 */
    if (b.lo > 0 && b.hi >= b.lo)
        return (Interval){ lesser(div_down(a.lo, b.lo), div_down(a.lo, b.hi)),
                           greater(div_down(a.hi, b.lo), div_down(a.hi, b.hi)) };
    int64_t m = greater(a.hi, -a.lo);
    return (Interval){ -m, m };
}

static Interval range_mod(Interval a, Interval b) {
    if (b.lo >= 0) {
        Interval r = { 0, greater(b.hi - 1, 0) };
        if (a.lo >= 0)
            r.hi = lesser(r.hi, a.hi);
        return r;
    }
    int64_t m = greater(b.hi, -b.lo) - 1;
    return (Interval){ -m, m };
}

static Interval range_symbol(const Symbol *s) {
    if (!s->bounded && s->lo == 0 && s->hi == 0)
        return (Interval){ 0, INT32_MAX };
    return (Interval){ greater(s->lo, -dim_largest), lesser(s->hi, dim_largest) };
}

static Interval range_poly(Dim a);

static Interval range_atom(const Atom *a) {
    if (a->kind == AtomSymbol)
        return range_symbol(a->symbol);
    Interval x = range_poly(a->a), y = range_poly(a->b);
    switch (a->kind) {
    case AtomFloorDiv: return range_div(x, y);
    case AtomMod:      return range_mod(x, y);
    case AtomMin:      return (Interval){lesser(x.lo, y.lo), lesser(x.hi, y.hi)};
    default:           return (Interval){greater(x.lo, y.lo), greater(x.hi, y.hi)};
    }
}

static Interval range_poly(Dim a) {
    Interval sum = { 0, 0 };
    for (int i = 0; i < a->n; i++) {
        Interval p = { a->term[i].coef, a->term[i].coef };
        for (int k = 0; k < a->term[i].n; k++)
            p = range_mul(p, range_atom(a->term[i].atom[k]));
        sum = (Interval){ add_saturated(sum.lo, p.lo), add_saturated(sum.hi, p.hi) };
    }
    return sum;
}

const Atom *dim_quotient_of(const Monomial *m, int64_t *k) {
    if (m->n != 1 || m->atom[0]->kind != AtomFloorDiv)
        return NULL;
    return dim_number(m->atom[0]->b, k) && *k > 0 ? m->atom[0] : NULL;
}

/* By how much to scale `a` so that every quotient in it can be multiplied out; 0: too much. */
static int64_t clearing_factor(Dim a) {
    int64_t f = 1, k;
    for (int i = 0; i < a->n; i++) {
        if (!dim_quotient_of(&a->term[i], &k))
            continue;
        int64_t need = k / gcd(k, dim_times(f, a->term[i].coef));
        f = dim_times(f, need);
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
        const Atom *q = dim_quotient_of(&a->term[i], &k);
        if (!q) {
            sum = dim_add_scaled(c, sum, dim_poly(c, &a->term[i], 1), f);
            continue;
        }
        Dim x = (coef > 0) == upper ? q->a : dim_sub(c, q->a, dim(c, k - 1));
        sum = dim_add_scaled(c, sum, x, f * coef / k);
    }
    return sum;
}

/* Likewise with a min or max replaced by one of its sides, which bounds it. */
static void narrow_by_sides(Ctx *c, Dim a, Interval *r) {
    for (int i = 0; i < a->n; i++) {
        const Monomial *m = &a->term[i];
        if (m->n != 1 || (m->atom[0]->kind != AtomMin && m->atom[0]->kind != AtomMax))
            continue;
        bool upper = (m->atom[0]->kind == AtomMin) == (m->coef > 0);
        Dim rest = dim_sub(c, a, dim_poly(c, m, 1));
        Interval x = range_poly(dim_add_scaled(c, rest, m->atom[0]->a, m->coef));
        Interval y = range_poly(dim_add_scaled(c, rest, m->atom[0]->b, m->coef));
        if (upper)
            r->hi = lesser(r->hi, lesser(x.hi, y.hi));
        else
            r->lo = greater(r->lo, greater(x.lo, y.lo));
    }
}

void dim_bounds(Ctx *c, Dim a, int64_t *lo, int64_t *hi) {
    Interval r = range_poly(a);
    int64_t f = clearing_factor(a), k;
    bool any = false;
    for (int i = 0; i < a->n; i++)
        any = any || dim_quotient_of(&a->term[i], &k);
    if (any && f && a->n > 1 && r.lo > -dim_largest / 2 && r.hi < dim_largest / 2) {
        r.hi = lesser(r.hi, div_down(range_poly(multiply_out(c, a, f, true)).hi, f));
        r.lo = greater(r.lo, -div_down(-range_poly(multiply_out(c, a, f, false)).lo, f));
    }
    if (a->n > 1)
        narrow_by_sides(c, a, &r);
    *lo = r.lo;
    *hi = r.hi;
}
