/* row.c: one operator applied (rules 62-72).
 *
 * needs: an op told in index notation, or a scalar function, and a value for each parameter.
 * gives: nodes at the end of the graph, all of one Call, and the tensors that are the results.
 * An error is reported once, at the application, with the op's line as a note; the nodes made so
 * far are taken back. */
#include "row.h"

#include <stdarg.h>
#include <string.h>

/* What is known of an op, found out once. */
typedef struct RowInfo {
    const char *line;
    const Fn *fn; /* of a scalar extern */
    enum { Unknown, Asking, No, Yes } scalar, externs;
} RowInfo;

static RowInfo *info(Ctx *c, Item *decl) {
    RowInfo *i = map_get(&c->rows, decl);
    if (!i) {
        i = NEW(c, RowInfo);
        map_put(c, &c->rows, decl, i);
    }
    return i;
}

/* The declaration as it stands, its own lines, without remarks. */
static char *declaration(Ctx *c, Span at) {
    Text t = { 0 };
    bool quoted = false;
    text_add(c, &t, "%s", "");
    for (int i = at.from; at.src && i < at.to; i++) {
        char ch = at.src->text[i];
        if (ch == '"' && (i == at.from || at.src->text[i - 1] != '\\'))
            quoted = !quoted;
        if (ch == '#' && !quoted) {
            while (i < at.to && at.src->text[i] != '\n')
                i++;
            ch = '\n';
        }
        if (ch == '\n')
            quoted = false;
        while (ch == '\n' && t.n && strchr(" \t\r\n", t.s[t.n - 1]))
            t.s[--t.n] = 0;
        if (t.n || !strchr(" \t\r\n", ch))
            text_add(c, &t, "%c", ch == '\t' || ch == '\r' ? ' ' : ch);
    }
    while (t.n && strchr(" \n", t.s[t.n - 1]))
        t.s[--t.n] = 0;
    return t.s;
}

const char *row_line(Ctx *c, Item *decl) {
    RowInfo *i = info(c, decl);
    if (!i->line)
        i->line = declaration(c, decl->line);
    return i->line;
}

/* ---- messages */

Span user_span(Ctx *c, Span at) {
    for (const Frame *f = c->frame; at.src && at.src->library && f; f = f->up)
        at = f->at;
    return at;
}

void row_error(Row *r, Span where, const char *fmt, ...) {
    va_list ap;
    if (r->bad)
        return;
    r->bad = true;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = alloc(r->c, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    error_at(r->c, r->at, "%s", text);
    if (where.src && (where.src != r->at.src || where.from != r->at.from))
        note_at(r->c, where, "the operator's line");
}

static Symbol *single_symbol(Dim d) {
    bool one = d->n == 1 && d->term[0].coef == 1 && d->term[0].n == 1 &&
               d->term[0].atom[0]->kind == AtomSymbol;
    return one ? d->term[0].atom[0]->symbol : NULL;
}

char *sizes_differ(Ctx *c, Dim a, Dim b) {
    int64_t x, y;
    bool numbers = dim_number(a, &x) && dim_number(b, &y);
    return format(c, numbers ? "%s is not %s" : "%s and %s need not be equal", dim_text(c, a),
                  dim_text(c, b));
}

void note_sizes(Ctx *c, Dim a, Dim b) {
    Symbol *x = single_symbol(a), *y = single_symbol(b);
    if (x && x->at.src)
        note_at(c, x->at, "%s comes from here", x->name);
    if (y && y->at.src)
        note_at(c, y->at,
                x ? "%s comes from here; only a written 1 stretches" : "%s comes from here",
                y->name);
    if (x && y)
        help(c, "use one symbol for both, or `require %s == %s`", x->name, y->name);
}

/* ---- what an op is */

Item *row_find(Ctx *c, Item *from, Name n) {
    (void)c;
    Item *found = from->module_in ? map_get(&from->module_in->names, n) : NULL;
    return found && (found->kind == IOp || found->kind == IExtern) ? found : NULL;
}

bool row_is_attr(const Field *f) {
    static const char *const word[] = { "int", "float", "bool", "str", "dtype", "block", "model" };
    if (f->dims.given || !f->type || f->type->dims.given)
        return false;
    if (f->type->list)
        return true;
    for (size_t k = 0; k < sizeof word / sizeof *word; k++)
        if (!strcmp(f->type->name, word[k]))
            return true;
    return elem_named(f->type->name) == NoElem && strcmp(f->type->name, "any");
}

static bool just_dots(const Field *f) {
    return !f->dims.given && f->type && f->type->dims.n == 1 && f->type->dims.at[0].kind == DimDots;
}

static Expr *field_named(Item *decl, const char *n) {
    for (int k = 0; k < decl->nfield; k++)
        if (!strcmp(decl->field[k].name, n))
            return decl->field[k].init;
    return NULL;
}

/* An extern op that is element by element: f(x: float[...], …) -> (y: float[...]), with a name in
 * C. */
bool row_is_scalar_extern(Item *decl) {
    if (decl->kind != IExtern || decl->result.n != 1 || decl->params.n == 0 ||
        !just_dots(&decl->result.at[0]))
        return false;
    for (int k = 0; k < decl->params.n; k++)
        if (!just_dots(&decl->params.at[k]))
            return false;
    return true;
}

const Fn *row_extern_fn(Ctx *c, Item *decl) {
    RowInfo *i = info(c, decl);
    Expr *word = field_named(decl, "c");
    if (!i->fn)
        i->fn = fn_named(c, decl->name);
    if (!i->fn)
        i->fn = fn_extern(c, decl->name, word && word->kind == EStr ? word->name : decl->name,
                          decl->params.n);
    return i->fn;
}

static bool indexed_op(const Item *decl) {
    if (decl->result_dims.given)
        return true;
    for (int k = 0; k < decl->params.n; k++)
        if (decl->params.at[k].dims.given)
            return true;
    for (int k = 0; k < decl->result.n; k++)
        if (decl->result.at[k].dims.given)
            return true;
    return false;
}

static bool scalar_expr(Ctx *c, Item *decl, const Expr *e) {
    if (e->kind == EAttr || e->kind == EAs || e->kind == EPack || e->kind == EGroup ||
        e->kind == EListFor)
        return false;
    if ((e->kind == EBinary && (e->op == OpMatmul || e->op == OpJoin)))
        return false;
    if (e->kind == ECall) {
        Name f = e->kid[0]->kind == EName ? e->kid[0]->name : NULL;
        if (!f)
            return false;
        if (!fn_named(c, f) && !elem_named(f) && strcmp(f, "given") && strcmp(f, "int") &&
            strcmp(f, "len")) {
            Item *op = row_find(c, decl, f);
            if (!op || !row_is_scalar(c, op))
                return false;
        }
        for (int k = 0; k < e->narg; k++)
            if ((e->arg[k].sep && e->arg[k].sep != '=') || !scalar_expr(c, decl, e->arg[k].value))
                return false;
        return true;
    }
    if (e->kind == EIndex || e->kind == EList)
        return false;
    for (int k = 0; k < e->n; k++)
        if (!scalar_expr(c, decl, e->kid[k]))
            return false;
    return true;
}

static Expr *only_value(const Item *decl) {
    if (decl->e)
        return decl->e;
    bool one =
        decl->body.n == 1 && decl->body.at[0]->kind == SReturn && decl->body.at[0]->nvalue == 1;
    return one ? decl->body.at[0]->value[0] : NULL;
}

bool row_is_scalar(Ctx *c, Item *decl) {
    RowInfo *i = info(c, decl);
    if (i->scalar == Asking)
        return false; /* recursive: build says so */
    if (i->scalar == Unknown) {
        i->scalar = Asking;
        bool yes = row_is_scalar_extern(decl);
        if (decl->kind == IOp && !indexed_op(decl) && decl->result.n == 0) {
            Expr *e = only_value(decl);
            yes = e != NULL;
            for (int k = 0; k < decl->params.n; k++)
                yes = yes && (row_is_attr(&decl->params.at[k]) || !decl->params.at[k].type);
            yes = yes && scalar_expr(c, decl, e);
        }
        i->scalar = yes ? Yes : No;
    }
    return i->scalar == Yes;
}

bool op_is_row(Ctx *c, Item *decl) {
    return decl->kind == IExtern ||
           (decl->kind == IOp && (indexed_op(decl) || row_is_scalar(c, decl)));
}

/* ---- values */

Value poison(Span at) {
    return (Value){ .kind = VPoison, .at = at };
}

Value tensor_value(Tensor *t, Span at) {
    return (Value){ .kind = VTensor, .tensor = t, .at = at };
}

bool row_not_given(const Value *v) {
    return v->kind == VNone && !v->item && !v->at.src;
}

/* ---- nodes */

Call *call_new(Ctx *c, Name op, const char *line, Name path, Span at) {
    Call *call = NEW(c, Call);
    *call = (Call){
        .op = op, .line = line, .path = path, .at = user_span(c, at), .id = c->next_call++
    };
    return call;
}

Dim axis_size(Ctx *c, const Axis *a) {
    Dim size = dim(c, 1);
    for (int k = 0; k < a->n; k++)
        size = dim_mul(c, size, a->index[k]->size);
    return size;
}

static bool small_enough(const Term *t, int *budget) {
    if (--*budget < 0)
        return false;
    for (int k = 0; k < t->n; k++)
        if (!small_enough(t->kid[k], budget))
            return false;
    return true;
}

static bool node_fine(Ctx *c, Call *call, const Clause *k) {
    int budget = 20000, axis;
    Term *load;
    if (!small_enough(k->body, &budget)) {
        error_at(c, call->at, "%s: the expression is too large", call->op);
        return false;
    }
    if (inside_check(c, k, &load, &axis))
        return true;
    error_at(c, call->at, "%s: `%s` may be read outside: %s is not always in 0 … %s", call->op,
             load->as ? load->as : load->from->name, term_text(c, load->kid[axis]),
             dim_text(c, dim_sub(c, load->from->type.dim[axis], dim(c, 1))));
    help(c, "`x[…] else v` says what it is outside, or `max(0, min(i, N - 1))` keeps the position "
            "inside");
    return false;
}

Tensor *row_node(Ctx *c, Graph *g, Call *call, Name nm, Name path, Axis *axis, int naxis,
                 const Clause *k) {
    Type type = { .elem = k->body->elem, .rank = naxis };
    if (naxis > MaxRank) {
        error_at(c, call->at, "%s: a result of more than %d axes", call->op, MaxRank);
        return NULL;
    }
    if (!node_fine(c, call, k))
        return NULL;
    if (k->reduce == RArgMax || k->reduce == RArgMin)
        type.elem = I32;
    for (int j = 0; j < naxis; j++)
        type.dim[j] = axis_size(c, &axis[j]);
    Tensor *out =
        tensor(c, TTemp, nm, path && *path ? name(c, "%s.%s", path, nm) : nm, &type, call->at);
    Node *n = node_new(c, g, out);
    n->axis = axis;
    n->naxis = naxis;
    n->reduce = k->reduce;
    n->nbind = k->nbind;
    n->ncond = k->ncond;
    n->bind = NEWN(c, Index *, k->nbind + 1);
    n->cond = NEWN(c, Term *, k->ncond + 1);
    memcpy(n->bind, k->bind, sizeof *n->bind * (size_t)k->nbind);
    memcpy(n->cond, k->cond, sizeof *n->cond * (size_t)k->ncond);
    n->body = k->body;
    n->call = call;
    return out;
}

/* ---- arguments */

static void bind_attr(Row *r, const Field *f, const Value *v) {
    if (r->scope->n == MaxBinds) {
        row_error(r, f->at, "%s has too many parameters", r->decl->name);
        return;
    }
    Bind *b = &r->scope->at[r->scope->n++];
    *b = (Bind){ .name = f->name, .known = v->kind != VTensor, .value = *v };
    if (b->known)
        return;
    if (v->tensor->type.rank == 0)
        b->term = term_load(r->c, v->tensor, NULL, 0, NULL, f->name);
    else
        row_error(r, f->at, "%s: `%s` must be known while compiling, found a tensor", r->decl->name,
                  f->name);
}

/* Defaults that need sizes wait until those are known: false. `last`: one that varies is a term. */
static bool bind_default(Row *r, const Field *f, bool last) {
    Value v;
    if (!f->init) {
        row_error(r, f->at, "%s needs `%s`", r->decl->name, f->name);
        return false;
    }
    if (row_value(r, f->init, Plain, &v)) {
        bind_attr(r, f, &v);
        return true;
    }
    if (!last || r->bad)
        return false;
    Term *t = row_term(r, f->init, Plain);
    if (r->bad || r->scope->n == MaxBinds)
        return false;
    r->scope->at[r->scope->n++] = (Bind){ .name = f->name, .term = t };
    return true;
}

static void bind_attrs(Row *r, Value *arg) {
    for (int k = 0; k < r->decl->params.n && !r->bad; k++) {
        const Field *f = &r->decl->params.at[k];
        if (row_is_attr(f) && !row_not_given(&arg[k]))
            bind_attr(r, f, &arg[k]);
    }
}

static void bind_defaults(Row *r, bool last) {
    for (bool moved = true; moved && !r->bad;) {
        moved = false;
        for (int k = 0; k < r->decl->params.n && !r->bad; k++) {
            const Field *f = &r->decl->params.at[k];
            if (row_is_attr(f) && !scope_find(r->scope, f->name))
                moved |= bind_default(r, f, last);
        }
    }
}

/* The type that untyped parameters share: a list or a number beside them takes it. */
static Elem shared_type(Row *r, Value *arg) {
    for (int k = 0; k < r->decl->params.n; k++) {
        const Field *f = &r->decl->params.at[k];
        if (row_is_attr(f))
            continue;
        bool open = !f->type || !strcmp(f->type->name, "float") || !strcmp(f->type->name, "any");
        if (open && arg[k].kind == VTensor && arg[k].tensor->type.elem != Bool)
            return arg[k].tensor->type.elem;
    }
    return NoElem;
}

static bool holds_float(const Value *v) {
    if (v->kind == VFloat)
        return true;
    for (int k = 0; v->kind == VList && k < v->n; k++)
        if (holds_float(&v->item[k]))
            return true;
    return false;
}

static bool holds_bool(const Value *v) {
    while (v->kind == VList && v->n)
        v = &v->item[0];
    return v->kind == VBool;
}

static Elem list_type(Row *r, const Field *f, const Value *v) {
    Elem e = f->type && f->type->name ? elem_named(f->type->name) : NoElem;
    if (holds_bool(v))
        return Bool;
    if (e != NoElem && e != Float)
        return e;
    if (holds_float(v) || e == Float)
        return elem_is_float(r->number) ? r->number : Float;
    return f->type || r->number == NoElem ? I32 : r->number;
}

static void note_type(Row *r, RowTensor *t, const Field *f) {
    Elem e = t->tensor ? t->tensor->type.elem : t->number->elem;
    if (!f->type || !f->type->name || elem_admits(f->type->name, e))
        return;
    row_error(r, f->at, "%s: `%s` must be %s, found %s", r->decl->name, f->name, f->type->name,
              elem_name(e));
}

static void bind_number(Row *r, RowTensor *t, const Field *f, const Value *v) {
    t->number = value_term(r->c, v);
    if (!t->number) {
        row_error(r, f->at, "%s: `%s` must be a tensor", r->decl->name, f->name);
        return;
    }
    DimList d = f->dims.given ? f->dims : f->type ? f->type->dims : (DimList){ 0 };
    for (int k = 0; k < d.n; k++)
        if (d.at[k].kind != DimDots) {
            row_error(r, f->at, "%s: `%s` must be a tensor of rank %d, found a number",
                      r->decl->name, f->name, d.n);
            return;
        }
    Elem e = f->type && f->type->name ? elem_named(f->type->name) : NoElem;
    if (e != NoElem && e != Float && t->number->elem != Bool)
        t->number = term_as(r->c, t->number, e);
}

static void bind_tensor(Row *r, const Field *f, Value *v) {
    if (r->ntensor == MaxTensors) {
        row_error(r, f->at, "%s has too many tensors", r->decl->name);
        return;
    }
    RowTensor *t = &r->tensor[r->ntensor++];
    Value own = *v;
    *t = (RowTensor){ .name = f->name, .outside = f->outside };
    if (row_not_given(&own)) {
        if (!f->init) {
            row_error(r, f->at, "%s needs `%s`", r->decl->name, f->name);
            return;
        }
        if (!row_value(r, f->init, Plain, &own)) {
            row_error(r, f->at, "%s: the default of `%s` is not known", r->decl->name, f->name);
            return;
        }
    }
    if (own.kind == VNone)
        return;
    if (own.kind == VList) {
        t->tensor = row_constant(r->c, own, list_type(r, f, &own));
        if (!t->tensor) {
            row_error(r, f->at, "%s: `%s` must be a list of numbers, as long in each row",
                      r->decl->name, f->name);
            return;
        }
    } else if (own.kind == VTensor) {
        t->tensor = own.tensor;
    } else {
        bind_number(r, t, f, &own);
        if (r->bad)
            return;
    }
    note_type(r, t, f);
    if (t->tensor && !r->bad)
        row_match(r, t, f);
}

static void bind_tensors(Row *r, Value *arg) {
    for (int k = 0; k < r->decl->params.n;
         k++) { /* lists first become tensors: `axis` asks their rank */
        const Field *f = &r->decl->params.at[k];
        if (row_is_attr(f) || arg[k].kind != VList)
            continue;
        Tensor *t = row_constant(r->c, arg[k], list_type(r, f, &arg[k]));
        if (t)
            arg[k] = tensor_value(t, arg[k].at);
    }
    row_axes(r, arg);
    for (int k = 0; k < r->decl->params.n && !r->bad; k++)
        if (!row_is_attr(&r->decl->params.at[k]))
            bind_tensor(r, &r->decl->params.at[k], &arg[k]);
    for (int k = 0; k < 2 * MaxRank && !r->bad;
         k++) { /* sizes may need defaults, and defaults sizes */
        int before = r->scope->n + r->nindex;
        row_settle(r);
        if (!r->bad)
            bind_defaults(r, false);
        if (before == r->scope->n + r->nindex)
            break;
    }
    for (int k = 0; k < r->nequation && !r->bad; k++)
        if (!r->equation[k].done)
            row_error(r, r->at, "%s: the sizes in axis %d of `%s` are not known", r->decl->name,
                      r->equation[k].axis, r->equation[k].who);
    if (!r->bad)
        bind_defaults(r, true);
}

/* ---- the body */

typedef struct Left {
    Axis axis[MaxRank];
    Pat pat[MaxRank];
    int n;
    Name name;
    Elem want;
    int tail;
} Left;

static void open_loops(Row *r, const Left *l) {
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

static Tensor *result(Row *r, const Left *l, Expr *e) {
    Axis *axis = NEWN(r->c, Axis, MaxRank);
    Clause k;
    open_loops(r, l);
    int n = place_axes(r, l, axis);
    if (r->bad)
        return NULL;
    Tensor *same = as_is(r, l, axis, n, e);
    if (same)
        return same;
    return row_clause(r, e, &k) ? row_emit(r, l->name, axis, n, &k, l->want) : NULL;
}

static void assign(Row *r, Stmt *s) {
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
    open_loops(r, &l);
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
static void require(Row *r, Stmt *s, Expr *e) {
    Value v;
    Dim a;
    int64_t n;
    if (e->kind == EBinary && e->op == OpAnd) {
        require(r, s, e->kid[0]);
        require(r, s, e->kid[1]);
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
            assign(r, s);
            break;
        case SRequire:
            require(r, s, s->e);
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
                out[j] = result(r, &l[j], s->value[j]);
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

static int lefts(Row *r, Left *l) {
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

static Value give(Row *r, Tensor **out, int n) {
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
    open_loops(r, l);
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
    Expr *e = decl->kind == IExtern && !row_is_scalar_extern(decl) ? field_named(decl, "reference")
                                                                   : NULL;
    return e && e->kind == EName ? row_find(c, decl, e->name) : NULL;
}

/* ---- applied */

static void run(Row *r, Left *l, int n, Tensor **out) {
    if (r->decl->kind == IExtern) {
        if (row_is_scalar_extern(r->decl))
            out[0] = scalar_extern(r, &l[0]);
        else
            shape_only(r, l, n, out);
    } else if (r->decl->e) {
        if (n == 1)
            out[0] = result(r, &l[0], r->decl->e);
        else
            row_error(r, r->decl->at, "%s: %d results, and one value", r->decl->name, n);
    } else if (!run_body(r, r->decl->body, l, n, out)) {
        row_error(r, r->decl->at, "%s returns no value", r->decl->name);
    }
}

/* A scalar op of compile-time values alone is evaluated (rule 27): a size, a number. */
static bool folded(Row *r, Value *arg, Value *out) {
    if (!row_is_scalar(r->c, r->decl))
        return false;
    for (int k = 0; k < r->decl->params.n; k++) {
        if (arg[k].kind == VTensor || arg[k].kind == VList)
            return false;
        if (!row_not_given(&arg[k]))
            bind_attr(r, &r->decl->params.at[k], &arg[k]);
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
            bind_default(r, &r->decl->params.at[k], true);
    Expr *e = r->bad ? NULL : only_value(r->decl);
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
    if (folded(&r, own, &value)) {
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
    r.number = shared_type(&r, own);
    bind_attrs(&r, own);
    if (!r.bad)
        bind_defaults(&r, false);
    if (!r.bad)
        bind_tensors(&r, own);
    int n = r.bad ? 0 : lefts(&r, left);
    if (!r.bad)
        run(&r, left, n, out);
    return give(&r, out, n);
}
