/* lex.c: text becomes tokens, one at a time.
 *
 * Text rules 1, 2 and 4 of LANGUAGE.md live here: which newline ends a statement, which word is a
 * name, what a number and a string are. The lexer keeps the open brackets, because in ( ) and [ ]
 * no newline counts, and reads one token ahead, because before some tokens none does. */
#include "lex.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *text; int flags; } tokens[TokenKinds] = {
#define X(kind, text, flags) [Tok##kind] = { text, flags },
    PUNCTUATION(X)
    WORDS(X)
#undef X
};

const char *token_text(TokenKind k) {
    return tokens[k].text;
}
bool token_is_name(TokenKind k) {
    return k == TokName || tokens[k].flags & AlsoName;
}

/* ---- is it text? */

bool lex_text_ok(Ctx *c, const Source *src) {
    enum { Largest = 1 << 28 };
    if (src->n > Largest) {
        error_plain(c, "%s is too large: a source has at most %d MiB", src->path, Largest >> 20);
        return false;
    }
    for (size_t i = 0; i < src->n;) {
        int n = character_bytes((const unsigned char *)src->text + i, src->n - i);
        if (!n || !src->text[i]) {
            error_at(c, (Span){src, (int)i, (int)i + 1}, "this is no text: byte 0x%02x %s",
                     (unsigned char)src->text[i], n ? "stands for nothing" : "is not UTF-8");
            return false;
        }
        i += (size_t)n;
    }
    return true;
}

/* ---- pieces */

static char char_at(const Lexer *l, int ahead) {
    return l->pos + ahead < l->end ? l->src->text[l->pos + ahead] : 0;
}

static Span from_here(const Lexer *l, int from) {
    return (Span){l->src, from, l->pos};
}
static bool is_word(char ch) {
    return isalnum((unsigned char)ch) || ch == '_';
}
static bool is_digit(char ch) {
    return ch >= '0' && ch <= '9';
}

static Token token_new(const Lexer *l, TokenKind k, int from) {
    return (Token){.kind = k, .at = from_here(l, from)};
}

/* `##` lines are kept for the token after them; a blank between the words stays as it is. */
static void lex_comment(Lexer *l) {
    bool doc = char_at(l, 1) == '#' && char_at(l, 2) != '#';
    l->pos += doc ? 2 : 1;
    while (doc && char_at(l, 0) == ' ')
        l->pos++;
    int from = l->pos;
    while (l->pos < l->end && char_at(l, 0) != '\n')
        l->pos++;
    int to = l->pos;
    while (to > from && isspace((unsigned char)l->src->text[to - 1]))
        to--;
    if (doc)
        text_add(l->c, &l->doc, "%s%.*s", l->doc.n ? "\n" : "", to - from, l->src->text + from);
}

/* ---- numbers */

static void lex_digits(Lexer *l, char *buffer, int cap, int *n, bool hex) {
    for (; hex ? isxdigit((unsigned char)char_at(l, 0)) || char_at(l, 0) == '_'
               : is_digit(char_at(l, 0)) || char_at(l, 0) == '_';
         l->pos++)
        if (char_at(l, 0) != '_' && *n < cap - 1)
            buffer[(*n)++] = char_at(l, 0);
    buffer[*n] = 0;
}

static Token lex_integer(Lexer *l, int from, const char *text, int base) {
    Token t = token_new(l, TokInt, from);
    errno = 0;
    char *end;
    long long value = strtoll(text, &end, base);
    if (end == text || *end)
        error_at(l->c, t.at, "`0x` without digits");
    else if (errno)
        error_at(l->c, t.at, "this integer does not fit into 64 bits");
    else
        t.whole = value;
    return t;
}

static Token lex_float(Lexer *l, int from, const char *text) {
    Token t = token_new(l, TokFloat, from);
    t.number = strtod(text, NULL);
    if (t.number > DBL_MAX) {
        error_at(l->c, t.at, "this number does not fit into 64 bits");
        t.number = 0;
    }
    return t;
}

/* 12   1_000   0xFF   1.5   2e-3; `0..9` is a range, so a point needs a digit behind it */
static Token lex_number(Lexer *l) {
    enum { Longest = 1024 };
    char text[Longest];
    int from = l->pos, n = 0;
    bool real = false, hex = char_at(l, 0) == '0' && char_at(l, 1) == 'x';
    if (hex)
        l->pos += 2;
    lex_digits(l, text, Longest, &n, hex);
    if (!hex && char_at(l, 0) == '.' && is_digit(char_at(l, 1))) {
        real = true;
        if (n < Longest - 1)
            text[n++] = '.';
        l->pos++;
        lex_digits(l, text, Longest, &n, false);
    }
    int sign = char_at(l, 1) == '+' || char_at(l, 1) == '-';
    if (!hex && (char_at(l, 0) == 'e' || char_at(l, 0) == 'E') && is_digit(char_at(l, 1 + sign))) {
        real = true;
        for (int i = 0; i <= sign; i++, l->pos++)
            if (n < Longest - 1)
                text[n++] = char_at(l, 0);
        while (is_digit(char_at(l, 0))) {
            if (n < Longest - 1)
                text[n++] = char_at(l, 0);
            l->pos++;
        }
        text[n] = 0;
    }
    if (n >= Longest - 1) {
        error_at(l->c, from_here(l, from), "this number is too long");
        return token_new(l, TokBroken, from);
    }
    if (!is_word(char_at(l, 0)))
        return real ? lex_float(l, from, text) : lex_integer(l, from, text, hex ? 16 : 10);
    while (is_word(char_at(l, 0)))
        l->pos++;
    error_at(l->c, from_here(l, from), "a number runs into a name");
    return token_new(l, TokBroken, from);
}

/* ---- strings */

static void add_code(Ctx *c, Text *t, unsigned code) {
    if (code < 0x80)
        text_add(c, t, "%c", (int)code);
    else if (code < 0x800)
        text_add(c, t, "%c%c", (int)(0xC0 | code >> 6), (int)(0x80 | (code & 0x3F)));
    else if (code < 0x10000)
        text_add(c, t, "%c%c%c", (int)(0xE0 | code >> 12), (int)(0x80 | (code >> 6 & 0x3F)),
                 (int)(0x80 | (code & 0x3F)));
    else
        text_add(c, t, "%c%c%c%c", (int)(0xF0 | code >> 18), (int)(0x80 | (code >> 12 & 0x3F)),
                 (int)(0x80 | (code >> 6 & 0x3F)), (int)(0x80 | (code & 0x3F)));
}

/* \u{1F600}: pos is at the `{` */
static bool unicode(Lexer *l, Text *t) {
    unsigned code = 0;
    int from = l->pos, n = 0;
    if (char_at(l, 0) != '{')
        return false;
    for (l->pos++; isxdigit((unsigned char)char_at(l, 0)) && n < 7; l->pos++, n++) {
        char ch = char_at(l, 0);
        code = code * 16 + (unsigned)(is_digit(ch) ? ch - '0' : (ch | 0x20) - 'a' + 10);
    }
    bool good = n > 0 && char_at(l, 0) == '}' && code > 0 && code <= 0x10FFFF &&
                (code < 0xD800 || code > 0xDFFF);
    if (good)
        l->pos++, add_code(l->c, t, code);
    else
        l->pos = from;
    return good;
}

static void escape(Lexer *l, Text *t) {
    static const char from[] = "\\\"nt", to[] = "\\\"\n\t";
    int at = l->pos;
    char ch = char_at(l, 1);
    const char *known = ch ? strchr(from, ch) : NULL;
    l->pos += 2;
    if (known)
        text_add(l->c, t, "%c", to[known - from]);
    else if (ch != 'u' || !unicode(l, t))
        error_at(l->c, from_here(l, at),
                 "a string knows `\\\\`, `\\\"`, `\\n`, `\\t` and `\\u{…}` only");
}

/* "one line"; `{e}` is kept for the parser */
static Token lex_string(Lexer *l) {
    int from = l->pos++;
    Text t = {0};
    text_add(l->c, &t, "");
    for (;;) {
        char ch = char_at(l, 0);
        if (l->pos >= l->end || ch == '\n') {
            error_at(l->c, (Span){l->src, from, from + 1}, "this string has no end on its line");
            return token_new(l, TokBroken, from);
        }
        if (ch == '"')
            break;
        if (ch == '\\' && char_at(l, 1) && char_at(l, 1) != '\n') {
            escape(l, &t);
            continue;
        }
        text_add(l->c, &t, "%c", ch);
        l->pos++;
    }
    l->pos++;
    Token k = token_new(l, TokString, from);
    k.name = intern(l->c, t.s, t.n);
    return k;
}

/* ---- words and punctuation */

static TokenKind keyword(const char *s, int n) {
    for (int k = TokUse; k < TokenKinds; k++)
        if (!strncmp(tokens[k].text, s, (size_t)n) && !tokens[k].text[n])
            return (TokenKind)k;
    return TokName;
}

/* Rule 2: after `.` and `as` every word is a name. */
static Token lex_word(Lexer *l) {
    int from = l->pos;
    while (is_word(char_at(l, 0)))
        l->pos++;
    const char *s = l->src->text + from;
    Token t = token_new(l, TokName, from);
    t.name = intern(l->c, s, (size_t)(l->pos - from));
    if (l->last != TokDot && l->last != TokAs)
        t.kind = keyword(s, l->pos - from);
    return t;
}

static void follow_brackets(Lexer *l, TokenKind k) {
    if (k == TokOpen || k == TokOpenList || k == TokOpenBody)
        push(l->c, &l->open, tokens[k].text[0]);
    if (k == TokCloseBody) {
        while (l->open.n && l->open.at[l->open.n - 1] != '{')
            l->open.n--;
        l->open.n -= l->open.n > 0;
    }
    char wanted = k == TokClose ? '(' : k == TokCloseList ? '[' : 0;
    if (wanted && l->open.n && l->open.at[l->open.n - 1] == wanted)
        l->open.n--;
}

/* What other languages write, and what this one does. */
static void suggest_word(Ctx *c, const char *s) {
    static const struct { const char *wrong, *right; } slip[] = {
        { "&&", "`and`" },
        { "||", "`or`" },
        { "!",  "`not x`, or `!=`" },
        { "^",  "`a ** b` is a power" },
        { "'",  "a string stands in double quotes" },
        { "$",  "in a string, `{e}` is a value" },
        { "\\", "a line ends after an operator, and goes on" },
    };
    for (size_t i = 0; i < sizeof slip / sizeof *slip; i++)
        if (!strncmp(s, slip[i].wrong, strlen(slip[i].wrong))) {
            help(c, "%s", slip[i].right);
            return;
        }
}

static Token lex_punctuation(Lexer *l) {
    int from = l->pos;
    const char *s = l->src->text + from;
    for (int k = TokDots; k < TokUse; k++) {
        int n = (int)strlen(tokens[k].text);
        if (n > l->end - from || strncmp(s, tokens[k].text, (size_t)n))
            continue;
        l->pos += n;
        follow_brackets(l, (TokenKind)k);
        return token_new(l, (TokenKind)k, from);
    }
    int n = character_bytes((const unsigned char *)s, (size_t)(l->end - from));
    l->pos += n ? n : 1;
    error_at(l->c, from_here(l, from), "unexpected character `%.*s`", l->pos - from, s);
    suggest_word(l->c, s);
    return token_new(l, TokBroken, from);
}

/* ---- rule 1: which newlines count */

static bool in_brackets(const Lexer *l) {
    return l->open.n && l->open.at[l->open.n - 1] != '{';
}

/* A token with separators wherever one may stand: not in brackets, not after what opens. */
static Token raw(Lexer *l) {
    while (l->pos < l->end) {
        char ch = char_at(l, 0);
        int from = l->pos;
        if (ch == ' ' || ch == '\t' || ch == '\r')
            l->pos++;
        else if (ch == '#')
            lex_comment(l);
        else if (ch == '\n' || (ch == ';' && !in_brackets(l))) {
            l->pos++;
            bool counts = !in_brackets(l) && l->last != TokEnd && l->last != TokSep &&
                          !(tokens[l->last].flags & Opens);
            if (counts)
                return token_new(l, TokSep, from);
        } else if (ch == '"')
            return lex_string(l);
        else if (is_digit(ch))
            return lex_number(l);
        else if (is_word(ch))
            return lex_word(l);
        else
            return lex_punctuation(l);
    }
    return token_new(l, TokEnd, l->pos);
}

static Token raw_with_doc(Lexer *l) {
    Token t = raw(l);
    l->last = t.kind;
    if (t.kind != TokSep) {
        t.doc = l->doc.n ? l->doc.s : NULL;
        l->doc = (Text){0};
    }
    return t;
}

/* A newline before what leads ends nothing; a written `;` does, but before `}` and the end. */
static bool drops(const Lexer *l, Token sep, TokenKind next) {
    if (next == TokEnd || next == TokCloseBody)
        return true;
    return (tokens[next].flags & Leads) && l->src->text[sep.at.from] != ';';
}

Lexer lex_start(Ctx *c, const Source *src, int from, int to) {
    if (from == 0 && src->n >= 3 && !memcmp(src->text, "\xEF\xBB\xBF", 3))
        from = 3;
    return (Lexer){.c = c, .src = src, .pos = from, .end = to, .last = TokEnd};
}

Token lex(Lexer *l) {
    if (l->has_next) {
        l->has_next = false;
        return l->next;
    }
    Token t = raw_with_doc(l);
    if (t.kind != TokSep)
        return t;
    Token next = raw_with_doc(l);
    if (drops(l, t, next.kind))
        return next;
    l->next = next;
    l->has_next = true;
    return t;
}
