/* rowjoin.c: concat, stack and split as rows, and why tensors cannot be joined. */
#include "rowmaker.h"

#include <string.h>

/* The tensors of a list, of one element type. NULL after a message. */
static Tensor **tensors_arg(Make *m, int k, int *n) {
    Value *v = &m->arg[k];
    if (v->kind != VList || v->n == 0) {
        make_wrong(m, v->at, "a list of tensors is wanted here");
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
                make_wrong(m, own[j].at.src ? own[j].at : v->at, "a tensor is wanted here");
                return NULL;
            }
            number_->type.rank = 0;
            own[j].tensor = number_;
        }
        t[j] = own[j].tensor;
        if (t[j]->type.elem == t[0]->type.elem)
            continue;
        make_wrong(m, m->at,
                   format(m->c, "%s and %s do not mix", elem_name(t[0]->type.elem),
                          elem_name(t[j]->type.elem)));
        return NULL;
    }
    *n = v->n;
    return t;
}

const char *make_ordinal(Ctx *c, int k) {
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
            make_wrong(m, m->at,
                       format(m->c, "cannot %s: the first tensor has rank %d and the %s %d", what,
                              a->rank, make_ordinal(m->c, j), b->rank));
            return false;
        }
        for (int k = 0; k < a->rank; k++) {
            if (k == axis || dim_equal(m->c, a->dim[k], b->dim[k]))
                continue;
            make_wrong(m, m->at,
                       format(m->c, "cannot %s: axis %d is %s in the first tensor and %s in the %s",
                              what, k, dim_text(m->c, a->dim[k]), dim_text(m->c, b->dim[k]),
                              make_ordinal(m->c, j)));
            explain_join(m, a, b, k, axis);
            return false;
        }
    }
    return true;
}

/* where(z < n0, x0[z], where(z < n0 + n1, x1[z - n0], …)), from the last backwards. */
Value make_concat(Make *m) {
    int n = 0;
    Tensor **t = tensors_arg(m, 0, &n);
    if (!t)
        return poison(m->at);
    Ctx *c = m->c;
    int rank = t[0]->type.rank, axis = make_axis_arg(m, 1, rank, 0);
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
        Index *i = make_loop(m, k, k == axis ? end : t[0]->type.dim[k]);
        make_axis(m, &out[k], i);
        at[k] = term_index(c, i);
    }
    z = at[axis];
    for (int j = n - 1; j >= 0; j--) {
        at[axis] = j ? term_apply2(c, FnSub, I32, z, make_size(m, start[j])) : z;
        Term *own = term_load(c, t[j], at, rank, NULL, name(c, "x%d", j));
        Term *arg[3] = { j < n - 1 ? term_apply2(c, FnLt, Bool, z, make_size(m, start[j + 1]))
                                   : NULL,
                         own, body };
        body = body ? term_apply(c, fn(FnWhere), own->elem, arg) : own;
    }
    return make_value(m, "concat", out, rank, body);
}

Value make_stack(Make *m) {
    int n = 0;
    Tensor **t = tensors_arg(m, 0, &n);
    if (!t)
        return poison(m->at);
    Ctx *c = m->c;
    int rank = t[0]->type.rank, axis = make_axis_arg(m, 1, rank + 1, 0);
    if (axis < 0 || !joinable(m, t, n, -1, "stack"))
        return poison(m->at);
    if (rank == MaxRank)
        return make_wrong(m, m->at, "a result of too many axes");
    Axis out[MaxRank];
    Term *at[MaxRank], *body = NULL, *z = NULL;
    for (int k = 0, from = 0; k <= rank; k++) {
        Index *i = make_loop(m, k, k == axis ? dim(c, n) : t[0]->type.dim[from]);
        make_axis(m, &out[k], i);
        if (k == axis)
            z = term_index(c, i);
        else
            at[from++] = term_index(c, i);
    }
    for (int j = n - 1; j >= 0; j--) {
        Term *own = term_load(c, t[j], at, rank, NULL, name(c, "x%d", j));
        Term *arg[3] = { body ? term_apply2(c, FnEq, Bool, z, make_number(m, j)) : NULL, own,
                         body };
        body = body ? term_apply(c, fn(FnWhere), own->elem, arg) : own;
    }
    return make_value(m, "stack", out, rank + 1, body);
}

static Value piece(Make *m, Tensor *x, int axis, Dim from, Dim size) {
    Axis out[MaxRank];
    Term *at[MaxRank];
    for (int k = 0; k < x->type.rank; k++) {
        Index *i = make_loop(m, k, k == axis ? size : x->type.dim[k]);
        make_axis(m, &out[k], i);
        at[k] = term_index(m->c, i);
        if (k == axis && !dim_is(from, 0))
            at[k] = term_apply2(m->c, FnAdd, I32, at[k], make_size(m, from));
    }
    return make_value(m, "split", out, x->type.rank, make_load(m, x, at));
}

/* split(x, 3): in three equal parts; split(x, [2, 4]): parts of these sizes. */
Value make_split(Make *m) {
    Tensor *x = make_tensor_arg(m, 0);
    int axis = x ? make_axis_arg(m, 2, x->type.rank, 0) : -1;
    if (axis < 0)
        return poison(m->at);
    Ctx *c = m->c;
    Value *how = &m->arg[1];
    Dim all = x->type.dim[axis], each = NULL, at = dim(c, 0);
    int64_t n = how->n;
    if (how->kind == VInt) {
        if (!dim_number(how->whole, &n) || n < 1 || n > 1 << 16)
            return make_wrong(m, how->at, "a number of parts is wanted here");
        if (!dim_exact(c, all, dim(c, n), &each))
            return make_wrong(m, m->at,
                              format(c, "cannot split axis %d of %s into %d equal parts", axis,
                                     dim_text(c, all), (int)n));
    } else if (how->kind != VList) {
        return make_wrong(m, how->at, "a number of parts, or a list of sizes, is wanted here");
    }
    Value list = { .kind = VList, .n = (int)n, .item = NEWN(c, Value, n + 1), .at = m->at };
    Dim total = dim(c, 0);
    for (int k = 0; !each && k < n; k++) {
        if (how->item[k].kind != VInt)
            return make_wrong(m, how->at, "a size is an integer");
        total = dim_add(c, total, how->item[k].whole);
    }
    if (!each && !dim_equal(c, total, all))
        return make_wrong(m, m->at,
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
