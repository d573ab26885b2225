/* eval_strip.h: what the files of the evaluator share: one node, as loops, operations and strips. */
#ifndef EVAL_STRIP_H
#define EVAL_STRIP_H

#include "compiler.h"

enum { Strip = 256, MaxLoops = 40 };
static const int64_t eval_most_bytes = (int64_t)1 << 40;

typedef struct EvalLoop { const Index *index; int64_t n, at; } EvalLoop;

typedef struct EvalPart { int loop; int64_t by; } EvalPart;
typedef struct EvalSum {                /* base + sum of by * loop */
    int64_t base, along;                /* along: from one lane of the strip to the next */
    EvalPart *part; int n;
} EvalSum;

typedef struct EvalLoad {
    const char *data;
    Elem elem;
    int rank;
    int64_t dim[MaxRank], stride[MaxRank];
    bool affine, checked[MaxRank];      /* checked: might lie outside along this axis */
    EvalSum position[MaxRank], offset;  /* affine: along each axis, and in the memory */
    int pos[MaxRank];                   /* not affine: operations that give the positions */
    int outside;                        /* operation, or -1 */
} EvalLoad;

typedef struct EvalOp {                 /* one operation */
    const Term *term;
    bool uniform;                       /* the same all along the strip: one value */
    int kid[3];
    Elem of;                            /* type computed in */
    EvalLoad *load;
    double *v;
} EvalOp;

typedef struct Eval {
    Ctx *c;
    const Graph *g;
    const int64_t *size;
    Map *env;
    const Node *node;
    EvalLoop loop[MaxLoops];
    int nresult, nloop, strip;          /* the result's loops, then those of the reduction; strip: -1 is none */
    VEC(EvalOp) op;
    VEC(EvalSum) bound;                 /* conditions that say: this is not negative */
    VEC(int) cond;                      /* the other conditions: operations, all below ncond_ops */
    int ncond_ops;
    int body;
    Map op_of;                          /* Term → its operation + 1 */
    double *memory;
    double acc[Strip], best[Strip];
    bool seen[Strip], mask[Strip];
    int first;                          /* the strip's lane 0 is this one of acc */
    /* the result */
    char *out;
    Elem out_elem;
    int64_t out_dim[MaxRank], out_stride[MaxRank];
    int at[MaxRank];                    /* operations for node->at */
    void *copy;                         /* what is overwritten while it is read */
} Eval;

/* ---- eval.c */

int64_t eval_times(int64_t a, int64_t b);                 /* saturates */
int64_t eval_size(const Eval *r, Dim d);
/* Dense strides; the count of elements, or -1 when that is more than any machine has. */
int64_t eval_shape(const Eval *r, const Type *t, int64_t *dims, int64_t *stride);
Tensor *eval_base(Tensor *t);                             /* the first version of a state; else itself */

/* ---- eval_ops.c */

void eval_make_ops(Eval *r);                              /* needs: loops. gives: operations, bounds, the strip */
void eval_ops(Eval *r, int from, int to, int n);          /* a strip of n lanes of each */
/* Offset in memory at lane 0, and the lanes of n that are inside. */
int64_t eval_lanes(const Eval *r, const EvalLoad *l, int n, int *lo, int *hi);

/* The lanes [lo, hi) of which base + step * lane lies in [0, size): cuts those given. */
void eval_clip(int64_t base, int64_t step, int64_t size, int *lo, int *hi);

static inline int64_t eval_sum(const Eval *r, const EvalSum *s) {
    int64_t v = s->base;
    for (int i = 0; i < s->n; i++)
        v += s->part[i].by * r->loop[s->part[i].loop].at;
    return v;
}

static inline double eval_lane(const Eval *r, int op, int i) {
    const EvalOp *o = &r->op.at[op];
    return o->v[o->uniform ? 0 : i];
}

/* ---- eval_reduce.c */

/* Moves the strip to the lanes that its bounds leave; false: none. */
bool eval_enter(Eval *r, int *n);
void eval_leave(Eval *r);
bool eval_mask(Eval *r, int n);         /* sets mask by the other conditions; is any lane left? */
/* The next values of loops [from, to) but the strip's; false: all were seen. */
bool eval_next(Eval *r, int from, int to);
double eval_nothing(Reduce k);                            /* of no terms */
void eval_reduce(Eval *r, int lanes);                     /* over the binders, into acc */

#endif
