/* simplify.h: what the files of simplify and fuse share: who reads what, views, conditions. */
#ifndef SIMPLIFY_H
#define SIMPLIFY_H

#include "compiler.h"

/* ---- uses.c: facts about one graph, made anew whenever it has changed ---------------------------- */

typedef VEC(const Term *) Loads;
typedef VEC(Term *) TermList;
typedef VEC(Index *) Indices;
/* A list that stays in the function: the arena is asked only when it grows beyond n. */
#define ON_STACK(T, n) {(T[n]){0}, 0, (n)}

typedef struct Use {                    /* of one tensor */
    Node *def;                          /* the node that makes it; NULL: it comes from outside the graph */
    int at;                             /* position of that node; -1 */
    int ends;                           /* position of the node that overwrites it; INT32_MAX */
    bool root;                          /* an output or the last version of a state: must be made */
    VEC(Node *) reader;                 /* each node once, in order */
} Use;
typedef struct Uses { Map of; const Graph *graph; } Uses;

Uses *graph_uses(Ctx *c, const Graph *g);
Use  *use_of(const Uses *u, const Tensor *t);            /* never NULL for what the graph reads or makes */
void  term_loads(Ctx *c, const Term *t, Loads *to);      /* each distinct load once, also those inside positions */
void  node_loads(Ctx *c, const Node *n, Loads *to);
void  node_axes(Ctx *c, const Node *n, Indices *to);     /* indices of the result in order, groups written out */
int   term_weight(const Term *t, int limit);             /* applications and loads as written out; stops at the limit */
bool  reads_from(const Term *t, const Tensor *from);
bool  term_from_indices(const Term *t);                  /* reads nothing, or rank-0 tensors only */
/* Every term of the node through `leaf` of term_map. true: something changed. */
bool  node_map(Ctx *c, Node *n, Term *(*leaf)(Ctx *, Term *, void *), void *with);
void  node_subst(Ctx *c, Node *n, Index *const *from, Term *const *to, int count);
/* A sum of a product of two operands along different result indices: what a library would call a matmul or a convolution. */
bool  node_contracts(Ctx *c, const Node *n);
int64_t bound_of(Ctx *c, Dim d);                         /* the largest value of a size, saturated at 2^40 */
double  node_turns(Ctx *c, const Node *n, bool bound_too);   /* elements of the result, times terms of the reduction */
/* How dear one evaluation is: 1 an application or a load after the first, 8 a call, a power, a division by a tensor. */
int   term_cost(const Term *t);
bool  term_calls(const Term *t);                         /* is there an expensive function in it? */
/* May what `p` reads be read by `r` instead, which stands later? No state may have been overwritten in between. */
bool  reads_may_move(Ctx *c, const Uses *u, const Node *p, const Node *r);
/* Does r, which overwrites a state, read the old version only at the element it is about to write? */
bool  reads_before_write(Ctx *c, const Node *r);

/* ---- views.c: reading through a node -------------------------------------------------------------- */

Term *position_of(Ctx *c, const Axis *a);                /* the position along an axis, from its indices */
/* to[k] is the value of the k-th index of p's result at the element `load` reads. */
void  load_indices(Ctx *c, const Node *p, const Term *load, Indices *from, TermList *to);
Term *load_through(Ctx *c, const Node *p, const Term *load);     /* p's body at the element `load` reads */
bool  is_view(const Node *n);                            /* one load, or index arithmetic: vanishes in its readers */
bool  is_guarded_view(const Node *n);                    /* a choice by index among loads and numbers */
bool  split_radix(Ctx *c, Node *n);                      /* an index read as v // k and v % k becomes two */
/* The indices that run along `position` of an axis of this size, as mixed radix that covers it exactly. */
bool  axis_of_position(Ctx *c, const Term *position, Dim size, Axis *a);

/* ---- outside.c: guards and conditions -------------------------------------------------------------- */

double reduce_neutral(Reduce r, bool *has);              /* what a reduction of no terms gives */
Term *in_range(Ctx *c, Term *position, Dim size);        /* true where 0 <= position < size; simplified as far as is known */
bool  guards_to_conditions(Ctx *c, Node *n);
bool  guards_to_readers(Ctx *c, Graph *g, const Uses *u);
void  narrow(Ctx *c, Graph *g);
Term *condition_split(Ctx *c, Term *cond, TermList *to);   /* `a and b` is two; what is known to hold is none */

/* ---- fold.c, scale.c: what is known when compiling --------------------------------------------------- */

typedef struct Keys Keys;               /* canonical indices, one for a place and a size: equal.c */
typedef struct Made { Tensor *tensor, *like; } Made;     /* a new parameter, and the one it is named after */

typedef struct Fold {
    Ctx *c; Program *program;
    Keys *keys;
    Map value;                          /* key of a node → the tensor that holds its value: one for all entries */
    Map fixed;                          /* states that nothing writes → themselves */
    VEC(Made) made;
    bool weights;                       /* were any loaded? */
} Fold;

Fold *fold_new(Ctx *c, Program *p);
bool  fold_graph(Fold *f, Graph *g);                     /* nodes of constants and weights become tensors */
bool  fold_scales(Fold *f);                              /* batch norm and the like go into the weights, over all entries */
void  fold_finish(Fold *f);                              /* names what was made; drops parameters nothing reads */
bool  fold_known(const Fold *f, const Term *t);          /* are all its loads of constants and weights? */
/* The value of out[axis] = t as a tensor; NULL if it cannot be had. */
Tensor *fold_term(Fold *f, const Graph *g, Term *t, Axis *axis, int naxis, const Type *type, Name name);

/* ---- equal.c ------------------------------------------------------------------------------------------ */

Keys *keys_new(Ctx *c);
uintptr_t node_hash(Ctx *c, const Node *n);              /* never 0 */
bool  node_same(Ctx *c, const Node *a, const Node *b);
Name  node_key(Ctx *c, Keys *k, const Node *n);          /* equal for nodes that are equal up to their indices' names */

#endif
