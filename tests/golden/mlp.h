/* mlp.h: made by mithrilc; do not edit. */
#ifndef MLP_H
#define MLP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The weights: each a dense array in C order. */
typedef struct mlp_weights {
    const float *w; // [3][4]
    const float *b; // [4]
} mlp_weights;

/* x float[2][3] -> y float[2][4]
 * 0, or a code for mlp_strerror. */
int mlp(const mlp_weights *w, const float *x, float *y);

const char *mlp_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
