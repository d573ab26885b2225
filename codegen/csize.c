/* csize.c: sizes and floating-point numbers as C text. */
#include "cfamily.h"

#include <string.h>

/* The fewest digits that read back as the same float (or double), with a point or an exponent. */
void shortest(char *s, size_t n, double v, bool is_double) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, n, "%.*g", digits, v);
        double back = strtod(s, NULL);
        if (is_double ? back == v : (float)back == (float)v)
            break;
    }
    if (!strpbrk(s, ".e"))
        strncat(s, ".0", n - strlen(s) - 1);
}

int dim_prec(Dim d) {
    if (d->n > 1)
        return PrecAdd;
    if (!d->n)
        return PrecPrimary;
    if (d->term[0].coef < 0)
        return PrecUnary;
    return d->term[0].n + (d->term[0].coef != 1) > 1 ? PrecMul : PrecPrimary;
}

static char *dim_operand(Ctx *c, Dim d) {
    return format(c, dim_prec(d) < PrecPrimary ? "(%s)" : "%s", print_dim(c, d));
}

static void put_atom(Ctx *c, Text *out, const Atom *a) {
    switch (a->kind) {
    case AtomSymbol:
        text_add(c, out, "%s", a->symbol->name);
        return;
    case AtomFloorDiv:
    case AtomMod:
        text_add(c, out, "(%s %s %s)", dim_operand(c, a->a), a->kind == AtomMod ? "%" : "/",
                 dim_operand(c, a->b));
        return;
    case AtomMin:
    case AtomMax:
        text_add(c, out, "%s_int(%s, %s)", a->kind == AtomMin ? "min" : "max", print_dim(c, a->a),
                 print_dim(c, a->b));
        return;
    }
}

/* A monomial without its sign; a coefficient of 1 is left out where something else stands. */
static void put_monomial(Ctx *c, Text *out, const Monomial *m) {
    int64_t coef = m->coef < 0 ? -m->coef : m->coef;
    for (int i = 0; i < m->n; i++) {
        if (i)
            text_add(c, out, " * ");
        put_atom(c, out, m->atom[i]);
    }
    if (!m->n)
        text_add(c, out, "%lld", (long long)coef);
    else if (coef != 1)
        text_add(c, out, " * %lld", (long long)coef);
}

/* Sizes are never negative and divisors are positive, so `/` and `%` round as the language says. */
char *print_dim(Ctx *c, Dim d) {
    Text out = {0};
    if (!d->n)
        text_add(c, &out, "0");
    for (int pass = 0; pass < 2; pass++) {              // what is added first, then what is taken away
        for (int i = 0; i < d->n; i++) {
            bool negative = d->term[i].coef < 0;
            if (negative != (pass == 1))
                continue;
            if (negative)
                text_add(c, &out, out.n ? " - " : "-");
            else if (out.n)
                text_add(c, &out, " + ");
            put_monomial(c, &out, &d->term[i]);
        }
    }
    return out.s;
}
