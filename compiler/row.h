/* row.h: what the files that apply operators share. Private to row*.c and inside.c.
 *
 * An application goes through four steps: arguments are bound (rowbind.c), the axes of its tensors
 * are matched with the indices of the signature (rowmatch.c), the body becomes terms and nodes
 * (rowterm.c, with rowread.c for reads, rowreduce.c for reductions, rowtype.c for element types and
 * rowvalue.c for what is known while compiling), and every read is proved to be inside (inside.c). */
#ifndef ROW_H
#define ROW_H

#include "compiler.h"

enum { MaxNames = 64, MaxTensors = 24, MaxBinds = 32, MaxCuts = 24, MaxParts = 2 * MaxRank, Plain = -1 };

/* An index of the op: `h`, or with seq >= 0 the seq-th of `h...`. */
typedef struct RowIndex {
    Name name; int seq;
    Dim size;
    Index *index;
    bool runs;                          /* a loop over it is open here */
    bool binder;                        /* made by a reduction, `k < e` */
    bool live;                          /* false: a binder whose reduction has ended; may be taken again */
    Name from;                          /* the parameter that gave its size, for messages */
} RowIndex;

typedef struct Part { Name name; int seq; Expr *bound; Dim fixed; } Part;     /* of an axis: (g < groups, c) */

/* One axis of a tensor, as the op names it. */
typedef struct Pat {
    enum { PatDots, PatOne, PatAxis } kind;
    int dot;                            /* PatDots: which of `...`, counted from the right */
    bool stretched;                     /* PatDots: this tensor has 1 here, the others more */
    Expr *e; int seq;                   /* PatAxis */
} Pat;

typedef struct RowTensor {
    Name name;
    Tensor *tensor;                     /* NULL: a number, or absent */
    Term *number;
    Pat pat[MaxRank]; int n;            /* in the order of the op's list … */
    int axis[MaxRank];                  /* … of which the k-th is this axis of the tensor (rule 69) */
    Expr *outside;
    bool local;                         /* an intermediate */
} RowTensor;

typedef struct Bind { Name name; bool known; Value value; Term *term; } Bind;   /* a compile-time parameter */

/* Names in scope while an expression is read: of the op itself, or of a scalar op written out in it. */
typedef struct Scope { Item *decl; Bind at[MaxBinds]; int n; int depth; bool inlined; } Scope;

typedef struct Equation { Expr *e; int seq; Dim size; Name who; int axis; bool done; } Equation;

typedef struct Clause {                 /* a node to be: reduce(bind, cond: body) */
    Reduce reduce;
    Index *bind[MaxParts]; int nbind;
    Term *cond[MaxParts]; int ncond;
    Term *body;
} Clause;

typedef struct Cut { Clause clause; Index *free[MaxParts]; int nfree; Tensor *out; } Cut;

typedef struct Row {
    Ctx *c; Graph *g; Item *decl; Call *call;
    Span at; Name path, hint;
    Scope *scope;
    bool bad;                           /* an error was reported: the rest is silent */
    Elem number;                        /* type of the untyped parameters, NoElem if there is none */
    RowIndex index[MaxNames]; int nindex;
    struct { Name name; int n; } seq[MaxNames]; int nseq;
    RowTensor tensor[MaxTensors]; int ntensor;
    Dim dots[MaxRank]; Index *dot[MaxRank]; int ndots;       /* from the right */
    Name dots_from[MaxRank];
    Equation equation[MaxNames]; int nequation;
    int axes[MaxRank], naxes, axes_rank; bool has_axis, keep;
    Cut cut[MaxCuts]; int ncut;
    Index *running[2 * MaxParts]; int nrunning;              /* loops open here, outermost first */
    int work;                           /* terms read so far: a limit on what ops written out in ops may cost */
    int mark;                           /* nodes of g before this application */
} Row;

/* rowop.c */
void  row_error(Row *r, Span where, const char *fmt, ...);
Item *row_find(Ctx *c, Item *from, Name n);                  /* an op by name, as `from`'s file sees it */
Expr *row_field(Item *decl, const char *n);                  /* of an extern's body: `reference` */
Expr *row_only_value(const Item *decl);                      /* of a body that only returns; or NULL */
bool  row_is_attr(const Field *f);                           /* compile-time parameter */
bool  row_is_scalar_extern(Item *decl);
bool  row_is_scalar(Ctx *c, Item *decl);                     /* can be written out inside an index expression */
const Fn *row_extern_fn(Ctx *c, Item *decl);
const char *row_line(Ctx *c, Item *decl);
bool  row_not_given(const Value *v);
Call *call_new(Ctx *c, Name op, const char *line, Name path, Span at);
Span  user_span(Ctx *c, Span at);                            /* where the user applied it, out of the library */
/* One node, checked to read inside; NULL if it does not (reported). */
Tensor *row_node(Ctx *c, Graph *g, Call *call, Name nm, Name path, Axis *axis, int naxis, const Clause *k);
Dim   axis_size(Ctx *c, const Axis *a);
Value tensor_value(Tensor *t, Span at);
Value poison(Span at);
void  note_sizes(Ctx *c, Dim a, Dim b);                      /* where two sizes that differ come from */
char *sizes_differ(Ctx *c, Dim a, Dim b);                    /* "B and M need not be equal" */

/* rowmatch.c */
void  row_match(Row *r, RowTensor *t, const Field *f);
void  row_axes(Row *r, Value *arg);                          /* rule 69: which axes `axis` names */
void  row_settle(Row *r);
int   row_parts(Row *r, Expr *e, int seq, Part *out);        /* the indices of one axis */
int   row_seq(Row *r, Name n);                               /* length of sequence n, or -1 */
void  row_seq_set(Row *r, Name n, int len);
int   row_times(Row *r, Expr *e);                            /* how often `e ...` is written out */
RowIndex *row_index_find(Row *r, Name n, int seq);
RowIndex *row_index_add(Row *r, Name n, int seq, Dim size, Name from);
bool  is_size_name(const char *capital, const char *lower);
int   row_left(Row *r, DimList dims, Axis *axis, Pat *pat);  /* axes of a result or an intermediate; -1: error */
Index *row_dot(Row *r, int k);                               /* loop over the k-th of `...` from the right */

/* rowvalue.c */
bool  row_value(Row *r, Expr *e, int seq, Value *out);       /* false: not known while compiling; silent */
bool  row_size(Row *r, Expr *e, int seq, Dim *out);
int   row_truth(Row *r, Expr *e);                            /* 1, 0; -1: not known while compiling */
Value value_int(Dim d);
Value value_float(double d);
Value value_bool(bool b);
Bind *scope_find(Scope *s, Name n);

/* rowtype.c */
typedef enum Fault { Fine, FaultMix, FaultBool, FaultNotBool, FaultIntDivide, FaultNumber, FaultNotFloat, FaultNotInt, FaultDivide } Fault;
Term *fn_term(Ctx *c, const Fn *f, Elem to, Term **arg, int n, Fault *fault, int *which);   /* types joined; NULL: fault */
char *fault_text(Ctx *c, Fault fault, const Fn *f, Term **arg, int n, int which);
Term *term_as(Ctx *c, Term *t, Elem e);                      /* a written number takes type e */
bool  term_is_dim(Ctx *c, const Term *t, Dim *d);            /* a compile-time integer? */
Term *value_term(Ctx *c, const Value *v);                    /* NULL: no number */
bool  elem_admits(Name type, Elem e);                        /* does `: int` take an i32? */
Elem  elem_settled(Row *r, Elem e);                          /* what an untyped number becomes at last */
const char *a_elem(Elem e);                                  /* "an i32", "a u8" */

/* rowbind.c */
void  row_bind_attr(Row *r, const Field *f, const Value *v);
bool  row_bind_default(Row *r, const Field *f, bool last);
Elem  row_shared_type(Row *r, Value *arg);                   /* of the tensors among the arguments */
void  row_bind_attrs(Row *r, Value *arg);                    /* values known while compiling … */
void  row_bind_defaults(Row *r, bool last);                  /* … and defaults; last: they must be known */
void  row_bind_tensors(Row *r, Value *arg);

/* rowterm.c */
Term *row_term(Row *r, Expr *e, int seq);
Term *row_fn(Row *r, Span where, const Fn *f, Elem to, Term **arg, int n);    /* f applied, or a message */
Term *row_broken(Row *r, Span where, const char *text);      /* a message; a term in its place */
Term *zero_term(Ctx *c);
Term *size_number(Ctx *c, Dim d);                            /* a size, or the i32 it is */

/* rowread.c */
void  row_run(Row *r, Index *i);                             /* opens a loop */
bool  index_runs(Row *r, const Index *i);
RowTensor *row_tensor(Row *r, Name n);
Term *radix(Ctx *c, Term **digit, Dim *size, int n);         /* one position from several digits */
Term *read_own_term(Row *r, RowTensor *t, Span where);       /* x, at its own indices */
Term *read_at(Row *r, Expr *e, int seq);                     /* x[e, …] */
Term *ask_inside(Row *r, Expr *e, int seq);                  /* inside(x[e, …]) */

/* rowreduce.c */
Reduce row_reduction(const Expr *e);                         /* NoReduce: it is none */
bool  row_reduce(Row *r, Expr *e, int seq, Clause *k);
Term *row_cut_off(Row *r, Clause *k, Span where);            /* inside an expression: a node, read back */
bool  row_clause(Row *r, Expr *e, Clause *k);                /* the value of a node: its reduction, or none */
Tensor *row_emit(Row *r, Name nm, Axis *axis, int naxis, Clause *k, Elem want);   /* NULL: reported */

/* inside.c */
bool  term_upper(Ctx *c, Term *t, Dim *hi);                  /* the greatest value of an integer term */
bool  inside_proved(Ctx *c, Term *pos, Dim size);            /* from ranges alone */
bool  inside_check(Ctx *c, const Axis *axes, int naxis, const Clause *k,
                   Term **load, int *axis);                                 /* with guards; false: the first read that is open */

/* row_scalar.c */
bool  broadcast(Ctx *c, const Type *a, const Type *b, Type *out, int *bad);   /* shapes only; bad: axis from the right */
Term *read_broadcast(Ctx *c, Tensor *t, Index **index, int rank, Name as);
Index **loop_indices(Ctx *c, const Type *t);                 /* i, j, k … over its axes */
Axis  *loop_axes(Ctx *c, Index **index, int n);
bool   constant_args(Ctx *c, Value *arg, int n, Elem want);  /* lists of numbers become constant tensors */

/* row_index.c */
const char *clause_line(Ctx *c, const char *op, Axis *axis, int naxis, const Clause *k);   /* a row as text */
Value whole_value(Ctx *c, Graph *g, const char *op, Axis *axis, int naxis, Term *body, Span at, Name path, Name hint);

#endif
