/* memory.h: made by mithrilc; do not edit. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MEMORY_WORK_BYTES 2112 // scratch of the caller, aligned to 64 bytes

/* The weights: each a dense array in C order. */
typedef struct memory_weights {
    const float *key_weight; // [8][8]
    const float *key_bias; // [8]
    const float *norm_weight; // [8]
    const float *norm_bias; // [8]
} memory_weights;

/* What is kept between calls. memory_reset sets it to its initial values. */
typedef struct memory_state {
    float cache[16 * 8];
} memory_state;

void memory_reset(memory_state *s);

/* x float[T][8], pos i32 -> y float[T][8]; T = 1..16
 * 0, or a code for memory_strerror. */
int memory_several(const memory_weights *w, memory_state *s, const float *x, int32_t pos, float *y,
                   int T, void *work);

/* x float[1][8], pos i32 -> y float[1][8]
 * 0, or a code for memory_strerror. */
int memory_one(const memory_weights *w, memory_state *s, const float *x, int32_t pos, float *y,
               void *work);

const char *memory_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
