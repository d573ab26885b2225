/* row_index.c: x[…] of rule 34, read or written, as one node.
 *
 * Each entry says where along its axis to read and which axes it leaves: an integer none, a slice
 * one, integer tensors those of their common shape, `none` one of size 1. Compile-time positions
 * are checked; run-time ones are clamped, a run-time start so that the slice fits. */
#include "row.h"

#include <string.h>

typedef struct Picked { /* what the entries come to */
    Ctx *c;
    Axis axis[2 * MaxRank];
    int naxis;
    Term *at[MaxRank];
    int n; /* position along each axis of x */
    Index *gather[MaxRank];
    int ngather; /* loops over the common shape of the integer tensors */
    Type gathered;
    bool has_gather;
    bool whole; /* so far, everything in order */
    bool bad;
} Picked;

/* ---- text of a node */

static void axis_text(Ctx *c, Text *t, const Axis *a) {
    text_add(c, t, a->n == 1 ? "" : "(");
    for (int k = 0; k < a->n; k++)
        text_add(c, t, "%s%s < %s", k ? ", " : "", a->index[k]->name,
                 dim_text(c, a->index[k]->size));
    text_add(c, t, a->n == 1 ? "" : a->n ? ")" : "1)");
}

const char *clause_line(Ctx *c, const char *op, Axis *axis, int naxis, const Clause *k) {
    Text t = { 0 };
    text_add(c, &t, "op %s(x) -> [", op);
    for (int j = 0; j < naxis; j++) {
        if (j)
            text_add(c, &t, ", ");
        axis_text(c, &t, &axis[j]);
    }
    text_add(c, &t, "] = %s", term_text(c, k->body));
    return t.s;
}

Value whole_value(Ctx *c, Graph *g, const char *op, Axis *axis, int naxis, Term *body, Span at,
                  Name path, Name hint) {
    Clause k = { .body = body };
    Name own = intern(c, op, strlen(op));
    Axis *kept = NEWN(c, Axis, naxis + 1);
    memcpy(kept, axis, sizeof *axis * (size_t)naxis);
    Call *call = call_new(c, own, clause_line(c, op, kept, naxis, &k), path, at);
    Tensor *t = row_node(c, g, call, hint && *hint ? hint : own, path, kept, naxis, &k);
    return t ? tensor_value(t, at) : poison(at);
}

/* ---- entries */

static void pick_wrong(Picked *p, Span at, const char *text) {
    if (!p->bad)
        error_at(p->c, at, "%s", text);
    p->bad = true;
}

static Term *size_or_number(Ctx *c, Dim d) {
    Term *t = term_size(c, d);
    return t->kind == TNumber ? term_number(c, I32, t->number) : t;
}

static void add_axis(Picked *p, Index *i) {
    if (p->naxis == 2 * MaxRank)
        return;
    Axis *a = &p->axis[p->naxis++];
    *a = (Axis){ .index = NEWN(p->c, Index *, 1), .n = i ? 1 : 0 };
    a->index[0] = i;
}

static Index *new_loop(Picked *p, Dim size) {
    static const char *const letter[] = { "i", "j", "k", "l", "m", "n", "o", "p" };
    return index_new(p->c, intern(p->c, letter[p->naxis % MaxRank], 1), size);
}

static void whole_axis(Picked *p, Dim size) {
    Index *i = new_loop(p, size);
    p->at[p->n++] = term_index(p->c, i);
    add_axis(p, i);
}

/* -1 is the last: only a written negative number counts from the end. */
static Dim from_end(Ctx *c, Dim d, Dim size) {
    int64_t n;
    return dim_number(d, &n) && n < 0 ? dim_add(c, size, d) : d;
}

static void one_place(Picked *p, const Pick *k, Dim size) {
    Dim at = from_end(p->c, k->a.whole, size);
    if (!inside_proved(p->c, size_or_number(p->c, at), size)) {
        int64_t x, y;
        bool sure = dim_number(at, &x) && dim_number(size, &y);
        pick_wrong(p, k->at,
                   format(p->c,
                          sure ? "index %s is outside an axis of size %s"
                               : "index %s may be outside an axis of size %s",
                          dim_text(p->c, k->a.whole), dim_text(p->c, size)));
        return;
    }
    p->at[p->n++] = size_or_number(p->c, at);
    p->whole = false;
}

/* start + step * i, for i < count. */
static void stretch(Picked *p, Term *start, int64_t step, Dim count) {
    Ctx *c = p->c;
    Index *i = new_loop(p, count);
    Term *at = term_apply2(c, FnMul, I32, term_index(c, i), term_number(c, I32, (double)step));
    p->at[p->n++] =
        start->kind == TNumber && start->number == 0 ? at : term_apply2(c, FnAdd, I32, at, start);
    add_axis(p, i);
    p->whole = false;
}

static void run_time_slice(Picked *p, const Pick *k) {
    const char *a = k->has_a && k->a.at.src ? source_text(p->c, k->a.at) : "0",
               *b = k->has_b && k->b.at.src ? source_text(p->c, k->b.at) : "";
    size_t n = strlen(a);
    const char *length = !strncmp(b, a, n) && !strncmp(b + n, " + ", 3) ? b + n + 3 : "…";
    pick_wrong(p, k->at, "a slice that starts at run time needs a length known when compiling");
    help(p->c, "`%s +: %s`: from %s, %s long", a, length, a, length);
}

static void pick_slice(Picked *p, const Pick *k, Dim size) {
    Ctx *c = p->c;
    int64_t step = 1;
    if ((k->has_a && k->a.kind == VTensor) || (k->has_b && k->b.kind == VTensor)) {
        run_time_slice(p, k);
        return;
    }
    bool ints = (!k->has_a || k->a.kind == VInt) && (!k->has_b || k->b.kind == VInt) &&
                (!k->has_s || k->s.kind == VInt);
    if (!ints || (k->has_s && (!dim_number(k->s.whole, &step) || step == 0 || step < -(1 << 30) ||
                               step > 1 << 30))) {
        pick_wrong(p, k->at,
                   ints ? "the step of a slice is a number other than 0"
                        : "a slice is made of integers");
        return;
    }
    if (!k->has_a && !k->has_b && step == 1) {
        whole_axis(p, size);
        return;
    }
    Dim zero = dim(c, 0), one = dim(c, 1), minus = dim(c, -1);
    Dim a = k->has_a ? from_end(c, k->a.whole, size) : step > 0 ? zero : dim_sub(c, size, one);
    Dim b = k->has_b ? from_end(c, k->b.whole, size) : step > 0 ? size : minus;
    Dim span = step > 0 ? dim_sub(c, b, a) : dim_sub(c, a, b), by = dim(c, step > 0 ? step : -step);
    Dim count = dim_floordiv(c, dim_add(c, span, dim_sub(c, by, one)), by);
    if (dim_less(c, span, zero) == 1)
        count = zero;
    else if (dim_less(c, span, zero) != 0) {
        pick_wrong(p, k->at,
                   format(c, "this slice may be negative: %s is not always at least %s",
                          dim_text(c, step > 0 ? b : a), dim_text(c, step > 0 ? a : b)));
        return;
    }
    if (!dim_is(count, 0) &&
        (dim_less(c, a, zero) != 0 || dim_less(c, size, step > 0 ? b : a) != 0)) {
        pick_wrong(p, k->at,
                   format(c, "this slice is not inside an axis of size %s", dim_text(c, size)));
        return;
    }
    if (dim_is(a, 0) && step == 1 && dim_equal(c, b, size)) {
        whole_axis(p, size);
        return;
    }
    stretch(p, size_or_number(c, a), step, count);
}

static Term *as_position(Ctx *c, Term *t) {
    return t->elem == I32 ? t : term_apply1(c, FnCast, I32, t);
}

static bool run_time_scalar(const Value *v) {
    return v->kind == VTensor && v->tensor->type.rank == 0 && elem_is_int(v->tensor->type.elem);
}

/* a +: n, n long from a, which may be a run-time value. */
static void start_at_run_time(Picked *p, const Pick *k, Dim size) {
    Ctx *c = p->c;
    if (k->b.kind != VInt) {
        pick_wrong(p, k->at, "the length of a slice must be known when compiling");
        return;
    }
    Dim rest = dim_sub(c, size, k->b.whole), zero = dim(c, 0);
    if (dim_less(c, k->b.whole, zero) != 0 || dim_less(c, rest, zero) != 0) {
        pick_wrong(p, k->at,
                   format(c, "%s elements of an axis of size %s: they need not fit",
                          dim_text(c, k->b.whole), dim_text(c, size)));
        note_sizes(c, k->b.whole, size);
        return;
    }
    if (k->a.kind == VInt) {
        Dim a = from_end(c, k->a.whole, size);
        if (dim_less(c, a, zero) != 0 || dim_less(c, rest, a) != 0)
            pick_wrong(p, k->at,
                       format(c, "this slice is not inside an axis of size %s", dim_text(c, size)));
        else
            stretch(p, size_or_number(c, a), 1, k->b.whole);
        return;
    }
    if (!run_time_scalar(&k->a)) {
        pick_wrong(p, k->at, "a slice starts at one integer");
        return;
    }
    Term *start = as_position(c, term_load(c, k->a.tensor, NULL, 0, NULL, k->a.tensor->name));
    start = term_apply2(c, FnMax, I32, term_number(c, I32, 0),
                        term_apply2(c, FnMin, I32, start, size_or_number(c, rest)));
    stretch(p, start, 1, k->b.whole);
}

static void pick_gather(Picked *p, const Pick *k, Dim size) {
    Ctx *c = p->c;
    Term *zero = term_number(c, I32, 0), *last = size_or_number(c, dim_sub(c, size, dim(c, 1)));
    if (!elem_is_int(k->a.tensor->type.elem)) {
        pick_wrong(
            p, k->at,
            format(c, "an index must be an integer, found %s", type_text(c, &k->a.tensor->type)));
        return;
    }
    if (dim_is(size, 0)) {
        pick_wrong(p, k->at, "an axis of size 0 has no elements");
        return;
    }
    Term *at = as_position(
        c, read_broadcast(c, k->a.tensor, p->gather, p->ngather, intern(c, "index", 5)));
    p->at[p->n++] = term_apply2(c, FnMax, I32, zero, term_apply2(c, FnMin, I32, at, last));
    p->whole = false;
}

/* The common shape of the integer tensors, before any of them is read. */
static void gathered_shape(Picked *p, Pick *pick, int n, Span at) {
    int bad;
    for (int k = 0; k < n; k++) {
        Pick *x = &pick[k];
        if (x->kind != SubAt)
            continue;
        if (x->a.kind == VList) {
            Tensor *t = row_constant(p->c, x->a, I32);
            if (!t) {
                pick_wrong(p, x->at, "a list of integers is wanted here");
                return;
            }
            x->a = tensor_value(t, x->a.at);
        }
        if (x->a.kind != VTensor)
            continue;
        if (!p->has_gather)
            p->gathered = x->a.tensor->type;
        else if (!broadcast(p->c, &p->gathered, &x->a.tensor->type, &p->gathered, &bad)) {
            pick_wrong(p, at,
                       format(p->c, "the indices %s and %s do not fit",
                              type_text(p->c, &p->gathered), type_text(p->c, &x->a.tensor->type)));
            return;
        }
        p->has_gather = true;
    }
    if (!p->has_gather)
        return;
    p->ngather = p->gathered.rank;
    for (int k = 0; k < p->ngather; k++)
        p->gather[k] = index_new(p->c, name(p->c, "g%d", k + 1), p->gathered.dim[k]);
}

static void pick_entry(Picked *p, Pick *k, Dim size, bool *placed) {
    if (k->kind == SubSlice) {
        pick_slice(p, k, size);
        return;
    }
    if (k->kind == SubRun) {
        start_at_run_time(p, k, size);
        return;
    }
    if (k->a.kind == VInt) {
        one_place(p, k, size);
        return;
    }
    if (k->a.kind != VTensor) {
        pick_wrong(p, k->at, "an index is an integer, a slice, an integer tensor, `none` or `...`");
        return;
    }
    for (int j = 0; j < p->ngather && !*placed; j++)
        add_axis(p, p->gather[j]);
    *placed = true;
    pick_gather(p, k, size);
}

static bool adds_axis(const Pick *k) {
    return k->kind == SubAt && k->a.kind == VNone;
}

static void pick_all(Picked *p, const Type *x, Pick *pick, int n, Span at) {
    int real = 0, dots = 0;
    bool placed = false;
    for (int k = 0; k < n; k++) {
        if (pick[k].kind == SubAt && pick[k].a.kind == VPoison) {
            p->bad = true;
            return;
        }
        if (pick[k].kind == SubDots)
            dots++;
        else
            real += !adds_axis(&pick[k]);
    }
    if (dots > 1) {
        pick_wrong(p, at, "`...` stands once in an index");
        return;
    }
    if (real > x->rank) {
        pick_wrong(p, at, format(p->c, "%d indices of %s", real, type_text(p->c, x)));
        return;
    }
    p->whole = true;
    gathered_shape(p, pick, n, at);
    for (int k = 0; k < n && !p->bad; k++) {
        if (adds_axis(&pick[k])) {
            add_axis(p, NULL);
            p->whole = false;
        } else if (pick[k].kind == SubDots)
            for (int m = 0; m < x->rank - real; m++)
                whole_axis(p, x->dim[p->n]);
        else
            pick_entry(p, &pick[k], x->dim[p->n], &placed);
    }
    while (!p->bad && p->n < x->rank)
        whole_axis(p, x->dim[p->n]);
    if (!p->bad && p->naxis > MaxRank)
        pick_wrong(p, at, format(p->c, "a result of more than %d axes", MaxRank));
}

/* ---- reading */

Value row_index(Ctx *c, Graph *g, Value x, Pick *pick, int n, Span at, Name path, Name hint) {
    Picked p = { .c = c };
    if (x.kind == VPoison)
        return poison(at);
    if (x.kind == VList) {
        Value one[1] = { x };
        if (!constant_args(c, one, 1, NoElem))
            return poison(at);
        x = one[0];
    }
    if (x.kind != VTensor) {
        error_at(c, at, "only a tensor is indexed");
        return poison(at);
    }
    pick_all(&p, &x.tensor->type, pick, n, at);
    if (p.bad)
        return poison(at);
    if (p.whole)
        return tensor_value(x.tensor, at);
    Term *body = term_load(c, x.tensor, p.at, p.n, NULL, intern(c, "x", 1));
    return whole_value(c, g, p.has_gather ? "gather" : "index", p.axis, p.naxis, body, at, path,
                       hint);
}

/* ---- writing */

static Term *written(Ctx *c, Tensor *state, const Type *part, Index **index, Value *e, Span at) {
    Type both;
    int bad;
    Term *t;
    if (e->kind == VTensor) {
        const Type *own = &e->tensor->type;
        bool fits = broadcast(c, part, own, &both, &bad) && both.rank == part->rank;
        for (int k = 0; fits && k < part->rank; k++)
            fits = dim_equal(c, both.dim[k], part->dim[k]);
        if (!fits) {
            error_at(c, at, "cannot write %s to %s of `%s`", type_text(c, own), type_text(c, part),
                     state->name);
            return NULL;
        }
        t = read_broadcast(c, e->tensor, index, part->rank, intern(c, "value", 5));
    } else if (!(t = value_term(c, e))) {
        error_at(c, at, "a state is written with a tensor or a number");
        return NULL;
    }
    Term *pair[2] = { term_number(c, part->elem, 0), t };
    Fault fault;
    int which;
    bool fine = t->elem == part->elem ||
                (part->elem != Bool && fn_term(c, fn(FnEq), NoElem, pair, 2, &fault, &which));
    if (fine)
        return term_as(c, t, part->elem);
    error_at(c, at, "`%s` is %s, and this value is %s", state->name, elem_name(part->elem),
             elem_name(t->elem));
    if (part->elem != Bool)
        help(c, "`%s(…)` converts", elem_name(part->elem));
    return NULL;
}

Tensor *row_write(Ctx *c, Graph *g, Tensor *state, Pick *pick, int n, Value e, Span at, Name path) {
    Picked p = { .c = c };
    Index *loop[2 * MaxRank] = { NULL };
    if (e.kind == VList) {
        Tensor *t = row_constant(c, e, state->type.elem);
        if (t)
            e = tensor_value(t, e.at);
    }
    if (e.kind == VPoison)
        return state;
    pick_all(&p, &state->type, pick, n, at);
    if (p.bad)
        return state;
    Type part = { .elem = state->type.elem, .rank = p.naxis };
    for (int k = 0; k < p.naxis; k++) {
        part.dim[k] = axis_size(c, &p.axis[k]);
        loop[k] = p.axis[k].n ? p.axis[k].index[0] : NULL;
        if (!loop[k])
            loop[k] = index_new(c, intern(c, "o", 1), dim(c, 1));
    }
    Term *body = written(c, state, &part, loop, &e, at);
    if (!body)
        return state;
    Tensor *out = tensor(c, TState, state->name, state->path, &state->type, user_span(c, at));
    out->before = state;
    out->init = state->init;
    out->frozen = state->frozen;
    Node *node = node_new(c, g, out);
    node->axis = NEWN(c, Axis, p.naxis + 1);
    memcpy(node->axis, p.axis, sizeof *p.axis * (size_t)p.naxis);
    node->naxis = p.naxis;
    node->body = body;
    if (!p.whole) {
        node->at = NEWN(c, Term *, p.n + 1);
        memcpy(node->at, p.at, sizeof *p.at * (size_t)p.n);
    }
    node->call = call_new(c, intern(c, "write", 5),
                          format(c, "%s[…] <- %s", state->name, term_text(c, body)), path, at);
    return out;
}
