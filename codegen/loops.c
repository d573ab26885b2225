/* loops.c: loop trees: their makers, walks over them, and their text for --dump. */
#include "loops.h"

#include <string.h>

/* ---- makers */

Loop *loop_new(Ctx *c, LoopKind k) {
    Loop *l = NEW(c, Loop);
    l->kind = k;
    return l;
}

void loop_insert(Ctx *c, Loop *in, int at, Loop *kid) {
    if (in->n == in->cap)
        vec_grow(c, &in->kid, &in->cap, sizeof *in->kid);
    memmove(in->kid + at + 1, in->kid + at, sizeof *in->kid * (size_t)(in->n - at));
    in->kid[at] = kid;
    in->n++;
}

void loop_add(Ctx *c, Loop *in, Loop *kid) {
    loop_insert(c, in, in->n, kid);
}

Loop *loop_remove(Loop *in, int at) {
    Loop *l = in->kid[at];
    in->n--;
    memmove(in->kid + at, in->kid + at + 1, sizeof *in->kid * (size_t)(in->n - at));
    return l;
}

Loop *loop_for(Ctx *c, Index *i, Term *lo, Term *hi) {
    Loop *l = loop_new(c, LFor);
    l->index = i;
    l->lo = lo;
    int64_t n;
    l->hi = hi ? hi : dim_number(i->size, &n) ? term_number(c, I32, (double)n) : term_size(c, i->size);
    return l;
}

Loop *loop_let(Ctx *c, Tensor *local, Term *value) {
    Loop *l = loop_new(c, LLet);
    l->to = local;
    l->value = value;
    return l;
}

Loop *loop_store(Ctx *c, Tensor *to, Term **at, int nat, Term *value) {
    Loop *l = loop_let(c, to, value);
    l->kind = LStore;
    l->at = at;
    l->nat = nat;
    return l;
}

Loop *loop_accum(Ctx *c, Tensor *to, Term **at, int nat, Reduce r, Term *value) {
    Loop *l = loop_store(c, to, at, nat, value);
    l->kind = LAccum;
    l->reduce = r;
    return l;
}

Loop *loop_if(Ctx *c, Term *cond) {
    Loop *l = loop_new(c, LIf);
    l->value = cond;
    return l;
}

Loop *loop_copy(Ctx *c, const Loop *l) {
    Loop *copy = NEW(c, Loop);
    *copy = *l;
    copy->kid = NULL;
    copy->n = copy->cap = 0;
    for (int i = 0; i < l->n; i++)
        loop_add(c, copy, loop_copy(c, l->kid[i]));
    if (l->nat) {
        copy->at = NEWN(c, Term *, l->nat);
        memcpy(copy->at, l->at, sizeof *l->at * (size_t)l->nat);
    }
    return copy;
}

Tensor *local_new(Ctx *c, const char *word, Elem e) {
    Name n = name(c, "%s", word);
    return tensor(c, TLocal, n, n, &(Type){ .elem = e }, (Span){0});
}

Term *load_local(Ctx *c, Tensor *t) {
    return term_load(c, t, NULL, 0, NULL, t->name);
}

bool is_size(const Term *t, Dim size) {
    int64_t n;
    if (t->kind == TSize)
        return t->size == size;
    return t->kind == TNumber && dim_number(size, &n) && t->number == (double)n;
}

/* ---- walks */

static void map_one(Ctx *c, Term **t, Leaf *leaf, void *with) {
    if (*t)
        *t = term_map(c, *t, leaf, with);
}

void loop_map(Ctx *c, Loop *l, Leaf *leaf, void *with) {
    map_one(c, &l->lo, leaf, with);
    map_one(c, &l->hi, leaf, with);
    map_one(c, &l->value, leaf, with);
    map_one(c, &l->position, leaf, with);
    for (int i = 0; i < l->nat; i++)
        map_one(c, &l->at[i], leaf, with);
    for (int i = 0; i < l->n; i++)
        loop_map(c, l->kid[i], leaf, with);
}

typedef struct Renaming { Index *i; Term *by; } Renaming;

static Term *replace_index(Ctx *c, Term *t, void *with) {
    const Renaming *r = with;
    if (t->kind == TIndex)
        return t->index == r->i ? r->by : t;
    if (t->kind != TLoad)
        return t;
    Term *at[MaxRank];
    bool changed = false;
    for (int i = 0; i < t->n; i++) {
        at[i] = tidy(c, t->kid[i]);
        changed |= at[i] != t->kid[i];
    }
    return changed ? term_load(c, t->from, at, t->n, t->outside, t->as) : t;
}

static void tidy_places(Ctx *c, Loop *l) {
    for (int i = 0; i < l->nat; i++)
        l->at[i] = tidy(c, l->at[i]);
    for (int i = 0; i < l->n; i++)
        tidy_places(c, l->kid[i]);
}

void loop_replace_index(Ctx *c, Loop *l, Index *i, Term *by) {
    Renaming r = { i, by };
    loop_map(c, l, replace_index, &r);
    tidy_places(c, l);
}

typedef struct Exchange { const Tensor *from; Tensor *to; Term *load; } Exchange;

static Term *exchange_load(Ctx *c, Term *t, void *with) {
    const Exchange *e = with;
    if (t->kind != TLoad || t->from != e->from)
        return t;
    return e->load ? e->load : term_load(c, e->to, t->kid, t->n, NULL, e->to->name);
}

static void exchange_place(Loop *l, const Exchange *e) {
    if (l->best == e->from)
        l->best = e->to;
    if (l->to == e->from) {
        l->to = e->to;
        if (e->load && l->kind != LLet) {
            l->at = e->load->kid;
            l->nat = e->load->n;
        }
    }
    for (int i = 0; i < l->n; i++)
        exchange_place(l->kid[i], e);
}

void loop_replace_local(Ctx *c, Loop *l, const Tensor *from, Term *load) {
    Exchange e = { from, load->from, load };
    loop_map(c, l, exchange_load, &e);
    exchange_place(l, &e);
}

/* Indices and locals of its own for everything that begins inside l. */
void loop_refresh(Ctx *c, Loop *l) {
    if (l->index) {
        Index *fresh = index_new(c, l->index->name, l->index->size);
        Term *lo = l->lo, *hi = l->hi;
        loop_replace_index(c, l, l->index, term_index(c, fresh));
        l->lo = lo;
        l->hi = hi;
        l->index = fresh;
    }
    for (int i = 0; i < l->n; i++) {
        if (l->kid[i]->kind == LLet) {
            const Tensor *old = l->kid[i]->to;
            Exchange e = { old, tensor(c, TLocal, old->name, old->name, &old->type, old->at), NULL };
            loop_map(c, l, exchange_load, &e);
            exchange_place(l, &e);
        }
        loop_refresh(c, l->kid[i]);
    }
}

void term_accesses(const Term *t, Visit *visit, void *with) {
    if (!t)
        return;
    for (int i = 0; i < t->n; i++)
        term_accesses(t->kid[i], visit, with);
    term_accesses(t->outside, visit, with);
    if (t->kind == TLoad)
        visit(with, t->from, t->kid, t->n, false);
}

void loop_accesses(const Loop *l, Visit *visit, void *with) {
    if (l->lo)
        term_accesses(l->lo, visit, with);
    if (l->hi)
        term_accesses(l->hi, visit, with);
    for (int i = 0; i < l->nat; i++)
        term_accesses(l->at[i], visit, with);
    term_accesses(l->value, visit, with);
    term_accesses(l->position, visit, with);
    if (l->kind == LAccum)
        visit(with, l->to, l->at, l->nat, false);
    if (l->to)
        visit(with, l->to, l->at, l->nat, true);
    if (l->best)
        visit(with, l->best, NULL, 0, true);
    for (int i = 0; i < l->n; i++)
        loop_accesses(l->kid[i], visit, with);
}

Tensor *storage_of(const Tensor *t) {
    while (t->kind == TState && t->before)
        t = t->before;
    return (Tensor *)t;
}

/* Is it, or an older version of it, stored in here? */
bool is_written(const Loop *l, const Tensor *t) {
    if (l->to && storage_of(l->to) == storage_of(t))
        return true;
    for (int i = 0; i < l->n; i++)
        if (is_written(l->kid[i], t))
            return true;
    return false;
}

/* ---- text */

static const char *const reduce_word[] = {
    [NoReduce] = "=", [RSum] = "+=", [RProd] = "*=", [RMax] = "max=", [RMin] = "min=", [RAny] = "or=",
    [RAll] = "and=", [RArgMax] = "argmax=", [RArgMin] = "argmin=",
};

static void print_place(Ctx *c, const Loop *l, FILE *to) {
    fprintf(to, "%s", l->to->name);
    for (int i = 0; i < l->nat; i++)
        fprintf(to, "%s%s%s", i ? ", " : "[", term_text(c, l->at[i]), i + 1 == l->nat ? "]" : "");
}

static void print_let(Ctx *c, const Loop *l, FILE *to) {
    fprintf(to, "let %s: %s = ", l->to->name, type_text(c, &l->to->type));
    if (l->value)
        fprintf(to, "%s\n", term_text(c, l->value));
    else
        fprintf(to, "%g\n", l->fill);
}

static void print_for(Ctx *c, const Loop *l, FILE *to) {
    fprintf(to, "for %s in %s .. %s", l->index->name, l->lo ? term_text(c, l->lo) : "0", term_text(c, l->hi));
    if (l->step > 1)
        fprintf(to, " step %d", l->step);
    fprintf(to, "%s\n", l->unroll ? " unrolled" : "");
}

static void print_loop(Ctx *c, const Loop *l, int depth, FILE *to) {
    int inside = depth + (l->kind != LSeq);
    if (l->kind == LBlank)
        fprintf(to, "\n");
    else if (l->kind != LSeq)
        fprintf(to, "%*s", depth * 4, "");
    switch (l->kind) {
    case LSeq:
    case LBlank: break;
    case LFor:   print_for(c, l, to); break;
    case LLet:   print_let(c, l, to); break;
    case LIf:    fprintf(to, "if %s\n", term_text(c, l->value)); break;
    case LNote:  fprintf(to, "# %s\n", l->text); break;
    case LStore:
    case LAccum:
        print_place(c, l, to);
        fprintf(to, " %s %s", reduce_word[l->reduce], term_text(c, l->value));
        if (l->position)
            fprintf(to, " at %s", term_text(c, l->position));
        fprintf(to, "\n");
    }
    for (int i = 0; i < l->n; i++)
        print_loop(c, l->kid[i], inside, to);
}

static void print_kernel_text(Ctx *c, const Kernel *k, FILE *to) {
    static const char *const role[] = { "in", "out", "inout", "scratch", "value" };
    fprintf(to, "kernel %s\n", k->name);
    for (int i = 0; i < k->heading.n; i++)
        for (const char *line = k->heading.at[i]; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            fprintf(to, "    # %.*s\n", (int)strcspn(line, "\n"), line);
    for (int i = 0; i < k->formal.n; i++)
        fprintf(to, "    %s %s: %s\n", role[kernel_role(k, i)], k->formal.at[i]->name,
                type_text(c, &k->formal.at[i]->type));
    for (int i = 0; i < k->size.n; i++)
        fprintf(to, "    size %s\n", k->size.at[i]->name);
    fprintf(to, "    # %lld operations, %lld bytes%s\n", (long long)k->flops, (long long)k->bytes,
            k->aliased ? ", in place" : "");
    print_loop(c, k->body, 1, to);
    fprintf(to, "\n");
}

static void print_routine(const Routine *r, FILE *to, bool places) {
    fprintf(to, "routine %s\n", r->name);
    for (int i = 0; i < r->step.n; i++) {
        const Step *s = &r->step.at[i];
        fprintf(to, "    %d %s(", i, s->kernel->name);
        for (int k = 0; k < s->kernel->formal.n; k++)
            fprintf(to, "%s%s", k ? ", " : "", s->arg[k]->path ? s->arg[k]->path : s->arg[k]->name);
        fprintf(to, ")%s%s\n", s->path ? "  # " : "", s->path ? s->path : "");
    }
    for (int i = 0; places && i < r->place.n; i++) {
        const Place *p = &r->place.at[i];
        fprintf(to, "    place %s at %lld, %lld bytes, steps %d .. %d\n", p->name, (long long)p->offset,
                (long long)p->bytes, p->first, p->last);
    }
    if (places)
        fprintf(to, "    peak %lld, bound %lld\n", (long long)r->peak, (long long)r->bound);
    fprintf(to, "\n");
}

void code_print(Ctx *c, const Code *code, FILE *to, bool places) {
    for (int i = 0; i < code->kernel.n; i++)
        print_kernel_text(c, code->kernel.at[i], to);
    for (int i = 0; i < code->n; i++)
        print_routine(code->routine[i], to, places);
    if (places)
        fprintf(to, "work %lld bytes\n", (long long)code->work_bytes);
}
