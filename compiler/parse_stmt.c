/* parse_stmt.c: statements and bodies; what to do after an error.
 *
 * The grammar's rule stands above each function. One slip shall be one error: after one, everything up to the end
 * of the statement is skipped, blocks in braces as a whole, and the statement is marked `broken`. */
#include "lex.h"

/* ---- recovery ------------------------------------------------------------------------------------- */

bool starts_item(TokenKind k)
{
    return k == TokUse || k == TokConfig || k == TokLet || k == TokModel || k == TokOpWord || k == TokExtern ||
           k == TokGradient || k == TokEg || k == TokTrain || k == TokExport;
}

static bool starts_item_only(TokenKind k)
{
    return starts_item(k) && k != TokLet && k != TokGradient && k != TokEg;
}

bool at_margin(Span at) { return at.from == 0 || at.src->text[at.from - 1] == '\n'; }

/* Brackets opened in what is broken are forgotten, so that newlines count again. */
void start_again(Parser *p, int open)
{
    if (p->lexer.open.n > open) p->lexer.open.n = open;
    p->t.kind = p->was;
}

void skip(Parser *p)
{
    p->t = lex(&p->lexer);
    p->was = p->t.kind;
}

/* Skips what is left of a broken statement, blocks in braces as a whole. */
void recover(Parser *p, int open)
{
    start_again(p, open);
    for (int depth = 0; !is(p, TokEnd); skip(p)) {
        if (starts_item(p->t.kind) && at_margin(p->t.at)) return;
        if (is(p, TokSep) && depth == 0) return;
        if (is(p, TokOpenBody)) depth++;
        if (is(p, TokCloseBody) && depth-- == 0) return;
    }
}

/* ---- pieces --------------------------------------------------------------------------------------- */

/* The separator after one of several: at the end of the list, nothing is needed. */
bool another(Parser *p, TokenKind close, const char *wanted)
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
Field parse_field(Parser *p)
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

/* params = "(" [ fields ] ")" ;   fields = field [ "," [ fields ] ] */
FieldList parse_params(Parser *p)
{
    Fields v = { 0 };
    Span open = p->t.at;
    expect(p, TokOpen, "and parameters");
    while (!is(p, TokClose) && !is(p, TokBroken)) {
        Field f = parse_field(p);
        if (f.name) push(p->c, &v, f);
        if (!accept(p, TokComma)) break;
    }
    if (!accept(p, TokClose) && !is(p, TokBroken)) {
        unexpected(p, "`,` or `)`");
        note_at(p->c, open, "to close this");
    }
    return (FieldList){ v.at, v.n, true };
}

/* ---- statements ----------------------------------------------------------------------------------- */

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
    s->body = parse_body(p);
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
    if (!is(p, TokIf)) { s->other = parse_body(p); return; }
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
Body parse_statements(Parser *p, Span open)
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
Body parse_body(Parser *p)
{
    Span open = p->t.at;
    bool in_train = p->in_train;
    p->in_train = false;
    Body b = { .span = open };
    if (expect(p, TokOpenBody, NULL)) b = parse_statements(p, open);
    p->in_train = in_train;
    return b;
}
