/* fn.c: the scalar functions, and what each computes on the compiler's own machine.
 *
 * Values are doubles, whatever the element type. Floats are computed in double and rounded by who
 * stores them; integers wrap to the width of their type, and `//` and `%` round down. */
#include "compiler.h"

#include <math.h>
#include <string.h>

static const Fn functions[] = {
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
    return &functions[id];
}

const Fn *fn_of(Op op) {
    static const FnId of[] = {
        [OpAdd] = FnAdd, [OpSub] = FnSub, [OpMul] = FnMul, [OpDiv] = FnDiv, [OpFloorDiv] = FnFloorDiv,
        [OpMod] = FnMod, [OpPow] = FnPow, [OpEq] = FnEq,   [OpNe] = FnNe,   [OpLt] = FnLt,
        [OpLe] = FnLe,   [OpGt] = FnGt,   [OpGe] = FnGe,   [OpAnd] = FnAnd, [OpOr] = FnOr,
        [OpNeg] = FnNeg, [OpNot] = FnNot,
    };
    bool none = op == OpNone || op == OpMatmul || op == OpJoin;
    return none ? NULL : fn(of[op]);
}

const Fn *fn_named(Ctx *c, Name n) {
    (void)c;
    static const FnId by_name[] = {FnMax, FnMin, FnAbs, FnSign, FnWhere, FnIsNan, FnIsInf,
                                   FnBand, FnBor, FnBxor, FnShl, FnShr, FnStopGradient};
    for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
        if (strcmp(functions[by_name[i]].name, n) == 0)
            return &functions[by_name[i]];
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

/* Two's complement, modulo 2^64 for what we hold. */
static uint64_t bits_of(double v) {
    if (v != v)
        return 0;
    if (v < 0.0)
        return v <= -0x1p63 ? (uint64_t)1 << 63 : (uint64_t)(int64_t)v;
    return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
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
    if (!elem_signed(e)) {
        uint64_t x = bits_of(a), y = bits_of(b);
        return (double)(rest ? x % y : x / y);
    }
    int64_t x = (int64_t)bits_of(a), y = (int64_t)bits_of(b);
    if (y == -1)
        return rest ? 0.0 : elem_wrap(e, 0 - (uint64_t)x);
    int64_t q = x / y - (x % y != 0 && (x < 0) != (y < 0));
    return (double)(rest ? x - q * y : q);
}

static double shift(double a, double by, Elem e, bool left) {
    uint64_t x = bits_of(a);
    bool minus = a < 0.0 && !left;
    if (by < 0.0 || by >= elem_bits(e))
        return minus ? -1.0 : 0.0;
    int n = (int)by;
    if (left)
        return elem_wrap(e, x << n);
    return elem_wrap(e, minus ? ~(~x >> n) : x >> n);
}

static double eval_int(FnId f, Elem e, const double *a) {
    uint64_t x = bits_of(a[0]), y = functions[f].arity > 1 ? bits_of(a[1]) : 0;
    switch (f) {
    case FnAdd:      return elem_wrap(e, x + y);
    case FnSub:      return elem_wrap(e, x - y);
    case FnMul:      return elem_wrap(e, x * y);
    case FnNeg:      return elem_wrap(e, 0 - x);
    case FnAbs:      return a[0] < 0.0 ? elem_wrap(e, 0 - x) : a[0];
    case FnPow:      return a[1] < 0.0 ? 0.0 : elem_wrap(e, int_pow(x, y));
    case FnDiv:
    case FnFloorDiv: return floor_ints(a[0], a[1], e, false);
    case FnMod:      return floor_ints(a[0], a[1], e, true);
    case FnBand:     return elem_wrap(e, x & y);
    case FnBor:      return elem_wrap(e, x | y);
    case FnBxor:     return elem_wrap(e, x ^ y);
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
    case FnCast:         return elem_cast(e, a[0]);
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
