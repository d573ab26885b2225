/* kinds.c: made by mithrilc; do not edit. */
#include "kinds.h"

#include <math.h>

static inline int32_t floor_div_int(int32_t a, int32_t b) { // rounds down; by 0 is 0
    if (b == 0)
        return 0;
    if (b == -1)
        return (int32_t)(0 - (uint32_t)a);
    return (int32_t)(a / b - (a % b != 0 && (a < 0) != (b < 0)));
}

static inline int32_t floor_mod_int(int32_t a, int32_t b) { // has the sign of b; by 0 is 0
    if (b == 0 || b == -1)
        return 0;
    int32_t r = (int32_t)(a % b);
    return (int32_t)(r != 0 && (r < 0) != (b < 0) ? r + b : r);
}

static inline uint8_t u8_from_float(float x) { // truncates, saturates; NaN is 0
    if (x != x)
        return 0;
    if ((double)x <= 0)
        return 0;
    if ((double)x >= 255)
        return UINT8_MAX;
    return (uint8_t)x;
}

static inline int wins_max_float(float a, float best) {
    return a > best || (a != a && best == best); // the first wins, NaN over numbers
}

/* op floor_div(a, b) = a // b
 * a[5], b[5] -> q[5]
 * 5 operations, 60 bytes */
static void floor_div_5(const int32_t *restrict a, const int32_t *restrict b, int32_t *restrict q) {
    for (int i = 0; i < 5; i++) {
        q[i] = floor_div_int(a[i], b[i]);
    }
}

/* op mod(a, b) = a % b
 * a[5], b[5] -> r[5]
 * 5 operations, 60 bytes */
static void mod_5(const int32_t *restrict a, const int32_t *restrict b, int32_t *restrict r) {
    for (int i = 0; i < 5; i++) {
        r[i] = floor_mod_int(a[i], b[i]);
    }
}

/* op f32(x) = f32(x)
 * op argmax(x[..., r...], axis: [int]? = none, keep: bool = false) -> [...]: i32 = argmax(r...:
 *     x)
 * x[2][3] -> best[2]
 * 6 operations, 14 bytes */
static void f32_argmax_2_k3(const uint8_t *restrict x_, int32_t *restrict best) {
    const uint8_t (*x)[3] = (const uint8_t (*)[3])x_;
    for (int b = 0; b < 2; b++) {
        int32_t at = 0;
        float best2 = -INFINITY;
        for (int r = 0; r < 3; r++) {
            if (wins_max_float((float)x[b][r], best2)) {
                best2 = (float)x[b][r];
                at = r;
            }
        }
        best[b] = at;
    }
}

/* op less(a, b) = a < b
 * a[2][3] -> dark[2][3]
 * 6 operations, 12 bytes */
static void less_2x3(const uint8_t *restrict a_, uint8_t *restrict dark_) {
    const uint8_t (*a)[3] = (const uint8_t (*)[3])a_;
    uint8_t (*dark)[3] = (uint8_t (*)[3])dark_;
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 3; j++) {
            dark[i][j] = a[i][j] < 16;
        }
    }
}

/* op f32(x) = f32(x)
 * op mul(a, b) = a * b
 * op u8(x) = u8(x)
 * x[2][3] -> grey[2][3]
 * 6 operations, 12 bytes */
static void f32_mul_u8_2x3(const uint8_t *restrict x_, uint8_t *restrict grey_) {
    const uint8_t (*x)[3] = (const uint8_t (*)[3])x_;
    uint8_t (*grey)[3] = (uint8_t (*)[3])grey_;
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 3; j++) {
            grey[i][j] = u8_from_float((float)x[i][j] * 0.5f);
        }
    }
}

int kinds(const int32_t *a, const int32_t *b, const uint8_t *image, int32_t *q, int32_t *r,
          int32_t *best, uint8_t *dark, uint8_t *grey) {
    floor_div_5(a, b, q);
    mod_5(a, b, r);
    f32_argmax_2_k3(image, best);
    less_2x3(image, dark);
    f32_mul_u8_2x3(image, grey);
    return 0;
}

const char *kinds_strerror(int code) {
    switch (code) {
    case 0: return "no error";
    default: return "unknown code";
    }
}
