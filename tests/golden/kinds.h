/* kinds.h: made by mithrilc; do not edit. */
#ifndef KINDS_H
#define KINDS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* a i32[5], b i32[5], image u8[2][3] -> q i32[5], r i32[5], best i32[2], dark bool[2][3], grey
 *     u8[2][3]
 * 0, or a code for kinds_strerror. */
int kinds(const int32_t *a, const int32_t *b, const uint8_t *image, int32_t *q, int32_t *r,
          int32_t *best, uint8_t *dark, uint8_t *grey);

const char *kinds_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
