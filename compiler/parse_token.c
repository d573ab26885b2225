/* parse_token.c: the parser's way through the tokens, and how it goes on after an error.
 *
 * One token of look-ahead. After an error the current token is TokBroken, which no rule takes, so
 * all rules end by themselves up to the statement, where `recover` looks for the next one. */
#include "lex.h"

/* ---- tokens */

bool token_is(const Parser *p, TokenKind k) {
    return p->t.kind == k;
}

void token_next(Parser *p) {
    if (token_is(p, TokBroken))
        return;
    p->before = p->t.at;
    p->t = lex(&p->lexer);
    p->was = p->t.kind;
}

void give_up(Parser *p) {
    if (!token_is(p, TokBroken))
        p->was = p->t.kind;
    p->t.kind = TokBroken;
}

bool token_take(Parser *p, TokenKind k) {
    bool yes = token_is(p, k);
    if (yes)
        token_next(p);
    return yes;
}

Span since(const Parser *p, int from) {
    Span at = {p->t.at.src, from, p->before.to};
    if (at.to < from)
        at.to = from;
    return at;
}

static const char *found(const Parser *p) {
    Ctx *c = p->c;
    Span at = p->t.at;
    if (token_is(p, TokEnd))
        return "the end of the file";
    if (token_is(p, TokSep))
        return at.src->text[at.from] == ';' ? "`;`" : "the end of the line";
    return format(c, "`%s`", source_text(c, at));
}

void unexpected(Parser *p, const char *wanted) {
    if (!token_is(p, TokBroken) && !p->too_deep)
        error_at(p->c, p->t.at, "found %s, wanted %s", found(p), wanted);
    give_up(p);
}

bool token_expect(Parser *p, TokenKind k, const char *where) {
    if (token_take(p, k))
        return true;
    unexpected(p, format(p->c, "`%s`%s%s", token_text(k), where ? " " : "", where ? where : ""));
    return false;
}

/* A bracket that is not closed: the place where it was opened says more than the place of the
 * surprise. */
void expect_close(Parser *p, TokenKind k, Span open) {
    if (token_take(p, k) || token_is(p, TokBroken))
        return;
    bool told = p->too_deep;
    unexpected(p, format(p->c, "`,` or `%s`", token_text(k)));
    if (!told)
        note_at(p->c, open, "to close this");
}

Name expect_name(Parser *p, const char *what) {
    Name n = p->t.name;
    if (token_is_name(p->t.kind)) {
        token_next(p);
        return n;
    }
    bool word = p->t.kind >= TokUse;
    unexpected(p, what);
    if (word)
        help(p->c, "`%s` is a word of the language, and no name", n);
    return NULL;
}

/* One such error a file: what comes after it is its echo. */
void too_deep(Parser *p, const char *what) {
    if (!token_is(p, TokBroken) && !p->too_deep)
        error_at(p->c, p->t.at, "%s", what);
    p->too_deep = true;
    give_up(p);
}

bool enter(Parser *p) {
    if (p->depth++ < MostNested)
        return true;
    too_deep(p, format(p->c, "nested more than %d deep", MostNested));
    return false;
}

void leave(Parser *p) {
    p->depth--;
}

/* ---- recovery */

bool starts_item(TokenKind k) {
    return k == TokUse || k == TokConfig || k == TokLet || k == TokModel || k == TokOpWord ||
           k == TokExtern || k == TokGradient || k == TokEg || k == TokTrain || k == TokExport;
}

bool starts_item_only(TokenKind k) {
    return starts_item(k) && k != TokLet && k != TokGradient && k != TokEg;
}

bool at_margin(Span at) {
    return at.from == 0 || at.src->text[at.from - 1] == '\n';
}

/* Brackets opened in what is broken are forgotten, so that newlines count again. */
void start_again(Parser *p, int open) {
    if (p->lexer.open.n > open)
        p->lexer.open.n = open;
    p->t.kind = p->was;
}

void token_skip(Parser *p) {
    p->t = lex(&p->lexer);
    p->was = p->t.kind;
}

/* Skips what is left of a broken statement, blocks in braces as a whole. */
void recover(Parser *p, int open) {
    start_again(p, open);
    for (int depth = 0; !token_is(p, TokEnd); token_skip(p)) {
        if (starts_item(p->t.kind) && at_margin(p->t.at))
            return;
        if (token_is(p, TokSep) && depth == 0)
            return;
        if (token_is(p, TokOpenBody))
            depth++;
        if (token_is(p, TokCloseBody) && depth-- == 0)
            return;
    }
}

/* The separator after one of several: at the end of the list, nothing is needed. */
bool another(Parser *p, TokenKind close, const char *wanted) {
    if (token_is(p, TokBroken) || token_is(p, close) || token_is(p, TokEnd))
        return false;
    if (token_is(p, TokSep)) {
        token_next(p);
        return !token_is(p, close) && !token_is(p, TokEnd);
    }
    unexpected(p, wanted);
    return false;
}
