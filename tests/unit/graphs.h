/* graphs.h: small graphs made by hand, for the tests of simplify and fuse. */
#ifndef GRAPHS_H
#define GRAPHS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../../codegen/codegen.h"

#include <cmocka.h>

typedef struct Maker {
    Ctx *c;
    Program *p;
    Graph *g;
    Call *call;                         /* of the nodes made from here on */
} Maker;

static inline Maker maker(void)
{
    Ctx *c = calloc(1, sizeof *c);
    Maker m = {.c = c, .p = NEW(c, Program), .g = NEW(c, Graph)};
    c->opt.precision = F32;
    m.p->name = name(c, "test");
    m.p->graph = NEWN(c, Graph *, 4);
    m.p->graph[m.p->n++] = m.g;
    return m;
}

static inline void apply_op(Maker *m, const char *op)
{
    m->call = NEW(m->c, Call);
    *m->call = (Call){.op = name(m->c, "%s", op), .line = op, .path = name(m->c, "%s", ""), .id = m->c->next_call++};
}

static inline Index *ix(Maker *m, const char *nm, int n) { return index_new(m->c, name(m->c, "%s", nm), dim(m->c, n)); }

static inline Term *of(Maker *m, Index *i) { return term_index(m->c, i); }

static inline Term *whole(Maker *m, int v) { return term_number(m->c, I32, v); }

static inline Term *real(Maker *m, double v) { return term_number(m->c, Float, v); }

static inline Term *two(Maker *m, FnId f, Term *a, Term *b)
{
    bool compares = f >= FnEq && f <= FnGe;
    return term_apply2(m->c, f, compares ? Bool : a->elem, a, b);
}

static inline Term *call1(Maker *m, const char *word, Term *a)
{
    return term_apply(m->c, fn_extern(m->c, name(m->c, "%s", word), word, 1), a->elem, &a);
}

static inline Term *choose(Maker *m, Term *cond, Term *a, Term *b)
{
    Term *arg[3] = {cond, a, b};
    return term_apply(m->c, fn(FnWhere), a->elem, arg);
}

/* Sizes end with -1. */
static inline Tensor *make_tensor(Maker *m, TensorKind k, const char *nm, Elem e, va_list sizes)
{
    Type t = {.elem = e};
    for (int n = va_arg(sizes, int); n >= 0; n = va_arg(sizes, int))
        t.dim[t.rank++] = dim(m->c, n);
    return tensor(m->c, k, name(m->c, "%s", nm), name(m->c, "%s", nm), &t, (Span){0});
}

static inline Tensor *input(Maker *m, const char *nm, Elem e, ...)
{
    va_list sizes;
    va_start(sizes, e);
    Tensor *t = make_tensor(m, TInput, nm, e, sizes);
    va_end(sizes);
    push(m->c, &m->g->input, ((Terminal){.name = t->name, .tensor = t}));
    return t;
}

static inline Tensor *weight(Maker *m, const char *nm, ...)
{
    va_list sizes;
    va_start(sizes, nm);
    Tensor *t = make_tensor(m, TParam, nm, Float, sizes);
    va_end(sizes);
    push(m->c, &m->p->param, t);
    return t;
}

static inline Tensor *state(Maker *m, const char *nm, ...)
{
    va_list sizes;
    va_start(sizes, nm);
    Tensor *t = make_tensor(m, TState, nm, Float, sizes);
    va_end(sizes);
    push(m->c, &m->p->state, t);
    return t;
}

/* Positions end with NULL. */
static inline Term *read_at(Maker *m, Tensor *t, ...)
{
    Term *at[MaxRank];
    va_list kids;
    int n = 0;
    va_start(kids, t);
    for (Term *k = va_arg(kids, Term *); k; k = va_arg(kids, Term *))
        at[n++] = k;
    va_end(kids);
    return term_load(m->c, t, at, n, NULL, t->name);
}

static inline Term *guarded(Maker *m, Term *load, double v)
{
    return term_load(m->c, load->from, load->kid, load->n, real(m, v), load->as);
}

/* One index an axis; ends with NULL. */
static inline Node *make_node(Maker *m, const char *nm, Term *body, ...)
{
    Type t = {.elem = body->elem};
    Axis axis[MaxRank];
    va_list list;
    va_start(list, body);
    for (Index *i = va_arg(list, Index *); i; i = va_arg(list, Index *)) {
        axis[t.rank] = (Axis){NEWN(m->c, Index *, 1), 1};
        axis[t.rank].index[0] = i;
        t.dim[t.rank++] = i->size;
    }
    va_end(list);
    Node *n = node_new(m->c, m->g, tensor(m->c, TTemp, name(m->c, "%s", nm), name(m->c, "%s", nm), &t, (Span){0}));
    n->axis = NEWN(m->c, Axis, t.rank + 1);
    n->naxis = t.rank;
    memcpy(n->axis, axis, sizeof *axis * (size_t)t.rank);
    n->body = body;
    n->call = m->call;
    return n;
}

/* The reduction's indices; ends with NULL. */
static inline Tensor *reduce(Maker *m, Node *n, Reduce r, ...)
{
    va_list list;
    n->reduce = r;
    n->bind = NEWN(m->c, Index *, MaxRank);
    va_start(list, r);
    for (Index *i = va_arg(list, Index *); i; i = va_arg(list, Index *))
        n->bind[n->nbind++] = i;
    va_end(list);
    return n->out;
}

/* s[at] <- body: n becomes the node that writes a new version of s. */
static inline Tensor *write_state(Maker *m, Node *n, Tensor *s, ...)
{
    va_list list;
    n->out->kind = TState;
    n->out->before = s;
    n->out->type = s->type;
    n->out->name = n->out->path = s->name;
    n->at = NEWN(m->c, Term *, MaxRank);
    va_start(list, s);
    int k = 0;
    for (Term *t = va_arg(list, Term *); t; t = va_arg(list, Term *))
        n->at[k++] = t;
    va_end(list);
    return n->out;
}

static inline Tensor *output(Maker *m, Tensor *t)
{
    push(m->c, &m->g->output, ((Terminal){.name = t->name, .tensor = t}));
    return t;
}

static inline int64_t count_of(const Tensor *t)
{
    int64_t n = 1, d;
    for (int i = 0; i < t->type.rank; i++) {
        dim_number(t->type.dim[i], &d);
        n *= d;
    }
    return n;
}

static inline void *noise(Maker *m, const Tensor *t, uint32_t seed)
{
    int64_t n = count_of(t);
    float *f = NEWN(m->c, float, n + 1);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        if (t->type.elem == I32)
            ((int32_t *)(void *)f)[i] = (int32_t)(seed >> 20) % 3;
        else
            f[i] = (float)(int)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return f;
}

static inline void load_weights(Maker *m)
{
    for (int i = 0; i < m->p->param.n; i++)
        m->p->param.at[i]->data = noise(m, m->p->param.at[i], 77u + (uint32_t)i);
}

/* Values of all the graph computes, from the same noise each time. */
static inline Map values(Maker *m)
{
    Map env = {0};
    for (int i = 0; i < m->g->input.n; i++)
        map_put(m->c, &env, m->g->input.at[i].tensor, noise(m, m->g->input.at[i].tensor, 5u + (uint32_t)i));
    for (int i = 0; i < m->p->state.n; i++)
        map_put(m->c, &env, m->p->state.at[i], noise(m, m->p->state.at[i], 900u + (uint32_t)i));
    for (int i = 0; i < m->p->param.n; i++)
        if (!m->p->param.at[i]->data)
            map_put(m->c, &env, m->p->param.at[i], noise(m, m->p->param.at[i], 300u + (uint32_t)i));
    assert_true(eval(m->c, m->g, &env, NULL));
    return env;
}

static inline void assert_close(const Tensor *t, const Map *a, const Map *b)
{
    const float *x = map_get(a, t), *y = map_get(b, t);
    assert_non_null(x);
    assert_non_null(y);
    for (int64_t i = 0; i < count_of(t); i++)
        assert_float_equal(x[i], y[i], 1e-4f);
}

/* simplify, and the outputs are what they were. */
static inline void simplified(Maker *m)
{
    Map before = values(m);
    simplify(m->c, m->p);
    Map after = values(m);
    for (int i = 0; i < m->g->output.n; i++)
        assert_close(m->g->output.at[i].tensor, &before, &after);
}

/* The bunches, copied back as one graph, compute the same outputs. */
static inline Bunches *fused(Maker *m)
{
    Map before = values(m);
    Bunches *b = fuse(m->c, m->g);
    Graph old = *m->g;
    m->g->node.n = m->g->node.cap = 0;
    m->g->node.at = NULL;
    for (int i = 0; i < b->bunch.n; i++)
        for (int k = 0; k < b->bunch.at[i]->node.n; k++)
            push(m->c, &m->g->node, b->bunch.at[i]->node.at[k]);
    Map after = values(m);
    *m->g = old;
    for (int i = 0; i < m->g->output.n; i++)
        assert_close(m->g->output.at[i].tensor, &before, &after);
    return b;
}

#endif
