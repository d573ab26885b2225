/* elem.c: elements as they lie in memory, and the one place that knows their bits.
 *
 * All pass through double, which holds every value of each type but the largest 64-bit integers;
 * so widening is exact, and narrowing rounds once, to nearest, ties to even. What an integer type
 * cannot hold is its nearest end. */
#include "compiler.h"

#include <math.h>
#include <string.h>

/* ---- integers */

static const struct { double lo, hi; int bits; bool sign; } widths[AnyFloat + 1] = {
    [I8]  = { -128.0,        127.0,        8,  true }, [U8]  = { 0.0, 255.0,        8,  false },
    [I16] = { -32768.0,      32767.0,      16, true }, [U16] = { 0.0, 65535.0,      16, false },
    [I32] = { -2147483648.0, 2147483647.0, 32, true }, [U32] = { 0.0, 4294967295.0, 32, false },
    [I64] = { -0x1p63,       0x1p63,       64, true }, [U64] = { 0.0, 0x1p64,       64, false },
    [AnyInt] = { -0x1p63,    0x1p63,       64, true },
};

int elem_bits(Elem e) {
    return widths[e].bits;
}

bool elem_signed(Elem e) {
    return widths[e].sign;
}

double elem_wrap(Elem e, uint64_t v) {
    int spare = 64 - widths[e].bits;
    v = v << spare >> spare;
    if (!widths[e].sign || !(v >> (widths[e].bits - 1) & 1))
        return (double)v;
    return -(double)(~(v - 1) << spare >> spare);
}

static double saturated(Elem e, double v) {
    if (v != v)
        return 0.0;
    return v < widths[e].lo ? widths[e].lo : v > widths[e].hi ? widths[e].hi : trunc(v);
}

/* 2^63 and 2^64 are ends of the range as doubles, and one too many as integers. */
static int64_t to_i64(double v) {
    return v >= 0x1p63 ? INT64_MAX : (int64_t)v;
}

static uint64_t to_u64(double v) {
    return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
}

/* ---- floats of 16 bits */

/* Bits of each part; the smallest value above 0. */
typedef struct FloatBits { int exponent, mantissa; double least; } FloatBits;
static const FloatBits half = { 5, 10, 0x1p-24 }, brain = { 8, 7, 0x1p-133 };

static double widen(uint16_t v, FloatBits f) {
    int top = (1 << f.exponent) - 1, e = v >> f.mantissa & top, m = v & ((1 << f.mantissa) - 1);
    double r = m * f.least;
    if (e == top) {
        r = m ? NAN : INFINITY;
    } else if (e) {
        uint64_t bits = (uint64_t)(e - top / 2 + 1023) << 52 | (uint64_t)m << (52 - f.mantissa);
        memcpy(&r, &bits, sizeof r);
    }
    return v >> 15 ? -r : r;
}

static uint16_t round_to_16(double v, FloatBits f) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    unsigned sign = bits >> 63 ? 0x8000u : 0;
    unsigned infinity = ((1u << f.exponent) - 1) << f.mantissa;
    int e = (int)(bits >> 52 & 0x7FF);
    uint64_t m = bits & (((uint64_t)1 << 52) - 1);
    if (e == 0x7FF)
        return (uint16_t)(sign | infinity | (m ? 1u << (f.mantissa - 1) : 0));
    e += (1 << (f.exponent - 1)) - 1 - 1023;
    int drop = 52 - f.mantissa + (e < 1 ? 1 - e : 0); // below the normal range bits get lost
    if (drop > 53)
        return (uint16_t)sign;
    m |= (uint64_t)1 << 52;
    uint64_t kept = m >> drop, rest = m & (((uint64_t)1 << drop) - 1),
             middle = (uint64_t)1 << (drop - 1);
    kept += rest > middle || (rest == middle && (kept & 1));
    uint64_t r =
        kept + (e > 1 ? (uint64_t)(e - 1) << f.mantissa : 0); // kept brings the leading one
    return (uint16_t)(sign | (r < infinity ? r : infinity));
}

double elem_cast(Elem e, double v) {
    switch (e) {
    case Bool: return v != 0.0;
    case F16:  return widen(round_to_16(v, half), half);
    case BF16: return widen(round_to_16(v, brain), brain);
    case F32:  return (double)(float)v;
    default:   return elem_is_int(e) ? saturated(e, v) : v;
    }
}

/* ---- in memory */

#define READ(type, value)                        \
    do {                                         \
        const type *p = (const type *)data + at; \
        if (step == 1)                           \
            for (int i = 0; i < n; i++) {        \
                type x = p[i];                   \
                v[i] = (value);                  \
            }                                    \
        else                                     \
            for (int i = 0; i < n; i++) {        \
                type x = p[i * step];            \
                v[i] = (value);                  \
            }                                    \
        return;                                  \
    } while (0)

void elem_read(Elem e, const void *data, int64_t at, int64_t step, double *restrict v, int n) {
    switch (e) {
    case F32: READ(float, (double)x);
    case F64: READ(double, x);
    case I8: READ(int8_t, x);
    case U8: READ(uint8_t, x);
    case Bool: READ(uint8_t, x != 0);
    case I16: READ(int16_t, x);
    case U16: READ(uint16_t, x);
    case I32: READ(int32_t, x);
    case U32: READ(uint32_t, x);
    case I64: READ(int64_t, (double)x);
    case U64: READ(uint64_t, (double)x);
    case F16: READ(uint16_t, widen(x, half));
    case BF16: READ(uint16_t, widen(x, brain));
    default:
        for (int i = 0; i < n; i++)
            v[i] = 0.0;
    }
}

void elem_write(Elem e, void *data, int64_t at, double v) {
    if (elem_is_int(e))
        v = saturated(e, v);
    switch (e) {
    case F32:  ((float *)data)[at] = (float)v; break;
    case F64:  ((double *)data)[at] = v; break;
    case Bool: ((uint8_t *)data)[at] = v != 0.0; break;
    case I8:   ((int8_t *)data)[at] = (int8_t)v; break;
    case U8:   ((uint8_t *)data)[at] = (uint8_t)v; break;
    case I16:  ((int16_t *)data)[at] = (int16_t)v; break;
    case U16:  ((uint16_t *)data)[at] = (uint16_t)v; break;
    case I32:  ((int32_t *)data)[at] = (int32_t)v; break;
    case U32:  ((uint32_t *)data)[at] = (uint32_t)v; break;
    case I64:  ((int64_t *)data)[at] = to_i64(v); break;
    case U64:  ((uint64_t *)data)[at] = to_u64(v); break;
    case F16:  ((uint16_t *)data)[at] = round_to_16(v, half); break;
    case BF16: ((uint16_t *)data)[at] = round_to_16(v, brain); break;
    default:   break;
    }
}

double elem_load(Elem stored, const void *at) {
    double v;
    elem_read(stored, at, 0, 0, &v, 1);
    return v;
}

void elem_store(Elem stored, void *at, double v) {
    elem_write(stored, at, 0, v);
}
