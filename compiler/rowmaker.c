/* rowmaker.c: list attributes no sequence can say (rule 73).
 *
 * Each maker writes a row for the call at hand (which axes, how many tensors) as one node: result
 * axes, and one load of each tensor. All of them are views; they vanish in what reads them. */
#include "row.h"

#include <ctype.h>
#include <string.h>

typedef struct Make { /* one call */
    Ctx *c;
    Graph *g;
    Value *arg;
    int n;
    Span at;
    Name path, hint;
} Make;

static Value wrong(Make *m, Span at, const char *text) {
    error_at(m->c, at.src ? at : m->at, "%s", text);
    return poison(m->at);
}

static const char letters[][2] = { "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t" };

static Index *loop(Make *m, int k, Dim size) {
    return index_new(m->c, intern(m->c, letters[k % 12], 1), size);
}

static void one(Make *m, Axis *a, Index *i) {
    *a = (Axis){ .index = NEWN(m->c, Index *, 1), .n = 1 };
    a->index[0] = i;
}

static Term *number(Make *m, double v) {
    return term_number(m->c, I32, v);
}

static Term *sized(Make *m, Dim d) {
    Term *t = term_size(m->c, d);
    return t->kind == TNumber ? number(m, t->number) : t;
}

static Value finish(Make *m, const char *op, Axis *axis, int n, Term *body) {
    return whole_value(m->c, m->g, op, axis, n, body, m->at, m->path, m->hint);
}

static Term *load(Make *m, Tensor *t, Term **at) {
    return term_load(m->c, t, at, t->type.rank, NULL, intern(m->c, "x", 1));
}

/* ---- arguments */

static bool has(Make *m, int k) {
    return k < m->n && !row_not_given(&m->arg[k]);
}

static Tensor *tensor_arg(Make *m, int k) {
    if (m->arg[k].kind == VTensor)
        return m->arg[k].tensor;
    if (!constant_args(m->c, &m->arg[k], 1, NoElem))
        return NULL;
    if (m->arg[k].kind == VTensor)
        return m->arg[k].tensor;
    wrong(m, m->arg[k].at, "a tensor is wanted here");
    return NULL;
}

/* An axis of a tensor of this rank; -1 after a message. */
static int axis_arg(Make *m, int k, int rank, int otherwise) {
    int64_t n = otherwise;
    if (has(m, k) && (m->arg[k].kind != VInt || !dim_number(m->arg[k].whole, &n))) {
        wrong(m, m->arg[k].at, "an axis is a number");
        return -1;
    }
    if (n < -rank || n >= rank) {
        wrong(m, m->arg[k].at,
              format(m->c, "axis %lld of a tensor of rank %d", (long long)n, rank));
        return -1;
    }
    return (int)(n < 0 ? n + rank : n);
}

/* A list of sizes; a size that is known only at run time has a message of its own. */
static int sizes_arg(Make *m, int k, Dim *out) {
    Value *v = &m->arg[k];
    int n = v->kind == VList ? v->n : 1;
    if (n > MaxRank) {
        wrong(m, v->at, "too many axes");
        return -1;
    }
    for (int j = 0; j < n; j++) {
        Value *x = v->kind == VList ? &v->item[j] : v;
        if (x->kind == VPoison)
            return -1;
        if (x->kind == VInt) {
            out[j] = x->whole;
            continue;
        }
        Span at = x->at.src ? x->at : v->at;
        if (x->kind != VTensor) {
            wrong(m, at, "a size is an integer");
            return -1;
        }
        wrong(m, at,
              format(m->c, "a size must be known when compiling; `%s` is a run-time %s",
                     at.src ? source_text(m->c, at) : x->tensor->name,
                     type_text(m->c, &x->tensor->type)));
        help(m->c,
             "a size that varies is a symbol of an input's shape, with a bound: `--bind N=1..64`");
        return -1;
    }
    return n;
}

/* ---- reshape: the common refinement of both shapes, or one linear index */

typedef struct Refine { /* every axis of either shape as a group of indices */
    Index *from[MaxRank][MaxParts], *to[MaxRank][MaxParts];
    int nfrom[MaxRank], nto[MaxRank];
    Term *linear[MaxRank]; /* position along an axis of x where no refinement exists */
    int made;
} Refine;

static Dim product(Ctx *c, const Dim *d, int from, int to) {
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
        Index *k = loop(m, f->made++, piece);
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
static void linear(Make *m, Refine *f, const Dim *x, int i0, int i1, const Dim *y, int j0, int j1) {
    Ctx *c = m->c;
    Term *digit[MaxRank], *flat;
    Dim size[MaxRank];
    for (int i = i0; i < i1; i++)
        f->nfrom[i] = 0;
    for (int j = j0; j < j1; j++) {
        f->to[j][0] = loop(m, f->made++, y[j]);
        f->nto[j] = 1;
        digit[j - j0] = term_index(c, f->to[j][0]);
        size[j - j0] = y[j];
    }
    flat = radix(c, digit, size, j1 - j0);
    for (int i = i0; i < i1; i++) {
        Dim below = product(c, x, i + 1, i1);
        Term *at = dim_is(below, 1) ? flat : term_apply2(c, FnFloorDiv, I32, flat, sized(m, below));
        f->linear[i] = term_apply2(c, FnMod, I32, at, sized(m, x[i]));
    }
}

/* From i, j: the shortest runs of axes with equal products. */
static void segment(Make *m, const Dim *x, int n, int i, int *i1, const Dim *y, int r, int j,
                    int *j1) {
    for (int len = 2; len <= (n - i) + (r - j); len++)
        for (int p = 1; p < len; p++) {
            if (i + p > n || j + len - p > r)
                continue;
            if (!dim_equal(m->c, product(m->c, x, i, i + p), product(m->c, y, j, j + len - p)))
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
            linear(m, f, from, i, i1, to, j, j1);
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
    return finish(m, op, axis, rank, load(m, x, at));
}

static char *shape_text(Ctx *c, const Dim *d, int n) {
    Text t = { 0 };
    text_add(c, &t, "[");
    for (int k = 0; k < n; k++)
        text_add(c, &t, "%s%s", k ? ", " : "", dim_text(c, d[k]));
    text_add(c, &t, "]");
    return t.s;
}

static Value make_reshape(Make *m) {
    Tensor *x = tensor_arg(m, 0);
    Dim to[MaxRank], a, b;
    int n = x ? sizes_arg(m, 1, to) : -1;
    if (n < 0)
        return poison(m->at);
    a = type_count(m->c, &x->type);
    b = product(m->c, to, 0, n);
    if (!dim_equal(m->c, a, b)) {
        wrong(m, m->at,
              format(m->c, "cannot reshape %s to %s: %s elements are not %s",
                     type_text(m->c, &x->type), shape_text(m->c, to, n), dim_text(m->c, a),
                     dim_text(m->c, b)));
        return poison(m->at);
    }
    return reshape_to(m, x, to, n, "reshape");
}

static Value make_flatten(Make *m) {
    Tensor *x = tensor_arg(m, 0);
    Dim to[MaxRank];
    int start = x ? axis_arg(m, 1, x->type.rank + 1, 1) : -1;
    if (start < 0)
        return poison(m->at);
    if (start == x->type.rank && start > 0)
        return tensor_value(x, m->at);
    memcpy(to, x->type.dim, sizeof *to * (size_t)start);
    to[start] = product(m->c, x->type.dim, start, x->type.rank);
    return reshape_to(m, x, to, start + 1, "flatten");
}

/* ---- permute, broadcast_to */

static Value make_permute(Make *m) {
    Tensor *x = tensor_arg(m, 0);
    Dim order[MaxRank];
    Axis axis[MaxRank];
    Term *at[MaxRank] = { NULL };
    int n = x ? sizes_arg(m, 1, order) : -1;
    if (n < 0)
        return poison(m->at);
    if (n != x->type.rank)
        return wrong(m, m->arg[1].at,
                     format(m->c, "%d axes for a tensor of rank %d", n, x->type.rank));
    for (int k = 0; k < n; k++) {
        int64_t a;
        if (!dim_number(order[k], &a) || a < -n || a >= n)
            return wrong(m, m->arg[1].at,
                         format(m->c, "there is no axis %s", dim_text(m->c, order[k])));
        if (a < 0)
            a += n;
        if (at[a])
            return wrong(m, m->arg[1].at, format(m->c, "axis %d is named twice", (int)a));
        Index *i = loop(m, (int)a, x->type.dim[a]);
        at[a] = term_index(m->c, i);
        one(m, &axis[k], i);
    }
    return finish(m, "permute", axis, n, load(m, x, at));
}

static Value make_broadcast(Make *m) {
    Tensor *x = tensor_arg(m, 0);
    Dim to[MaxRank];
    Axis axis[MaxRank];
    Term *at[MaxRank];
    int n = x ? sizes_arg(m, 1, to) : -1;
    if (n < 0)
        return poison(m->at);
    int lead = n - x->type.rank;
    for (int k = 0; k < n; k++) {
        Dim own = k >= lead ? x->type.dim[k - lead] : NULL;
        if (lead < 0 || (own && !dim_is(own, 1) && !dim_equal(m->c, own, to[k])))
            return wrong(m, m->at,
                         format(m->c, "cannot broadcast %s to %s", type_text(m->c, &x->type),
                                shape_text(m->c, to, n)));
        Index *i = loop(m, k, to[k]);
        one(m, &axis[k], i);
        if (own)
            at[k - lead] = dim_is(own, 1) ? number(m, 0) : term_index(m->c, i);
    }
    if (lead < 0)
        return wrong(m, m->at,
                     format(m->c, "cannot broadcast %s to %s", type_text(m->c, &x->type),
                            shape_text(m->c, to, n)));
    return finish(m, "broadcast_to", axis, n, load(m, x, at));
}

/* ---- concat, stack, split */

/* The tensors of a list, of one element type. NULL after a message. */
static Tensor **tensors_arg(Make *m, int k, int *n) {
    Value *v = &m->arg[k];
    if (v->kind != VList || v->n == 0) {
        wrong(m, v->at, "a list of tensors is wanted here");
        return NULL;
    }
    Value *own = NEWN(m->c, Value, v->n);
    Tensor **t = NEWN(m->c, Tensor *, v->n);
    memcpy(own, v->item, sizeof *own * (size_t)v->n);
    for (int j = 0; j < v->n; j++)
        if (own[j].kind == VPoison)
            return NULL;
    if (!constant_args(m->c, own, v->n, NoElem))
        return NULL;
    for (int j = 0; j < v->n; j++) {
        if (own[j].kind != VTensor) {
            Value list = { .kind = VList, .item = &own[j], .n = 1 };
            Tensor *number_ = own[j].kind == VInt || own[j].kind == VFloat || own[j].kind == VBool
                                  ? row_constant(m->c, list,
                                                 own[j].kind == VFloat ? Float
                                                 : own[j].kind == VInt ? I32
                                                                       : Bool)
                                  : NULL;
            if (!number_) {
                wrong(m, own[j].at.src ? own[j].at : v->at, "a tensor is wanted here");
                return NULL;
            }
            number_->type.rank = 0;
            own[j].tensor = number_;
        }
        t[j] = own[j].tensor;
        if (t[j]->type.elem == t[0]->type.elem)
            continue;
        wrong(m, m->at,
              format(m->c, "%s and %s do not mix", elem_name(t[0]->type.elem),
                     elem_name(t[j]->type.elem)));
        return NULL;
    }
    *n = v->n;
    return t;
}

static const char *ordinal(Ctx *c, int k) {
    static const char *const word[] = { "first", "second", "third", "fourth" };
    return k < 4 ? word[k] : format(c, "%dth", k + 1);
}

/* S // k in a size: what halving leaves. */
static const Atom *rounded(Dim d, Symbol **s, int64_t *by) {
    for (int k = 0; k < d->n; k++)
        for (int j = 0; j < d->term[k].n; j++) {
            const Atom *a = d->term[k].atom[j];
            if (a->kind != AtomFloorDiv || !dim_number(a->b, by))
                continue;
            bool symbol = a->a->n == 1 && a->a->term[0].coef == 1 && a->a->term[0].n == 1 &&
                          a->a->term[0].atom[0]->kind == AtomSymbol;
            if (!symbol)
                continue;
            *s = a->a->term[0].atom[0]->symbol;
            return a;
        }
    return NULL;
}

static bool mentions(Dim d, const Atom *a) {
    for (int k = 0; k < d->n; k++)
        for (int j = 0; j < d->term[k].n; j++)
            if (d->term[k].atom[j] == a)
                return true;
    return false;
}

/* Where a size like H // 2 was first made. */
static void note_origin(Make *m, const Atom *a) {
    for (int k = 0; k < m->g->node.n; k++) {
        const Tensor *t = m->g->node.at[k]->out;
        for (int j = 0; j < t->type.rank; j++)
            if (mentions(t->type.dim[j], a) && t->at.src) {
                note_at(m->c, t->at, "%s comes from here",
                        dim_text(m->c, dim_floordiv(m->c, a->a, a->b)));
                return;
            }
    }
}

static void explain_join(Make *m, const Type *a, const Type *b, int first, int axis) {
    Text needs = { 0 };
    Symbol *s, *lead = NULL;
    int64_t by, lead_by = 2;
    bool noted = false;
    for (int k = first; k < a->rank; k++) {
        if (k == axis || dim_equal(m->c, a->dim[k], b->dim[k]))
            continue;
        const Atom *x = rounded(b->dim[k], &s, &by);
        if (!x)
            x = rounded(a->dim[k], &s, &by);
        if (!x)
            continue;
        if (!noted)
            note_origin(m, x);
        if (!noted) {
            lead = s;
            lead_by = by;
        }
        noted = true;
        text_add(m->c, &needs, "%s%s %% %lld == 0", needs.n ? " and " : "", s->name, (long long)by);
    }
    if (!noted) {
        note_sizes(m->c, a->dim[first], b->dim[first]);
        return;
    }
    if (lead_by == 2)
        help(m->c, "true for even %s only: `require %s`", lead->name, needs.s);
    else
        help(m->c, "true for multiples of %lld only: `require %s`", (long long)lead_by, needs.s);
}

static bool joinable(Make *m, Tensor **t, int n, int axis, const char *what) {
    for (int j = 1; j < n; j++) {
        const Type *a = &t[0]->type, *b = &t[j]->type;
        if (a->rank != b->rank) {
            wrong(m, m->at,
                  format(m->c, "cannot %s: the first tensor has rank %d and the %s %d", what,
                         a->rank, ordinal(m->c, j), b->rank));
            return false;
        }
        for (int k = 0; k < a->rank; k++) {
            if (k == axis || dim_equal(m->c, a->dim[k], b->dim[k]))
                continue;
            wrong(m, m->at,
                  format(m->c, "cannot %s: axis %d is %s in the first tensor and %s in the %s",
                         what, k, dim_text(m->c, a->dim[k]), dim_text(m->c, b->dim[k]),
                         ordinal(m->c, j)));
            explain_join(m, a, b, k, axis);
            return false;
        }
    }
    return true;
}

/* where(z < n0, x0[z], where(z < n0 + n1, x1[z - n0], …)), from the last backwards. */
static Value make_concat(Make *m) {
    int n = 0;
    Tensor **t = tensors_arg(m, 0, &n);
    if (!t)
        return poison(m->at);
    Ctx *c = m->c;
    int rank = t[0]->type.rank, axis = axis_arg(m, 1, rank, 0);
    if (axis < 0 || !joinable(m, t, n, axis, format(c, "join along axis %d", axis)))
        return poison(m->at);
    if (n == 1)
        return tensor_value(t[0], m->at);
    Axis out[MaxRank];
    Term *at[MaxRank], *body = NULL, *z;
    Dim end = dim(c, 0), *start = NEWN(c, Dim, n + 1);
    for (int j = 0; j < n; j++) {
        start[j] = end;
        end = dim_add(c, end, t[j]->type.dim[axis]);
    }
    for (int k = 0; k < rank; k++) {
        Index *i = loop(m, k, k == axis ? end : t[0]->type.dim[k]);
        one(m, &out[k], i);
        at[k] = term_index(c, i);
    }
    z = at[axis];
    for (int j = n - 1; j >= 0; j--) {
        at[axis] = j ? term_apply2(c, FnSub, I32, z, sized(m, start[j])) : z;
        Term *own = term_load(c, t[j], at, rank, NULL, name(c, "x%d", j));
        Term *arg[3] = { j < n - 1 ? term_apply2(c, FnLt, Bool, z, sized(m, start[j + 1])) : NULL,
                         own, body };
        body = body ? term_apply(c, fn(FnWhere), own->elem, arg) : own;
    }
    return finish(m, "concat", out, rank, body);
}

static Value make_stack(Make *m) {
    int n = 0;
    Tensor **t = tensors_arg(m, 0, &n);
    if (!t)
        return poison(m->at);
    Ctx *c = m->c;
    int rank = t[0]->type.rank, axis = axis_arg(m, 1, rank + 1, 0);
    if (axis < 0 || !joinable(m, t, n, -1, "stack"))
        return poison(m->at);
    if (rank == MaxRank)
        return wrong(m, m->at, "a result of too many axes");
    Axis out[MaxRank];
    Term *at[MaxRank], *body = NULL, *z = NULL;
    for (int k = 0, from = 0; k <= rank; k++) {
        Index *i = loop(m, k, k == axis ? dim(c, n) : t[0]->type.dim[from]);
        one(m, &out[k], i);
        if (k == axis)
            z = term_index(c, i);
        else
            at[from++] = term_index(c, i);
    }
    for (int j = n - 1; j >= 0; j--) {
        Term *own = term_load(c, t[j], at, rank, NULL, name(c, "x%d", j));
        Term *arg[3] = { body ? term_apply2(c, FnEq, Bool, z, number(m, j)) : NULL, own, body };
        body = body ? term_apply(c, fn(FnWhere), own->elem, arg) : own;
    }
    return finish(m, "stack", out, rank + 1, body);
}

static Value piece(Make *m, Tensor *x, int axis, Dim from, Dim size) {
    Axis out[MaxRank];
    Term *at[MaxRank];
    for (int k = 0; k < x->type.rank; k++) {
        Index *i = loop(m, k, k == axis ? size : x->type.dim[k]);
        one(m, &out[k], i);
        at[k] = term_index(m->c, i);
        if (k == axis && !dim_is(from, 0))
            at[k] = term_apply2(m->c, FnAdd, I32, at[k], sized(m, from));
    }
    return finish(m, "split", out, x->type.rank, load(m, x, at));
}

/* split(x, 3): in three equal parts; split(x, [2, 4]): parts of these sizes. */
static Value make_split(Make *m) {
    Tensor *x = tensor_arg(m, 0);
    int axis = x ? axis_arg(m, 2, x->type.rank, 0) : -1;
    if (axis < 0)
        return poison(m->at);
    Ctx *c = m->c;
    Value *how = &m->arg[1];
    Dim all = x->type.dim[axis], each = NULL, at = dim(c, 0);
    int64_t n = how->n;
    if (how->kind == VInt) {
        if (!dim_number(how->whole, &n) || n < 1 || n > 1 << 16)
            return wrong(m, how->at, "a number of parts is wanted here");
        if (!dim_exact(c, all, dim(c, n), &each))
            return wrong(m, m->at,
                         format(c, "cannot split axis %d of %s into %d equal parts", axis,
                                dim_text(c, all), (int)n));
    } else if (how->kind != VList) {
        return wrong(m, how->at, "a number of parts, or a list of sizes, is wanted here");
    }
    Value list = { .kind = VList, .n = (int)n, .item = NEWN(c, Value, n + 1), .at = m->at };
    Dim total = dim(c, 0);
    for (int k = 0; !each && k < n; k++) {
        if (how->item[k].kind != VInt)
            return wrong(m, how->at, "a size is an integer");
        total = dim_add(c, total, how->item[k].whole);
    }
    if (!each && !dim_equal(c, total, all))
        return wrong(m, m->at,
                     format(c, "the sizes of the parts make %s, and axis %d has %s",
                            dim_text(c, total), axis, dim_text(c, all)));
    for (int k = 0; k < n; k++) {
        Dim size = each ? each : how->item[k].whole;
        list.item[k] = piece(m, x, axis, at, size);
        if (list.item[k].kind == VPoison)
            return list.item[k];
        at = dim_add(c, at, size);
    }
    return list;
}

/* ---- rearrange, einsum: patterns whose words are indices */

enum { MostWords = 2 * MaxRank };

typedef struct Side {
    int word[MaxRank][MaxRank];
    int n[MaxRank];
    int rank;
} Side; /* of a pattern: a list of groups */
typedef struct Words {
    Name name[MostWords];
    Dim size[MostWords];
    Index *index[MostWords];
    int n;
} Words;

static int word(Make *m, Words *w, const char *s, size_t n, bool add) {
    Name own = intern(m->c, s, n);
    for (int k = 0; k < w->n; k++)
        if (w->name[k] == own)
            return k;
    if (!add || w->n == MostWords)
        return -1;
    w->name[w->n] = own;
    return w->n++;
}

/* "b t (n d)": false if it is no such list. A 1 is a group of nothing. */
static bool side(Make *m, Words *w, const char *s, const char *end, Side *out, bool add) {
    bool in = false;
    *out = (Side){ 0 };
    while (s < end) {
        if (isspace((unsigned char)*s)) {
            s++;
            continue;
        }
        if (*s == '(' || *s == ')') {
            if ((*s == '(') == in)
                return false;
            if (in)
                out->rank++;
            else if (out->rank == MaxRank)
                return false;
            in = !in;
            s++;
            continue;
        }
        size_t n = 0;
        while (s + n < end && (isalnum((unsigned char)s[n]) || s[n] == '_'))
            n++;
        if (n == 0 || out->rank == MaxRank)
            return false;
        if (n == 1 && *s == '1') {
            out->rank += !in;
            s++;
            continue;
        }
        int k = word(m, w, s, n, add);
        if (k < 0 || out->n[out->rank] == MaxRank)
            return false;
        out->word[out->rank][out->n[out->rank]++] = k;
        out->rank += !in;
        s += n;
    }
    return !in;
}

/* Sizes of the words from the axes they make up. */
static bool size_words(Make *m, Words *w, const Side *s, const Type *x) {
    Ctx *c = m->c;
    for (int k = 0; k < s->rank; k++) {
        Dim known = dim(c, 1), rest;
        int open = -1;
        for (int j = 0; j < s->n[k]; j++) {
            int v = s->word[k][j];
            if (w->size[v])
                known = dim_mul(c, known, w->size[v]);
            else if (open >= 0) {
                wrong(m, m->at,
                      format(c, "the sizes of `%s` and `%s` are not known; give one by name",
                             w->name[open], w->name[v]));
                return false;
            } else
                open = v;
        }
        bool fits =
            open >= 0 ? dim_exact(c, x->dim[k], known, &rest) : dim_equal(c, x->dim[k], known);
        if (!fits) {
            wrong(m, m->at,
                  format(c,
                         open >= 0 ? "axis %d is %s, not a multiple of %s"
                                   : "axis %d is %s, and the pattern makes it %s",
                         k, dim_text(c, x->dim[k]), dim_text(c, known)));
            return false;
        }
        if (open >= 0)
            w->size[open] = rest;
    }
    return true;
}

static void open_words(Make *m, Words *w) {
    for (int k = 0; k < w->n; k++)
        if (!w->index[k])
            w->index[k] = index_new(m->c, w->name[k], w->size[k]);
}

static Term *read_words(Make *m, const Words *w, const Side *s, Tensor *x, Name as) {
    Term *at[MaxRank];
    for (int k = 0; k < s->rank; k++) {
        Term *digit[MaxRank];
        Dim size[MaxRank];
        for (int j = 0; j < s->n[k]; j++) {
            digit[j] = term_index(m->c, w->index[s->word[k][j]]);
            size[j] = w->size[s->word[k][j]];
        }
        at[k] = radix(m->c, digit, size, s->n[k]);
    }
    return term_load(m->c, x, at, s->rank, NULL, as);
}

static void word_axes(Make *m, const Words *w, const Side *s, Axis *axis) {
    for (int k = 0; k < s->rank; k++) {
        axis[k] = (Axis){ .index = NEWN(m->c, Index *, s->n[k] + 1), .n = s->n[k] };
        for (int j = 0; j < s->n[k]; j++)
            axis[k].index[j] = w->index[s->word[k][j]];
    }
}

static bool each_once(const Side *s, int nwords) {
    int seen[MostWords] = { 0 };
    for (int k = 0; k < s->rank; k++)
        for (int j = 0; j < s->n[k]; j++)
            if (seen[s->word[k][j]]++)
                return false;
    for (int k = 0; k < nwords; k++)
        if (!seen[k])
            return false;
    return true;
}

static bool named_sizes(Make *m, Words *w, int from) {
    for (int k = from; k + 1 < m->n; k += 2) {
        const Value *n = &m->arg[k], *v = &m->arg[k + 1];
        int own = n->kind == VStr ? word(m, w, n->text, strlen(n->text), false) : -1;
        if (own < 0 || v->kind != VInt) {
            wrong(m, v->at,
                  n->kind == VStr
                      ? format(m->c,
                               own < 0 ? "`%s` is not in the pattern" : "`%s` must be an integer",
                               n->text)
                      : "a named size is wanted here");
            return false;
        }
        w->size[own] = v->whole;
    }
    return true;
}

static Value make_rearrange(Make *m) {
    Tensor *x = tensor_arg(m, 0);
    Words w = { .n = 0 };
    Side from, to;
    Axis axis[MaxRank];
    if (!x)
        return poison(m->at);
    const char *text = m->arg[1].kind == VStr ? m->arg[1].text : "", *arrow = strstr(text, "->");
    if (!arrow || !side(m, &w, text, arrow, &from, true) ||
        !side(m, &w, arrow + 2, text + strlen(text), &to, false))
        return wrong(m, m->arg[1].at, "a pattern like \"b t (n d) -> b n t d\" is wanted here");
    if (!each_once(&from, w.n) || !each_once(&to, w.n))
        return wrong(m, m->arg[1].at, "each word of the pattern must stand once on either side");
    if (from.rank != x->type.rank)
        return wrong(
            m, m->arg[1].at,
            format(m->c, "the pattern has %d axes, and the tensor %d", from.rank, x->type.rank));
    if (!named_sizes(m, &w, 2) || !size_words(m, &w, &from, &x->type))
        return poison(m->at);
    open_words(m, &w);
    word_axes(m, &w, &to, axis);
    return finish(m, "rearrange", axis, to.rank, read_words(m, &w, &from, x, intern(m->c, "x", 1)));
}

/* "bij,bjk->bik": letters, so that spaces may be left out. */
static bool letter_side(Make *m, Words *w, const char *s, const char *end, Side *out, bool add) {
    *out = (Side){ 0 };
    for (; s < end; s++) {
        if (isspace((unsigned char)*s))
            continue;
        int k = isalpha((unsigned char)*s) && out->rank < MaxRank ? word(m, w, s, 1, add) : -1;
        if (k < 0)
            return false;
        out->word[out->rank][0] = k;
        out->n[out->rank++] = 1;
    }
    return true;
}

static Value make_einsum(Make *m) {
    Words w = { .n = 0 };
    Side in, to;
    Axis axis[MaxRank];
    Clause k = { .reduce = RSum };
    Ctx *c = m->c;
    Side read[MaxRank];
    Tensor *t[MaxRank];
    const char *text = m->arg[0].kind == VStr ? m->arg[0].text : "", *arrow = strstr(text, "->"),
               *s = text;
    int n = 0;
    for (; arrow && s <= arrow && n < MaxRank && n + 1 < m->n; n++) {
        const char *end = s;
        while (end < arrow && *end != ',')
            end++;
        if (!(t[n] = tensor_arg(m, n + 1)))
            return poison(m->at);
        if (!letter_side(m, &w, s, end, &in, true))
            break;
        if (in.rank != t[n]->type.rank)
            return wrong(m, m->arg[0].at,
                         format(c, "the pattern of the %s tensor has %d axes, and it has %d",
                                ordinal(c, n), in.rank, t[n]->type.rank));
        if (!size_words(m, &w, &in, &t[n]->type))
            return poison(m->at);
        read[n] = in;
        s = end + 1;
    }
    if (!arrow || s != arrow + 1 || n + 1 != m->n ||
        !letter_side(m, &w, arrow + 2, text + strlen(text), &to, false))
        return wrong(
            m, m->arg[0].at,
            "a pattern like \"bij,bjk->bik\", with a word for each tensor, is wanted here");
    open_words(m, &w);
    bool kept[MostWords] = { false };
    for (int j = 0; j < to.rank; j++) {
        if (kept[to.word[j][0]])
            return wrong(m, m->arg[0].at, "an index stands twice in the result");
        kept[to.word[j][0]] = true;
    }
    for (int j = 0; j < w.n; j++)
        if (!kept[j])
            k.bind[k.nbind++] = w.index[j];
    if (k.nbind == 0)
        k.reduce = NoReduce;
    for (int j = 0; j < n; j++) {
        Term *own = read_words(m, &w, &read[j], t[j], name(c, "x%d", j)),
             *pair[2] = { k.body, own };
        Fault fault;
        int which;
        k.body = j ? fn_term(c, fn(FnMul), NoElem, pair, 2, &fault, &which) : own;
        if (!k.body)
            return wrong(m, m->at, fault_text(c, fault, fn(FnMul), pair, 2, which));
    }
    word_axes(m, &w, &to, axis);
    Axis *own = NEWN(c, Axis, to.rank + 1);
    memcpy(own, axis, sizeof *own * (size_t)to.rank);
    Name op = intern(c, "einsum", 6);
    Call *call = call_new(c, op, clause_line(c, "einsum", own, to.rank, &k), m->path, m->at);
    Tensor *out =
        row_node(c, m->g, call, m->hint && *m->hint ? m->hint : op, m->path, own, to.rank, &k);
    return out ? tensor_value(out, m->at) : poison(m->at);
}

/* ---- the table */

static const struct {
    RowMaker maker;
    Value (*make)(Make *);
} makers[] = {
    { { "reshape", 2, 2, "x, shape" }, make_reshape },
    { { "flatten", 1, 2, "x, start" }, make_flatten },
    { { "permute", 2, 2, "x, order" }, make_permute },
    { { "broadcast_to", 2, 2, "x, shape" }, make_broadcast },
    { { "concat", 1, 2, "x, axis" }, make_concat },
    { { "stack", 1, 2, "x, axis" }, make_stack },
    { { "split", 2, 3, "x, parts, axis" }, make_split },
    { { "rearrange", 2, 18, "x, pattern, *" }, make_rearrange },
    { { "einsum", 2, 9, "pattern, a, b, c, d, e, f, g, h" }, make_einsum },
};

const RowMaker *rowmaker_named(Name n) {
    for (size_t k = 0; k < sizeof makers / sizeof *makers; k++)
        if (!strcmp(makers[k].maker.name, n))
            return &makers[k].maker;
    return NULL;
}

Value rowmaker_apply(Ctx *c, Graph *g, const RowMaker *maker, Value *arg, int n, Span at, Name path,
                     Name hint) {
    Make m = {
        .c = c, .g = g, .n = n, .at = at, .path = path, .hint = hint, .arg = NEWN(c, Value, n + 1)
    };
    for (int k = 0; k < n; k++) {
        m.arg[k] = arg[k];
        if (arg[k].kind == VPoison)
            return poison(at);
    }
    while (m.n > 0 && row_not_given(&m.arg[m.n - 1]))
        m.n--;
    if (m.n < maker->min || m.n > maker->max) {
        error_at(c, at, "%s needs %d argument%s (%s), found %d", maker->name, maker->min,
                 maker->min == 1 ? "" : "s", maker->params, m.n);
        return poison(at);
    }
    for (size_t k = 0; k < sizeof makers / sizeof *makers; k++)
        if (&makers[k].maker == maker)
            return makers[k].make(&m);
    return poison(at);
}
