/* fn.c: the scalar functions, and what each computes on the compiler's own machine.
 *
 * Values are doubles, whatever the element type. Floats are computed in double and rounded by who
 * stores them; integers wrap to the width of their type, and `//` and `%` round down. */
#include "compiler.h"
#include "evalstore.h"

#include <math.h>
#include <string.h>

static const Fn table[] = {
    [FnAdd]          = {FnAdd,          "+",             2, NULL},
    [FnSub]          = {FnSub,          "-",             2, NULL},
    [FnMul]          = {FnMul,          "*",             2, NULL},
    [FnDiv]          = {FnDiv,          "/",             2, NULL},
    [FnFloorDiv]     = {FnFloorDiv,     "//",            2, NULL},
    [FnMod]          = {FnMod,          "%",             2, NULL},
    [FnPow]          = {FnPow,          "**",            2, "pow"},
    [FnNeg]          = {FnNeg,          "neg",           1, NULL},
    [FnMax]          = {FnMax,          "max",           2, NULL},
    [FnMin]          = {FnMin,          "min",           2, NULL},
    [FnAbs]          = {FnAbs,          "abs",           1, "fabs"},
    [FnSign]         = {FnSign,         "sign",          1, NULL},
    [FnEq]           = {FnEq,           "==",            2, NULL},
    [FnNe]           = {FnNe,           "!=",            2, NULL},
    [FnLt]           = {FnLt,           "<",             2, NULL},
    [FnLe]           = {FnLe,           "<=",            2, NULL},
    [FnGt]           = {FnGt,           ">",             2, NULL},
    [FnGe]           = {FnGe,           ">=",            2, NULL},
    [FnAnd]          = {FnAnd,          "and",           2, NULL},
    [FnOr]           = {FnOr,           "or",            2, NULL},
    [FnNot]          = {FnNot,          "not",           1, NULL},
    [FnWhere]        = {FnWhere,        "where",         3, NULL},
    [FnIsNan]        = {FnIsNan,        "isnan",         1, NULL},
    [FnIsInf]        = {FnIsInf,        "isinf",         1, NULL},
    [FnCast]         = {FnCast,         "cast",          1, NULL},
    [FnBand]         = {FnBand,         "band",          2, NULL},
    [FnBor]          = {FnBor,          "bor",           2, NULL},
    [FnBxor]         = {FnBxor,         "bxor",          2, NULL},
    [FnShl]          = {FnShl,          "shl",           2, NULL},
    [FnShr]          = {FnShr,          "shr",           2, NULL},
    [FnStopGradient] = {FnStopGradient, "stop_gradient", 1, NULL},
};

/* Words of the C library that an `extern op` may name. */
static const struct Host { const char *word; double (*one)(double); double (*two)(double, double); } hosts[] = {
    {"acos",  acos,  NULL}, {"acosh", acosh, NULL}, {"asin",   asin,   NULL}, {"asinh",  asinh,  NULL},
    {"atan",  atan,  NULL}, {"atanh", atanh, NULL}, {"cbrt",   cbrt,   NULL}, {"ceil",   ceil,   NULL},
    {"cos",   cos,   NULL}, {"cosh",  cosh,  NULL}, {"erf",    erf,    NULL}, {"erfc",   erfc,   NULL},
    {"exp",   exp,   NULL}, {"exp2",  exp2,  NULL}, {"expm1",  expm1,  NULL}, {"fabs",   fabs,   NULL},
    {"floor", floor, NULL}, {"lgamma", lgamma, NULL}, {"log",  log,    NULL}, {"log10",  log10,  NULL},
    {"log1p", log1p, NULL}, {"log2",  log2,  NULL}, {"rint",   rint,   NULL}, {"round",  round,  NULL},
    {"sin",   sin,   NULL}, {"sinh",  sinh,  NULL}, {"sqrt",   sqrt,   NULL}, {"tan",    tan,    NULL},
    {"tanh",  tanh,  NULL}, {"tgamma", tgamma, NULL}, {"trunc", trunc, NULL},
    {"atan2", NULL, atan2}, {"copysign", NULL, copysign}, {"fmod", NULL, fmod}, {"hypot", NULL, hypot},
    {"pow",   NULL, pow},
};

typedef struct ExternFn { Fn fn; const struct Host *host; } ExternFn;    /* every FnExtern is one */

const Fn *fn(FnId id) {
    return &table[id];
}

const Fn *fn_named(Ctx *c, Name n) {
    (void)c;
    static const FnId by_name[] = {FnMax, FnMin, FnAbs, FnSign, FnWhere, FnIsNan, FnIsInf,
                                   FnBand, FnBor, FnBxor, FnShl, FnShr, FnStopGradient};
    for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
        if (strcmp(table[by_name[i]].name, n) == 0)
            return &table[by_name[i]];
    return NULL;
}

static const struct Host *host_named(const char *word, int arity) {
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strcmp(hosts[i].word, word) == 0 && (hosts[i].one ? 1 : 2) == arity)
            return &hosts[i];
    return NULL;
}

const Fn *fn_extern(Ctx *c, Name n, const char *word, int arity) {
    if (!word || !*word)
        return fn(FnStopGradient); /* `c = ""`: the value itself */
    Name key = name(c, "%s %s %d", n, word, arity);
    ExternFn *f = map_get(&c->externs, key);
    if (f)
        return &f->fn;
    f = NEW(c, ExternFn);
    *f = (ExternFn){ { FnExtern, n, arity, name(c, "%s", word) }, host_named(word, arity) };
    map_put(c, &c->externs, key, f);
    return &f->fn;
}

bool fn_known(const Fn *f) {
    return f->id != FnExtern || ((const ExternFn *)(const void *)f)->host;
}

/* ---- integers */

static const struct { double lo, hi; int bits; bool sign; } widths[] = {
    [I8]  = {-128.0, 127.0, 8, true},                          [U8]  = {0.0, 255.0, 8, false},
    [I16] = {-32768.0, 32767.0, 16, true},                     [U16] = {0.0, 65535.0, 16, false},
    [I32] = {-2147483648.0, 2147483647.0, 32, true},           [U32] = {0.0, 4294967295.0, 32, false},
    [I64] = {-9223372036854775808.0, 9223372036854775807.0, 64, true},
    [U64] = {0.0, 18446744073709551615.0, 64, false},
    [AnyInt] = {-9223372036854775808.0, 9223372036854775807.0, 64, true},
};

/* Two's complement, modulo 2^64 for what we hold. */
static uint64_t bits_of(double v) {
    if (v != v)
        return 0;
    if (v < 0.0)
        return v <= -9223372036854775808.0 ? (uint64_t)1 << 63 : (uint64_t)(int64_t)v;
    return v >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)v;
}

double fn_wrap(Elem e, uint64_t v) {
    int spare = 64 - widths[e].bits;
    v = v << spare >> spare;
    if (!widths[e].sign || !(v >> (widths[e].bits - 1) & 1))
        return (double)v;
    return -(double)(~(v - 1) << spare >> spare);
}

static uint64_t int_pow(uint64_t base, uint64_t n) {
    uint64_t r = 1;
    for (; n; n >>= 1, base *= base)
        if (n & 1)
            r *= base;
    return r;
}

static double floor_ints(double a, double b, Elem e, bool rest) {
    if (b == 0.0)
        return 0.0;
    if (!widths[e].sign) {
        uint64_t x = bits_of(a), y = bits_of(b);
        return (double)(rest ? x % y : x / y);
    }
    int64_t x = (int64_t)bits_of(a), y = (int64_t)bits_of(b);
    if (y == -1)
        return rest ? 0.0 : fn_wrap(e, 0 - (uint64_t)x);
    int64_t q = x / y - (x % y != 0 && (x < 0) != (y < 0));
    return (double)(rest ? x - q * y : q);
}

static double shift(double a, double by, Elem e, bool left) {
    uint64_t x = bits_of(a);
    bool minus = a < 0.0 && !left;
    if (by < 0.0 || by >= widths[e].bits)
        return minus ? -1.0 : 0.0;
    int n = (int)by;
    if (left)
        return fn_wrap(e, x << n);
    return fn_wrap(e, minus ? ~(~x >> n) : x >> n);
}

static double eval_int(FnId f, Elem e, const double *a) {
    uint64_t x = bits_of(a[0]), y = table[f].arity > 1 ? bits_of(a[1]) : 0;
    switch (f) {
    case FnAdd:      return fn_wrap(e, x + y);
    case FnSub:      return fn_wrap(e, x - y);
    case FnMul:      return fn_wrap(e, x * y);
    case FnNeg:      return fn_wrap(e, 0 - x);
    case FnAbs:      return a[0] < 0.0 ? fn_wrap(e, 0 - x) : a[0];
    case FnPow:      return a[1] < 0.0 ? 0.0 : fn_wrap(e, int_pow(x, y));
    case FnDiv:
    case FnFloorDiv: return floor_ints(a[0], a[1], e, false);
    case FnMod:      return floor_ints(a[0], a[1], e, true);
    case FnBand:     return fn_wrap(e, x & y);
    case FnBor:      return fn_wrap(e, x | y);
    case FnBxor:     return fn_wrap(e, x ^ y);
    case FnShl:      return shift(a[0], a[1], e, true);
    case FnShr:      return shift(a[0], a[1], e, false);
    default:         return 0.0;
    }
}

/* ---- floats and the rest */

static double float_mod(double a, double b) {
    double r = fmod(a, b);
    return r != 0.0 && (r < 0.0) != (b < 0.0) ? r + b : r;
}

static double eval_float(FnId f, const double *a) {
    switch (f) {
    case FnAdd:      return a[0] + a[1];
    case FnSub:      return a[0] - a[1];
    case FnMul:      return a[0] * a[1];
    case FnDiv:      return a[0] / a[1];
    case FnFloorDiv: return floor(a[0] / a[1]);
    case FnMod:      return float_mod(a[0], a[1]);
    case FnPow:      return pow(a[0], a[1]);
    case FnNeg:      return -a[0];
    case FnAbs:      return fabs(a[0]);
    default:         return NAN;
    }
}

/* To the nearest value with `keep` bits of significand, ties to even; below 2^least the step stays
 * that of 2^least. */
static double round_to(double v, int keep, int least, double over) {
    int exp;
    if (!isfinite(v) || v == 0.0)
        return v;
    frexp(v, &exp);
    if (exp - 1 < least)
        exp = least + 1;
    double r = ldexp(rint(ldexp(v, keep - exp)), exp - keep);
    return fabs(r) >= over ? copysign(INFINITY, v) : r;
}

double fn_cast(Elem e, double v) {
    switch (e) {
    case Bool: return v != 0.0;
    case F16:  return round_to(v, 11, -14, 65520.0);
    case BF16: return round_to(v, 8, -126, 0x1p128);
    case F32:  return (double)(float)v;
    default:   break;
    }
    if (!elem_is_int(e))
        return v;
    if (v != v)
        return 0.0;
    return v < widths[e].lo ? widths[e].lo : v > widths[e].hi ? widths[e].hi : trunc(v);
}

static double eval_extern(const Fn *f, const double *a) {
    const struct Host *h = ((const ExternFn *)(const void *)f)->host;
    return !h ? NAN : h->one ? h->one(a[0]) : h->two(a[0], a[1]);
}

double fn_eval(const Fn *f, Elem e, const double *a) {
    switch (f->id) {
    case FnMax:          return a[0] != a[0] ? a[0] : a[1] != a[1] ? a[1] : a[0] > a[1] ? a[0] : a[1];
    case FnMin:          return a[0] != a[0] ? a[0] : a[1] != a[1] ? a[1] : a[0] < a[1] ? a[0] : a[1];
    case FnSign:         return a[0] > 0.0 ? 1.0 : a[0] < 0.0 ? -1.0 : a[0];
    case FnEq:           return a[0] == a[1];
    case FnNe:           return a[0] != a[1];
    case FnLt:           return a[0] <  a[1];
    case FnLe:           return a[0] <= a[1];
    case FnGt:           return a[0] >  a[1];
    case FnGe:           return a[0] >= a[1];
    case FnAnd:          return a[0] != 0.0 && a[1] != 0.0;
    case FnOr:           return a[0] != 0.0 || a[1] != 0.0;
    case FnNot:          return a[0] == 0.0;
    case FnWhere:        return a[0] != 0.0 ? a[1] : a[2];
    case FnIsNan:        return a[0] != a[0];
    case FnIsInf:        return isinf(a[0]) != 0;
    case FnCast:         return fn_cast(e, a[0]);
    case FnStopGradient: return a[0];
    case FnExtern:       return eval_extern(f, a);
    default:             break;
    }
    if (e == Bool) {
        bool x = a[0] != 0.0, y = f->arity > 1 && a[1] != 0.0;
        return f->id == FnBand ? x && y : f->id == FnBor ? x || y : f->id == FnBxor ? x != y : 0.0;
    }
    return elem_is_int(e) ? eval_int(f->id, e, a) : eval_float(f->id, a);
}
