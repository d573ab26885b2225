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

/* ---- lines that are too long. They are broken as clang-format leaves them (.clang-format): after `=`, or
 * before the operators of the whole right side that bind loosest; what follows stands two steps further in. */

static const char *const operators[][4] = {             // the loosest first
    { " || " }, { " && " }, { " == ", " != " }, { " < ", " <= ", " > ", " >= " }, { " + ", " - " }, { " * ", " / ", " % " },
};

/* The operator of that level at s, or 0; its length. */
static int operator_at(const char *s, int level) {
    for (int i = 0; i < 4 && operators[level][i]; i++)
        if (!strncmp(s, operators[level][i], strlen(operators[level][i])))
            return (int)strlen(operators[level][i]);
    return 0;
}

/* Offset of the next operator of a level that stands in no brackets, from `at` on; -1: none. */
static int next_operator(const char *line, int at, int level) {
    int open = 0;
    for (int i = 0; line[i]; i++) {
        open += (line[i] == '(' || line[i] == '[' || line[i] == '{') - (line[i] == ')' || line[i] == ']' || line[i] == '}');
        if (line[i] == '"')
            return -1;
        if (!open && i >= at && operator_at(line + i, level))
            return i;
    }
    return -1;
}

/* What stands before the right side of an assignment, `=` included; 0: it is none. */
static int left_side(const char *line) {
    int open = 0;
    for (int i = 0; line[i] && line[i] != '"'; i++) {
        open += (line[i] == '(' || line[i] == '[') - (line[i] == ')' || line[i] == ']');
        if (!open && (!strncmp(line + i, " = ", 3) || !strncmp(line + i, " += ", 4) || !strncmp(line + i, " *= ", 4)))
            return (int)(strchr(line + i, '=') - line) + 1;
    }
    return 0;
}

/* The pieces of `s`, as many to a line as fit; `used` columns of the first are taken. false: one is too long. */
static bool fill(Emit *e, const char *s, int used, int at, bool write) {
    int level = 0, levels = (int)(sizeof operators / sizeof *operators);
    while (level < levels && next_operator(s, 0, level) < 0)
        level++;
    if (level == levels)
        return false;
    int column = used;
    for (int from = 0, next; s[from]; from = next) {
        next = next_operator(s, from + 1, level);
        if (next < 0)
            next = (int)strlen(s);
        int n = next - from;
        if (from && column + n > Width) {               // the space before the operator becomes the line's end
            if (4 * at + n - 1 > Width)
                return false;
            if (write) {
                text_add(e->c, &e->text, "\n");
                indent(e, at);
            }
            from++, n--;
            column = 4 * at;
        } else if (column + n > Width) {
            return false;
        }
        if (write)
            text_add(e->c, &e->text, "%.*s", n, s + from);
        column += n;
    }
    if (write)
        text_add(e->c, &e->text, "\n");
    return true;
}

static bool put_broken(Emit *e, int depth, const char *line) {
    int left = left_side(line), at = depth + 2;
    const char *right = line + left + (left > 0);
    int length = (int)strlen(right);
    if (left && 4 * at + length <= Width && 4 * depth + left <= Width) {
        indent(e, depth);
        text_add(e->c, &e->text, "%.*s\n", left, line);
        indent(e, at);
        text_add(e->c, &e->text, "%s\n", right);
        return true;
    }
    bool after = !left || fill(e, right, 4 * depth + left + 1, at, false);
    if (!fill(e, right, after ? 4 * depth + (left ? left + 1 : 0) : 4 * at, at, false))
        return false;
    indent(e, depth);
    if (left)
        text_add(e->c, &e->text, after ? "%.*s " : "%.*s\n", left, line);
    if (left && !after)
        indent(e, at);
    return fill(e, right, after ? 4 * depth + (left ? left + 1 : 0) : 4 * at, at, true);
}

/* Where the arguments of x = f(a, b); begin, and where they end; false: it is no such line. */
static bool find_call(const char *line, int *from, int *end) {
    int left = left_side(line), i = left + (left > 0), open = 0;
    int word = (int)strspn(line + i, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    if (!word || line[i + word] != '(')
        return false;
    *from = i + word + 1;
    for (*end = *from - 1; line[*end]; ++*end) {
        open += (line[*end] == '(') - (line[*end] == ')');
        if (!open)
            return !strcmp(line + *end, ");");
    }
    return false;
}

/* x = f(a, b); as x = f( and the arguments below, each on a line of its own where one is too long. */
static bool put_call(Emit *e, int depth, const char *line) {
    int from, end, at = depth + 2, open = 0, column = 0, longest = 0;
    VEC(char *) arg = {0};
    if (!find_call(line, &from, &end) || 4 * depth + from > Width)
        return false;
    for (int i = from, start = from; i <= end; i++) {
        bool last = i == end;
        open += (line[i] == '(' || line[i] == '[') - (line[i] == ')' || line[i] == ']');
        if (!last && (open || line[i] != ','))
            continue;
        push(e->c, &arg, format(e->c, "%.*s", i - start + (last ? 2 : 1), line + start));
        start = i + 2;
    }
    for (int i = 0; i < arg.n; i++) {
        int n = (int)strlen(arg.at[i]);
        longest = n > longest ? n : longest;
        if (4 * at + n > Width && !fill(e, arg.at[i], 4 * at, at + 2, false))
            return false;
    }
    indent(e, depth);
    text_add(e->c, &e->text, "%.*s\n", from, line);
    for (int i = 0; i < arg.n; i++) {
        int n = (int)strlen(arg.at[i]);
        bool own = 4 * at + longest > Width || column == 0 || column + 1 + n > Width;
        if (own && i && column)
            text_add(e->c, &e->text, "\n");
        if (own)
            indent(e, at);
        column = own ? 4 * at + n : column + 1 + n;
        if (4 * at + n > Width) {
            fill(e, arg.at[i], 4 * at, at + 2, true);
            column = 0;
        } else {
            text_add(e->c, &e->text, own ? "%s" : " %s", arg.at[i]);
        }
    }
    if (column)
        text_add(e->c, &e->text, "\n");
    return true;
}

/* The last resort: at a space. */
static void put_anywhere(Emit *e, int depth, const char *line) {
    for (int at = depth;; at = depth + 2) {
        int n = (int)strlen(line), room = Width - 4 * at;
        for (int i = n > room ? room : 0; i > 0; i--)
            if (line[i] == ' ' && line[i + 1] && line[i + 1] != '=') {
                n = i;
                break;
            }
        indent(e, at);
        text_add(e->c, &e->text, "%.*s\n", n, line);
        if (!line[n])
            return;
        line += n + 1;
    }
}

/* One line, or several where it is too long. A remark at its end goes before it then. */
static void put_line(Emit *e, int depth, const char *line) {
    bool fits = 4 * depth + (int)strlen(line) <= Width || strchr(line, '\n') || strchr(line, '"') || *line == '#';
    const char *remark = strstr(line, " // ");
    if (!fits && remark) {
        put_line(e, depth, remark + 1);
        put_line(e, depth, format(e->c, "%.*s", (int)(remark - line), line));
    } else if (!fits && !strncmp(line, "// ", 3)) {
        int n = Width - 4 * depth;
        while (n > 3 && line[n] != ' ')
            n--;
        n = n > 3 ? n : Width - 4 * depth;
        indent(e, depth);
        text_add(e->c, &e->text, "%.*s\n", n, line);
        put_line(e, depth, format(e->c, "// %s", line + n + (line[n] == ' ')));
    } else if (!fits && (put_broken(e, depth, line) || put_call(e, depth, line))) {
        return;
    } else if (!fits) {
        put_anywhere(e, depth, line);
    } else {
        indent(e, depth);
        text_add(e->c, &e->text, "%s\n", line);
    }
}

void emit(Emit *e, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *line = format_list(e->c, fmt, ap);
    va_end(ap);

    int balance = brace_balance(line);
    int closes = line[0] == '}';
    bool preprocessor = line[0] == '#';
    put_line(e, preprocessor ? 0 : e->depth - closes, line);
    e->depth += balance;
    e->fresh = false;
}

/* head(item, item) tail, aligned after the bracket; where the head leaves no room, two steps in below it. */
void emit_list(Emit *e, const char *head, char *const *item, int n, const char *tail) {
    Text line = {0};
    int hang = (int)strlen(head), longest = 0, end = (int)strlen(tail), from = 4 * e->depth;
    for (int i = 0; i < n; i++)
        if ((int)strlen(item[i]) > longest)
            longest = (int)strlen(item[i]);
    bool below = n && (hang > 56 || from + hang + longest + end + 1 > Width);
    int all = hang + end;
    for (int i = 0; i < n; i++)
        all += (int)strlen(item[i]) + 2 * (i > 0);
    below = below && from + all > Width;
    int left = below ? 8 : hang, column = left;
    text_add(e->c, &line, "%s", head);
    if (below)
        text_add(e->c, &line, "\n%*s", from + left, "");
    for (int i = 0; i < n; i++) {
        int length = (int)strlen(item[i]), after = i + 1 < n ? 1 : end;
        if (i && from + column + 2 + length + after > Width) {
            text_add(e->c, &line, ",\n%*s", from + left, "");
            column = left;
        } else if (i) {
            text_add(e->c, &line, ", ");
            column += 2;
        }
        text_add(e->c, &line, "%s", item[i]);
        column += length;
    }
    emit(e, "%s%s", line.s, tail);
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

static bool marks_comment(const char *s) {
    return (s[0] == '*' && s[1] == '/') || (s[0] == '/' && s[1] == '*');
}

/* The spaces that a line begins with are kept; where it is too long it goes on four further in. */
void emit_comment(Emit *e, const char *text) {
    const char *open = "/* ";
    int most = Width - 4 * e->depth - 6, own = (int)strspn(text, " "), further = 0;
    while (*text) {
        int n = fitting(text, most - further);
        const char *rest = text + n;
        while (*rest == ' ')
            rest++;
        bool end = *rest == '\n' ? rest[1] == 0 : *rest == 0;
        indent(e, e->depth);
        text_add(e->c, &e->text, "%s%*s", open, further, "");
        for (int i = 0; i < n; i++)     // what stands in a comment does not end it
            text_add(e->c, &e->text, marks_comment(text + i) ? "%c " : "%c", text[i]);
        text_add(e->c, &e->text, "%s\n", end ? " */" : "");
        if (end)
            break;
        open = " * ";
        bool wrapped = *rest != '\n';
        text = rest + !wrapped;
        if (!wrapped)
            own = (int)strspn(text, " ");
        further = wrapped ? (own < 40 ? own : 40) + 4 : 0;
    }
    e->fresh = false;
}
