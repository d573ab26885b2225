/* small.c: made by mithrilc; do not edit. */
#include "small.h"

#include <math.h>

static inline float max_float(float a, float b) {
    return a < b || b != b ? b : a; // NaN wins
}

static inline int32_t max_int(int32_t a, int32_t b) {
    return a < b ? b : a;
}

static inline int32_t min_int(int32_t a, int32_t b) {
    return b < a ? b : a;
}

/* op conv(x[n, (g, c), h...] else 0, f[(g < groups, o), c, p...], stride: [int; _] = 1, padding:
 *     [int; _] = 0,
 *         dilation: [int; _] = 1, groups: int = 1)
 *     -> [n, (g, o), y < (H + 2 * padding - dilation * (P - 1) - 1) // stride + 1 ...]
 *     = sum(c, p...: x[n, (g, c), y * stride + p * dilation - padding ...] * f)
 * op add(a, b) = a + b
 * op relu(x) = max(x, 0)
 * x[1][3][12][12], weight[8][3][3][3], bias[8] -> relu[1][8][12][12]
 * 64.5 k operations, 7.23 kB */
static void conv_add_relu_8x12x12_k3x3x3(const float *restrict x_, const float *restrict weight_,
                                         const float *restrict bias, float *restrict relu_) {
    const float (*x)[3][12][12] = (const float (*)[3][12][12])x_;
    const float (*weight)[3][3][3] = (const float (*)[3][3][3])weight_;
    float (*relu)[8][12][12] = (float (*)[8][12][12])relu_;
    for (int o = 0; o < 8; o += 4) {
        for (int y1 = 0; y1 < 12; y1++) {
            const int p1_begin = max_int(0, 1 - y1);
            const int p1_end = min_int(3, 13 - y1);
            float left0 = 0.0f;
            float left1 = 0.0f;
            float left2 = 0.0f;
            float left3 = 0.0f;
            for (int c = 0; c < 3; c++) {
                for (int p1 = p1_begin; p1 < p1_end; p1++) {
                    for (int p2 = 1; p2 < 3; p2++) {
                        left0 += x[0][c][y1 + p1 - 1][p2 - 1] * weight[o][c][p1][p2];
                        left1 += x[0][c][y1 + p1 - 1][p2 - 1] * weight[o + 1][c][p1][p2];
                        left2 += x[0][c][y1 + p1 - 1][p2 - 1] * weight[o + 2][c][p1][p2];
                        left3 += x[0][c][y1 + p1 - 1][p2 - 1] * weight[o + 3][c][p1][p2];
                    }
                }
            }
            relu[0][o][y1][0] = max_float(left0 + bias[o], 0.0f);
            relu[0][o + 1][y1][0] = max_float(left1 + bias[o + 1], 0.0f);
            relu[0][o + 2][y1][0] = max_float(left2 + bias[o + 2], 0.0f);
            relu[0][o + 3][y1][0] = max_float(left3 + bias[o + 3], 0.0f);
            for (int tile = 1; tile < 11; tile += 4) {
                const int y2 = min_int(tile, 7); // the last tile overlaps
                float sum0[4] = { 0 };
                float sum1[4] = { 0 };
                float sum2[4] = { 0 };
                float sum3[4] = { 0 };
                for (int c = 0; c < 3; c++) {
                    for (int p1 = p1_begin; p1 < p1_end; p1++) {
                        for (int p2 = 0; p2 < 3; p2++) {
                            for (int l = 0; l < 4; l++) {
                                sum0[l] += x[0][c][y1 + p1 - 1][y2 + l + p2 - 1]
                                        * weight[o][c][p1][p2];
                                sum1[l] += x[0][c][y1 + p1 - 1][y2 + l + p2 - 1]
                                        * weight[o + 1][c][p1][p2];
                                sum2[l] += x[0][c][y1 + p1 - 1][y2 + l + p2 - 1]
                                        * weight[o + 2][c][p1][p2];
                                sum3[l] += x[0][c][y1 + p1 - 1][y2 + l + p2 - 1]
                                        * weight[o + 3][c][p1][p2];
                            }
                        }
                    }
                }
                for (int l = 0; l < 4; l++) {
                    relu[0][o][y1][y2 + l] = max_float(sum0[l] + bias[o], 0.0f);
                    relu[0][o + 1][y1][y2 + l] = max_float(sum1[l] + bias[o + 1], 0.0f);
                    relu[0][o + 2][y1][y2 + l] = max_float(sum2[l] + bias[o + 2], 0.0f);
                    relu[0][o + 3][y1][y2 + l] = max_float(sum3[l] + bias[o + 3], 0.0f);
                }
            }
            float right0 = 0.0f;
            float right1 = 0.0f;
            float right2 = 0.0f;
            float right3 = 0.0f;
            for (int c = 0; c < 3; c++) {
                for (int p1 = p1_begin; p1 < p1_end; p1++) {
                    for (int p2 = 0; p2 < 2; p2++) {
                        right0 += x[0][c][y1 + p1 - 1][p2 + 10] * weight[o][c][p1][p2];
                        right1 += x[0][c][y1 + p1 - 1][p2 + 10] * weight[o + 1][c][p1][p2];
                        right2 += x[0][c][y1 + p1 - 1][p2 + 10] * weight[o + 2][c][p1][p2];
                        right3 += x[0][c][y1 + p1 - 1][p2 + 10] * weight[o + 3][c][p1][p2];
                    }
                }
            }
            relu[0][o][y1][11] = max_float(right0 + bias[o], 0.0f);
            relu[0][o + 1][y1][11] = max_float(right1 + bias[o + 1], 0.0f);
            relu[0][o + 2][y1][11] = max_float(right2 + bias[o + 2], 0.0f);
            relu[0][o + 3][y1][11] = max_float(right3 + bias[o + 3], 0.0f);
        }
    }
}

/* op max_pool(x[n, c, h...] else -inf, window: [int], stride: [int; _] = window, padding: [int;
 *     _] = 0, dilation: [int; _] = 1)
 *     -> [n, c, y < (H + 2 * padding - dilation * (window - 1) - 1) // stride + 1 ...]
 *     = max(p < window ...: x[n, c, y * stride + p * dilation - padding ...])
 * x[1][8][12][12] -> y[1][8][6][6]
 * 1.15 k operations, 5.76 kB */
static void max_pool_8x6x6_k2x2(const float *restrict x_, float *restrict y_) {
    const float (*x)[8][12][12] = (const float (*)[8][12][12])x_;
    float (*y)[8][6][6] = (float (*)[8][6][6])y_;
    for (int c = 0; c < 8; c++) {
        for (int y1 = 0; y1 < 6; y1++) {
            for (int y2 = 0; y2 < 6; y2++) {
                float most = -INFINITY;
                for (int p1 = 0; p1 < 2; p1++) {
                    for (int p2 = 0; p2 < 2; p2++) {
                        most = max_float(most, x[0][c][y1 * 2 + p1][y2 * 2 + p2]);
                    }
                }
                y[0][c][y1][y2] = most;
            }
        }
    }
}

/* op matmul(a[..., i, k], b[..., k, j]) -> [..., i, j] = sum(k: a * b)
 * op add(a, b) = a + b
 * x[1][8][6][6], weight[10][288], bias[10] -> y[1][10]
 * 5.77 k operations, 12.8 kB */
static void matmul_add_10_k8x6x6(const float *restrict x_, const float *restrict weight_,
                                 const float *restrict bias, float *restrict y_) {
    const float (*x)[8][6][6] = (const float (*)[8][6][6])x_;
    const float (*weight)[288] = (const float (*)[288])weight_;
    float (*y)[10] = (float (*)[10])y_;
    for (int j = 0; j < 10; j++) {
        float part[4] = { 0 };
        for (int k = 0; k < 8; k++) {
            for (int k2 = 0; k2 < 6; k2++) {
                for (int l = 0; l < 4; l++) {
                    part[l] += x[0][k][k2][l] * weight[j][k * 36 + k2 * 6 + l];
                }
                for (int l = 0; l < 2; l++) {
                    part[l] += x[0][k][k2][l + 4] * weight[j][k * 36 + k2 * 6 + l + 4];
                }
            }
        }
        float sum = part[0] + part[2] + (part[1] + part[3]);
        y[0][j] = sum + bias[j];
    }
}

/* op softmax(x[..., i], axis: int = -1) -> [..., i] {
 *     m[...] = stop_gradient(max(i: x))
 *     e[..., i] = exp(x - m)
 *     s[...] = sum(i: e)
 *     return e / s
 * }
 * x[1][10] -> softmax[1][10]; scratch e[10]
 * 50 operations, 80 bytes */
static void softmax_10_k10(const float *restrict x_, float *restrict softmax_, float *restrict e) {
    const float (*x)[10] = (const float (*)[10])x_;
    float (*softmax)[10] = (float (*)[10])softmax_;
    float max = -INFINITY;
    for (int i = 0; i < 10; i++) {
        max = max_float(max, x[0][i]);
    }
    float s = 0.0f;
    for (int i = 0; i < 10; i++) {
        e[i] = expf(x[0][i] - max);
        s += e[i];
    }
    for (int i = 0; i < 10; i++) {
        softmax[0][i] = e[i] / s;
    }
}

int small(const small_weights *w, const float *image, float *scores, void *work) {
    enum { // where each temporary lies in work, in bytes
        at_relu = 0,
        at_max_pool2d_y = 4608,
        at_fc_y = at_relu,
        at_e = 64,
    };
    unsigned char *arena = work;
    if ((uintptr_t)work % 64)
        return 1; // work must be aligned to 64 bytes

    // conv
    float *relu = (float *)(arena + at_relu);
    conv_add_relu_8x12x12_k3x3x3(image, w->conv_weight, w->conv_bias, relu);

    // max_pool2d
    float *max_pool2d_y = (float *)(arena + at_max_pool2d_y);
    max_pool_8x6x6_k2x2(relu, max_pool2d_y);

    // fc
    float *fc_y = (float *)(arena + at_fc_y);
    matmul_add_10_k8x6x6(max_pool2d_y, w->fc_weight, w->fc_bias, fc_y);

    float *e = (float *)(arena + at_e);
    softmax_10_k10(fc_y, scores, e);
    return 0;
}

const char *small_strerror(int code) {
    switch (code) {
    case 0: return "no error";
    case 1: return "work must be aligned to 64 bytes";
    default: return "unknown code";
    }
}
