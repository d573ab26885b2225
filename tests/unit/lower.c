/* Bunches made by hand, lowered and scheduled, run by a small interpreter, and compared with what their nodes mean. */
#include "../../codegen/codegen.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- making graphs */

typedef struct Test {
    Ctx ctx, *c;
    Graph graph;
    Program program;
    Bunches bunches;
    Map data, turn;                     /* tensor → double *, index → int64_t * */
    Code *code;
    bool scheduled;
    unsigned seed;
} Test;

static Test *new_test(void) {
    Test *t = calloc(1, sizeof *t);
    t->c = &t->ctx;
    if (setjmp(t->ctx.stop)) abort();
    t->program.name = name(t->c, "net");
    t->bunches.graph = &t->graph;
    t->seed = 1;
    return t;
}

static Index *ix(Test *t, const char *word, int n) {
    return index_new(t->c, name(t->c, "%s", word), dim(t->c, n));
}

static Tensor *made(Test *t, TensorKind kind, const char *word, Elem e, int rank, ...) {
    Type type = { .elem = e, .rank = rank };
    va_list dims;
    va_start(dims, rank);
    for (int i = 0; i < rank; i++)
        type.dim[i] = dim(t->c, va_arg(dims, int));
    va_end(dims);
    return tensor(t->c, kind, name(t->c, "%s", word), name(t->c, "net.%s", word), &type, (Span){0});
}

static Term *at(Test *t, Tensor *of, int n, ...) {
    Term *pos[MaxRank];
    va_list terms;
    va_start(terms, n);
    for (int i = 0; i < n; i++)
        pos[i] = va_arg(terms, Term *);
    va_end(terms);
    return term_load(t->c, of, pos, n, NULL, of->name);
}

static Term *run(Test *t, Index *i) {
    return term_index(t->c, i);
}

static Term *two(Test *t, FnId f, Term *a, Term *b) {
    Elem e = f >= FnEq && f <= FnOr ? Bool : a->elem;
    return term_apply2(t->c, f, e, a, b);
}

static Term *num(Test *t, double v) {
    return term_number(t->c, Float, v);
}

static Term *whole(Test *t, int v) {
    return term_number(t->c, I32, v);
}

static Axis group(Test *t, int n, ...) {
    Axis a = { NEWN(t->c, Index *, n + 1), n };
    va_list list;
    va_start(list, n);
    for (int i = 0; i < n; i++)
        a.index[i] = va_arg(list, Index *);
    va_end(list);
    return a;
}

typedef struct Spec { Axis axis[MaxRank]; Index *bind[MaxRank]; Reduce reduce; Term *body, *cond[4]; const char *op; } Spec;

static Node *node(Test *t, Tensor *out, Spec s) {
    Ctx *c = t->c;
    Node *n = node_new(c, &t->graph, out);
    n->axis = NEWN(c, Axis, MaxRank);
    n->bind = NEWN(c, Index *, MaxRank);
    n->cond = NEWN(c, Term *, 4);
    memcpy(n->axis, s.axis, sizeof s.axis);
    memcpy(n->bind, s.bind, sizeof s.bind);
    memcpy(n->cond, s.cond, sizeof s.cond);
    n->naxis = out->type.rank;
    while (n->nbind < MaxRank && s.bind[n->nbind])
        n->nbind++;
    while (n->ncond < 4 && s.cond[n->ncond])
        n->ncond++;
    n->reduce = s.reduce;
    n->body = s.body;
    n->call = NEW(c, Call);
    *n->call = (Call){ .op = name(c, "%s", s.op), .line = s.op, .path = name(c, "net"), .id = c->next_call++ };
    return n;
}

static void bunch(Test *t, int nouter, Index **outer, int n, ...) {
    Bunch *b = NEW(t->c, Bunch);
    b->outer = outer;
    b->nouter = nouter;
    va_list list;
    va_start(list, n);
    for (int i = 0; i < n; i++)
        push(t->c, &b->node, va_arg(list, Node *));
    va_end(list);
    push(t->c, &t->bunches.bunch, b);
}

static void output(Test *t, Tensor *x) {
    push(t->c, &t->graph.output, ((Terminal){ .name = x->name, .tensor = x }));
}

/* ---- running terms and loops */

static int64_t count(const Tensor *x) {
    int64_t n = 1, d;
    for (int i = 0; i < x->type.rank; i++) {
        assert_true(dim_number(x->type.dim[i], &d));
        n *= d;
    }
    return n;
}

static double *data_of(Test *t, Tensor *x) {
    while (x->before)
        x = x->before;
    double *d = map_get(&t->data, x);
    if (d) return d;
    int64_t n = count(x);
    d = NEWN(t->c, double, n + 1);
    for (int64_t i = 0; i < n; i++) {
        t->seed = t->seed * 1103515245u + 12345u;
        d[i] = (double)(t->seed >> 16 & 255) / 16 - 8;
        if (elem_is_int(x->type.elem)) d[i] = floor(fabs(d[i]));
    }
    map_put(t->c, &t->data, x, d);
    return d;
}

static double value(Test *t, const Term *x);

static bool offset(Test *t, const Tensor *x, Term *const *pos, int n, int64_t *out) {
    int64_t d, o = 0;
    for (int i = 0; i < n; i++) {
        int64_t p = (int64_t)value(t, pos[i]);
        dim_number(x->type.dim[i], &d);
        if (p < 0 || p >= d) return false;
        o = o * d + p;
    }
    *out = o;
    return true;
}

static double value(Test *t, const Term *x) {
    double arg[3];
    int64_t o = 0;
    switch (x->kind) {
    case TNumber: return x->number;
    case TIndex:  return (double)*(int64_t *)map_get(&t->turn, x->index);
    case TSize:   fail_msg("a size that varies"); return 0;
    case TLoad:
        if (offset(t, x->from, x->kid, x->n, &o)) return data_of(t, x->from)[o];
        if (!x->outside) fail_msg("a read outside: %s", term_text(t->c, x));
        return value(t, x->outside);
    case TApply: break;
    }
    if (x->fn->id == FnWhere) return value(t, x->kid[0]) != 0 ? value(t, x->kid[1]) : value(t, x->kid[2]);
    if (x->fn->id == FnExtern) return exp(value(t, x->kid[0]));
    for (int i = 0; i < x->n; i++)
        arg[i] = value(t, x->kid[i]);
    return fn_eval(x->fn, x->fn->id >= FnEq && x->fn->id <= FnGe ? x->kid[0]->elem : x->elem, arg);
}

static bool wins(Reduce r, double v, double best) {
    if (isnan(best)) return false;
    return isnan(v) || (r == RArgMax ? v > best : v < best);
}

static double reduced(Reduce r, double a, double v) {
    switch (r) {
    case RSum:  return a + v;
    case RProd: return a * v;
    case RMax:  return isnan(a) || a > v ? a : v;
    case RMin:  return isnan(a) || a < v ? a : v;
    case RAny:  return a != 0 || v != 0;
    case RAll:  return a != 0 && v != 0;
    default:    return v;
    }
}

static int64_t *turn_of(Test *t, Index *i) {
    int64_t *at = map_get(&t->turn, i);
    if (at) return at;
    at = NEW(t->c, int64_t);
    map_put(t->c, &t->turn, i, at);
    return at;
}

static void run_loop(Test *t, const Loop *l) {
    int64_t o = 0, n = l->n;
    if (l->to && !offset(t, l->to, l->at, l->nat, &o)) fail_msg("a write outside");
    double *to = l->to ? data_of(t, l->to) : NULL;
    switch (l->kind) {
    case LFor:
        for (int64_t i = l->lo ? (int64_t)value(t, l->lo) : 0, end = (int64_t)value(t, l->hi); i < end; i += l->step ? l->step : 1) {
            *turn_of(t, l->index) = i;
            for (int64_t k = 0; k < n; k++)
                run_loop(t, l->kid[k]);
        }
        return;
    case LLet:
        for (int64_t i = 0; i < count(l->to); i++)
            to[i] = l->value ? value(t, l->value) : l->fill;
        return;
    case LStore: to[o] = value(t, l->value); return;
    case LAccum:
        if (l->best) {
            double v = value(t, l->value), *best = data_of(t, l->best);
            if (!wins(l->reduce, v, *best)) return;
            *best = v;
            to[o] = value(t, l->position);
        } else {
            to[o] = reduced(l->reduce, to[o], value(t, l->value));
        }
        return;
    case LIf:
        if (value(t, l->value) == 0) return;
        break;
    default: break;
    }
    for (int64_t k = 0; k < n; k++)
        run_loop(t, l->kid[k]);
}

static void run_step(Test *t, const Step *s) {
    for (int i = 0; i < s->kernel->formal.n; i++) {
        assert_int_equal(count(s->kernel->formal.at[i]), count(s->arg[i]));
        map_put(t->c, &t->data, s->kernel->formal.at[i], data_of(t, s->arg[i]));
    }
    run_loop(t, s->kernel->body);
}

/* ---- what a node means */

static double unit(Reduce r) {
    static const double of[] = { 0, 0, 1, -INFINITY, INFINITY, 0, 1, -INFINITY, INFINITY };
    return of[r];
}

static double meaning_at(Test *t, const Node *n) {
    int64_t total = 1, d, first = 0;
    double sum = unit(n->reduce);
    for (int i = 0; i < n->nbind; i++) {
        dim_number(n->bind[i]->size, &d);
        total *= d;
    }
    for (int64_t k = 0; k < total; k++) {
        int64_t rest = k;
        for (int i = n->nbind - 1; i >= 0; i--) {
            dim_number(n->bind[i]->size, &d);
            *turn_of(t, n->bind[i]) = rest % d;
            rest /= d;
        }
        bool holds = true;
        for (int i = 0; i < n->ncond; i++)
            holds = holds && value(t, n->cond[i]) != 0;
        if (!holds) continue;
        double v = value(t, n->body);
        if (n->reduce == RArgMax || n->reduce == RArgMin) {
            if (!wins(n->reduce, v, sum)) continue;
            first = k;
            sum = v;
        } else {
            sum = reduced(n->reduce, sum, v);
        }
    }
    return n->reduce == RArgMax || n->reduce == RArgMin ? (double)first : sum;
}

static void meaning(Test *t, const Node *n) {
    double *to = data_of(t, n->out);
    int64_t total = 1, d, o = 0;
    for (int i = 0; i < n->naxis; i++)
        for (int k = 0; k < n->axis[i].n; k++) {
            dim_number(n->axis[i].index[k]->size, &d);
            total *= d;
        }
    for (int64_t e = 0; e < total; e++) {
        int64_t rest = e;
        for (int i = n->naxis - 1; i >= 0; i--)
            for (int k = n->axis[i].n - 1; k >= 0; k--) {
                dim_number(n->axis[i].index[k]->size, &d);
                *turn_of(t, n->axis[i].index[k]) = rest % d;
                rest /= d;
            }
        if (n->at) assert_true(offset(t, n->out, n->at, n->naxis, &o));
        to[n->at ? o : e] = meaning_at(t, n);
    }
}

static void lower_it(Test *t) {
    Graph *g = &t->graph;
    Bunches *b = &t->bunches;
    t->program.graph = &g;
    t->program.n = 1;
    t->code = lower(t->c, &t->program, &b);
    code_check(t->c, t->code);
    if (t->scheduled) schedule(t->c, t->code);
    code_check(t->c, t->code);
    if (getenv("SHOW")) code_print(t->c, t->code, stdout, false);
}

/* Runs the steps, then the nodes, and compares the outputs and the states. */
static void compare(Test *t) {
    lower_it(t);
    Graph *g = &t->graph;
    Map before = {0};
    for (int i = 0; i < g->node.n; i++) {
        Tensor *x = g->node.at[i]->out;
        double *d = data_of(t, x);
        double *copy = NEWN(t->c, double, count(x) + 1);
        memcpy(copy, d, sizeof *d * (size_t)count(x));
        map_put(t->c, &before, x, copy);
    }
    for (int i = 0; i < t->code->routine[0]->step.n; i++)
        run_step(t, &t->code->routine[0]->step.at[i]);
    Map got = {0};
    for (int i = 0; i < g->node.n; i++) {
        Tensor *x = g->node.at[i]->out;
        double *d = data_of(t, x), *copy = NEWN(t->c, double, count(x) + 1);
        memcpy(copy, d, sizeof *d * (size_t)count(x));
        map_put(t->c, &got, x, copy);
        memcpy(d, map_get(&before, x), sizeof *d * (size_t)count(x));
    }
    for (int i = 0; i < g->node.n; i++)
        meaning(t, g->node.at[i]);
    for (int i = 0; i < g->node.n; i++) {
        Tensor *x = g->node.at[i]->out;
        bool terminal = x->kind == TState;
        for (int k = 0; k < g->output.n; k++)
            terminal = terminal || g->output.at[k].tensor == x;
        double *want = data_of(t, x), *is = map_get(&got, x);
        for (int64_t k = 0; terminal && k < count(x); k++)
            if (!(fabs(want[k] - is[k]) <= 1e-9 * (1 + fabs(want[k])) || want[k] == is[k] || (isnan(want[k]) && isnan(is[k]))))
                fail_msg("%s at %d: want %g, got %g", x->name, (int)k, want[k], is[k]);
    }
}

/* Lowered alone, then scheduled: both must mean what the nodes mean. */
static void both(void (*make)(Test *)) {
    for (int s = 0; s < 2; s++) {
        Test *t = new_test();
        t->scheduled = s;
        make(t);
        compare(t);
    }
}

static int count_loops(const Loop *l, LoopKind kind) {
    int n = l->kind == kind;
    for (int i = 0; i < l->n; i++)
        n += count_loops(l->kid[i], kind);
    return n;
}

/* ---- the cases */

static void build_softmax(Test *t) {
    Index *n = ix(t, "n", 3), *i[5];
    for (int k = 0; k < 5; k++)
        i[k] = ix(t, "i", 20);
    Tensor *x = made(t, TInput, "x", Float, 2, 3, 20), *m = made(t, TTemp, "m", Float, 1, 3);
    Tensor *e = made(t, TTemp, "e", Float, 2, 3, 20), *s = made(t, TTemp, "s", Float, 1, 3);
    Tensor *y = made(t, TTemp, "y", Float, 2, 3, 20);
    const Fn *f = fn_extern(t->c, name(t->c, "exp"), "exp", 1);
    Axis an = group(t, 1, n);
    Node *a = node(t, m, (Spec){ .axis = { an }, .bind = { i[0] }, .reduce = RMax, .op = "softmax",
                                 .body = at(t, x, 2, run(t, n), run(t, i[0])) });
    Term *d = two(t, FnSub, at(t, x, 2, run(t, n), run(t, i[1])), at(t, m, 1, run(t, n)));
    Node *b = node(t, e, (Spec){ .axis = { an, group(t, 1, i[1]) }, .op = "softmax", .body = term_apply(t->c, f, Float, &d) });
    Node *g = node(t, s, (Spec){ .axis = { an }, .bind = { i[2] }, .reduce = RSum, .op = "softmax",
                                 .body = at(t, e, 2, run(t, n), run(t, i[2])) });
    Node *h = node(t, y, (Spec){ .axis = { an, group(t, 1, i[3]) }, .op = "softmax",
                                 .body = two(t, FnDiv, at(t, e, 2, run(t, n), run(t, i[3])), at(t, s, 1, run(t, n))) });
    Index **outer = NEWN(t->c, Index *, 1);
    outer[0] = n;
    bunch(t, 1, outer, 4, a, b, g, h);
    output(t, y);
}

static void softmax_is_three_loops(void **state) {
    (void)state;
    both(build_softmax);
    Test *t = new_test();
    build_softmax(t);
    lower_it(t);
    assert_int_equal(t->code->kernel.n, 1);
    Kernel *k = t->code->kernel.at[0];
    assert_string_equal(k->name, "softmax_3x20_k20");
    assert_int_equal(count_loops(k->body, LFor), 4);
    assert_int_equal(k->formal.n, 3);
    assert_int_equal(kernel_role(k, 2), RoleScratch);
    assert_int_equal(k->formal.at[2]->type.rank, 1);
}

typedef struct ConvSize { int c, o, h, w, p, q, stride, pad; } ConvSize;

static void build_conv(Test *t, ConvSize z, bool epilogue) {
    Ctx *c = t->c;
    int oh = (z.h + 2 * z.pad - z.p) / z.stride + 1, ow = (z.w + 2 * z.pad - z.q) / z.stride + 1;
    Index *n = ix(t, "n", 1), *o = ix(t, "o", z.o), *y = ix(t, "y", oh), *x = ix(t, "z", ow);
    Index *k = ix(t, "c", z.c), *p = ix(t, "p", z.p), *q = ix(t, "q", z.q);
    Tensor *in = made(t, TInput, "x", Float, 4, 1, z.c, z.h, z.w), *f = made(t, TParam, "weight", Float, 4, z.o, z.c, z.p, z.q);
    Tensor *sum = made(t, TTemp, "conv", Float, 4, 1, z.o, oh, ow), *out = made(t, TTemp, "y", Float, 4, 1, z.o, oh, ow);
    Tensor *bias = made(t, TParam, "bias", Float, 1, z.o);
    Term *h = two(t, FnAdd, two(t, FnMul, run(t, y), whole(t, z.stride)), two(t, FnSub, run(t, p), whole(t, z.pad)));
    Term *w = two(t, FnAdd, two(t, FnMul, run(t, x), whole(t, z.stride)), two(t, FnSub, run(t, q), whole(t, z.pad)));
    Term *body = two(t, FnMul, at(t, in, 4, run(t, n), run(t, k), h, w), at(t, f, 4, run(t, o), run(t, k), run(t, p), run(t, q)));
    Spec s = { .axis = { group(t, 1, n), group(t, 1, o), group(t, 1, y), group(t, 1, x) }, .bind = { k, p, q }, .reduce = RSum, .op = "conv", .body = body };
    if (z.pad) {
        s.cond[0] = two(t, FnAnd, two(t, FnGe, h, whole(t, 0)), two(t, FnLt, h, whole(t, z.h)));
        s.cond[1] = two(t, FnGe, w, whole(t, 0));
        s.cond[2] = two(t, FnLt, w, whole(t, z.w));
    }
    if (!epilogue) {
        bunch(t, 0, NULL, 1, node(t, sum, s));
        output(t, sum);
        return;
    }
    Node *a = node(t, sum, s);
    Index *n2 = ix(t, "n", 1), *o2 = ix(t, "o", z.o), *y2 = ix(t, "y", oh), *x2 = ix(t, "z", ow);
    Term *sm = two(t, FnAdd, at(t, sum, 4, run(t, n2), run(t, o2), run(t, y2), run(t, x2)), at(t, bias, 1, run(t, o2)));
    Node *b = node(t, out, (Spec){ .axis = { group(t, 1, n2), group(t, 1, o2), group(t, 1, y2), group(t, 1, x2) }, .op = "relu",
                                   .body = term_apply2(c, FnMax, Float, sm, num(t, 0)) });
    bunch(t, 0, NULL, 2, a, b);
    output(t, out);
}

static void build_conv_padded(Test *t) { build_conv(t, (ConvSize){ 3, 5, 9, 13, 3, 3, 1, 1 }, true); }
static void build_conv_plain(Test *t)  { build_conv(t, (ConvSize){ 2, 3, 8, 22, 3, 5, 1, 0 }, false); }
static void build_conv_stride(Test *t) { build_conv(t, (ConvSize){ 2, 4, 9, 18, 3, 3, 2, 1 }, true); }
static void build_conv_wide(Test *t)   { build_conv(t, (ConvSize){ 2, 2, 3, 4, 5, 7, 1, 3 }, true); }
static void build_conv_1x1(Test *t)    { build_conv(t, (ConvSize){ 16, 4, 4, 9, 1, 1, 1, 0 }, true); }

static void convolutions_keep_their_meaning(void **state) {
    (void)state;
    both(build_conv_padded);
    both(build_conv_plain);
    both(build_conv_stride);
    both(build_conv_wide);
    both(build_conv_1x1);
}

static void a_conv_with_epilogue_has_one_store(void **state) {
    (void)state;
    Test *t = new_test();
    build_conv_padded(t);
    lower_it(t);
    Kernel *k = t->code->kernel.at[0];
    assert_string_equal(k->name, "conv_relu_5x9x13_k3x3x3");
    assert_int_equal(count_loops(k->body, LStore), 1);
    assert_int_equal(count_loops(k->body, LIf), 0);
    assert_int_equal(count_loops(k->body, LFor), 6);
}

static void build_linear(Test *t, int rows, int k, int j, bool epilogue) {
    Index *r = ix(t, "t", rows), *o = ix(t, "j", j), *i = ix(t, "k", k), *o2 = ix(t, "j", j), *r2 = ix(t, "t", rows);
    Tensor *x = made(t, TInput, "x", Float, 2, rows, k), *w = made(t, TParam, "weight", Float, 2, j, k);
    Tensor *y = made(t, TTemp, "y", Float, 2, rows, j), *z = made(t, TTemp, "z", Float, 2, rows, j);
    Node *a = node(t, y, (Spec){ .axis = { group(t, 1, r), group(t, 1, o) }, .bind = { i }, .reduce = RSum, .op = "matmul",
                                 .body = two(t, FnMul, at(t, x, 2, run(t, r), run(t, i)), at(t, w, 2, run(t, o), run(t, i))) });
    if (!epilogue) {
        bunch(t, 0, NULL, 1, a);
        output(t, y);
        return;
    }
    Node *b = node(t, z, (Spec){ .axis = { group(t, 1, r2), group(t, 1, o2) }, .op = "add",
                                 .body = two(t, FnAdd, at(t, y, 2, run(t, r2), run(t, o2)), at(t, x, 2, run(t, r2), whole(t, 0))) });
    bunch(t, 0, NULL, 2, a, b);
    output(t, z);
}

static void build_linear_64(Test *t) { build_linear(t, 1, 64, 10, true); }
static void build_linear_20(Test *t) { build_linear(t, 3, 20, 7, true); }
static void build_linear_7(Test *t)  { build_linear(t, 3, 7, 7, false); }
static void build_linear_3(Test *t)  { build_linear(t, 2, 3, 17, false); }

static void linears_keep_their_meaning(void **state) {
    (void)state;
    both(build_linear_64);
    both(build_linear_20);
    both(build_linear_7);
    both(build_linear_3);
}

static void build_matmul(Test *t) {
    Index *i = ix(t, "i", 5), *j = ix(t, "j", 21), *k = ix(t, "k", 9);
    Tensor *a = made(t, TInput, "a", Float, 2, 5, 9), *b = made(t, TInput, "b", Float, 2, 9, 21), *y = made(t, TTemp, "y", Float, 2, 5, 21);
    bunch(t, 0, NULL, 1, node(t, y, (Spec){ .axis = { group(t, 1, i), group(t, 1, j) }, .bind = { k }, .reduce = RSum, .op = "matmul",
          .body = two(t, FnMul, at(t, a, 2, run(t, i), run(t, k)), at(t, b, 2, run(t, k), run(t, j))) }));
    output(t, y);
}

static void a_matmul_keeps_its_meaning(void **state) {
    (void)state;
    both(build_matmul);
}

/* One query against a cache, causal, with an offset that is known at run time; heads in groups. */
static void build_attention(Test *t) {
    Ctx *c = t->c;
    int H = 2, G = 2, T = 3, S = 7, D = 16;
    Index *h = ix(t, "h", H), *g = ix(t, "g", G), *q = ix(t, "t", T), *s[4], *d[3];
    for (int i = 0; i < 4; i++)
        s[i] = ix(t, "s", S);
    for (int i = 0; i < 3; i++)
        d[i] = ix(t, "d", D);
    Tensor *Q = made(t, TInput, "q", Float, 3, H * G, T, D), *K = made(t, TState, "k_cache", Float, 3, H, S, D), *V = made(t, TState, "v_cache", Float, 3, H, S, D);
    Tensor *pos = made(t, TInput, "pos", I32, 0);
    *data_of(t, pos) = 2;
    Tensor *a = made(t, TTemp, "a", Float, 4, H, G, T, S), *m = made(t, TTemp, "m", Float, 3, H, G, T), *p = made(t, TTemp, "p", Float, 4, H, G, T, S);
    Tensor *o = made(t, TTemp, "o", Float, 4, H, G, T, D), *l = made(t, TTemp, "l", Float, 3, H, G, T), *y = made(t, TTemp, "y", Float, 3, H * G, T, D);
    Term *head = two(t, FnAdd, two(t, FnMul, run(t, h), whole(t, G)), run(t, g)), *row[4], *limit[4];
    for (int i = 0; i < 4; i++) {
        row[i] = run(t, s[i]);
        limit[i] = two(t, FnLe, row[i], two(t, FnAdd, run(t, q), at(t, pos, 0)));
    }
    Axis ah = group(t, 1, h), ag = group(t, 1, g), at_ = group(t, 1, q);
    Node *n[6];
    n[0] = node(t, a, (Spec){ .axis = { ah, ag, at_, group(t, 1, s[0]) }, .bind = { d[0] }, .reduce = RSum, .op = "attention",
        .body = two(t, FnMul, at(t, Q, 3, head, run(t, q), run(t, d[0])), at(t, K, 3, run(t, h), row[0], run(t, d[0]))) });
    n[1] = node(t, m, (Spec){ .axis = { ah, ag, at_ }, .bind = { s[1] }, .reduce = RMax, .op = "attention", .cond = { limit[1] },
        .body = two(t, FnMul, num(t, 0.25), at(t, a, 4, run(t, h), run(t, g), run(t, q), row[1])) });
    Term *e = two(t, FnSub, two(t, FnMul, num(t, 0.25), at(t, a, 4, run(t, h), run(t, g), run(t, q), row[2])), at(t, m, 3, run(t, h), run(t, g), run(t, q)));
    n[2] = node(t, p, (Spec){ .axis = { ah, ag, at_, group(t, 1, s[2]) }, .op = "attention", .cond = { limit[2] },
        .body = term_apply(c, fn_extern(c, name(c, "exp"), "exp", 1), Float, &e) });
    n[3] = node(t, o, (Spec){ .axis = { ah, ag, at_, group(t, 1, d[1]) }, .bind = { s[3] }, .reduce = RSum, .op = "attention", .cond = { limit[3] },
        .body = two(t, FnMul, at(t, p, 4, run(t, h), run(t, g), run(t, q), row[3]), at(t, V, 3, run(t, h), row[3], run(t, d[1]))) });
    Index *s5 = ix(t, "s", S);
    n[4] = node(t, l, (Spec){ .axis = { ah, ag, at_ }, .bind = { s5 }, .reduce = RSum, .op = "attention",
        .cond = { two(t, FnLe, run(t, s5), two(t, FnAdd, run(t, q), at(t, pos, 0))) },
        .body = at(t, p, 4, run(t, h), run(t, g), run(t, q), run(t, s5)) });
    n[5] = node(t, y, (Spec){ .axis = { group(t, 2, h, g), at_, group(t, 1, d[2]) }, .op = "attention",
        .body = two(t, FnDiv, at(t, o, 4, run(t, h), run(t, g), run(t, q), run(t, d[2])), at(t, l, 3, run(t, h), run(t, g), run(t, q))) });
    Index **outer = NEWN(c, Index *, 3);
    outer[0] = h, outer[1] = g, outer[2] = q;
    bunch(t, 3, outer, 6, n[0], n[1], n[2], n[3], n[4], n[5]);
    output(t, y);
}

static void attention_keeps_its_meaning(void **state) {
    (void)state;
    both(build_attention);
}

/* y[h] = sum(z, p, z * 2 + p == h: x[z] * f[p]): the equation leaves one turn of p, and bounds z */
static void build_transposed(Test *t) {
    Index *h = ix(t, "h", 13), *z = ix(t, "z", 6), *p = ix(t, "p", 3);
    Tensor *x = made(t, TInput, "x", Float, 1, 6), *f = made(t, TParam, "f", Float, 1, 3), *y = made(t, TTemp, "y", Float, 1, 13);
    Term *at_ = two(t, FnAdd, two(t, FnMul, run(t, z), whole(t, 2)), run(t, p));
    bunch(t, 0, NULL, 1, node(t, y, (Spec){ .axis = { group(t, 1, h) }, .bind = { z, p }, .reduce = RSum, .op = "up",
          .cond = { two(t, FnEq, at_, run(t, h)) }, .body = two(t, FnMul, at(t, x, 1, run(t, z)), at(t, f, 1, run(t, p))) }));
    output(t, y);
}

static void build_scatter(Test *t) {
    Index *v = ix(t, "v", 5), *k = ix(t, "k", 30);
    Tensor *id = made(t, TInput, "id", I32, 1, 30), *u = made(t, TInput, "u", Float, 1, 30), *y = made(t, TTemp, "y", Float, 1, 5);
    bunch(t, 0, NULL, 1, node(t, y, (Spec){ .axis = { group(t, 1, v) }, .bind = { k }, .reduce = RSum, .op = "scatter",
          .cond = { two(t, FnEq, at(t, id, 1, run(t, k)), run(t, v)) }, .body = at(t, u, 1, run(t, k)) }));
    output(t, y);
}

static void build_cumulative(Test *t) {
    Index *i = ix(t, "i", 40), *k = ix(t, "k", 40);
    Tensor *x = made(t, TInput, "x", Float, 1, 40), *y = made(t, TTemp, "y", Float, 1, 40);
    bunch(t, 0, NULL, 1, node(t, y, (Spec){ .axis = { group(t, 1, i) }, .bind = { k }, .reduce = RSum, .op = "cumsum",
          .cond = { two(t, FnLe, run(t, k), run(t, i)) }, .body = at(t, x, 1, run(t, k)) }));
    output(t, y);
}

static void conditions_keep_their_meaning(void **state) {
    (void)state;
    both(build_transposed);
    both(build_scatter);
    both(build_cumulative);
}

static void a_solved_condition_leaves_no_if(void **state) {
    (void)state;
    Test *t = new_test();
    build_transposed(t);
    lower_it(t);
    assert_int_equal(count_loops(t->code->kernel.at[0]->body, LIf), 0);
    t = new_test();
    build_scatter(t);
    lower_it(t);
    assert_int_equal(count_loops(t->code->kernel.at[0]->body, LIf), 1);
}

static void build_argmax(Test *t) {
    Index *n = ix(t, "n", 6), *a = ix(t, "a", 3), *b = ix(t, "b", 7);
    Tensor *x = made(t, TInput, "x", Float, 3, 6, 3, 7), *y = made(t, TTemp, "y", I32, 1, 6);
    double *d = data_of(t, x);
    d[10] = d[12] = NAN, d[25] = d[30] = 99;
    bunch(t, 0, NULL, 1, node(t, y, (Spec){ .axis = { group(t, 1, n) }, .bind = { a, b }, .reduce = RArgMax, .op = "argmax",
          .body = at(t, x, 3, run(t, n), run(t, a), run(t, b)) }));
    output(t, y);
}

static void build_nothing(Test *t) {
    Index *n = ix(t, "n", 3), *k = ix(t, "k", 0);
    Tensor *x = made(t, TInput, "x", Float, 2, 3, 0), *y = made(t, TTemp, "y", Float, 1, 3);
    bunch(t, 0, NULL, 1, node(t, y, (Spec){ .axis = { group(t, 1, n) }, .bind = { k }, .reduce = RMax, .op = "max",
          .body = at(t, x, 2, run(t, n), run(t, k)) }));
    output(t, y);
}

/* A mean over a short contiguous row under another loop: lanes over both, and what is left of the row. */
static void build_mean(Test *t) {
    Index *n = ix(t, "n", 3), *a = ix(t, "a", 5), *b = ix(t, "b", 7);
    Tensor *x = made(t, TInput, "x", Float, 3, 3, 5, 7), *y = made(t, TTemp, "y", Float, 1, 3);
    bunch(t, 0, NULL, 1, node(t, y, (Spec){ .axis = { group(t, 1, n) }, .bind = { a, b }, .reduce = RSum, .op = "mean",
          .body = at(t, x, 3, run(t, n), run(t, a), run(t, b)) }));
    output(t, y);
}

/* Part of a state, at a position that is known at run time; two heads share an axis of what is written there. */
static void build_write(Test *t) {
    Index *h = ix(t, "h", 2), *i = ix(t, "t", 3), *d = ix(t, "d", 4);
    Tensor *s0 = made(t, TState, "cache", Float, 3, 2, 8, 4), *s1 = made(t, TState, "cache", Float, 3, 2, 8, 4);
    Tensor *x = made(t, TInput, "x", Float, 2, 3, 8), *pos = made(t, TInput, "pos", I32, 0);
    s1->before = s0;
    *data_of(t, pos) = 4;
    Node *n = node(t, s1, (Spec){ .axis = { group(t, 1, h), group(t, 1, i), group(t, 1, d) }, .op = "write",
        .body = at(t, x, 2, run(t, i), two(t, FnAdd, two(t, FnMul, run(t, h), whole(t, 4)), run(t, d))) });
    n->at = NEWN(t->c, Term *, 3);
    n->at[0] = run(t, h), n->at[1] = two(t, FnAdd, run(t, i), at(t, pos, 0)), n->at[2] = run(t, d);
    bunch(t, 0, NULL, 1, n);
}

static void other_reductions_and_writes_keep_their_meaning(void **state) {
    (void)state;
    both(build_argmax);
    both(build_nothing);
    both(build_mean);
    both(build_write);
}

static void a_state_is_one_formal_read_and_written(void **state) {
    (void)state;
    Test *t = new_test();
    build_write(t);
    lower_it(t);
    Kernel *k = t->code->kernel.at[0];
    assert_int_equal(k->formal.n, 3);
    assert_int_equal(kernel_role(k, 0), RoleIn);
    assert_int_equal(kernel_role(k, 1), RoleValue);
    assert_int_equal(kernel_role(k, 2), RoleInOut);
    assert_string_equal(k->formal.at[2]->name, "cache");
}

static void negate(Test *t, const char *from, const char *to, const char *op, int n) {
    Index *i = ix(t, from, n);
    Tensor *x = made(t, TInput, from, Float, 1, n), *y = made(t, TTemp, to, Float, 1, n);
    bunch(t, 0, NULL, 1, node(t, y, (Spec){ .axis = { group(t, 1, i) }, .op = op, .body = term_apply1(t->c, FnNeg, Float, at(t, x, 1, run(t, i))) }));
    output(t, y);
}

static void equal_kernels_are_one_whatever_the_names(void **state) {
    (void)state;
    Test *t = new_test();
    negate(t, "a", "b", "neg", 9);
    negate(t, "for", "b2", "flip", 9);
    negate(t, "x_", "b3", "neg", 8);
    lower_it(t);
    assert_int_equal(t->code->kernel.n, 2);
    assert_int_equal(t->code->routine[0]->step.n, 3);
    assert_ptr_equal(t->code->routine[0]->step.at[0].kernel, t->code->routine[0]->step.at[1].kernel);
    assert_string_equal(t->code->kernel.at[0]->name, "neg_9");
    assert_string_equal(t->code->kernel.at[1]->name, "neg_8");
}

static void an_empty_result_has_no_kernel(void **state) {
    (void)state;
    Test *t = new_test();
    negate(t, "a", "b", "neg", 0);
    lower_it(t);
    assert_int_equal(t->code->kernel.n, 0);
    assert_int_equal(t->code->routine[0]->step.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_keep_their_meaning),
        cmocka_unit_test(a_solved_condition_leaves_no_if),
        cmocka_unit_test(other_reductions_and_writes_keep_their_meaning),
        cmocka_unit_test(a_state_is_one_formal_read_and_written),
        cmocka_unit_test(equal_kernels_are_one_whatever_the_names),
        cmocka_unit_test(an_empty_result_has_no_kernel),
        cmocka_unit_test(softmax_is_three_loops),
        cmocka_unit_test(convolutions_keep_their_meaning),
        cmocka_unit_test(a_conv_with_epilogue_has_one_store),
        cmocka_unit_test(linears_keep_their_meaning),
        cmocka_unit_test(a_matmul_keeps_its_meaning),
        cmocka_unit_test(attention_keeps_its_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
