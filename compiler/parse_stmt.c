/* parse_stmt.c: statements and bodies.
 *
 * The grammar's rule stands above each function. One slip shall be one error: after one, everything
 * up to the end of the statement is skipped, blocks in braces as a whole, and the statement is
 * `broken`. */
#include "lex.h"

/* ---- statements */

static void stmt_name(Parser *p, Stmt *s, const char *what) {
    s->name_at = p->t.at;
    s->name = expect_name(p, what);
}

/* [ "as" path ] */
static void as_path(Parser *p, Stmt *s) {
    if (!token_take(p, TokAs))
        return;
    s->named = true;
    s->path = parse_path(p);
    if (s->e)
        as_then_operator(p, s->e);
}

/* in = "in" NAME [ ":" type ] [ "=" expr ] */
static void parse_in(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name for the input");
    if (token_take(p, TokColon))
        s->type = parse_type(p);
    if (token_take(p, TokAssign))
        s->e = parse_expression(p);
}

/* out = "out" NAME [ ":" type ] */
static void parse_out(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name for the output");
    if (token_take(p, TokColon))
        s->type = parse_type(p);
}

/* param = "param" NAME ":" type [ "=" expr ] [ "frozen" ] [ "as" path ] */
static void parse_param(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name for the parameter");
    if (token_expect(p, TokColon, "and a type"))
        s->type = parse_type(p);
    if (token_take(p, TokAssign))
        s->e = parse_expression(p);
    s->frozen = token_take(p, TokFrozen);
    as_path(p, s);
}

/* state = "state" NAME ":" type [ "=" expr ] [ "as" path ] */
static void parse_state(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name for the state");
    if (token_expect(p, TokColon, "and a type"))
        s->type = parse_type(p);
    if (token_take(p, TokAssign))
        s->e = parse_expression(p);
    as_path(p, s);
}

/* block = "block" NAME [ "[" NAME "in" iter "]" ] "=" expr [ "as" path ] */
static void parse_block(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name for the block");
    if (token_take(p, TokOpenList)) {
        s->name2 = expect_name(p, "a name that counts the members");
        token_expect(p, TokIn, "and a range");
        parse_iter(p, &s->lo, &s->hi);
        token_expect(p, TokCloseList, NULL);
    }
    s->op_at = p->t.at;
    if (token_expect(p, TokAssign, NULL))
        s->e = parse_expression(p);
    as_path(p, s);
}

/* let = "let" NAME [ ":" type ] "=" expr */
static void parse_let(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name");
    if (token_take(p, TokColon))
        s->type = parse_type(p);
    if (token_expect(p, TokAssign, NULL))
        s->e = parse_expression(p);
}

/* require = "require" expr [ "," STRING ] */
static void parse_require(Parser *p, Stmt *s) {
    s->e = parse_expression(p);
    if (!token_take(p, TokComma))
        return;
    if (token_is(p, TokString))
        s->message = parse_string(p);
    else
        unexpected(p, "a message in quotes");
}

static Ref ref_name(Parser *p) {
    Ref r = {.at = p->t.at};
    r.e = NEW(p->c, Expr);
    *r.e = (Expr){.kind = EName, .at = r.at, .height = 1};
    r.e->name = expect_name(p, "a name");
    if (!r.e->name)
        r.e->name = intern(p->c, "_", 1);
    return r;
}

typedef VEC(Ref) Refs;

/* chain = ( "|=" | "+=" ) postfix [ "as" path ] [ "->" NAME { "," NAME } ] */
static void parse_chain(Parser *p, Stmt *s) {
    Refs v = {0};
    s->e = parse_postfix(p);
    as_path(p, s);
    if (token_take(p, TokArrow))
        do {
            Ref r = ref_name(p);
            push(p->c, &v, r);
        } while (token_take(p, TokComma));
    s->left = v.at;
    s->nleft = v.n;
}

/* What people of other languages write where `=` should be. */
static void no_assignment(Parser *p, const Stmt *s) {
    TokenKind found = p->t.kind;
    char *left = source_text(p->c, s->left[0].at);
    unexpected(p, "`=` or `<-`");
    if (found == TokContinue)
        help(p->c, "`+=` continues a chain; a sum is written `%s = %s + …`", left, left);
    if (found == TokOpen)
        help(p->c, "what a call gives needs a name: `y = %s(…)`", left);
}

/* assign = left { "," left } ( "=" named | "<-" expr ) ;   left = ref [ ":" type ] */
static void parse_assign(Parser *p, Stmt *s) {
    Refs v = {0};
    do {
        Ref r = {.at = p->t.at};
        r.e = parse_ref(p);
        if (token_take(p, TokColon))
            r.type = parse_type(p);
        r.at = since(p, r.at.from);
        push(p->c, &v, r);
    } while (token_take(p, TokComma));
    s->left = v.at;
    s->nleft = v.n;
    s->op_at = p->t.at;
    s->start = token_is(p, TokWrite);
    if (token_take(p, TokWrite))
        s->e = parse_expression(p);
    else if (token_take(p, TokAssign))
        s->e = parse_expression(p), as_path(p, s);
    else if (!token_is(p, TokBroken))
        no_assignment(p, s);
}

static Body body_of_one(Parser *p, Stmt *s) {
    Body b = {.n = 1, .span = s->at, .given = true};
    b.at = NEWN(p->c, Stmt *, 1);
    b.at[0] = s;
    return b;
}

static Stmt *stmt_start(Parser *p, StmtKind k) {
    Stmt *s = NEW(p->c, Stmt);
    s->kind = k;
    s->at = p->t.at;
    s->doc = p->t.doc;
    return s;
}

static void to_brace(Parser *p, Stmt *s) {
    s->at = since(p, s->at.from);
    s->body = parse_body(p);
}

/* if = "if" expr body [ "else" ( if | body ) ] */
static void parse_if(Parser *p, Stmt *s) {
    s->e = parse_expression(p);
    if (token_is(p, TokAssign)) {
        unexpected(p, "`{`");
        help(p->c, "`==` compares");
    }
    to_brace(p, s);
    if (!token_take(p, TokElse))
        return;
    if (!token_is(p, TokIf)) {
        s->other = parse_body(p);
        return;
    }
    Stmt *other = stmt_start(p, SIf);
    token_next(p);
    if (enter(p))
        parse_if(p, other);
    leave(p);
    s->other = body_of_one(p, other);
}

/* for = "for" NAME [ "," NAME ] "in" iter body ;   iter = expr [ ".." expr ] */
static void parse_for(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name that counts the turns");
    if (token_take(p, TokComma))
        s->name2 = expect_name(p, "a second name");
    token_expect(p, TokIn, "and a range or list");
    parse_iter(p, &s->lo, &s->hi);
    to_brace(p, s);
}

/* scan = "scan" NAME "in" iter body */
static void parse_scan(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name that counts the turns");
    token_expect(p, TokIn, "and a range");
    parse_iter(p, &s->lo, &s->hi);
    to_brace(p, s);
}

/* while = "while" expr body */
static void parse_while(Parser *p, Stmt *s) {
    s->e = parse_expression(p);
    to_brace(p, s);
}

/* yield = "yield" expr "->" NAME [ "along" expr ] */
static void parse_yield(Parser *p, Stmt *s) {
    s->e = parse_expression(p);
    if (token_expect(p, TokArrow, "and the name of what is stacked"))
        stmt_name(p, s, "a name");
    if (token_take(p, TokAlong))
        s->along = parse_expression(p);
}

/* return = "return" expr { "," expr } */
static void parse_return(Parser *p, Stmt *s) {
    VEC(Expr *) v = {0};
    do {
        Expr *e = parse_expression(p);
        push(p->c, &v, e);
    } while (token_take(p, TokComma));
    s->value = v.at;
    s->nvalue = v.n;
}

/* metric = "metric" NAME "=" expr */
static void parse_metric(Parser *p, Stmt *s) {
    stmt_name(p, s, "a name for the metric");
    if (token_expect(p, TokAssign, NULL))
        s->e = parse_expression(p);
}

/* group = "over" target { "," target } "with" postfix ;   target = ref [ ( "only" | "except" ) expr
 * ] */
static Group group(Parser *p) {
    Refs targets = {0};
    VEC(Expr *) globs = {0};
    VEC(int) hows = {0};
    Group g = {.at = p->t.at};
    token_expect(p, TokOver, "and what is trained");
    do {
        Ref r = {.at = p->t.at};
        r.e = parse_ref(p);
        r.at = since(p, r.at.from);
        int how = token_is(p, TokOnly) ? Only : token_is(p, TokExcept) ? Except : Whole;
        Expr *glob =
            token_take(p, TokOnly) || token_take(p, TokExcept) ? parse_expression(p) : NULL;
        push(p->c, &targets, r);
        push(p->c, &hows, how);
        push(p->c, &globs, glob);
    } while (token_take(p, TokComma));
    if (token_expect(p, TokWith, "and an optimiser"))
        g.with = parse_postfix(p);
    g.at = since(p, g.at.from);
    g.target = targets.at;
    g.glob = globs.at;
    g.n = targets.n;
    g.how = alloc(p->c, sizeof *g.how * (size_t)g.n);
    for (int i = 0; i < g.n; i++)
        g.how[i] = hows.at[i];
    return g;
}

typedef VEC(Group) Groups;

/* mitem = group | NAME "=" expr */
static void minimize_item(Parser *p, Groups *groups, FieldVec *settings) {
    if (token_is(p, TokOver)) {
        Group g = group(p);
        push(p->c, groups, g);
        return;
    }
    Field f = {.at = p->t.at};
    f.name = expect_name(p, "`over`, or a setting");
    if (token_expect(p, TokAssign, NULL))
        f.init = parse_expression(p);
    if (f.name)
        push(p->c, settings, f);
}

/* minimize = "minimize" expr ( group | "{" mitem { SEP mitem } "}" ) */
static void parse_minimize(Parser *p, Stmt *s) {
    Groups groups = {0};
    FieldVec settings = {0};
    s->e = parse_expression(p);
    if (token_take(p, TokOpenBody)) {
        do {
            int brackets = p->lexer.open.n;
            minimize_item(p, &groups, &settings);
            if (token_is(p, TokBroken))
                recover(p, brackets);
        } while (another(p, TokCloseBody, "a new line, `;` or `}`"));
        token_expect(p, TokCloseBody, NULL);
    } else {
        Group g = group(p);
        push(p->c, &groups, g);
    }
    s->group = groups.at;
    s->ngroup = groups.n;
    s->setting = settings.at;
    s->nsetting = settings.n;
}

/* stmt = in | out | param | state | block | let | require
 *      | chain | assign | if | for | scan | while | yield | return
 * tstmt = stmt | metric | minimize */
static const struct {
    TokenKind first;
    StmtKind kind;
    void (*parse)(Parser *, Stmt *);
    bool train;                         /* in `train` only */
} statements[] = {
    { TokIn,        SIn,       parse_in,       false },
    { TokOut,       SOut,      parse_out,      false },
    { TokParam,     SParam,    parse_param,    false },
    { TokState,     SState,    parse_state,    false },
    { TokBlock,     SBlock,    parse_block,    false },
    { TokLet,       SLet,      parse_let,      false },
    { TokRequire,   SRequire,  parse_require,  false },
    { TokBegin,     SChain,    parse_chain,    false },
    { TokContinue,  SChain,    parse_chain,    false },
    { TokIf,        SIf,       parse_if,       false },
    { TokFor,       SFor,      parse_for,      false },
    { TokScan,      SScan,     parse_scan,     false },
    { TokWhile,     SWhile,    parse_while,    false },
    { TokYield,     SYield,    parse_yield,    false },
    { TokReturn,    SReturn,   parse_return,   false },
    { TokMetric,    SMetric,   parse_metric,   true  },
    { TokMinimize,  SMinimize, parse_minimize, true  },
};

static void statement_of(Parser *p, Stmt *s) {
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!token_is(p, statements[i].first) || (statements[i].train && !p->in_train))
            continue;
        s->kind = statements[i].kind;
        s->op_at = p->t.at;
        s->start = token_is(p, TokBegin);
        token_next(p);
        statements[i].parse(p, s);
        return;
    }
    s->kind = SAssign;
    if (token_is_name(p->t.kind))
        parse_assign(p, s);
    else if (token_is(p, TokMetric) || token_is(p, TokMinimize))
        unexpected(p, "a statement: this one stands in `train` only");
    else
        unexpected(p, "a statement");
}

static Stmt *parse_statement(Parser *p) {
    Stmt *s = stmt_start(p, SAssign);
    int brackets = p->lexer.open.n - token_is(p, TokOpen) - token_is(p, TokOpenList) -
                   token_is(p, TokOpenBody);
    if (enter(p))
        statement_of(p, s);
    leave(p);
    if (s->kind < SIf || s->kind > SWhile)
        s->at = since(p, s->at.from);
    s->broken = token_is(p, TokBroken);
    if (s->broken)
        recover(p, brackets);
    return s;
}

/* { stmt { SEP stmt } }, up to the brace */
Body parse_statements(Parser *p, Span open) {
    VEC(Stmt *) v = {0};
    Body b = {.span = open, .given = true};
    bool in_train = p->in_train;
    while (!token_is(p, TokCloseBody) && !token_is(p, TokEnd) && !token_is(p, TokBroken)) {
        if (starts_item_only(p->t.kind) && at_margin(p->t.at))
            break;
        Stmt *s = parse_statement(p);
        push(p->c, &v, s);
        p->in_train = in_train;
        if (token_is(p, TokSep)) {
            token_next(p);
            continue;
        }
        if (token_is(p, TokCloseBody) || token_is(p, TokEnd) || at_margin(p->t.at))
            continue;
        int brackets = p->lexer.open.n - token_is(p, TokOpen) - token_is(p, TokOpenList) -
                       token_is(p, TokOpenBody);
        unexpected(p, "the end of the statement");
        s->broken = true;
        recover(p, brackets);
        if (token_is(p, TokSep))
            token_next(p);
    }
    b.at = v.at;
    b.n = v.n;
    if (!token_take(p, TokCloseBody) && !token_is(p, TokBroken)) {
        bool told = p->too_deep;
        unexpected(p, "`}`");
        if (!told)
            note_at(p->c, open, "to close this");
    }
    b.span = since(p, open.from);
    return b;
}

/* body = "{" [ stmt { SEP stmt } ] "}" */
Body parse_body(Parser *p) {
    Span open = p->t.at;
    bool in_train = p->in_train;
    p->in_train = false;
    Body b = {.span = open};
    if (token_expect(p, TokOpenBody, NULL))
        b = parse_statements(p, open);
    p->in_train = in_train;
    return b;
}
