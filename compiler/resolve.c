/* resolve.c: every name in every body is looked up, and what can be said without shapes is said.
 *
 * needs: modules whose tables of names are complete. gives: diagnostics, nothing else; so code that no elaboration
 * reaches is checked as well. One walk over a body in the order of its text keeps, for each name, whether it has a
 * value here (on every path, on some, on none: rule 9), which values those may be (so that one nobody reads is found),
 * whether a chain can be continued (rule 25), and which instances have been named (rules 19 to 22). Rules 5 to 9, 36, 43 to 47. */
#include "resolve.h"

#include <ctype.h>
#include <string.h>

static void resolve_body(Resolver *r, const Body *b);

/* ---- giving values -------------------------------------------------------------------------------- */

static void give(Resolver *r, Local *l, Span at, bool quiet)
{
    Ctx *c = r->c;
    Def *d = NEW(c, Def);
    Reach *leaf = NEW(c, Reach);
    *d = (Def){ .name = l->name, .at = at, .quiet = quiet };
    *leaf = (Reach){ .def = d, .n = 1 };
    push(c, &r->defs, d);
    Reach *old = l->fact.reach;
    if (old && old->def && !old->def->replaced.src) old->def->replaced = at;
    Fact f = { .given = IsGiven, .where = at, .reach = leaf };
    set_fact(r, l, f);
}

static const char *kind_text(LocalKind k)
{
    static const char *const text[] = {
        [LocalParameter] = "a parameter", [LocalSymbol] = "a dimension", [LocalInput] = "an input", [LocalOutput] = "an output",
        [LocalParam] = "a parameter", [LocalState] = "a state", [LocalBlock] = "a block", [LocalLet] = "a `let`",
        [LocalTurn] = "the variable of a loop", [LocalValue] = "a value", [LocalIndex] = "an index",
    };
    return text[k];
}

/* Rule 8: what is assigned in an `if` belongs to the body, or the loop, around it. */
static Local *home_of(Resolver *r, Name n, Span at, Kind is)
{
    Scope *here = r->scope;
    while (r->scope->branch && r->scope->up) r->scope = r->scope->up;
    Local *l = declare_local(r, n, at, LocalValue, is);
    r->scope = here;
    return l;
}

static void assign_name(Resolver *r, Name n, Span at, Kind is)
{
    Ctx *c = r->c;
    if (n[0] == '_' && !n[1]) return;
    Local *l = find_local(r, n);
    if (!l) l = home_of(r, n, at, is);
    else if (l->kind == LocalState) {
        error_at(c, at, "`%s` is a state; it is written with `<-`", n);
        return;
    } else if (l->kind != LocalValue && l->kind != LocalOutput) {
        error_at(c, at, "`%s` is %s and cannot be assigned; use another name", n, kind_text(l->kind));
        return;
    } else if (l->is.nature != is.nature || is.nature == Unknown) l->is = (Kind){ .nature = Unknown };
    if (r->loop) l->turns = true;
    give(r, l, at, false);
}

/* ---- branches and loops --------------------------------------------------------------------------- */

typedef struct After { Local *local; Fact fact; } After;
typedef VEC(After) Afters;

/* Undoes the changes since `mark`, and gives what they had led to: the newest of each name. */
static Afters undo(Resolver *r, int mark)
{
    Afters after = { 0 };
    Map seen = { 0 };
    while (r->changes.n > mark) {
        Change ch = r->changes.at[--r->changes.n];
        if (!map_get(&seen, ch.local)) {
            map_put(r->c, &seen, ch.local, ch.local);
            push(r->c, &after, ((After){ ch.local, ch.local->fact }));
        }
        ch.local->fact = ch.before;
    }
    return after;
}

/* What is known of a name after two ways: x on the one, y on the other. */
static Fact merged(Resolver *r, Fact x, Fact y, const Stmt *s)
{
    Fact f = x.given >= y.given ? x : y;
    f.reach = reach_join(r->c, x.reach, y.reach);
    if (x.given == y.given && x.given != PerhapsGiven) return f;
    if (x.given != PerhapsGiven && y.given != PerhapsGiven) {
        f.branch = s;
        f.other = y.given > x.given;
    } else f = (Fact){ .given = PerhapsGiven, .branch = x.given == PerhapsGiven ? x.branch : y.branch,
                       .other = x.given == PerhapsGiven ? x.other : y.other,
                       .where = x.given == PerhapsGiven ? x.where : y.where, .reach = f.reach };
    f.given = PerhapsGiven;
    return f;
}

static void merge(Resolver *r, Afters a, Afters b, const Stmt *s)
{
    Map in_a = { 0 };
    for (int i = 0; i < a.n; i++) map_put(r->c, &in_a, a.at[i].local, &a.at[i].fact);
    for (int i = 0; i < b.n; i++) {
        Local *l = b.at[i].local;
        const Fact *x = map_get(&in_a, l);
        Fact before = l->fact;
        set_fact(r, l, merged(r, x ? *x : before, b.at[i].fact, s));
        map_put(r->c, &in_a, l, NULL);
    }
    for (int i = 0; i < a.n; i++) {
        Local *l = a.at[i].local;
        if (map_get(&in_a, l)) set_fact(r, l, merged(r, a.at[i].fact, l->fact, s));
    }
}

static void in_scope(Resolver *r, const Body *b, bool branch)
{
    Scope inner = { .up = r->scope, .branch = branch };
    r->scope = &inner;
    resolve_body(r, b);
    r->scope = inner.up;
}

/* ---- chains (rules 24 to 26) ---------------------------------------------------------------------- */

static bool is_declaration(const Stmt *s)
{
    return s->kind == SIn || s->kind == SOut || s->kind == SParam || s->kind == SState || s->kind == SBlock ||
           s->kind == SLet || s->kind == SRequire;
}

/* Does the value of a chain flow into this block? Its first statement, declarations aside, is `+=`, or again such a `for` or `if`. */
static bool goes_on(const Body *b)
{
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (is_declaration(s)) continue;
        if (s->kind == SChain) return !s->start;
        return (s->kind == SFor || s->kind == SIf) && (goes_on(&s->body) || goes_on(&s->other));
    }
    return false;
}

static const Stmt *chain_start_in(const Body *b)
{
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == SChain && s->start) return s;
        const Stmt *inner = chain_start_in(&s->body);
        if (!inner) inner = chain_start_in(&s->other);
        if (inner) return inner;
    }
    return NULL;
}

static void end_chain(Resolver *r, const Stmt *by)
{
    if (!r->chain.open) return;
    const Stmt *second = by->kind == SIf || by->kind == SFor ? chain_start_in(&by->body) : NULL;
    if (!second && by->kind == SIf) second = chain_start_in(&by->other);
    r->chain.open = false;
    r->chain.cut = by;
    r->chain.second = second != NULL;
    r->chain.cut_at = second ? second->op_at : by->at;
}

/* `relu()` continuing from z is `relu(z)`; `Linear(4)` is `Linear(4)(z)`. */
static char *applied_to(Resolver *r, const Expr *e, const char *z)
{
    char *text = source_text(r->c, e->at);
    size_t n = strlen(text);
    Kind k = { .nature = Unknown };
    if (e->kind == ECall && e->kid[0]->kind == EName) {
        Item *it = find_item(r, e->kid[0]->name);
        if (it && it->kind == IModel) k.nature = AModel;
    }
    if (k.nature == AModel || e->kind != ECall || n < 2) return format(r->c, "%s(%s)", text, z);
    return format(r->c, "%.*s%s%s)", (int)n - 1, text, text[n - 2] == '(' ? "" : ", ", z);
}

static void nothing_to_continue(Resolver *r, const Stmt *s)
{
    Ctx *c = r->c;
    const Chain *ch = &r->chain;
    error_at(c, s->op_at, "`+=` has nothing to continue from");
    if (!ch->last) {
        help(c, "a chain begins with `|=`");
        return;
    }
    const char *where = ch->cut && ch->cut->kind == SFor ? "loop" : "branch";
    if (ch->second) note_at(c, ch->cut_at, "a second chain starts in this %s, so the first ends before it", where);
    else if (ch->cut) note_at(c, ch->cut_at, "this statement ends the chain");
    const char *z = find_local(r, name(c, "z")) ? "end" : "z";
    help(c, "give the first chain's end a name, `%s -> %s`, and start again with `|= %s`", source_text(c, ch->last->at), z,
         applied_to(r, s->e, z));
}

static void stmt_chain(Resolver *r, const Stmt *s)
{
    Ctx *c = r->c;
    bool lost = !s->start && !r->chain.open;
    if (lost && !r->quiet) nothing_to_continue(r, s);
    Kind k = resolve_applied(r, s->e, s->named ? &s->path : NULL);
    bool model = k.item && k.item->kind == IModel;
    if (k.nature == ARecipe && model && !s->named) unnamed_instance(r, s->e, k.item);
    if (s->named) {
        resolve_path(r, &s->path);
        if (k.applied || k.nature == ARecipe || k.nature == AnInstance || k.nature == Unknown) name_instance(r, &s->path, "an instance", s->e);
        else not_applied(r, s->e, (Span){ s->at.src, s->e->at.to + 1, s->path.at.to }, &s->path);
    }
    if (k.nature == AModel) {
        error_at(c, s->e->at, "%s still needs its parameters: `%s()`", k.item->name, k.item->name);
    } else if (!s->start && s->e->kind != ECall && (k.nature == Constant || k.nature == Tensorial))
        error_at(c, s->e->at, "`+=` continues with a block, found %s", k.nature == Constant ? "a constant" : "a tensor");
    for (int i = 0; i < s->nleft; i++) assign_name(r, s->left[i].e->name, s->left[i].e->at, (Kind){ .nature = Tensorial });
    r->chain = (Chain){ .open = true, .last = s };
}

/* ---- statements ----------------------------------------------------------------------------------- */

static void stmt_in(Resolver *r, const Stmt *s)
{
    resolve_type(r, s->type, true);
    if (s->e) resolve_expr(r, s->e);
    if (s->name) declare_local(r, s->name, s->name_at, LocalInput, (Kind){ .nature = Tensorial });
}

static void stmt_out(Resolver *r, const Stmt *s)
{
    resolve_type(r, s->type, false);
    if (s->name) declare_local(r, s->name, s->name_at, LocalOutput, (Kind){ .nature = Tensorial });
}

static void stmt_held(Resolver *r, const Stmt *s)
{
    resolve_type(r, s->type, false);
    if (s->e) resolve_expr(r, s->e);
    if (s->named) resolve_path(r, &s->path);
    if (!s->name) return;
    Path own = { .at = s->name_at };
    name_instance(r, s->named ? &s->path : &own, s->kind == SParam ? "a parameter" : "a state", NULL);
    declare_local(r, s->name, s->name_at, s->kind == SParam ? LocalParam : LocalState, (Kind){ .nature = Tensorial });
}

static void stmt_block(Resolver *r, const Stmt *s)
{
    Scope inner = { .up = r->scope };
    if (s->lo) resolve_expr(r, s->lo);
    if (s->hi) resolve_expr(r, s->hi);
    r->scope = &inner;
    if (s->name2) declare_local(r, s->name2, s->name_at, LocalTurn, (Kind){ .nature = Constant })->turns = true;
    Kind k = s->e ? resolve_expr(r, s->e) : (Kind){ .nature = Unknown };
    if (s->named) resolve_path(r, &s->path);
    r->scope = inner.up;
    if (k.nature == AModel) error_at(r->c, s->e->at, "%s still needs its parameters: `%s()`", k.item->name, k.item->name);
    else if (k.applied) {
        error_at(r->c, s->e->at, "`block` takes a model with its parameters, not what it gives");
        help(r->c, "`block %s = %s`", s->name, source_text(r->c, s->e->kid[0]->at));
    } else if (k.nature == Constant || k.nature == Tensorial)
        error_at(r->c, s->e->at, "`block` takes a model with its parameters, found a value");
    if (!s->name) return;
    Path own = { .at = s->name_at };
    if (k.nature != AnInstance && !s->name2) name_instance(r, s->named ? &s->path : &own, "an instance", NULL);
    bool model = k.item && k.item->kind == IModel;
    declare_local(r, s->name, s->name_at, LocalBlock, (Kind){ .nature = AnInstance, .item = model ? k.item : NULL });
}

static void stmt_let(Resolver *r, const Stmt *s)
{
    resolve_type(r, s->type, false);
    Kind k = s->e ? resolve_expr(r, s->e) : (Kind){ .nature = Unknown };
    bool turns = varies(r, s->e);
    if (!s->name) return;
    Local *l = declare_local(r, s->name, s->name_at, LocalLet, k);
    l->turns = turns;
    give(r, l, s->name_at, false);
}

static void stmt_require(Resolver *r, const Stmt *s)
{
    resolve_expr(r, s->e);
    if (s->message) resolve_expr(r, s->message);
}

/* s <- e   b.s <- e   s[…] <- e */
static void write_state(Resolver *r, const Expr *to)
{
    const Expr *x = to;
    resolve_expr(r, to);
    while (x->kind == EIndex) x = x->kid[0];
    if (x->kind != EName) return;
    Local *l = find_local(r, x->name);
    if (!l || l->kind == LocalState) return;
    error_at(r->c, to->at, "`<-` writes a state, and `%s` is %s", x->name, kind_text(l->kind));
    if (l->kind == LocalValue || l->kind == LocalOutput) help(r->c, "`%s = …` gives a value to a name", x->name);
}

/* m[..., t] = e: an intermediate of an indexed op (rule 68) */
static void assign_indexed(Resolver *r, const Expr *to, Kind k)
{
    Scope inner = { .up = r->scope };
    r->scope = &inner;
    for (int i = 0; i < to->nsub; i++)
        if (to->sub[i].a) resolve_expr(r, to->sub[i].a->kind == EPack ? to->sub[i].a->kid[0] : to->sub[i].a);
    r->scope = inner.up;
    if (to->kid[0]->kind == EName) assign_name(r, to->kid[0]->name, to->kid[0]->at, k);
}

static void assign_to(Resolver *r, const Ref *left, Kind k)
{
    resolve_type(r, left->type, true);
    if (left->e->kind == EName) assign_name(r, left->e->name, left->e->at, k);
    else if (left->e->kind == EIndex && r->indexed) assign_indexed(r, left->e, k);
    else {
        error_at(r->c, left->e->at, "only a name is given a value with `=`");
        help(r->c, "a state, or a part of it, is written with `<-`");
    }
}

static void stmt_assign(Resolver *r, const Stmt *s)
{
    Ctx *c = r->c;
    Kind k = { .nature = Unknown };
    if (s->e) k = resolve_applied(r, s->e, s->named ? &s->path : NULL);
    if (s->named) {
        resolve_path(r, &s->path);
        if (k.applied || (k.nature == Unknown && s->e->kind == ECall)) name_instance(r, &s->path, "an instance", s->e);
        else if (k.nature == ARecipe) {
            error_at(c, s->e->at, "`%s` is a block that is not applied", source_text(c, s->e->at));
            help(c, "apply it, `%s(…)`, or declare it: `block`", source_text(c, s->e->at));
            k.nature = Unknown;
        } else if (!s->broken) {
            Span as = { s->at.src, s->e->at.to, s->path.at.to };
            while (as.src->text[as.from] == ' ') as.from++;
            not_applied(r, s->e, as, &s->path);
        }
    } else if (k.nature == AModel) {
        error_at(c, s->e->at, "a model is not a value; apply it, or declare an instance: `block %s = %s()`", source_text(c, s->left[0].at), k.item->name);
    }
    for (int i = 0; i < s->nleft; i++) {
        if (s->start) write_state(r, s->left[i].e);
        else assign_to(r, &s->left[i], s->nleft > 1 || k.nature == ARecipe || k.nature == AModel ? (Kind){ .nature = Unknown } : k);
    }
}

static void stmt_if(Resolver *r, const Stmt *s)
{
    resolve_expr(r, s->e);
    int mark = r->changes.n;
    const Branch *up = r->branch;
    Branch then = { s, false, up }, other = { s, true, up };
    Chain before = r->chain;
    r->branch = &then;
    if (!goes_on(&s->body)) r->chain = (Chain){ 0 };
    in_scope(r, &s->body, true);
    Chain after = r->chain;
    Afters a = undo(r, mark);
    r->branch = &other;
    r->chain = goes_on(&s->other) ? before : (Chain){ 0 };
    in_scope(r, &s->other, true);
    Afters b = undo(r, mark);
    if (goes_on(&s->other) && (!goes_on(&s->body) || !r->chain.open)) after = r->chain;
    merge(r, a, b, s);
    r->branch = up;
    r->chain = goes_on(&s->body) || goes_on(&s->other) ? after : before;
}

/* A name read in a loop before it gets its next value reads what the turn before gave. */
static void carry(const Afters *end, int reads)
{
    for (int i = 0; i < end->n; i++)
        if (end->at[i].local->last_read > reads) mark_used(end->at[i].fact.reach);
}

static void yields(Resolver *r, const Body *b)
{
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == SYield && s->name) assign_name(r, s->name, s->name_at, (Kind){ .nature = Tensorial });
        if (s->kind == SIf) yields(r, &s->body), yields(r, &s->other);
    }
}

/* for, scan, while: the body may run again, and, but for `for`, may not run at all. */
static void stmt_loop(Resolver *r, const Stmt *s)
{
    if (s->e) resolve_expr(r, s->e);
    if (s->lo) resolve_expr(r, s->lo);
    if (s->hi) resolve_expr(r, s->hi);
    int mark = r->changes.n, reads = r->reads;
    Loop loop = { s, r->loop };
    Scope inner = { .up = r->scope };
    Chain before = r->chain;
    bool flows = s->kind == SFor && goes_on(&s->body);
    if (!flows) r->chain = (Chain){ 0 };
    r->loop = &loop;
    r->scope = &inner;
    if (s->name) declare_local(r, s->name, s->name_at, LocalTurn, (Kind){ .nature = Unknown })->turns = s->kind == SFor;
    if (s->name2) declare_local(r, s->name2, s->name_at, LocalTurn, (Kind){ .nature = Unknown })->turns = s->kind == SFor;
    resolve_body(r, &s->body);
    r->loop = loop.up;
    r->scope = inner.up;
    Afters end = undo(r, mark);
    carry(&end, reads);
    for (int i = 0; i < end.n; i++) {
        Local *l = end.at[i].local;
        Fact f = merged(r, end.at[i].fact, l->fact, s);
        if (s->kind == SFor && end.at[i].fact.given == IsGiven) f.given = IsGiven;   /* no turns at all: flatten knows */
        set_fact(r, l, f);
    }
    if (s->kind == SScan) yields(r, &s->body);
    if (!flows) r->chain = before;
}

static bool in_scan(const Resolver *r)
{
    for (const Loop *l = r->loop; l; l = l->up)
        if (l->stmt->kind == SScan) return true;
    return false;
}

static void stmt_yield(Resolver *r, const Stmt *s)
{
    if (s->e) resolve_expr(r, s->e);
    if (s->along) resolve_expr(r, s->along);
    if (!in_scan(r)) error_at(r->c, s->at, "`yield` stacks one value a turn, and stands in a `scan`");
}

static void stmt_return(Resolver *r, const Stmt *s)
{
    for (int i = 0; i < s->nvalue; i++) resolve_expr(r, s->value[i]);
    if (r->item->kind == IOp || r->item->kind == IGradient) return;
    error_at(r->c, s->at, "`return` stands in an op; a model gives values to its outputs");
}

static void stmt_metric(Resolver *r, const Stmt *s)
{
    if (s->e) resolve_expr(r, s->e);
    if (s->name) declare_local(r, s->name, s->name_at, LocalLet, (Kind){ .nature = Tensorial })->read = true;
}

/* Rule 60: `p`, `grad` and `step` of an optimiser are bound by `minimize`. */
static void stmt_minimize(Resolver *r, const Stmt *s)
{
    if (s->e) resolve_expr(r, s->e);
    for (int i = 0; i < s->nsetting; i++)
        if (s->setting[i].init) resolve_expr(r, s->setting[i].init);
    for (int i = 0; i < s->ngroup; i++) {
        const Group *g = &s->group[i];
        for (int k = 0; k < g->n; k++) {
            Kind t = resolve_expr(r, g->target[k].e);
            if (t.nature == Constant || t.nature == ARecipe || t.nature == AModel)
                error_at(r->c, g->target[k].at, "only the weights of a block, or a parameter, can be trained");
            if (g->glob[k]) resolve_expr(r, g->glob[k]);
        }
        if (g->with) resolve_applied(r, g->with, &s->path);
    }
}

/* What is left of a statement that did not parse: its names have values, whatever they are. */
static void salvage(Resolver *r, const Stmt *s)
{
    if (s->kind == SIn || s->kind == SOut || s->kind == SParam || s->kind == SState || s->kind == SBlock || s->kind == SLet) {
        if (s->name && !find_local(r, s->name))
            declare_local(r, s->name, s->name_at, s->kind == SOut ? LocalOutput : LocalLet, (Kind){ .nature = Unknown });
        return;
    }
    for (int i = 0; i < s->nleft; i++) {
        const Expr *e = s->left[i].e;
        while (e->kind == EIndex || e->kind == EAttr) e = e->kid[0];
        Local *l = find_local(r, e->name);
        if (!s->start || s->kind == SChain) {
            if (!l) l = home_of(r, e->name, e->at, (Kind){ .nature = Unknown });
            if (l->kind == LocalValue || l->kind == LocalOutput) give(r, l, e->at, true);
        }
    }
    if (s->kind == SChain) r->chain = (Chain){ .open = true, .last = s };
}

static void statement(Resolver *r, const Stmt *s)
{
    static void (*const by_kind[])(Resolver *, const Stmt *) = {
        [SIn] = stmt_in, [SOut] = stmt_out, [SParam] = stmt_held, [SState] = stmt_held, [SBlock] = stmt_block,
        [SLet] = stmt_let, [SRequire] = stmt_require, [SChain] = stmt_chain, [SAssign] = stmt_assign, [SIf] = stmt_if,
        [SFor] = stmt_loop, [SScan] = stmt_loop, [SWhile] = stmt_loop, [SYield] = stmt_yield, [SReturn] = stmt_return,
        [SMetric] = stmt_metric, [SMinimize] = stmt_minimize,
    };
    bool flows = s->kind == SChain || is_declaration(s) || (s->kind == SFor && goes_on(&s->body)) ||
                 (s->kind == SIf && (goes_on(&s->body) || goes_on(&s->other)));
    if (s->broken) salvage(r, s);
    else {
        r->stmt = s;
        by_kind[s->kind](r, s);
    }
    if (!flows) end_chain(r, s);
}

static void resolve_body(Resolver *r, const Body *b)
{
    for (int i = 0; i < b->n; i++) statement(r, b->at[i]);
}

/* ---- the ends of bodies --------------------------------------------------------------------------- */

static int line_of(Span at)
{
    int line = 1;
    for (int i = 0; i < at.from; i++) line += at.src->text[i] == '\n';
    return line;
}

static void unused_values(Resolver *r)
{
    if (r->m->src->library) return;
    for (int i = 0; i < r->defs.n; i++) {
        const Def *d = r->defs.at[i];
        if (d->used || d->quiet) continue;
        if (d->replaced.src)
            warning_at(r->c, d->at, "this value of `%s` is never used: it is replaced on line %d", d->name, line_of(d->replaced));
        else warning_at(r->c, d->at, "the value of `%s` is never used", d->name);
    }
}

static void no_value(Resolver *r, const Local *out)
{
    Ctx *c = r->c;
    if (out->fact.given == IsGiven || r->quiet) return;
    error_at(c, out->at, out->fact.given ? "`%s` has a value on some paths only" : "`%s` is never given a value", out->name);
    if (out->fact.given) note_at(c, out->fact.where, "given here");
}

/* Rule 26: a chain without `->` at the end of a body goes to the one output without a value. */
static void outputs(Resolver *r)
{
    VEC(Local *) open = { 0 };
    int outs = 0;
    for (int i = 0; i < r->locals.n; i++) {
        Local *l = r->locals.at[i];
        if (l->kind != LocalOutput) continue;
        outs++;
        if (l->fact.given == NotGiven) push(r->c, &open, l);
        mark_used(l->fact.reach);
    }
    const Stmt *last = r->chain.open ? r->chain.last : NULL;
    bool flows = last && !last->nleft;
    if (flows && open.n == 1) give(r, open.at[0], open.at[0]->at, true);
    else if (flows && outs && !open.n && !r->m->src->library && !r->train)
        warning_at(r->c, last->at, "the end of this chain is never used: every output has a value");
    for (int i = 0; i < r->locals.n; i++)
        if (r->locals.at[i]->kind == LocalOutput) no_value(r, r->locals.at[i]);
}

static bool has_in(const Body *b)
{
    for (int i = 0; i < b->n; i++)
        if (b->at[i]->kind == SIn) return true;
    return false;
}

static bool has_broken(const Body *b)
{
    for (int i = 0; i < b->n; i++)
        if (b->at[i]->broken || has_broken(&b->at[i]->body) || has_broken(&b->at[i]->other)) return true;
    return false;
}

static bool has_out(const Body *b)
{
    for (int i = 0; i < b->n; i++)
        if (b->at[i]->kind == SOut) return true;
    return false;
}

/* ---- declarations --------------------------------------------------------------------------------- */

static Kind kind_of_field(Resolver *r, const Field *f)
{
    if (!f->type || f->type->list) return (Kind){ .nature = f->type ? Unknown : Somevalue };
    if (f->type->dims.given) return (Kind){ .nature = Tensorial };
    Name t = f->type->name;
    if (t && !strcmp(t, "block")) return (Kind){ .nature = ARecipe };
    if (t && !strcmp(t, "model")) return (Kind){ .nature = Unknown };
    Item *it = t ? find_item(r, t) : NULL;
    return (Kind){ .nature = it && it->kind == IConfig ? Constant : Unknown };
}

/* A default may use the parameters before it (rule 15). */
static void resolve_params(Resolver *r, const FieldList *l)
{
    for (int i = 0; i < l->n; i++) {
        const Field *f = &l->at[i];
        resolve_type(r, f->type, false);
        if (f->init) resolve_expr(r, f->init);
        declare_local(r, f->name, f->at, LocalParameter, kind_of_field(r, f));
    }
}

/* Of an op: first all the indices, whose sizes and bounds may speak of any parameter. */
static void resolve_op_params(Resolver *r, const FieldList *l)
{
    for (int i = 0; i < l->n; i++) {
        introduce_indices(r, &l->at[i].dims);
        resolve_type(r, l->at[i].type, true);
    }
    for (int i = 0; i < l->n; i++) {
        const Field *f = &l->at[i];
        declare_local(r, f->name, f->at, LocalParameter, f->dims.given ? (Kind){ .nature = Somevalue } : kind_of_field(r, f));
    }
    for (int i = 0; i < l->n; i++) {
        resolve_index_list(r, &l->at[i].dims);
        if (l->at[i].outside) resolve_expr(r, l->at[i].outside);
        if (l->at[i].init) resolve_expr(r, l->at[i].init);
    }
}

static void resolve_model(Resolver *r, const Item *it)
{
    Kind tensor = { .nature = Tensorial };
    resolve_params(r, &it->params);
    if (!has_in(&it->body)) declare_local(r, name(r->c, "input"), it->name_at, LocalInput, tensor);
    if (!has_out(&it->body) && it->body.given) declare_local(r, name(r->c, "output"), it->name_at, LocalOutput, tensor);
    Scope inner = { .up = r->scope };
    r->scope = &inner;
    resolve_body(r, &it->body);
    outputs(r);
    r->scope = inner.up;
    unused_values(r);
}

static bool is_indexed(const Item *it)
{
    bool yes = it->result_dims.given;
    for (int i = 0; i < it->params.n; i++) yes |= it->params.at[i].dims.given;
    for (int i = 0; i < it->result.n; i++) yes |= it->result.at[i].dims.given;
    return yes;
}

static void resolve_results(Resolver *r, const Item *it)
{
    introduce_indices(r, &it->result_dims);
    resolve_index_list(r, &it->result_dims);
    resolve_type(r, it->result_type, false);
    for (int i = 0; i < it->result.n; i++) {
        introduce_indices(r, &it->result.at[i].dims);
        resolve_index_list(r, &it->result.at[i].dims);
        resolve_type(r, it->result.at[i].type, true);
    }
}

static void resolve_op(Resolver *r, const Item *it)
{
    r->indexed = is_indexed(it);
    resolve_op_params(r, &it->params);
    resolve_results(r, it);
    Scope inner = { .up = r->scope };
    r->scope = &inner;
    if (it->e) resolve_expr(r, it->e);
    resolve_body(r, &it->body);
    r->scope = inner.up;
    unused_values(r);
}

/* The gradient of f(inputs, results, result gradients, parameters) belongs to the op above it. */
static void resolve_gradient(Resolver *r, const Item *it)
{
    Item *op = find_item(r, it->name);
    if (!op || op->module_in != r->m) error_at(r->c, it->name_at, "this file has no op `%s`", it->name);
    else for (int i = 0; i < op->params.n; i++) introduce_indices(r, &op->params.at[i].dims);
    resolve_op(r, it);
    r->indexed = true;
}

/* `c = "expf"`, `reference = f`, `gradient = dy * y`: the last speaks of parameters, results and d + result. */
static void resolve_extern(Resolver *r, const Item *it)
{
    resolve_op_params(r, &it->params);
    resolve_results(r, it);
    for (int i = 0; i < it->result.n; i++) {
        const Field *f = &it->result.at[i];
        declare_local(r, f->name, f->at, LocalValue, (Kind){ .nature = Somevalue })->fact.given = IsGiven;
        Name d = name(r->c, "d%s", f->name);
        if (!find_local(r, d)) declare_local(r, d, f->at, LocalValue, (Kind){ .nature = Somevalue })->fact.given = IsGiven;
    }
    for (int i = 0; i < it->nfield; i++)
        if (it->field[i].init) resolve_expr(r, it->field[i].init);
}

static void resolve_config(Resolver *r, const Item *it)
{
    for (int i = 0; i < it->nfield; i++) {
        const Field *f = &it->field[i];
        resolve_type(r, f->type, false);
        if (f->init) resolve_expr(r, f->init);
        declare_local(r, f->name, f->at, LocalParameter, (Kind){ .nature = Unknown });
    }
}

static void resolve_train(Resolver *r, const Item *it)
{
    r->train = true;
    resolve_params(r, &it->params);
    Local *step = declare_local(r, name(r->c, "step"), it->name_at, LocalInput, (Kind){ .nature = Tensorial });
    step->read = true;
    Scope inner = { .up = r->scope };
    r->scope = &inner;
    resolve_body(r, &it->body);
    r->scope = inner.up;
    unused_values(r);
}

/* ---- exports -------------------------------------------------------------------------------------- */

/* The names an entry's own body sees of the model: what is there before anything runs (rule 55). */
static void declare_held(Resolver *r, const Body *b)
{
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (!s->name || s->broken) continue;
        if (s->kind == SParam) declare_local(r, s->name, s->name_at, LocalParam, (Kind){ .nature = Tensorial });
        if (s->kind == SState) declare_local(r, s->name, s->name_at, LocalState, (Kind){ .nature = Tensorial });
        if (s->kind == SBlock) declare_local(r, s->name, s->name_at, LocalBlock, (Kind){ .nature = AnInstance });
        if (s->kind == SLet) declare_local(r, s->name, s->name_at, LocalLet, (Kind){ .nature = Unknown });
    }
}

static bool mentions(const TypeExpr *t, Name n)
{
    if (t && t->list && mentions(t->list, n)) return true;
    for (int i = 0; t && i < t->dims.n; i++) {
        const Expr *e = t->dims.at[i].e;
        if (e && e->kind == EName && e->name == n) return true;
    }
    return false;
}

static bool has_terminal_or_symbol(const Body *b, Name n)
{
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if ((s->kind == SIn || s->kind == SOut) && (s->name == n || mentions(s->type, n))) return true;
        for (int k = 0; k < s->nleft; k++)
            if (mentions(s->left[k].type, n)) return true;
    }
    return false;
}

static void resolve_bound(Resolver *r, const Bound *b, const Item *model, const EntryItem *e)
{
    if (b->lo) resolve_expr(r, b->lo);
    if (b->hi) resolve_expr(r, b->hi);
    const Body *body = e->body.given ? &e->body : model ? &model->body : NULL;
    if (!body || r->quiet || has_broken(body) || has_terminal_or_symbol(body, b->name)) return;
    error_at(r->c, (Span){ b->at.src, b->at.from, b->at.from + (int)strlen(b->name) }, "%s has no dimension and no input `%s`",
             e->body.given ? e->name : model->name, b->name);
}

static void start_body(Resolver *r)
{
    r->changes.n = r->locals.n = r->defs.n = 0;
    r->names = r->unnamed = (Map){ 0 };
    r->chain = (Chain){ 0 };
}

/* A body of its own, in the scope of the model's parameters, blocks, params and states. */
static void resolve_entry(Resolver *r, const EntryItem *e, Item *model)
{
    for (int i = 0; i < e->nbound; i++) resolve_bound(r, &e->bound[i], model, e);
    if (!e->body.given) return;
    Scope held = { .up = r->scope }, own = { .up = &held };
    Module *here = r->m;
    Scope *outer = r->scope;
    start_body(r);
    r->scope = &held;
    if (model && model->module_in) {
        for (int i = 0; i < model->params.n; i++) {
            const Field *f = &model->params.at[i];
            declare_local(r, f->name, f->at, LocalParameter, kind_of_field(r, f));
        }
        declare_held(r, &model->body);
    }
    r->m = here;
    r->scope = &own;
    resolve_body(r, &e->body);
    outputs(r);
    r->scope = outer;
    unused_values(r);
    diag_body(r->c, e->body.span);
}

static void resolve_export(Resolver *r, const Item *it)
{
    Kind k = resolve_expr(r, it->e);
    if (k.nature == AModel) {
        error_at(r->c, it->e->at, "%s still needs its parameters: `%s()`", k.item->name, k.item->name);
        k = (Kind){ .nature = ARecipe, .item = k.item };
    } else if (k.nature != ARecipe && k.nature != Unknown)
        error_at(r->c, it->e->at, "`export` takes a model with its parameters");
    Item *model = k.nature == ARecipe && k.item && k.item->kind == IModel ? k.item : NULL;
    if (!model) r->quiet = true;
    if (k.nature == ARecipe && !model) error_at(r->c, it->e->at, "`export` takes a model, found an op");
    for (int i = 0; i < it->nentry; i++) {
        for (int j = 0; j < i; j++)
            if (it->entry[j].name == it->entry[i].name) {
                error_at(r->c, it->entry[i].at, "two entries are named `%s`", it->entry[i].name);
                note_at(r->c, it->entry[j].at, "the first is here");
                break;
            }
        resolve_entry(r, &it->entry[i], model);
    }
}

static void resolve_let(Resolver *r, const Item *it)
{
    resolve_type(r, it->type, false);
    if (it->e) resolve_expr(r, it->e);
}

static void resolve_eg(Resolver *r, const Item *it)
{
    if (it->e) resolve_expr(r, it->e);
}

static bool lost_declarations(const Module *m)
{
    for (int i = 0; i < m->syntax->n; i++) {
        const Item *it = m->syntax->item[i];
        if ((it->kind == IUse && !it->used) || it->broken) return true;
    }
    return m->syntax->broken;
}

void resolve(Ctx *c, Module *m)
{
    static void (*const by_kind[])(Resolver *, const Item *) = {
        [IConfig] = resolve_config, [ILet] = resolve_let, [IModel] = resolve_model, [IOp] = resolve_op,
        [IExtern] = resolve_extern, [IGradient] = resolve_gradient, [IEg] = resolve_eg, [ITrain] = resolve_train,
        [IExport] = resolve_export,
    };
    bool lost = lost_declarations(m);
    for (int i = 0; i < m->syntax->n; i++) {
        Item *it = m->syntax->item[i];
        if (it->kind == IUse || (!it->name && it->kind != IEg && it->kind != IExport)) continue;
        Scope file = { 0 };
        Resolver r = { .c = c, .m = m, .item = it, .scope = &file, .quiet = lost || has_broken(&it->body) };
        int errors = c->errors;
        by_kind[it->kind](&r, it);
        it->broken |= c->errors > errors;
        diag_body(c, it->line);
    }
}
