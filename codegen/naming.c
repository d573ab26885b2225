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
    if (!t.n)
        return name(c, "v");
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
        if (n->reduce != NoReduce && (!best || work(c, n) > work(c, best)))
            best = n;
    }
    return best ? best : b->node.at[b->node.n - 1];
}

/* A mere change of position: not what is looked up by data. */
static bool is_view(const Node *n) {
    if (n->reduce != NoReduce || n->body->kind != TLoad)
        return false;
    for (int i = 0; i < n->body->n; i++)
        if (term_reads(n->body->kid[i]))
            return false;
    return true;
}

enum { MostWords = 4 };
typedef struct Words { const char *at[MostWords + 1]; int n; } Words;

static void add_call_word(Ctx *c, Words *w, const Call *call) {
    if (!call || !call->op || w->n > MostWords)
        return;
    Name op = c_word(c, call->op);
    for (int i = 0; i < w->n; i++)
        if (w->at[i] == op)
            return;
    w->at[w->n++] = op;
}

static void add_word(Ctx *c, Words *w, const Node *n) {
    for (int i = 0; i < n->took.n; i++)
        add_call_word(c, w, n->took.at[i]);
    add_call_word(c, w, n->call);
}

static Words words_of(Ctx *c, const Bunch *b) {
    Words w = {0};
    for (int i = 0; i < b->node.n; i++)
        if (!is_view(b->node.at[i]))
            add_word(c, &w, b->node.at[i]);
    if (w.n > MostWords) {                              // too many: what weighs most first
        w.n = 0;
        add_word(c, &w, main_node(c, b));
        for (int i = 0; i < b->node.n; i++)
            if (!is_view(b->node.at[i]))
                add_word(c, &w, b->node.at[i]);
        w.n = MostWords;
    }
    for (int i = 0; i < b->node.n && !w.n; i++)
        add_word(c, &w, b->node.at[i]);
    if (!w.n)
        w.at[w.n++] = is_view(b->node.at[0]) ? "copy" : "map";
    return w;
}

/* 64, T, or of a polynomial its letters: "2 * T + 1" is 2T_1. */
static void add_extent(Ctx *c, Text *t, const char *before, Dim d) {
    Text word = {0};
    for (const char *s = dim_text(c, d); *s; s++) {
        if (isalnum((unsigned char)*s) || *s == '_')
            text_add(c, &word, "%c", *s);
        else if (strchr("+-/%", *s) && word.n && word.s[word.n - 1] != '_')
            text_add(c, &word, "_");
    }
    text_add(c, t, "%s%s", before, word.n ? word.s : "0");
}

/* ---- an operand beside the reduction: what a residual connection adds */

static bool reads_formal(const Term *t, const Tensor *f) {
    if (!t)
        return false;
    if (t->kind == TLoad && t->from == f)
        return true;
    for (int i = 0; i < t->n; i++)
        if (reads_formal(t->kid[i], f))
            return true;
    return false;
}

static bool is_operand(const Term *t, const Tensor *f) {
    if (t->kind == TLoad)
        return t->from == f;
    return t->kind == TApply && t->fn->id == FnWhere && (is_operand(t->kid[1], f) || is_operand(t->kid[2], f));
}

/* The sum or product of which f is an operand, as a word; NULL: none. */
static const char *joins(const Term *t, const Tensor *f) {
    if (!t || t->kind != TApply)
        return NULL;
    const char *word = t->fn->id == FnAdd ? "add" : t->fn->id == FnSub ? "sub" : t->fn->id == FnMul ? "mul" : NULL;
    for (int i = 0; i < t->n && word; i++)
        if (is_operand(t->kid[i], f))
            return word;
    for (int i = 0; i < t->n; i++) {
        word = joins(t->kid[i], f);
        if (word)
            return word;
    }
    return NULL;
}

static const char *joined_word(const Loop *l, const Tensor *f, bool *reduced) {
    const char *word = NULL;
    if (l->kind == LAccum && reads_formal(l->value, f))
        *reduced = true;
    else if (l->kind == LStore || l->kind == LLet)
        word = joins(l->value, f);
    for (int i = 0; i < l->n; i++) {
        const char *inside = joined_word(l->kid[i], f, reduced);
        word = word ? word : inside;
    }
    return word;
}

/* conv, relu with another feature map added between: conv, add, relu. */
static void add_joined(Ctx *c, Words *w, const Kernel *k, const Bunch *b) {
    if (main_node(c, b)->reduce == NoReduce || w->n == 0)
        return;
    for (int i = 0; i < k->formal.n && w->n < MostWords; i++) {
        bool reduced = false;
        if (k->role.at[i] != RoleIn || k->formal.at[i]->type.rank < 2)
            continue;
        const char *word = joined_word(k->body, k->formal.at[i], &reduced);
        if (!word || reduced)
            continue;
        Name n = name(c, "%s", word);
        bool known = false;
        for (int m = 0; m < w->n; m++)
            known |= w->at[m] == n;
        if (known)
            continue;
        for (int m = w->n++; m > 1; m--)
            w->at[m] = w->at[m - 1];
        w->at[1] = n;
    }
}

/* ---- the name */

enum { LongestName = 48 };

/* 16x32x32; leading sizes of 1 only with `all`. */
static char *extents(Ctx *c, const Dim *size, int n, bool all) {
    Text t = {0};
    text_add(c, &t, "%s", "");
    for (int i = 0; i < n; i++)
        if (all || t.n || !dim_is(size[i], 1))
            add_extent(c, &t, t.n ? "x" : "", size[i]);
    if (!t.n)
        text_add(c, &t, "1");
    return t.s;
}

static char *base_word(Ctx *c, const Kernel *k, const Bunch *b, bool all) {
    Words w = words_of(c, b);
    const Node *last = b->node.at[b->node.n - 1], *heavy = main_node(c, b);
    Dim size[MaxRank];
    Text t = {0};
    add_joined(c, &w, k, b);
    for (int i = 0; i < w.n; i++)
        text_add(c, &t, "%s%s", i ? "_" : "", w.at[i]);
    for (int i = 0; i < last->naxis; i++) {
        size[i] = dim(c, 1);
        for (int m = 0; m < last->axis[i].n; m++)
            size[i] = dim_mul(c, size[i], last->axis[i].index[m]->size);
    }
    text_add(c, &t, "_%s", extents(c, size, last->naxis, all));
    for (int i = 0; i < heavy->nbind; i++)
        add_extent(c, &t, i ? "x" : "_k", heavy->bind[i]->size);
    return t.s;
}

/* 16 bits of the key: the last resort. */
static unsigned hash_of(const Kernel *k) {
    uint32_t h = 0x811c9dc5u;
    for (const char *s = k->key; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x01000193u;
    return (h ^ h >> 16) & 0xffff;
}

static Name hashed(Ctx *c, const Kernel *k, const char *word) {
    int n = (int)strlen(word);
    if (n > LongestName - 5)
        n = LongestName - 5;
    while (n > 1 && word[n - 1] == '_')
        n--;
    return name(c, "%.*s_%04x", n, word, hash_of(k));
}

/* needs: a kernel with its key. gives: its name, and the one it gets where that is another's as well. */
void kernel_word(Ctx *c, Kernel *k, const Bunch *b) {
    k->name = name(c, "%s", base_word(c, k, b, false));
    k->long_name = name(c, "%s", base_word(c, k, b, true));
    if (strlen(k->name) > LongestName)
        k->name = hashed(c, k, k->name);
    if (strlen(k->long_name) > LongestName)
        k->long_name = k->name;
}

/* The extents of its input number i, and its element where that is not the usual one. */
static char *input_word(Ctx *c, const Kernel *k, int number) {
    for (int i = 0, seen = 0; i < k->formal.n; i++) {
        const Type *type = &k->formal.at[i]->type;
        if (k->role.at[i] != RoleIn || !type->rank || seen++ != number)
            continue;
        Elem e = elem_storage(c, type->elem);
        char *size = extents(c, type->dim, type->rank, false);
        return e == F32 ? size : format(c, "%s_%s", size, elem_name(e));
    }
    return "";
}

static void add_words(Ctx *c, Text *text, Map *seen, const Term *t) {
    if (!t)
        return;
    if (t->kind == TApply && t->fn->id == FnExtern && t->fn->word) {
        Name n = name(c, "%s", t->fn->word);
        if (!map_get(seen, n))
            text_add(c, text, "_%s", n);
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

/* What may tell kernels of one name apart, tried in this order: all extents of the result, the functions called,
 * each input. */
enum { TellExtents, TellCalls, TellInput, MostInputs = 6 };

static const char *told(Ctx *c, const Kernel *k, int by) {
    Text t = {0};
    Map seen = {0};
    if (by == TellExtents)
        return k->long_name;
    if (by >= TellInput)
        return input_word(c, k, by - TellInput);
    text_add(c, &t, "%s", "");
    add_calls(c, &t, &seen, k->body);
    return t.s;
}

static int *count_uses(Ctx *c, const Code *code) {
    int *uses = NEWN(c, int, code->kernel.n + 1);
    for (int i = 0; i < code->kernel.n; i++)
        for (int r = 0; r < code->n; r++)
            for (int s = 0; s < code->routine[r]->step.n; s++)
                uses[i] += code->routine[r]->step.at[s].kernel == code->kernel.at[i];
    return uses;
}

/* Must kernel i give way? Of several with one name, the one that is called most keeps it, so that editing one layer
 * of many does not rename what the others call; of equals, the lesser key. */
static bool gives_way(const Code *code, int i, const Name *names, const int *uses) {
    for (int k = 0; k < code->kernel.n; k++) {
        if (k == i || names[k] != names[i])
            continue;
        if (uses[k] != uses[i] ? uses[k] > uses[i] : strcmp(code->kernel.at[k]->key, code->kernel.at[i]->key) < 0)
            return true;
    }
    return false;
}

/* Is kernel i, by this, alone among those of its name? */
static bool tells(Ctx *c, const Code *code, const Name *names, int i, int by) {
    const char *mine = told(c, code->kernel.at[i], by);
    for (int k = 0; k < code->kernel.n; k++)
        if (k != i && names[k] == names[i] && !strcmp(told(c, code->kernel.at[k], by), mine))
            return false;
    return true;
}

static Name told_apart(Ctx *c, const Code *code, const Name *names, int i) {
    const Kernel *k = code->kernel.at[i];
    for (int by = 0; by < TellInput + MostInputs; by++) {
        if (!tells(c, code, names, i, by))
            continue;
        const char *word = told(c, k, by);
        Name n = by == TellExtents ? name(c, "%s", word)
                 : by == TellCalls || !*word ? name(c, "%s%s", names[i], word) : name(c, "%s_from_%s", names[i], word);
        if (strlen(n) <= LongestName)
            return n;
    }
    return names[i];
}

/* Same names are told apart by what differs, or else by a few digits of the key: never by a count, which an edit
 * elsewhere would move. */
void kernel_names(Ctx *c, Code *code) {
    int n = code->kernel.n;
    Name *names = NEWN(c, Name, n + 1), *apart = NEWN(c, Name, n + 1);
    int *uses = count_uses(c, code);
    for (int i = 0; i < n; i++)
        names[i] = code->kernel.at[i]->name;
    for (int round = 0; round < 3; round++) {           // those that stand apart leave the others fewer
        for (int i = 0; i < n; i++)
            apart[i] = gives_way(code, i, names, uses) ? told_apart(c, code, names, i) : names[i];
        memcpy(names, apart, sizeof *names * (size_t)n);
    }
    for (int i = 0; i < n; i++)
        apart[i] = gives_way(code, i, names, uses) ? hashed(c, code->kernel.at[i], names[i]) : names[i];
    Map used = {0};
    for (int i = 0; i < n; i++) {
        Name free = apart[i];
        for (int more = 2; map_get(&used, free); more++)       // two keys with one hash
            free = name(c, "%s_%d", apart[i], more);
        code->kernel.at[i]->name = free;
        map_put(c, &used, free, code);
    }
}

/* ---- names inside a kernel */

static const char *const reserved[] = {
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
    "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
    "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "bool",
    "true", "false", "asm", "main", "errno", "NULL", "EOF", "NAN", "INFINITY", "memcpy", "memset",
    "class", "delete", "namespace", "new", "operator", "private", "public", "template", "this", "using",
    "device", "kernel", "thread", "constant", "half", "linux", "unix",
};

/* May a size of the entry be called so? */
bool c_is_free(const char *s) {
    static const char *const ours[] = { "w", "s", "work", "arena" };
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(reserved[i], s) == 0)
            return false;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(ours[i], s) == 0)
            return false;
    return true;
}

/* Helpers end in what they work on: max_float, floor_div_int. */
static const char *const endings[] = {
    "_float", "_int", "_double", "_bool", "_i8", "_i16", "_i64", "_u8", "_u16", "_u32", "_u64", "_f16", "_bf16",
    "_t", "_MIN", "_MAX",
};

typedef struct NameScope {
    Ctx *c;
    VEC(Name) open;                     /* what is visible here */
    Map done;                           /* indices and locals that have their name */
    Map words;                          /* functions the kernel calls */
} NameScope;

static bool is_reserved(const NameScope *s, Name n) {
    size_t length = strlen(n);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(reserved[i], n) == 0)
            return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t end = strlen(endings[i]);
        if (length > end && strcmp(n + length - end, endings[i]) == 0)
            return true;
    }
    return map_get(&s->words, n) != NULL;
}

static bool is_visible(const NameScope *s, Name n) {
    for (int i = 0; i < s->open.n; i++)
        if (s->open.at[i] == n)
            return true;
    return false;
}

static Name open_name(NameScope *s, const char *word) {
    Ctx *c = s->c;
    Name base = c_word(c, word ? word : "i"), n = base;
    for (int i = 2; is_reserved(s, n) || is_visible(s, n); i++)
        n = is_reserved(s, base) || isdigit((unsigned char)base[strlen(base) - 1]) ? name(c, "%s_%d", base, i)
                                                                                   : name(c, "%s%d", base, i);
    push(c, &s->open, n);
    return n;
}

static void name_local(NameScope *s, Tensor *t) {
    if (map_get(&s->done, t))
        return;
    t->name = t->path = open_name(s, t->name);
    map_put(s->c, &s->done, t, t);
}

static void name_inside(NameScope *s, Loop *l) {
    int mark = s->open.n;
    if (l->index && !map_get(&s->done, l->index)) {
        l->index->name = open_name(s, l->index->name);
        map_put(s->c, &s->done, l->index, l->index);
    } else if (l->index) {
        push(s->c, &s->open, l->index->name);
    }
    for (int i = 0; i < l->n; i++) {
        if (l->kid[i]->kind == LLet)
            name_local(s, l->kid[i]->to);
        name_inside(s, l->kid[i]);
    }
    if (l->kind != LSeq)
        s->open.n = mark;  // a sequence has no braces of its own
}

static void see_words(NameScope *s, const Term *t) {
    if (!t)
        return;
    if (t->kind == TApply && t->fn->word) {
        map_put(s->c, &s->words, name(s->c, "%s", t->fn->word), s);
        map_put(s->c, &s->words, name(s->c, "%sf", t->fn->word), s);
    }
    for (int i = 0; i < t->n; i++)
        see_words(s, t->kid[i]);
}

static void see_calls(NameScope *s, const Loop *l) {
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
    NameScope s = { .c = c };
    see_calls(&s, k->body);
    for (int i = 0; i < k->size.n; i++)
        push(c, &s.open, k->size.at[i]->name);
    for (int i = 0; i < k->formal.n; i++)
        k->formal.at[i]->name = k->formal.at[i]->path = open_name(&s, k->formal.at[i]->name);
    name_inside(&s, k->body);
    loop_map(c, k->body, named_load, NULL);
}
