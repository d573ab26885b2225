/* loops.h: what the makers of loops share: linear.c, loops.c, merge.c, kernel.c, lower.c, schedule.c. */
#ifndef LOOPS_H
#define LOOPS_H

#include "codegen.h"

/* linear.c: an integer term as a sum of multiples of atoms (indices, loads, quotients) and a size. */
enum { LinearMax = 24 };
typedef struct Linear { Term *atom[LinearMax]; int64_t coef[LinearMax]; int n; Dim base; } Linear;
void    linear(Ctx *c, Term *t, Linear *out);
void    linear_add(Ctx *c, Linear *to, const Linear *l, int64_t times);
bool    linear_take(Linear *l, Term *atom, int64_t *coef);    /* removes the atom; false: it is not there */
Term   *linear_term(Ctx *c, const Linear *l);                 /* in one form: equal sums are one pointer */
Term   *tidy(Ctx *c, Term *t);
int64_t stride_in(Ctx *c, Term *t, Index *i, bool *known);    /* by how much t grows with i */
bool    always_below(Ctx *c, Term *t, Dim size);              /* t < size, proved */
bool    never_negative(Ctx *c, Term *t);
bool    reads_data(const Term *t);                            /* what may leave the range of int */

/* loops.c: makers, and walks over loop trees. */
Loop   *loop_for(Ctx *c, Index *i, Term *lo, Term *hi);
Loop   *loop_let(Ctx *c, Tensor *local, Term *value);
Loop   *loop_store(Ctx *c, Tensor *to, Term **at, int nat, Term *value);
Loop   *loop_accum(Ctx *c, Tensor *to, Term **at, int nat, Reduce r, Term *value);
Loop   *loop_if(Ctx *c, Term *cond);
void    loop_insert(Ctx *c, Loop *in, int at, Loop *kid);
Loop   *loop_remove(Loop *in, int at);
Loop   *loop_copy(Ctx *c, const Loop *l);                     /* deep; terms, indices and tensors are shared */
Tensor *local_new(Ctx *c, const char *name, Elem e);
Term   *load_local(Ctx *c, Tensor *t);
bool    is_size(const Term *t, Dim size);

typedef Term *Leaf(Ctx *c, Term *t, void *with);
void    loop_map(Ctx *c, Loop *l, Leaf *leaf, void *with);    /* rewrites every term in place */
void    loop_replace_index(Ctx *c, Loop *l, Index *i, Term *by);
void    loop_replace_local(Ctx *c, Loop *l, const Tensor *from, Term *load);      /* by an element of another */
void    loop_refresh(Ctx *c, Loop *l);                        /* of a copy: indices and locals of its own */
typedef void Visit(void *with, Tensor *t, Term *const *at, int nat, bool write);
void    loop_accesses(const Loop *l, Visit *visit, void *with);      /* in order of the text */
void    term_accesses(const Term *t, Visit *visit, void *with);
bool    is_written(const Loop *l, const Tensor *t);
Tensor *storage_of(const Tensor *t);                          /* of a state: version 0 */

/* nest.c: one node as loops over fresh indices, still over the graph's tensors. */
typedef struct Outer { Index **index; Term **by; int n; } Outer;      /* the loops already open, and what stands for them */
bool    node_empty(const Node *n);          /* its result has no elements */
void    nest(Ctx *c, const Node *n, const Outer *o, Loop *in);
Term   *index_fresh(Ctx *c, Index *i);      /* a new index of that size, or 0 if it runs once */

/* merge.c */
void    loops_merge(Ctx *c, Loop *seq);     /* loops over the same range become one where nothing forbids it */

/* prune.c */
void    loops_prune(Ctx *c, Loop *body);                      /* what does nothing goes; a loop of one turn is its body */
void    kernel_drop_idle(Code *code, Kernel *k);              /* parameters that nothing reads or writes any more */

/* kernel.c */
typedef struct Origin { const Graph *graph; const Bunch *bunch; Loop *body; } Origin;
Kernel *kernel_make(Ctx *c, const Origin *o, Tensor ***arg);  /* formals, sizes, key, cost; the tensors they stand for */
void    kernel_title(Ctx *c, Kernel *k, const Bunch *b);       /* heading and name, for the first of equal ones */
void    kernel_outer(Ctx *c, Kernel *k);                      /* after its loops were set */

/* lanes.c: two forms in which a C compiler finds vector instructions. */
bool    lanes_dot(Ctx *c, Loop *seq, int at);                 /* a sum along contiguous operands, in partial sums */
bool    lanes_row(Ctx *c, Loop *seq, int at);                 /* a row of results at a time */
bool    row_fits(Ctx *c, Loop *l);

/* bounds.c */
void    name_bounds(Ctx *c, Loop *body);                      /* bounds and clamps become locals, once a scope */

/* jam.c */
bool    jam(Ctx *c, Loop *l);                                 /* several turns of an outer loop side by side */

/* naming.c */
void    kernel_word(Ctx *c, Kernel *k, const Bunch *b);        /* "conv_relu_16x32x32_k3x3x3" */
const Node *main_node(Ctx *c, const Bunch *b);                /* its heaviest reduction, or its last node */
void    kernel_names(Ctx *c, Code *code);                     /* once all kernels are known: no two alike */
void    kernel_tidy_names(Ctx *c, Kernel *k);                 /* formals, locals, indices: unique and legal C */
bool    c_is_free(const char *s);                             /* may a size be called so? */
Name    c_word(Ctx *c, const char *s);                        /* the letters, digits and _ of it; never empty */

#endif
