/* row.c: one operator applied (rules 62-72).
 *
 * needs: an op told in index notation, or a scalar function, and a value for each parameter.
 * gives: nodes at the end of the graph, all of one Call, and the tensors that are the results.
 * An error is reported once, at the application, with the op's line as a note; the nodes made so
 * far are taken back. */
#include "row.h"

#include <string.h>

/* ---- the body */

typedef struct Left {
    Axis axis[MaxRank];
    Pat pat[MaxRank];
    int n;
    Name name;
    Elem want;
    int tail;
} Left;

static void open_left(Row *r, const Left *l) {
    r->nrunning = 0;
    for (int k = 0; k < r->nindex; k++)
        r->index[k].runs = false;
    for (int k = 0; k < l->n; k++)
        for (int j = 0; j < l->axis[k].n; j++) {
            for (int m = 0; m < r->nrunning && r->decl->kind == IOp; m++)
                if (r->running[m] == l->axis[k].index[j])
                    row_error(r, r->decl->at, "%s: index `%s` stands twice in one result",
                              r->decl->name, r->running[m]->name);
            row_run(r, l->axis[k].index[j]);
        }
}

/* Rule 69: the indices after `...` go back to the axes they came from; with `keep` those gone
 * are 1. */
static int place_axes(Row *r, const Left *l, Axis *out) {
    bool taken[MaxRank + 1] = { false };
    int rank = l->n, rest = 0;
    if (r->has_axis && l->tail == 0 && r->keep)
        rank += r->naxes;
    if (!r->has_axis || (l->tail != r->naxes && !(l->tail == 0 && r->keep)) || rank > MaxRank) {
        memcpy(out, l->axis, sizeof *out * (size_t)l->n);
        return l->n;
    }
    for (int k = 0; k < r->naxes; k++) {
        int a = r->axes[k] - r->axes_rank + rank;
        if (a < 0) {
            row_error(r, r->at, "%s: the result has no axis %d", r->decl->name, r->axes[k]);
            return 0;
        }
        out[a] = l->tail ? l->axis[l->n - l->tail + k] : (Axis){ 0 };
        taken[a] = true;
    }
    for (int a = 0; a < rank; a++)
        if (!taken[a])
            out[a] = l->axis[rest++];
    return rank;
}

/* A result that is an intermediate, whole and in order, is no node of its own. */
static Tensor *as_is(Row *r, const Left *l, const Axis *axis, int naxis, const Expr *e) {
    RowTensor *t = e->kind == EName ? row_tensor(r, e->name) : NULL;
    if (!t || !t->local || !t->tensor || naxis != l->n || t->n != l->n ||
        (l->want && t->tensor->type.elem != l->want))
        return NULL;
    for (int k = 0; k < naxis; k++) {
        const Axis *a = &t->tensor->def->axis[k];
        if (axis[k].n != a->n || memcmp(axis[k].index, a->index, sizeof *a->index * (size_t)a->n))
            return NULL;
    }
    return t->tensor;
}

static Tensor *left_result(Row *r, const Left *l, Expr *e) {
    Axis *axis = NEWN(r->c, Axis, MaxRank);
    Clause k;
    open_left(r, l);
    int n = place_axes(r, l, axis);
    if (r->bad)
        return NULL;
    Tensor *same = as_is(r, l, axis, n, e);
    if (same)
        return same;
    return row_clause(r, e, &k) ? row_emit(r, l->name, axis, n, &k, l->want) : NULL;
}

static void assign_local(Row *r, Stmt *s) {
    Left l = { 0 };
    Clause k;
    Expr *left = s->nleft == 1 ? s->left[0].e : NULL;
    Expr *to = left && left->kind == EIndex ? left->kid[0] : left;
    if (!to || to->kind != EName || s->start) {
        row_error(r, s->at, "%s: an intermediate is `m[…] = e`", r->decl->name);
        return;
    }
    DimList d = { .at = NEWN(r->c, DimExpr, MaxRank + 1), .given = true };
    for (int j = 0; left->kind == EIndex && j < left->nsub && j < MaxRank; j++) {
        const Sub *sub = &left->sub[j];
        bool pack = sub->kind == SubAt && sub->a->kind == EPack;
        d.at[d.n++] = (DimExpr){ .kind = sub->kind == SubDots ? DimDots
                                         : pack               ? DimPack
                                                              : DimAt,
                                 .e = sub->a,
                                 .at = sub->at };
        if (sub->kind != SubDots && sub->kind != SubAt) {
            row_error(r, sub->at, "%s: this is no index", r->decl->name);
            return;
        }
    }
    l.n = row_left(r, d, l.axis, l.pat);
    if (r->bad)
        return;
    open_left(r, &l);
    if (!row_clause(r, s->e, &k))
        return;
    Axis *axis = NEWN(r->c, Axis, l.n + 1);
    memcpy(axis, l.axis, sizeof *axis * (size_t)l.n);
    Tensor *t = row_emit(r, to->name, axis, l.n, &k, NoElem);
    if (!t)
        return;
    if (r->ntensor == MaxTensors) {
        row_error(r, s->at, "%s has too many intermediates", r->decl->name);
        return;
    }
    RowTensor *own = &r->tensor[r->ntensor++];
    *own = (RowTensor){ .name = to->name, .tensor = t, .n = l.n, .local = true };
    memcpy(own->pat, l.pat, sizeof l.pat);
    for (int j = 0; j < l.n; j++)
        own->axis[j] = j;
}

/* What must hold is false, true, or a question for the generated function. */
static void row_require(Row *r, Stmt *s, Expr *e) {
    Value v;
    Dim a;
    int64_t n;
    if (e->kind == EBinary && e->op == OpAnd) {
        row_require(r, s, e->kid[0]);
        row_require(r, s, e->kid[1]);
        return;
    }
    int holds = row_truth(r, e);
    const char *say =
        s->message && s->message->kind == EStr ? s->message->name : source_text(r->c, e->at);
    if (r->bad || holds == 1)
        return;
    if (holds == 0) {
        row_error(r, e->at, "%s: %s", r->decl->name, say);
        return;
    }
    bool multiple =
        e->kind == EBinary && e->op == OpEq && e->kid[0]->kind == EBinary && e->kid[0]->op == OpMod;
    if (multiple && row_size(r, e->kid[0]->kid[0], Plain, &a) &&
        row_value(r, e->kid[0]->kid[1], Plain, &v) && v.kind == VInt && dim_number(v.whole, &n) &&
        n > 0)
        dim_assume_multiple(r->c, a, n);
    Term *t = row_term(r, e, Plain);
    struct Check check = { .holds = t, .message = say, .at = r->at };
    if (!r->bad && t->elem == Bool)
        push(r->c, &r->g->check, check);
}

static bool run_body(Row *r, Body body, const Left *l, int n, Tensor **out) {
    for (int k = 0; k < body.n && !r->bad; k++) {
        Stmt *s = body.at[k];
        Value v;
        int yes;
        switch (s->kind) {
        case SAssign:
            assign_local(r, s);
            break;
        case SRequire:
            row_require(r, s, s->e);
            break;
        case SLet:
            if (!row_value(r, s->e, Plain, &v))
                row_error(r, s->at, "%s: `%s` is not known while compiling", r->decl->name,
                          s->name);
            else if (r->scope->n == MaxBinds)
                row_error(r, s->at, "%s has too many names", r->decl->name);
            else
                r->scope->at[r->scope->n++] = (Bind){ .name = s->name, .known = true, .value = v };
            break;
        case SIf:
            yes = row_truth(r, s->e);
            if (yes < 0)
                row_error(r, s->e->at, "%s: this `if` is not decided while compiling",
                          r->decl->name);
            else if (run_body(r, yes ? s->body : s->other, l, n, out))
                return true;
            break;
        case SReturn:
            if (s->nvalue != n) {
                row_error(r, s->at, "%s: %d results, and %d values", r->decl->name, n, s->nvalue);
                break;
            }
            for (int j = 0; j < n && !r->bad; j++)
                out[j] = left_result(r, &l[j], s->value[j]);
            return true;
        default:
            row_error(r, s->at, "%s: this statement has no meaning in index notation",
                      r->decl->name);
        }
    }
    return false;
}

/* ---- results */

static Elem result_type(const TypeExpr *t) {
    return t && t->name ? elem_named(t->name) : NoElem;
}

/* Indices after `...` in a result's list. */
static int tail_of(Row *r, DimList d) {
    int n = 0;
    for (int k = d.n && d.at[0].kind == DimDots ? 1 : d.n; k < d.n; k++) {
        const Expr *e = d.at[k].e && d.at[k].e->kind == EPack ? d.at[k].e->kid[0] : d.at[k].e;
        if (e && e->kind == EBinary)
            e = e->kid[0];
        int len = d.at[k].kind == DimPack && e && e->kind == EName ? row_seq(r, e->name) : 1;
        n += len > 0 ? len : len < 0 ? r->naxes : 0;
    }
    return n;
}

static void left_of(Row *r, Left *l, DimList d, const TypeExpr *type, Name nm) {
    l->name = nm;
    l->want = result_type(type);
    l->n = row_left(r, d, l->axis, l->pat);
    l->tail = tail_of(r, d);
}

static int result_lefts(Row *r, Left *l) {
    static DimExpr dots = { .kind = DimDots };
    Item *d = r->decl;
    Name nm = r->hint && *r->hint ? r->hint : d->name;
    if (d->result.n == 0) {
        left_of(r, l, d->result_dims.given ? d->result_dims : (DimList){ .at = &dots, .n = 1 },
                d->result_type, nm);
        return 1;
    }
    for (int k = 0; k < d->result.n && !r->bad; k++) {
        const Field *f = &d->result.at[k];
        left_of(r, &l[k],
                f->dims.given ? f->dims
                : f->type     ? f->type->dims
                              : (DimList){ 0 },
                f->type, f->name);
    }
    return d->result.n;
}

static Value give_results(Row *r, Tensor **out, int n) {
    if (r->bad) {
        r->g->node.n = r->mark;
        return poison(r->at);
    }
    if (n == 1)
        return tensor_value(out[0], r->at);
    Value list = { .kind = VList, .n = n, .item = NEWN(r->c, Value, n), .at = r->at };
    for (int k = 0; k < n; k++)
        list.item[k] = tensor_value(out[k], r->at);
    return list;
}

/* ---- externs */

/* exp, erf …: the function of what is read at the same place. */
static Tensor *scalar_extern(Row *r, const Left *l) {
    Term *arg[8];
    Clause k = { 0 };
    Fault fault;
    int which, n = r->ntensor;
    if (n > 8) {
        row_error(r, r->decl->at, "%s has too many arguments", r->decl->name);
        return NULL;
    }
    open_left(r, l);
    for (int j = 0; j < n; j++) {
        Expr own = { .kind = EName, .name = r->tensor[j].name, .at = r->decl->at };
        arg[j] = row_term(r, &own, Plain);
    }
    if (r->bad)
        return NULL;
    k.body = fn_term(r->c, row_extern_fn(r->c, r->decl), NoElem, arg, n, &fault, &which);
    if (!k.body) {
        row_error(r, r->decl->at, "%s",
                  fault_text(r->c, fault, row_extern_fn(r->c, r->decl), arg, n, which));
        return NULL;
    }
    Axis *axis = NEWN(r->c, Axis, l->n + 1);
    memcpy(axis, l->axis, sizeof *axis * (size_t)l->n);
    return row_emit(r, l->name, axis, l->n, &k, NoElem);
}

/* An extern op has a shape, and no meaning here unless it names a reference: `check` goes on with
 * zeros. */
static bool shape_only(Row *r, const Left *l, int n, Tensor **out) {
    if (!r->c->opt.command || strcmp(r->c->opt.command, "check")) {
        row_error(r, r->decl->at,
                  "%s is an `extern op` without `reference`: nothing says how to compute it here",
                  r->decl->name);
        return false;
    }
    for (int j = 0; j < n && !r->bad; j++) {
        Elem e = l[j].want ? l[j].want : r->number ? r->number : Float;
        Clause k = { .body = term_number(r->c, e, 0) };
        Axis *axis = NEWN(r->c, Axis, MaxRank);
        int rank = place_axes(r, &l[j], axis);
        for (int m = 0; m < rank; m++) { /* [..., i, i] is two loops here */
            Index **own = NEWN(r->c, Index *, axis[m].n + 1);
            for (int p = 0; p < axis[m].n; p++)
                own[p] = index_new(r->c, axis[m].index[p]->name, axis[m].index[p]->size);
            axis[m].index = own;
        }
        if (!r->bad)
            out[j] = row_emit(r, l[j].name, axis, rank, &k, e);
    }
    return !r->bad;
}

static Item *reference_of(Ctx *c, Item *decl) {
    Expr *e =
        decl->kind == IExtern && !row_is_scalar_extern(decl) ? row_field(decl, "reference") : NULL;
    return e && e->kind == EName ? row_find(c, decl, e->name) : NULL;
}

/* ---- applied */

static void run_row(Row *r, Left *l, int n, Tensor **out) {
    if (r->decl->kind == IExtern) {
        if (row_is_scalar_extern(r->decl))
            out[0] = scalar_extern(r, &l[0]);
        else
            shape_only(r, l, n, out);
    } else if (r->decl->e) {
        if (n == 1)
            out[0] = left_result(r, &l[0], r->decl->e);
        else
            row_error(r, r->decl->at, "%s: %d results, and one value", r->decl->name, n);
    } else if (!run_body(r, r->decl->body, l, n, out)) {
        row_error(r, r->decl->at, "%s returns no value", r->decl->name);
    }
}

/* A scalar op of compile-time values alone is evaluated (rule 27): a size, a number. */
static bool folded_value(Row *r, Value *arg, Value *out) {
    if (!row_is_scalar(r->c, r->decl))
        return false;
    for (int k = 0; k < r->decl->params.n; k++) {
        if (arg[k].kind == VTensor || arg[k].kind == VList)
            return false;
        if (!row_not_given(&arg[k]))
            row_bind_attr(r, &r->decl->params.at[k], &arg[k]);
    }
    if (r->decl->kind == IExtern) {
        Term *t[8];
        Fault fault;
        int which, n = r->decl->params.n;
        for (int k = 0; k < n && k < 8; k++)
            if (!(t[k] = value_term(r->c, &arg[k])))
                return false;
        Term *v = n <= 8 ? fn_term(r->c, row_extern_fn(r->c, r->decl), NoElem, t, n, &fault, &which)
                         : NULL;
        if (!v || v->kind != TNumber)
            return false;
        *out = value_float(v->number);
        return true;
    }
    for (int k = 0; k < r->decl->params.n && !r->bad; k++)
        if (!scope_find(r->scope, r->decl->params.at[k].name))
            row_bind_default(r, &r->decl->params.at[k], true);
    Expr *e = r->bad ? NULL : row_only_value(r->decl);
    if (!e)
        return false;
    if (row_value(r, e, Plain, out))
        return true;
    Dim d;
    Term *t = r->bad ? NULL : row_term(r, e, Plain);
    if (r->bad)
        return false;
    if (term_is_dim(r->c, t, &d))
        *out = value_int(d);
    else if (t->kind == TNumber)
        *out = t->elem == Bool ? value_bool(t->number != 0) : value_float(t->number);
    else
        return false;
    return true;
}

static void row_start(Row *r, Scope *s, Value *own, Value *arg) {
    memcpy(own, arg, sizeof *own * (size_t)r->decl->params.n);
    *s = (Scope){ .decl = r->decl };
    r->scope = s;
    r->mark = r->g->node.n;
}

Value row_apply(Ctx *c, Graph *g, Item *decl, Value *arg, Span at, Name path, Name hint) {
    Row r = { .c = c, .g = g, .decl = decl, .at = at, .path = path, .hint = hint };
    Scope scope;
    Left left[MaxRank];
    Tensor *out[MaxRank] = { NULL };
    Value value, *own = NEWN(c, Value, decl->params.n + 1);
    for (int k = 0; k < decl->params.n; k++)
        if (arg[k].kind == VPoison)
            return poison(at);
    if (decl->result.n > MaxRank) {
        error_at(c, at, "%s has too many results", decl->name);
        return poison(at);
    }
    row_start(&r, &scope, own, arg);
    if (folded_value(&r, own, &value)) {
        value.at = at;
        return value;
    }
    if (r.bad)
        return poison(at);
    scope.n = 0;
    Item *reference = reference_of(c, decl);
    if (reference && reference->params.n == decl->params.n)
        return row_apply(c, g, reference, arg, at, path, hint ? hint : decl->name);
    r.call = call_new(c, decl->name, row_line(c, decl), path, at);
    r.number = row_shared_type(&r, own);
    row_bind_attrs(&r, own);
    if (!r.bad)
        row_bind_defaults(&r, false);
    if (!r.bad)
        row_bind_tensors(&r, own);
    int n = r.bad ? 0 : result_lefts(&r, left);
    if (!r.bad)
        run_row(&r, left, n, out);
    return give_results(&r, out, n);
}
