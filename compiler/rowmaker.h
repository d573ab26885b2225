/* rowmaker.h: what the makers of rows share (rule 73).
 * Private to rowmaker.c, rowreshape.c, rowjoin.c and rowwords.c. */
#ifndef ROWMAKER_H
#define ROWMAKER_H

#include "row.h"

typedef struct Make { /* one call of a maker */
    Ctx *c;
    Graph *g;
    Value *arg;
    int n;
    Span at;
    Name path, hint;
} Make;

/* rowmaker.c: arguments, and pieces of a row */
Value make_wrong(Make *m, Span at, const char *text);  /* a message; the value in error */
Index *make_loop(Make *m, int k, Dim size);  /* the k-th index, by letter */
void make_axis(Make *m, Axis *a, Index *i);  /* of one index */
Term *make_number(Make *m, double v);
Term *make_size(Make *m, Dim d);  /* a size as a term */
Value make_value(Make *m, const char *op, Axis *axis, int n, Term *body);  /* one node */
Term *make_load(Make *m, Tensor *t, Term **at);
bool make_has(Make *m, int k);  /* was it given? */
Tensor *make_tensor_arg(Make *m, int k);
int make_axis_arg(Make *m, int k, int rank, int otherwise);  /* -1: a message was given */
int make_sizes_arg(Make *m, int k, Dim *out);  /* how many; -1: a message was given */

/* rowreshape.c */
Value make_reshape(Make *m);
Value make_flatten(Make *m);
char *sizes_text(Ctx *c, const Dim *d, int n);  /* "[2, N]" */

/* rowjoin.c */
Value make_concat(Make *m);
Value make_stack(Make *m);
Value make_split(Make *m);
const char *make_ordinal(Ctx *c, int k);        /* "first" */

/* rowwords.c */
Value make_rearrange(Make *m);
Value make_einsum(Make *m);

#endif
