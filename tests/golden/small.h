/* small.h: made by mithrilc; do not edit. */
#ifndef SMALL_H
#define SMALL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SMALL_WORK_BYTES 5760 // scratch of the caller, aligned to 64 bytes

/* The weights: each a dense array in C order. */
typedef struct small_weights {
    const float *conv_weight; // [8][3][3][3]
    const float *conv_bias; // [8]
    const float *fc_weight; // [10][288]
    const float *fc_bias; // [10]
} small_weights;

/* image float[1][3][12][12] -> scores float[1][10]
 * 0, or a code for small_strerror. */
int small(const small_weights *w, const float *image, float *scores, void *work);

const char *small_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
