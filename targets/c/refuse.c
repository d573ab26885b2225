/* refuse.c: what the C target does not write, said before anything is printed: element types without a word in C,
 * names that C or another export has taken, and tensors whose elements an int cannot count. */
#include "c.h"

#include <string.h>
#include <strings.h>

/* ---- element types */

/* An element type in a term that this target does not write, or NoElem. */
static Elem wordless_term(Ctx *c, const Term *t) {
    if (!t)
        return NoElem;
    if (t->elem != NoElem && t->elem != AnyInt && t->elem != AnyFloat && !c_elem(c, t->elem))
        return t->elem;
    for (int i = 0; i < t->n; i++) {
        Elem e = wordless_term(c, t->kid[i]);
        if (e != NoElem)
            return e;
    }
    return NoElem;
}

static Elem wordless(Ctx *c, const Loop *l) {
    Elem e = wordless_term(c, l->value);
    if (e == NoElem)
        e = wordless_term(c, l->position);
    if (e == NoElem && l->to && !c_elem(c, l->to->type.elem))
        e = l->to->type.elem;
    for (int i = 0; i < l->n && e == NoElem; i++)
        e = wordless(c, l->kid[i]);
    return e;
}

/* false, with a message, if something has an element type that this target does not write. */
static bool all_have_words(Ctx *c, const Code *code) {
    for (int i = 0; i < code->kernel.n; i++) {
        const Kernel *k = code->kernel.at[i];
        Elem e = wordless(c, k->body);
        for (int j = 0; j < k->formal.n && e == NoElem; j++)
            if (!c_elem(c, k->formal.at[j]->type.elem))
                e = k->formal.at[j]->type.elem;
        if (e == NoElem)
            continue;
        error_plain(c, "%s: the C target does not write %s yet (in %s)", code->program->name,
                    elem_name(e), k->name);
        return false;
    }
    return true;
}

/* ---- names */

/* What every export's header declares, or may declare with other options. */
static const char *const own[] = { "reset", "strerror", "open_weights", "embedded", "weights", "state" };
enum { NOwn = sizeof own / sizeof *own };

/* What an export is called: rule 54. */
static Name export_word(Ctx *c, const Item *it) {
    const Expr *e = it->e;
    while (e && e->kind == ECall)
        e = e->kid[0];
    return it->name ? it->name : e && e->kind == EName ? snake(c, e->name) : NULL;
}

static Span export_span(const Item *it) {
    return it->name ? it->name_at : it->at;
}

static bool is_own(Name entry) {
    for (int i = 0; i < NOwn; i++)
        if (!strcmp(own[i], entry))
            return true;
    return false;
}

/* The function of entry i; of a lone one with i = 0. */
static char *function_word(Ctx *c, const Item *it, int i) {
    char *prefix = c_prefix(c, export_word(c, it));
    return it->nentry ? format(c, "%s_%s", prefix, it->entry[i].name) : prefix;
}

/* Does an export declare `word`? */
static bool declares(Ctx *c, const Item *it, const char *word) {
    for (int i = 0; i < it->nentry || i == 0; i++)
        if (!strcmp(function_word(c, it, i), word))
            return true;
    for (int i = 0; i < NOwn; i++)
        if (!strcmp(format(c, "%s_%s", c_prefix(c, export_word(c, it)), own[i]), word))
            return true;
    return false;
}

static void ask_other(Ctx *c, const Item *it) {
    if (it->nentry)
        help(c, "give the entry another name");
    else
        help(c, "name it otherwise: `export … as OTHER`");
}

static void check_function(Ctx *c, const Module *m, const Item *it, int i) {
    const char *word = function_word(c, it, i);
    Span at = it->nentry ? it->entry[i].at : export_span(it);
    if (it->nentry && is_own(it->entry[i].name)) {
        error_at(c, at, "an entry cannot be called `%s`: the name `%s` in C is one that every export has", it->entry[i].name, word);
        ask_other(c, it);
        return;
    }
    if (c_takes(word)) {
        error_at(c, at, "the C function would be called `%s`, and C has that name already", word);
        ask_other(c, it);
        return;
    }
    for (int k = 0; k < m->exports.n && m->exports.at[k] != it; k++) {
        const Item *other = m->exports.at[k];
        if (!export_word(c, other) || !declares(c, other, word))
            continue;
        error_at(c, at, "the C function would be called `%s`, and the export `%s` declares that name as well", word,
                 export_word(c, other));
        note_at(c, export_span(other), "it is here");
        ask_other(c, it);
        return;
    }
}

/* A size is a parameter called as it is (what C has taken, lower renamed), and must be no macro of the header. */
static void check_size(Ctx *c, const Program *p, const Symbol *s) {
    static const char *const macros[] = { "_H", "_WORK_BYTES", "_WEIGHTS_CHECKSUM" };
    for (int i = 0; i < 3; i++)
        if (!strcasecmp(format(c, "%s%s", c_prefix(c, p->name), macros[i]), s->name))
            error_at(c, s->at, "`%s` is a macro of the header that the export `%s` gets; call the size otherwise", s->name, p->name);
}

static void check_names(Ctx *c, const Program *p) {
    for (int g = 0; g < p->n; g++)
        for (int i = 0; i < p->graph[g]->size.n; i++)
            check_size(c, p, p->graph[g]->size.at[i]);
    for (int i = 0; i < p->module->exports.n; i++) {
        const Item *it = p->module->exports.at[i];
        if (export_word(c, it) != p->name)
            continue;
        for (int k = 0; k < it->nentry || k == 0; k++)
            check_function(c, p->module, it, k);
        return;
    }
    if (c_takes(c_prefix(c, p->name)))
        error_plain(c, "the C function would be called `%s`, and C has that name already; export the model `as OTHER`", p->name);
}

/* ---- sizes. Positions and loops are int in the C that is written: whatever one goes to stays below 2^31. The room
 * left at the end is for the step a loop takes past its last turn. */

enum { MostInt = 2147483647 - 4096 };

static int64_t most(Ctx *c, Dim d) {
    int64_t lo, hi;
    dim_bounds(c, d, &lo, &hi);
    return hi;
}

/* Elements at the bound of every size; MostInt + 1 stands for all that are more. */
static int64_t elements(Ctx *c, const Tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->type.rank; i++) {
        int64_t size = most(c, t->type.dim[i]);
        if (size <= 0)
            return 0;
        n = n > MostInt / size ? (int64_t)MostInt + 1 : n * size;
    }
    return n;
}

static const char sizes_help[] =
    "an index is an int in C: smaller sizes, or a smaller bound of a size that varies, would do";

static bool check_tensor(Ctx *c, const Code *code, const Tensor *t) {
    if (elements(c, t) <= MostInt)
        return true;
    const char *called = t->path && *t->path ? t->path : t->name ? t->name : "a value";
    if (t->at.src && !t->at.src->library) {
        error_at(c, t->at, "`%s` is %s: 2^31 elements or more, which the C target does not index", called, type_text(c, &t->type));
        help(c, "%s", sizes_help);
    } else {
        error_plain(c, "%s: `%s` is %s: 2^31 elements or more, which the C target does not index (%s)",
                    code->program->name, called, type_text(c, &t->type), sizes_help);
    }
    return false;
}

/* The ends of an integer term as C computes it; not known where data stands in it, or after it left int (`over`). */
typedef struct Ends { int64_t lo, hi; bool known; } Ends;

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static Ends ends_of_two(FnId f, Ends a, Ends b) {
    int64_t p = a.lo * b.lo, q = a.lo * b.hi, r = a.hi * b.lo, s = a.hi * b.hi;
    switch (f) {
    case FnAdd: return (Ends){ a.lo + b.lo, a.hi + b.hi, true };
    case FnSub: return (Ends){ a.lo - b.hi, a.hi - b.lo, true };
    case FnMul: return (Ends){ smaller(smaller(p, q), smaller(r, s)), larger(larger(p, q), larger(r, s)), true };
    case FnMax: return (Ends){ larger(a.lo, b.lo), larger(a.hi, b.hi), true };
    case FnMin: return (Ends){ smaller(a.lo, b.lo), smaller(a.hi, b.hi), true };
    default:    return (Ends){ .known = false };
    }
}

static Ends ends_of(Ctx *c, const Term *t, bool *over) {
    Ends e = { .known = t->kind != TLoad && t->kind != TApply && elem_is_int(t->elem) }, kid[2] = {0};
    for (int i = 0; t->kind == TApply && i < t->n; i++) {
        Ends k = ends_of(c, t->kid[i], over);
        if (i < 2)
            kid[i] = k;
    }
    if (t->kind == TApply && t->n == 2 && elem_is_int(t->elem) && kid[0].known && kid[1].known)
        e = ends_of_two(t->fn->id, kid[0], kid[1]);
    if (!e.known)
        return e;
    if (t->kind == TNumber)
        e.lo = e.hi = (int64_t)t->number;
    else if (t->kind == TIndex)
        e.hi = most(c, t->index->size) - 1;
    else if (t->kind == TSize)
        dim_bounds(c, t->size, &e.lo, &e.hi);
    if (e.lo < -(int64_t)MostInt || e.hi > MostInt) {
        *over = true;
        e.known = false;                // what is known fits int, and so products of two fit 64 bits
    }
    return e;
}

/* Positions inside a value; what else it computes wraps as the language says. */
static void check_positions(Ctx *c, const Term *t, bool *over) {
    for (int i = 0; t && i < t->n; i++) {
        if (t->kind == TLoad)
            ends_of(c, t->kid[i], over);
        check_positions(c, t->kid[i], over);
    }
}

static void check_loop(Ctx *c, const Loop *l, bool *over) {
    if (l->kind == LFor) {
        if (!l->hi && most(c, l->index->size) > MostInt)
            *over = true;
        if (l->lo)
            ends_of(c, l->lo, over);
        if (l->hi)
            ends_of(c, l->hi, over);
    }
    for (int i = 0; i < l->nat; i++)
        ends_of(c, l->at[i], over);
    check_positions(c, l->value, over);
    check_positions(c, l->position, over);
    for (int i = 0; i < l->n; i++)
        check_loop(c, l->kid[i], over);
}

static void check_sizes(Ctx *c, const Code *code) {
    const Program *p = code->program;
    for (int i = 0; i < p->param.n; i++)
        if (!check_tensor(c, code, p->param.at[i]))
            return;
    for (int i = 0; i < p->state.n; i++)
        if (!check_tensor(c, code, p->state.at[i]))
            return;
    for (int r = 0; r < code->n; r++)
        for (int s = 0; s < code->routine[r]->step.n; s++) {
            const Step *step = &code->routine[r]->step.at[s];
            for (int i = 0; i < step->kernel->formal.n; i++)
                if (!check_tensor(c, code, step->arg[i]))
                    return;
        }
    for (int i = 0; i < code->kernel.n; i++) {
        bool over = false;
        check_loop(c, code->kernel.at[i]->body, &over);
        if (over) {
            error_plain(c, "%s: in %s an index or a loop goes to 2^31 or more, which the C target does not write (%s)", p->name,
                        code->kernel.at[i]->name, sizes_help);
            return;
        }
    }
}

bool c_writes(Ctx *c, const Code *code) {
    int before = c->errors;
    check_names(c, code->program);
    check_sizes(c, code);
    return all_have_words(c, code) && c->errors == before;
}

/* ---- known only once it is printed */

/* A kernel, a helper or a constant is static, and cannot share its name with an entry. */
static bool has_static(const Interface *f, const Map *helpers, const char *word) {
    for (int i = 0; i < f->code->kernel.n; i++)
        if (!strcmp(f->code->kernel.at[i]->name, word))
            return true;
    for (int i = 0; i < f->member.cap; i++) {
        const Tensor *t = f->member.slot[i].key;
        if (t && t->kind == TConst && !strcmp(f->member.slot[i].value, word))
            return true;
    }
    return map_get(helpers, intern(f->c, word, strlen(word))) != NULL;
}

void c_check_statics(const Interface *f, const Map *helpers) {
    for (int i = 0; i < f->code->n; i++) {
        const char *word = c_function(f, f->code->routine[i]);
        if (has_static(f, helpers, word))
            error_plain(f->c, "%s: `%s` is also what a function inside %s.c is called; name the export or the entry otherwise",
                        f->code->program->name, word, f->prefix);
    }
}

/* Two exports must not write one file, also where a disk takes a.h and A.h for the same. */
void c_check_files(Ctx *c, const OutFiles *out, int before) {
    for (int i = before; i < out->n; i++)
        for (int k = 0; k < before; k++)
            if (!strcasecmp(out->at[i].path, out->at[k].path)) {
                error_plain(c, "two exports would write %s and %s; name one of them otherwise: `export … as OTHER`",
                            out->at[k].path, out->at[i].path);
                return;
            }
}
