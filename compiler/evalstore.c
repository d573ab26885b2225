/* evalstore.c: elements in memory become doubles and back, f16 and bf16 included. */
#include "evalstore.h"

#include <math.h>
#include <string.h>

static double half_value(uint16_t h)
{
    int exp = h >> 10 & 31, frac = h & 1023;
    double v = exp == 0 ? ldexp(frac, -24) : exp < 31 ? ldexp(frac + 1024, exp - 25) : frac ? NAN : INFINITY;
    return h >> 15 ? -v : v;
}

static double bfloat_value(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static uint16_t half_bits(double v)                      /* v is exact in f16 */
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    int exp;
    if (v != v) return 0x7e00;
    if (isinf(v)) return sign | 0x7c00;
    double frac = frexp(fabs(v), &exp);                  /* 0.5 <= frac < 1 */
    if (exp < -13) return (uint16_t)(sign | (int)ldexp(fabs(v), 24));
    return (uint16_t)(sign | (exp + 14) << 10 | ((int)ldexp(frac, 11) & 1023));
}

static uint16_t bfloat_bits(double v)                    /* v is exact in bf16 */
{
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return v != v ? 0x7fc0 : (uint16_t)(bits >> 16);
}

#define READ(type, value) \
    do { const type *p = (const type *)data + at; \
         if (step == 1) for (int i = 0; i < n; i++) { type x = p[i]; v[i] = (value); } \
         else           for (int i = 0; i < n; i++) { type x = p[i * step]; v[i] = (value); } \
         return; } while (0)

void store_read(Elem e, const void *data, int64_t at, int64_t step, double *restrict v, int n)
{
    switch (e) {
    case F32:  READ(float, (double)x);
    case F64:  READ(double, x);
    case I8:   READ(int8_t, x);
    case U8:   READ(uint8_t, x);
    case Bool: READ(uint8_t, x != 0);
    case I16:  READ(int16_t, x);
    case U16:  READ(uint16_t, x);
    case I32:  READ(int32_t, x);
    case U32:  READ(uint32_t, x);
    case I64:  READ(int64_t, (double)x);
    case U64:  READ(uint64_t, (double)x);
    case F16:  READ(uint16_t, half_value(x));
    case BF16: READ(uint16_t, bfloat_value(x));
    default:   for (int i = 0; i < n; i++) v[i] = 0.0;
    }
}

/* 2^63 and 2^64 - 1 are no doubles: the ends of the range are set, not converted. */
static int64_t to_i64(double v) { return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v; }
static uint64_t to_u64(double v) { return v >= 0x1p64 ? UINT64_MAX : v <= 0.0 ? 0 : (uint64_t)v; }

void store_write(Elem e, void *data, int64_t at, double v)
{
    v = fn_cast(e, v);
    switch (e) {
    case F32:  ((float *)data)[at] = (float)v; break;
    case F64:  ((double *)data)[at] = v; break;
    case I8:   ((int8_t *)data)[at] = (int8_t)v; break;
    case U8:
    case Bool: ((uint8_t *)data)[at] = (uint8_t)v; break;
    case I16:  ((int16_t *)data)[at] = (int16_t)v; break;
    case U16:  ((uint16_t *)data)[at] = (uint16_t)v; break;
    case I32:  ((int32_t *)data)[at] = (int32_t)v; break;
    case U32:  ((uint32_t *)data)[at] = (uint32_t)v; break;
    case I64:  ((int64_t *)data)[at] = to_i64(v); break;
    case U64:  ((uint64_t *)data)[at] = to_u64(v); break;
    case F16:  ((uint16_t *)data)[at] = half_bits(v); break;
    case BF16: ((uint16_t *)data)[at] = bfloat_bits(v); break;
    default:   break;
    }
}

double store_dot(const float *x, int64_t sx, const float *y, int64_t sy, int n)
{
    double s[4] = {0.0};
    int i = 0;
    if (sx == 1 && sy == 1)
        for (; i + 4 <= n; i += 4)
            for (int k = 0; k < 4; k++) s[k] += (double)x[i + k] * (double)y[i + k];
    for (; i < n; i++) s[i & 3] += (double)x[i * sx] * (double)y[i * sy];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

void store_axpy(double *restrict to, const float *x, int64_t sx, const float *y, int64_t sy, int n)
{
    if (sx == 0) { const float *t = x; x = y; y = t; sx = sy; sy = 0; }
    double k = (double)*y;
    if (sy == 0 && sx == 1) for (int i = 0; i < n; i++) to[i] += (double)x[i] * k;
    else if (sy == 0)       for (int i = 0; i < n; i++) to[i] += (double)x[i * sx] * k;
    else                    for (int i = 0; i < n; i++) to[i] += (double)x[i * sx] * (double)y[i * sy];
}
