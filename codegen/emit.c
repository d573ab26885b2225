/* emit.c: text of any C-like language, a line at a time.
 *
 * The emitting line looks like the emitted line; indentation is the writer's: it counts the braces
 * that a line opens and closes, as one would by eye. */
#include "codegen.h"

#include <stdarg.h>
#include <string.h>

static void indent(Emit *e, int depth) {
    for (int i = 0; i < depth; i++)
        text_add(e->c, &e->text, "    ");
}

/* How the braces of a line move the depth; those in literals and remarks do not count. */
static int brace_balance(const char *line) {
    int balance = 0;
    char quote = 0;
    for (const char *p = line; *p; p++) {
        if (quote) {
            if (*p == '\\' && p[1])
                p++;
            else if (*p == quote)
                quote = 0;
        } else if (*p == '"' || *p == '\'') {
            quote = *p;
        } else if (p[0] == '/' && (p[1] == '*' || p[1] == '/')) {
            break;
        } else if (*p == '{') {
            balance++;
        } else if (*p == '}') {
            balance--;
        }
    }
    return balance;
}

enum { Width = 100 };

/* How willingly a line is broken before (or after, for a comma) the operator at s: 0 not at all; else the
 * fewer brackets are open and the looser the operator binds, the more. */
static int break_worth(const char *s, int open) {
    static const struct { const char *text; int worth; } at[] = {
        { ", ", 9 }, { " = ", 8 }, { " += ", 8 }, { " ? ", 7 }, { " : ", 7 }, { " || ", 6 },
        { " && ", 5 }, { " + ", 3 }, { " - ", 3 }, { " * ", 2 }, { " / ", 2 },
    };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        if (!strncmp(s, at[i].text, strlen(at[i].text)))
            return 10 * at[i].worth - 7 * open + 1000;
    return 0;
}

/* Where to break `line`, so that what stands before fits `room`: an offset at a space, or 0. */
static int break_line(const char *line, int room) {
    int best = 0, most = 0, open = 0;
    for (int i = 0; line[i] && i < room; i++) {
        if (line[i] == '"' || (line[i] == '/' && line[i + 1] == '/'))
            break;
        open += (line[i] == '(' || line[i] == '[') - (line[i] == ')' || line[i] == ']');
        int worth = break_worth(line + i, open) + i / 4;        // later is better
        int at = i + (line[i] == ',');
        if (worth > most && worth >= 1000 - 100 && at > room / 4 && at <= room) {
            most = worth;
            best = at;
        }
    }
    return best;
}

/* One line, or several where it is too long; those that follow stand two steps further in. */
static void put_line(Emit *e, int depth, const char *line) {
    bool first = true;
    for (;;) {
        int at = depth + (first ? 0 : 2), room = Width - 4 * at;
        bool fits = (int)strlen(line) <= room || strchr(line, '\n') || *line == '#' || *line == '/';
        int n = fits ? 0 : break_line(line, room);
        indent(e, at);
        if (!n) {
            text_add(e->c, &e->text, "%s\n", line);
            return;
        }
        text_add(e->c, &e->text, "%.*s\n", n, line);
        line += n + (line[n] == ' ');
        first = false;
    }
}

void emit(Emit *e, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *line = alloc(e->c, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(line, (size_t)n + 1, fmt, ap);
    va_end(ap);

    int balance = brace_balance(line);
    int closes = line[0] == '}';
    bool preprocessor = line[0] == '#';
    put_line(e, preprocessor ? 0 : e->depth - closes, line);
    e->depth += balance;
    e->fresh = false;
}

/* Never two empty lines in a row. */
void emit_blank(Emit *e) {
    if (!e->fresh)
        text_add(e->c, &e->text, "\n");
    e->fresh = true;
}

/* Where to break `text` so that it fits `room`: at the last space, or after room characters. */
static int fitting(const char *text, int room) {
    int n = (int)strcspn(text, "\n");
    if (n <= room)
        return n;
    for (int i = room; i > room / 3; i--)
        if (text[i] == ' ')
            return i;
    return room;
}

void emit_comment(Emit *e, const char *text) {
    const char *open = "/* ";
    int room = Width - 4 * e->depth - 6;
    while (*text) {
        int n = fitting(text, room);
        const char *rest = text + n;
        while (*rest == ' ')
            rest++;
        bool end = *rest == '\n' ? rest[1] == 0 : *rest == 0;
        indent(e, e->depth);
        text_add(e->c, &e->text, "%s", open);
        for (int i = 0; i < n; i++)     // what stands in a comment does not end it
            text_add(e->c, &e->text, text[i] == '*' && text[i + 1] == '/' ? "* " : "%c", text[i]);
        text_add(e->c, &e->text, "%s\n", end ? " */" : "");
        if (end)
            break;
        open = " * ";
        bool wrapped = *rest != '\n';
        text = rest + !wrapped;
        if (wrapped) {          // a wrapped line goes on two columns in
            open = " *     ";
            room = Width - 4 * e->depth - 10;
        } else {
            room = Width - 4 * e->depth - 6;
        }
    }
    e->fresh = false;
}
