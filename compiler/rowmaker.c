/* rowmaker.c: list attributes no sequence can say (rule 73).
 *
 * Each maker writes a row for the call at hand (which axes, how many tensors) as one node: result
 * axes, and one load of each tensor. All of them are views; they vanish in what reads them. */
#include "rowmaker.h"

#include <string.h>

Value make_wrong(Make *m, Span at, const char *text) {
    error_at(m->c, at.src ? at : m->at, "%s", text);
    return poison(m->at);
}

static const char index_letters[][2] = {
    "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"
};

Index *make_loop(Make *m, int k, Dim size) {
    return index_new(m->c, intern(m->c, index_letters[k % 12], 1), size);
}

void make_axis(Make *m, Axis *a, Index *i) {
    *a = (Axis){ .index = NEWN(m->c, Index *, 1), .n = 1 };
    a->index[0] = i;
}

Term *make_number(Make *m, double v) {
    return term_number(m->c, I32, v);
}

Term *make_size(Make *m, Dim d) {
    Term *t = term_size(m->c, d);
    return t->kind == TNumber ? make_number(m, t->number) : t;
}

Value make_value(Make *m, const char *op, Axis *axis, int n, Term *body) {
    return whole_value(m->c, m->g, op, axis, n, body, m->at, m->path, m->hint);
}

Term *make_load(Make *m, Tensor *t, Term **at) {
    return term_load(m->c, t, at, t->type.rank, NULL, intern(m->c, "x", 1));
}

/* ---- arguments */

bool make_has(Make *m, int k) {
    return k < m->n && !row_not_given(&m->arg[k]);
}

Tensor *make_tensor_arg(Make *m, int k) {
    if (m->arg[k].kind == VTensor)
        return m->arg[k].tensor;
    if (!constant_args(m->c, &m->arg[k], 1, NoElem))
        return NULL;
    if (m->arg[k].kind == VTensor)
        return m->arg[k].tensor;
    make_wrong(m, m->arg[k].at, "a tensor is wanted here");
    return NULL;
}

/* An axis of a tensor of this rank; -1 after a message. */
int make_axis_arg(Make *m, int k, int rank, int otherwise) {
    int64_t n = otherwise;
    if (make_has(m, k) && (m->arg[k].kind != VInt || !dim_number(m->arg[k].whole, &n))) {
        make_wrong(m, m->arg[k].at, "an axis is a number");
        return -1;
    }
    if (n < -rank || n >= rank) {
        make_wrong(m, m->arg[k].at,
                   format(m->c, "axis %lld of a tensor of rank %d", (long long)n, rank));
        return -1;
    }
    return (int)(n < 0 ? n + rank : n);
}

/* A list of sizes; a size that is known only at run time has a message of its own. */
int make_sizes_arg(Make *m, int k, Dim *out) {
    Value *v = &m->arg[k];
    int n = v->kind == VList ? v->n : 1;
    if (n > MaxRank) {
        make_wrong(m, v->at, "too many axes");
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
            make_wrong(m, at, "a size is an integer");
            return -1;
        }
        make_wrong(m, at,
                   format(m->c, "a size must be known when compiling; `%s` is a run-time %s",
                          at.src ? source_text(m->c, at) : x->tensor->name,
                          type_text(m->c, &x->tensor->type)));
        help(m->c,
             "a size that varies is a symbol of an input's shape, with a bound: `--bind N=1..64`");
        return -1;
    }
    return n;
}

/* ---- permute, broadcast_to */

static Value make_permute(Make *m) {
    Tensor *x = make_tensor_arg(m, 0);
    Dim order[MaxRank];
    Axis axis[MaxRank];
    Term *at[MaxRank] = { NULL };
    int n = x ? make_sizes_arg(m, 1, order) : -1;
    if (n < 0)
        return poison(m->at);
    if (n != x->type.rank)
        return make_wrong(m, m->arg[1].at,
                          format(m->c, "%d axes for a tensor of rank %d", n, x->type.rank));
    for (int k = 0; k < n; k++) {
        int64_t a;
        if (!dim_number(order[k], &a) || a < -n || a >= n)
            return make_wrong(m, m->arg[1].at,
                              format(m->c, "there is no axis %s", dim_text(m->c, order[k])));
        if (a < 0)
            a += n;
        if (at[a])
            return make_wrong(m, m->arg[1].at, format(m->c, "axis %d is named twice", (int)a));
        Index *i = make_loop(m, (int)a, x->type.dim[a]);
        at[a] = term_index(m->c, i);
        make_axis(m, &axis[k], i);
    }
    return make_value(m, "permute", axis, n, make_load(m, x, at));
}

static Value make_broadcast(Make *m) {
    Tensor *x = make_tensor_arg(m, 0);
    Dim to[MaxRank];
    Axis axis[MaxRank];
    Term *at[MaxRank];
    int n = x ? make_sizes_arg(m, 1, to) : -1;
    if (n < 0)
        return poison(m->at);
    int lead = n - x->type.rank;
    for (int k = 0; k < n; k++) {
        Dim own = k >= lead ? x->type.dim[k - lead] : NULL;
        if (lead < 0 || (own && !dim_is(own, 1) && !dim_equal(m->c, own, to[k])))
            return make_wrong(m, m->at,
                              format(m->c, "cannot broadcast %s to %s", type_text(m->c, &x->type),
                                     sizes_text(m->c, to, n)));
        Index *i = make_loop(m, k, to[k]);
        make_axis(m, &axis[k], i);
        if (own)
            at[k - lead] = dim_is(own, 1) ? make_number(m, 0) : term_index(m->c, i);
    }
    if (lead < 0)
        return make_wrong(m, m->at,
                          format(m->c, "cannot broadcast %s to %s", type_text(m->c, &x->type),
                                 sizes_text(m->c, to, n)));
    return make_value(m, "broadcast_to", axis, n, make_load(m, x, at));
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
