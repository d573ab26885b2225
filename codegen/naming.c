/* naming.c: what kernels and the things in them are called.
 *
 * A kernel is named by its operators, the shape of its result and of its reduction, so that an edit elsewhere
 * never moves a name. Names inside come from the operator's row; they are made legal C and unique
 * within their scope. */
#include "loops.h"

#include <ctype.h>
#include <string.h>

Name c_word(Ctx *c, const char *s) {
    Text t = {0};
    for (; *s; s++)
        text_add(c, &t, "%c", isalnum((unsigned char)*s) ? *s : '_');
    while (t.n && t.s[t.n - 1] == '_')                  // the raw pointer behind a view ends in one
        t.s[--t.n] = 0;
    if (!t.n) return name(c, "v");
    return isdigit((unsigned char)t.s[0]) || t.s[0] == '_' ? name(c, "v%s", t.s) : name(c, "%s", t.s);
}

/* ---- kernels */

static int64_t bound(Ctx *c, Dim d) {
    int64_t lo, hi;
    dim_bounds(c, d, &lo, &hi);
    return hi;
}

static double work(Ctx *c, const Node *n) {
    double w = 1;
    for (int i = 0; i < n->naxis; i++)
        for (int k = 0; k < n->axis[i].n; k++)
            w *= (double)bound(c, n->axis[i].index[k]->size);
    for (int i = 0; i < n->nbind; i++)
        w *= (double)bound(c, n->bind[i]->size);
    return w;
}

const Node *main_node(Ctx *c, const Bunch *b) {
    const Node *best = NULL;
    for (int i = 0; i < b->node.n; i++) {
        const Node *n = b->node.at[i];
        if (n->reduce != NoReduce && (!best || work(c, n) > work(c, best))) best = n;
    }
    return best ? best : b->node.at[b->node.n - 1];
}

static bool is_view(const Node *n) {
    return n->reduce == NoReduce && n->body->kind == TLoad;
}

enum { MostWords = 4 };
typedef struct Words { const char *at[MostWords + 1]; int n; } Words;

static void add_word(Ctx *c, Words *w, const Node *n) {
    if (!n->call || !n->call->op || w->n > MostWords) return;
    Name op = c_word(c, n->call->op);
    for (int i = 0; i < w->n; i++)
        if (w->at[i] == op) return;
    w->at[w->n++] = op;
}

static Words words_of(Ctx *c, const Bunch *b) {
    Words w = {0};
    for (int i = 0; i < b->node.n; i++)
        if (!is_view(b->node.at[i])) add_word(c, &w, b->node.at[i]);
    if (w.n > MostWords) {                              // too many: what weighs most first
        w.n = 0;
        add_word(c, &w, main_node(c, b));
        for (int i = 0; i < b->node.n; i++)
            if (!is_view(b->node.at[i])) add_word(c, &w, b->node.at[i]);
        w.n = MostWords;
    }
    for (int i = 0; i < b->node.n && !w.n; i++)
        add_word(c, &w, b->node.at[i]);
    if (!w.n) w.at[w.n++] = is_view(b->node.at[0]) ? "copy" : "map";
    return w;
}

/* 64, T, or of a polynomial its letters: "2 * T + 1" is 2T_1. */
static void add_dim(Ctx *c, Text *t, const char *before, Dim d) {
    Text word = {0};
    for (const char *s = dim_text(c, d); *s; s++) {
        if (isalnum((unsigned char)*s) || *s == '_') text_add(c, &word, "%c", *s);
        else if (strchr("+-/%", *s) && word.n && word.s[word.n - 1] != '_') text_add(c, &word, "_");
    }
    text_add(c, t, "%s%s", before, word.n ? word.s : "0");
}

Name kernel_word(Ctx *c, const Bunch *b) {
    Words w = words_of(c, b);
    const Node *last = b->node.at[b->node.n - 1], *heavy = main_node(c, b);
    Text t = {0};
    for (int i = 0; i < w.n; i++)
        text_add(c, &t, "%s%s", i ? "_" : "", w.at[i]);
    for (int i = 0; i < last->naxis; i++) {
        Dim size = dim(c, 1);
        for (int k = 0; k < last->axis[i].n; k++)
            size = dim_mul(c, size, last->axis[i].index[k]->size);
        add_dim(c, &t, i ? "x" : "_", size);
    }
    for (int i = 0; i < heavy->nbind; i++)
        add_dim(c, &t, i ? "x" : "_k", heavy->bind[i]->size);
    if (!last->naxis && !heavy->nbind) text_add(c, &t, "_scalar");         // `exp` alone is libm's
    return name(c, "%s", t.s);
}

/* The shapes of the inputs: of the first, or of all. */
static Name with_inputs(Ctx *c, const Kernel *k, Name word, bool all) {
    Text t = {0};
    text_add(c, &t, "%s%s", word, all ? "_and" : "_from");
    for (int i = 0, seen = 0; i < k->formal.n && (all || !seen); i++) {        // the first, or the others
        const Type *type = &k->formal.at[i]->type;
        if (k->role.at[i] != RoleIn || !type->rank || (seen++ == 0 && all)) continue;
        for (int d = 0; d < type->rank; d++)
            add_dim(c, &t, d ? "x" : "_", type->dim[d]);
        if (elem_storage(c, type->elem) != F32) text_add(c, &t, "_%s", elem_name(elem_storage(c, type->elem)));
    }
    return name(c, "%s", t.s);
}

static void add_words(Ctx *c, Text *text, Map *seen, const Term *t) {
    if (!t) return;
    if (t->kind == TApply && t->fn->id == FnExtern && t->fn->word) {
        Name n = name(c, "%s", t->fn->word);
        if (!map_get(seen, n)) text_add(c, text, "_%s", n);
        map_put(c, seen, n, text);
    }
    for (int i = 0; i < t->n; i++)
        add_words(c, text, seen, t->kid[i]);
}

static void add_calls(Ctx *c, Text *text, Map *seen, const Loop *l) {
    add_words(c, text, seen, l->value);
    for (int i = 0; i < l->n; i++)
        add_calls(c, text, seen, l->kid[i]);
}

/* What tells cos and sin of the same shape apart. */
static Name with_calls(Ctx *c, const Kernel *k) {
    Text t = {0};
    Map seen = {0};
    text_add(c, &t, "%s", k->name);
    add_calls(c, &t, &seen, k->body);
    return name(c, "%s", t.s);
}

static bool is_shared(const Code *code, int i, const Name *names) {
    for (int k = 0; k < code->kernel.n; k++)
        if (k != i && names[k] == names[i]) return true;
    return false;
}

static Name lettered(Ctx *c, Name word, int n) {
    Text t = {0};
    for (int rest = n; rest > 0; rest = (rest - 1) / 26)
        text_add(c, &t, "%c", 'a' + (rest - 1) % 26);
    return n ? name(c, "%s_%s", word, t.s) : word;
}

void kernel_names(Ctx *c, Code *code) {
    int n = code->kernel.n;
    Name *names = NEWN(c, Name, n + 1), *more = NEWN(c, Name, n + 1);
    for (int i = 0; i < n; i++)
        names[i] = code->kernel.at[i]->name;
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < n; i++) {
            const Kernel *k = code->kernel.at[i];
            bool shared = is_shared(code, i, names);
            more[i] = !shared ? names[i] : pass == 0 ? with_calls(c, k) : with_inputs(c, k, names[i], pass == 2);
        }
        memcpy(names, more, sizeof *names * (size_t)n);
    }
    Map used = {0};
    for (int i = 0; i < n; i++) {
        int letter = 0;
        while (map_get(&used, lettered(c, names[i], letter)))
            letter++;
        code->kernel.at[i]->name = lettered(c, names[i], letter);
        map_put(c, &used, code->kernel.at[i]->name, code);
    }
}

/* ---- names inside a kernel */

static const char *const reserved[] = {
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
    "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
    "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "bool",
    "true", "false", "asm", "main", "errno", "NULL", "EOF", "NAN", "INFINITY", "memcpy", "memset",
    "class", "delete", "namespace", "new", "operator", "private", "public", "template", "this", "using",
    "device", "kernel", "thread", "constant", "half",
};

/* Helpers end in what they work on: max_float, floor_div_int. */
static const char *const endings[] = {
    "_float", "_int", "_double", "_bool", "_i8", "_i16", "_i64", "_u8", "_u16", "_u32", "_u64", "_f16", "_bf16",
    "_t", "_MIN", "_MAX",
};

typedef struct Scope {
    Ctx *c;
    VEC(Name) open;                     /* what is visible here */
    Map done;                           /* indices and locals that have their name */
    Map words;                          /* functions the kernel calls */
} Scope;

static bool is_reserved(const Scope *s, Name n) {
    size_t length = strlen(n);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(reserved[i], n) == 0) return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t end = strlen(endings[i]);
        if (length > end && strcmp(n + length - end, endings[i]) == 0) return true;
    }
    return map_get(&s->words, n) != NULL;
}

static bool is_open(const Scope *s, Name n) {
    for (int i = 0; i < s->open.n; i++)
        if (s->open.at[i] == n) return true;
    return false;
}

static Name open_name(Scope *s, const char *word) {
    Ctx *c = s->c;
    Name base = c_word(c, word ? word : "i"), n = base;
    for (int i = 2; is_reserved(s, n) || is_open(s, n); i++)
        n = is_reserved(s, base) || isdigit((unsigned char)base[strlen(base) - 1]) ? name(c, "%s_%d", base, i)
                                                                                   : name(c, "%s%d", base, i);
    push(c, &s->open, n);
    return n;
}

static void name_local(Scope *s, Tensor *t) {
    if (map_get(&s->done, t)) return;
    t->name = t->path = open_name(s, t->name);
    map_put(s->c, &s->done, t, t);
}

static void name_inside(Scope *s, Loop *l) {
    int mark = s->open.n;
    if (l->index && !map_get(&s->done, l->index)) {
        l->index->name = open_name(s, l->index->name);
        map_put(s->c, &s->done, l->index, l->index);
    } else if (l->index) {
        push(s->c, &s->open, l->index->name);
    }
    for (int i = 0; i < l->n; i++) {
        if (l->kid[i]->kind == LLet) name_local(s, l->kid[i]->to);
        name_inside(s, l->kid[i]);
    }
    if (l->kind != LSeq) s->open.n = mark;              // a sequence has no braces of its own
}

static void see_words(Scope *s, const Term *t) {
    if (!t) return;
    if (t->kind == TApply && t->fn->word) {
        map_put(s->c, &s->words, name(s->c, "%s", t->fn->word), s);
        map_put(s->c, &s->words, name(s->c, "%sf", t->fn->word), s);
    }
    for (int i = 0; i < t->n; i++)
        see_words(s, t->kid[i]);
}

static void see_calls(Scope *s, const Loop *l) {
    see_words(s, l->lo);
    see_words(s, l->hi);
    see_words(s, l->value);
    see_words(s, l->position);
    for (int i = 0; i < l->nat; i++)
        see_words(s, l->at[i]);
    for (int i = 0; i < l->n; i++)
        see_calls(s, l->kid[i]);
}

static Term *named_load(Ctx *c, Term *t, void *with) {
    (void)with;
    return t->kind == TLoad && t->as != t->from->name ? term_load(c, t->from, t->kid, t->n, NULL, t->from->name) : t;
}

void kernel_tidy_names(Ctx *c, Kernel *k) {
    Scope s = { .c = c };
    see_calls(&s, k->body);
    for (int i = 0; i < k->size.n; i++)
        push(c, &s.open, k->size.at[i]->name);
    for (int i = 0; i < k->formal.n; i++)
        k->formal.at[i]->name = k->formal.at[i]->path = open_name(&s, k->formal.at[i]->name);
    name_inside(&s, k->body);
    loop_map(c, k->body, named_load, NULL);
}
