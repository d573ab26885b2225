/* cterm.c: terms and sizes as C expressions.
 *
 * In: terms whose loads are of formals, locals and scratch rows, positions already proved. Out: the text
 * of an expression with no more parentheses than a careful person would write. What C has no operator
 * for is a call of a small helper (`max_float`, `add_int`), whose name is noted so that the frame of
 * the file can define it. */
#include "cfamily.h"
#include "loops.h"

#include <assert.h>
#include <math.h>
#include <string.h>

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
    { FnDiv, "floor_div" }, { FnShl, "shl" }, { FnShr, "shr" },
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

static const char *integer_suffix(Elem stored, double v) {
    if (stored == U64)
        return fabs(v) > 4294967295.0 ? "ULL" : "U";
    if (stored == U32)
        return "U";
    return stored == I64 && fabs(v) > 2147483647.0 ? "LL" : "";
}

static void put_number(Printer *p, double v, Elem e) {
    Ctx *c = p->c;
    Elem stored = elem_storage(c, e);
    if (!elem_is_float(stored)) {
        if (stored == I32 && v == -2147483648.0)
            text_add(c, &p->out, "INT32_MIN");
        else if (stored == I64 && v == -9223372036854775808.0)
            text_add(c, &p->out, "INT64_MIN");
        else
            text_add(c, &p->out, "%.0f%s", v, integer_suffix(stored, v));
        return;
    }
    const char *suffix = stored == F64 ? "" : p->words->suffix_float;
    v = elem_cast(stored, v);           // beyond the type it is infinite, or 0
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

/* ---- sizes */

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
    for (int i = 1; i < t->type.rank; i++) {
        int64_t size;
        if (!dim_number(extent(c, t, i), &size) || size == 0)   // ISO C has no array of nothing
            return false;
    }
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

/* 3 * x of -3 * x, x * y of -1 * x * y; NULL: no negative number leads the product. */
static const Term *without_minus(Ctx *c, const Term *t) {
    if (t->kind == TNumber && t->number < 0 && t->number > -9e15)
        return term_number(c, t->elem, -t->number);
    if (t->kind != TApply || t->fn->id != FnMul || !elem_is_float(t->elem))
        return NULL;
    const Term *first = without_minus(c, t->kid[0]);
    if (!first)
        return NULL;
    if (first->kind == TNumber && first->number == 1)
        return t->kid[1];
    return term_plain(c, t->fn, t->elem, (Term *[]){ (Term *)(uintptr_t)first, t->kid[1] });
}

/* x + -3 is written x - 3. */
static bool put_subtraction(Printer *p, const Term *t, Elem e, int prec) {
    const Term *b = t->kid[1];
    if (t->fn->id != FnAdd)
        return false;
    const Term *negated = b->kind == TApply && b->fn->id == FnNeg ? b->kid[0] : without_minus(p->c, b);
    if (!negated)
        return false;
    open_paren(p, prec > PrecAdd);
    put(p, t->kid[0], e, PrecAdd);
    text_add(p->c, &p->out, " - ");
    put(p, negated, e, PrecAdd + 1);
    close_paren(p, prec > PrecAdd);
    return true;
}

/* ---- integers that wrap. Overflow of signed integers is undefined in C: where data may lead to it, a helper
 * computes without a sign. Positions made of indices and sizes alone stay within int. */

/* May a sum, difference or product of these leave the type it is computed in? */
static bool may_wrap(Ctx *c, const Term *t, Elem e) {
    Elem stored = elem_storage(c, e);
    FnId f = t->fn->id;
    if (stored == U16)
        return f == FnMul;                              // C computes in int
    if ((stored != I32 && stored != I64) || !reads_data(t))
        return false;
    int64_t lo[2], hi[2];
    for (int i = 0; i < 2; i++)
        if (!term_range(c, t->kid[i], &lo[i], &hi[i]))
            return true;
    double least, most, end = stored == I32 ? 2147483647.0 : 9e18;     // what is read of 64 bits saturates at 2^62
    for (int i = 0; i < 2 && stored == I64; i++)
        if (lo[i] <= -(INT64_C(1) << 62) || hi[i] >= INT64_C(1) << 62)
            return true;
    if (f == FnAdd) {
        least = (double)lo[0] + (double)lo[1];
        most = (double)hi[0] + (double)hi[1];
    } else if (f == FnSub) {
        least = (double)lo[0] - (double)hi[1];
        most = (double)hi[0] - (double)lo[1];
    } else {
        double a = fmax(fabs((double)lo[0]), fabs((double)hi[0])), b = fmax(fabs((double)lo[1]), fabs((double)hi[1]));
        most = a * b;
        least = -most;
    }
    return least < -end || most > end;
}

/* add_int(pos, t + 1): what comes from data first, then what stays within int as one operand. */
static bool put_wrapping_sum(Printer *p, const Term *t) {
    Ctx *c = p->c;
    Linear l, plain = { .base = dim(c, 0) };
    Text out = {0};
    if (t->fn->id == FnMul || (t->elem != I32 && t->elem != AnyInt))
        return false;
    linear(c, (Term *)(uintptr_t)t, &l);
    plain.base = l.base;
    for (int pass = 0; pass < 2; pass++)                // what is added, then what is taken away
        for (int i = 0; i < l.n; i++) {
            if (!reads_data(l.atom[i])) {
                plain.atom[plain.n] = l.atom[i];
                plain.coef[plain.n] = l.coef[i];
                plain.n += pass;
                continue;
            }
            if (llabs(l.coef[i]) != 1 || (!pass && l.coef[i] < 0) || (pass && l.coef[i] > 0))  {
                if (llabs(l.coef[i]) != 1)
                    return false;
                continue;
            }
            char *atom = print_term_as(c, p->words, l.atom[i], I32, false, p->helpers);
            if (!out.n && pass)
                return false;
            out = (Text){ .s = out.n ? format(c, "%s(%s, %s)", use_helper(p, pass ? "sub" : "add", I32), out.s, atom) : atom };
            out.n = strlen(out.s);
        }
    if (!out.n)
        return false;
    Term *rest = linear_term(c, &plain);
    bool minus = rest->kind == TNumber && rest->number < 0;
    if (minus)
        rest = term_number(c, I32, -rest->number);
    if (rest->kind == TNumber && rest->number == 0)
        text_add(c, &p->out, "%s", out.s);
    else
        text_add(c, &p->out, "%s(%s, %s)", use_helper(p, minus ? "sub" : "add", I32), out.s,
                 print_term_as(c, p->words, rest, I32, false, p->helpers));
    return true;
}

static void put_wrapping(Printer *p, const Term *t, Elem e) {
    if (put_wrapping_sum(p, t))
        return;
    const Term *b = t->kid[1];
    const char *word = t->fn->id == FnAdd ? "add" : t->fn->id == FnSub ? "sub" : "mul";
    if (t->fn->id == FnAdd && b->kind == TNumber && b->number < 0 && b->number > -9e15) {
        word = "sub";
        b = term_number(p->c, b->elem, -b->number);
    }
    text_add(p->c, &p->out, "%s(", use_helper(p, word, e));
    put(p, t->kid[0], e, PrecLowest);
    text_add(p->c, &p->out, ", ");
    put(p, b, e, PrecLowest);
    text_add(p->c, &p->out, ")");
}

/* o + 1 - 8 >= 0 is written o >= 7. */
static bool put_comparison(Printer *p, const Term *t, int own, const char *op, int prec) {
    Ctx *c = p->c;
    int64_t base, other;
    Linear l, r;
    if (t->kid[0]->kind != TApply || (t->kid[0]->elem != I32 && t->kid[0]->elem != AnyInt) || reads_data(t))
        return false;
    linear(c, (Term *)(uintptr_t)t->kid[0], &l);
    linear(c, (Term *)(uintptr_t)t->kid[1], &r);
    if (l.n == 0 || r.n > 0 || !dim_number(l.base, &base) || !dim_number(r.base, &other))
        return false;
    l.base = dim(c, 0);
    open_paren(p, prec > own);
    put(p, linear_term(c, &l), I32, own);
    text_add(c, &p->out, "%s%lld", op, (long long)(other - base));
    close_paren(p, prec > own);
    return true;
}

static bool is_compare(FnId f) {
    return f >= FnEq && f <= FnGe;
}

static bool is_narrow(Ctx *c, Elem e) {
    return !elem_is_float(e) && e != Bool && elem_bytes(c, e) < 4;
}

static bool put_operator(Printer *p, const Term *t, Elem want, int prec) {
    FnId f = t->fn->id;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (operators[i].fn != f)
            continue;
        Elem e = is_compare(f) ? common(t, 0) : f == FnAnd || f == FnOr ? Bool : computed_in(t, want);
        if (f == FnDiv && !elem_is_float(e))
            return false;
        if ((f == FnAdd || f == FnSub || f == FnMul) && may_wrap(p->c, t, e)) {
            put_wrapping(p, t, e);
            return true;
        }
        if (is_compare(f) && put_comparison(p, t, operators[i].prec, operators[i].op, prec))
            return true;
        bool cast = is_narrow(p->c, e) && !is_compare(f) && f != FnAnd && f != FnOr;    // C computes in int
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
            put(p, t->kid[1], e, own == PrecOr ? PrecOr : own + 1);
            close_paren(p, prec > own || mixed);
        }
        close_paren(p, cast);
        return true;
    }
    return false;
}

/* A divisor that comes from data may be 0. */
static bool divides(Ctx *c, const Term *t) {
    int64_t lo, hi;
    return !term_reads(t) || (term_range(c, t, &lo, &hi) && lo > 0);
}

static bool stays_positive(Ctx *c, const Term *t) {
    int64_t lo, hi;
    return term_range(c, t, &lo, &hi) && lo >= 0;
}

/* // and % round down: C's own where nothing is negative. */
static bool put_plain_division(Printer *p, const Term *t, int prec) {
    bool div = t->fn->id == FnFloorDiv;
    if (!div && t->fn->id != FnMod)
        return false;
    Elem e = computed_in(t, I32);
    if (elem_is_float(e) || elem_bytes(p->c, e) < 4 || !divides(p->c, t->kid[1]))
        return false;
    if (!stays_positive(p->c, t->kid[0]) || !stays_positive(p->c, t->kid[1]))
        return false;
    open_paren(p, prec > PrecMul);
    put(p, t->kid[0], I32, PrecMul);
    text_add(p->c, &p->out, div ? " / " : " %% ");
    put(p, t->kid[1], I32, PrecMul + 1);
    close_paren(p, prec > PrecMul);
    return true;
}

static void put_cast(Printer *p, const Term *t, Elem want, int prec) {
    Elem from = computed_in(t->kid[0], NoElem), to = computed_in(t, want);
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
    put(p, t->kid[0], Bool, PrecAnd);
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

static void put_negative(Printer *p, const Term *kid, Elem e, int prec) {
    Elem stored = elem_storage(p->c, e);
    bool wraps = stored == I32 || stored == I64;
    if (wraps && kid->kind != TNumber && reads_data(kid)) {
        text_add(p->c, &p->out, "%s(", use_helper(p, "neg", e));
        put(p, kid, e, PrecLowest);
        text_add(p->c, &p->out, ")");
        return;
    }
    if (!elem_is_float(stored) && !wraps)
        text_add(p->c, &p->out, "(%s)", p->words->elem[stored]);
    put_unary(p, "-", kid, e, elem_is_float(stored) || wraps ? prec : PrecUnary);
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
    case FnNeg:          put_negative(p, t->kid[0], e, prec); return;
    case FnNot:          put_unary(p, "!", t->kid[0], Bool, prec); return;
    case FnWhere:        put_where(p, t, want, prec); return;
    case FnCast:         put_cast(p, t, want, prec); return;
    case FnStopGradient: put(p, t->kid[0], want, prec); return;
    case FnBand:         put_bits(p, " & ", t, e, prec); return;
    case FnBor:          put_bits(p, " | ", t, e, prec); return;
    case FnBxor:         put_bits(p, " ^ ", t, e, prec); return;
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
