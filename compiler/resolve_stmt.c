/* resolve_stmt.c: statements: which names they give values to, on which paths. See resolve.c. */
#include "resolve.h"

#include <string.h>

/* ---- giving values */

void give_value(Resolver *r, Local *l, Span at, bool quiet) {
    Ctx *c = r->c;
    Def *d = NEW(c, Def);
    ReachSet *leaf = NEW(c, ReachSet);
    *d = (Def){.name = l->name, .at = at, .quiet = quiet};
    *leaf = (ReachSet){.def = d, .n = 1};
    push(c, &r->defs, d);
    ReachSet *old = l->fact.reach;
    if (old && old->def && !old->def->replaced.src)
        old->def->replaced = at;
    Fact f = {.given = IsGiven, .where = at, .reach = leaf};
    set_fact(r, l, f);
}

static const char *kind_text(LocalKind k) {
    static const char *const text[] = {
        [LocalParameter] = "a parameter", [LocalSymbol] = "a dimension", [LocalInput] = "an input",
        [LocalOutput] = "an output",      [LocalParam] = "a parameter",  [LocalState] = "a state",
        [LocalBlock] = "a block",         [LocalLet] = "a `let`",        [LocalValue] = "a value",
        [LocalIndex] = "an index",        [LocalTurn] = "the variable of a loop",
    };
    return text[k];
}

/* Rule 8: what is assigned in an `if` belongs to the body, or the loop, around it. */
static Local *home_of(Resolver *r, Name n, Span at, Kind is) {
    NameScope *here = r->scope;
    while (r->scope->branch && r->scope->up)
        r->scope = r->scope->up;
    Local *l = declare_local(r, n, at, LocalValue, is);
    r->scope = here;
    return l;
}

static void assign_name(Resolver *r, Name n, Span at, Kind is) {
    Ctx *c = r->c;
    if (n[0] == '_' && !n[1])
        return;
    Local *l = find_local(r, n);
    if (!l)
        l = home_of(r, n, at, is);
    else if (l->kind == LocalState) {
        error_at(c, at, "`%s` is a state; it is written with `<-`", n);
        return;
    } else if (l->kind != LocalValue && l->kind != LocalOutput) {
        error_at(c, at, "`%s` is %s and cannot be assigned; use another name", n,
                 kind_text(l->kind));
        return;
    } else if (l->is.nature != is.nature || is.nature == Unclear)
        l->is = (Kind){.nature = Unclear};
    if (r->loop)
        l->turns = true;
    give_value(r, l, at, false);
}

/* ---- branches and loops */

typedef struct After { Local *local; Fact fact; } After;
typedef VEC(After) Afters;

/* Undoes the changes since `mark`, and gives what they had led to: the newest of each name. */
static Afters undo(Resolver *r, int mark) {
    Afters after = {0};
    Map seen = {0};
    while (r->changes.n > mark) {
        Change ch = r->changes.at[--r->changes.n];
        if (!map_get(&seen, ch.local)) {
            map_put(r->c, &seen, ch.local, ch.local);
            push(r->c, &after, ((After){ch.local, ch.local->fact}));
        }
        ch.local->fact = ch.before;
    }
    return after;
}

/* What is known of a name after two ways: x on the one, y on the other. */
static Fact merged(Resolver *r, Fact x, Fact y, const Stmt *s) {
    Fact f = x.given >= y.given ? x : y;
    f.reach = reach_join(r->c, x.reach, y.reach);
    if (x.given == y.given && x.given != PerhapsGiven)
        return f;
    if (x.given != PerhapsGiven && y.given != PerhapsGiven) {
        f.branch = s;
        f.other = y.given > x.given;
    } else
        f = (Fact){.given = PerhapsGiven,
                   .branch = x.given == PerhapsGiven ? x.branch : y.branch,
                   .other = x.given == PerhapsGiven ? x.other : y.other,
                   .where = x.given == PerhapsGiven ? x.where : y.where,
                   .reach = f.reach};
    f.given = PerhapsGiven;
    return f;
}

static void merge(Resolver *r, Afters a, Afters b, const Stmt *s) {
    Map in_a = {0};
    for (int i = 0; i < a.n; i++)
        map_put(r->c, &in_a, a.at[i].local, &a.at[i].fact);
    for (int i = 0; i < b.n; i++) {
        Local *l = b.at[i].local;
        const Fact *x = map_get(&in_a, l);
        Fact before = l->fact;
        set_fact(r, l, merged(r, x ? *x : before, b.at[i].fact, s));
        map_put(r->c, &in_a, l, NULL);
    }
    for (int i = 0; i < a.n; i++) {
        Local *l = a.at[i].local;
        if (map_get(&in_a, l))
            set_fact(r, l, merged(r, a.at[i].fact, l->fact, s));
    }
}

static void in_scope(Resolver *r, const Body *b, bool branch) {
    NameScope inner = {.up = r->scope, .branch = branch};
    r->scope = &inner;
    resolve_body(r, b);
    r->scope = inner.up;
}

/* ---- chains (rules 24 to 26) */

static bool is_declaration(const Stmt *s) {
    return s->kind == SIn || s->kind == SOut || s->kind == SParam || s->kind == SState ||
           s->kind == SBlock || s->kind == SLet || s->kind == SRequire;
}

/* Does the value of a chain flow into this block? Its first statement, declarations aside, is `+=`,
 * or again such a `for` or `if`. */
static bool goes_on(const Body *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (is_declaration(s))
            continue;
        if (s->kind == SChain)
            return !s->start;
        return (s->kind == SFor || s->kind == SIf) && (goes_on(&s->body) || goes_on(&s->other));
    }
    return false;
}

static const Stmt *chain_start_in(const Body *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == SChain && s->start)
            return s;
        const Stmt *inner = chain_start_in(&s->body);
        if (!inner)
            inner = chain_start_in(&s->other);
        if (inner)
            return inner;
    }
    return NULL;
}

static void chain_ended(Resolver *r, const Stmt *by) {
    if (!r->chain.open)
        return;
    const Stmt *second = by->kind == SIf || by->kind == SFor ? chain_start_in(&by->body) : NULL;
    if (!second && by->kind == SIf)
        second = chain_start_in(&by->other);
    r->chain.open = false;
    r->chain.cut = by;
    r->chain.second = second != NULL;
    r->chain.cut_at = second ? second->op_at : by->at;
}

/* `relu()` continuing from z is `relu(z)`; `Linear(4)` is `Linear(4)(z)`. */
static char *applied_to(Resolver *r, const Expr *e, const char *z) {
    char *text = source_text(r->c, e->at);
    size_t n = strlen(text);
    Kind k = {.nature = Unclear};
    if (e->kind == ECall && e->kid[0]->kind == EName) {
        Item *it = find_item(r, e->kid[0]->name);
        if (it && it->kind == IModel)
            k.nature = AModel;
    }
    if (k.nature == AModel || e->kind != ECall || n < 2)
        return format(r->c, "%s(%s)", text, z);
    return format(r->c, "%.*s%s%s)", (int)n - 1, text, text[n - 2] == '(' ? "" : ", ", z);
}

static void nothing_to_continue(Resolver *r, const Stmt *s) {
    Ctx *c = r->c;
    const Chain *ch = &r->chain;
    error_at(c, s->op_at, "`+=` has nothing to continue from");
    if (!ch->last) {
        help(c, "a chain begins with `|=`");
        return;
    }
    const char *where = ch->cut && ch->cut->kind == SFor ? "loop" : "branch";
    if (ch->second)
        note_at(c, ch->cut_at, "a second chain starts in this %s, so the first ends before it",
                where);
    else if (ch->cut)
        note_at(c, ch->cut_at, "this statement ends the chain");
    const char *z = find_local(r, name(c, "z")) ? "end" : "z";
    help(c, "give the first chain's end a name, `%s -> %s`, and start again with `|= %s`",
         source_text(c, ch->last->at), z, applied_to(r, s->e, z));
}

static void chain_stmt(Resolver *r, const Stmt *s) {
    Ctx *c = r->c;
    bool lost = !s->start && !r->chain.open;
    if (lost && !r->quiet)
        nothing_to_continue(r, s);
    Kind k = resolve_applied(r, s->e, s->named ? &s->path : NULL);
    bool model = k.item && k.item->kind == IModel;
    if (k.nature == ARecipe && model && !s->named)
        unnamed_instance(r, s->e, k.item);
    if (s->named) {
        resolve_path(r, &s->path);
        if (k.applied || k.nature == ARecipe || k.nature == AnInstance || k.nature == Unclear)
            name_instance(r, &s->path, "an instance", s->e);
        else
            not_applied(r, s->e, (Span){s->at.src, s->e->at.to + 1, s->path.at.to}, &s->path);
    }
    if (k.nature == AModel) {
        error_at(c, s->e->at, "%s still needs its parameters: `%s()`", k.item->name, k.item->name);
    } else if (!s->start && s->e->kind != ECall && (k.nature == Constant || k.nature == Tensorial))
        error_at(c, s->e->at, "`+=` continues with a block, found %s",
                 k.nature == Constant ? "a constant" : "a tensor");
    for (int i = 0; i < s->nleft; i++)
        assign_name(r, s->left[i].e->name, s->left[i].e->at, (Kind){.nature = Tensorial});
    r->chain = (Chain){.open = true, .last = s};
}

/* ---- statements */

static void in_stmt(Resolver *r, const Stmt *s) {
    resolve_type(r, s->type, true);
    if (s->e)
        resolve_expr(r, s->e);
    if (s->name)
        declare_local(r, s->name, s->name_at, LocalInput, (Kind){.nature = Tensorial});
}

static void out_stmt(Resolver *r, const Stmt *s) {
    resolve_type(r, s->type, false);
    if (s->name)
        declare_local(r, s->name, s->name_at, LocalOutput, (Kind){.nature = Tensorial});
}

static void held_stmt(Resolver *r, const Stmt *s) {
    resolve_type(r, s->type, false);
    if (s->e)
        resolve_expr(r, s->e);
    if (s->named)
        resolve_path(r, &s->path);
    if (!s->name)
        return;
    Path own = {.at = s->name_at};
    name_instance(r, s->named ? &s->path : &own, s->kind == SParam ? "a parameter" : "a state",
                  NULL);
    declare_local(r, s->name, s->name_at, s->kind == SParam ? LocalParam : LocalState,
                  (Kind){.nature = Tensorial});
}

static void block_stmt(Resolver *r, const Stmt *s) {
    NameScope inner = {.up = r->scope};
    if (s->lo)
        resolve_expr(r, s->lo);
    if (s->hi)
        resolve_expr(r, s->hi);
    r->scope = &inner;
    if (s->name2)
        declare_local(r, s->name2, s->name_at, LocalTurn, (Kind){.nature = Constant})->turns = true;
    Kind k = s->e ? resolve_expr(r, s->e) : (Kind){.nature = Unclear};
    if (s->named)
        resolve_path(r, &s->path);
    r->scope = inner.up;
    if (k.nature == AModel)
        error_at(r->c, s->e->at, "%s still needs its parameters: `%s()`", k.item->name,
                 k.item->name);
    else if (k.applied) {
        error_at(r->c, s->e->at, "`block` takes a model with its parameters, not what it gives");
        help(r->c, "`block %s = %s`", s->name, source_text(r->c, s->e->kid[0]->at));
    } else if (k.nature == Constant || k.nature == Tensorial)
        error_at(r->c, s->e->at, "`block` takes a model with its parameters, found a value");
    if (!s->name)
        return;
    Path own = {.at = s->name_at};
    if (k.nature != AnInstance && !s->name2)
        name_instance(r, s->named ? &s->path : &own, "an instance", NULL);
    bool model = k.item && k.item->kind == IModel;
    declare_local(r, s->name, s->name_at, LocalBlock,
                  (Kind){.nature = AnInstance, .item = model ? k.item : NULL});
}

static void let_stmt(Resolver *r, const Stmt *s) {
    resolve_type(r, s->type, false);
    Kind k = s->e ? resolve_expr(r, s->e) : (Kind){.nature = Unclear};
    bool turns = varies(r, s->e);
    if (!s->name)
        return;
    Local *l = declare_local(r, s->name, s->name_at, LocalLet, k);
    l->turns = turns;
    give_value(r, l, s->name_at, false);
}

static void require_stmt(Resolver *r, const Stmt *s) {
    resolve_expr(r, s->e);
    if (s->message)
        resolve_expr(r, s->message);
}

/* s <- e   b.s <- e   s[…] <- e */
static void write_state(Resolver *r, const Expr *to) {
    const Expr *x = to;
    resolve_expr(r, to);
    while (x->kind == EIndex)
        x = x->kid[0];
    if (x->kind != EName)
        return;
    Local *l = find_local(r, x->name);
    if (!l || l->kind == LocalState)
        return;
    error_at(r->c, to->at, "`<-` writes a state, and `%s` is %s", x->name, kind_text(l->kind));
    if (l->kind == LocalValue || l->kind == LocalOutput)
        help(r->c, "`%s = …` gives a value to a name", x->name);
}

/* m[..., t] = e: an intermediate of an indexed op (rule 68) */
static void assign_indexed(Resolver *r, const Expr *to, Kind k) {
    NameScope inner = {.up = r->scope};
    r->scope = &inner;
    for (int i = 0; i < to->nsub; i++)
        if (to->sub[i].a)
            resolve_expr(r, to->sub[i].a->kind == EPack ? to->sub[i].a->kid[0] : to->sub[i].a);
    r->scope = inner.up;
    if (to->kid[0]->kind == EName)
        assign_name(r, to->kid[0]->name, to->kid[0]->at, k);
}

static void assign_to(Resolver *r, const Ref *left, Kind k) {
    resolve_type(r, left->type, true);
    if (left->e->kind == EName)
        assign_name(r, left->e->name, left->e->at, k);
    else if (left->e->kind == EIndex && r->indexed)
        assign_indexed(r, left->e, k);
    else {
        error_at(r->c, left->e->at, "only a name is given a value with `=`");
        help(r->c, "a state, or a part of it, is written with `<-`");
    }
}

static void assign_stmt(Resolver *r, const Stmt *s) {
    Ctx *c = r->c;
    Kind k = {.nature = Unclear};
    if (s->e)
        k = resolve_applied(r, s->e, s->named ? &s->path : NULL);
    if (s->named) {
        resolve_path(r, &s->path);
        if (k.applied || (k.nature == Unclear && s->e->kind == ECall))
            name_instance(r, &s->path, "an instance", s->e);
        else if (k.nature == ARecipe) {
            error_at(c, s->e->at, "`%s` is a block that is not applied", source_text(c, s->e->at));
            help(c, "apply it, `%s(…)`, or declare it: `block`", source_text(c, s->e->at));
            k.nature = Unclear;
        } else if (!s->broken) {
            Span as = {s->at.src, s->e->at.to, s->path.at.to};
            while (as.src->text[as.from] == ' ')
                as.from++;
            not_applied(r, s->e, as, &s->path);
        }
    } else if (k.nature == AModel) {
        error_at(c, s->e->at,
                 "a model is not a value; apply it, or declare an instance: `block %s = %s()`",
                 source_text(c, s->left[0].at), k.item->name);
    }
    for (int i = 0; i < s->nleft; i++) {
        if (s->start)
            write_state(r, s->left[i].e);
        else
            assign_to(r, &s->left[i],
                      s->nleft > 1 || k.nature == ARecipe || k.nature == AModel
                          ? (Kind){.nature = Unclear}
                          : k);
    }
}

static void if_stmt(Resolver *r, const Stmt *s) {
    resolve_expr(r, s->e);
    int mark = r->changes.n;
    const Branch *up = r->branch;
    Branch then = {s, false, up}, other = {s, true, up};
    Chain before = r->chain;
    r->branch = &then;
    if (!goes_on(&s->body))
        r->chain = (Chain){0};
    in_scope(r, &s->body, true);
    Chain after = r->chain;
    Afters a = undo(r, mark);
    r->branch = &other;
    r->chain = goes_on(&s->other) ? before : (Chain){0};
    in_scope(r, &s->other, true);
    Afters b = undo(r, mark);
    if (goes_on(&s->other) && (!goes_on(&s->body) || !r->chain.open))
        after = r->chain;
    merge(r, a, b, s);
    r->branch = up;
    r->chain = goes_on(&s->body) || goes_on(&s->other) ? after : before;
}

/* A name read in a loop before it gets its next value reads what the turn before gave. */
static void carry(const Afters *end, int reads) {
    for (int i = 0; i < end->n; i++)
        if (end->at[i].local->last_read > reads)
            mark_used(end->at[i].fact.reach);
}

static void yielded_names(Resolver *r, const Body *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == SYield && s->name)
            assign_name(r, s->name, s->name_at, (Kind){.nature = Tensorial});
        if (s->kind == SIf)
            yielded_names(r, &s->body), yielded_names(r, &s->other);
    }
}

/* for, scan, while: the body may run again, and, but for `for`, may not run at all. */
static void loop_stmt(Resolver *r, const Stmt *s) {
    if (s->e)
        resolve_expr(r, s->e);
    if (s->lo)
        resolve_expr(r, s->lo);
    if (s->hi)
        resolve_expr(r, s->hi);
    int mark = r->changes.n, reads = r->reads;
    OuterLoop loop = {s, r->loop};
    NameScope inner = {.up = r->scope};
    Chain before = r->chain;
    bool flows = s->kind == SFor && goes_on(&s->body);
    if (!flows)
        r->chain = (Chain){0};
    r->loop = &loop;
    r->scope = &inner;
    if (s->name)
        declare_local(r, s->name, s->name_at, LocalTurn, (Kind){.nature = Unclear})->turns =
            s->kind == SFor;
    if (s->name2)
        declare_local(r, s->name2, s->name_at, LocalTurn, (Kind){.nature = Unclear})->turns =
            s->kind == SFor;
    resolve_body(r, &s->body);
    r->loop = loop.up;
    r->scope = inner.up;
    Afters end = undo(r, mark);
    carry(&end, reads);
    for (int i = 0; i < end.n; i++) {
        Local *l = end.at[i].local;
        Fact f = merged(r, end.at[i].fact, l->fact, s);
        if (s->kind == SFor && end.at[i].fact.given == IsGiven)
            f.given = IsGiven; /* no turns at all: flatten knows */
        set_fact(r, l, f);
    }
    if (s->kind == SScan)
        yielded_names(r, &s->body);
    if (!flows)
        r->chain = before;
}

static bool in_scan(const Resolver *r) {
    for (const OuterLoop *l = r->loop; l; l = l->up)
        if (l->stmt->kind == SScan)
            return true;
    return false;
}

static void yield_stmt(Resolver *r, const Stmt *s) {
    if (s->e)
        resolve_expr(r, s->e);
    if (s->along)
        resolve_expr(r, s->along);
    if (!in_scan(r))
        error_at(r->c, s->at, "`yield` stacks one value a turn, and stands in a `scan`");
}

static void return_stmt(Resolver *r, const Stmt *s) {
    for (int i = 0; i < s->nvalue; i++)
        resolve_expr(r, s->value[i]);
    if (r->item->kind == IOp || r->item->kind == IGradient)
        return;
    error_at(r->c, s->at, "`return` stands in an op; a model gives values to its outputs");
}

static void metric_stmt(Resolver *r, const Stmt *s) {
    if (s->e)
        resolve_expr(r, s->e);
    if (s->name)
        declare_local(r, s->name, s->name_at, LocalLet, (Kind){.nature = Tensorial})->read = true;
}

/* Rule 60: `p`, `grad` and `step` of an optimiser are bound by `minimize`. */
static void minimize_stmt(Resolver *r, const Stmt *s) {
    if (s->e)
        resolve_expr(r, s->e);
    for (int i = 0; i < s->nsetting; i++)
        if (s->setting[i].init)
            resolve_expr(r, s->setting[i].init);
    for (int i = 0; i < s->ngroup; i++) {
        const Group *g = &s->group[i];
        for (int k = 0; k < g->n; k++) {
            Kind t = resolve_expr(r, g->target[k].e);
            if (t.nature == Constant || t.nature == ARecipe || t.nature == AModel)
                error_at(r->c, g->target[k].at,
                         "only the weights of a block, or a parameter, can be trained");
            if (g->glob[k])
                resolve_expr(r, g->glob[k]);
        }
        if (g->with)
            resolve_applied(r, g->with, &s->path);
    }
}

/* What is left of a statement that did not parse: its names have values, whatever they are. */
static void salvage(Resolver *r, const Stmt *s) {
    if (s->kind == SIn || s->kind == SOut || s->kind == SParam || s->kind == SState ||
        s->kind == SBlock || s->kind == SLet) {
        if (s->name && !find_local(r, s->name))
            declare_local(r, s->name, s->name_at, s->kind == SOut ? LocalOutput : LocalLet,
                          (Kind){.nature = Unclear});
        return;
    }
    for (int i = 0; i < s->nleft; i++) {
        const Expr *e = s->left[i].e;
        while (e->kind == EIndex || e->kind == EAttr)
            e = e->kid[0];
        Local *l = find_local(r, e->name);
        if (!s->start || s->kind == SChain) {
            if (!l)
                l = home_of(r, e->name, e->at, (Kind){.nature = Unclear});
            if (l->kind == LocalValue || l->kind == LocalOutput)
                give_value(r, l, e->at, true);
        }
    }
    if (s->kind == SChain)
        r->chain = (Chain){.open = true, .last = s};
}

static void resolve_stmt(Resolver *r, const Stmt *s) {
    static void (*const by_kind[])(Resolver *, const Stmt *) = {
        [SIn] = in_stmt,         [SOut] = out_stmt,       [SParam] = held_stmt,
        [SState] = held_stmt,    [SBlock] = block_stmt,   [SLet] = let_stmt,
        [SChain] = chain_stmt,   [SAssign] = assign_stmt, [SRequire] = require_stmt,
        [SIf] = if_stmt,         [SFor] = loop_stmt,      [SScan] = loop_stmt,
        [SWhile] = loop_stmt,    [SYield] = yield_stmt,   [SReturn] = return_stmt,
        [SMetric] = metric_stmt, [SMinimize] = minimize_stmt,
    };
    bool flows = s->kind == SChain || is_declaration(s) || (s->kind == SFor && goes_on(&s->body)) ||
                 (s->kind == SIf && (goes_on(&s->body) || goes_on(&s->other)));
    if (s->broken)
        salvage(r, s);
    else {
        r->stmt = s;
        by_kind[s->kind](r, s);
    }
    if (!flows)
        chain_ended(r, s);
}

void resolve_body(Resolver *r, const Body *b) {
    for (int i = 0; i < b->n; i++)
        resolve_stmt(r, b->at[i]);
}
