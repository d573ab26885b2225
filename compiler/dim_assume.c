/* dim_assume.c: what `require` says of sizes, and all that asks for it: equality, order, division. */
#include "dim_parts.h"

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
    case AtomFloorDiv: return dim_plain_div(c, x, y);
    case AtomMod:      return dim_plain_mod(c, x, y);
    default:           return dim_choose(c, x, y, a->kind == AtomMin);
    }
}

static Dim bind_atom(Ctx *c, const Atom *a, void *with) {
    struct Dims *d = dim_facts(c);
    for (int i = 0; i < d->rule.n; i++) {
        if (d->rule.at[i].quotient == a)
            return dim_atom(c, a);
        if (d->rule.at[i].atom == a)
            return d->rule.at[i].by;
    }
    return rebuild_atom(c, a, bind_atom, with);
}

Dim dim_bind(Ctx *c, Dim a) {
    for (int turn = 0; dim_facts(c)->rule.n && turn < 8; turn++) {
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
    return dim_sub(c, m->a, dim_mul(c, m->b, dim_plain_div(c, m->a, m->b)));
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
        if (mentions_atom(dim_sub(c, a, dim_poly(c, m, 1)), m->atom[0]))
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
    Dim rest = dim_sub(c, d, dim_poly(c, &d->term[i], 1));
    DimRule r = { .atom = d->term[i].atom[0], .by = dim_scale(c, rest, -d->term[i].coef) };
    push(c, &dim_facts(c)->rule, r);
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
    Dim q = dim_atom(c, atom_new(c, (Atom){ .kind = AtomFloorDiv, .a = a, .b = dim(c, k) }));
    Dim rest = dim_sub(c, a, dim_poly(c, &m, 1));
    Dim by = dim_scale(c, dim_add_scaled(c, dim_scale(c, q, k), rest, -1), m.coef);
    DimRule r = { .atom = m.atom[0], .by = by, .quotient = q->term[0].atom[0], .k = k };
    push(c, &dim_facts(c)->rule, r);
}

/* With what is assumed where that is shorter. */
static Dim simpler(Ctx *c, Dim a, Dim b, Dim (*plain)(Ctx *, Dim, Dim)) {
    Dim x = plain(c, a, b);
    if (!dim_facts(c)->rule.n)
        return x;
    Dim y = plain(c, dim_bind(c, a), dim_bind(c, b));
    return dim_weight(y) < dim_weight(x) || (y->n == 1 && x->n > 1) ? y : x;
}

Dim dim_floordiv(Ctx *c, Dim a, Dim b) {
    return simpler(c, a, b, dim_plain_div);
}

Dim dim_mod(Ctx *c, Dim a, Dim b) {
    return simpler(c, a, b, dim_plain_mod);
}

Dim dim_min(Ctx *c, Dim a, Dim b) {
    return dim_equal(c, a, b) ? a : dim_choose(c, a, b, true);
}

Dim dim_max(Ctx *c, Dim a, Dim b) {
    return dim_equal(c, a, b) ? a : dim_choose(c, a, b, false);
}

bool dim_exact(Ctx *c, Dim a, Dim b, Dim *q) {
    if (!b->n)
        return false;
    if (dim_divides(c, a, b, q))
        return true;
    Dim ab = dim_bind(c, a), bb = dim_bind(c, b);
    if (!bb->n)
        return false;
    if (dim_divides(c, ab, bb, q))
        return true;
    if (dim_plain_mod(c, ab, bb)->n)
        return false;
    *q = dim_plain_div(c, ab, bb);
    return true;
}

int dim_less(Ctx *c, Dim a, Dim b) {
    int64_t lo, hi;
    dim_bounds(c, dim_sub(c, a, b), &lo, &hi);
    if (dim_facts(c)->rule.n && lo < 0 && hi >= 0)
        dim_bounds(c, dim_bind(c, dim_sub(c, a, b)), &lo, &hi);
    return hi < 0 ? 1 : lo >= 0 ? 0 : -1;
}

typedef struct SymbolSubst { Symbol *symbol; Dim by; } SymbolSubst;

static Dim subst_atom(Ctx *c, const Atom *a, void *with) {
    const SymbolSubst *s = with;
    return a->symbol == s->symbol ? s->by : rebuild_atom(c, a, subst_atom, with);
}

Dim dim_subst(Ctx *c, Dim a, Symbol *s, Dim by) {
    return rebuild(c, a, subst_atom, &(SymbolSubst){ s, by });
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
