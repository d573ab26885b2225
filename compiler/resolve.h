/* resolve.h: what the files named resolve*.c share. Nothing else includes it. */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "compiler.h"

typedef enum LocalKind {
    LocalParameter, LocalSymbol, LocalInput, LocalOutput, LocalParam, LocalState, LocalBlock,
    LocalLet, LocalTurn, LocalValue, LocalIndex,
} LocalKind;

/* What an expression is, as far as it shows without shapes. Unclear is silent. */
typedef enum Nature {
    Unclear, Constant, Somevalue, Tensorial, AModel, ARecipe, AnInstance, AnOp, AConfig, AModule,
} Nature;
typedef struct Kind {
    Nature nature;
    Item *item;
    bool applied;
} Kind;

/* One value given to a name, and the sets of those that may be its value at some point: trees that
 * share. */
typedef struct Def { Name name; Span at, replaced; bool used, quiet; } Def;
typedef struct ReachSet { Def *def; struct ReachSet *a, *b; int n; bool used; } ReachSet;

typedef enum Certainty { NotGiven, PerhapsGiven, IsGiven } Certainty;
typedef struct Fact {
    Certainty given;
    const Stmt *branch;                 /* PerhapsGiven: only in this, or in its other part */
    bool other;
    Span where;
    ReachSet *reach;
} Fact;

typedef struct Local {
    Name name; Span at;
    LocalKind kind;
    Kind is;
    Fact fact;                          /* of outputs and values: what is known at this point */
    bool turns;                         /* it differs from turn to turn of a loop around it */
    bool read;
    int last_read;
} Local;

typedef struct NameScope {
    struct NameScope *up;
    Map names;
    bool branch;                        /* of an `if`: what is assigned in it belongs further out */
} NameScope;

typedef struct Change { Local *local; Fact before; } Change;
typedef struct OuterLoop { const Stmt *stmt; struct OuterLoop *up; } OuterLoop;
typedef struct Branch { const Stmt *stmt; bool other; const struct Branch *up; } Branch;
typedef struct NamedOnce {
    struct NamedOnce *next;
    Span at;
    const OuterLoop *loop;
    const Branch *branch;
} NamedOnce;

typedef struct Chain { bool open; const Stmt *last, *cut; Span cut_at; bool second; } Chain;

typedef struct Resolver {
    Ctx *c;
    Module *m;
    Item *item;
    NameScope *scope;
    OuterLoop *loop;
    const Branch *branch;
    Chain chain;
    VEC(Change) changes;                /* undone after a branch */
    VEC(Local *) locals;
    VEC(Def *) defs;
    Map names;                          /* of instances and parameters → NamedOnce, a list */
    Map unnamed;                        /* model → the first instance without a name */
    const Stmt *stmt;                   /* under way, for suggestions */
    int reads;
    bool quiet;                         /* not all parsed: an unknown name may be its echo */
    bool indexed, train;
} Resolver;

/* resolve_name.c */
bool   among(const char *const *list, int n, const char *s);
Local *find_local(const Resolver *r, Name n);
Local *declare_local(Resolver *r, Name n, Span at, LocalKind k, Kind is);
Item  *find_item(const Resolver *r, Name n);
void   unknown_name(Resolver *r, Name n, Span at, bool in_dims);
void   set_fact(Resolver *r, Local *l, Fact f);
ReachSet *reach_join(Ctx *c, ReachSet *a, ReachSet *b);
void   mark_used(ReachSet *reach);
Kind   of_item(Resolver *r, Item *it, Span at);
Kind   resolve_name(Resolver *r, const Expr *e, bool in_dims);
void   resolve_type_name(Resolver *r, Name n, Span at);

/* resolve_instance.c */
bool   varies(Resolver *r, const Expr *e);      /* from turn to turn */
bool   has_weights(Resolver *r, Item *model);
void   name_instance(Resolver *r, const Path *p, const char *what, const Expr *applied);
void   unnamed_instance(Resolver *r, const Expr *e, Item *model);
void   not_applied(Resolver *r, const Expr *e, Span as, const Path *path);
void   resolve_path(Resolver *r, const Path *p);
Kind   resolve_as(Resolver *r, const Expr *e);

/* resolve_expr.c */
Kind   resolve_expr(Resolver *r, const Expr *e);
Kind   resolve_applied(Resolver *r, const Expr *e, const Path *as);     /* `as` may follow it */
void   resolve_type(Resolver *r, const TypeExpr *t, bool introduces);
void   resolve_dims(Resolver *r, const DimList *d, bool introduces);
void   introduce_indices(Resolver *r, const DimList *d);
void   resolve_index_list(Resolver *r, const DimList *d);

/* resolve_stmt.c */
void   resolve_body(Resolver *r, const Body *b);
void   give_value(Resolver *r, Local *l, Span at, bool quiet);

#endif
