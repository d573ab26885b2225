/* flatten.h: what the files of the elaboration share: flatten.c, value.c, scope.c, types.c, apply.c,
 * call.c, expr.c, stmt.c, weight.c, require.c,
 * fields.c, instance.c, list.c, export.c, versions.c, train.c.
 *
 * An elaboration runs the body of a model once for each application. An Elab is one export (all its
 * entries), an Instance is a place in the tree of weights, an Act is one application being run: it
 * has scopes, and an instance whose weights it uses. */
#ifndef FLATTEN_H
#define FLATTEN_H

#include "compiler.h"

typedef struct Elab Elab;
typedef struct Act Act;
typedef struct Instance Instance;
typedef struct Recipe Recipe;

enum {
    MostDepth     = 256,                /* rule 48 */
    MostInstances = 1 << 20,
    MostTurns     = 1 << 20,            /* of all loops of a compilation together */
    MostItems     = 1 << 20,            /* of a list */
    MostText      = 1 << 20,            /* bytes of a string */
    MostLevels    = 2000,               /* of expressions under evaluation, of all models under way */
    MostMemory    = 384 << 20,          /* bytes that elaboration takes while models are applied */
};
static const int64_t most_elements = (int64_t)1 << 40;

/* ---- names with values ---------------------------------------------------------------------------- */

typedef enum VarKind {
    VarParam, VarIn, VarOut, VarLet, VarSize, VarLoop, VarBlock, VarWeight, VarState, VarLocal,
} VarKind;

typedef struct Var {
    Name name;
    VarKind kind;
    Value value;
    Span at;                            /* where it was declared */
    bool given;                         /* VarOut: it has a value */
    Stmt *lazy; Act *home;              /* a declaration of the model, run there when an entry's body first asks */
} Var;

typedef struct Scope {
    Map names;                          /* Name → Var * */
    VEC(Var *) var;
    struct Scope *up;
    bool keeps;                         /* a body or a turn of a loop: new names stay here */
    bool branch;                        /* of a run-time `if`: outer names are assigned here first */
} Scope;

/* ---- what is applied -------------------------------------------------------------------------------- */

struct Recipe {                         /* rule 16 */
    Item *decl;                         /* a model or an op; NULL for a built-in */
    const Fn *fn;                       /* max, where … */
    const RowMaker *maker;              /* rearrange, concat … */
    Value *param; bool *given;          /* one a parameter; for an op those not fixed are absent */
    int n;
    Instance *instance;                 /* of a `block`: every application shares it */
    Name partial;                       /* `layers.0` of `b.layers[0].attn`: not yet a path of `instance` */
};

struct Instance {
    Item *decl;
    Name path;                          /* full: "h.0.attn"; "" at the top */
    Instance *up;
    Map kid;                            /* path below this one → Instance * */
    VEC(Name) kids;
    Map block;                          /* name of a block → Value * */
    Map weight;                         /* name of a parameter or state → Tensor * */
    Span at;                            /* where it was named */
    bool weights;                       /* it, or one below it, has a parameter or a state */
};

typedef struct Given {                  /* a terminal bound by an application */
    Name name;                          /* NULL: by position */
    Value value;
    Span at;
    bool used;
} Given;

typedef struct Shape { int rank; Dim dim[MaxRank]; } Shape;   /* what a `...` stands for */

typedef struct ModelInfo {              /* read off a model once */
    Stmt **in, **out;
    int nin, nout;
    bool star;                          /* an application in it says `*` */
    bool weights;                       /* it declares a parameter or a state, or applies what might */
} ModelInfo;

struct Act {
    Elab *e;
    Item *decl;
    const Module *module;
    Instance *in;
    Act *up;
    Scope *scope;
    Frame frame;
    Given *given; int ngiven;           /* terminals, in the order they were bound */
    bool star;                          /* `*`: those left out are inputs of the caller */
    bool root;                          /* the exported instance: its inputs are the graph's */
    bool inputless;                     /* an entry's body without `in`: no `input` is made up */
    bool op;                            /* the body of an op (rule 27) */
    bool stage;                         /* the call being evaluated continues a chain */
    Map used;                           /* path below `in` → where it was named in this application */
    Map count;                          /* name made for an unnamed instance → how many (as a pointer) */
    Map dots;                           /* "..." or the name before it → Shape * */
    Name hint;                          /* what the value being computed will be called */
    Name loop;                          /* variable of the innermost loop that is run, or NULL */
    Value chain;                        /* the value of the chain that is open */
    bool chained, named;                /* there is one; its last link gave its results names */
    int unnamed;                        /* applications `as _` so far: they need a key, though no name */
    VEC(Value) result;                  /* of `return` */
    bool returned;
};

typedef struct Limit {                  /* an entry or --bind says what a symbol is */
    Name name;
    int64_t lo, hi;
    Span at;
    bool none;                          /* `mask = none` */
    bool used;
} Limit;

typedef struct SettingExpr { Name name; const Expr *value; bool used; } SettingExpr;   /* -p c.dim=64 */

typedef struct Reached {                  /* by all exports together: whom --bind and -p may speak to */
    VEC(Name) size, set;                /* sizes of inputs and entries; settings that found their parameter */
    VEC(const Item *) model;
} Reached;

struct Elab {
    Ctx *c;
    Reached *reached;                     /* NULL in a `train` */
    Module *module;
    Program *program;
    Graph *graph;
    EntryItem *entry;
    Item *own;                          /* the entry's own body, as a model; or NULL */
    bool training;                      /* rule 58 */
    Map loops;                          /* Tensor * out of a `while` → struct Blame * */
    bool check;                         /* `check`: symbols nobody bound stay symbols, parameters may be unknown */
    VEC(Limit) limit;
    VEC(SettingExpr) setting;
    Instance *top;
    Map info;                           /* Item * → ModelInfo * */
    Map let;                            /* of this entry: Item * (ILet) → Value * */
    Map busy;                           /* lets being evaluated, so that a cycle ends */
    Map unknown;                        /* Symbol * → itself: parameters without a value, in `check` */
    Map owner;                          /* full path → Tensor * */
    Map now;                            /* of this entry: TState → the version it has now */
    Map written;                        /* TState → itself */
    Map origin;                         /* Tensor * → name of the entry that made it first */
    const char *config;                 /* prefix of -p settings for the config being built: "c." */
    int depth, instances, applications, levels;
    int64_t turns;
};

/* ---- value.c: compile-time values ----------------------------------------------------------------- */

Value no_value(void);
Value absent(void);                     /* a parameter not given */
bool  is_absent(const Value *v);
Value none_at(Span at);
Value int_value(Ctx *c, int64_t n);
Value dim_value(Dim d);
Value int_at(Act *a, int64_t n, Span at);               /* with an error where a number is too large to be a size */
Value float_value(double d);
Value bool_value(bool b);
Value str_value(Name s);
Value list_value(Value *item, int n);
Value of_tensor(Tensor *t);
bool  is_number(const Value *v);        /* VInt or VFloat */
bool  has_tensor(const Value *v);       /* is or contains one */
bool  has_poison(const Value *v);
bool  as_double(const Value *v, double *d);           /* of an int that is a number, a float, a bool */
char *value_text(Ctx *c, const Value *v);             /* for messages: "768", "[1, 2]", "float[B, 4]" */
char *value_kind(Ctx *c, const Value *v);             /* "an int", "a tensor" */
bool  value_equal(Ctx *c, const Value *a, const Value *b);
bool  dim_unknown(Elab *e, Dim d);      /* does it depend on a parameter without a value? */
bool  value_unknown(Elab *e, const Value *v);
/* Arithmetic and comparison of two numbers, neither a tensor. `x` says where: an EBinary or a call. */
Value number_op(Act *a, Op op, Value l, Value r, Span at);
Value size_tensor(Act *a, Dim d, Elem e);             /* a rank-0 node that is a size when the code runs */

/* ---- scope.c ---------------------------------------------------------------------------------------- */

Scope *scope_in(Ctx *c, Scope *up, bool keeps);
void   scope_reset(Scope *s);                         /* empty again: the next turn of a loop */
Var   *find_var(const Scope *s, Name n);
Var   *scope_declare(Ctx *c, Scope *s, Name n, VarKind k, Value v, Span at);
void   scope_assign(Act *a, Name n, Value v, Span at);
Item  *item_named(const Module *m, Name n);           /* what the file, its uses and the operators declare */
Item  *item_below(const Module *m, Name use, Name n);  /* `n.Linear` after `use nn as n` */
bool   is_capital(Name n);

/* ---- types.c ------------------------------------------------------------------------------------------ */

bool  is_compile_type(const TypeExpr *t);             /* rule 15: a parameter with it is compile-time */
/* The value of a parameter or field, made to have its type: an int for a float, one for each of [T; n].
 * `of` is whose it is, for messages. */
Value fit_param(Act *a, const Field *f, Value v, const char *of);
/* Is `v` of type `t`? Binds symbols and sequences first seen when `introduce`. Numbers become tensors.
 * Otherwise one error at v.at, and poison. `what` is its name and `of` the model's, or NULL. */
Value fit_tensor(Act *a, const TypeExpr *t, Value v, bool introduce, Name what, const char *of, Span decl);
/* The type a declaration asks for; false: some size is in error, or unknown. */
bool  type_of(Act *a, const TypeExpr *t, Type *out, bool introduce);
bool  list_type(Act *a, const TypeExpr *t, int64_t *count);   /* `[float[…]; n]` */
char *type_expr_text(Ctx *c, const TypeExpr *t);
bool  too_big(Elab *e, const Type *t, Name what, Span at);
Node *made_node(Act *a, const Type *t, Name hint, const char *op, Index **index);   /* element by element; its body is the caller's */
Value filled(Act *a, const Type *t, double v, Name hint);     /* a tensor of one number */
Value as_elem(Act *a, Value v, Elem e, Span at);              /* number or list becomes a tensor of type e */

/* ---- apply.c: models ---------------------------------------------------------------------------------- */

const ModelInfo *model_info(Elab *e, Item *m);
Value configure(Act *a, Item *m, const Expr *call);   /* the first list: a recipe */
/* Applies a recipe of a model. `call` gives the second list (NULL: none), `flow` the value of a chain. */
int   apply_model(Act *a, Recipe *r, const Expr *call, const Value *flow, const Path *as, Span at, Value **out);
int   run_model(Act *b, Value **out);                 /* its body, terminals bound */
Instance *instance_named(Act *a, Item *decl, Name below, Name key, Span at);
Name  path_below(Act *a, const Path *p);              /* "h.0.attn"; "" for `_`; NULL in error */
Name  path_join(Ctx *c, Name up, Name below);
Value instance_part(Act *a, Recipe *r, Name part, Span at);   /* b.x */
Act  *act_new(Act *up, Elab *e, Item *decl, Instance *in);
Value recipe_value(Recipe *r, Span at);

/* ---- fields.c ------------------------------------------------------------------------------------------- */

bool  has_field(const Item *decl, Name n);
char *args_text(Ctx *c, const Expr *call, const Arg *but);    /* the arguments as written, but one */

/* ---- instance.c ----------------------------------------------------------------------------------------- */

Instance *instance_at_path(Act *a, Item *decl, const Path *as);          /* NULL: reported */
Instance *instance_unnamed(Act *a, Item *decl, Span at);               /* rule 21 */

/* ---- list.c --------------------------------------------------------------------------------------------- */

Value list_of(Act *a, const Expr *x);
bool  too_long(Act *a, int64_t n, Span at);            /* a list; it was reported */
Value list_for(Act *a, const Expr *x);
Value list_index(Act *a, const Expr *x, Value list);

/* ---- call.c: ops, built-in functions, configs ------------------------------------------------------------ */

bool  takes_tensor(const Field *f);
int   call_op(Act *a, Recipe *r, const Expr *call, const Value *flow, Name hint, Value **out);
int   apply_op(Act *a, Item *op, Value *arg, Span at, Name hint, Value **out);   /* all bound */
Value call_config(Act *a, Item *config, const Expr *call);
bool  call_builtin(Act *a, const Expr *call, Name hint, Value *out);  /* len range reverse given int …: false: none of them */
Value convert(Act *a, Elem e, Value v, Span at, Name hint);
Value library_op(Act *a, const char *op, Value *arg, int n, Span at, Name hint);

/* ---- expr.c ------------------------------------------------------------------------------------------------ */

Value evaluate(Act *a, const Expr *x);
int   evaluate_all(Act *a, const Expr *x, const Path *as, Value **out);   /* every result of an application */
int   apply_recipe(Act *a, const Expr *x, Value f, const Value *flow, const Path *as, Value **out);
int   apply_flow(Act *a, const Expr *x, const Value *flow, const Path *as, Value **out);   /* a link of a chain */
Value evaluate_as(Act *a, const Expr *x, Name hint);
typedef struct Turns { int n; int64_t lo; Value *item; } Turns;         /* of a loop: lo, lo + 1 …, or the items */
bool  eval_turns(Act *a, const Expr *lo, const Expr *hi, Turns *t);     /* iter; false: poison, or reported */
Value turn_value(Ctx *c, const Turns *t, int i);
Tensor *eval_state(Act *a, const Expr *x);            /* its first version, or NULL */
Pick *eval_picks(Act *a, const Expr *x, bool *bad);   /* the subscripts of an EIndex */
Name  eval_text(Act *a, const Expr *str);             /* a string, its {…} filled in; NULL in error */
Value let_value(Elab *e, Item *let);
Value read_state(Elab *e, Value v);                   /* the version a state has now */
Value init_value(Act *a, const Expr *x, const Type *t);   /* an initialiser: VInit */

/* ---- stmt.c -------------------------------------------------------------------------------------------------- */

void  exec_body(Act *a, const Body *b);
void  exec(Act *a, Stmt *s);
void  declare_weight(Act *a, Stmt *s);                /* weight.c */
void  require(Act *a, const Stmt *s, const Expr *cond);             /* require.c */
void  run_lazy(Act *a, Var *v, Stmt *s);              /* a model's declaration, asked for by an entry's body */
void  set_inputs(Act *a, Stmt *s);

/* ---- export.c: one export, entry by entry ------------------------------------------------------------------- */

Value root_symbol(Act *a, Name n, Span at, bool first);           /* a symbol of the exported model's inputs */
Value root_input(Act *a, Name n, const TypeExpr *t, bool may_be_absent, Span at);
Tensor *copied(Act *a, Tensor *t, Name n);            /* a node that is `t` again */
Expr *parse_value(Ctx *c, const Source *src, int from);           /* parse_expr.c: one expression, to the end */
Program *flatten_export(Ctx *c, Module *m, Item *export_, Item *model, bool check, Reached *reached);

/* ---- versions.c ------------------------------------------------------------------------------------------------ */

void keep_old_versions(Elab *e);

/* ---- train.c --------------------------------------------------------------------------------------------------- */

void check_train(Ctx *c, Module *m, Item *train);
void minimize(Act *a, const Stmt *s);
void blame_loop(Act *a, const Stmt *loop, Name n, const Tensor *t);   /* `t` is what `n` is after this `while` */

#endif
