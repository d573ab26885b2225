/* eval.c: the reference meaning of a graph, computed.
 *
 * A node becomes a list of operations, parts before wholes, and runs in strips: all loops but one
 * step by single values, and each operation fills up to 256 doubles along the last loop. That loop
 * is whichever index makes the loads run through memory most evenly, a result's or a reduction's.
 *
 * Sums are kept in double, integers wrap, and the store rounds to the type of the result. */
#include "eval_strip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t most_work = (int64_t)1 << 45;

/* ---- sizes */

static int64_t symbol_value(const Symbol *s, const Graph *g, const int64_t *size) {
    for (int i = 0; g && size && i < g->size.n; i++)
        if (g->size.at[i] == s)
            return size[i];
    return s->hi;
}

static int64_t eval_atom(const Atom *a, const Graph *g, const int64_t *size) {
    if (a->kind == AtomSymbol)
        return symbol_value(a->symbol, g, size);
    int64_t x = eval_dim(a->a, g, size), y = eval_dim(a->b, g, size);
    int64_t q = y == 0 ? 0 : x / y - (x % y != 0 && (x < 0) != (y < 0));
    switch (a->kind) {
    case AtomFloorDiv: return q;
    case AtomMod:      return y == 0 ? 0 : x - q * y;
    case AtomMin:      return x < y ? x : y;
    default:           return x > y ? x : y;
    }
}

int64_t eval_times(int64_t a, int64_t b) {
    int64_t room = b ? INT64_MAX / 2 / (b < 0 ? -b : b) : 0;
    if (b && (a > room || a < -room))
        return (a < 0) == (b < 0) ? INT64_MAX / 2 : -(INT64_MAX / 2);
    return a * b;
}

int64_t eval_dim(Dim d, const Graph *g, const int64_t *size) {
    int64_t sum = 0;
    for (int i = 0; i < d->n; i++) {
        int64_t p = d->term[i].coef;
        for (int k = 0; k < d->term[i].n; k++)
            p = eval_times(p, eval_atom(d->term[i].atom[k], g, size));
        if (p > 0 ? sum > INT64_MAX / 2 - p : sum < -(INT64_MAX / 2) - p)
            return p > 0 ? INT64_MAX / 2 : -(INT64_MAX / 2);
        sum += p;
    }
    return sum;
}

int64_t eval_size(const Eval *r, Dim d) {
    return eval_dim(d, r->g, r->size);
}

int64_t eval_shape(const Eval *r, const Type *t, int64_t *dims, int64_t *stride) {
    int64_t n = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        dims[i] = eval_size(r, t->dim[i]);
        if (dims[i] < 0)
            dims[i] = 0;
        stride[i] = n;
        n = eval_times(n, dims[i]);
    }
    return n <= eval_most_bytes / 8 ? n : -1;
}

Tensor *eval_base(Tensor *t) {
    while (t->before)
        t = t->before;
    return t;
}

/* ---- loops */

/* Offset of the result's element at the loops' values with the strip's at lane i; -1: outside. */
static int64_t offset_at(const Eval *r, int i) {
    const Node *n = r->node;
    int64_t off = 0;
    int k = 0;
    for (int a = 0; a < n->out->type.rank; a++) {
        int64_t p = 0;
        if (n->at)
            p = (int64_t)eval_lane(r, r->at[a], i);
        else
            for (int j = 0; j < n->axis[a].n; j++, k++)
                p = p * r->loop[k].n + r->loop[k].at + (k == r->strip ? i : 0);
        if (p < 0 || p >= r->out_dim[a])
            return -1;
        off += p * r->out_stride[a];
    }
    return off;
}

/* Without `at` the elements of a strip lie evenly spaced. */
static void store_even(Eval *r, int n) {
    int64_t off = offset_at(r, 0), step = n > 1 ? offset_at(r, 1) - off : 0;
    bool inside = off >= 0 && offset_at(r, n - 1) == off + step * (n - 1);
    if (inside && r->out_elem == F32) {
        float *to = (float *)(void *)r->out + off;
        for (int i = 0; i < n; i++)
            to[i * step] = (float)r->acc[i];
    } else if (inside)
        for (int i = 0; i < n; i++)
            elem_write(r->out_elem, r->out, off + i * step, r->acc[i]);
}

static void store_lanes(Eval *r, int n) {
    if (!r->node->at && (r->node->reduce || !r->cond.n)) {
        store_even(r, n);
        return;
    }
    for (int i = 0; i < n; i++) {
        if (!r->node->reduce && !r->mask[i])
            continue;
        int64_t off = offset_at(r, i);
        if (off >= 0)
            elem_write(r->out_elem, r->out, off, r->acc[i]);
    }
}

static void start_lanes(Eval *r, int n) {
    Reduce k = r->node->reduce;
    for (int i = 0; i < n; i++) {
        r->acc[i] = k == RArgMax || k == RArgMin ? 0.0 : eval_nothing(k);
        r->seen[i] = false;
    }
}

/* A node without reduction: elements where a condition fails are never read. */
static void compute_elements(Eval *r, int n) {
    if (!eval_enter(r, &n))
        return;
    if (eval_mask(r, n)) {
        eval_ops(r, r->ncond_ops, r->op.n, n);
        for (int i = 0; i < n; i++)
            r->acc[i] = eval_lane(r, r->body, i);
        store_lanes(r, n);
    }
    eval_leave(r);
}

static void compute_reduction(Eval *r, int n) {
    start_lanes(r, n);
    eval_reduce(r, n);
    if (r->node->at)
        eval_ops(r, 0, r->op.n, n); // where the element goes
    store_lanes(r, n);
}

static void compute_lanes(Eval *r, int n) {
    if (r->node->reduce)
        compute_reduction(r, n);
    else
        compute_elements(r, n);
}

static void run_loops(Eval *r) {
    bool over_result = r->strip >= 0 && r->strip < r->nresult;
    int64_t n = over_result ? r->loop[r->strip].n : 1;
    for (int k = 0; k < r->nresult; k++)
        if (r->loop[k].n == 0)
            return;
    do {
        for (int64_t s = 0; s < n; s += Strip) {
            if (over_result)
                r->loop[r->strip].at = s;
            compute_lanes(r, (int)(n - s < Strip ? n - s : Strip));
        }
    } while (eval_next(r, 0, r->nresult));
}

/* ---- a node */

static bool add_loop(Eval *r, const Index *i) {
    if (r->nloop == MaxLoops)
        return false;
    int64_t n = eval_size(r, i->size);
    r->loop[r->nloop++] = (EvalLoop){ i, n < 0 ? 0 : n, 0 };
    return true;
}

static bool make_loops(Eval *r) {
    const Node *n = r->node;
    double work = 1.0;
    bool fits = true;
    for (int a = 0; a < n->naxis; a++)
        for (int i = 0; i < n->axis[a].n; i++)
            fits = fits && add_loop(r, n->axis[a].index[i]);
    r->nresult = r->nloop;
    for (int i = 0; i < n->nbind; i++)
        fits = fits && add_loop(r, n->bind[i]);
    for (int i = 0; i < r->nloop; i++)
        work *= (double)r->loop[i].n;
    if (!fits)
        error_plain(r->c, "`%s` has more than %d indices", n->out->name, (int)MaxLoops);
    else if (work > (double)most_work)
        error_plain(r->c, "`%s` takes %.3g operations to compute", n->out->name, work);
    return fits && work <= (double)most_work;
}

/* Has every load its storage, every function its meaning? */
static bool all_known(Eval *r) {
    for (int i = 0; i < r->op.n; i++) {
        const EvalOp *op = &r->op.at[i];
        if (op->load && !op->load->data) {
            error_plain(r->c, "`%s` has no value",
                        op->term->from->path ? op->term->from->path : op->term->from->name);
            return false;
        }
        if (op->term->kind == TApply && !fn_known(op->term->fn)) {
            error_plain(r->c, "`%s` is a function of the target and has no `reference`",
                        op->term->fn->name);
            return false;
        }
    }
    return true;
}

static bool reads_state(const Eval *r, const Tensor *state) {
    for (int i = 0; i < r->op.n; i++)
        if (r->op.at[i].load && eval_base(r->op.at[i].term->from) == state)
            return true;
    return false;
}

static void *room(Eval *r, int64_t count, const Tensor *t) {
    int bytes = elem_bytes(r->c, t->type.elem);
    void *p = count < 0 ? NULL : calloc((size_t)count + 1, (size_t)bytes);
    if (!p)
        error_plain(r->c, "`%s` is too large to compute: %s", t->name, type_text(r->c, &t->type));
    return p;
}

/* The memory the node writes: that of the state it is a version of, or new. */
static bool open_result(Eval *r) {
    Tensor *out = r->node->out;
    int64_t n = eval_shape(r, &out->type, r->out_dim, r->out_stride);
    r->out_elem = elem_storage(r->c, out->type.elem);
    if (out->kind == TState && out->before)
        r->out = (char *)(uintptr_t)map_get(r->env, eval_base(out));
    if (!r->out) {
        r->out = room(r, n, out);
        const Tensor *base = eval_base(out);
        if (r->out && base != out && base->data)
            memcpy(r->out, base->data, (size_t)n * (size_t)elem_bytes(r->c, out->type.elem));
        if (r->out)
            map_put(r->c, r->env, base, r->out);
    } else if (reads_state(r, eval_base(out))) {
        size_t bytes = (size_t)n * (size_t)elem_bytes(r->c, out->type.elem);
        r->copy = room(r, n, out);
        if (!r->copy)
            return false;
        memcpy(r->copy, r->out, bytes);
        for (int i = 0; i < r->op.n; i++) {
            EvalLoad *l = r->op.at[i].load;
            if (l && l->data == r->out)
                l->data = r->copy;
        }
    }
    if (r->out)
        map_put(r->c, r->env, out, r->out);
    return r->out;
}

static bool open_strips(Eval *r) {
    r->memory = malloc(sizeof(double) * Strip * (size_t)(r->op.n + 1));
    for (int i = 0; r->memory && i < r->op.n; i++)
        r->op.at[i].v = r->memory + i * Strip;
    if (!r->memory)
        error_plain(r->c, "out of memory");
    return r->memory;
}

bool eval_node(Ctx *c, const Node *n, Map *env, const Graph *g, const int64_t *size) {
    Eval *r = calloc(1, sizeof *r);
    if (!r) {
        error_plain(c, "out of memory");
        return false;
    }
    *r = (Eval){ .c = c, .g = g, .size = size, .env = env, .node = n };
    bool ok = make_loops(r);
    if (ok)
        eval_make_ops(r);
    ok = ok && all_known(r) && open_result(r) && open_strips(r);
    if (ok)
        run_loops(r);
    free(r->copy);
    free(r->memory);
    free(r);
    return ok;
}

bool eval(Ctx *c, const Graph *g, Map *env, const int64_t *size) {
    for (int i = 0; i < g->node.n; i++)
        if (!eval_node(c, g->node.at[i], env, g, size))
            return false;
    return true;
}
