/* rowop.c: what is known of an op before it is applied, the nodes it makes, and what is said of it. */
#include "row.h"

#include <stdarg.h>
#include <string.h>

/* What is known of an op, found out once. */
typedef struct RowInfo {
    const char *line;
    const Fn *fn; /* of a scalar extern */
    enum { Unknown, Asking, No, Yes } scalar, externs;
} RowInfo;

static RowInfo *row_info(Ctx *c, Item *decl) {
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
    RowInfo *i = row_info(c, decl);
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
    if (f->dims.given || !f->type || f->type->dims.given || (!f->type->list && !f->type->name))
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

Expr *row_field(Item *decl, const char *n) {
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
    RowInfo *i = row_info(c, decl);
    Expr *word = row_field(decl, "c");
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

Expr *row_only_value(const Item *decl) {
    if (decl->e)
        return decl->e;
    bool one =
        decl->body.n == 1 && decl->body.at[0]->kind == SReturn && decl->body.at[0]->nvalue == 1;
    return one ? decl->body.at[0]->value[0] : NULL;
}

bool row_is_scalar(Ctx *c, Item *decl) {
    RowInfo *i = row_info(c, decl);
    if (i->scalar == Asking)
        return false; /* recursive: build says so */
    if (i->scalar == Unknown) {
        i->scalar = Asking;
        bool yes = row_is_scalar_extern(decl);
        if (decl->kind == IOp && !indexed_op(decl) && decl->result.n == 0) {
            Expr *e = row_only_value(decl);
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

static bool node_fine(Ctx *c, Call *call, const Axis *axes, int naxis, const Clause *k) {
    int budget = 20000, axis;
    Term *load;
    if (!small_enough(k->body, &budget)) {
        error_at(c, call->at, "%s: the expression is too large", call->op);
        return false;
    }
    if (inside_check(c, axes, naxis, k, &load, &axis))
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
    if (!node_fine(c, call, axis, naxis, k))
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
