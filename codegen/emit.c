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
    indent(e, preprocessor ? 0 : e->depth - closes);
    text_add(e->c, &e->text, "%s\n", line);
    e->depth += balance;
    e->fresh = false;
}

/* Never two empty lines in a row. */
void emit_blank(Emit *e) {
    if (!e->fresh)
        text_add(e->c, &e->text, "\n");
    e->fresh = true;
}

enum { Width = 100 };

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
        text_add(e->c, &e->text, "%s%.*s%s\n", open, n, text, end ? " */" : "");
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
