/* codegen.h: from the flat graph to the text of kernels. Knows no target by name.
 *
 *   fuse      flat graph  → groups of nodes, each to be one kernel
 *   lower     groups      → kernels (loop trees over formal tensors, shared by all equal ones) and the steps that call them
 *   schedule  loops       → loops in the order and form they shall run in
 *   plan      steps       → the offset of every temporary in the arena
 *   print     all of it   → files, through the target's words
 */
#ifndef CODEGEN_H
#define CODEGEN_H

#include "../compiler/compiler.h"

/* ---- fuse.c ------------------------------------------------------------------------------------- */

/* Nodes that become one kernel, in order. They share the loops over `outer`: the first nouter indices of
 * each node are, position by position, the same loops (after fuse renamed them to the same Index).
 * What only this group reads needs no buffer beyond one turn of the outer loops. */
typedef struct Bunch {
    VEC(Node *) node;
    Index **outer; int nouter;
} Bunch;
typedef struct Bunches { VEC(Bunch *) bunch; const Graph *graph; } Bunches;

/* needs: a simplified graph. gives: bunches in an order that keeps every read before the write that ends it. */
Bunches *fuse(Ctx *c, const Graph *g);
void     bunches_print(Ctx *c, const Bunches *b, FILE *to);

/* ---- loops: lower.c (with nest.c, merge.c, kernel.c, naming.c), schedule.c (with lanes.c, jam.c), plan.c ----
 * What those share with one another, and loops.c and linear.c, is in loops.h. */

/* Ten kinds, no more. Terms inside speak of tensors of kind TFormal (parameters of the kernel), TLocal
 * (a scalar variable: rank 0, or a small array of constant size) and TScratch (a row kept in the arena, a parameter too). */
typedef enum LoopKind {
    LSeq,           /* kid[0..n) */
    LFor,           /* for index in lo .. hi (exclusive): kid[0..n) */
    LLet,           /* a TLocal comes into being: `to` = value (value NULL: an array, set to `fill`) */
    LStore,         /* to[at] = value: a formal, scratch or local */
    LAccum,         /* to[at] = reduce(to[at], value); with RArgMax and RArgMin `best` holds the value so far */
    LIf,            /* if value: kid[0..n) */
    LBlank,         /* an empty line between parts */
    LNote,          /* a `//` remark: text */
} LoopKind;

typedef struct Loop Loop;
struct Loop {
    LoopKind kind;
    Loop **kid; int n, cap;
    Index *index;
    Term *lo, *hi;                      /* LFor: integer terms; lo NULL is 0, hi NULL the index's size. `index` runs hi - lo times */
    int step;                           /* LFor: 0 is 1 */
    bool unroll;                        /* LFor: a short loop of constant length, written to be unrolled by the C compiler */
    Tensor *to; Term **at; int nat;     /* LLet LStore LAccum */
    Term *value;
    Reduce reduce;
    Tensor *best;
    Term *position;                     /* with RArgMax, RArgMin: what `to` becomes when value beats best */
    double fill;
    const char *text;                   /* LNote; LLet: a remark beside it, or NULL */
};
Loop *loop_new(Ctx *c, LoopKind k);
void  loop_add(Ctx *c, Loop *in, Loop *kid);

/* How a formal is passed. A rank-0 input of the entry is passed by value. */
typedef enum Role { RoleIn, RoleOut, RoleInOut, RoleScratch, RoleValue } Role;

/* One function of the output. Equal kernels (same loops, same shapes, whatever the names) are one. */
typedef struct Kernel {
    Name name, long_name;               /* "conv_relu_16x32x32_k3x3x3": what it computes and its shapes; long: with all extents */
    VEC(const char *) heading;          /* the operator lines it fuses, one each, in order, no repeats */
    VEC(Tensor *) formal;               /* TFormal and TScratch, in order of parameters: inputs, numbers, states written,
                                           outputs, scratch */
    VEC(Role) role;                     /* one a formal: see kernel_role */
    VEC(Symbol *) size;                 /* sizes that vary, parameters after the tensors */
    VEC(Index *) outer;                 /* for the class: what it is parallel over */
    Loop *body;
    int64_t flops, bytes;               /* at the bound */
    bool aliased;                       /* set by plan: some step writes its output over an input, at the same
                                           positions (in place): no `restrict` */
    char *key;                          /* canonical text: equality and determinism hang on it */
} Kernel;

Role  kernel_role(const Kernel *k, int formal);

/* Where a tensor's elements lie: dense over `extent`, which is the bound of each dimension for what
 * the arena holds and the dimension itself for terminals, weights and states. The type of a formal has
 * its extents for dimensions: loops take their lengths from indices, never from formals. After lower no
 * load has an `outside`: it is a `where` by then. */
Dim   extent(Ctx *c, const Tensor *t, int axis);

typedef struct Step {                   /* a call of a kernel */
    Kernel *kernel;
    Tensor **arg;                       /* one per formal: TInput TParam TState TConst TTemp, or a TScratch of this step */
    Name path;                          /* the instance, for the remark beside the call */
} Step;

typedef struct Routine {                /* one entry */
    const Graph *graph;
    Name name;                          /* "llama_decode" */
    VEC(Step) step;
    VEC(struct Place) place;            /* plan.c */
    int64_t peak, bound;
} Routine;

/* A piece of the arena. Several tensors share one when a step writes in place or a view needs no copy. */
typedef struct Place { Tensor *tensor; Name name; int64_t offset, bytes; int first, last; } Place;

typedef struct Code {                   /* one export, ready to print */
    Program *program;
    VEC(Kernel *) kernel;               /* in order of first use over all routines */
    Routine **routine; int n;
    int64_t work_bytes;                 /* of the largest routine */
} Code;

/* needs: bunches of every graph. gives: kernels, equal ones once, and steps. */
Code *lower(Ctx *c, Program *p, Bunches **b);
/* needs: kernels straight from lower. gives: the same kernels with loops in the form they shall run. */
void  schedule(Ctx *c, Code *code);
/* needs: steps. gives: places, peak and bound. First fit in order of execution, then, if that is above the bound,
 * by size, then a bounded search. */
void  plan(Ctx *c, Code *code);
void  code_print(Ctx *c, const Code *code, FILE *to, bool places);       /* --dump=lower schedule plan */
void  code_check(Ctx *c, const Code *code);

/* ---- emit.c: text of any C-like language ------------------------------------------------------------ */

/* A writer that indents by counting braces. `%T`-style letters of our own are not needed: format first. */
typedef struct Emit { Ctx *c; Text text; int depth; bool fresh; } Emit;
void emit(Emit *e, const char *fmt, ...);                 /* one line; braces in it move the depth */
void emit_blank(Emit *e);
void emit_list(Emit *e, const char *head, char *const *item, int n, const char *tail);   /* f(a, b), broken at commas */
void emit_comment(Emit *e, const char *text);             /* a block comment wrapped to 100 columns */

/* The words of a C-like language. */
typedef struct Dialect {
    const char *elem[AnyFloat + 1];     /* "float", "int32_t" … by Elem after elem_storage */
    const char *function;               /* "static void" */
    const char *restrict_;              /* " restrict" */
    const char *min_int, *max_int;      /* names of helpers for integer min and max */
    const char *suffix_float;           /* "f" */
} Dialect;

/* cfamily.c: a kernel's function, its call, a dimension, a term */
/* Prints the function. The helpers it calls ("max_float", "floor_div_int") are added to `helpers`, Name → Name,
 * so that the frame of the file defines just those. */
void  print_kernel(Emit *e, const Dialect *d, const Kernel *k, const char *prefix, Map *helpers);
char *print_term(Ctx *c, const Dialect *d, const Term *t);
char *print_dim(Ctx *c, Dim d);

/* ---- targets ---------------------------------------------------------------------------------------- */

typedef struct OutFile { const char *path; const char *data; size_t n; } OutFile;
typedef VEC(OutFile) OutFiles;

typedef struct Target {
    const char *name;
    void (*print)(Ctx *c, const Code *code, OutFiles *out);   /* the files, not yet written */
} Target;
extern const Target *const targets[];   /* targets/targets.c: NULL at the end */

/* Writes all or nothing: to temporary names first, renamed when every one is complete. */
bool write_files(Ctx *c, const char *dir, const OutFiles *out);
bool make_folder(Ctx *c, const char *dir);                /* with those above it; reports */

#endif
