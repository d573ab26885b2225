/* rowreshape.c: reshape and flatten as rows.
 *
 * Both shapes are cut into the same pieces, each of them an index; an axis of either is a group of
 * pieces. Where no such cut exists, a position is one number that // and % take apart. */
#include "rowmaker.h"

#include <string.h>

typedef struct Refine { /* every axis of either shape as a group of indices */
    Index *from[MaxRank][MaxParts], *to[MaxRank][MaxParts];
    int nfrom[MaxRank], nto[MaxRank];
    Term *linear[MaxRank]; /* position along an axis of x where no refinement exists */
    int made;
} Refine;

static Dim sizes_product(Ctx *c, const Dim *d, int from, int to) {
    Dim p = dim(c, 1);
    for (int k = from; k < to; k++)
        p = dim_mul(c, p, d[k]);
    return p;
}

/* Axes i0 … i1 of x against j0 … j1 of the result: cut both into equal pieces. False: they do not
 * divide. */
static bool refine(Make *m, Refine *f, const Dim *x, int i0, int i1, const Dim *y, int j0, int j1) {
    int i = i0, j = j0;
    Ctx *c = m->c;
    Dim a = x[i], b = y[j], rest, one_ = dim(c, 1);
    while (i < i1 && j < j1) {
        Dim piece;
        if (dim_is(a, 1) && i + 1 < i1) {
            a = x[++i];
            continue;
        }
        if (dim_is(b, 1) && j + 1 < j1) {
            b = y[++j];
            continue;
        }
        if (dim_equal(c, a, b)) {
            piece = a;
            a = b = one_;
        } else if (!dim_is(b, 1) && !dim_is(b, 0) && dim_exact(c, a, b, &rest)) {
            piece = b;
            a = rest;
            b = one_;
        } else if (!dim_is(a, 1) && !dim_is(a, 0) && dim_exact(c, b, a, &rest)) {
            piece = a;
            b = rest;
            a = one_;
        } else
            return false;
        if (f->nfrom[i] == MaxParts || f->nto[j] == MaxParts)
            return false;
        Index *k = make_loop(m, f->made++, piece);
        f->from[i][f->nfrom[i]++] = k;
        f->to[j][f->nto[j]++] = k;
        if (dim_is(a, 1) && ++i < i1)
            a = x[i];
        if (dim_is(b, 1) && ++j < j1)
            b = y[j];
    }
    return true;
}

/* The fallback: the element's number, in the order of both, taken apart with // and %. */
static void refine_linear(Make *m, Refine *f, const Dim *x, int i0, int i1, const Dim *y, int j0,
                          int j1) {
    Ctx *c = m->c;
    Term *digit[MaxRank], *flat;
    Dim size[MaxRank];
    for (int i = i0; i < i1; i++)
        f->nfrom[i] = 0;
    for (int j = j0; j < j1; j++) {
        f->to[j][0] = make_loop(m, f->made++, y[j]);
        f->nto[j] = 1;
        digit[j - j0] = term_index(c, f->to[j][0]);
        size[j - j0] = y[j];
    }
    flat = radix(c, digit, size, j1 - j0);
    for (int i = i0; i < i1; i++) {
        Dim below = sizes_product(c, x, i + 1, i1);
        Term *at =
            dim_is(below, 1) ? flat : term_apply2(c, FnFloorDiv, I32, flat, make_size(m, below));
        f->linear[i] = term_apply2(c, FnMod, I32, at, make_size(m, x[i]));
    }
}

/* From i, j: the shortest runs of axes with equal products. */
static void segment(Make *m, const Dim *x, int n, int i, int *i1, const Dim *y, int r, int j,
                    int *j1) {
    for (int len = 2; len <= (n - i) + (r - j); len++)
        for (int p = 1; p < len; p++) {
            if (i + p > n || j + len - p > r)
                continue;
            if (!dim_equal(m->c, sizes_product(m->c, x, i, i + p),
                           sizes_product(m->c, y, j, j + len - p)))
                continue;
            *i1 = i + p;
            *j1 = j + len - p;
            return;
        }
    *i1 = n;
    *j1 = r;
}

static Value reshape_to(Make *m, Tensor *x, const Dim *to, int rank, const char *op) {
    Ctx *c = m->c;
    Refine *f = NEW(c, Refine);
    const Dim *from = x->type.dim;
    Axis axis[MaxRank];
    Term *at[MaxRank];
    int n = x->type.rank, i = 0, j = 0, i1, j1;
    while (i < n && j < rank) {
        segment(m, from, n, i, &i1, to, rank, j, &j1);
        int made = f->made;
        if (!refine(m, f, from, i, i1, to, j, j1)) {
            f->made = made;
            for (int k = j; k < j1; k++)
                f->nto[k] = 0;
            refine_linear(m, f, from, i, i1, to, j, j1);
        }
        i = i1;
        j = j1;
    }
    for (int k = 0; k < rank; k++) {
        axis[k] = (Axis){ .index = NEWN(c, Index *, f->nto[k] + 1), .n = f->nto[k] };
        memcpy(axis[k].index, f->to[k], sizeof(Index *) * (size_t)f->nto[k]);
    }
    for (int k = 0; k < n; k++) {
        Term *digit[MaxParts];
        Dim size[MaxParts];
        for (int p = 0; p < f->nfrom[k]; p++) {
            digit[p] = term_index(c, f->from[k][p]);
            size[p] = f->from[k][p]->size;
        }
        at[k] = f->linear[k] ? f->linear[k] : radix(c, digit, size, f->nfrom[k]);
    }
    return make_value(m, op, axis, rank, make_load(m, x, at));
}

char *sizes_text(Ctx *c, const Dim *d, int n) {
    Text t = { 0 };
    text_add(c, &t, "[");
    for (int k = 0; k < n; k++)
        text_add(c, &t, "%s%s", k ? ", " : "", dim_text(c, d[k]));
    text_add(c, &t, "]");
    return t.s;
}

Value make_reshape(Make *m) {
    Tensor *x = make_tensor_arg(m, 0);
    Dim to[MaxRank], a, b;
    int n = x ? make_sizes_arg(m, 1, to) : -1;
    if (n < 0)
        return poison(m->at);
    a = type_count(m->c, &x->type);
    b = sizes_product(m->c, to, 0, n);
    if (!dim_equal(m->c, a, b)) {
        make_wrong(m, m->at,
                   format(m->c, "cannot reshape %s to %s: %s elements are not %s",
                          type_text(m->c, &x->type), sizes_text(m->c, to, n), dim_text(m->c, a),
                          dim_text(m->c, b)));
        return poison(m->at);
    }
    return reshape_to(m, x, to, n, "reshape");
}

Value make_flatten(Make *m) {
    Tensor *x = make_tensor_arg(m, 0);
    Dim to[MaxRank];
    int start = x ? make_axis_arg(m, 1, x->type.rank + 1, 1) : -1;
    if (start < 0)
        return poison(m->at);
    if (start == x->type.rank && start > 0)
        return tensor_value(x, m->at);
    memcpy(to, x->type.dim, sizeof *to * (size_t)start);
    to[start] = sizes_product(m->c, x->type.dim, start, x->type.rank);
    return reshape_to(m, x, to, start + 1, "flatten");
}
