/* dim_text.c: a size as a person would write it. */
#include "dim_parts.h"

static const DimRule *multiple_rule(Ctx *c, const Atom *quotient) {
    for (int i = 0; i < dim_facts(c)->rule.n; i++)
        if (dim_facts(c)->rule.at[i].quotient == quotient)
            return &dim_facts(c)->rule.at[i];
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
    const DimRule *r = multiple_rule(c, a);
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
