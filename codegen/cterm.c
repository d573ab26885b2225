/* cterm.c: terms and sizes as C expressions.
 *
 * In: terms whose loads are of formals, locals and scratch rows, positions already proved. Out: the text
 * of an expression with no more parentheses than a careful person would write. What C has no operator
 * for is a call of a small helper (`max_f32`, `floor_div`), whose name is noted so that the frame of
 * the file can define it. */
#include "cfamily.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { PrecLowest, PrecWhere, PrecOr, PrecAnd, PrecEqual, PrecOrder, PrecAdd, PrecMul, PrecUnary, PrecPrimary };

static const struct { FnId fn; const char *op; int prec; } operators[] = {
    { FnAdd, " + ",  PrecAdd   }, { FnSub, " - ",  PrecAdd   }, { FnMul, " * ",  PrecMul   },
    { FnDiv, " / ",  PrecMul   }, { FnEq,  " == ", PrecEqual }, { FnNe,  " != ", PrecEqual },
    { FnLt,  " < ",  PrecOrder }, { FnLe,  " <= ", PrecOrder }, { FnGt,  " > ",  PrecOrder },
    { FnGe,  " >= ", PrecOrder }, { FnAnd, " && ", PrecAnd   }, { FnOr,  " || ", PrecOr    },
};

/* Functions that need a helper for the element type, with their C name. */
static const struct { FnId fn; const char *name; } helpers[] = {
    { FnMax, "max" },     { FnMin, "min" },   { FnSign, "sign" },     { FnIsNan, "is_nan" },
    { FnIsInf, "is_inf" }, { FnPow, "pow" },  { FnFloorDiv, "floor_div" }, { FnMod, "floor_mod" },
};

typedef struct Printer {
    Ctx *c;
    const Dialect *words;
    Map *helpers;                       /* Name → itself; NULL: nobody asks */
    Text out;
} Printer;

static void put(Printer *p, const Term *t, Elem want, int prec);

/* The element type a term is computed in: `want` decides for numbers without one. */
static Elem computed_in(const Term *t, Elem want) {
    if (t->elem != AnyInt && t->elem != AnyFloat)
        return t->elem;
    if (want != NoElem && want != AnyInt && want != AnyFloat && want != Bool)
        return want;
    return t->elem == AnyInt ? I32 : Float;
}

/* What two sides of a comparison, or all arguments of a function, are computed in. */
static Elem common(const Term *t, int first) {
    for (int i = first; i < t->n; i++)
        if (t->kid[i]->elem != AnyInt && t->kid[i]->elem != AnyFloat)
            return t->kid[i]->elem;
    for (int i = first; i < t->n; i++)
        if (t->kid[i]->elem == AnyFloat)
            return Float;
    return I32;
}

static const char *elem_suffix(Ctx *c, Elem e) {
    static const char *const suffix[] = {
        [Bool] = "bool", [I8] = "i8", [I16] = "i16", [I32] = "int", [I64] = "i64", [U8] = "u8",
        [U16] = "u16", [U32] = "u32", [U64] = "u64", [F16] = "f16", [BF16] = "bf16", [F32] = "float",
        [F64] = "double",
    };
    return suffix[elem_storage(c, e)];
}

static const char *use_helper(Printer *p, const char *what, Elem e) {
    Name n = name(p->c, "%s_%s", what, elem_suffix(p->c, e));
    if (p->helpers)
        map_put(p->c, p->helpers, n, (void *)n);
    return n;
}

/* ---- numbers */

static void put_number(Printer *p, double v, Elem e) {
    Ctx *c = p->c;
    Elem stored = elem_storage(c, e);
    if (!elem_is_float(stored)) {
        if (stored == I32 && v == -2147483648.0)
            text_add(c, &p->out, "INT32_MIN");
        else
            text_add(c, &p->out, "%.0f%s", v, stored == I64 && fabs(v) > 2147483647.0 ? "LL" : "");
        return;
    }
    const char *suffix = stored == F64 ? "" : p->words->suffix_float;
    if (isnan(v)) {
        text_add(c, &p->out, "NAN");
    } else if (isinf(v)) {
        text_add(c, &p->out, v > 0 ? "INFINITY" : "-INFINITY");
    } else {
        char digits[40];
        shortest(digits, sizeof digits, v, stored == F64);
        text_add(c, &p->out, "%s%s", digits, suffix);
    }
}

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

/* ---- sizes */

static int dim_prec(Dim d) {
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

/* A size as an operand; the helpers its min and max call are noted. */
static void put_dim(Printer *p, Dim d) {
    for (int i = 0; i < d->n; i++)
        for (int j = 0; j < d->term[i].n; j++) {
            AtomKind kind = d->term[i].atom[j]->kind;
            if (kind == AtomMin || kind == AtomMax)
                use_helper(p, kind == AtomMin ? "min" : "max", I32);
        }
    text_add(p->c, &p->out, "%s", print_dim(p->c, d));
}

/* ---- loads */

/* The element's place in a tensor whose inner sizes vary: ((i * B + j) * C + k), zeros left out. */
static Term *flat_position(Ctx *c, const Tensor *t, Term *const *at, int n) {
    Term *sum = term_number(c, AnyInt, 0);
    for (int i = 0; i < n; i++) {
        Term *size = term_size(c, extent(c, t, i));
        sum = term_apply2(c, FnAdd, I32, term_apply2(c, FnMul, I32, sum, size), at[i]);
    }
    return sum;
}

bool has_view(Ctx *c, const Tensor *t) {
    for (int i = 1; i < t->type.rank; i++)
        if (!dim_number(extent(c, t, i), &(int64_t){0}))
            return false;
    return t->type.rank > 0;
}

static void put_place(Printer *p, const Tensor *t, Term *const *at, int n) {
    text_add(p->c, &p->out, "%s", t->name);
    if (n == 0) {
        if (t->kind == TFormal && !t->by_value)
            text_add(p->c, &p->out, "[0]");
        return;
    }
    if (!has_view(p->c, t)) {
        text_add(p->c, &p->out, "[");
        put(p, flat_position(p->c, t, at, n), I32, PrecLowest);
        text_add(p->c, &p->out, "]");
        return;
    }
    for (int i = 0; i < n; i++) {
        text_add(p->c, &p->out, "[");
        put(p, at[i], I32, PrecLowest);
        text_add(p->c, &p->out, "]");
    }
}

/* One comparison of a guard, unless the range of the position decides it. */
static void put_bound(Printer *p, bool *first, const char *fmt, const char *position, const char *size) {
    text_add(p->c, &p->out, "%s", *first ? "" : " && ");
    text_add(p->c, &p->out, fmt, position, size);
    *first = false;
}

/* (h >= 0 && h < 32 ? x[h] : 0.0f) */
static void put_guarded(Printer *p, const Term *t, Elem want) {
    Ctx *c = p->c;
    bool first = true;
    text_add(c, &p->out, "(");
    for (int i = 0; i < t->n; i++) {
        int64_t lo, hi, size;
        bool known = term_range(c, t->kid[i], &lo, &hi);
        Dim d = t->from->type.dim[i];
        bool fixed = dim_number(d, &size);
        Printer q = { c, p->words, p->helpers, {0} };
        put(&q, t->kid[i], I32, PrecOrder);
        if (!known || lo < 0)
            put_bound(p, &first, "%s >= 0", q.out.s, "");
        if (!known || !fixed || hi >= size)
            put_bound(p, &first, "%s < %s", q.out.s, dim_prec(d) < PrecAdd ? format(c, "(%s)", print_dim(c, d)) : print_dim(c, d));
    }
    if (first)
        text_add(c, &p->out, "1");
    text_add(c, &p->out, " ? ");
    put_place(p, t->from, t->kid, t->n);
    text_add(c, &p->out, " : ");
    put(p, t->outside, computed_in(t, want), PrecWhere);
    text_add(c, &p->out, ")");
}

/* ---- functions */

static void put_args(Printer *p, const char *function, const Term *t, Elem e) {
    text_add(p->c, &p->out, "%s(", function);
    for (int i = 0; i < t->n; i++) {
        text_add(p->c, &p->out, i ? ", " : "");
        put(p, t->kid[i], e, PrecLowest);
    }
    text_add(p->c, &p->out, ")");
}

static void open_paren(Printer *p, bool needed) {
    if (needed)
        text_add(p->c, &p->out, "(");
}

static void close_paren(Printer *p, bool needed) {
    if (needed)
        text_add(p->c, &p->out, ")");
}

/* x + -3 is written x - 3. */
static bool put_subtraction(Printer *p, const Term *t, Elem e, int prec) {
    const Term *b = t->kid[1];
    if (t->fn->id != FnAdd)
        return false;
    const Term *negated = b->kind == TApply && b->fn->id == FnNeg ? b->kid[0] : NULL;
    if (b->kind == TNumber && b->number < 0 && b->number > -9e15)
        negated = term_number(p->c, b->elem, -b->number);
    if (!negated)
        return false;
    open_paren(p, prec > PrecAdd);
    put(p, t->kid[0], e, PrecAdd);
    text_add(p->c, &p->out, " - ");
    put(p, negated, e, PrecAdd + 1);
    close_paren(p, prec > PrecAdd);
    return true;
}

static bool is_comparison(FnId f) {
    return f >= FnEq && f <= FnGe;
}

static bool narrow(Ctx *c, Elem e) {
    return !elem_is_float(e) && e != Bool && elem_bytes(c, e) < 4;
}

static bool put_operator(Printer *p, const Term *t, Elem want, int prec) {
    FnId f = t->fn->id;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (operators[i].fn != f)
            continue;
        Elem e = is_comparison(f) ? common(t, 0) : f == FnAnd || f == FnOr ? Bool : computed_in(t, want);
        bool cast = narrow(p->c, e) && !is_comparison(f);       // C computes in int
        if (cast) {
            text_add(p->c, &p->out, "(%s)(", p->words->elem[elem_storage(p->c, e)]);
            prec = PrecLowest;
        }
        if (!put_subtraction(p, t, e, prec)) {
            int own = operators[i].prec;
            bool mixed = own == PrecAnd && prec == PrecOr;      // gcc asks for these parentheses
            open_paren(p, prec > own || mixed);
            put(p, t->kid[0], e, own);
            text_add(p->c, &p->out, "%s", operators[i].op);
            put(p, t->kid[1], e, own + 1);
            close_paren(p, prec > own || mixed);
        }
        close_paren(p, cast);
        return true;
    }
    return false;
}

static bool never_negative(Ctx *c, const Term *t) {
    int64_t lo, hi;
    return term_range(c, t, &lo, &hi) && lo >= 0;
}

/* // and % round down: C's own where nothing is negative. */
static bool put_plain_division(Printer *p, const Term *t, int prec) {
    bool div = t->fn->id == FnFloorDiv;
    if (!div && t->fn->id != FnMod)
        return false;
    if (elem_is_float(computed_in(t, I32)) || !never_negative(p->c, t->kid[0]) || !never_negative(p->c, t->kid[1]))
        return false;
    open_paren(p, prec > PrecMul);
    put(p, t->kid[0], I32, PrecMul);
    text_add(p->c, &p->out, div ? " / " : " %% ");
    put(p, t->kid[1], I32, PrecMul + 1);
    close_paren(p, prec > PrecMul);
    return true;
}

static void put_cast(Printer *p, const Term *t, int prec) {
    Elem from = computed_in(t->kid[0], NoElem), to = t->elem;
    Elem a = elem_storage(p->c, from), b = elem_storage(p->c, to);
    bool written = t->kid[0]->kind == TNumber || t->kid[0]->kind == TSize;
    if (a == b || (t->kid[0]->elem == AnyInt && written) || (t->kid[0]->elem == AnyFloat && elem_is_float(b))) {
        put(p, t->kid[0], to, prec);
        return;
    }
    if (b == Bool) {
        open_paren(p, prec > PrecEqual);
        put(p, t->kid[0], from, PrecEqual + 1);
        text_add(p->c, &p->out, " != 0");
        close_paren(p, prec > PrecEqual);
    } else if (elem_is_float(a) && !elem_is_float(b)) {
        put_args(p, use_helper(p, format(p->c, "%s_from", elem_suffix(p->c, to)), from), t, from);
    } else {
        open_paren(p, prec > PrecUnary);
        text_add(p->c, &p->out, "(%s)", p->words->elem[b]);
        put(p, t->kid[0], from, PrecUnary);
        close_paren(p, prec > PrecUnary);
    }
}

static const char *float_word(Printer *p, const char *word, Elem e) {
    return format(p->c, "%s%s", word, elem_storage(p->c, e) == F64 ? "" : p->words->suffix_float);
}

static void put_where(Printer *p, const Term *t, Elem want, int prec) {
    Elem e = t->kid[1]->elem == AnyInt || t->kid[1]->elem == AnyFloat ? computed_in(t, want) : t->kid[1]->elem;
    if (t->elem != AnyInt && t->elem != AnyFloat)
        e = t->elem;
    open_paren(p, prec > PrecWhere);
    put(p, t->kid[0], Bool, PrecWhere + 1);
    text_add(p->c, &p->out, " ? ");
    put(p, t->kid[1], e, PrecWhere + 1);
    text_add(p->c, &p->out, " : ");
    put(p, t->kid[2], e, PrecWhere);
    close_paren(p, prec > PrecWhere);
}

static void put_unary(Printer *p, const char *op, const Term *kid, Elem e, int prec) {
    open_paren(p, prec > PrecUnary);
    text_add(p->c, &p->out, "%s", op);
    bool twice = kid->kind == TApply && kid->fn->id == FnNeg;       // - -x is not --x
    put(p, kid, e, twice ? PrecPrimary : PrecUnary);
    close_paren(p, prec > PrecUnary);
}

static void put_bits(Printer *p, const char *op, const Term *t, Elem e, int prec) {
    open_paren(p, prec > PrecLowest);
    put(p, t->kid[0], e, PrecUnary);
    text_add(p->c, &p->out, "%s", op);
    put(p, t->kid[1], e, PrecUnary);
    close_paren(p, prec > PrecLowest);
}

static void put_apply(Printer *p, const Term *t, Elem want, int prec) {
    Elem e = computed_in(t, want);
    if (put_operator(p, t, want, prec) || put_plain_division(p, t, prec))
        return;
    switch (t->fn->id) {
    case FnNeg:          put_unary(p, "-", t->kid[0], e, prec); return;
    case FnNot:          put_unary(p, "!", t->kid[0], Bool, prec); return;
    case FnWhere:        put_where(p, t, want, prec); return;
    case FnCast:         put_cast(p, t, prec); return;
    case FnStopGradient: put(p, t->kid[0], want, prec); return;
    case FnBand:         put_bits(p, " & ", t, e, prec); return;
    case FnBor:          put_bits(p, " | ", t, e, prec); return;
    case FnBxor:         put_bits(p, " ^ ", t, e, prec); return;
    case FnShl:          put_bits(p, " << ", t, e, prec); return;
    case FnShr:          put_bits(p, " >> ", t, e, prec); return;
    case FnExtern:       put_args(p, float_word(p, t->fn->word, e), t, e); return;
    case FnAbs:
        put_args(p, elem_is_float(e) ? float_word(p, "fabs", e) : use_helper(p, "abs", e), t, e);
        return;
    case FnPow:
        if (elem_is_float(e)) {
            put_args(p, float_word(p, "pow", e), t, e);
            return;
        }
        break;
    default:
        break;
    }
    for (size_t i = 0; i < sizeof helpers / sizeof *helpers; i++) {
        if (helpers[i].fn != t->fn->id)
            continue;
        Elem of = t->fn->id == FnIsNan || t->fn->id == FnIsInf ? common(t, 0) : e;
        put_args(p, use_helper(p, helpers[i].name, of), t, of);
        return;
    }
    assert(!"a scalar function that C cannot print");
}

static void put(Printer *p, const Term *t, Elem want, int prec) {
    Ctx *c = p->c;
    switch (t->kind) {
    case TNumber: {
        bool negative = t->number < 0 || (t->number == 0 && signbit(t->number));
        open_paren(p, negative && prec > PrecUnary);
        put_number(p, t->number, computed_in(t, want));
        close_paren(p, negative && prec > PrecUnary);
        return;
    }
    case TIndex:
        text_add(c, &p->out, "%s", t->index->name);
        return;
    case TSize: {
        Elem e = computed_in(t, want);
        bool cast = elem_is_float(e), parens = cast ? prec > PrecUnary : prec > dim_prec(t->size);
        open_paren(p, parens);
        if (cast)
            text_add(c, &p->out, dim_prec(t->size) < PrecPrimary ? "(%s)(%s)" : "(%s)%s",
                     p->words->elem[elem_storage(c, e)], print_dim(c, t->size));
        else
            put_dim(p, t->size);
        close_paren(p, parens);
        return;
    }
    case TLoad:
        if (t->outside)
            put_guarded(p, t, want);
        else
            put_place(p, t->from, t->kid, t->n);
        return;
    case TApply:
        put_apply(p, t, want, prec);
        return;
    }
}

char *print_term_as(Ctx *c, const Dialect *d, const Term *t, Elem want, bool operand, Map *used) {
    Printer p = { c, d, used, {0} };
    put(&p, t, want, operand ? PrecUnary : PrecLowest);
    return p.out.s;
}

char *print_term(Ctx *c, const Dialect *d, const Term *t) {
    return print_term_as(c, d, t, t->elem, false, NULL);
}

char *print_place(Ctx *c, const Dialect *d, const Tensor *t, Term *const *at, int n, Map *used) {
    Printer p = { c, d, used, {0} };
    put_place(&p, t, at, n);
    return p.out.s;
}

const char *reduce_helper(Ctx *c, const char *what, Elem e, Map *used) {
    Printer p = { c, NULL, used, {0} };
    return use_helper(&p, what, e);
}
