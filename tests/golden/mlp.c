/* mlp.c: made by mithrilc; do not edit. */
#include "mlp.h"

#include <math.h>

static inline float max_float(float a, float b) {
    return a < b || b != b ? b : a; // NaN wins
}

/* op matmul(a[..., i, k], b[..., k, j]) -> [..., i, j] = sum(k: a * b)
 * op add(a, b) = a + b
 * op relu(x) = max(x, 0)
 * a[2][3], w[3][4], b[4] -> y[2][4]
 * 64 operations, 120 bytes */
static void matmul_add_relu_2x4_k3(const float *restrict a_, const float *restrict w_,
                                   const float *restrict b, float *restrict y_) {
    const float (*a)[3] = (const float (*)[3])a_;
    const float (*w)[4] = (const float (*)[4])w_;
    float (*y)[4] = (float (*)[4])y_;
    float matmul0[4] = { 0 };
    float matmul1[4] = { 0 };
    for (int k = 0; k < 3; k++) {
        for (int l = 0; l < 4; l++) {
            matmul0[l] += a[0][k] * w[k][l];
            matmul1[l] += a[1][k] * w[k][l];
        }
    }
    for (int l = 0; l < 4; l++) {
        y[0][l] = max_float(matmul0[l] + b[l], 0.0f);
        y[1][l] = max_float(matmul1[l] + b[l], 0.0f);
    }
}

int mlp(const mlp_weights *w, const float *x, float *y) {
    matmul_add_relu_2x4_k3(x, w->w, w->b, y);
    return 0;
}

const char *mlp_strerror(int code) {
    switch (code) {
    case 0: return "no error";
    default: return "unknown code";
    }
}
