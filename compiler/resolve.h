/* resolve.h: what resolve.c (statements) and resolve_expr.c (names, expressions) share. Nothing else includes it. */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "compiler.h"

typedef enum LocalKind {
    LocalParameter, LocalSymbol, LocalInput, LocalOutput, LocalParam, LocalState, LocalBlock, LocalLet, LocalTurn,
    LocalValue, LocalIndex,
} LocalKind;

/* What an expression is, as far as it shows without shapes. Unknown is silent. */
typedef enum Nature { Unknown, Constant, Somevalue, Tensorial, AModel, ARecipe, AnInstance, AnOp, AConfig, AModule } Nature;
typedef struct Kind { Nature nature; Item *item; bool applied, fresh; } Kind;   /* fresh: an application that makes an instance */

/* One value given to a name, and the sets of those that may be its value at some point. Sets are trees that share. */
typedef struct Def { Name name; Span at, replaced; bool used, quiet; } Def;
typedef struct Reach { Def *def; struct Reach *a, *b; int n; bool used; } Reach;

typedef enum Given { NotGiven, PerhapsGiven, IsGiven } Given;
typedef struct Fact { Given given; const Stmt *branch; bool other; Span where; Reach *reach; } Fact;

typedef struct Local {
    Name name; Span at;
    LocalKind kind;
    Kind is;
    Fact fact;                          /* of outputs and values: what is known at this point of the text */
    bool turns;                         /* it differs from turn to turn of a loop around it */
    bool read;
    int last_read;
} Local;

typedef struct Scope {
    struct Scope *up;
    Map names;
    bool branch;                        /* of an `if`: what is assigned in it belongs further out */
} Scope;

typedef struct Change { Local *local; Fact before; } Change;
typedef struct Loop { const Stmt *stmt; struct Loop *up; } Loop;
typedef struct Branch { const Stmt *stmt; bool other; const struct Branch *up; } Branch;
typedef struct Named { struct Named *next; Span at; const Loop *loop; const Branch *branch; } Named;

typedef struct Chain { bool open; const Stmt *last, *cut; Span cut_at; bool second; } Chain;

typedef struct Resolver {
    Ctx *c;
    Module *m;
    Item *item;
    Scope *scope;
    Loop *loop;
    const Branch *branch;
    Chain chain;
    VEC(Change) changes;                /* undone after a branch */
    VEC(Local *) locals;
    VEC(Def *) defs;
    Map names;                          /* paths of instances and parameters → Named, a list */
    Map unnamed;                        /* model → the first instance without a name */
    const Stmt *stmt;                   /* under way, for suggestions */
    int reads;
    bool quiet;                         /* something did not parse: an unknown name may be its echo */
    bool indexed, train;
} Resolver;

/* resolve_expr.c */
Local *find_local(const Resolver *r, Name n);
Local *declare_local(Resolver *r, Name n, Span at, LocalKind k, Kind is);
Item  *find_item(const Resolver *r, Name n);
void   unknown_name(Resolver *r, Name n, Span at, bool in_dims);
void   set_fact(Resolver *r, Local *l, Fact f);
Reach *reach_join(Ctx *c, Reach *a, Reach *b);
void   mark_used(Reach *reach);
Kind   resolve_expr(Resolver *r, const Expr *e);
Kind   resolve_applied(Resolver *r, const Expr *e, const Path *as);       /* an expression that `as` may follow */
void   resolve_path(Resolver *r, const Path *p);
void   resolve_type(Resolver *r, const TypeExpr *t, bool introduces);
void   resolve_dims(Resolver *r, const DimList *d, bool introduces);
void   introduce_indices(Resolver *r, const DimList *d);
void   resolve_index_list(Resolver *r, const DimList *d);
void   name_instance(Resolver *r, const Path *p, const char *what, const Expr *applied);
void   unnamed_instance(Resolver *r, const Expr *e, Item *model);
bool   has_weights(Resolver *r, Item *model);
void   not_applied(Resolver *r, const Expr *e, Span as, const Path *path);
bool   varies(Resolver *r, const Expr *e);      /* from turn to turn */

#endif
