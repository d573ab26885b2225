/* diag.c: what the user is told.
 *
 * Diagnostics are kept until the end, each with its notes and help, and printed in order of files and
 * positions. Positions are bytes in a source; lines and columns (in characters) are counted only when
 * something is printed. */
#include "compiler.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct Note { Span at; const char *text; } Note;

typedef struct Diag {
    bool error;
    Span at;                            /* no source: about files and options */
    const char *text;
    VEC(Note) note, frame;              /* frame: the applications that led here, innermost first */
    VEC(const char *) help;
    int rank, order;                    /* of the file; of making */
} Diag;

struct Diags {
    VEC(Diag *) diag;
    VEC(Span) body;                     /* see diag_body */
    Map seen;                           /* text with position → itself: exact duplicates are dropped */
    Diag *last;                         /* what notes hang on; NULL after a duplicate */
};

enum { MostErrors = 50, MostFrames = 8 };

static struct Diags *diags(Ctx *c)
{
    if (!c->diags) c->diags = NEW(c, struct Diags);
    return c->diags;
}

static char *say(Ctx *c, const char *fmt, va_list args)
{
    assert(fmt);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *s = alloc(c, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, args);
    return s;
}

/* ---- making them ---------------------------------------------------------------------------------- */

static bool is_new(Ctx *c, const Diag *d)
{
    struct Diags *all = diags(c);
    Name key = name(c, "%s:%d:%d:%s", d->at.src ? d->at.src->path : "", d->at.from, d->at.to, d->text);
    if (map_get(&all->seen, key)) return false;
    map_put(c, &all->seen, key, (void *)key);
    return true;
}

/* Adds a note for each application above; all but the outermost few of a deep recursion are left out. */
static void add_frames(Ctx *c, Diag *d, const Frame *f)
{
    for (int n = 0; f && n < MostFrames; f = f->up, n++)
        push(c, &d->frame, ((Note){ f->at, format(c, "%s, used here", f->what) }));
}

/* Rule 42: the user is shown the user's own line; where in the library it went wrong is a note. */
static const Frame *leave_library(Ctx *c, Diag *d)
{
    const Frame *f = c->frame;
    if (!d->at.src || !d->at.src->library) return f;
    const Frame *user = f;
    while (user && (!user->at.src || user->at.src->library)) user = user->up;
    if (!user) return f;
    push(c, &d->note, ((Note){ d->at, format(c, "%s, on this line", f->what) }));
    d->at = user->at;
    return user->up;
}

static void add(Ctx *c, bool error, Span at, const char *text)
{
    struct Diags *all = diags(c);
    Diag *d = NEW(c, Diag);
    *d = (Diag){ .error = error, .at = at, .text = text, .order = all->diag.n };
    const Frame *above = leave_library(c, d);
    all->last = is_new(c, d) ? d : NULL;
    if (!all->last) return;
    if (at.src) add_frames(c, d, above);
    push(c, &all->diag, d);
    *(error ? &c->errors : &c->warnings) += 1;
}

void error_at(Ctx *c, Span at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(c, true, at, say(c, fmt, args));
    va_end(args);
}

void warning_at(Ctx *c, Span at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(c, false, at, say(c, fmt, args));
    va_end(args);
}

void error_plain(Ctx *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(c, true, (Span){ 0 }, say(c, fmt, args));
    va_end(args);
}

void note_at(Ctx *c, Span at, const char *fmt, ...)
{
    Diag *d = diags(c)->last;
    if (!d) return;
    va_list args;
    va_start(args, fmt);
    push(c, &d->note, ((Note){ at, say(c, fmt, args) }));
    va_end(args);
}

void help(Ctx *c, const char *fmt, ...)
{
    Diag *d = diags(c)->last;
    if (!d) return;
    va_list args;
    va_start(args, fmt);
    push(c, &d->help, say(c, fmt, args));
    va_end(args);
}

void diag_body(Ctx *c, Span body)
{
    push(c, &diags(c)->body, body);
}

_Noreturn void fail(Ctx *c)
{
    longjmp(c->stop, 1);
}

Span span_join(Span a, Span b)
{
    if (!a.src) return b;
    if (!b.src || a.src != b.src) return a;
    return (Span){ a.src, a.from < b.from ? a.from : b.from, a.to > b.to ? a.to : b.to };
}

/* ---- printing ------------------------------------------------------------------------------------- */

typedef struct Printer { FILE *to; bool color; } Printer;

static const char *paint(const Printer *p, const char *code) { return p->color ? code : ""; }
static const char *red(const Printer *p)    { return paint(p, "\033[1;31m"); }
static const char *yellow(const Printer *p) { return paint(p, "\033[1;33m"); }
static const char *blue(const Printer *p)   { return paint(p, "\033[1;34m"); }
static const char *plain(const Printer *p)  { return paint(p, "\033[0m"); }

/* Where a span begins: the line's number and bytes [begin, end), and the column in characters. */
typedef struct Place { int line, column; int begin, end; } Place;

static bool starts_character(char ch) { return ((unsigned char)ch & 0xC0) != 0x80; }

static Place place(Span at)
{
    const char *s = at.src->text;
    Place p = { 1, 1, 0, 0 };
    for (int i = 0; i < at.from; i++)
        if (s[i] == '\n') p.line++, p.begin = i + 1;
    for (int i = p.begin; i < at.from; i++) p.column += starts_character(s[i]);
    p.end = p.begin;
    while (p.end < (int)at.src->n && s[p.end] != '\n') p.end++;
    while (p.end > p.begin && s[p.end - 1] == '\r') p.end--;
    return p;
}

/* Of a very long line, only the part around the caret is shown. */
static void cut(const char *s, int caret, Place *p)
{
    enum { Long = 400, Before = 60, Shown = 160 };
    if (p->end - p->begin <= Long) return;
    if (caret - p->begin > Before) p->begin = caret - Before;
    while (p->begin < caret && !starts_character(s[p->begin])) p->begin++;
    if (p->end - p->begin > Shown) p->end = p->begin + Shown;
    while (p->end < caret || !starts_character(s[p->end])) p->end++;
}

/* A tab stays a tab on both lines, so that the caret stands below what it means. */
static void show_line(const Printer *p, Span at, Place where)
{
    const char *s = at.src->text;
    int number = where.line;
    cut(s, at.from, &where);
    fprintf(p->to, "%s%5d | %s", blue(p), number, plain(p));
    for (int i = where.begin; i < where.end; i++) {
        unsigned char ch = (unsigned char)s[i];
        fputc((ch < ' ' && ch != '\t') || ch == 127 ? '?' : ch, p->to);
    }
    fprintf(p->to, "\n%s%*s | ", blue(p), number > 99999 ? snprintf(NULL, 0, "%d", number) : 5, "");
    for (int i = where.begin; i < at.from && i < where.end; i++)
        if (starts_character(s[i])) fputc(s[i] == '\t' ? '\t' : ' ', p->to);
    fprintf(p->to, "%s^", red(p));
    int to = at.to < where.end ? at.to : where.end;
    while (to > at.from && (s[to - 1] == ' ' || s[to - 1] == '\t')) to--;
    for (int i = at.from + 1; i < to; i++)
        if (starts_character(s[i])) fputc('~', p->to);
    fprintf(p->to, "%s\n", plain(p));
}

static void show(const Printer *p, Span at, const char *kind, const char *paint_kind, const char *text)
{
    if (!at.src) {
        fprintf(p->to, "mithrilc: %s%s:%s %s\n", paint_kind, kind, plain(p), text);
        return;
    }
    Place where = place(at);
    fprintf(p->to, "%s:%d:%d: %s%s:%s %s\n", at.src->path, where.line, where.column, paint_kind, kind, plain(p), text);
    show_line(p, at, where);
}

static void show_diag(const Printer *p, const Diag *d)
{
    show(p, d->at, d->error ? "error" : "warning", d->error ? red(p) : yellow(p), d->text);
    for (int i = 0; i < d->note.n; i++) show(p, d->note.at[i].at, "note", blue(p), d->note.at[i].text);
    for (int i = 0; i < d->frame.n; i++) show(p, d->frame.at[i].at, "note", blue(p), d->frame.at[i].text);
    for (int i = 0; i < d->help.n; i++)
        fprintf(p->to, "       %shelp:%s %s\n", blue(p), plain(p), d->help.at[i]);
}

/* ---- order, and what is left out ------------------------------------------------------------------ */

static int file_rank(const Ctx *c, const Source *src)
{
    if (!src) return -1;
    for (int i = 0; i < c->files.n; i++)
        if (!strcmp(c->files.at[i], src->path)) return i;
    return INT_MAX;                     /* embedded */
}

static int compare(const void *pa, const void *pb)
{
    const Diag *a = *(Diag *const *)pa, *b = *(Diag *const *)pb;
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    if (a->at.src != b->at.src) return strcmp(a->at.src->path, b->at.src->path);
    if (a->at.from != b->at.from) return a->at.from < b->at.from ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool inside(Span part, Span whole)
{
    return part.src && part.src == whole.src && part.from >= whole.from && part.from < whole.to;
}

static const Span *body_of(const struct Diags *all, Span at)
{
    for (int i = 0; i < all->body.n; i++)
        if (inside(at, all->body.at[i])) return &all->body.at[i];
    return NULL;
}

/* Rule 61: a body with errors gets no warnings. What comes after a slip is too often its echo. */
static bool beside_an_error(const struct Diags *all, const Diag *warning)
{
    const Span *body = body_of(all, warning->at);
    for (int i = 0; body && i < all->diag.n; i++)
        if (all->diag.at[i]->error && inside(all->diag.at[i]->at, *body)) return true;
    return false;
}

static void count_rest(const Printer *p, int n, const char *what)
{
    if (n > 0) fprintf(p->to, "mithrilc: and %d more %s%s\n", n, what, n == 1 ? "" : "s");
}

void diag_print(Ctx *c, FILE *to)
{
    struct Diags *all = diags(c);
    Printer p = { to, c->opt.color };
    if (!all->diag.n) return;
    for (int i = 0; i < all->diag.n; i++) all->diag.at[i]->rank = file_rank(c, all->diag.at[i]->at.src);
    qsort(all->diag.at, (size_t)all->diag.n, sizeof *all->diag.at, compare);
    int errors = 0, warnings = 0;
    for (int i = 0; i < all->diag.n; i++) {
        Diag *d = all->diag.at[i];
        if (!d->error && beside_an_error(all, d)) {
            c->warnings--;
            continue;
        }
        int *count = d->error ? &errors : &warnings;
        if ((*count)++ < MostErrors) show_diag(&p, d);
    }
    count_rest(&p, errors - MostErrors, "error");
    count_rest(&p, warnings - MostErrors, "warning");
}
