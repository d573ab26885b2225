/* fuse.h: between fuse.c and the files that help it. */
#ifndef FUSE_H
#define FUSE_H

#include "../compiler/simplify.h"
#include "codegen.h"

/* fuse_inline.c: cheap nodes into their readers, as far as the cost model says. Changes g's nodes. */
void fuse_inline(Ctx *c, Graph *g);

/* fuse_join.c: nodes into clusters. */
typedef struct Cluster {
    VEC(Node *) node;
    int order;                          /* what runs earlier has a smaller one */
    int nouter;                         /* how many loops its nodes share */
    bool contracts, reduces;
    bool needed;                        /* another cluster must run after it */
} Cluster;

typedef struct Clusters { VEC(Cluster *) cluster; Map of; } Clusters;   /* of: Tensor → the cluster that makes it */
Clusters *fuse_join(Ctx *c, const Graph *g, const Uses *u);             /* in the order in which they run */

/* For how many indices from the first does `load`, in n, read p at n's own? 0 where p writes a part of a state. */
int aligned(Ctx *c, const Node *n, const Node *p, const Term *load);

#endif
