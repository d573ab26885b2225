/* parse.c: files and declarations. Statements are in parse_stmt.c, expressions and types in parse_expr.c.
 *
 * The grammar's rule stands above each function. After an error in a declaration, the next is looked for. */
#include "lex.h"

#include <string.h>

/* ---- source text ---------------------------------------------------------------------------------- */

/* Line breaks, indentation and comments become one blank. */
char *source_text(Ctx *c, Span at)
{
    enum { Shown = 200 };
    Text t = { 0 };
    text_add(c, &t, "");
    if (!at.src) return t.s;
    const char *s = at.src->text;
    bool blank = false, quoted = false;
    for (int i = at.from; i < at.to && t.n < Shown; i++) {
        if (s[i] == '#' && !quoted) while (i < at.to && s[i] != '\n') i++;
        if (i >= at.to) break;
        if (s[i] == '"' && (i == at.from || s[i - 1] != '\\')) quoted = !quoted;
        bool skip = !quoted && strchr(" \t\r\n", s[i]);
        if (!skip) text_add(c, &t, "%s%c", blank && t.n ? " " : "", s[i]);
        blank = skip;
    }
    return t.s;
}

/* Skips to the next declaration: its word at the margin, or after the braces and at the beginning of a line. */
static void next_item(Parser *p)
{
    start_again(p, 0);
    bool fresh = false;
    for (int depth = 0; !is(p, TokEnd); skip(p)) {
        if (starts_item(p->t.kind) && (at_margin(p->t.at) || (fresh && depth == 0))) return;
        fresh = is(p, TokSep);
        if (is(p, TokOpenBody)) depth++;
        if (is(p, TokCloseBody) && depth > 0) depth--;
    }
}

/* "{" [ field { SEP field } ] "}" */
static void fields_in_braces(Parser *p, Item *it)
{
    Fields v = { 0 };
    Span open = p->t.at;
    if (!expect(p, TokOpenBody, NULL)) return;
    if (!is(p, TokCloseBody))
        do {
            int brackets = p->lexer.open.n;
            Field f = parse_field(p);
            if (f.name) push(p->c, &v, f);
            if (is(p, TokBroken)) recover(p, brackets);
        } while (another(p, TokCloseBody, "a new line, `;` or `}`"));
    if (is(p, TokBroken)) recover(p, p->lexer.open.n);
    if (!accept(p, TokCloseBody)) {
        unexpected(p, "`}`");
        note_at(p->c, open, "to close this");
    }
    it->field = v.at;
    it->nfield = v.n;
}

/* ---- declarations --------------------------------------------------------------------------------- */

static void item_name(Parser *p, Item *it, const char *what)
{
    it->name_at = p->t.at;
    it->name = expect_name(p, what);
}

static void head_ends(Parser *p, Item *it) { it->at = since(p, it->at.from); }

/* use = "use" ( NAME | STRING ) [ "as" NAME ] [ ":" NAME { "," NAME } ] */
static void item_use(Parser *p, Item *it)
{
    VEC(Name) names = { 0 };
    VEC(Span) spans = { 0 };
    it->name_at = p->t.at;
    if (is(p, TokString)) it->path = parse_string(p);
    else it->module = expect_name(p, "a module, or a file in quotes");
    if (accept(p, TokAs)) item_name(p, it, "a name");
    if (accept(p, TokColon))
        do {
            Span at = p->t.at;
            Name n = expect_name(p, "a name");
            if (!n) break;
            push(p->c, &names, n);
            push(p->c, &spans, at);
        } while (accept(p, TokComma));
    it->select = names.at;
    it->select_at = spans.at;
    it->nselect = names.n;
    head_ends(p, it);
}

/* config = "config" NAME "{" [ field { SEP field } ] "}" */
static void item_config(Parser *p, Item *it)
{
    item_name(p, it, "a name for the config");
    head_ends(p, it);
    fields_in_braces(p, it);
}

/* let = "let" NAME [ ":" type ] "=" expr */
static void item_let(Parser *p, Item *it)
{
    item_name(p, it, "a name");
    if (accept(p, TokColon)) it->type = parse_type(p);
    if (expect(p, TokAssign, NULL)) it->e = parse_expression(p);
    head_ends(p, it);
}

/* model = "model" NAME [ params ] body */
static void item_model(Parser *p, Item *it)
{
    item_name(p, it, "a name for the model");
    if (is(p, TokOpen)) it->params = parse_params(p);
    head_ends(p, it);
    it->body = parse_body(p);
}

/* result = "[" [ dims ] "]" [ ":" type ] | params */
static void result(Parser *p, Item *it)
{
    it->arrow = true;
    if (is(p, TokOpenList)) {
        it->result_dims = parse_dims(p);
        if (accept(p, TokColon)) it->result_type = parse_type(p);
    } else if (is(p, TokOpen)) it->result = parse_params(p);
    else unexpected(p, "`[` or `(` and the result");
}

/* op = "op" NAME params [ "->" result ] ( "=" expr | body ) ;   gradient: the same */
static void item_op(Parser *p, Item *it)
{
    item_name(p, it, "a name for the op");
    it->params = parse_params(p);
    if (accept(p, TokArrow)) result(p, it);
    head_ends(p, it);
    if (accept(p, TokAssign)) it->e = parse_expression(p);
    else if (is(p, TokOpenBody)) it->body = parse_body(p);
    else unexpected(p, "`=` or `{` and the meaning of the op");
}

/* extern = "extern" "op" NAME params "->" result "{" [ field { SEP field } ] "}" */
static void item_extern(Parser *p, Item *it)
{
    expect(p, TokOpWord, "after `extern`");
    item_name(p, it, "a name for the op");
    it->params = parse_params(p);
    if (expect(p, TokArrow, "and the result")) result(p, it);
    head_ends(p, it);
    fields_in_braces(p, it);
}

/* eg = "eg" expr */
static void item_eg(Parser *p, Item *it)
{
    it->e = parse_expression(p);
    head_ends(p, it);
}

/* train = "train" NAME [ params ] "{" [ tstmt { SEP tstmt } ] "}" */
static void item_train(Parser *p, Item *it)
{
    item_name(p, it, "a name for the training");
    if (is(p, TokOpen)) it->params = parse_params(p);
    head_ends(p, it);
    Span open = p->t.at;
    p->in_train = true;
    if (expect(p, TokOpenBody, NULL)) it->body = parse_statements(p, open);
    p->in_train = false;
}

/* bound = NAME "=" expr [ ".." expr ] */
static Bound bound(Parser *p)
{
    Bound b = { .at = p->t.at };
    b.name = expect_name(p, "a dimension or an input");
    if (expect(p, TokAssign, NULL)) parse_iter(p, &b.lo, &b.hi);
    b.at = since(p, b.at.from);
    return b;
}

/* entry = "entry" NAME [ ":" bound { "," bound } ] [ body ] */
static EntryItem entry(Parser *p)
{
    VEC(Bound) bounds = { 0 };
    EntryItem e = { 0 };
    expect(p, TokEntry, NULL);
    e.at = p->t.at;
    e.name = expect_name(p, "a name for the entry");
    if (accept(p, TokColon))
        do {
            Bound b = bound(p);
            if (b.name) push(p->c, &bounds, b);
        } while (accept(p, TokComma));
    if (is(p, TokOpenBody)) e.body = parse_body(p);
    e.bound = bounds.at;
    e.nbound = bounds.n;
    return e;
}

/* export = "export" postfix [ "as" NAME ] [ "{" [ entry { SEP entry } ] "}" ] */
static void item_export(Parser *p, Item *it)
{
    VEC(EntryItem) v = { 0 };
    it->e = parse_postfix(p);
    if (accept(p, TokAs)) item_name(p, it, "a name");
    head_ends(p, it);
    if (!accept(p, TokOpenBody)) return;
    if (!is(p, TokCloseBody))
        do {
            int brackets = p->lexer.open.n;
            EntryItem e = entry(p);
            if (e.name) push(p->c, &v, e);
            if (is(p, TokBroken)) recover(p, brackets);
        } while (another(p, TokCloseBody, "a new line, `;` or `}`"));
    expect(p, TokCloseBody, NULL);
    it->entry = v.at;
    it->nentry = v.n;
}

/* item = use | config | let | model | op | extern | gradient | eg | train | export */
static const struct { TokenKind first; ItemKind kind; void (*parse)(Parser *, Item *); } items[] = {
    { TokUse,    IUse,    item_use    }, { TokConfig,   IConfig,   item_config }, { TokLet,   ILet,   item_let   },
    { TokModel,  IModel,  item_model  }, { TokOpWord,   IOp,       item_op     }, { TokExtern, IExtern, item_extern },
    { TokGradient, IGradient, item_op }, { TokEg,       IEg,       item_eg     }, { TokTrain, ITrain, item_train },
    { TokExport, IExport, item_export },
};

static Item *item(Parser *p)
{
    Item *it = NEW(p->c, Item);
    it->at = p->t.at;
    it->doc = p->t.doc;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        if (!is(p, items[i].first)) continue;
        it->kind = items[i].kind;
        next(p);
        items[i].parse(p, it);
        it->line = since(p, it->at.from);
        return it;
    }
    Token t = p->t;
    unexpected(p, "a declaration");
    if (t.kind == TokCloseBody) help(p->c, "there is nothing for it to close");
    else if (token_is_name(t.kind) || (t.kind >= TokUse && t.kind <= TokReturn)) help(p->c, "statements stand in the braces of a model");
    return NULL;
}

/* ---- files ---------------------------------------------------------------------------------------- */

/* [ "mth" INT SEP ] */
static int version(Parser *p)
{
    if (!accept(p, TokMth)) return 1;
    Token t = p->t;
    if (!accept(p, TokInt)) { unexpected(p, "the language's version, `mth 1`"); return 1; }
    if (t.whole != 1) error_at(p->c, t.at, "this compiler reads version 1 of the language");
    if (!is(p, TokEnd)) { if (is(p, TokSep)) next(p); else unexpected(p, "a new line"); }
    return (int)t.whole;
}

/* file = [ "mth" INT SEP ] [ item { SEP item } ] EOF */
SyntaxFile *parse(Ctx *c, const Source *src)
{
    SyntaxFile *f = NEW(c, SyntaxFile);
    VEC(Item *) v = { 0 };
    f->src = src;
    if (!lex_text_ok(c, src)) return f;
    Parser p = { .c = c, .lexer = lex_start(c, src, 0, (int)src->n) };
    p.t = lex(&p.lexer);
    f->version = version(&p);
    if (is(&p, TokBroken)) next_item(&p);
    while (!is(&p, TokEnd)) {
        Item *it = item(&p);
        if (it) push(c, &v, it);
        if (!is(&p, TokEnd) && !is(&p, TokSep)) {
            f->broken = true;
            unexpected(&p, "the end of the declaration");
            next_item(&p);
        }
        accept(&p, TokSep);
    }
    f->item = v.at;
    f->n = v.n;
    return f;
}
