/* elements.c: numbers of the float types, as they lie in memory.
 *
 * All pass through double, which holds every value of each type; so widening is exact, and narrowing
 * rounds once, to nearest, ties to even. */
#include "archive.h"

#include <math.h>
#include <string.h>

typedef struct Format { int exponent, mantissa; double least; } Format;     /* bits of each; the smallest value */
static const Format half = { 5, 10, 0x1p-24 }, brain = { 8, 7, 0x1p-133 };

static double widen(uint16_t v, Format f)
{
    int top = (1 << f.exponent) - 1, e = v >> f.mantissa & top, m = v & ((1 << f.mantissa) - 1);
    double r = m * f.least;
    if (e == top) r = m ? NAN : INFINITY;
    else if (e) {
        uint64_t bits = (uint64_t)(e - top / 2 + 1023) << 52 | (uint64_t)m << (52 - f.mantissa);
        memcpy(&r, &bits, sizeof r);
    }
    return v >> 15 ? -r : r;
}

static uint16_t narrow(double v, Format f)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    unsigned sign = bits >> 63 ? 0x8000u : 0;
    unsigned top = ((1u << f.exponent) - 1) << f.mantissa;      /* infinity */
    int e = (int)(bits >> 52 & 0x7FF);
    uint64_t m = bits & (((uint64_t)1 << 52) - 1);
    if (e == 0x7FF) return (uint16_t)(sign | top | (m ? 1u << (f.mantissa - 1) : 0));
    e += (1 << (f.exponent - 1)) - 1 - 1023;
    int drop = 52 - f.mantissa + (e < 1 ? 1 - e : 0);           /* below the normal range bits get lost */
    if (drop > 53) return (uint16_t)sign;
    m |= (uint64_t)1 << 52;
    uint64_t kept = m >> drop, rest = m & (((uint64_t)1 << drop) - 1), middle = (uint64_t)1 << (drop - 1);
    kept += rest > middle || (rest == middle && (kept & 1));
    uint64_t r = kept + (e > 1 ? (uint64_t)(e - 1) << f.mantissa : 0);      /* kept brings the leading one */
    return (uint16_t)(sign | (r < top ? r : top));
}

double element_get(Elem e, const void *from, size_t i)
{
    switch (e) {
    case F16:  return widen(((const uint16_t *)from)[i], half);
    case BF16: return widen(((const uint16_t *)from)[i], brain);
    case F32:  return ((const float *)from)[i];
    default:   return ((const double *)from)[i];
    }
}

void element_set(Elem e, void *to, size_t i, double v)
{
    switch (e) {
    case F16:  ((uint16_t *)to)[i] = narrow(v, half); break;
    case BF16: ((uint16_t *)to)[i] = narrow(v, brain); break;
    case F32:  ((float *)to)[i] = (float)v; break;
    default:   ((double *)to)[i] = v; break;
    }
}
