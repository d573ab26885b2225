/* dim_parts.h: what the files of sizes share: how atoms and polynomials are kept, and what is assumed. */
#ifndef DIM_PARTS_H
#define DIM_PARTS_H

#include "compiler.h"

enum { MaxTerms = 300, MaxWeight = 1000 };       /* beyond that nobody means it, and it would take for ever */

static const int64_t dim_largest = (int64_t)1 << 62;

typedef struct AtomNode { Atom atom; int id, weight; } AtomNode;        /* an Atom * is an AtomNode * */
typedef struct PolyNode { struct Poly poly; int weight; } PolyNode;

typedef struct DimRule {
    const Atom *atom; Dim by;
    const Atom *quotient; int64_t k;    /* of a multiple: by = k * quotient - …; inside quotient atom stays */
} DimRule;

struct Dims {
    PolyNode **poly; int npoly, poly_cap;
    AtomNode **atom; int natom, atom_cap;
    VEC(DimRule) rule;
    bool said_large, said_long;
};

/* ---- dim.c */

struct Dims *dim_facts(Ctx *c);
const Atom *atom_new(Ctx *c, Atom a);                     /* interned */
Dim  dim_poly(Ctx *c, const Monomial *m, int n);          /* of a normal form */
Dim  dim_normal(Ctx *c, Monomial *m, int n);              /* sorts and merges m in place */
Dim  dim_atom(Ctx *c, const Atom *a);
Dim  dim_add_scaled(Ctx *c, Dim a, Dim b, int64_t by);    /* a + by * b */
Dim  dim_scale(Ctx *c, Dim a, int64_t by);
int  dim_weight(Dim a);                                   /* how many atoms it is written with */
int  monomial_order(const void *x, const void *y);        /* degree falls, then older atoms first */
int64_t dim_times(int64_t a, int64_t b);                  /* saturates */
/* The atom of a monomial `coef * (x // k)` with k a positive number, else NULL. */
const Atom *dim_quotient_of(const Monomial *m, int64_t *k);

/* ---- dim_divide.c: nothing assumed */

bool dim_divides(Ctx *c, Dim a, Dim b, Dim *q);           /* a / b, if it has no remainder */
Dim  dim_plain_div(Ctx *c, Dim a, Dim b);
Dim  dim_plain_mod(Ctx *c, Dim a, Dim b);
Dim  dim_choose(Ctx *c, Dim a, Dim b, bool min);

/* ---- numbers */

static inline int64_t div_down(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static inline int64_t mod_down(int64_t a, int64_t b) {
    return a - div_down(a, b) * b;
}

static inline int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

#endif
