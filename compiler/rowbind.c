/* rowbind.c: the arguments of an application, bound to the parameters of the op.
 *
 * They are values known while compiling, tensors, and numbers that take the type of the tensors
 * beside them. */
#include "row.h"

#include <string.h>

void row_bind_attr(Row *r, const Field *f, const Value *v) {
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
bool row_bind_default(Row *r, const Field *f, bool last) {
    Value v;
    if (!f->init) {
        row_error(r, f->at, "%s needs `%s`", r->decl->name, f->name);
        return false;
    }
    if (row_value(r, f->init, Plain, &v)) {
        row_bind_attr(r, f, &v);
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

void row_bind_attrs(Row *r, Value *arg) {
    for (int k = 0; k < r->decl->params.n && !r->bad; k++) {
        const Field *f = &r->decl->params.at[k];
        if (row_is_attr(f) && !row_not_given(&arg[k]))
            row_bind_attr(r, f, &arg[k]);
    }
}

void row_bind_defaults(Row *r, bool last) {
    for (bool moved = true; moved && !r->bad;) {
        moved = false;
        for (int k = 0; k < r->decl->params.n && !r->bad; k++) {
            const Field *f = &r->decl->params.at[k];
            if (row_is_attr(f) && !scope_find(r->scope, f->name))
                moved |= row_bind_default(r, f, last);
        }
    }
}

/* The type that untyped parameters share: a list or a number beside them takes it. */
Elem row_shared_type(Row *r, Value *arg) {
    for (int k = 0; k < r->decl->params.n; k++) {
        const Field *f = &r->decl->params.at[k];
        if (row_is_attr(f))
            continue;
        const char *type = f->type ? f->type->name : "any";
        bool open = type && (!strcmp(type, "float") || !strcmp(type, "any"));
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

static Elem list_elem(Row *r, const Field *f, const Value *v) {
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
        t->tensor = row_constant(r->c, own, list_elem(r, f, &own));
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

void row_bind_tensors(Row *r, Value *arg) {
    for (int k = 0; k < r->decl->params.n;
         k++) { /* lists first become tensors: `axis` asks their rank */
        const Field *f = &r->decl->params.at[k];
        if (row_is_attr(f) || arg[k].kind != VList)
            continue;
        Tensor *t = row_constant(r->c, arg[k], list_elem(r, f, &arg[k]));
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
            row_bind_defaults(r, false);
        if (before == r->scope->n + r->nindex)
            break;
    }
    for (int k = 0; k < r->nequation && !r->bad; k++)
        if (!r->equation[k].done)
            row_error(r, r->at, "%s: the sizes in axis %d of `%s` are not known", r->decl->name,
                      r->equation[k].axis, r->equation[k].who);
    if (!r->bad)
        row_bind_defaults(r, true);
}
