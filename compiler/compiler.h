/* compiler.h: every type and prototype of the front half, from text to the flat graph.
 *
 * The order is that of the pipeline; prototypes stand under the file that defines them. Nothing here
 * knows a target. All memory comes from the one arena of the compilation (`alloc`) and is never
 * freed; what a pass gets is never changed by it unless its comment says so. */
#ifndef COMPILER_H
#define COMPILER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Ctx Ctx;

/* ---- util.c: arena, names, text, maps ---------------------------------------------------------- */

typedef const char *Name;               /* interned and NUL-terminated: equal names are one pointer */

void *alloc(Ctx *c, size_t n);          /* zeroed, aligned; over the limit it reports and stops */
#define NEW(c, T)     ((T *)alloc((c), sizeof(T)))
#define NEWN(c, T, n) ((T *)alloc((c), sizeof(T) * (size_t)(n)))

/* A growing array: `VEC(Node *) node;`, then `push(c, &g->node, n)`, `g->node.at[i]`, `g->node.n`. */
#define VEC(T) struct { T *at; int n, cap; }
#define push(c, v, x) \
    ((v)->n == (v)->cap ? vec_grow((c), &(v)->at, &(v)->cap, sizeof *(v)->at) : (void)0, \
     (v)->at[(v)->n++] = (x))
void vec_grow(Ctx *c, void *at, int *cap, size_t size);   /* `at` is the address of the pointer */

Name  intern(Ctx *c, const char *s, size_t n);
Name  name(Ctx *c, const char *fmt, ...);     /* formats, then interns */
char *format(Ctx *c, const char *fmt, ...);
char *format_list(Ctx *c, const char *fmt, va_list args);
Name  snake(Ctx *c, Name n);              /* LayerNorm is layer_norm, LSTMCell is lstm_cell */

typedef struct Text { char *s; size_t n, cap; } Text;     /* text being written; s is NUL-terminated */
void text_add(Ctx *c, Text *t, const char *fmt, ...);

typedef struct MapSlot { const void *key; void *value; } MapSlot;
typedef struct Map { MapSlot *slot; int n, cap; } Map;    /* by pointer: Names, Symbols, Tensors … */
void *map_get(const Map *m, const void *key);             /* NULL when absent */
void  map_put(Ctx *c, Map *m, const void *key, void *value);
void  map_clear(Map *m);                                  /* empty, its room kept */

int   character_bytes(const unsigned char *s, size_t left);   /* bytes of the character at s; 0: it is none */
int   edit_distance(const char *a, const char *b);        /* Damerau-Levenshtein: for "did you mean" */
char *read_file(Ctx *c, const char *path, size_t *n);     /* NUL-terminated copy; NULL: cannot be read */

/* ---- diag.c: what the user is told -------------------------------------------------------------- */

typedef struct Source {
    const char *path;                   /* as the user wrote it, or "std/nn.mth" */
    const char *text;
    size_t n;
    bool library;                       /* embedded: errors in it are reported where the user applied it */
} Source;

typedef struct Span { const Source *src; int from, to; } Span;       /* bytes [from, to) */

/* An application being elaborated: rule 42. While `c->frame` is set, an error inside a library file
 * moves to the innermost frame of a user's file and the library's line becomes a note; an error in a
 * user's file gets a note for each frame above it ("in Split(dim = 768), named `split`, used here"). */
typedef struct Frame { Span at; const char *what; struct Frame *up; } Frame;

void error_at(Ctx *c, Span at, const char *fmt, ...);     /* sorted, counted; one of a position */
void warning_at(Ctx *c, Span at, const char *fmt, ...);
void note_at(Ctx *c, Span at, const char *fmt, ...);      /* hangs on the diagnostic just made */
void help(Ctx *c, const char *fmt, ...);                  /* likewise; has no position */
void error_plain(Ctx *c, const char *fmt, ...);           /* "mithrilc: error: …": bad files and options */
void note_plain(Ctx *c, const char *fmt, ...);            /* "mithrilc: note: …": not shown beside errors */
void diag_print(Ctx *c, FILE *to);                        /* sorted by file and position; at most 50 errors */
_Noreturn void fail(Ctx *c);                              /* leaves through c->stop; errors were reported */
Span span_join(Span a, Span b);
void diag_body(Ctx *c, Span body);        /* a declaration: with an error in it, it gets no warnings (rule 61) */

/* ---- syntax: lex.c, parse.c --------------------------------------------------------------------- */

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct Item Item;
typedef struct TypeExpr TypeExpr;

typedef enum ExprKind {
    EInt, EFloat, EBool, ENone, EName,
    EStr,           /* name: its text; kid[0..n): the expressions of its `{e}`s, in order; see string_next */
    EGroup,         /* (a, b, c...)  two or more, or one with `...`                    kid[0..n) */
    EList,          /* [a, b]                                                          kid[0..n) */
    EListFor,       /* [e for i, x in iter if c]: kid e, lo, hi|NULL, cond|NULL; name, name2 */
    EUnary,         /* - not: op, kid[0] */
    EBinary,        /* op, kid[0], kid[1] */
    EIf,            /* if c then a else b: kid[0..3) */
    ECall,          /* f(args): kid[0] is f; arg[0..narg) */
    EIndex,         /* x[subs]: kid[0] is x; sub[0..nsub) */
    EAttr,          /* x.name: kid[0], name */
    EAs,            /* e as path: kid[0], path */
    EPack,          /* e... : kid[0] */
} ExprKind;

typedef enum Op {   /* operators of expressions, in the order of the table in parse.c */
    OpNone, OpAdd, OpSub, OpMul, OpDiv, OpFloorDiv, OpMod, OpPow, OpMatmul, OpJoin /* ++ */,
    OpEq, OpNe, OpLt, OpLe, OpGt, OpGe, OpAnd, OpOr, OpNeg, OpNot,
} Op;

typedef struct Path { VEC(struct PathPart) part; Span at; } Path;     /* model.layers[i + 1] */
struct PathPart { Name name; Expr *string; Expr *index; };            /* exactly one is set */

typedef struct Arg {                    /* e   name = e   name: e   *   (k, c: e) in reductions */
    Name name;                          /* left side when it is a plain name, else NULL */
    Expr *key;                          /* left side of `=` or `:` as an expression, else NULL */
    char sep;                           /* 0, '=', ':' or '*' (a lone star) */
    Expr *value;                        /* an EPack when `...` follows the left side or the only part */
    Span at;
} Arg;

typedef struct Sub {                    /* one subscript, in x[…] */
    enum { SubAt, SubSlice, SubRun, SubDots } kind;   /* e | a:b:s | a +: n | ... */
    Expr *a, *b, *s;                    /* SubAt: a (may be an EPack); SubSlice: any may be NULL; SubRun: a, b */
    Span at;
} Sub;

struct Expr {
    ExprKind kind;
    Span at;                            /* the whole expression, brackets of its own included */
    Span op_at;                         /* EBinary, EUnary: the operator; EAs: `as path`; EAttr: the name */
    Op op;
    Name name, name2;                   /* EName, EAttr, EListFor; EStr: the text after escapes, `{e}` kept */
    int64_t whole;                      /* EInt; EBool 0 or 1 */
    double number;                      /* EFloat */
    Expr **kid; int n;
    Arg *arg; int narg;
    Sub *sub; int nsub;
    Path path;
    bool parens;                        /* it stood in parentheses: `(a as b)` */
    int height;                         /* of the tree: at most 4000, so that whoever walks it may recurse */
};

typedef struct DimExpr { enum { DimAt, DimDots, DimPack, DimMaybe } kind; Expr *e; Span at; } DimExpr;
                                        /* e | ... (or A...: e is the name, DimPack) | e... | e? */
typedef struct DimList { DimExpr *at; int n; bool given; } DimList;   /* given: brackets were written */

struct TypeExpr {
    Span at;
    TypeExpr *list; Expr *count;        /* [type; count] when list is set; count may be NULL or `_` */
    Name name;                          /* int float … a config, block, model, or NULL for a list */
    DimList dims;
    bool maybe;                         /* `?` */
};

typedef struct Field {                  /* a parameter of a model, op or extern; a field of a config or extern body */
    Name name; Span at;                 /* at: the name */
    DimList dims; Expr *outside;        /* x[n, c, h...] else 0 */
    TypeExpr *type; Expr *init;
    const char *doc;
} Field;

typedef struct FieldList { Field *at; int n; bool given; } FieldList;
typedef struct Body { Stmt **at; int n; Span span; bool given; } Body;

typedef enum StmtKind {
    SIn, SOut, SParam, SState, SBlock, SLet, SRequire, SChain, SAssign, SIf, SFor, SScan, SWhile,
    SYield, SReturn, SMetric, SMinimize,
} StmtKind;

typedef struct Ref {                    /* left side: x   x[subs]   x.y[subs] ; type after it */
    Expr *e;                            /* EName, EAttr or EIndex */
    TypeExpr *type;
    Span at;
} Ref;

typedef struct Group { Ref *target; int n; enum { Whole, Only, Except } *how; Expr **glob; Expr *with; Span at; } Group;

struct Stmt {
    StmtKind kind;
    Span at;                            /* the whole statement; for SIf … SWhile up to the brace */
    Name name, name2; Span name_at;     /* in out param state block let for scan yield metric */
    TypeExpr *type;
    Expr *e;                            /* value, default, condition, chain's right side */
    Expr *lo, *hi;                      /* iter of for, scan and block family; hi NULL: a list */
    Path path; bool named;              /* `as path` of param, state, block, chain, assign */
    bool frozen;                        /* param */
    bool start;                         /* SChain: `|=` (else `+=`); SAssign: `<-` (else `=`) */
    Ref *left; int nleft;               /* SAssign; SChain: the names after `->` (EName) */
    Expr **value; int nvalue;           /* SReturn */
    const char *doc;                    /* `##` lines above */
    Expr *message;                      /* require c, "…" */
    Expr *along;                        /* yield … along */
    Body body, other;                   /* if (other holds the else; `else if` is one SIf in it) */
    Group *group; int ngroup;           /* minimize */
    Field *setting; int nsetting;       /* minimize { clip = 1.0 } */
    Span op_at;                         /* |= += = <- */
    bool broken;                        /* it did not parse; what is known of it is here */
};

typedef enum ItemKind { IUse, IConfig, ILet, IModel, IOp, IExtern, IGradient, IEg, ITrain, IExport } ItemKind;

typedef struct Bound { Name name; Span at; Expr *lo, *hi; } Bound;
typedef struct EntryItem { Name name; Span at; Bound *bound; int nbound; Body body; } EntryItem;

struct Item {
    ItemKind kind;
    Span at, name_at;                   /* at: the head, up to the brace */
    Span line;                          /* IOp …: the whole text of the declaration, for headings and docs */
    Name name;                          /* IUse: the name after `as`, or NULL; IExport: likewise */
    Name module; Expr *path;            /* IUse: a NAME, or a STRING */
    Name *select; Span *select_at; int nselect;          /* use m: A, B */
    FieldList params, result; bool arrow;                /* IModel IOp IExtern IGradient ITrain */
    DimList result_dims; TypeExpr *result_type;          /* op … -> [dims]: type */
    Field *field; int nfield;                            /* IConfig; IExtern's body */
    TypeExpr *type; Expr *e;                             /* ILet IEg IExport IOp with `=` */
    Body body;
    EntryItem *entry; int nentry;
    const char *doc;
    struct Module *module_in;                            /* the file it stands in (set by build) */
    struct Module *used;                                 /* IUse: what it brings (set by build) */
    bool broken;                                         /* resolve found errors in it */
    bool vague;                                          /* what it takes is not all known: in error */
};

typedef struct SyntaxFile { const Source *src; int version; Item **item; int n; bool broken; } SyntaxFile;   /* broken: a declaration did not parse */

/* Parses one file. Recovers at statement boundaries and reports several errors. Never NULL.
 * Nesting deeper than 500 is an error. */
SyntaxFile *parse(Ctx *c, const Source *src);
void        syntax_print(Ctx *c, const SyntaxFile *f, FILE *to);      /* --dump=parse */
const char *op_text(Op op);                                           /* "+", "//", "not" */
/* The text of an EStr, a piece a call: literal text before each `{e}` (with `{{` undone); false at the end.
 * *hole says that kid[i], i = 0, 1 …, follows. `*from` starts at e->name. */
bool        string_next(Ctx *c, const char **from, char **piece, bool *hole);
char       *source_text(Ctx *c, Span at);                             /* the text itself, one line */

/* ---- build.c: files become modules; names are resolved ------------------------------------------ */

typedef struct Module {
    const Source *src;
    SyntaxFile *syntax;
    Map names;                          /* Name → Item *, its own and what `use` brings */
    Map twice;                          /* Name → Item *: another of that name, from a second `use` */
    VEC(Item *) exports;
} Module;

/* needs: the syntax of the model's file. gives: the module with everything it uses, each file read once, `use` resolved,
 * every name in every body resolved (rules 5-9, 19, 21, 25), so that code no elaboration
 * reaches is checked as well. Modules `ops` (always in scope) and `nn` … are embedded. */
Module *build(Ctx *c, SyntaxFile *file);
void    resolve(Ctx *c, Module *m);                   /* resolve.c: the bodies of one file; build calls it */
void    build_print(Ctx *c, const Module *m, FILE *to);               /* --dump=build */
const Source *embedded_source(Ctx *c, Name module);                   /* std.c (made by make): "nn" → its text, or NULL */

/* ---- dim.c: sizes are polynomials in symbols (rules 35-38) -------------------------------------- */

typedef struct Symbol {                 /* a size that is not a number: B, T, H; or an unknown parameter */
    Name name; Span at;
    int64_t lo, hi;                     /* its bounds, inclusive; 0 … 2^31-1 unless an entry says otherwise */
    bool bounded;                       /* an entry gave the range: it is an argument of the generated function */
} Symbol;

typedef const struct Poly *Dim;         /* normal form, interned: equal under no assumptions is one pointer */

Dim  dim(Ctx *c, int64_t n);
Dim  dim_symbol(Ctx *c, Symbol *s);
Dim  dim_add(Ctx *c, Dim a, Dim b);
Dim  dim_sub(Ctx *c, Dim a, Dim b);
Dim  dim_mul(Ctx *c, Dim a, Dim b);
Dim  dim_floordiv(Ctx *c, Dim a, Dim b);   /* b is not 0; (8h) // 8 = h; (a·c + r) // c = a when 0 <= r < c */
Dim  dim_mod(Ctx *c, Dim a, Dim b);
void dim_split(Ctx *c, Dim a, Dim b, Dim *q, Dim *r);  /* a = q*b + r: what b divides goes to q; of the constant, what is a multiple */
bool dim_exact(Ctx *c, Dim a, Dim b, Dim *q);          /* a / b without remainder, rule 38 */
Dim  dim_min(Ctx *c, Dim a, Dim b);                    /* an atom unless decided by bounds */
Dim  dim_max(Ctx *c, Dim a, Dim b);
bool dim_number(Dim a, int64_t *n);                    /* is it a number? */
bool dim_is(Dim a, int64_t n);
void dim_bounds(Ctx *c, Dim a, int64_t *lo, int64_t *hi);   /* interval; saturates at ±2^62 */
bool dim_equal(Ctx *c, Dim a, Dim b);                  /* under what is assumed (rule 37) */
int  dim_less(Ctx *c, Dim a, Dim b);                   /* a < b: 1 yes, 0 no, -1 not known */
Dim  dim_subst(Ctx *c, Dim a, Symbol *s, Dim by);
void dim_assume_equal(Ctx *c, Dim a, Dim b);           /* `require B == M` */
void dim_assume_multiple(Ctx *c, Dim a, int64_t k);    /* `require H % 8 == 0`: H is 8h from here on */
Dim  dim_bind(Ctx *c, Dim a);                          /* with c->assumed applied */
bool dim_symbols(Dim a, void (*each)(Symbol *, void *), void *with);   /* false if there are none */
char *dim_text(Ctx *c, Dim a);                         /* "2 * (H // 2)" */
/* What reading a Dim as code needs: the sum of coef[i] * product of factors, each factor an atom. */
typedef enum AtomKind { AtomSymbol, AtomFloorDiv, AtomMod, AtomMin, AtomMax } AtomKind;
typedef struct Atom {
    AtomKind kind;
    Symbol *symbol; Dim a, b;
} Atom;
typedef struct Monomial { int64_t coef; const Atom **atom; int n; } Monomial;   /* atoms repeat for powers */
struct Poly { Monomial *term; int n; uint32_t hash; };                          /* no terms: 0 */

/* ---- types -------------------------------------------------------------------------------------- */

typedef enum Elem {
    NoElem, Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64,
    Float,                              /* the working precision: a type of its own until code is printed */
    AnyInt, AnyFloat,                   /* a number written without a type: takes that of what it meets */
} Elem;

enum { MaxRank = 8 };
typedef struct Type { Elem elem; int rank; Dim dim[MaxRank]; } Type;

const char *elem_name(Elem e);
Elem  elem_named(Name n);               /* NoElem when it is none */
bool  elem_is_float(Elem e);            /* Float F16 BF16 F32 F64 AnyFloat */
bool  elem_is_int(Elem e);
int   elem_bytes(Ctx *c, Elem e);       /* Float by --precision; Bool 1 */
Elem  elem_storage(Ctx *c, Elem e);     /* Float becomes F32 (or what --precision says) */
char *type_text(Ctx *c, const Type *t); /* "float[B, T, 64]", "i32" */
Dim   type_count(Ctx *c, const Type *t);   /* product of its sizes */

/* elem.c: elements in memory, of a type as elem_storage says */
double elem_load(Elem stored, const void *at);
void   elem_store(Elem stored, void *at, double v);       /* rounds to nearest; integers saturate */
void   elem_read(Elem stored, const void *data, int64_t at, int64_t step, double *restrict v, int n);
void   elem_write(Elem stored, void *data, int64_t at, double v);
double elem_cast(Elem e, double v);     /* v as e holds it: rounded, or truncated and saturated */
double elem_wrap(Elem e, uint64_t v);   /* v modulo the width of an integer type */
int    elem_bits(Elem e);               /* of an integer type */
bool   elem_signed(Elem e);

/* ---- the flat graph: nodes of index notation ----------------------------------------------------- */

typedef struct Tensor Tensor;
typedef struct Node Node;
typedef struct Term Term;

typedef struct Index { Name name; Dim size; } Index;      /* a loop to be; identity is the pointer */

/* Scalar functions, one row each in fn.c: name, arity, type rule, host function. `extern op`s that are
 * element by element (exp, erf …) become FnExtern rows, whose `word` is what C calls them. */
typedef enum FnId {
    FnAdd, FnSub, FnMul, FnDiv, FnFloorDiv, FnMod, FnPow, FnNeg, FnMax, FnMin, FnAbs, FnSign,
    FnEq, FnNe, FnLt, FnLe, FnGt, FnGe, FnAnd, FnOr, FnNot, FnWhere, FnIsNan, FnIsInf,
    FnCast,                             /* to Term.elem, saturating (rule 33) */
    FnBand, FnBor, FnBxor, FnShl, FnShr,
    FnStopGradient,
    FnExtern,
} FnId;
typedef struct Fn { FnId id; Name name; int arity; const char *word; } Fn;   /* word: "exp" for expf/exp */

const Fn *fn(FnId id);                                    /* built in */
const Fn *fn_of(Op op);                                   /* what + or < computes; NULL: @ and ++, which are no scalar functions */
const Fn *fn_named(Ctx *c, Name n);                       /* max min abs sign where isnan isinf band …; or NULL */
const Fn *fn_extern(Ctx *c, Name n, const char *word, int arity);    /* interned */
bool      fn_known(const Fn *f);                          /* can fn_eval compute it? not a user's own C function */
double    fn_eval(const Fn *f, Elem e, const double *arg);           /* e: type of the result (or of the arguments, for comparisons) */

typedef enum TermKind { TNumber, TIndex, TSize, TLoad, TApply } TermKind;

struct Term {                           /* immutable, hash-consed per compilation: equal terms are one pointer */
    TermKind kind;
    Elem elem;
    double number;                      /* TNumber (integers exact up to 2^53; Bool 0 or 1) */
    Index *index;                       /* TIndex: an I32 */
    Dim size;                           /* TSize: an AnyInt that is a polynomial, never a mere number */
    Tensor *from;                       /* TLoad: kid[i] is the position along axis i */
    Term *outside;                      /* TLoad: value where a position is outside; NULL: provably inside */
    Name as;                            /* TLoad: what the operator calls this tensor: "x", "weight" */
    const Fn *fn;                       /* TApply */
    Term **kid; int n;
    uint32_t hash;
    uint32_t walk; Term *image;         /* of term_map alone: the last walk that was here, and what this became */
};

Term *term_number(Ctx *c, Elem e, double v);
Term *term_index(Ctx *c, Index *i);
Term *term_size(Ctx *c, Dim d);                           /* a number when d is one */
Term *term_load(Ctx *c, Tensor *t, Term **at, int n, Term *outside, Name as);
Term *term_apply(Ctx *c, const Fn *f, Elem e, Term **arg);   /* folds numbers; 0 + x, x * 1, where(true) … */
Term *term_apply1(Ctx *c, FnId f, Elem e, Term *a);
Term *term_apply2(Ctx *c, FnId f, Elem e, Term *a, Term *b);
Term *term_plain(Ctx *c, const Fn *f, Elem e, Term **arg);   /* the application itself, nothing folded */
Term *term_subst(Ctx *c, Term *t, Index *const *from, Term *const *to, int n);       /* indices by terms */
Term *term_map(Ctx *c, Term *t, Term *(*leaf)(Ctx *, Term *, void *), void *with);   /* rebuilds, children first; leaf is asked for every term */
bool  term_uses(const Term *t, const Index *i);
char *term_text(Ctx *c, const Term *t);                   /* "max(x[n, c] + 1.0, 0)" */
char *term_text_named(Ctx *c, const Term *t, const Map *names);   /* Tensor or Index → Name where it has another */
/* Is `t` a·index + …: an affine sum of indices and a size? Coefficients are numbers. */
typedef struct Affine { Index *index[MaxRank * 2]; int64_t coef[MaxRank * 2]; int n; Dim base; } Affine;
bool  term_affine(Ctx *c, const Term *t, Affine *a);
bool  term_range(Ctx *c, const Term *t, int64_t *lo, int64_t *hi);    /* interval of an integer term, from index sizes and symbol bounds */

bool  term_inside(Ctx *c, const Term *t, Dim size);       /* provably 0 <= t < size, also for sizes that vary */
bool  term_reads(const Term *t);                          /* does a load stand in it? */
Term *term_integer(Ctx *c, const Fn *f, Elem e, Term **arg);   /* affine.c, for term_apply: the simpler form, or NULL */

typedef enum TensorKind { TInput, TParam, TState, TConst, TTemp, TFormal, TLocal, TScratch } TensorKind;
                                        /* the last three exist only inside kernels: codegen.h */
struct Tensor {
    TensorKind kind;
    Name name;                          /* what the user or the operator calls it: "q", "logits", "weight" */
    Name path;                          /* full name: "h.0.attn.c_attn.weight"; of a temporary: instance path + name */
    Type type;
    Span at;
    Node *def;                          /* TTemp; a TState that was written: the node that writes it */
    Tensor *before;                     /* TState after `<-`: the version it replaces, in the same storage */
    const void *data;                   /* TConst, and TParam with weights loaded: dense, C order, elements as elem_storage says */
    struct Init *init;                  /* TParam, TState: its initialiser, or NULL */
    bool frozen;
    bool by_value;                      /* TFormal of rank 0 that is passed as a number, not a pointer (lower.c sets it) */
    int id;                             /* position of creation: for stable orders only */
};
/* zeros() ones() constant(v) normal(mean, std) uniform(lo, hi) kaiming_uniform() …, or a constant tensor */
typedef struct Init { Name kind; double arg[2]; int narg; Tensor *value; } Init;

double init_number(const Init *i);         /* init.c: of zeros, ones, constant: the number everywhere; else 0 */

typedef enum Reduce { NoReduce, RSum, RProd, RMax, RMin, RAny, RAll, RArgMax, RArgMin } Reduce;

typedef struct Axis { Index **index; int n; } Axis;       /* several: a group, the last runs fastest; none: size 1 */

typedef struct Call {                   /* one application of an operator in the user's text */
    Name op;                            /* "conv", "add": names kernels and heads them; never decides anything */
    const char *line;                   /* the operator's row as written, one line, for headings */
    Name path;                          /* of the instance it stands in: "layer1.0.conv1" */
    Span at;
    int id;
} Call;

struct Node {                           /* out[axes] = reduce(bind, cond: body) */
    Tensor *out;
    Axis *axis; int naxis;              /* of the result; of the part written, if `at` */
    Term **at;                          /* NULL, or position in the state for each of its axes (of which out is a new version) */
    Reduce reduce;
    Index **bind; int nbind;
    Term **cond; int ncond;             /* terms where one fails are absent; on a node without reduction:
                                           elements where one fails are never read (set by simplify) */
    Term *body;
    Call *call;
    VEC(Call *) took;                   /* of the nodes fused into it by substitution: for headings and names */
};

typedef struct Terminal { Name name; Tensor *tensor; Span at; bool absent; } Terminal;

typedef struct Graph {                  /* one entry */
    Name name;                          /* "decode"; NULL for an export without entries */
    VEC(Node *) node;                   /* in order: what is read was made before, states are read before they are overwritten */
    VEC(Terminal) input, output;        /* in order of declaration; every output is a TTemp of its own */
    VEC(Symbol *) size;                 /* that vary, in the order they appear in the inputs */
    VEC(struct Check) check;            /* requirements the generated function must test */
    Tensor **last_state;                /* per program state: the version at the end, or the state itself */
} Graph;
struct Check { Term *holds; const char *message; Span at; };

typedef struct Program {                /* one export */
    Name name;
    VEC(Tensor *) param, state;         /* shared by all entries, in order of first use; state: version 0 */
    Graph **graph; int n;
    const Module *module;
} Program;

void graph_print(Ctx *c, const Program *p, FILE *to);     /* graph.c: text of flatten and simplify */
void graph_check(Ctx *c, const Program *p);               /* check.c: asserts what every pass must keep */
Tensor *tensor(Ctx *c, TensorKind k, Name nm, Name path, const Type *t, Span at);   /* graph.c */
Node   *node_new(Ctx *c, Graph *g, Tensor *out);          /* graph.c: appended to g, out->def set */
Index  *index_new(Ctx *c, Name nm, Dim size);

/* ---- values of the elaboration ------------------------------------------------------------------- */

typedef enum ValueKind {
    VPoison,        /* in error, or unknown in `check`: silent from here on */
    VNone, VInt, VFloat, VBool, VStr, VElem, VList, VConfig, VTensor,
    VModel,         /* a model's name, still to be given parameters */
    VRecipe,        /* a configured model, an op short of its tensors, or an instance: rule 16 */
    VOp,            /* an op's name */
    VInit,          /* zeros(), normal(0.0, 0.02) … */
} ValueKind;

typedef struct Value Value;
struct Value {
    ValueKind kind;
    Dim whole;                          /* VInt */
    double number;                      /* VFloat; VBool 0 or 1 */
    Name text;                          /* VStr */
    Elem elem;                          /* VElem */
    Value *item; int n;                 /* VList; VConfig: one a field */
    Item *decl;                         /* VConfig VModel VOp */
    struct Recipe *recipe;              /* VRecipe: flatten.c */
    Tensor *tensor;                     /* VTensor */
    Init *init;
    Span at;                            /* where it came from, for notes */
};

/* ---- row.c, rowmaker.c: one operator applied ------------------------------------------------------ */

/* Applies op `decl` (IOp or IExtern, indexed or scalar: rule 62) to one value for each parameter,
 * defaults not yet filled in (VNone with item == NULL and at.src == NULL means: not given).
 * Tensors are VTensor; a number given for a tensor is VInt or VFloat. Appends nodes to g; returns the
 * result (a VList for several). Wrong sizes, types or counts: one error at `at`, and VPoison.
 * An op whose body applies other ops by statements over tensors (rule 27) is not for this function:
 * see op_is_row. `path` and `hint` name the result. */
Value row_apply(Ctx *c, Graph *g, Item *decl, Value *arg, Span at, Name path, Name hint);
bool  op_is_row(Ctx *c, Item *decl);    /* indexed, or an expression made only of scalar functions and such ops */
/* A scalar function over broadcast tensors and numbers: a + b, max(x, 0), where(c, a, b), f32(x) (FnCast, to). */
Value row_scalar(Ctx *c, Graph *g, const Fn *f, Elem to, Value *arg, int n, Span at, Name path, Name hint);
/* Rule 73: reshape permute broadcast_to concat stack split index rearrange einsum: a row written for the call. */
/* params: "x, shape"; a `*` at its end ("x, pattern, *") takes named sizes, each passed as two arguments, VStr name and VInt.
 * An argument's Value.at is the span of its expression in this application: messages quote and underline it. */
typedef struct RowMaker { const char *name; int min, max; const char *params; } RowMaker;
const RowMaker *rowmaker_named(Name n);
Value rowmaker_apply(Ctx *c, Graph *g, const RowMaker *m, Value *arg, int n, Span at, Name path, Name hint);
/* x[…] of rule 34. An index not given is kind SubDots or a full SubSlice. Values in a, b, s: VInt VTensor VNone (inserts 1). */
typedef struct Pick { int kind; Value a, b, s; Span at; bool has_a, has_b, has_s; } Pick;
Value row_index(Ctx *c, Graph *g, Value x, Pick *pick, int n, Span at, Name path, Name hint);
/* s[…] <- e: appends the node that writes part (pick) or all (n == 0) of `state`; returns the new version. */
Tensor *row_write(Ctx *c, Graph *g, Tensor *state, Pick *pick, int n, Value e, Span at, Name path);
Tensor *row_constant(Ctx *c, Value v, Elem e);            /* a list of numbers as a constant tensor; a number as rank 0 */

/* ---- flatten.c: instances, shapes, types ---------------------------------------------------------- */

/* needs: modules. gives: one Program an export (rules 54-56), each entry a flat typed graph; symbols are
 * bound by entries and --bind. With `everything` (check) also each model nothing applies, its
 * unknown parameters left unknown. */
typedef VEC(Program *) Programs;
Programs flatten(Ctx *c, Module *m, bool everything);

/* ---- weights: json.c, safetensors.c, npy.c, weights.c ----------------------------------------------- */

typedef struct Array { Name name; Elem elem; int rank; int64_t dim[MaxRank]; const void *data; } Array;   /* dense, C order */
typedef struct Archive { const char *path; Array *at; int n; } Archive;

Archive *archive_read(Ctx *c, const char *path);          /* safetensors, npz or npy by content; reports and returns NULL */
bool     npy_write(Ctx *c, const char *path, const Array *a);        /* written whole or not at all */
/* Gives every TParam (and every state that is only read) its data, strictly (rule 23); --map, --partial. */
bool     weights_load(Ctx *c, Program *p, const char *path, const char *map, bool partial);

/* ---- simplify.c, eval.c --------------------------------------------------------------------------- */

/* needs: flat graph. gives: folded, without common subexpressions or dead nodes, views substituted;
 * what depends on loaded weights alone is computed, batch norm is in the weights. */
void simplify(Ctx *c, Program *p);

/* The reference meaning: computes every node of g in order. Sums and scalar functions are done in
 * double and rounded where a node's result is stored. `env` maps Tensor * → void * (dense, elem_storage),
 * and must hold inputs, states and params without data; sizes come from `size` in the order of g->size.
 * Results are added to env. false: a message was reported. */
bool eval(Ctx *c, const Graph *g, Map *env, const int64_t *size);
bool eval_node(Ctx *c, const Node *n, Map *env, const Graph *g, const int64_t *size);
int64_t eval_dim(Dim d, const Graph *g, const int64_t *size);

/* ---- compile.c, main.c ------------------------------------------------------------------------------ */

typedef struct Binding { const char *name; int64_t lo, hi; } Binding;         /* --bind T=1..512 */
typedef struct Setting { const char *name, *value; } Setting;                  /* -p dim=64 */

typedef struct Options {
    const char *command, *model, *out, *target, *dump, *map, *weights, *weights_as, *precision_name;
    VEC(const char *) entry, include;
    VEC(Binding) bind;
    VEC(Setting) set;
    VEC(Setting) input;                 /* --input image=x.npy */
    bool partial, depfile, color, quiet;
    Elem precision;                     /* what Float is stored as: F32 unless --precision */
} Options;

struct Ctx {
    struct Block *arena; size_t used, limit;
    jmp_buf stop;
    Options opt;
    struct Names *names;                /* util.c */
    struct Diags *diags;                /* diag.c */
    struct Terms *terms;                /* term.c */
    struct Dims *dims;                  /* dim.c; with what is assumed */
    Map externs;                        /* fn.c */
    struct Build *build;                /* build.c */
    Map weighty;                        /* resolve_instance.c: which models hold weights */
    Map rows;                           /* row.c: Item * → what is known of the op */
    Frame *frame;
    VEC(const char *) files;            /* every file read: for -MD */
    int errors, warnings;
    int next_tensor, next_call;
};

int compile(Ctx *c);                    /* runs opt.command; returns the exit code */

#endif
