/* types.c: the types of parameters and terminals against the values they get.
 *
 * A dimension that is a capitalised name nobody gave yet is introduced by the `in` that has it: in an
 * applied model it becomes the caller's dimension, at the top a Symbol. `...` is bound once an application. */
#include "flatten.h"

#include <string.h>

static bool named(const TypeExpr *t, const char *s) {
    return t->name && !strcmp(t->name, s);
}

bool is_compile_type(const TypeExpr *t) {
    if (!t)
        return false;
    if (t->list)
        return is_compile_type(t->list);
    if (!t->name || t->dims.given)
        return false;
    return named(t, "int") || named(t, "float") || named(t, "bool") ||
           elem_named(t->name) == NoElem;
}

/* ---- showing --------------------------------------------------------------------------------------- */

char *type_expr_text(Ctx *c, const TypeExpr *t) {
    return source_text(c, t->at);
}

/* ---- compile-time types ------------------------------------------------------------------------------ */

static Value wrong_param(Act *a, const Field *f, const TypeExpr *t, const Value *v,
                         const char *of) {
    Ctx *c = a->e->c;
    error_at(c, v->at.src ? v->at : f->at, "`%s` of %s is %s, found %s", f->name, of,
             type_expr_text(c, t),
             v->kind == VTensor ? format(c, "a tensor, %s", value_text(c, v)) : value_kind(c, v));
    return no_value();
}

static Value fit_compile(Act *a, const Field *f, const TypeExpr *t, Value v, const char *of);

static bool wants_count(Act *a, const TypeExpr *t, int64_t *n) {
    if (!t->count)
        return false;
    if (t->count->kind == EName && !strcmp(t->count->name, "_"))
        return false;
    Value k = evaluate(a, t->count);
    return k.kind == VInt && dim_number(k.whole, n);
}

/* [T], [T; n]: to the second one T may be given, which is repeated. */
static Value fit_list(Act *a, const Field *f, const TypeExpr *t, Value v, const char *of) {
    Ctx *c = a->e->c;
    int64_t n = -1;
    bool counted = wants_count(a, t, &n);
    if (v.kind != VList) {
        if (!t->count)
            return wrong_param(a, f, t, &v, of);
        Value one = fit_compile(a, f, t->list, v, of);
        if (!counted || one.kind == VPoison)
            return one;
        if (n < 0 || n > MostTurns)
            return wrong_param(a, f, t, &v, of);
        Value many = list_value(NEWN(c, Value, n), (int)n);
        for (int i = 0; i < n; i++)
            many.item[i] = one;
        many.at = v.at;
        return many;
    }
    if (counted && v.n != n)
        return wrong_param(a, f, t, &v, of);
    Value fitted = list_value(NEWN(c, Value, v.n), v.n);
    for (int i = 0; i < v.n; i++)
        fitted.item[i] = fit_compile(a, f, t->list, v.item[i], of);
    fitted.at = v.at;
    return fitted;
}

static Value fit_float(Act *a, const Field *f, const TypeExpr *t, Value v, const char *of) {
    double d;
    if (v.kind == VFloat)
        return v;
    if (v.kind != VInt)
        return wrong_param(a, f, t, &v, of);
    if (as_double(&v, &d)) {
        Value w = float_value(d);
        w.at = v.at;
        return w;
    }
    return dim_unknown(a->e, v.whole) ? no_value() : size_tensor(a, v.whole, Float);
}

static bool is_kind(const TypeExpr *t, const Value *v) {
    if (named(t, "int"))
        return v->kind == VInt;
    if (named(t, "bool"))
        return v->kind == VBool;
    if (named(t, "str"))
        return v->kind == VStr;
    if (named(t, "dtype"))
        return v->kind == VElem;
    if (named(t, "model"))
        return v->kind == VModel;
    if (named(t, "block"))
        return v->kind == VRecipe || v->kind == VOp;
    return v->kind == VConfig && v->decl->name == t->name;
}

static Value fit_compile(Act *a, const Field *f, const TypeExpr *t, Value v, const char *of) {
    if (v.kind == VPoison || (t->maybe && v.kind == VNone))
        return v;
    if (v.kind == VTensor && v.tensor->type.rank == 0 && named(t, "float") && !v.tensor->def)
        return v;
    if (t->list)
        return fit_list(a, f, t, v, of);
    if (named(t, "float"))
        return fit_float(a, f, t, v, of);
    if (named(t, "block") && v.kind == VModel && !v.decl->params.n) {
        Recipe *r = NEW(a->e->c, Recipe);
        r->decl = v.decl;
        return recipe_value(r, v.at);
    }
    return is_kind(t, &v) ? v : wrong_param(a, f, t, &v, of);
}

Value fit_param(Act *a, const Field *f, Value v, const char *of) {
    if (!f->type || !is_compile_type(f->type))
        return v;
    if (v.kind == VNone && f->init && f->init->kind == ENone)
        return v;
    return fit_compile(a, f, f->type, v, of);
}

/* ---- elements ------------------------------------------------------------------------------------------ */

static bool admits(const TypeExpr *t, Elem e) {
    if (named(t, "any"))
        return true;
    if (named(t, "int"))
        return elem_is_int(e);
    Elem want = elem_named(t->name);
    return want == e;
}

static Elem wanted(const TypeExpr *t) {
    if (named(t, "any"))
        return NoElem;
    if (named(t, "int"))
        return I32;
    return elem_named(t->name);
}

Value as_elem(Act *a, Value v, Elem e, Span at) {
    Ctx *c = a->e->c;
    int64_t n;
    Value r = v;
    if (v.kind == VInt && !dim_number(v.whole, &n))
        r = size_tensor(a, v.whole, e == NoElem ? I32 : e);
    else if (is_number(&v) || v.kind == VBool || v.kind == VList) {
        Tensor *t = row_constant(c, v, e);
        if (!t)
            return no_value();
        r = of_tensor(t);
    } else if (v.kind == VTensor && e != NoElem &&
               (v.tensor->type.elem == AnyInt || v.tensor->type.elem == AnyFloat)) {
        r = row_scalar(c, a->e->graph, fn(FnCast), e, &v, 1, at, a->in->path, NULL);
    }
    r.at = at;
    return r;
}

/* ---- dimensions ------------------------------------------------------------------------------------------ */

static bool is_blank(const DimExpr *d) {
    return d->e && d->e->kind == EName && !strcmp(d->e->name, "_");
}

static Name dots_name(Ctx *c, const DimExpr *d) {
    return d->kind == DimPack && d->e && d->e->kind == EName ? d->e->name : name(c, "...");
}

static int dots_at(const DimList *l) {
    for (int i = 0; i < l->n; i++)
        if (l->at[i].kind == DimDots || l->at[i].kind == DimPack)
            return i;
    return -1;
}

/* A capitalised name without a value yet? */
static bool is_new(Act *a, const DimExpr *d) {
    return d->kind == DimAt && d->e->kind == EName && !is_blank(d) && is_capital(d->e->name) &&
           !find_var(a->scope, d->e->name) && !item_named(a->module, d->e->name);
}

typedef struct Mismatch {
    bool any;
    const DimExpr *where;
    Dim want, found;
    bool rank, silent;
} Mismatch;

static void match_dim(Act *a, const DimExpr *d, Dim found, bool introduce, Mismatch *m) {
    Ctx *c = a->e->c;
    if (is_blank(d) || m->any)
        return;
    if (is_new(a, d)) {
        if (introduce)
            scope_declare(c, a->scope, d->e->name, VarSize, dim_value(found), d->at);
        else
            m->silent = m->any = true;
        return;
    }
    Value v = evaluate(a, d->e);
    if (v.kind == VPoison) {
        m->silent = m->any = true;
        return;
    }
    if (v.kind != VInt) {
        error_at(c, d->e->at, "a size must be an int known when compiling, found %s",
                 value_kind(c, &v));
        m->silent = m->any = true;
        return;
    }
    if (dim_equal(c, v.whole, found))
        return;
    if (dim_unknown(a->e, v.whole) || dim_unknown(a->e, found)) {
        int64_t n, k;
        bool hard = dim_number(v.whole, &n) && dim_number(found, &k);
        if (!hard) {
            m->silent = m->any = true;
            return;
        }
    }
    *m = (Mismatch){ .any = true, .where = d, .want = v.whole, .found = found };
}

static void match_dots(Act *a, const DimExpr *d, const Dim *found, int n, Mismatch *m) {
    Ctx *c = a->e->c;
    Name key = dots_name(c, d);
    Shape *s = map_get(&a->dots, key);
    if (!s) {
        s = NEW(c, Shape);
        s->rank = n;
        for (int i = 0; i < n; i++)
            s->dim[i] = found[i];
        map_put(c, &a->dots, key, s);
        return;
    }
    if (s->rank != n) {
        m->any = m->rank = true;
        return;
    }
    for (int i = 0; i < n && !m->any; i++)
        if (!dim_equal(c, s->dim[i], found[i]))
            *m = (Mismatch){ .any = true, .where = d, .want = s->dim[i], .found = found[i] };
}

static Mismatch match_dims(Act *a, const DimList *l, const Type *t, bool introduce) {
    Mismatch m = { 0 };
    int dots = dots_at(l), fixed = l->n - (dots >= 0);
    if (dots >= 0 ? t->rank < fixed : t->rank != fixed) {
        m.any = m.rank = true;
        return m;
    }
    int between = t->rank - fixed;
    for (int i = 0, k = 0; i < l->n; i++) {
        if (i == dots)
            match_dots(a, &l->at[i], t->dim + k, between, &m), k += between;
        else
            match_dim(a, &l->at[i], t->dim[k++], introduce, &m);
    }
    return m;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static char *found_text(Ctx *c, const Value *v) {
    return v->kind == VTensor ? value_text(c, v) : value_kind(c, v);
}

static Value mismatched(Act *a, const TypeExpr *t, const Value *v, const Mismatch *m, Name what,
                        const char *of, Span decl) {
    Ctx *c = a->e->c;
    if (m && m->silent)
        return no_value();
    Span at = v->at.src ? v->at : decl;
    const char *whose = of ? format(c, "`%s` of %s", what, of) : format(c, "`%s`", what);
    const char *why = "";
    if (m && m->rank)
        why = "; the number of dimensions differs";
    else if (m && m->where && m->where->kind == DimAt)
        why = format(c, ": `%s` is %s, not %s", source_text(c, m->where->at), dim_text(c, m->want),
                     dim_text(c, m->found));
    else if (m && m->where)
        why = format(c, ": in `...`, %s is not %s", dim_text(c, m->want), dim_text(c, m->found));
    error_at(c, at, "%s is %s, found %s%s", whose, type_expr_text(c, t), found_text(c, v), why);
    if (decl.src && decl.src != at.src)
        note_at(c, decl, "declared here");
    else if (decl.src && decl.from != at.from)
        note_at(c, decl, "declared here");
    return no_value();
}

static Value fit_tensors(Act *a, const TypeExpr *t, Value v, bool introduce, Name what,
                         const char *of, Span decl) {
    Ctx *c = a->e->c;
    int64_t n;
    if (v.kind != VList)
        return mismatched(a, t, &v, NULL, what, of, decl);
    if (wants_count(a, t, &n) && n != v.n) {
        error_at(c, v.at.src ? v.at : decl, "`%s` is a list of %lld, found %d", what, (long long)n,
                 v.n);
        return no_value();
    }
    Value r = list_value(NEWN(c, Value, v.n), v.n);
    r.at = v.at;
    for (int i = 0; i < v.n; i++) {
        Value item = v.item[i];
        if (!item.at.src)
            item.at = v.at;
        r.item[i] = fit_tensor(a, t->list, item, introduce, what, of, decl);
    }
    return r;
}

Value fit_tensor(Act *a, const TypeExpr *t, Value v, bool introduce, Name what, const char *of,
                 Span decl) {
    if (!t || v.kind == VPoison)
        return v;
    if (v.kind == VNone && t->maybe)
        return v;
    if (t->list)
        return fit_tensors(a, t, v, introduce, what, of, decl);
    if (!t->name)
        return v;
    if (v.kind != VTensor) {
        if (!is_number(&v) && v.kind != VBool && v.kind != VList)
            return mismatched(a, t, &v, NULL, what, of, decl);
        if (has_poison(&v) || value_unknown(a->e, &v))
            return no_value();
        if (has_tensor(&v))
            return mismatched(a, t, &v, NULL, what, of, decl);
        v = as_elem(a, v, wanted(t), v.at.src ? v.at : decl);
        if (v.kind != VTensor)
            return no_value();
    }
    if (v.tensor->type.elem == AnyInt || v.tensor->type.elem == AnyFloat) {
        v = as_elem(a, v, wanted(t), v.at);
        if (v.kind != VTensor)
            return no_value();
    }
    if (!admits(t, v.tensor->type.elem))
        return mismatched(a, t, &v, NULL, what, of, decl);
    Mismatch m = match_dims(a, &t->dims, &v.tensor->type, introduce);
    return m.any ? mismatched(a, t, &v, &m, what, of, decl) : v;
}

bool list_type(Act *a, const TypeExpr *t, int64_t *count) {
    return t && t->list && wants_count(a, t, count);
}

/* ---- types that are made ---------------------------------------------------------------------------------- */

static bool add_dim(Act *a, Type *out, Dim d, Span at) {
    Ctx *c = a->e->c;
    int64_t lo, hi;
    if (out->rank == MaxRank) {
        error_at(c, at, "a tensor has at most %d dimensions", MaxRank);
        return false;
    }
    dim_bounds(c, d, &lo, &hi);
    if (hi < 0) {
        error_at(c, at, "a size cannot be negative, found %s", dim_text(c, d));
        return false;
    }
    out->dim[out->rank++] = d;
    return true;
}

static bool add_dots(Act *a, Type *out, const DimExpr *d) {
    const Shape *s = map_get(&a->dots, dots_name(a->e->c, d));
    for (int i = 0; s && i < s->rank; i++)
        if (!add_dim(a, out, s->dim[i], d->at))
            return false;
    return s != NULL;
}

/* At the top, a new symbol is what the entry or --bind says, or varies. */
static bool new_symbol(Act *a, const DimExpr *d, bool first, Dim *out) {
    Value v = root_symbol(a, d->e->name, d->at, first);
    if (v.kind != VInt)
        return false;
    scope_declare(a->e->c, a->scope, d->e->name, VarSize, v, d->at);
    *out = v.whole;
    return true;
}

static bool one_dim(Act *a, const DimExpr *d, bool introduce, bool first, Dim *out) {
    Ctx *c = a->e->c;
    if (is_blank(d)) {
        if (!introduce)
            return false;
        Symbol *s = NEW(c, Symbol);
        *s = (Symbol){ .name = name(c, "_"), .at = d->at, .hi = INT32_MAX };
        *out = dim_symbol(c, s);
        return a->e->check;
    }
    if (is_new(a, d))
        return introduce && new_symbol(a, d, first, out);
    Value v = evaluate(a, d->e);
    if (v.kind == VPoison)
        return false;
    if (v.kind == VInt) {
        *out = v.whole;
        return true;
    }
    if (v.kind == VTensor)
        error_at(c, d->e->at, "a size must be known when compiling; `%s` is a run-time %s",
                 source_text(c, d->e->at), value_text(c, &v));
    else
        error_at(c, d->e->at, "a size must be an int, found %s", value_kind(c, &v));
    return false;
}

bool type_of(Act *a, const TypeExpr *t, Type *out, bool introduce) {
    if (!t || t->list || !t->name)
        return false;
    *out = (Type){ .elem = wanted(t) };
    if (out->elem == NoElem)
        return false;
    for (int i = 0; i < t->dims.n; i++) {
        const DimExpr *d = &t->dims.at[i];
        Dim size = NULL;
        if (d->kind == DimDots || d->kind == DimPack) {
            if (!add_dots(a, out, d))
                return false;
        } else if (!one_dim(a, d, introduce, i == 0, &size) || !add_dim(a, out, size, d->at))
            return false;
    }
    return true;
}

/* Beyond 2^40 elements nothing is a model any more; symbols without a bound do not count. */
bool too_big(Elab *e, const Type *t, Name what, Span at) {
    Ctx *c = e->c;
    int64_t lo, hi, all = 1;
    for (int i = 0; i < t->rank; i++) {
        int64_t n;
        dim_bounds(c, t->dim[i], &lo, &hi);
        if (!dim_number(t->dim[i], &n))
            n = lo < 1 ? 1 : lo;
        if (n > 0 && all > most_elements / n) {
            error_at(c, at, "`%s` would be %s: more than 2^40 elements", what, type_text(c, t));
            return true;
        }
        if (n > 0)
            all *= n;
    }
    return false;
}

Node *made_node(Act *a, const Type *t, Name hint, const char *op, Index **index) {
    static const char letter[] = "ijklmnop";
    Ctx *c = a->e->c;
    Tensor *out = tensor(c, TTemp, hint, path_join(c, a->in->path, hint), t, (Span){ 0 });
    Node *n = node_new(c, a->e->graph, out);
    n->naxis = t->rank;
    n->axis = NEWN(c, Axis, t->rank);
    for (int i = 0; i < t->rank; i++) {
        index[i] = index_new(c, intern(c, &letter[i], 1), t->dim[i]);
        n->axis[i].n = 1;
        n->axis[i].index = NEWN(c, Index *, 1);
        n->axis[i].index[0] = index[i];
    }
    n->call = NEW(c, Call);
    *n->call = (Call){ .op = name(c, "%s", op),
                       .line = format(c, "%s", hint),
                       .path = a->in->path,
                       .id = c->next_call++ };
    return n;
}

Value filled(Act *a, const Type *t, double v, Name hint) {
    Ctx *c = a->e->c;
    Index *index[MaxRank];
    Node *n = made_node(a, t, hint ? hint : name(c, "fill"), "fill", index);
    n->body = term_number(c, t->elem, v);
    return of_tensor(n->out);
}
