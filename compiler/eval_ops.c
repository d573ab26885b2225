/* eval_ops.c: a node's terms as a list of operations, parts before wholes, and a strip of each.
 *
 * A load at affine positions is a pointer and a stride; any other computes its positions first. No
 * load reads outside its tensor: where the row has no value for it, and no lane will be asked for
 * it (`where`, conditions), it is 0. */
#include "eval_strip.h"

#include <math.h>

/* ---- sums of loops */

static int loop_of(const Eval *r, const Index *i) {
    int k = 0;
    while (k < r->nloop && r->loop[k].index != i)
        k++;
    return k < r->nloop ? k : -1;
}

static bool is_near(int64_t n) {
    return n < eval_most_bytes && n > -eval_most_bytes;
}

static bool sum_of_loops(Eval *r, const Term *t, EvalSum *s) {
    Affine a;
    if (!term_affine(r->c, t, &a))
        return false;
    *s = (EvalSum){ .base = eval_size(r, a.base), .part = NEWN(r->c, EvalPart, a.n), .n = a.n };
    for (int i = 0; i < a.n; i++) {
        s->part[i] = (EvalPart){ loop_of(r, a.index[i]), a.coef[i] };
        if (s->part[i].loop < 0 || !is_near(a.coef[i]))
            return false;
    }
    return is_near(s->base);
}

static int64_t sum_along(const EvalSum *s, int loop) {
    for (int i = 0; i < s->n; i++)
        if (s->part[i].loop == loop)
            return s->part[i].by;
    return 0;
}

/* Can it leave [0, size)? */
static bool may_leave(const Eval *r, const EvalSum *s, int64_t size) {
    int64_t lo = s->base, hi = s->base;
    for (int i = 0; i < s->n; i++) {
        int64_t far = eval_times(s->part[i].by, r->loop[s->part[i].loop].n - 1);
        if (far > 0)
            hi += far < eval_most_bytes ? far : eval_most_bytes;
        else
            lo += far > -eval_most_bytes ? far : -eval_most_bytes;
    }
    return lo < 0 || hi >= size;
}

/* ---- building the operations */

static const void *storage(const Eval *r, Tensor *t) {
    void *p = map_get(r->env, t);
    Tensor *base = eval_base(t);
    if (!p)
        p = map_get(r->env, base);
    return p ? p : t->data ? t->data : base->data;
}

static int op_add(Eval *r, const Term *t);

static EvalSum offset_of(Eval *r, const EvalLoad *l) {
    int64_t by[MaxLoops] = { 0 };
    EvalSum s = { .part = NEWN(r->c, EvalPart, r->nloop) };
    for (int i = 0; i < l->rank; i++) {
        const EvalSum *p = &l->position[i];
        s.base += p->base * l->stride[i];
        for (int k = 0; k < p->n; k++)
            by[p->part[k].loop] += p->part[k].by * l->stride[i];
    }
    for (int k = 0; k < r->nloop; k++)
        if (by[k])
            s.part[s.n++] = (EvalPart){ k, by[k] };
    return s;
}

static EvalLoad *load_new(Eval *r, const Term *t) {
    EvalLoad *l = NEW(r->c, EvalLoad);
    l->elem = elem_storage(r->c, t->from->type.elem);
    l->rank = t->n;
    eval_shape(r, &t->from->type, l->dim, l->stride);
    l->data = storage(r, t->from);
    l->affine = true;
    for (int i = 0; i < l->rank && l->affine; i++) {
        l->affine = sum_of_loops(r, t->kid[i], &l->position[i]);
        l->checked[i] = l->affine && may_leave(r, &l->position[i], l->dim[i]);
    }
    if (l->affine)
        l->offset = offset_of(r, l);
    l->outside = t->outside ? op_add(r, t->outside) : -1;
    for (int i = 0; i < l->rank && !l->affine; i++)
        l->pos[i] = op_add(r, t->kid[i]);
    return l;
}

static bool compares(FnId f) {
    return (f >= FnEq && f <= FnGe) || f == FnIsNan || f == FnIsInf;
}

static int op_add(Eval *r, const Term *t) {
    int found = (int)(intptr_t)map_get(&r->op_of, t);
    if (found)
        return found - 1;
    EvalOp op = { .term = t, .of = t->elem, .kid = { -1, -1, -1 } };
    if (t->kind == TLoad)
        op.load = load_new(r, t);
    for (int i = 0; t->kind == TApply && i < t->n; i++)
        op.kid[i] = op_add(r, t->kid[i]);
    if (t->kind == TApply && compares(t->fn->id))
        op.of = t->kid[0]->elem == AnyInt && t->n > 1 ? t->kid[1]->elem : t->kid[0]->elem;
    push(r->c, &r->op, op);
    map_put(r->c, &r->op_of, t, (void *)(intptr_t)r->op.n);
    return r->op.n - 1;
}

static bool load_uniform(const Eval *r, const EvalLoad *l) {
    if (l->outside >= 0 && !r->op.at[l->outside].uniform)
        return false;
    for (int i = 0; i < l->rank; i++)
        if (l->affine ? l->position[i].along : !r->op.at[l->pos[i]].uniform)
            return false;
    return true;
}

static bool op_uniform(const Eval *r, const EvalOp *op) {
    if (r->strip < 0)
        return true;
    if (op->term->kind == TIndex)
        return op->term->index != r->loop[r->strip].index;
    if (op->load)
        return load_uniform(r, op->load);
    for (int i = 0; i < 3; i++)
        if (op->kid[i] >= 0 && !r->op.at[op->kid[i]].uniform)
            return false;
    return true;
}

/* ---- conditions as bounds */

static bool add_bound(Eval *r, Term *low, Term *high, int64_t less) {
    EvalSum s;
    if (!sum_of_loops(r, term_apply2(r->c, FnSub, I32, high, low), &s))
        return false;
    s.base -= less;
    push(r->c, &r->bound, s);
    return true;
}

/* Is the condition a comparison of sums of loops? Then a strip is cut to where it holds. */
static bool is_bound(Eval *r, const Term *t) {
    if (t->kind != TApply || t->n != 2 || !elem_is_int(t->kid[0]->elem) || term_reads(t))
        return false;
    Term *a = t->kid[0], *b = t->kid[1];
    switch (t->fn->id) {
    case FnLt: return add_bound(r, a, b, 1);
    case FnLe: return add_bound(r, a, b, 0);
    case FnGt: return add_bound(r, b, a, 1);
    case FnGe: return add_bound(r, b, a, 0);
    case FnEq: return add_bound(r, a, b, 0) && add_bound(r, b, a, 0);
    default:   return false;
    }
}

static void add_condition(Eval *r, const Term *t) {
    if (t->kind == TApply && t->fn->id == FnAnd) {
        add_condition(r, t->kid[0]);
        add_condition(r, t->kid[1]);
    } else if (!is_bound(r, t)) {
        push(r->c, &r->cond, op_add(r, t));
    }
}

/* ---- which loop to strip */

static double loop_cost(const Eval *r, int k) {
    double cost = 30.0 / (double)(r->loop[k].n < Strip ? r->loop[k].n + 1 : Strip);
    for (int i = 0; i < r->op.n; i++) {
        const EvalLoad *l = r->op.at[i].load;
        int64_t s = l && l->affine ? sum_along(&l->offset, k) : l ? 2 : 0;
        cost += s == 0 ? 0.0 : s == 1 || s == -1 ? 1.0 : s < 16 && s > -16 ? 1.5 : 4.0;
    }
    return cost;
}

static void choose_strip(Eval *r) {
    double least = INFINITY;
    bool first_counts = r->node->reduce == RArgMax || r->node->reduce == RArgMin;
    r->strip = -1;
    for (int k = r->nloop - 1; k >= 0; k--) {
        if (first_counts && k >= r->nresult && k != r->nloop - 1)
            continue;
        double cost = loop_cost(r, k);
        if (cost < least) {
            least = cost;
            r->strip = k;
        }
    }
}

static void set_along(const Eval *r, EvalSum *s) {
    s->along = r->strip < 0 ? 0 : sum_along(s, r->strip);
}

void eval_make_ops(Eval *r) {
    const Node *n = r->node;
    for (int i = 0; i < n->ncond; i++)
        add_condition(r, n->cond[i]);
    r->ncond_ops = r->op.n;
    for (int a = 0; n->at && a < n->out->type.rank; a++)
        r->at[a] = op_add(r, n->at[a]);
    r->body = op_add(r, n->body);
    choose_strip(r);
    for (int i = 0; i < r->bound.n; i++)
        set_along(r, &r->bound.at[i]);
    for (int i = 0; i < r->op.n; i++) {
        EvalLoad *l = r->op.at[i].load;
        for (int k = 0; l && l->affine && k < l->rank; k++)
            set_along(r, &l->position[k]);
        if (l && l->affine)
            set_along(r, &l->offset);
        r->op.at[i].uniform = op_uniform(r, &r->op.at[i]);
    }
}

/* ---- a strip of each operation */

void eval_clip(int64_t base, int64_t step, int64_t size, int *lo, int *hi) {
    if (step < 0) { // mirrored: size - 1 - position rises
        base = size - 1 - base;
        step = -step;
    }
    int64_t from = 0, to = *hi;
    if (step == 0) {
        if (base < 0 || base >= size)
            to = 0;
    } else {
        if (base < 0)
            from = (-base + step - 1) / step;
        to = base >= size ? 0 : (size - 1 - base) / step + 1;
    }
    if (from > *lo)
        *lo = from < *hi ? (int)from : *hi;
    if (to < *hi)
        *hi = to > *lo ? (int)to : *lo;
}

int64_t eval_lanes(const Eval *r, const EvalLoad *l, int n, int *lo, int *hi) {
    *lo = 0;
    *hi = n;
    for (int i = 0; i < l->rank; i++)
        if (l->checked[i])
            eval_clip(eval_sum(r, &l->position[i]), l->position[i].along, l->dim[i], lo, hi);
    return eval_sum(r, &l->offset);
}

static void run_affine(Eval *r, EvalOp *op, int n) {
    const EvalLoad *l = op->load;
    int lo, hi;
    int64_t off = eval_lanes(r, l, n, &lo, &hi), step = l->offset.along;
    for (int i = 0; i < lo; i++)
        op->v[i] = l->outside < 0 ? 0.0 : eval_lane(r, l->outside, i);
    if (lo < hi)
        elem_read(l->elem, l->data, off + lo * step, step, op->v + lo, hi - lo);
    for (int i = hi; i < n; i++)
        op->v[i] = l->outside < 0 ? 0.0 : eval_lane(r, l->outside, i);
}

static void run_gather(Eval *r, EvalOp *op, int n) {
    const EvalLoad *l = op->load;
    for (int i = 0; i < n; i++) {
        int64_t off = 0;
        bool inside = true;
        for (int k = 0; k < l->rank; k++) {
            double p = eval_lane(r, l->pos[k], i);
            inside = inside && p >= 0.0 && p < (double)l->dim[k];
            if (inside)
                off += (int64_t)p * l->stride[k];
        }
        if (inside)
            elem_read(l->elem, l->data, off, 0, &op->v[i], 1);
        else
            op->v[i] = l->outside < 0 ? 0.0 : eval_lane(r, l->outside, i);
    }
}

#define EACH(expression)                         \
    do {                                         \
        for (int i = 0; i < n; i++) {            \
            double x = a[i * sa], y = b[i * sb]; \
            v[i] = (expression);                 \
        }                                        \
        return true;                             \
    } while (0)

/* The common ones of two floats, or of integers exact in a double. */
static bool run_common(FnId f, Elem of, double *restrict v, int n, const double *a, int sa,
                       const double *b, int sb) {
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
        if (f == FnAdd)
            EACH(elem_wrap(of, (uint64_t)((int64_t)x + (int64_t)y)));
        if (f == FnSub)
            EACH(elem_wrap(of, (uint64_t)((int64_t)x - (int64_t)y)));
        if (f == FnMul)
            EACH(elem_wrap(of, (uint64_t)((int64_t)x * (int64_t)y)));
    }
    return false;
}

static void run_apply(Eval *r, EvalOp *op, int n) {
    const Fn *f = op->term->fn;
    const EvalOp *k[3];
    for (int i = 0; i < 3; i++)
        k[i] = op->kid[i] >= 0 ? &r->op.at[op->kid[i]] : NULL;
    if (f->arity == 2 &&
        run_common(f->id, op->of, op->v, n, k[0]->v, !k[0]->uniform, k[1]->v, !k[1]->uniform))
        return;
    for (int i = 0; i < n; i++) {
        double arg[3];
        for (int j = 0; j < f->arity; j++)
            arg[j] = k[j]->v[k[j]->uniform ? 0 : i];
        op->v[i] = fn_eval(f, op->of, arg);
    }
}

void eval_ops(Eval *r, int from, int to, int strip) {
    for (int i = from; i < to; i++) {
        EvalOp *op = &r->op.at[i];
        int n = op->uniform ? 1 : strip;
        const Term *t = op->term;
        switch (t->kind) {
        case TNumber: op->v[0] = t->number; break;
        case TSize:   op->v[0] = (double)eval_size(r, t->size); break;
        case TIndex:
            for (int k = 0; k < n; k++)
                op->v[k] = (double)(r->loop[loop_of(r, t->index)].at + k);
            break;
        case TLoad:   if (op->load->affine) run_affine(r, op, n); else run_gather(r, op, n); break;
        case TApply:  run_apply(r, op, n); break;
        }
    }
}
