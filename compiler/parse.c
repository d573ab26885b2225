/* parse.c: files and declarations. Statements are in parse_stmt.c, expressions and types in
 * parse_expr.c.
 *
 * The grammar's rule stands above each function. After an error in a declaration, the next is
 * looked for. */
#include "lex.h"

#include <string.h>

/* ---- source text */

/* Line breaks, indentation and comments become one blank. */
char *source_text(Ctx *c, Span at) {
    enum { Shown = 200 };
    Text t = {0};
    text_add(c, &t, "");
    if (!at.src)
        return t.s;
    const char *s = at.src->text;
    bool blank = false, quoted = false;
    for (int i = at.from; i < at.to && t.n < Shown; i++) {
        if (s[i] == '#' && !quoted)
            while (i < at.to && s[i] != '\n')
                i++;
        if (i >= at.to)
            break;
        if (s[i] == '"' && (i == at.from || s[i - 1] != '\\'))
            quoted = !quoted;
        bool skip = !quoted && strchr(" \t\r\n", s[i]);
        if (!skip)
            text_add(c, &t, "%s%c", blank && t.n ? " " : "", s[i]);
        blank = skip;
    }
    return t.s;
}

/* Skips to the next declaration: its word at the margin, or after the braces and at the beginning
 * of a line. */
static void next_item(Parser *p) {
    start_again(p, 0);
    bool fresh = false;
    for (int depth = 0; !token_is(p, TokEnd); token_skip(p)) {
        if (starts_item(p->t.kind) && (at_margin(p->t.at) || (fresh && depth == 0)))
            return;
        fresh = token_is(p, TokSep);
        if (token_is(p, TokOpenBody))
            depth++;
        if (token_is(p, TokCloseBody) && depth > 0)
            depth--;
    }
}

/* "{" [ field { SEP field } ] "}" */
static void fields_in_braces(Parser *p, Item *it) {
    FieldVec v = {0};
    Span open = p->t.at;
    if (!token_expect(p, TokOpenBody, NULL))
        return;
    if (!token_is(p, TokCloseBody))
        do {
            int brackets = p->lexer.open.n;
            Field f = parse_field(p);
            if (f.name)
                push(p->c, &v, f);
            if (token_is(p, TokBroken))
                recover(p, brackets);
        } while (another(p, TokCloseBody, "a new line, `;` or `}`"));
    if (token_is(p, TokBroken))
        recover(p, p->lexer.open.n);
    if (!token_take(p, TokCloseBody)) {
        unexpected(p, "`}`");
        note_at(p->c, open, "to close this");
    }
    it->field = v.at;
    it->nfield = v.n;
    it->vague = p->c->errors > p->errors;
}

/* ---- declarations */

static void item_name(Parser *p, Item *it, const char *what) {
    it->name_at = p->t.at;
    it->name = expect_name(p, what);
}

static void head_ends(Parser *p, Item *it) {
    it->vague = p->c->errors > p->errors;
    it->at = since(p, it->at.from);
}

/* use = "use" ( NAME | STRING ) [ "as" NAME ] [ ":" NAME { "," NAME } ] */
static void item_use(Parser *p, Item *it) {
    VEC(Name) names = {0};
    VEC(Span) spans = {0};
    it->name_at = p->t.at;
    if (token_is(p, TokString))
        it->path = parse_string(p);
    else
        it->module = expect_name(p, "a module, or a file in quotes");
    if (token_take(p, TokAs))
        item_name(p, it, "a name");
    if (token_take(p, TokColon))
        do {
            Span at = p->t.at;
            Name n = expect_name(p, "a name");
            if (!n)
                break;
            push(p->c, &names, n);
            push(p->c, &spans, at);
        } while (token_take(p, TokComma));
    it->select = names.at;
    it->select_at = spans.at;
    it->nselect = names.n;
    head_ends(p, it);
}

/* config = "config" NAME "{" [ field { SEP field } ] "}" */
static void item_config(Parser *p, Item *it) {
    item_name(p, it, "a name for the config");
    head_ends(p, it);
    fields_in_braces(p, it);
}

/* let = "let" NAME [ ":" type ] "=" expr */
static void item_let(Parser *p, Item *it) {
    item_name(p, it, "a name");
    if (token_take(p, TokColon))
        it->type = parse_type(p);
    if (token_expect(p, TokAssign, NULL))
        it->e = parse_expression(p);
    head_ends(p, it);
}

/* model = "model" NAME [ params ] body */
static void item_model(Parser *p, Item *it) {
    item_name(p, it, "a name for the model");
    if (token_is(p, TokOpen))
        it->params = parse_params(p);
    head_ends(p, it);
    it->body = parse_body(p);
}

/* result = "[" [ dims ] "]" [ ":" type ] | params */
static void parse_result(Parser *p, Item *it) {
    it->arrow = true;
    if (token_is(p, TokOpenList)) {
        it->result_dims = parse_dims(p);
        if (token_take(p, TokColon))
            it->result_type = parse_type(p);
    } else if (token_is(p, TokOpen))
        it->result = parse_params(p);
    else
        unexpected(p, "`[` or `(` and the result");
}

/* op = "op" NAME params [ "->" result ] ( "=" expr | body ) ;   gradient: the same */
static void item_op(Parser *p, Item *it) {
    item_name(p, it, "a name for the op");
    it->params = parse_params(p);
    if (token_take(p, TokArrow))
        parse_result(p, it);
    head_ends(p, it);
    if (token_take(p, TokAssign))
        it->e = parse_expression(p);
    else if (token_is(p, TokOpenBody))
        it->body = parse_body(p);
    else
        unexpected(p, "`=` or `{` and the meaning of the op");
}

/* extern = "extern" "op" NAME params "->" result "{" [ field { SEP field } ] "}" */
static void item_extern(Parser *p, Item *it) {
    token_expect(p, TokOpWord, "after `extern`");
    item_name(p, it, "a name for the op");
    it->params = parse_params(p);
    if (token_expect(p, TokArrow, "and the result"))
        parse_result(p, it);
    head_ends(p, it);
    fields_in_braces(p, it);
}

/* eg = "eg" expr */
static void item_eg(Parser *p, Item *it) {
    it->e = parse_expression(p);
    head_ends(p, it);
}

/* train = "train" NAME [ params ] "{" [ tstmt { SEP tstmt } ] "}" */
static void item_train(Parser *p, Item *it) {
    item_name(p, it, "a name for the training");
    if (token_is(p, TokOpen))
        it->params = parse_params(p);
    head_ends(p, it);
    Span open = p->t.at;
    p->in_train = true;
    if (token_expect(p, TokOpenBody, NULL))
        it->body = parse_statements(p, open);
    p->in_train = false;
}

/* bound = NAME "=" expr [ ".." expr ] */
static Bound parse_bound(Parser *p) {
    Bound b = {.at = p->t.at};
    b.name = expect_name(p, "a dimension or an input");
    if (token_expect(p, TokAssign, NULL))
        parse_iter(p, &b.lo, &b.hi);
    b.at = since(p, b.at.from);
    return b;
}

/* entry = "entry" NAME [ ":" bound { "," bound } ] [ body ] */
static EntryItem parse_entry(Parser *p) {
    VEC(Bound) bounds = {0};
    EntryItem e = {0};
    token_expect(p, TokEntry, NULL);
    e.at = p->t.at;
    e.name = expect_name(p, "a name for the entry");
    if (token_take(p, TokColon))
        do {
            Bound b = parse_bound(p);
            if (b.name)
                push(p->c, &bounds, b);
        } while (token_take(p, TokComma));
    if (token_is(p, TokOpenBody))
        e.body = parse_body(p);
    e.bound = bounds.at;
    e.nbound = bounds.n;
    return e;
}

/* export = "export" postfix [ "as" NAME ] [ "{" [ entry { SEP entry } ] "}" ] */
static void item_export(Parser *p, Item *it) {
    VEC(EntryItem) v = {0};
    it->e = parse_postfix(p);
    if (token_take(p, TokAs))
        item_name(p, it, "a name");
    head_ends(p, it);
    if (!token_take(p, TokOpenBody))
        return;
    if (!token_is(p, TokCloseBody))
        do {
            int brackets = p->lexer.open.n;
            EntryItem e = parse_entry(p);
            if (e.name)
                push(p->c, &v, e);
            if (token_is(p, TokBroken))
                recover(p, brackets);
        } while (another(p, TokCloseBody, "a new line, `;` or `}`"));
    token_expect(p, TokCloseBody, NULL);
    it->entry = v.at;
    it->nentry = v.n;
}

/* item = use | config | let | model | op | extern | gradient | eg | train | export */
static const struct { TokenKind first; ItemKind kind; void (*parse)(Parser *, Item *); } items[] = {
    { TokUse,      IUse,      item_use    }, { TokConfig, IConfig, item_config },
    { TokLet,      ILet,      item_let    }, { TokModel,  IModel,  item_model  },
    { TokOpWord,   IOp,       item_op     }, { TokExtern, IExtern, item_extern },
    { TokGradient, IGradient, item_op     }, { TokEg,     IEg,     item_eg     },
    { TokTrain,    ITrain,    item_train  }, { TokExport, IExport, item_export },
};

static Item *parse_item(Parser *p) {
    Item *it = NEW(p->c, Item);
    it->at = p->t.at;
    it->doc = p->t.doc;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        if (!token_is(p, items[i].first))
            continue;
        it->kind = items[i].kind;
        token_next(p);
        p->errors = p->c->errors;
        items[i].parse(p, it);
        for (int k = 0; k < it->body.n; k++)
            it->vague |= it->body.at[k]->broken && it->body.at[k]->kind == SIn;
        it->line = since(p, it->at.from);
        return it;
    }
    Token t = p->t;
    unexpected(p, "a declaration");
    if (t.kind == TokCloseBody)
        help(p->c, "there is nothing for it to close");
    else if (token_is_name(t.kind) || (t.kind >= TokUse && t.kind <= TokReturn))
        help(p->c, "statements stand in the braces of a model");
    return NULL;
}

/* ---- files */

/* [ "mth" INT SEP ] */
static int parse_version(Parser *p) {
    if (!token_take(p, TokMth))
        return 1;
    Token t = p->t;
    if (!token_take(p, TokInt)) {
        unexpected(p, "the language's version, `mth 1`");
        return 1;
    }
    if (t.whole != 1)
        error_at(p->c, t.at, "this compiler reads version 1 of the language");
    if (!token_is(p, TokEnd)) {
        if (token_is(p, TokSep))
            token_next(p);
        else
            unexpected(p, "a new line");
    }
    return (int)t.whole;
}

/* file = [ "mth" INT SEP ] [ item { SEP item } ] EOF */
SyntaxFile *parse(Ctx *c, const Source *src) {
    SyntaxFile *f = NEW(c, SyntaxFile);
    VEC(Item *) v = {0};
    f->src = src;
    if (!lex_text_ok(c, src))
        return f;
    Parser p = {.c = c, .lexer = lex_start(c, src, 0, (int)src->n)};
    p.t = lex(&p.lexer);
    f->version = parse_version(&p);
    if (token_is(&p, TokBroken))
        next_item(&p);
    while (!token_is(&p, TokEnd)) {
        Item *it = parse_item(&p);
        if (it)
            push(c, &v, it);
        if (!token_is(&p, TokEnd) && !token_is(&p, TokSep)) {
            f->broken = true;
            unexpected(&p, "the end of the declaration");
            next_item(&p);
        }
        token_take(&p, TokSep);
    }
    f->item = v.at;
    f->n = v.n;
    return f;
}
