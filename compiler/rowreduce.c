/* rowreduce.c: the reductions of an op: binders, conditions, nodes of those that are not outermost.
 *
 * A reduction inside an expression becomes a node with the indices it reads and does not bind, and
 * is read back; equal ones are one node. */
#include "row.h"

#include <math.h>
#include <string.h>

/* ---- reductions */

static const struct {
    const char *name;
    Reduce reduce;
} reductions[] = {
    { "sum", RSum }, { "prod", RProd }, { "max", RMax },       { "min", RMin },
    { "any", RAny }, { "all", RAll },   { "argmax", RArgMax }, { "argmin", RArgMin },
};

Reduce row_reduction(const Expr *e) {
    if (e->kind != ECall || e->kid[0]->kind != EName || e->narg == 0 ||
        e->arg[e->narg - 1].sep != ':')
        return NoReduce;
    for (size_t k = 0; k < sizeof reductions / sizeof *reductions; k++)
        if (!strcmp(e->kid[0]->name, reductions[k].name))
            return reductions[k].reduce;
    return NoReduce;
}

static void clause_cond(Row *r, Clause *k, Term *t, Span where) {
    if (t->elem != Bool) {
        row_broken(r, where,
                   format(r->c, "a condition must be bool, found %s", elem_name(t->elem)));
        return;
    }
    if (t->kind == TNumber && t->number != 0)
        return;
    if (t->kind == TApply && t->fn->id == FnAnd) {
        clause_cond(r, k, t->kid[0], where);
        clause_cond(r, k, t->kid[1], where);
        return;
    }
    for (int j = 0; j < k->ncond; j++)
        if (k->cond[j] == t)
            return;
    if (k->ncond == MaxParts) {
        row_broken(r, where, "too many conditions");
        return;
    }
    k->cond[k->ncond++] = t;
}

static void clause_take(Row *r, Clause *k, Index *i, Span where) {
    if (k->nbind == MaxParts) {
        row_broken(r, where, "too many binders");
        return;
    }
    k->bind[k->nbind++] = i;
    row_run(r, i);
}

/* k < e, k <= e: a new index. A bound that is an index becomes a condition. */
static void new_binder(Row *r, Clause *k, Expr *e, int seq) {
    Term *bound = row_term(r, e->kid[1], seq);
    Dim size;
    if (r->bad)
        return;
    if (!elem_is_int(bound->elem) || !term_upper(r->c, bound, &size)) {
        row_broken(r, e->kid[1]->at, "a bound must be made of indices and sizes");
        return;
    }
    if (e->op == OpLe)
        size = dim_add(r->c, size, dim(r->c, 1));
    RowIndex *i = row_index_add(r, e->kid[0]->name, seq, size, NULL);
    if (!i)
        return;
    i->binder = true;
    clause_take(r, k, i->index, e->at);
    if (bound->kind == TNumber || bound->kind == TSize)
        return;
    clause_cond(
        r, k,
        term_apply2(r->c, e->op == OpLe ? FnLe : FnLt, Bool, term_index(r->c, i->index), bound),
        e->at);
}

static void clause_binder(Row *r, Clause *k, Expr *e, int seq) {
    if (r->bad)
        return;
    if (e->kind == EPack) {
        Expr *x = e->kid[0];
        int times = row_times(r, x);
        if (x->kind == EBinary && x->kid[0]->kind == EName)
            row_seq_set(r, x->kid[0]->name, times);
        for (int m = 0; m < times && !r->bad; m++)
            clause_binder(r, k, x, m);
        return;
    }
    Name n = e->kind == EName ? e->name : NULL;
    RowIndex *i = n ? row_index_find(r, n, seq) : NULL;
    if (i && i->runs) {
        row_broken(
            r, e->at,
            format(r->c, "`%s` runs already; give the reduction an index of its own: `k < …`", n));
        return;
    }
    if (i) {
        clause_take(r, k, i->index, e->at);
        return;
    }
    if (n && !row_tensor(r, n) && !scope_find(r->scope, n)) {
        row_broken(r, e->at,
                   format(r->c, "`%s` is no index here; a new one needs a bound, `%s < …`", n, n));
        return;
    }
    if (e->kind == EBinary && (e->op == OpLt || e->op == OpLe) && e->kid[0]->kind == EName) {
        n = e->kid[0]->name;
        if (!row_index_find(r, n, seq) && !row_index_find(r, n, Plain) && !row_tensor(r, n) &&
            !scope_find(r->scope, n)) {
            new_binder(r, k, e, seq);
            return;
        }
    }
    clause_cond(r, k, row_term(r, e, seq), e->at);
}

static void end_loops(Row *r, int running) {
    for (int k = running; k < r->nrunning; k++)
        for (int j = 0; j < r->nindex; j++)
            if (r->index[j].index == r->running[k]) {
                r->index[j].runs = false;
                if (r->index[j].binder)
                    r->index[j].live = false;
            }
    r->nrunning = running;
}

static double reduce_unit(Reduce reduce) {
    static const double of[] = {
        [RSum] = 0, [RProd] = 1, [RMax] = -INFINITY, [RMin] = INFINITY, [RAny] = 0, [RAll] = 1
    };
    return reduce < RArgMax ? of[reduce] : 0;
}

static void check_kind(Row *r, const Clause *k, Span where) {
    bool logic = k->reduce == RAny || k->reduce == RAll;
    if (logic != (k->body->elem == Bool))
        row_broken(
            r, where,
            logic ? format(r->c, "`any` and `all` need bool, found %s", elem_name(k->body->elem))
                  : format(r->c, "arithmetic on bool"));
}

static bool constant_term(const Term *t) {
    return t->kind == TNumber || t->kind == TSize ||
           (t->kind == TApply && t->fn->id == FnCast && constant_term(t->kid[0]));
}

/* A sum of a number is a count; over no index at all, a reduction is its body. */
static void clause_fold(Row *r, Clause *k, Span where) {
    Fault fault;
    int which;
    if (k->reduce == RSum && k->ncond == 0 && constant_term(k->body)) {
        Dim n = dim(r->c, 1);
        for (int j = 0; j < k->nbind; j++)
            n = dim_mul(r->c, n, k->bind[j]->size);
        Term *arg[2] = { k->body, term_size(r->c, n) };
        *k = (Clause){ .body = row_fn(r, where, fn(FnMul), NoElem, arg, 2) };
    } else if (k->nbind == 0) {
        Term *body = k->reduce == RArgMax || k->reduce == RArgMin ? zero_term(r->c) : k->body;
        for (int j = 0; j < k->ncond; j++) {
            Term *arg[3] = { k->cond[j], body,
                             term_number(r->c, k->body->elem, reduce_unit(k->reduce)) };
            body = fn_term(r->c, fn(FnWhere), NoElem, arg, 3, &fault, &which);
        }
        *k = (Clause){ .body = body };
    }
}

bool row_reduce(Row *r, Expr *e, int seq, Clause *k) {
    int running = r->nrunning;
    *k = (Clause){ .reduce = row_reduction(e) };
    if (r->scope->inlined) {
        row_broken(r, e->at, "a reduction cannot stand in a scalar op");
        return false;
    }
    for (int j = 0; j < e->narg; j++) {
        const Arg *a = &e->arg[j];
        clause_binder(r, k, a->sep == ':' ? a->key : a->value, seq);
    }
    if (!r->bad)
        k->body = row_term(r, e->arg[e->narg - 1].value, seq);
    if (!r->bad)
        check_kind(r, k, e->at);
    end_loops(r, running);
    if (!r->bad)
        clause_fold(r, k, e->at);
    return !r->bad;
}

static bool clause_uses(const Clause *k, const Index *i) {
    for (int j = 0; j < k->nbind; j++)
        if (k->bind[j] == i)
            return false;
    for (int j = 0; j < k->ncond; j++)
        if (term_uses(k->cond[j], i))
            return true;
    return term_uses(k->body, i);
}

static bool same_clause(const Clause *a, const Clause *b) {
    return a->reduce == b->reduce && a->nbind == b->nbind && a->ncond == b->ncond &&
           a->body == b->body && !memcmp(a->bind, b->bind, sizeof *a->bind * (size_t)a->nbind) &&
           !memcmp(a->cond, b->cond, sizeof *a->cond * (size_t)a->ncond);
}

static Name reduce_name(Ctx *c, Reduce reduce) {
    for (size_t k = 0; k < sizeof reductions / sizeof *reductions; k++)
        if (reductions[k].reduce == reduce)
            return intern(c, reductions[k].name, strlen(reductions[k].name));
    return intern(c, "t", 1);
}

static Term *read_cut(Row *r, const Cut *cut) {
    Term *at[MaxRank];
    for (int k = 0; k < cut->nfree; k++)
        at[k] = term_index(r->c, cut->free[k]);
    return term_load(r->c, cut->out, at, cut->nfree, NULL, cut->out->name);
}

/* A reduction inside an expression: a node of its own, read back. */
Term *row_cut_off(Row *r, Clause *k, Span where) {
    Cut cut = { .clause = *k };
    for (int j = 0; j < r->nrunning && cut.nfree < MaxParts; j++)
        if (clause_uses(k, r->running[j]))
            cut.free[cut.nfree++] = r->running[j];
    for (int j = 0; j < r->ncut; j++)
        if (same_clause(&r->cut[j].clause, k))
            return read_cut(r, &r->cut[j]);
    if (cut.nfree > MaxRank || r->ncut == MaxCuts)
        return row_broken(r, where, "too many indices around this reduction");
    Axis *axis = NEWN(r->c, Axis, cut.nfree + 1);
    for (int j = 0; j < cut.nfree; j++) {
        axis[j] = (Axis){ .index = NEWN(r->c, Index *, 1), .n = 1 };
        axis[j].index[0] = cut.free[j];
    }
    cut.out = row_emit(r, reduce_name(r->c, k->reduce), axis, cut.nfree, k, NoElem);
    if (!cut.out)
        return zero_term(r->c);
    r->cut[r->ncut++] = cut;
    return read_cut(r, &cut);
}

/* ---- nodes */

bool row_clause(Row *r, Expr *e, Clause *k) {
    *k = (Clause){ 0 };
    while (e->kind == EIf && !r->bad) {
        int yes = row_truth(r, e->kid[0]);
        if (yes < 0)
            break;
        e = e->kid[yes ? 1 : 2];
    }
    if (row_reduction(e) != NoReduce)
        return row_reduce(r, e, Plain, k);
    k->body = row_term(r, e, Plain);
    return !r->bad;
}

static Elem declared_elem(Row *r, Elem want, Term *body) {
    if (want == NoElem || body->elem == want)
        return elem_settled(r, body->elem);
    if (want == Float && elem_is_float(body->elem))
        return elem_settled(r, body->elem);
    if (body->elem == AnyInt && want != Bool)
        return want;
    if (body->elem == AnyFloat && elem_is_float(want))
        return want;
    row_error(r, r->decl->at, "%s: the result is %s, and declared %s", r->decl->name,
              elem_name(elem_settled(r, body->elem)), elem_name(want));
    return want;
}

Tensor *row_emit(Row *r, Name nm, Axis *axis, int naxis, Clause *k, Elem want) {
    if (r->bad)
        return NULL;
    bool position_ = k->reduce == RArgMax || k->reduce == RArgMin;
    Elem e = position_ ? elem_settled(r, k->body->elem) : declared_elem(r, want, k->body);
    if (r->bad)
        return NULL;
    k->body = k->body->elem == AnyInt && k->body->kind == TSize
                  ? term_apply1(r->c, FnCast, e, k->body)
                  : term_as(r->c, k->body, e);
    Tensor *t = row_node(r->c, r->g, r->call, nm, r->path, axis, naxis, k);
    if (!t)
        r->bad = true;
    return t;
}
