/* cfamily.c: a kernel as a function of a C-like language.
 *
 * In: a scheduled kernel. Out: its heading, its parameters, its typed views and its loops. A tensor of two or
 * more dimensions comes as `const float *x_` and is opened as `const float(*x)[C][H][W]`, so that the
 * body reads like the operator's row; where an inner size varies the index is written out. */
#include "cfamily.h"

#include <math.h>
#include <string.h>

typedef struct Writer {
    Emit *e;
    const Dialect *words;
    Map *used;
} Writer;

static const char *elem_word(Writer *w, Elem e) {
    return w->words->elem[elem_storage(w->e->c, e)];
}

static char *term(Writer *w, const Term *t, Elem want) {
    return print_term_as(w->e->c, w->words, t, want, false, w->used);
}

static char *place_words(Writer *w, const Loop *l) {
    return print_place(w->e->c, w->words, l->to, l->at, l->nat, w->used);
}

/* ---- head: comment, parameters, views */

static bool read_only(const Kernel *k, int formal) {
    Role r = kernel_role(k, formal);
    return r == RoleIn || r == RoleValue;
}

static bool opened(Ctx *c, const Tensor *t) {
    return t->type.rank > 1 && has_view(c, t);
}

static char *bracketed(Ctx *c, const Tensor *t, int from) {
    Text out = {0};
    text_add(c, &out, "%s", "");
    for (int i = from; i < t->type.rank; i++)
        text_add(c, &out, "[%s]", print_dim(c, extent(c, t, i)));
    return out.s;
}

static char *parameter(Writer *w, const Kernel *k, int i) {
    Ctx *c = w->e->c;
    const Tensor *t = k->formal.at[i];
    if (t->by_value)
        return format(c, "%s %s", elem_word(w, t->type.elem), t->name);
    return format(c, "%s%s *%s%s%s", read_only(k, i) ? "const " : "", elem_word(w, t->type.elem),
                  k->aliased ? "" : w->words->restrict_, t->name, opened(c, t) ? "_" : "");
}

/* "x[1][16][32][32], weight[16][16][3][3] -> y[1][16][32][32]" */
static char *shapes(Ctx *c, const Kernel *k) {
    Text in = {0}, out = {0};
    text_add(c, &in, "%s", "");
    for (int i = 0; i < k->formal.n; i++) {
        Tensor *t = k->formal.at[i];
        Role r = kernel_role(k, i);
        if (r == RoleScratch || t->type.rank == 0)
            continue;
        Text *to = r == RoleIn || r == RoleValue ? &in : &out;
        text_add(c, to, "%s%s%s", to->n ? ", " : "", t->name, bracketed(c, t, 0));
    }
    return format(c, "%s -> %s", in.s, out.s ? out.s : "");
}

/* "; scratch sum[512], row[512]", or "" */
static char *scratch_shapes(Ctx *c, const Kernel *k) {
    Text out = {0};
    text_add(c, &out, "%s", "");
    for (int i = 0; i < k->formal.n; i++)
        if (kernel_role(k, i) == RoleScratch)
            text_add(c, &out, "%s%s%s", out.n ? ", " : "; scratch ", k->formal.at[i]->name, bracketed(c, k->formal.at[i], 0));
    return out.s;
}

static char *count(Ctx *c, int64_t n, const char *one) {
    static const struct { double unit; const char *name; } units[] = {
        { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" },
    };
    for (int i = 0; i < 3; i++)
        if ((double)n >= units[i].unit)
            return format(c, "%.3g %s%s", (double)n / units[i].unit, units[i].name, one);
    return format(c, "%lld %s", (long long)n, one);
}

static void print_heading(Emit *e, const Kernel *k) {
    Text text = {0};
    for (int i = 0; i < k->heading.n; i++)
        text_add(e->c, &text, "%s\n", k->heading.at[i]);
    text_add(e->c, &text, "%s%s\n", shapes(e->c, k), scratch_shapes(e->c, k));
    text_add(e->c, &text, "%s, %s%s", count(e->c, k->flops, k->flops < 1000 ? "operations" : " operations"),
             count(e->c, k->bytes, k->bytes < 1000 ? "bytes" : "B"), k->size.n ? " at most" : "");
    emit_comment(e, text.s);
}

static void print_signature(Writer *w, const Kernel *k, const char *prefix) {
    Ctx *c = w->e->c;
    VEC(char *) part = {0};
    for (int i = 0; i < k->formal.n; i++)
        push(c, &part, parameter(w, k, i));
    for (int i = 0; i < k->size.n; i++)
        push(c, &part, format(c, "int %s", k->size.at[i]->name));
    emit_list(w->e, format(c, "%s %s%s(", w->words->function, prefix, k->name), part.at, part.n, ") {");
}

static void print_views(Writer *w, const Kernel *k) {
    Ctx *c = w->e->c;
    for (int i = 0; i < k->formal.n; i++) {
        Tensor *t = k->formal.at[i];
        if (!opened(c, t))
            continue;
        const char *constant = read_only(k, i) ? "const " : "", *shape = bracketed(c, t, 1);
        const char *word = elem_word(w, t->type.elem);
        emit(w->e, "%s%s (*%s)%s = (%s%s (*)%s)%s_;", constant, word, t->name, shape, constant, word,
             shape, t->name);
    }
}

/* ---- body */

static void write_loop(Writer *w, const Loop *l);

static void print_kids(Writer *w, const Loop *l) {
    for (int i = 0; i < l->n; i++)
        write_loop(w, l->kid[i]);
}

static void write_for(Writer *w, const Loop *l) {
    const char *i = l->index->name;
    const char *lo = l->lo ? term(w, l->lo, I32) : "0", *hi = print_term_as(w->e->c, w->words, l->hi, I32, false, w->used);
    if (l->step > 1)
        emit(w->e, "for (int %s = %s; %s < %s; %s += %d) {", i, lo, i, hi, i, l->step);
    else
        emit(w->e, "for (int %s = %s; %s < %s; %s++) {", i, lo, i, hi, i);
    print_kids(w, l);
    emit(w->e, "}");
}

static void write_let(Writer *w, const Loop *l) {
    Ctx *c = w->e->c;
    const Tensor *t = l->to;
    const char *word = elem_word(w, t->type.elem);
    if (l->value && t->type.elem == AnyInt) {          // a position or a bound
        bool large = elem_bytes(c, l->value->elem) > 4;
        char *remark = l->text ? format(c, " // %s", l->text) : "";
        emit(w->e, "const int %s = %s%s%s;%s", t->name, large ? "(int)(" : "", term(w, l->value, I32), large ? ")" : "", remark);
    } else if (l->value) {
        emit(w->e, "%s %s = %s;", word, t->name, term(w, l->value, t->type.elem));
    } else if (t->type.rank == 0) {
        emit(w->e, "%s %s = %s;", word, t->name, term(w, term_number(c, t->type.elem, l->fill), t->type.elem));
    } else if (l->fill == 0) {
        emit(w->e, "%s %s%s = { 0 };", word, t->name, bracketed(c, t, 0));
    } else {
        char *fill = term(w, term_number(c, t->type.elem, l->fill), t->type.elem);
        Text list = {0};
        int64_t n = 1;
        for (int i = 0; i < t->type.rank; i++) {
            int64_t size = 1;
            dim_number(t->type.dim[i], &size);
            n *= size;
        }
        for (int64_t i = 0; i < n; i++)
            text_add(c, &list, "%s%s", i ? ", " : "", fill);
        emit(w->e, "%s %s%s = { %s };", word, t->name, bracketed(c, t, 0), list.s);
    }
}

/* best and position together: the first wins, and a NaN wins over numbers. */
static void print_arg(Writer *w, const Loop *l) {
    Ctx *c = w->e->c;
    Elem e = l->best->type.elem;
    const char *wins = reduce_helper(c, l->reduce == RArgMax ? "wins_max" : "wins_min", e, w->used);
    char *value = term(w, l->value, e);
    emit(w->e, "if (%s(%s, %s)) {", wins, value, l->best->name);
    emit(w->e, "%s = %s;", l->best->name, value);
    emit(w->e, "%s = %s;", place_words(w, l), term(w, l->position, I32));
    emit(w->e, "}");
}

/* Floats, and integers that C lets wrap, in C's own words. */
static void print_sum(Writer *w, const Loop *l, const char *to, const char *value) {
    Ctx *c = w->e->c;
    Elem e = l->to->type.elem, stored = elem_storage(c, e);
    bool plus = l->reduce == RSum;
    if (stored == I32 || stored == I64 || (stored == U16 && !plus))
        emit(w->e, "%s = %s(%s, %s);", to, reduce_helper(c, plus ? "add" : "mul", e, w->used), to, value);
    else if (!elem_is_float(e) && elem_bytes(c, e) < 4)
        emit(w->e, "%s = (%s)(%s %c %s);", to, elem_word(w, e), to, plus ? '+' : '*',
             print_term_as(c, w->words, l->value, e, true, w->used));
    else
        emit(w->e, "%s %s %s;", to, plus ? "+=" : "*=", value);
}

static void print_accum(Writer *w, const Loop *l) {
    Ctx *c = w->e->c;
    Elem e = l->to->type.elem;
    char *to = place_words(w, l), *value = term(w, l->value, e);
    switch (l->reduce) {
    case RSum:
    case RProd:
        print_sum(w, l, to, value);
        return;
    case RMax: emit(w->e, "%s = %s(%s, %s);", to, reduce_helper(c, "max", e, w->used), to, value); return;
    case RMin: emit(w->e, "%s = %s(%s, %s);", to, reduce_helper(c, "min", e, w->used), to, value); return;
    case RAny: emit(w->e, "%s = %s || %s;", to, to, print_term_as(c, w->words, l->value, e, true, w->used)); return;
    case RAll: emit(w->e, "%s = %s && %s;", to, to, print_term_as(c, w->words, l->value, e, true, w->used)); return;
    case RArgMax:
    case RArgMin:
        print_arg(w, l);
        return;
    case NoReduce:
        emit(w->e, "%s = %s;", to, value);
        return;
    }
}

static void write_loop(Writer *w, const Loop *l) {
    switch (l->kind) {
    case LSeq:   print_kids(w, l); return;
    case LFor:   write_for(w, l); return;
    case LLet:   write_let(w, l); return;
    case LAccum: print_accum(w, l); return;
    case LStore: emit(w->e, "%s = %s;", place_words(w, l), term(w, l->value, l->to->type.elem)); return;
    case LBlank: emit_blank(w->e); return;
    case LNote:  emit(w->e, "// %s", l->text); return;
    case LIf:
        emit(w->e, "if (%s) {", term(w, l->value, Bool));
        print_kids(w, l);
        emit(w->e, "}");
        return;
    }
}

static void print_function(Writer *w, const Kernel *k, const char *prefix) {
    print_heading(w->e, k);
    print_signature(w, k, prefix);
    print_views(w, k);
    write_loop(w, k->body);
    emit(w->e, "}");
}

void print_kernel(Emit *e, const Dialect *d, const Kernel *k, const char *prefix, Map *helpers) {
    Writer w = { e, d, helpers };
    print_function(&w, k, prefix);
}
