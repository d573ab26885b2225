/* eval.c: the reference meaning of a graph, computed.
 *
 * A node becomes a list of operations, parts before wholes, and runs in strips: all loops but one step by single
 * values, and each operation fills up to 256 doubles along the last loop. That loop is whichever index makes the loads run through
 * memory most evenly, a result's or a reduction's. A load at affine positions is a pointer and a stride; any other computes
 * its positions first. No load reads outside its tensor: where the row has no value for it, and no lane will be
 * asked for it (`where`, conditions), it is 0.
 *
 * Sums are kept in double, integers wrap, and the store rounds to the type of the result. */
#include "compiler.h"
#include "evalstore.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { Strip = 256, MaxLoops = 40 };
static const int64_t most_bytes = (int64_t)1 << 40, most_work = (int64_t)1 << 45;

typedef struct Loop { const Index *index; int64_t n, at; } Loop;

typedef struct Load {
    const char *data;
    Elem elem;
    int rank;
    int64_t dim[MaxRank], stride[MaxRank];
    bool affine, checked[MaxRank];      /* checked: might lie outside along this axis */
    int64_t base[MaxRank], (*coef)[MaxLoops];          /* position = base + sum of coef * loop */
    int64_t flat_base, flat[MaxLoops];  /* the same for the offset */
    int pos[MaxRank];                   /* not affine: operations that give the positions */
    int outside;                        /* operation, or -1 */
} Load;

typedef struct Step {               /* one operation */
    const Term *term;
    bool uniform;                       /* the same all along the strip: one value */
    int kid[3];
    Elem of;                            /* type computed in */
    Load *load;
    double *v;
} Step;

typedef struct Run {
    Ctx *c;
    const Graph *g;
    const int64_t *size;
    Map *env;
    const Node *node;
    Loop loop[MaxLoops];
    int nresult, nloop, strip;          /* results' loops, then those of the reduction; strip: -1 is none */
    VEC(Step) op;
    int ncond_ops;
    int *cond;                          /* operations */
    int body;
    Map op_of;                          /* Term → its operation + 1 */
    double *memory;
    double acc[Strip], best[Strip];
    bool seen[Strip], mask[Strip];
    /* the result */
    char *out;
    Elem out_elem;
    int64_t out_dim[MaxRank], out_stride[MaxRank];
    int at[MaxRank];                    /* operations for node->at */
    Tensor *state; void *copy;          /* what is overwritten while it is read */
} Run;

/* ---- sizes -------------------------------------------------------------------------------------------------- */

static int64_t symbol_value(const Symbol *s, const Graph *g, const int64_t *size)
{
    for (int i = 0; g && size && i < g->size.n; i++) if (g->size.at[i] == s) return size[i];
    return s->hi;
}

static int64_t eval_atom(const Atom *a, const Graph *g, const int64_t *size)
{
    if (a->kind == AtomSymbol) return symbol_value(a->symbol, g, size);
    int64_t x = eval_dim(a->a, g, size), y = eval_dim(a->b, g, size);
    int64_t q = y == 0 ? 0 : x / y - (x % y != 0 && (x < 0) != (y < 0));
    switch (a->kind) {
    case AtomFloorDiv: return q;
    case AtomMod:      return y == 0 ? 0 : x - q * y;
    case AtomMin:      return x < y ? x : y;
    default:           return x > y ? x : y;
    }
}

static int64_t mul_saturated(int64_t a, int64_t b)
{
    int64_t room = b ? INT64_MAX / 2 / (b < 0 ? -b : b) : 0;
    if (b && (a > room || a < -room)) return (a < 0) == (b < 0) ? INT64_MAX / 2 : -(INT64_MAX / 2);
    return a * b;
}

int64_t eval_dim(Dim d, const Graph *g, const int64_t *size)
{
    int64_t sum = 0;
    for (int i = 0; i < d->n; i++) {
        int64_t p = d->term[i].coef;
        for (int k = 0; k < d->term[i].n; k++) p = mul_saturated(p, eval_atom(d->term[i].atom[k], g, size));
        if (p > 0 ? sum > INT64_MAX / 2 - p : sum < -(INT64_MAX / 2) - p) return p > 0 ? INT64_MAX / 2 : -(INT64_MAX / 2);
        sum += p;
    }
    return sum;
}

static int64_t dim_value(const Run *r, Dim d) { return eval_dim(d, r->g, r->size); }

/* Dense strides; the count of elements, or -1 when that is more than any machine has. */
static int64_t shape(const Run *r, const Type *t, int64_t *dim_, int64_t *stride)
{
    int64_t n = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        dim_[i] = dim_value(r, t->dim[i]);
        if (dim_[i] < 0) dim_[i] = 0;
        stride[i] = n;
        n = mul_saturated(n, dim_[i]);
    }
    return n <= most_bytes / 8 ? n : -1;
}

/* ---- building the operations -------------------------------------------------------------------------------- */

static Tensor *base_of(Tensor *t)
{
    while (t->before) t = t->before;
    return t;
}

static const void *storage(const Run *r, Tensor *t)
{
    void *p = map_get(r->env, t);
    if (!p) p = map_get(r->env, base_of(t));
    return p ? p : t->data ? t->data : base_of(t)->data;
}

static int loop_of(const Run *r, const Index *i)
{
    int k = 0;
    while (k < r->nloop && r->loop[k].index != i) k++;
    return k < r->nloop ? k : -1;
}

static int op_add(Run *r, const Term *t);

/* Can base + sum of coef * loop leave [0, dim)? */
static bool may_leave(const Run *r, int64_t base, const int64_t *coef, int64_t dim_)
{
    int64_t lo = base, hi = base;
    for (int i = 0; i < r->nloop; i++) {
        int64_t far = mul_saturated(coef[i], r->loop[i].n - 1);
        if (far > 0) hi += far < most_bytes ? far : most_bytes; else lo += far > -most_bytes ? far : -most_bytes;
    }
    return lo < 0 || hi >= dim_;
}

static bool affine_axis(Run *r, Load *l, int axis, const Term *at)
{
    Affine a;
    if (!term_affine(r->c, at, &a)) return false;
    for (int i = 0; i < a.n; i++) {
        int k = loop_of(r, a.index[i]);
        if (k < 0 || a.coef[i] > most_bytes || a.coef[i] < -most_bytes) return false;
        l->coef[axis][k] += a.coef[i];
    }
    l->base[axis] = dim_value(r, a.base);
    return l->base[axis] < most_bytes && l->base[axis] > -most_bytes;
}

static void affine_load(Run *r, Load *l, const Term *t)
{
    l->affine = true;
    l->coef = alloc(r->c, sizeof *l->coef * (size_t)(l->rank + 1));
    for (int i = 0; i < l->rank && l->affine; i++) l->affine = affine_axis(r, l, i, t->kid[i]);
    for (int i = 0; i < l->rank && l->affine; i++) {
        l->checked[i] = may_leave(r, l->base[i], l->coef[i], l->dim[i]);
        l->flat_base += l->base[i] * l->stride[i];
        for (int k = 0; k < r->nloop; k++) l->flat[k] += l->coef[i][k] * l->stride[i];
    }
}

static Load *load_new(Run *r, const Term *t)
{
    Load *l = NEW(r->c, Load);
    l->elem = elem_storage(r->c, t->from->type.elem);
    l->rank = t->n;
    shape(r, &t->from->type, l->dim, l->stride);
    l->data = storage(r, t->from);
    affine_load(r, l, t);
    l->outside = t->outside ? op_add(r, t->outside) : -1;
    for (int i = 0; i < l->rank && !l->affine; i++) l->pos[i] = op_add(r, t->kid[i]);
    return l;
}

static bool compares(FnId f) { return (f >= FnEq && f <= FnGe) || f == FnIsNan || f == FnIsInf; }

static int op_add(Run *r, const Term *t)
{
    int found = (int)(intptr_t)map_get(&r->op_of, t);
    if (found) return found - 1;
    Step op = {.term = t, .of = t->elem, .kid = {-1, -1, -1}};
    if (t->kind == TLoad) op.load = load_new(r, t);
    for (int i = 0; t->kind == TApply && i < t->n; i++) op.kid[i] = op_add(r, t->kid[i]);
    if (t->kind == TApply && compares(t->fn->id)) op.of = t->kid[0]->elem == AnyInt && t->n > 1 ? t->kid[1]->elem : t->kid[0]->elem;
    push(r->c, &r->op, op);
    map_put(r->c, &r->op_of, t, (void *)(intptr_t)r->op.n);
    return r->op.n - 1;
}

static bool op_uniform(const Run *r, const Step *op)
{
    const Load *l = op->load;
    if (r->strip < 0) return true;
    if (op->term->kind == TIndex) return op->term->index != r->loop[r->strip].index;
    if (l && l->outside >= 0 && !r->op.at[l->outside].uniform) return false;
    if (l && l->affine) {
        for (int i = 0; i < l->rank; i++) if (l->coef[i][r->strip]) return false;
        return true;
    }
    for (int i = 0; l && i < l->rank; i++) if (!r->op.at[l->pos[i]].uniform) return false;
    for (int i = 0; i < 3; i++) if (op->kid[i] >= 0 && !r->op.at[op->kid[i]].uniform) return false;
    return true;
}

/* ---- which loop to strip ---------------------------------------------------------------------------------------- */

static double loop_cost(const Run *r, int k)
{
    double cost = 30.0 / (double)(r->loop[k].n < Strip ? r->loop[k].n + 1 : Strip);
    for (int i = 0; i < r->op.n; i++) {
        const Load *l = r->op.at[i].load;
        int64_t s = l && l->affine ? l->flat[k] : l ? 2 : 0;
        cost += s == 0 ? 0.0 : s == 1 || s == -1 ? 1.0 : s < 16 && s > -16 ? 1.5 : 4.0;
    }
    return cost;
}

static void choose_strip(Run *r)
{
    double least = INFINITY;
    bool first_counts = r->node->reduce == RArgMax || r->node->reduce == RArgMin;
    r->strip = -1;
    for (int k = r->nloop - 1; k >= 0; k--) {
        if (first_counts && k >= r->nresult && k != r->nloop - 1) continue;
        double cost = loop_cost(r, k);
        if (cost < least) { least = cost; r->strip = k; }
    }
}

/* ---- a strip of each operation ------------------------------------------------------------------------------------ */

/* The lanes [lo, hi) of n in which base + step * lane lies in [0, size). */
static void clip(int64_t base, int64_t step, int64_t size, int *lo, int *hi)
{
    if (step < 0) {                                      /* mirrored: size - 1 - position rises */
        base = size - 1 - base;
        step = -step;
    }
    int64_t from = 0, to = *hi;
    if (step == 0) { if (base < 0 || base >= size) to = 0; }
    else {
        if (base < 0) from = (-base + step - 1) / step;
        to = base >= size ? 0 : (size - 1 - base) / step + 1;
    }
    if (from > *lo) *lo = from < *hi ? (int)from : *hi;
    if (to < *hi) *hi = to > *lo ? (int)to : *lo;
}

/* Offset at lane 0, and the lanes that are inside. */
static int64_t affine_lanes(const Run *r, const Load *l, int n, int *lo, int *hi)
{
    *lo = 0;
    *hi = n;
    for (int i = 0; i < l->rank; i++) {
        if (!l->checked[i]) continue;
        int64_t p = l->base[i];
        for (int k = 0; k < r->nloop; k++) p += l->coef[i][k] * r->loop[k].at;
        clip(p, r->strip < 0 ? 0 : l->coef[i][r->strip], l->dim[i], lo, hi);
    }
    int64_t off = l->flat_base;
    for (int k = 0; k < r->nloop; k++) off += l->flat[k] * r->loop[k].at;
    return off;
}

static double lane(const Run *r, int op, int i)
{
    const Step *o = &r->op.at[op];
    return o->v[o->uniform ? 0 : i];
}

static void run_affine(Run *r, Step *op, int n)
{
    const Load *l = op->load;
    int lo, hi;
    int64_t off = affine_lanes(r, l, n, &lo, &hi), step = r->strip < 0 ? 0 : l->flat[r->strip];
    for (int i = 0; i < lo; i++) op->v[i] = l->outside < 0 ? 0.0 : lane(r, l->outside, i);
    if (lo < hi) store_read(l->elem, l->data, off + lo * step, step, op->v + lo, hi - lo);
    for (int i = hi; i < n; i++) op->v[i] = l->outside < 0 ? 0.0 : lane(r, l->outside, i);
}

static void run_gather(Run *r, Step *op, int n)
{
    const Load *l = op->load;
    for (int i = 0; i < n; i++) {
        int64_t off = 0;
        bool inside = true;
        for (int k = 0; k < l->rank; k++) {
            double p = lane(r, l->pos[k], i);
            inside = inside && p >= 0.0 && p < (double)l->dim[k];
            if (inside) off += (int64_t)p * l->stride[k];
        }
        if (inside) store_read(l->elem, l->data, off, 0, &op->v[i], 1);
        else op->v[i] = l->outside < 0 ? 0.0 : lane(r, l->outside, i);
    }
}

#define EACH(expression) \
    do { for (int i = 0; i < n; i++) { double x = a[i * sa], y = b[i * sb]; v[i] = (expression); } return true; } while (0)

/* The common ones of two floats, or of integers exact in a double. */
static bool run_common(FnId f, Elem of, double *restrict v, int n, const double *a, int sa, const double *b, int sb)
{
    bool floats = elem_is_float(of);
    switch (f) {
    case FnAdd: if (floats) EACH(x + y); break;
    case FnSub: if (floats) EACH(x - y); break;
    case FnMul: if (floats) EACH(x * y); break;
    case FnDiv: if (floats) EACH(x / y); break;
    case FnMax: EACH(x > y || x != x ? x : y);
    case FnMin: EACH(x < y || x != x ? x : y);
    case FnEq:  EACH(x == y);
    case FnNe:  EACH(x != y);
    case FnLt:  EACH(x < y);
    case FnLe:  EACH(x <= y);
    case FnGt:  EACH(x > y);
    case FnGe:  EACH(x >= y);
    case FnAnd: EACH(x != 0.0 && y != 0.0);
    case FnOr:  EACH(x != 0.0 || y != 0.0);
    default: break;
    }
    if (of == I32 || of == I8 || of == I16) {
        if (f == FnAdd) { EACH(fn_wrap(of, (uint64_t)((int64_t)x + (int64_t)y))); }
        if (f == FnSub) { EACH(fn_wrap(of, (uint64_t)((int64_t)x - (int64_t)y))); }
        if (f == FnMul) { EACH(fn_wrap(of, (uint64_t)((int64_t)x * (int64_t)y))); }
    }
    return false;
}

static void run_apply(Run *r, Step *op, int n)
{
    const Fn *f = op->term->fn;
    const Step *k[3];
    for (int i = 0; i < 3; i++) k[i] = op->kid[i] >= 0 ? &r->op.at[op->kid[i]] : NULL;
    if (f->arity == 2 && run_common(f->id, op->of, op->v, n, k[0]->v, !k[0]->uniform, k[1]->v, !k[1]->uniform)) return;
    for (int i = 0; i < n; i++) {
        double arg[3];
        for (int j = 0; j < f->arity; j++) arg[j] = k[j]->v[k[j]->uniform ? 0 : i];
        op->v[i] = fn_eval(f, op->of, arg);
    }
}

static void run_ops(Run *r, int from, int to, int strip)
{
    for (int i = from; i < to; i++) {
        Step *op = &r->op.at[i];
        int n = op->uniform ? 1 : strip;
        const Term *t = op->term;
        switch (t->kind) {
        case TNumber: op->v[0] = t->number; break;
        case TSize:   op->v[0] = (double)dim_value(r, t->size); break;
        case TIndex:
            for (int k = 0; k < n; k++) op->v[k] = (double)(r->loop[loop_of(r, t->index)].at + k);
            break;
        case TLoad:   if (op->load->affine) run_affine(r, op, n); else run_gather(r, op, n); break;
        case TApply:  run_apply(r, op, n); break;
        }
    }
}

/* ---- reduction -------------------------------------------------------------------------------------------------------- */

static double nothing(Reduce k)                          /* of no terms */
{
    return k == RProd || k == RAll ? 1.0 : k == RMax || k == RArgMax ? -INFINITY
         : k == RMin || k == RArgMin ? INFINITY : 0.0;
}

static double joined(Reduce k, Elem e, double a, double x)
{
    double arg[2] = {a, x};
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

static void take_position(Run *r, int to, double x, double position)
{
    bool max = r->node->reduce == RArgMax;
    double best = r->best[to];
    bool better = !r->seen[to] || (best == best && (x != x || (max ? x > best : x < best)));
    r->seen[to] = true;
    if (!better) return;
    r->best[to] = x;
    r->acc[to] = position;
}

static double position_of(const Run *r, int at_lane)     /* row-major over the binders */
{
    double p = 0.0;
    for (int k = r->nresult; k < r->nloop; k++)
        p = p * (double)r->loop[k].n + (double)(r->loop[k].at + (k == r->strip ? at_lane : 0));
    return p;
}

static void take_strip(Run *r, int n)                    /* the body's strip goes into acc */
{
    const Step *b = &r->op.at[r->body];
    Reduce k = r->node->reduce;
    bool along = r->strip >= r->nresult;                 /* the strip itself is reduced */
    Elem e = r->node->body->elem;
    for (int i = 0; i < n; i++) {
        int to = along ? 0 : i;
        double x = b->v[b->uniform ? 0 : i];
        if (!r->mask[i]) continue;
        if (k == RArgMax || k == RArgMin) take_position(r, to, x, position_of(r, i));
        else r->acc[to] = joined(k, e, r->acc[to], x);
    }
}

/* Plain sums of floats without conditions, the bulk of all work. */
static void sum_strip(Run *r, int n)
{
    const Step *b = &r->op.at[r->body];
    double *restrict acc = r->acc;
    const double *v = b->v;
    if (r->strip < r->nresult) {
        int s = !b->uniform;
        for (int i = 0; i < n; i++) acc[i] += v[i * s];
        return;
    }
    if (b->uniform) { acc[0] += v[0] * n; return; }
    double s = 0.0;
    for (int i = 0; i < n; i++) s += v[i];
    acc[0] += s;
}

/* acc += a * b straight from two f32 tensors. */
static bool product_strip(Run *r, int n)
{
    const Step *m = &r->op.at[r->body];
    if (m->term->kind != TApply || m->term->fn->id != FnMul) return false;
    const Load *a = r->op.at[m->kid[0]].load, *b = r->op.at[m->kid[1]].load;
    if (!a || !b || !a->affine || !b->affine || a->elem != F32 || b->elem != F32) return false;
    const Term *oa = a->outside < 0 ? NULL : r->op.at[a->outside].term, *ob = b->outside < 0 ? NULL : r->op.at[b->outside].term;
    if ((oa && (oa->kind != TNumber || oa->number != 0.0)) || (ob && (ob->kind != TNumber || ob->number != 0.0))) return false;
    int lo, hi, lo2, hi2;
    int64_t pa = affine_lanes(r, a, n, &lo, &hi), pb = affine_lanes(r, b, n, &lo2, &hi2);
    int64_t sa = r->strip < 0 ? 0 : a->flat[r->strip], sb = r->strip < 0 ? 0 : b->flat[r->strip];
    if (lo2 > lo) lo = lo2;
    if (hi2 < hi) hi = hi2;
    if (lo >= hi) return true;
    const float *x = (const float *)(const void *)a->data + pa + lo * sa;
    const float *y = (const float *)(const void *)b->data + pb + lo * sb;
    if (r->strip >= r->nresult) r->acc[0] += store_dot(x, sa, y, sb, hi - lo);
    else store_axpy(r->acc + lo, x, sa, y, sb, hi - lo);
    return true;
}

static bool conditions(Run *r, int n)                    /* sets mask; is any lane left? */
{
    for (int i = 0; i < n; i++) r->mask[i] = true;
    if (!r->node->ncond) return true;
    run_ops(r, 0, r->ncond_ops, n);
    bool any = false;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < r->node->ncond; k++) r->mask[i] = r->mask[i] && lane(r, r->cond[k], i) != 0.0;
        any = any || r->mask[i];
    }
    return any;
}

static void one_strip(Run *r, int n)
{
    bool sum = r->node->reduce == RSum && !r->node->ncond && elem_is_float(r->node->body->elem);
    if (sum && product_strip(r, n)) return;
    if (!sum && !conditions(r, n)) return;
    run_ops(r, r->ncond_ops, r->op.n, n);
    if (sum) sum_strip(r, n); else take_strip(r, n);
}

/* ---- loops ---------------------------------------------------------------------------------------------------------- */

/* The next values of loops [from, to) but the strip's; false: all were seen. */
static bool next(Run *r, int from, int to)
{
    for (int k = to - 1; k >= from; k--) {
        if (k == r->strip) continue;
        if (++r->loop[k].at < r->loop[k].n) return true;
        r->loop[k].at = 0;
    }
    return false;
}

static void reduce_all(Run *r, int lanes)                /* over the binders, into acc */
{
    bool along = r->strip >= r->nresult;
    int64_t n = along ? r->loop[r->strip].n : 0;
    for (int k = r->nresult; k < r->nloop; k++) if (r->loop[k].n == 0) return;
    do {
        if (!along) { one_strip(r, lanes); continue; }
        for (int64_t s = 0; s < n; s += Strip) {
            r->loop[r->strip].at = s;
            one_strip(r, (int)(n - s < Strip ? n - s : Strip));
        }
    } while (next(r, r->nresult, r->nloop));
    if (along) r->loop[r->strip].at = 0;
}

/* Offset of the result's element at the loops' values with the strip's at lane i; -1: outside. */
static int64_t place(const Run *r, int i)
{
    const Node *n = r->node;
    int64_t off = 0;
    int k = 0;
    for (int a = 0; a < n->out->type.rank; a++) {
        int64_t p = 0;
        if (n->at) p = (int64_t)lane(r, r->at[a], i);
        else for (int j = 0; j < n->axis[a].n; j++, k++)
            p = p * r->loop[k].n + r->loop[k].at + (k == r->strip ? i : 0);
        if (p < 0 || p >= r->out_dim[a]) return -1;
        off += p * r->out_stride[a];
    }
    return off;
}

/* Without `at` the elements of a strip lie evenly spaced. */
static void store_even(Run *r, int n)
{
    int64_t off = place(r, 0), step = n > 1 ? place(r, 1) - off : 0;
    bool inside = off >= 0 && place(r, n - 1) == off + step * (n - 1);
    if (inside && r->out_elem == F32) {
        float *to = (float *)(void *)r->out + off;
        for (int i = 0; i < n; i++) to[i * step] = (float)r->acc[i];
    } else if (inside)
        for (int i = 0; i < n; i++) store_write(r->out_elem, r->out, off + i * step, r->acc[i]);
}

static void store_lanes(Run *r, int n)
{
    if (!r->node->at && (r->node->reduce || !r->node->ncond)) { store_even(r, n); return; }
    for (int i = 0; i < n; i++) {
        if (!r->node->reduce && !r->mask[i]) continue;
        int64_t off = place(r, i);
        if (off >= 0) store_write(r->out_elem, r->out, off, r->acc[i]);
    }
}

static void start_lanes(Run *r, int n)
{
    Reduce k = r->node->reduce;
    for (int i = 0; i < n; i++) {
        r->acc[i] = k == RArgMax || k == RArgMin ? 0.0 : nothing(k);
        r->seen[i] = false;
    }
}

static void compute_lanes(Run *r, int n)
{
    start_lanes(r, n);
    if (r->node->reduce) reduce_all(r, n);
    else if (conditions(r, n)) {
        run_ops(r, r->ncond_ops, r->op.n, n);
        for (int i = 0; i < n; i++) r->acc[i] = lane(r, r->body, i);
    }
    if (r->node->at && r->node->reduce) run_ops(r, 0, r->op.n, n);     /* where the element goes */
    store_lanes(r, n);
}

static void run(Run *r)
{
    bool over_result = r->strip >= 0 && r->strip < r->nresult;
    int64_t n = over_result ? r->loop[r->strip].n : 1;
    for (int k = 0; k < r->nresult; k++) if (r->loop[k].n == 0) return;
    do {
        for (int64_t s = 0; s < n; s += Strip) {
            if (over_result) r->loop[r->strip].at = s;
            compute_lanes(r, (int)(n - s < Strip ? n - s : Strip));
        }
    } while (next(r, 0, r->nresult));
}

/* ---- a node ---------------------------------------------------------------------------------------------------------- */

static bool add_loop(Run *r, const Index *i)
{
    if (r->nloop == MaxLoops) return false;
    int64_t n = dim_value(r, i->size);
    r->loop[r->nloop++] = (Loop){i, n < 0 ? 0 : n, 0};
    return true;
}

static bool make_loops(Run *r)
{
    const Node *n = r->node;
    double work = 1.0;
    bool fits = true;
    for (int a = 0; a < n->naxis; a++)
        for (int i = 0; i < n->axis[a].n; i++) fits = fits && add_loop(r, n->axis[a].index[i]);
    r->nresult = r->nloop;
    for (int i = 0; i < n->nbind; i++) fits = fits && add_loop(r, n->bind[i]);
    for (int i = 0; i < r->nloop; i++) work *= (double)r->loop[i].n;
    if (!fits) error_plain(r->c, "`%s` has more than %d indices", n->out->name, (int)MaxLoops);
    else if (work > (double)most_work) error_plain(r->c, "`%s` takes %.3g operations to compute", n->out->name, work);
    return fits && work <= (double)most_work;
}

static void make_ops(Run *r)
{
    const Node *n = r->node;
    r->cond = NEWN(r->c, int, n->ncond);
    for (int i = 0; i < n->ncond; i++) r->cond[i] = op_add(r, n->cond[i]);
    r->ncond_ops = r->op.n;
    for (int a = 0; n->at && a < n->out->type.rank; a++) r->at[a] = op_add(r, n->at[a]);
    r->body = op_add(r, n->body);
    choose_strip(r);
    for (int i = 0; i < r->op.n; i++) r->op.at[i].uniform = op_uniform(r, &r->op.at[i]);
}

static bool known(Run *r)                                /* has every load its storage, every function its meaning? */
{
    for (int i = 0; i < r->op.n; i++) {
        const Step *op = &r->op.at[i];
        if (op->load && !op->load->data) {
            error_plain(r->c, "`%s` has no value", op->term->from->path ? op->term->from->path : op->term->from->name);
            return false;
        }
        if (op->term->kind == TApply && !fn_known(op->term->fn)) {
            error_plain(r->c, "`%s` is a function of the target and has no `reference`", op->term->fn->name);
            return false;
        }
    }
    return true;
}

static bool reads_state(const Run *r, const Tensor *state)
{
    for (int i = 0; i < r->op.n; i++)
        if (r->op.at[i].load && base_of(r->op.at[i].term->from) == state) return true;
    return false;
}

static void *room(Run *r, int64_t count, const Tensor *t)
{
    int bytes = elem_bytes(r->c, t->type.elem);
    void *p = count < 0 ? NULL : calloc((size_t)count + 1, (size_t)bytes);
    if (!p) error_plain(r->c, "`%s` is too large to compute: %s", t->name, type_text(r->c, &t->type));
    return p;
}

/* The memory the node writes: that of the state it is a version of, or new. */
static bool open_result(Run *r)
{
    Tensor *out = r->node->out;
    int64_t n = shape(r, &out->type, r->out_dim, r->out_stride);
    r->out_elem = elem_storage(r->c, out->type.elem);
    if (out->kind == TState && out->before) r->out = (char *)(uintptr_t)map_get(r->env, base_of(out));
    if (!r->out) {
        r->out = room(r, n, out);
        const Tensor *base = base_of(out);
        if (r->out && base != out && base->data) memcpy(r->out, base->data, (size_t)n * (size_t)elem_bytes(r->c, out->type.elem));
        if (r->out) map_put(r->c, r->env, base, r->out);
    } else if (reads_state(r, base_of(out))) {
        size_t bytes = (size_t)n * (size_t)elem_bytes(r->c, out->type.elem);
        r->copy = room(r, n, out);
        if (!r->copy) return false;
        memcpy(r->copy, r->out, bytes);
        for (int i = 0; i < r->op.n; i++) {
            Load *l = r->op.at[i].load;
            if (l && l->data == r->out) l->data = r->copy;
        }
    }
    if (r->out) map_put(r->c, r->env, out, r->out);
    return r->out;
}

static bool open_strips(Run *r)
{
    r->memory = malloc(sizeof(double) * Strip * (size_t)(r->op.n + 1));
    for (int i = 0; r->memory && i < r->op.n; i++) r->op.at[i].v = r->memory + i * Strip;
    if (!r->memory) error_plain(r->c, "out of memory");
    return r->memory;
}

bool eval_node(Ctx *c, const Node *n, Map *env, const Graph *g, const int64_t *size)
{
    Run *r = calloc(1, sizeof *r);
    if (!r) { error_plain(c, "out of memory"); return false; }
    *r = (Run){.c = c, .g = g, .size = size, .env = env, .node = n};
    bool ok = make_loops(r);
    if (ok) make_ops(r);
    ok = ok && known(r) && open_result(r) && open_strips(r);
    if (ok) run(r);
    free(r->copy);
    free(r->memory);
    free(r);
    return ok;
}

bool eval(Ctx *c, const Graph *g, Map *env, const int64_t *size)
{
    for (int i = 0; i < g->node.n; i++) if (!eval_node(c, g->node.at[i], env, g, size)) return false;
    return true;
}
