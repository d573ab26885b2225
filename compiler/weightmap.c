/* weightmap.c: the file of --map, from names and layouts of a file to those of the model.
 *
 *     line = [MODEL_NAME = FILE_NAME {permute A B … | reshape D0 D1 …}] [# comment]
 *
 * A name ends at a blank; steps are done in the order written. */
#include "archive.h"

#include <limits.h>
#include <string.h>

typedef struct Scanner {
    Ctx *c;
    const Source *src;
    int at;
    bool good;
} Scanner;

static char peek(const Scanner *s) {
    return s->at < (int)s->src->n ? s->src->text[s->at] : '\n';
}

static bool at_end(const Scanner *s) {
    return peek(s) == '\n' || peek(s) == '#';
}

static bool is_blank(char ch) {
    return ch == ' ' || ch == '\t' || ch == '\r';
}

static void skip_blanks(Scanner *s) {
    while (is_blank(peek(s)))
        s->at++;
}

/* A run of bytes up to a blank, the end of the line or `stop`; empty at a comment. */
static Span word(Scanner *s, char stop) {
    skip_blanks(s);
    Span at = { s->src, s->at, s->at };
    if (at_end(s))
        return at;
    while (peek(s) != '\n' && !is_blank(peek(s)) && peek(s) != stop)
        s->at++;
    at.to = s->at;
    skip_blanks(s);
    return at;
}

static bool wrong(Scanner *s, Span at, const char *what) {
    if (at.from == at.to)
        at.to++;
    error_at(s->c, at, "%s", what);
    return s->good = false;
}

static bool is(Span at, const char *text) {
    size_t n = strlen(text);
    return (size_t)(at.to - at.from) == n && !memcmp(at.src->text + at.from, text, n);
}

static bool read_name(Scanner *s, char stop, Name *to, Span *at, const char *what) {
    *at = word(s, stop);
    const char *text = s->src->text + at->from;
    size_t n = (size_t)(at->to - at->from);
    if (!n || memchr(text, 0, n))
        return wrong(s, *at, what);
    *to = intern(s->c, text, n);
    return true;
}

static bool read_number(Scanner *s, Span at, int64_t *to) {
    *to = 0;
    for (int i = at.from; i < at.to; i++) {
        int digit = s->src->text[i] - '0';
        if (digit < 0 || digit > 9)
            return wrong(s, at, "a whole number is expected");
        if (*to > (INT64_MAX - digit) / 10)
            return wrong(s, at, "this number is too large");
        *to = *to * 10 + digit;
    }
    return true;
}

static bool read_step(Scanner *s, MapLine *l) {
    MapStep step = { .at = word(s, '\n') };
    step.permute = is(step.at, "permute");
    if (!step.permute && !is(step.at, "reshape"))
        return wrong(s, step.at, "`permute` or `reshape` is expected");
    while (!at_end(s)) {
        int before = s->at;
        Span at = word(s, '\n');
        if (is(at, "permute") || is(at, "reshape")) {
            s->at = before;
            break;
        }
        if (step.n == MaxRank)
            return wrong(s, at, "an array has at most 8 axes");
        if (!read_number(s, at, &step.arg[step.n++]))
            return false;
        step.at.to = at.to;
    }
    push(s->c, &l->step, step);
    return true;
}

static bool read_line(Scanner *s, MapLine *l) {
    if (!read_name(s, '=', &l->to, &l->to_at, "the name of a parameter is expected"))
        return false;
    if (peek(s) != '=')
        return wrong(s, (Span){ s->src, s->at, s->at },
                     "`=` is expected after the name of a parameter");
    s->at++;
    if (!read_name(s, '\n', &l->from, &l->from_at, "the name of an array in the file is expected"))
        return false;
    while (!at_end(s))
        if (!read_step(s, l))
            return false;
    return true;
}

static void add_line(Scanner *s, MapLines *to, Map *first, MapLine *l) {
    Span *before = map_get(first, l->to);
    if (before) {
        wrong(s, l->to_at, "this parameter has a line already");
        note_at(s->c, *before, "here");
        return;
    }
    push(s->c, to, *l);
    Span *at = NEW(s->c, Span);
    *at = l->to_at;
    map_put(s->c, first, l->to, at);
}

bool map_read(Ctx *c, const char *path, MapLines *to) {
    Source *src = NEW(c, Source);
    *src = (Source){ .path = path };
    src->text = read_file(c, path, &src->n);
    if (!src->text)
        return archive_error(c, path, "cannot be read");
    if (src->n > INT_MAX / 2)
        return archive_error(c, path, "too large for a map");
    Scanner s = { c, src, 0, true };
    Map first = { 0 };
    for (; s.at < (int)src->n; s.at++) { /* past the end of a line */
        MapLine l = { 0 };
        skip_blanks(&s);
        if (!at_end(&s)) {
            l.wrong = !read_line(&s, &l);
            if (l.to)
                add_line(&s, to, &first, &l);
        }
        while (peek(&s) != '\n')
            s.at++;
    }
    return s.good;
}

/* ---- steps ---------------------------------------------------------------------------------------- */

static bool is_permutation(const MapStep *p, int rank) {
    bool seen[MaxRank] = { false };
    if (p->n != rank)
        return false;
    for (int i = 0; i < rank; i++) {
        if (p->arg[i] >= rank || seen[p->arg[i]])
            return false;
        seen[p->arg[i]] = true;
    }
    return true;
}

static bool permute(Ctx *c, const MapLine *l, const MapStep *p, Array *a) {
    size_t count, bytes;
    int64_t stride[MaxRank], step[MaxRank], n = 1;
    Array from = *a;
    if (!is_permutation(p, a->rank)) {
        error_at(c, p->at,
                 "`%s` is %s here: `permute` takes the numbers of its axes, 0 to %d, each once",
                 shown(c, l->from, strlen(l->from)), array_type(c, a), a->rank - 1);
        return false;
    }
    array_size(a, &count, &bytes);
    for (int i = a->rank - 1; i >= 0; n *= from.dim[i--])
        stride[i] = n;
    for (int i = 0; i < a->rank; i++) {
        a->dim[i] = from.dim[p->arg[i]];
        step[i] = stride[p->arg[i]];
    }
    void *to = alloc(c, bytes + 1);
    if (bytes)
        array_gather(to, from.data, stored_bytes(a->elem), a->rank, a->dim, step);
    a->data = to;
    return true;
}

static bool reshape(Ctx *c, const MapLine *l, const MapStep *p, Array *a) {
    size_t old, fresh, bytes;
    Array to = *a;
    to.rank = p->n;
    memcpy(to.dim, p->arg, sizeof to.dim);
    array_size(a, &old, &bytes);
    if (!array_size(&to, &fresh, &bytes) || old != fresh) {
        error_at(c, p->at, "`%s` is %s here, with %zu elements: it cannot become %s",
                 shown(c, l->from, strlen(l->from)), array_type(c, a), old, array_type(c, &to));
        return false;
    }
    *a = to;
    return true;
}

bool map_apply(Ctx *c, MapLine *l, Array *a) {
    for (int i = 0; i < l->step.n && !l->wrong; i++) {
        const MapStep *p = &l->step.at[i];
        l->wrong = p->permute ? !permute(c, l, p, a) : !reshape(c, l, p, a);
    }
    return !l->wrong;
}
