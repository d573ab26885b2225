/* diag.c: what the user is told.
 *
 * Diagnostics are kept until the end, each with its notes and help, and printed in order of files
 * and positions. Positions are bytes in a source; lines and columns (in characters) are counted
 * only when something is printed. */
#include "compiler.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct Note { Span at; const char *text; } Note;

typedef enum Severity { Error, Warning, Remark } Severity;

typedef struct Diag {
    Severity severity;
    Span at;                            /* no source: about files and options */
    const char *text;
    VEC(Note) note, frame;              /* frame: the applications that led here, innermost first */
    int left_out;                       /* applications between the first frames and the last */
    VEC(const char *) help;
    int rank, order;                    /* of the file; of making */
} Diag;

struct Diags {
    VEC(Diag *) diag;
    VEC(Span) body;                     /* see diag_body */
    Map seen;                           /* positions told; see is_new_diag */
    Diag *last;                         /* what notes hang on; NULL after a duplicate */
};

enum {
    MostShown = 50,
    MostFrames = 6, FirstFrames = 3, LastFrames = 2,    /* of more, the first and the last */
    LongName = 60,
};

static bool starts_character(char ch) {
    return ((unsigned char)ch & 0xC0) != 0x80;
}

static struct Diags *diags(Ctx *c) {
    if (!c->diags)
        c->diags = NEW(c, struct Diags);
    return c->diags;
}

/* A long name in backquotes keeps its two ends: `net.layers.0.…layers.250.attn`. */
static char *with_short_names(Ctx *c, const char *text) {
    Text t = {0};
    text_add(c, &t, "");
    for (int n; *text; text += n) {
        const char *close = *text == '`' ? strchr(text + 1, '`') : NULL;
        n = close ? (int)(close - text) + 1 : (int)strcspn(text + 1, "`") + 1;
        int half = close && n > LongName && !memchr(text, ' ', (size_t)n) ? LongName / 2 : 0;
        while (half && !(starts_character(text[half]) && starts_character(text[n - half])))
            half--;
        if (half)
            text_add(c, &t, "%.*s…%.*s", half, text, half, text + n - half);
        else
            text_add(c, &t, "%.*s", n, text);
    }
    return t.s;
}

static char *say(Ctx *c, const char *fmt, va_list args) {
    return with_short_names(c, format_list(c, fmt, args));
}

/* ---- making them */

/* Of one stretch of text one error is told: what is said of it next is an echo, or comes from
 * another application of the same model. */
static bool is_new_diag(Ctx *c, const Diag *d) {
    struct Diags *all = diags(c);
    Span at = d->at;
    Name key = at.src ? name(c, "%s:%d:%d:%d", at.src->path, at.from, at.to, d->severity)
                      : name(c, "%s", d->text);
    if (map_get(&all->seen, key))
        return false;
    map_put(c, &all->seen, key, (void *)key);
    return true;
}

/* A note for each application above. Of a deep recursion the first and the last few are enough. */
static void add_frames(Ctx *c, Diag *d, const Frame *f) {
    int n = 0, i = 0;
    for (const Frame *up = f; up; up = up->up)
        n++;
    if (n > MostFrames)
        d->left_out = n - FirstFrames - LastFrames;
    for (; f; f = f->up, i++)
        if (!d->left_out || i < FirstFrames || i >= n - LastFrames)
            push(c, &d->frame,
                 ((Note){f->at, format(c, "%s, used here", with_short_names(c, f->what))}));
}

/* Rule 42: the user is shown the user's own line; where in the library it went wrong is a note. */
static const Frame *leave_library(Ctx *c, Diag *d) {
    const Frame *f = c->frame;
    if (!d->at.src || !d->at.src->library)
        return f;
    const Frame *user = f;
    while (user && (!user->at.src || user->at.src->library))
        user = user->up;
    if (!user)
        return f;
    push(c, &d->note, ((Note){d->at, format(c, "%s, on this line", f->what)}));
    d->at = user->at;
    return user->up;
}

static void add_diag(Ctx *c, Severity severity, Span at, const char *text) {
    struct Diags *all = diags(c);
    Diag *d = NEW(c, Diag);
    *d = (Diag){.severity = severity, .at = at, .text = text, .order = all->diag.n};
    const Frame *above = leave_library(c, d);
    all->last = is_new_diag(c, d) ? d : NULL;
    if (!all->last)
        return;
    if (at.src)
        add_frames(c, d, above);
    push(c, &all->diag, d);
    c->errors += severity == Error;
    c->warnings += severity == Warning;
}

void error_at(Ctx *c, Span at, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add_diag(c, Error, at, say(c, fmt, args));
    va_end(args);
}

void warning_at(Ctx *c, Span at, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add_diag(c, Warning, at, say(c, fmt, args));
    va_end(args);
}

void error_plain(Ctx *c, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add_diag(c, Error, (Span){0}, say(c, fmt, args));
    va_end(args);
}

void note_plain(Ctx *c, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add_diag(c, Remark, (Span){0}, say(c, fmt, args));
    va_end(args);
}

void note_at(Ctx *c, Span at, const char *fmt, ...) {
    Diag *d = diags(c)->last;
    if (!d)
        return;
    va_list args;
    va_start(args, fmt);
    push(c, &d->note, ((Note){at, say(c, fmt, args)}));
    va_end(args);
}

void help(Ctx *c, const char *fmt, ...) {
    Diag *d = diags(c)->last;
    if (!d)
        return;
    va_list args;
    va_start(args, fmt);
    push(c, &d->help, say(c, fmt, args));
    va_end(args);
}

void diag_body(Ctx *c, Span body) {
    push(c, &diags(c)->body, body);
}

_Noreturn void fail(Ctx *c) {
    longjmp(c->stop, 1);
}

Span span_join(Span a, Span b) {
    if (!a.src)
        return b;
    if (!b.src || a.src != b.src)
        return a;
    return (Span){a.src, a.from < b.from ? a.from : b.from, a.to > b.to ? a.to : b.to};
}

/* ---- printing */

typedef struct Pen { FILE *to; bool color; } Pen;

static const char *paint(const Pen *p, const char *code) {
    return p->color ? code : "";
}
static const char *red(const Pen *p) {
    return paint(p, "\033[1;31m");
}
static const char *yellow(const Pen *p) {
    return paint(p, "\033[1;33m");
}
static const char *blue(const Pen *p) {
    return paint(p, "\033[1;34m");
}
static const char *end_paint(const Pen *p) {
    return paint(p, "\033[0m");
}

/* How many bytes the character at s has. What is none, and what does not print, is one that shows
 * as `?`. */
static int character(const char *s, size_t left, bool *prints) {
    const unsigned char *u = (const unsigned char *)s;
    int n = character_bytes(u, left);
    bool control = n == 0 || (n == 1 && (u[0] < ' ' || u[0] == 127)) ||
                   (n == 2 && u[0] == 0xC2 && u[1] < 0xA0);
    *prints = !control || *s == '\t';
    return n ? n : 1;
}

static void put_text(const Pen *p, const char *s, size_t n) {
    bool prints;
    for (size_t i = 0, k; i < n; i += k) {
        k = (size_t)character(s + i, n - i, &prints);
        if (prints)
            fwrite(s + i, 1, k, p->to);
        else
            fputc('?', p->to);
    }
}

/* Byte `from` and `n` characters on, but not past `to`. */
static int forward(const Source *src, int from, int to, int n) {
    bool prints;
    while (n-- > 0 && from < to)
        from += character(src->text + from, (size_t)(to - from), &prints);
    return from;
}

static int characters(const Source *src, int from, int to) {
    int n = 0;
    for (; from < to; n++)
        from = forward(src, from, to, 1);
    return n;
}

/* Where a span begins: the line's number and bytes [begin, end), and the column in characters. */
typedef struct LinePlace { int line, column; int begin, end; } LinePlace;

static LinePlace line_place(Span at) {
    const char *s = at.src->text;
    LinePlace p = {1, 1, 0, 0};
    for (int i = 0; i < at.from; i++)
        if (s[i] == '\n')
            p.line++, p.begin = i + 1;
    p.column += characters(at.src, p.begin, at.from);
    p.end = p.begin;
    while (p.end < (int)at.src->n && s[p.end] != '\n')
        p.end++;
    while (p.end > p.begin && s[p.end - 1] == '\r')
        p.end--;
    return p;
}

/* The part of a line that is shown: bytes [from, to). A long line is cut on both sides of the
 * caret. */
typedef struct Window { int from, to; bool cut_before, cut_after; } Window;

static Window window_of(Span at, LinePlace line) {
    enum { Long = 120, Before = 50, Shown = 100 };
    Window w = {.from = line.begin, .to = line.end};
    if (characters(at.src, line.begin, line.end) <= Long)
        return w;
    w.from = forward(at.src, line.begin, line.end, line.column - 1 - Before);
    w.to = forward(at.src, w.from, line.end, Shown);
    w.cut_before = w.from > line.begin;
    w.cut_after = w.to < line.end;
    return w;
}

/* A tab stays a tab on both lines, so that the caret stands below what it means. */
static void show_caret(const Pen *p, Span at, Window w) {
    const char *s = at.src->text;
    int to = at.to < w.to ? at.to : w.to;
    if (w.cut_before)
        fputc(' ', p->to);
    for (int i = w.from; i < at.from && i < w.to; i = forward(at.src, i, w.to, 1))
        fputc(s[i] == '\t' ? '\t' : ' ', p->to);
    while (to > at.from && (s[to - 1] == ' ' || s[to - 1] == '\t'))
        to--;
    fprintf(p->to, "%s^", red(p));
    for (int n = characters(at.src, at.from, to); n > 1; n--)
        fputc('~', p->to);
    fprintf(p->to, "%s\n", end_paint(p));
}

static void show_line(const Pen *p, Span at, LinePlace where) {
    Window w = window_of(at, where);
    int margin = snprintf(NULL, 0, "%5d", where.line);
    fprintf(p->to, "%s%5d | %s%s", blue(p), where.line, end_paint(p), w.cut_before ? "…" : "");
    put_text(p, at.src->text + w.from, (size_t)(w.to - w.from));
    fprintf(p->to, "%s\n%s%*s | ", w.cut_after ? "…" : "", blue(p), margin, "");
    show_caret(p, at, w);
}

static void show_at(const Pen *p, Span at, const char *kind, const char *paint_kind,
                    const char *text) {
    LinePlace where = at.src ? line_place(at) : (LinePlace){0};
    if (at.src)
        fprintf(p->to, "%s:%d:%d: ", at.src->path, where.line, where.column);
    else
        fputs("mithrilc: ", p->to);
    fprintf(p->to, "%s%s:%s ", paint_kind, kind, end_paint(p));
    put_text(p, text, strlen(text));
    fputc('\n', p->to);
    if (at.src)
        show_line(p, at, where);
}

static void show_frames(const Pen *p, const Diag *d) {
    for (int i = 0; i < d->frame.n; i++) {
        if (d->left_out && i == FirstFrames)
            fprintf(p->to, "       … %d more applications\n", d->left_out);
        show_at(p, d->frame.at[i].at, "note", blue(p), d->frame.at[i].text);
    }
}

static void show_diag(const Pen *p, const Diag *d) {
    static const char *const word[] = {[Error] = "error", [Warning] = "warning", [Remark] = "note"};
    const char *color = d->severity == Error     ? red(p)
                        : d->severity == Warning ? yellow(p)
                                                 : blue(p);
    show_at(p, d->at, word[d->severity], color, d->text);
    for (int i = 0; i < d->note.n; i++)
        show_at(p, d->note.at[i].at, "note", blue(p), d->note.at[i].text);
    show_frames(p, d);
    for (int i = 0; i < d->help.n; i++) {
        fprintf(p->to, "       %shelp:%s ", blue(p), end_paint(p));
        put_text(p, d->help.at[i], strlen(d->help.at[i]));
        fputc('\n', p->to);
    }
}

/* ---- order, and what is left out */

static int file_rank(const Ctx *c, const Source *src) {
    if (!src)
        return -1;
    for (int i = 0; i < c->files.n; i++)
        if (!strcmp(c->files.at[i], src->path))
            return i;
    return INT_MAX; /* embedded */
}

static int by_place(const void *pa, const void *pb) {
    const Diag *a = *(Diag *const *)pa, *b = *(Diag *const *)pb;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->at.src != b->at.src)
        return strcmp(a->at.src->path, b->at.src->path);
    if (a->at.from != b->at.from)
        return a->at.from < b->at.from ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool inside(Span part, Span whole) {
    return part.src && part.src == whole.src && part.from >= whole.from && part.from < whole.to;
}

static const Span *body_of(const struct Diags *all, Span at) {
    for (int i = 0; i < all->body.n; i++)
        if (inside(at, all->body.at[i]))
            return &all->body.at[i];
    return NULL;
}

/* Rule 61: a body with errors gets no warnings. What comes after a slip is too often its echo. */
static bool beside_an_error(const struct Diags *all, const Diag *warning) {
    const Span *body = body_of(all, warning->at);
    for (int i = 0; body && i < all->diag.n; i++)
        if (all->diag.at[i]->severity == Error && inside(all->diag.at[i]->at, *body))
            return true;
    return false;
}

static bool is_left_out(const Ctx *c, const Diag *d) {
    if (d->severity == Remark)
        return c->errors > 0;
    return d->severity == Warning && beside_an_error(c->diags, d);
}

static void count_rest(const Pen *p, int n, const char *what) {
    if (n > 0)
        fprintf(p->to, "mithrilc: and %d more %s%s\n", n, what, n == 1 ? "" : "s");
}

void diag_print(Ctx *c, FILE *to) {
    struct Diags *all = c->diags;
    Pen p = {to, c->opt.color};
    int shown[] = {[Error] = 0, [Warning] = 0, [Remark] = 0};
    if (!all)
        return;
    for (int i = 0; i < all->diag.n; i++)
        all->diag.at[i]->rank = file_rank(c, all->diag.at[i]->at.src);
    if (all->diag.n)
        qsort(all->diag.at, (size_t)all->diag.n, sizeof *all->diag.at, by_place);
    for (int i = 0; i < all->diag.n; i++) {
        Diag *d = all->diag.at[i];
        if (is_left_out(c, d))
            continue;
        if (shown[d->severity]++ < MostShown)
            show_diag(&p, d);
    }
    c->warnings = shown[Warning];
    count_rest(&p, shown[Error] - MostShown, "error");
    count_rest(&p, shown[Warning] - MostShown, "warning");
}
