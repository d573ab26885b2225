/* parse.c: files, declarations and statements; what to do after an error.
 *
 * The grammar's rule stands above each function; parse_expr.c has the rest. One slip shall be one error: after one, everything up to the end
 * of the statement is skipped, blocks in braces as a whole, and the statement is marked `broken`. */
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

/* ---- recovery ------------------------------------------------------------------------------------- */

static bool starts_item(TokenKind k)
{
    return k == TokUse || k == TokConfig || k == TokLet || k == TokModel || k == TokOpWord || k == TokExtern ||
           k == TokGradient || k == TokEg || k == TokTrain || k == TokExport;
}

static bool starts_item_only(TokenKind k)
{
    return starts_item(k) && k != TokLet && k != TokGradient && k != TokEg;
}

static bool at_margin(Span at) { return at.from == 0 || at.src->text[at.from - 1] == '\n'; }

/* Brackets opened in what is broken are forgotten, so that newlines count again. */
static void start_again(Parser *p, int open)
{
    if (p->lexer.open.n > open) p->lexer.open.n = open;
    p->t.kind = p->was;
}

static void skip(Parser *p)
{
    p->t = lex(&p->lexer);
    p->was = p->t.kind;
}

/* Skips what is left of a broken statement, blocks in braces as a whole. */
static void recover(Parser *p, int open)
{
    start_again(p, open);
    for (int depth = 0; !is(p, TokEnd); skip(p)) {
        if (starts_item(p->t.kind) && at_margin(p->t.at)) return;
        if (is(p, TokSep) && depth == 0) return;
        if (is(p, TokOpenBody)) depth++;
        if (is(p, TokCloseBody) && depth-- == 0) return;
    }
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

/* ---- pieces --------------------------------------------------------------------------------------- */

/* The separator after one of several: at the end of the list, nothing is needed. */
static bool another(Parser *p, TokenKind close, const char *wanted)
{
    if (is(p, TokBroken) || is(p, close) || is(p, TokEnd)) return false;
    if (is(p, TokSep)) {
        next(p);
        return !is(p, close) && !is(p, TokEnd);
    }
    unexpected(p, wanted);
    return false;
}

/* field = NAME [ "[" [ dims ] "]" [ "else" expr ] ] [ ":" type ] [ "=" expr ] */
static Field field(Parser *p)
{
    Field f = { .at = p->t.at, .doc = p->t.doc };
    f.name = expect_name(p, "a name");
    if (is(p, TokOpenList)) {
        f.dims = parse_dims(p);
        if (accept(p, TokElse)) f.outside = parse_expression(p);
    }
    if (accept(p, TokColon)) f.type = parse_type(p);
    if (accept(p, TokAssign)) f.init = parse_expression(p);
    return f;
}

typedef VEC(Field) Fields;

/* params = "(" [ fields ] ")" ;   fields = field [ "," [ fields ] ] */
static FieldList params(Parser *p)
{
    Fields v = { 0 };
    Span open = p->t.at;
    expect(p, TokOpen, "and parameters");
    while (!is(p, TokClose) && !is(p, TokBroken)) {
        Field f = field(p);
        if (f.name) push(p->c, &v, f);
        if (!accept(p, TokComma)) break;
    }
    if (!accept(p, TokClose) && !is(p, TokBroken)) {
        unexpected(p, "`,` or `)`");
        note_at(p->c, open, "to close this");
    }
    return (FieldList){ v.at, v.n, true };
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
            Field f = field(p);
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

/* ---- statements ----------------------------------------------------------------------------------- */

static Body body(Parser *p);

static void stmt_name(Parser *p, Stmt *s, const char *what)
{
    s->name_at = p->t.at;
    s->name = expect_name(p, what);
}

/* [ "as" path ] */
static void as_path(Parser *p, Stmt *s)
{
    if (!accept(p, TokAs)) return;
    s->named = true;
    s->path = parse_path(p);
    if (s->e) as_then_operator(p, s->e);
}

/* in = "in" NAME [ ":" type ] [ "=" expr ] */
static void stmt_in(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name for the input");
    if (accept(p, TokColon)) s->type = parse_type(p);
    if (accept(p, TokAssign)) s->e = parse_expression(p);
}

/* out = "out" NAME [ ":" type ] */
static void stmt_out(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name for the output");
    if (accept(p, TokColon)) s->type = parse_type(p);
}

/* param = "param" NAME ":" type [ "=" expr ] [ "frozen" ] [ "as" path ] */
static void stmt_param(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name for the parameter");
    if (expect(p, TokColon, "and a type")) s->type = parse_type(p);
    if (accept(p, TokAssign)) s->e = parse_expression(p);
    s->frozen = accept(p, TokFrozen);
    as_path(p, s);
}

/* state = "state" NAME ":" type [ "=" expr ] [ "as" path ] */
static void stmt_state(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name for the state");
    if (expect(p, TokColon, "and a type")) s->type = parse_type(p);
    if (accept(p, TokAssign)) s->e = parse_expression(p);
    as_path(p, s);
}

/* block = "block" NAME [ "[" NAME "in" iter "]" ] "=" expr [ "as" path ] */
static void stmt_block(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name for the block");
    if (accept(p, TokOpenList)) {
        s->name2 = expect_name(p, "a name that counts the members");
        expect(p, TokIn, "and a range");
        parse_iter(p, &s->lo, &s->hi);
        expect(p, TokCloseList, NULL);
    }
    s->op_at = p->t.at;
    if (expect(p, TokAssign, NULL)) s->e = parse_expression(p);
    as_path(p, s);
}

/* let = "let" NAME [ ":" type ] "=" expr */
static void stmt_let(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name");
    if (accept(p, TokColon)) s->type = parse_type(p);
    if (expect(p, TokAssign, NULL)) s->e = parse_expression(p);
}

/* require = "require" expr [ "," STRING ] */
static void stmt_require(Parser *p, Stmt *s)
{
    s->e = parse_expression(p);
    if (!accept(p, TokComma)) return;
    if (is(p, TokString)) s->message = parse_string(p);
    else unexpected(p, "a message in quotes");
}

static Ref ref_name(Parser *p)
{
    Ref r = { .at = p->t.at };
    r.e = NEW(p->c, Expr);
    *r.e = (Expr){ .kind = EName, .at = r.at, .height = 1 };
    r.e->name = expect_name(p, "a name");
    if (!r.e->name) r.e->name = intern(p->c, "_", 1);
    return r;
}

typedef VEC(Ref) Refs;

/* chain = ( "|=" | "+=" ) postfix [ "as" path ] [ "->" NAME { "," NAME } ] */
static void stmt_chain(Parser *p, Stmt *s)
{
    Refs v = { 0 };
    s->e = parse_postfix(p);
    as_path(p, s);
    if (accept(p, TokArrow))
        do {
            Ref r = ref_name(p);
            push(p->c, &v, r);
        } while (accept(p, TokComma));
    s->left = v.at;
    s->nleft = v.n;
}

/* What people of other languages write where `=` should be. */
static void no_assignment(Parser *p, const Stmt *s)
{
    TokenKind found = p->t.kind;
    char *left = source_text(p->c, s->left[0].at);
    unexpected(p, "`=` or `<-`");
    if (found == TokContinue) help(p->c, "`+=` continues a chain; a sum is written `%s = %s + …`", left, left);
    if (found == TokOpen) help(p->c, "what a call gives needs a name: `y = %s(…)`", left);
}

/* assign = left { "," left } ( "=" named | "<-" expr ) ;   left = ref [ ":" type ] */
static void stmt_assign(Parser *p, Stmt *s)
{
    Refs v = { 0 };
    do {
        Ref r = { .at = p->t.at };
        r.e = parse_ref(p);
        if (accept(p, TokColon)) r.type = parse_type(p);
        r.at = since(p, r.at.from);
        push(p->c, &v, r);
    } while (accept(p, TokComma));
    s->left = v.at;
    s->nleft = v.n;
    s->op_at = p->t.at;
    s->start = is(p, TokWrite);
    if (accept(p, TokWrite)) s->e = parse_expression(p);
    else if (accept(p, TokAssign)) s->e = parse_expression(p), as_path(p, s);
    else if (!is(p, TokBroken)) no_assignment(p, s);
}

static Body body_of_one(Parser *p, Stmt *s)
{
    Body b = { .n = 1, .span = s->at, .given = true };
    b.at = NEWN(p->c, Stmt *, 1);
    b.at[0] = s;
    return b;
}

static Stmt *stmt_start(Parser *p, StmtKind k)
{
    Stmt *s = NEW(p->c, Stmt);
    s->kind = k;
    s->at = p->t.at;
    s->doc = p->t.doc;
    return s;
}

static void to_brace(Parser *p, Stmt *s)
{
    s->at = since(p, s->at.from);
    s->body = body(p);
}

/* if = "if" expr body [ "else" ( if | body ) ] */
static void stmt_if(Parser *p, Stmt *s)
{
    s->e = parse_expression(p);
    if (is(p, TokAssign)) {
        unexpected(p, "`{`");
        help(p->c, "`==` compares");
    }
    to_brace(p, s);
    if (!accept(p, TokElse)) return;
    if (!is(p, TokIf)) { s->other = body(p); return; }
    Stmt *other = stmt_start(p, SIf);
    next(p);
    if (enter(p)) stmt_if(p, other);
    leave(p);
    s->other = body_of_one(p, other);
}

/* for = "for" NAME [ "," NAME ] "in" iter body ;   iter = expr [ ".." expr ] */
static void stmt_for(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name that counts the turns");
    if (accept(p, TokComma)) s->name2 = expect_name(p, "a second name");
    expect(p, TokIn, "and a range or list");
    parse_iter(p, &s->lo, &s->hi);
    to_brace(p, s);
}

/* scan = "scan" NAME "in" iter body */
static void stmt_scan(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name that counts the turns");
    expect(p, TokIn, "and a range");
    parse_iter(p, &s->lo, &s->hi);
    to_brace(p, s);
}

/* while = "while" expr body */
static void stmt_while(Parser *p, Stmt *s)
{
    s->e = parse_expression(p);
    to_brace(p, s);
}

/* yield = "yield" expr "->" NAME [ "along" expr ] */
static void stmt_yield(Parser *p, Stmt *s)
{
    s->e = parse_expression(p);
    if (expect(p, TokArrow, "and the name of what is stacked")) stmt_name(p, s, "a name");
    if (accept(p, TokAlong)) s->along = parse_expression(p);
}

/* return = "return" expr { "," expr } */
static void stmt_return(Parser *p, Stmt *s)
{
    VEC(Expr *) v = { 0 };
    do {
        Expr *e = parse_expression(p);
        push(p->c, &v, e);
    } while (accept(p, TokComma));
    s->value = v.at;
    s->nvalue = v.n;
}

/* metric = "metric" NAME "=" expr */
static void stmt_metric(Parser *p, Stmt *s)
{
    stmt_name(p, s, "a name for the metric");
    if (expect(p, TokAssign, NULL)) s->e = parse_expression(p);
}

/* group = "over" target { "," target } "with" postfix ;   target = ref [ ( "only" | "except" ) expr ] */
static Group group(Parser *p)
{
    Refs targets = { 0 };
    VEC(Expr *) globs = { 0 };
    VEC(int) hows = { 0 };
    Group g = { .at = p->t.at };
    expect(p, TokOver, "and what is trained");
    do {
        Ref r = { .at = p->t.at };
        r.e = parse_ref(p);
        r.at = since(p, r.at.from);
        int how = is(p, TokOnly) ? Only : is(p, TokExcept) ? Except : Whole;
        Expr *glob = accept(p, TokOnly) || accept(p, TokExcept) ? parse_expression(p) : NULL;
        push(p->c, &targets, r);
        push(p->c, &hows, how);
        push(p->c, &globs, glob);
    } while (accept(p, TokComma));
    if (expect(p, TokWith, "and an optimiser")) g.with = parse_postfix(p);
    g.at = since(p, g.at.from);
    g.target = targets.at;
    g.glob = globs.at;
    g.n = targets.n;
    g.how = alloc(p->c, sizeof *g.how * (size_t)g.n);
    for (int i = 0; i < g.n; i++) g.how[i] = hows.at[i];
    return g;
}

typedef VEC(Group) Groups;

/* mitem = group | NAME "=" expr */
static void minimize_item(Parser *p, Groups *groups, Fields *settings)
{
    if (is(p, TokOver)) {
        Group g = group(p);
        push(p->c, groups, g);
        return;
    }
    Field f = { .at = p->t.at };
    f.name = expect_name(p, "`over`, or a setting");
    if (expect(p, TokAssign, NULL)) f.init = parse_expression(p);
    if (f.name) push(p->c, settings, f);
}

/* minimize = "minimize" expr ( group | "{" mitem { SEP mitem } "}" ) */
static void stmt_minimize(Parser *p, Stmt *s)
{
    Groups groups = { 0 };
    Fields settings = { 0 };
    s->e = parse_expression(p);
    if (accept(p, TokOpenBody)) {
        do {
            int brackets = p->lexer.open.n;
            minimize_item(p, &groups, &settings);
            if (is(p, TokBroken)) recover(p, brackets);
        } while (another(p, TokCloseBody, "a new line, `;` or `}`"));
        expect(p, TokCloseBody, NULL);
    } else {
        Group g = group(p);
        push(p->c, &groups, g);
    }
    s->group = groups.at;
    s->ngroup = groups.n;
    s->setting = settings.at;
    s->nsetting = settings.n;
}

/* stmt = in | out | param | state | block | let | require | chain | assign | if | for | scan | while | yield | return
 * tstmt = stmt | metric | minimize */
static const struct { TokenKind first; StmtKind kind; void (*parse)(Parser *, Stmt *); bool train; } statements[] = {
    { TokIn,       SIn,       stmt_in,       false },  { TokOut,      SOut,      stmt_out,      false },
    { TokParam,    SParam,    stmt_param,    false },  { TokState,    SState,    stmt_state,    false },
    { TokBlock,    SBlock,    stmt_block,    false },  { TokLet,      SLet,      stmt_let,      false },
    { TokRequire,  SRequire,  stmt_require,  false },  { TokBegin,    SChain,    stmt_chain,    false },
    { TokContinue, SChain,    stmt_chain,    false },  { TokIf,       SIf,       stmt_if,       false },
    { TokFor,      SFor,      stmt_for,      false },  { TokScan,     SScan,     stmt_scan,     false },
    { TokWhile,    SWhile,    stmt_while,    false },  { TokYield,    SYield,    stmt_yield,    false },
    { TokReturn,   SReturn,   stmt_return,   false },  { TokMetric,   SMetric,   stmt_metric,   true  },
    { TokMinimize, SMinimize, stmt_minimize, true  },
};

static void statement_of(Parser *p, Stmt *s)
{
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!is(p, statements[i].first) || (statements[i].train && !p->in_train)) continue;
        s->kind = statements[i].kind;
        s->op_at = p->t.at;
        s->start = is(p, TokBegin);
        next(p);
        statements[i].parse(p, s);
        return;
    }
    s->kind = SAssign;
    if (token_is_name(p->t.kind)) stmt_assign(p, s);
    else if (is(p, TokMetric) || is(p, TokMinimize)) unexpected(p, "a statement: this one stands in `train` only");
    else unexpected(p, "a statement");
}

static Stmt *statement(Parser *p)
{
    Stmt *s = stmt_start(p, SAssign);
    int brackets = p->lexer.open.n - is(p, TokOpen) - is(p, TokOpenList) - is(p, TokOpenBody);
    if (enter(p)) statement_of(p, s);
    leave(p);
    if (s->kind < SIf || s->kind > SWhile) s->at = since(p, s->at.from);
    s->broken = is(p, TokBroken);
    if (s->broken) recover(p, brackets);
    return s;
}

/* { stmt { SEP stmt } }, up to the brace */
static Body statements_in(Parser *p, Span open)
{
    VEC(Stmt *) v = { 0 };
    Body b = { .span = open, .given = true };
    bool in_train = p->in_train;
    while (!is(p, TokCloseBody) && !is(p, TokEnd) && !is(p, TokBroken)) {
        if (starts_item_only(p->t.kind) && at_margin(p->t.at)) break;
        Stmt *s = statement(p);
        push(p->c, &v, s);
        p->in_train = in_train;
        if (is(p, TokSep)) { next(p); continue; }
        if (is(p, TokCloseBody) || is(p, TokEnd) || at_margin(p->t.at)) continue;
        int brackets = p->lexer.open.n - is(p, TokOpen) - is(p, TokOpenList) - is(p, TokOpenBody);
        unexpected(p, "the end of the statement");
        s->broken = true;
        recover(p, brackets);
        if (is(p, TokSep)) next(p);
    }
    b.at = v.at;
    b.n = v.n;
    if (!accept(p, TokCloseBody) && !is(p, TokBroken)) {
        unexpected(p, "`}`");
        note_at(p->c, open, "to close this");
    }
    b.span = since(p, open.from);
    return b;
}

/* body = "{" [ stmt { SEP stmt } ] "}" */
static Body body(Parser *p)
{
    Span open = p->t.at;
    bool in_train = p->in_train;
    p->in_train = false;
    Body b = { .span = open };
    if (expect(p, TokOpenBody, NULL)) b = statements_in(p, open);
    p->in_train = in_train;
    return b;
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
    if (is(p, TokOpen)) it->params = params(p);
    head_ends(p, it);
    it->body = body(p);
}

/* result = "[" [ dims ] "]" [ ":" type ] | params */
static void result(Parser *p, Item *it)
{
    it->arrow = true;
    if (is(p, TokOpenList)) {
        it->result_dims = parse_dims(p);
        if (accept(p, TokColon)) it->result_type = parse_type(p);
    } else if (is(p, TokOpen)) it->result = params(p);
    else unexpected(p, "`[` or `(` and the result");
}

/* op = "op" NAME params [ "->" result ] ( "=" expr | body ) ;   gradient: the same */
static void item_op(Parser *p, Item *it)
{
    item_name(p, it, "a name for the op");
    it->params = params(p);
    if (accept(p, TokArrow)) result(p, it);
    head_ends(p, it);
    if (accept(p, TokAssign)) it->e = parse_expression(p);
    else if (is(p, TokOpenBody)) it->body = body(p);
    else unexpected(p, "`=` or `{` and the meaning of the op");
}

/* extern = "extern" "op" NAME params "->" result "{" [ field { SEP field } ] "}" */
static void item_extern(Parser *p, Item *it)
{
    expect(p, TokOpWord, "after `extern`");
    item_name(p, it, "a name for the op");
    it->params = params(p);
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
    if (is(p, TokOpen)) it->params = params(p);
    head_ends(p, it);
    Span open = p->t.at;
    p->in_train = true;
    if (expect(p, TokOpenBody, NULL)) it->body = statements_in(p, open);
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
    if (is(p, TokOpenBody)) e.body = body(p);
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
