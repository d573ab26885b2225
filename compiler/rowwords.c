/* rowwords.c: rearrange and einsum as rows: the words of the pattern are the indices. */
#include "rowmaker.h"

#include <ctype.h>
#include <string.h>

enum { MostPatternWords = 2 * MaxRank };

typedef struct Side {
    int word[MaxRank][MaxRank];
    int n[MaxRank];
    int rank;
} Side; /* of a pattern: a list of groups */
typedef struct PatternWords {
    Name name[MostPatternWords];
    Dim size[MostPatternWords];
    Index *index[MostPatternWords];
    int n;
} PatternWords;

static int pattern_word(Make *m, PatternWords *w, const char *s, size_t n, bool add) {
    Name own = intern(m->c, s, n);
    for (int k = 0; k < w->n; k++)
        if (w->name[k] == own)
            return k;
    if (!add || w->n == MostPatternWords)
        return -1;
    w->name[w->n] = own;
    return w->n++;
}

/* "b t (n d)": false if it is no such list. A 1 is a group of nothing. */
static bool pattern_side(Make *m, PatternWords *w, const char *s, const char *end, Side *out,
                         bool add) {
    bool in = false;
    *out = (Side){ 0 };
    while (s < end) {
        if (isspace((unsigned char)*s)) {
            s++;
            continue;
        }
        if (*s == '(' || *s == ')') {
            if ((*s == '(') == in)
                return false;
            if (in)
                out->rank++;
            else if (out->rank == MaxRank)
                return false;
            in = !in;
            s++;
            continue;
        }
        size_t n = 0;
        while (s + n < end && (isalnum((unsigned char)s[n]) || s[n] == '_'))
            n++;
        if (n == 0 || out->rank == MaxRank)
            return false;
        if (n == 1 && *s == '1') {
            out->rank += !in;
            s++;
            continue;
        }
        int k = pattern_word(m, w, s, n, add);
        if (k < 0 || out->n[out->rank] == MaxRank)
            return false;
        out->word[out->rank][out->n[out->rank]++] = k;
        out->rank += !in;
        s += n;
    }
    return !in;
}

/* Sizes of the words from the axes they make up. */
static bool size_words(Make *m, PatternWords *w, const Side *s, const Type *x) {
    Ctx *c = m->c;
    for (int k = 0; k < s->rank; k++) {
        Dim known = dim(c, 1), rest;
        int open = -1;
        for (int j = 0; j < s->n[k]; j++) {
            int v = s->word[k][j];
            if (w->size[v])
                known = dim_mul(c, known, w->size[v]);
            else if (open >= 0) {
                make_wrong(m, m->at,
                           format(c, "the sizes of `%s` and `%s` are not known; give one by name",
                                  w->name[open], w->name[v]));
                return false;
            } else
                open = v;
        }
        bool fits =
            open >= 0 ? dim_exact(c, x->dim[k], known, &rest) : dim_equal(c, x->dim[k], known);
        if (!fits) {
            make_wrong(m, m->at,
                       format(c,
                              open >= 0 ? "axis %d is %s, not a multiple of %s"
                                        : "axis %d is %s, and the pattern makes it %s",
                              k, dim_text(c, x->dim[k]), dim_text(c, known)));
            return false;
        }
        if (open >= 0)
            w->size[open] = rest;
    }
    return true;
}

static void open_words(Make *m, PatternWords *w) {
    for (int k = 0; k < w->n; k++)
        if (!w->index[k])
            w->index[k] = index_new(m->c, w->name[k], w->size[k]);
}

static Term *read_words(Make *m, const PatternWords *w, const Side *s, Tensor *x, Name as) {
    Term *at[MaxRank];
    for (int k = 0; k < s->rank; k++) {
        Term *digit[MaxRank];
        Dim size[MaxRank];
        for (int j = 0; j < s->n[k]; j++) {
            digit[j] = term_index(m->c, w->index[s->word[k][j]]);
            size[j] = w->size[s->word[k][j]];
        }
        at[k] = radix(m->c, digit, size, s->n[k]);
    }
    return term_load(m->c, x, at, s->rank, NULL, as);
}

static void word_axes(Make *m, const PatternWords *w, const Side *s, Axis *axis) {
    for (int k = 0; k < s->rank; k++) {
        axis[k] = (Axis){ .index = NEWN(m->c, Index *, s->n[k] + 1), .n = s->n[k] };
        for (int j = 0; j < s->n[k]; j++)
            axis[k].index[j] = w->index[s->word[k][j]];
    }
}

static bool each_once(const Side *s, int nwords) {
    int seen[MostPatternWords] = { 0 };
    for (int k = 0; k < s->rank; k++)
        for (int j = 0; j < s->n[k]; j++)
            if (seen[s->word[k][j]]++)
                return false;
    for (int k = 0; k < nwords; k++)
        if (!seen[k])
            return false;
    return true;
}

static bool named_sizes(Make *m, PatternWords *w, int from) {
    for (int k = from; k + 1 < m->n; k += 2) {
        const Value *n = &m->arg[k], *v = &m->arg[k + 1];
        int own = n->kind == VStr ? pattern_word(m, w, n->text, strlen(n->text), false) : -1;
        if (own < 0 || v->kind != VInt) {
            make_wrong(m, v->at,
                       n->kind == VStr ? format(m->c,
                                                own < 0 ? "`%s` is not in the pattern"
                                                        : "`%s` must be an integer",
                                                n->text)
                                       : "a named size is wanted here");
            return false;
        }
        w->size[own] = v->whole;
    }
    return true;
}

Value make_rearrange(Make *m) {
    Tensor *x = make_tensor_arg(m, 0);
    PatternWords w = { .n = 0 };
    Side from, to;
    Axis axis[MaxRank];
    if (!x)
        return poison(m->at);
    const char *text = m->arg[1].kind == VStr ? m->arg[1].text : "", *arrow = strstr(text, "->");
    if (!arrow || !pattern_side(m, &w, text, arrow, &from, true) ||
        !pattern_side(m, &w, arrow + 2, text + strlen(text), &to, false))
        return make_wrong(m, m->arg[1].at,
                          "a pattern like \"b t (n d) -> b n t d\" is wanted here");
    if (!each_once(&from, w.n) || !each_once(&to, w.n))
        return make_wrong(m, m->arg[1].at,
                          "each word of the pattern must stand once on either side");
    if (from.rank != x->type.rank)
        return make_wrong(
            m, m->arg[1].at,
            format(m->c, "the pattern has %d axes, and the tensor %d", from.rank, x->type.rank));
    if (!named_sizes(m, &w, 2) || !size_words(m, &w, &from, &x->type))
        return poison(m->at);
    open_words(m, &w);
    word_axes(m, &w, &to, axis);
    return make_value(m, "rearrange", axis, to.rank,
                      read_words(m, &w, &from, x, intern(m->c, "x", 1)));
}

/* "bij,bjk->bik": index_letters, so that spaces may be left out. */
static bool letter_side(Make *m, PatternWords *w, const char *s, const char *end, Side *out,
                        bool add) {
    *out = (Side){ 0 };
    for (; s < end; s++) {
        if (isspace((unsigned char)*s))
            continue;
        int k =
            isalpha((unsigned char)*s) && out->rank < MaxRank ? pattern_word(m, w, s, 1, add) : -1;
        if (k < 0)
            return false;
        out->word[out->rank][0] = k;
        out->n[out->rank++] = 1;
    }
    return true;
}

Value make_einsum(Make *m) {
    PatternWords w = { .n = 0 };
    Side in, to;
    Axis axis[MaxRank];
    Clause k = { .reduce = RSum };
    Ctx *c = m->c;
    Side read[MaxRank];
    Tensor *t[MaxRank];
    const char *text = m->arg[0].kind == VStr ? m->arg[0].text : "", *arrow = strstr(text, "->"),
               *s = text;
    int n = 0;
    for (; arrow && s <= arrow && n < MaxRank && n + 1 < m->n; n++) {
        const char *end = s;
        while (end < arrow && *end != ',')
            end++;
        if (!(t[n] = make_tensor_arg(m, n + 1)))
            return poison(m->at);
        if (!letter_side(m, &w, s, end, &in, true))
            break;
        if (in.rank != t[n]->type.rank)
            return make_wrong(m, m->arg[0].at,
                              format(c, "the pattern of the %s tensor has %d axes, and it has %d",
                                     make_ordinal(c, n), in.rank, t[n]->type.rank));
        if (!size_words(m, &w, &in, &t[n]->type))
            return poison(m->at);
        read[n] = in;
        s = end + 1;
    }
    if (!arrow || s != arrow + 1 || n + 1 != m->n ||
        !letter_side(m, &w, arrow + 2, text + strlen(text), &to, false))
        return make_wrong(
            m, m->arg[0].at,
            "a pattern like \"bij,bjk->bik\", with a word for each tensor, is wanted here");
    open_words(m, &w);
    bool kept[MostPatternWords] = { false };
    for (int j = 0; j < to.rank; j++) {
        if (kept[to.word[j][0]])
            return make_wrong(m, m->arg[0].at, "an index stands twice in the result");
        kept[to.word[j][0]] = true;
    }
    for (int j = 0; j < w.n; j++)
        if (!kept[j])
            k.bind[k.nbind++] = w.index[j];
    if (k.nbind == 0)
        k.reduce = NoReduce;
    for (int j = 0; j < n; j++) {
        Term *own = read_words(m, &w, &read[j], t[j], name(c, "x%d", j)),
             *pair[2] = { k.body, own };
        Fault fault;
        int which;
        k.body = j ? fn_term(c, fn(FnMul), NoElem, pair, 2, &fault, &which) : own;
        if (!k.body)
            return make_wrong(m, m->at, fault_text(c, fault, fn(FnMul), pair, 2, which));
    }
    word_axes(m, &w, &to, axis);
    Axis *own = NEWN(c, Axis, to.rank + 1);
    memcpy(own, axis, sizeof *own * (size_t)to.rank);
    Name op = intern(c, "einsum", 6);
    Call *call = call_new(c, op, clause_line(c, "einsum", own, to.rank, &k), m->path, m->at);
    Tensor *out =
        row_node(c, m->g, call, m->hint && *m->hint ? m->hint : op, m->path, own, to.rank, &k);
    return out ? tensor_value(out, m->at) : poison(m->at);
}
