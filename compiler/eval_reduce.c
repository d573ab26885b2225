/* eval_reduce.c: the reduction of a node, strip by strip.
 *
 * Sums of products of floats, the bulk of all work, go straight from memory into the sums. A
 * condition that bounds a sum of loops cuts the strip to the lanes where it holds; any other is
 * computed, and masks. */
#include "eval_strip.h"

#include <math.h>

/* ---- the lanes that count */

bool eval_enter(Eval *r, int *n) {
    int lo = 0, hi = *n;
    for (int i = 0; i < r->bound.n; i++) {
        const EvalSum *s = &r->bound.at[i];
        eval_clip(eval_sum(r, s), s->along, INT64_MAX / 4, &lo, &hi);
        if (lo >= hi)
            return false;
    }
    if (r->strip >= 0)
        r->loop[r->strip].at += lo;
    r->first = lo;
    *n = hi - lo;
    return true;
}

void eval_leave(Eval *r) {
    if (r->strip >= 0)
        r->loop[r->strip].at -= r->first;
    r->first = 0;
}

bool eval_mask(Eval *r, int n) {
    for (int i = 0; i < n; i++)
        r->mask[i] = true;
    if (!r->cond.n)
        return true;
    eval_ops(r, 0, r->ncond_ops, n);
    bool any = false;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < r->cond.n; k++)
            r->mask[i] = r->mask[i] && eval_lane(r, r->cond.at[k], i) != 0.0;
        any = any || r->mask[i];
    }
    return any;
}

/* ---- any reduction */

/* Of no terms. */
double eval_nothing(Reduce k) {
    switch (k) {
    case RProd: case RAll:    return 1.0;
    case RMax:  case RArgMax: return -INFINITY;
    case RMin:  case RArgMin: return INFINITY;
    default:                  return 0.0;
    }
}

static double join_two(Reduce k, Elem e, double a, double x) {
    double arg[2] = { a, x };
    switch (k) {
    case RSum:  return elem_is_float(e) ? a + x : fn_eval(fn(FnAdd), e, arg);
    case RProd: return elem_is_float(e) ? a * x : fn_eval(fn(FnMul), e, arg);
    case RMax:  return a != a ? a : x != x || x > a ? x : a;
    case RMin:  return a != a ? a : x != x || x < a ? x : a;
    case RAny:  return a != 0.0 || x != 0.0;
    case RAll:  return a != 0.0 && x != 0.0;
    default:    return x;
    }
}

static void take_position(Eval *r, int to, double x, double position) {
    bool max = r->node->reduce == RArgMax;
    double best = r->best[to];
    bool better = !r->seen[to] || (best == best && (x != x || (max ? x > best : x < best)));
    r->seen[to] = true;
    if (!better)
        return;
    r->best[to] = x;
    r->acc[to] = position;
}

/* Row-major over the binders. */
static double position_at(const Eval *r, int at_lane) {
    double p = 0.0;
    for (int k = r->nresult; k < r->nloop; k++)
        p = p * (double)r->loop[k].n + (double)(r->loop[k].at + (k == r->strip ? at_lane : 0));
    return p;
}

/* The body's strip goes into acc. */
static void take_strip(Eval *r, int n) {
    const EvalOp *b = &r->op.at[r->body];
    Reduce k = r->node->reduce;
    bool along = r->strip >= r->nresult; // the strip itself is reduced
    Elem e = r->node->body->elem;
    for (int i = 0; i < n; i++) {
        int to = along ? 0 : r->first + i;
        double x = b->v[b->uniform ? 0 : i];
        if (!r->mask[i])
            continue;
        if (k == RArgMax || k == RArgMin)
            take_position(r, to, x, position_at(r, i));
        else
            r->acc[to] = join_two(k, e, r->acc[to], x);
    }
}

/* ---- sums of floats */

static void sum_strip(Eval *r, int n) {
    const EvalOp *b = &r->op.at[r->body];
    double *restrict acc = r->acc;
    const double *v = b->v;
    if (r->strip < r->nresult) {
        int s = !b->uniform;
        for (int i = 0; i < n; i++)
            acc[r->first + i] += v[i * s];
        return;
    }
    if (b->uniform) {
        acc[0] += v[0] * n;
        return;
    }
    double s = 0.0;
    for (int i = 0; i < n; i++)
        s += v[i];
    acc[0] += s;
}

static double dot(const float *x, int64_t sx, const float *y, int64_t sy, int n) {
    double s[4] = { 0.0 };
    int i = 0;
    if (sx == 1 && sy == 1)
        for (; i + 4 <= n; i += 4)
            for (int k = 0; k < 4; k++)
                s[k] += (double)x[i + k] * (double)y[i + k];
    for (; i < n; i++)
        s[i & 3] += (double)x[i * sx] * (double)y[i * sy];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* to += x * y */
static void add_products(double *restrict to, const float *x, int64_t sx, const float *y,
                         int64_t sy, int n) {
    if (sx == 0) {
        const float *t = x;
        x = y;
        y = t;
        sx = sy;
        sy = 0;
    }
    double k = (double)*y;
    if (sy == 0 && sx == 1)
        for (int i = 0; i < n; i++)
            to[i] += (double)x[i] * k;
    else if (sy == 0)
        for (int i = 0; i < n; i++)
            to[i] += (double)x[i * sx] * k;
    else
        for (int i = 0; i < n; i++)
            to[i] += (double)x[i * sx] * (double)y[i * sy];
}

/* An affine load of f32 that is 0 outside: its lanes outside add nothing. */
static const EvalLoad *factor(const Eval *r, int op) {
    const EvalLoad *l = r->op.at[op].load;
    if (!l || !l->affine || l->elem != F32)
        return NULL;
    const Term *outside = l->outside < 0 ? NULL : r->op.at[l->outside].term;
    return !outside || (outside->kind == TNumber && outside->number == 0.0) ? l : NULL;
}

/* acc += a * b straight from two tensors. */
static bool product_strip(Eval *r, int n) {
    const EvalOp *m = &r->op.at[r->body];
    if (m->term->kind != TApply || m->term->fn->id != FnMul)
        return false;
    const EvalLoad *a = factor(r, m->kid[0]), *b = factor(r, m->kid[1]);
    if (!a || !b)
        return false;
    int lo, hi, lo_b, hi_b;
    int64_t at_a = eval_lanes(r, a, n, &lo, &hi), at_b = eval_lanes(r, b, n, &lo_b, &hi_b);
    if (lo_b > lo)
        lo = lo_b;
    if (hi_b < hi)
        hi = hi_b;
    if (lo >= hi)
        return true;
    int64_t sa = a->offset.along, sb = b->offset.along;
    const float *x = (const float *)(const void *)a->data + at_a + lo * sa;
    const float *y = (const float *)(const void *)b->data + at_b + lo * sb;
    if (r->strip >= r->nresult)
        r->acc[0] += dot(x, sa, y, sb, hi - lo);
    else
        add_products(r->acc + r->first + lo, x, sa, y, sb, hi - lo);
    return true;
}

/* ---- over the binders */

static void one_strip(Eval *r, int n) {
    bool sum = r->node->reduce == RSum && !r->cond.n && elem_is_float(r->node->body->elem);
    if (!eval_enter(r, &n))
        return;
    if (!(sum && product_strip(r, n)) && eval_mask(r, n)) {
        eval_ops(r, r->ncond_ops, r->op.n, n);
        if (sum)
            sum_strip(r, n);
        else
            take_strip(r, n);
    }
    eval_leave(r);
}

bool eval_next(Eval *r, int from, int to) {
    for (int k = to - 1; k >= from; k--) {
        if (k == r->strip)
            continue;
        if (++r->loop[k].at < r->loop[k].n)
            return true;
        r->loop[k].at = 0;
    }
    return false;
}

void eval_reduce(Eval *r, int lanes) {
    bool along = r->strip >= r->nresult;
    int64_t n = along ? r->loop[r->strip].n : 0;
    for (int k = r->nresult; k < r->nloop; k++)
        if (r->loop[k].n == 0)
            return;
    do {
        if (!along) {
            one_strip(r, lanes);
            continue;
        }
        for (int64_t s = 0; s < n; s += Strip) {
            r->loop[r->strip].at = s;
            one_strip(r, (int)(n - s < Strip ? n - s : Strip));
        }
    } while (eval_next(r, r->nresult, r->nloop));
    if (along)
        r->loop[r->strip].at = 0;
}
