/* memory.c: made by mithrilc; do not edit. */
#include "memory.h"

#include <math.h>
#include <string.h>

static inline float max_float(float a, float b) {
    return a < b || b != b ? b : a; // NaN wins
}

static inline int32_t max_int(int32_t a, int32_t b) {
    return a < b ? b : a;
}

static inline int32_t min_int(int32_t a, int32_t b) {
    return b < a ? b : a;
}

/* op matmul(a[..., i, k], b[..., k, j]) -> [..., i, j] = sum(k: a * b)
 * op add(a, b) = a + b
 * a[T][8], weight[8][8], bias[8] -> cache[16][8]
 * 2.18 k operations, 1.32 kB at most */
static void matmul_add_Tx8_k8(const float *restrict a_, const float *restrict weight_,
                              const float *restrict bias, int32_t pos, float *restrict cache_,
                              int T) {
    const float (*a)[8] = (const float (*)[8])a_;
    const float (*weight)[8] = (const float (*)[8])weight_;
    float (*cache)[8] = (float (*)[8])cache_;
    const int pos_inside = max_int(0, min_int(pos, 16 - T));
    for (int i = 0; i < T; i++) {
        for (int j = 0; j < 8; j++) {
            float part[4] = { 0 };
            for (int k = 0; k < 8; k += 4) {
                for (int l = 0; l < 4; l++) {
                    part[l] += a[i][k + l] * weight[j][k + l];
                }
            }
            float sum = part[0] + part[2] + (part[1] + part[3]);
            cache[i + pos_inside][j] = sum + bias[j];
        }
    }
}

/* op matmul(a[..., i, k], b[..., k, j]) -> [..., i, j] = sum(k: a * b)
 * a[T][8], cache[16][8] -> matmul[16][16]
 * 4.1 k operations, 2.05 kB at most */
static void matmul_Tx16_k8(const float *restrict a_, const float *restrict cache_,
                           float *restrict matmul_, int T) {
    const float (*a)[8] = (const float (*)[8])a_;
    const float (*cache)[8] = (const float (*)[8])cache_;
    float (*matmul)[16] = (float (*)[16])matmul_;
    for (int i = 0; i < T; i++) {
        for (int j = 0; j < 16; j++) {
            float part[4] = { 0 };
            for (int k = 0; k < 8; k += 4) {
                for (int l = 0; l < 4; l++) {
                    part[l] += a[i][k + l] * cache[j][k + l];
                }
            }
            float sum = part[0] + part[2] + (part[1] + part[3]);
            matmul[i][j] = sum;
        }
    }
}

/* op softmax(x[..., i], axis: int = -1) -> [..., i] {
 *     m[...] = stop_gradient(max(i: x))
 *     e[..., i] = exp(x - m)
 *     s[...] = sum(i: e)
 *     return e / s
 * }
 * x[16][16] -> softmax[16][16]; scratch e[16]
 * 1.28 k operations, 2.05 kB at most */
static void softmax_Tx16_k16(const float *restrict x_, float *restrict softmax_, float *restrict e,
                             int T) {
    const float (*x)[16] = (const float (*)[16])x_;
    float (*softmax)[16] = (float (*)[16])softmax_;
    for (int b = 0; b < T; b++) {
        float max = -INFINITY;
        for (int i = 0; i < 16; i++) {
            max = max_float(max, x[b][i]);
        }
        float s = 0.0f;
        for (int i = 0; i < 16; i++) {
            e[i] = expf(x[b][i] - max);
            s += e[i];
        }
        for (int i = 0; i < 16; i++) {
            softmax[b][i] = e[i] / s;
        }
    }
}

/* op matmul(a[..., i, k], b[..., k, j]) -> [..., i, j] = sum(k: a * b)
 * op add(a, b) = a + b
 * a[16][16], cache[16][8], a2[T][8] -> add[16][8]
 * 4.22 k operations, 2.56 kB at most */
static void matmul_add_Tx8_k16(const float *restrict a_, const float *restrict cache_,
                               const float *restrict a2_, float *restrict add_, int T) {
    const float (*a)[16] = (const float (*)[16])a_;
    const float (*cache)[8] = (const float (*)[8])cache_;
    const float (*a2)[8] = (const float (*)[8])a2_;
    float (*add)[8] = (float (*)[8])add_;
    for (int i = 0; i < T; i++) {
        float a3[8] = { 0 };
        for (int k = 0; k < 16; k++) {
            for (int l = 0; l < 8; l++) {
                a3[l] += a[i][k] * cache[k][l];
            }
        }
        for (int l = 0; l < 8; l++) {
            add[i][l] = a2[i][l] + a3[l];
        }
    }
}

/* op standardize(x[..., i], eps: float = 1e-5) -> [..., i] {
 *     m[...] = sum(i: x) / I
 *     v[...] = sum(i: (x - m) ** 2) / I
 *     return (x - m) * rsqrt(v + eps)
 * }
 * op add(a, b) = a + b
 * op mul(a, b) = a * b
 * x[16][8], weight[8], bias[8] -> y[T][8]
 * 1.23 k operations, 1.09 kB at most */
static void standardize_add_mul_Tx8_k8(const float *restrict x_, const float *restrict weight,
                                       const float *restrict bias, float *restrict y_, int T) {
    const float (*x)[8] = (const float (*)[8])x_;
    float (*y)[8] = (float (*)[8])y_;
    for (int b = 0; b < T; b++) {
        float part[4] = { 0 };
        for (int i = 0; i < 8; i += 4) {
            for (int l = 0; l < 4; l++) {
                part[l] += x[b][i + l];
            }
        }
        float sum = part[0] + part[2] + (part[1] + part[3]);
        float m = sum / 8.0f;
        float part2[4] = { 0 };
        for (int i = 0; i < 8; i += 4) {
            for (int l = 0; l < 4; l++) {
                part2[l] += (x[b][i + l] - m) * (x[b][i + l] - m);
            }
        }
        float sum2 = part2[0] + part2[2] + (part2[1] + part2[3]);
        float v = sum2 / 8.0f;
        float y_row = 1.0f / sqrtf(v + 1e-05f);
        for (int j = 0; j < 8; j++) {
            y[b][j] = (x[b][j] - m) * y_row * weight[j] + bias[j];
        }
    }
}

/* op matmul(a[..., i, k], b[..., k, j]) -> [..., i, j] = sum(k: a * b)
 * op add(a, b) = a + b
 * a[1][8], weight[8][8], bias[8] -> cache[16][8]
 * 136 operations, 836 bytes */
static void matmul_add_8_k8(const float *restrict a_, const float *restrict weight_,
                            const float *restrict bias, int32_t pos, float *restrict cache_) {
    const float (*a)[8] = (const float (*)[8])a_;
    const float (*weight)[8] = (const float (*)[8])weight_;
    float (*cache)[8] = (float (*)[8])cache_;
    const int pos_inside = max_int(0, min_int(pos, 15));
    for (int j = 0; j < 8; j++) {
        float part[4] = { 0 };
        for (int k = 0; k < 8; k += 4) {
            for (int l = 0; l < 4; l++) {
                part[l] += a[0][k + l] * weight[j][k + l];
            }
        }
        float sum = part[0] + part[2] + (part[1] + part[3]);
        cache[pos_inside][j] = sum + bias[j];
    }
}

/* op matmul(a[..., i, k], b[..., k, j]) -> [..., i, j] = sum(k: a * b)
 * a[1][8], cache[16][8] -> matmul[1][16]
 * 256 operations, 608 bytes */
static void matmul_16_k8(const float *restrict a_, const float *restrict cache_,
                         float *restrict matmul_) {
    const float (*a)[8] = (const float (*)[8])a_;
    const float (*cache)[8] = (const float (*)[8])cache_;
    float (*matmul)[16] = (float (*)[16])matmul_;
    for (int j = 0; j < 16; j++) {
        float part[4] = { 0 };
        for (int k = 0; k < 8; k += 4) {
            for (int l = 0; l < 4; l++) {
                part[l] += a[0][k + l] * cache[j][k + l];
            }
        }
        float sum = part[0] + part[2] + (part[1] + part[3]);
        matmul[0][j] = sum;
    }
}

/* op softmax(x[..., i], axis: int = -1) -> [..., i] {
 *     m[...] = stop_gradient(max(i: x))
 *     e[..., i] = exp(x - m)
 *     s[...] = sum(i: e)
 *     return e / s
 * }
 * x[1][16] -> softmax[1][16]; scratch e[16]
 * 80 operations, 128 bytes */
static void softmax_16_k16(const float *restrict x_, float *restrict softmax_, float *restrict e) {
    const float (*x)[16] = (const float (*)[16])x_;
    float (*softmax)[16] = (float (*)[16])softmax_;
    float max = -INFINITY;
    for (int i = 0; i < 16; i++) {
        max = max_float(max, x[0][i]);
    }
    float s = 0.0f;
    for (int i = 0; i < 16; i++) {
        e[i] = expf(x[0][i] - max);
        s += e[i];
    }
    for (int i = 0; i < 16; i++) {
        softmax[0][i] = e[i] / s;
    }
}

/* op matmul(a[..., i, k], b[..., k, j]) -> [..., i, j] = sum(k: a * b)
 * op add(a, b) = a + b
 * a[1][16], cache[16][8], a2[1][8] -> add[1][8]
 * 264 operations, 640 bytes */
static void matmul_add_8_k16(const float *restrict a_, const float *restrict cache_,
                             const float *restrict a2_, float *restrict add_) {
    const float (*a)[16] = (const float (*)[16])a_;
    const float (*cache)[8] = (const float (*)[8])cache_;
    const float (*a2)[8] = (const float (*)[8])a2_;
    float (*add)[8] = (float (*)[8])add_;
    float a3[8] = { 0 };
    for (int k = 0; k < 16; k++) {
        for (int l = 0; l < 8; l++) {
            a3[l] += a[0][k] * cache[k][l];
        }
    }
    for (int l = 0; l < 8; l++) {
        add[0][l] = a2[0][l] + a3[l];
    }
}

/* op standardize(x[..., i], eps: float = 1e-5) -> [..., i] {
 *     m[...] = sum(i: x) / I
 *     v[...] = sum(i: (x - m) ** 2) / I
 *     return (x - m) * rsqrt(v + eps)
 * }
 * op add(a, b) = a + b
 * op mul(a, b) = a * b
 * x[1][8], weight[8], bias[8] -> y[1][8]
 * 100 operations, 128 bytes */
static void standardize_add_mul_8_k8(const float *restrict x_, const float *restrict weight,
                                     const float *restrict bias, float *restrict y_) {
    const float (*x)[8] = (const float (*)[8])x_;
    float (*y)[8] = (float (*)[8])y_;
    float part[4] = { 0 };
    for (int i = 0; i < 8; i += 4) {
        for (int l = 0; l < 4; l++) {
            part[l] += x[0][i + l];
        }
    }
    float sum = part[0] + part[2] + (part[1] + part[3]);
    float part2[4] = { 0 };
    for (int i = 0; i < 8; i += 4) {
        for (int l = 0; l < 4; l++) {
            part2[l] += (x[0][i + l] - sum / 8.0f) * (x[0][i + l] - sum / 8.0f);
        }
    }
    float sum2 = part2[0] + part2[2] + (part2[1] + part2[3]);
    float v = sum2 / 8.0f;
    float y_row = 1.0f / sqrtf(v + 1e-05f);
    for (int j = 0; j < 8; j++) {
        y[0][j] = (x[0][j] - sum / 8.0f) * y_row * weight[j] + bias[j];
    }
}

void memory_reset(memory_state *s) {
    memset(s->cache, 0, sizeof s->cache);
}

int memory_several(const memory_weights *w, memory_state *s, const float *x, int32_t pos, float *y,
                   int T, void *work) {
    enum { // where each temporary lies in work, in bytes
        at_matmul = 0,
        at_softmax = 1024,
        at_e = 2048,
        at_add = at_matmul,
    };
    unsigned char *arena = work;
    if (T < 1 || T > 16)
        return 1; // T must be 1 to 16
    if ((uintptr_t)work % 64)
        return 2; // work must be aligned to 64 bytes

    // key
    matmul_add_Tx8_k8(x, w->key_weight, w->key_bias, pos, s->cache, T);

    float *matmul = (float *)(arena + at_matmul);
    matmul_Tx16_k8(x, s->cache, matmul, T);
    float *softmax = (float *)(arena + at_softmax);
    float *e = (float *)(arena + at_e);
    softmax_Tx16_k16(matmul, softmax, e, T);
    float *add = (float *)(arena + at_add);
    matmul_add_Tx8_k16(softmax, s->cache, x, add, T);

    // norm
    standardize_add_mul_Tx8_k8(add, w->norm_weight, w->norm_bias, y, T);
    return 0;
}

int memory_one(const memory_weights *w, memory_state *s, const float *x, int32_t pos, float *y,
               void *work) {
    enum { // where each temporary lies in work, in bytes
        at_matmul = 0,
        at_softmax = 64,
        at_e = 128,
        at_add = at_matmul,
    };
    unsigned char *arena = work;
    if ((uintptr_t)work % 64)
        return 2; // work must be aligned to 64 bytes

    // key
    matmul_add_8_k8(x, w->key_weight, w->key_bias, pos, s->cache);

    float *matmul = (float *)(arena + at_matmul);
    matmul_16_k8(x, s->cache, matmul);
    float *softmax = (float *)(arena + at_softmax);
    float *e = (float *)(arena + at_e);
    softmax_16_k16(matmul, softmax, e);
    float *add = (float *)(arena + at_add);
    matmul_add_8_k16(softmax, s->cache, x, add);

    // norm
    standardize_add_mul_8_k8(add, w->norm_weight, w->norm_bias, y);
    return 0;
}

const char *memory_strerror(int code) {
    switch (code) {
    case 0: return "no error";
    case 1: return "T must be 1 to 16";
    case 2: return "work must be aligned to 64 bytes";
    default: return "unknown code";
    }
}
