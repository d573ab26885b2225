/* parse_expr.c: expressions, types and paths.
 *
 * Recursive descent, one token of look-ahead, the grammar's rule above each function. After an error the current token is
 * TokBroken, which no rule takes: everything ends by itself, up to the statement, where parse.c recovers. */
#include "lex.h"

#include <string.h>

enum { Deepest = 500 };

/* ---- tokens --------------------------------------------------------------------------------------- */

bool is(const Parser *p, TokenKind k) { return p->t.kind == k; }

void next(Parser *p)
{
    if (is(p, TokBroken)) return;
    p->before = p->t.at;
    p->t = lex(&p->lexer);
    p->was = p->t.kind;
}

void broken(Parser *p)
{
    if (!is(p, TokBroken)) p->was = p->t.kind;
    p->t.kind = TokBroken;
}

bool accept(Parser *p, TokenKind k)
{
    bool yes = is(p, k);
    if (yes) next(p);
    return yes;
}

Span since(const Parser *p, int from)
{
    Span at = { p->t.at.src, from, p->before.to };
    if (at.to < from) at.to = from;
    return at;
}

static const char *found(const Parser *p)
{
    Ctx *c = p->c;
    Span at = p->t.at;
    if (is(p, TokEnd)) return "the end of the file";
    if (is(p, TokSep)) return at.src->text[at.from] == ';' ? "`;`" : "the end of the line";
    return format(c, "`%s`", source_text(c, at));
}

void unexpected(Parser *p, const char *wanted)
{
    if (!is(p, TokBroken) && !p->too_deep) error_at(p->c, p->t.at, "found %s, wanted %s", found(p), wanted);
    broken(p);
}

bool expect(Parser *p, TokenKind k, const char *where)
{
    if (accept(p, k)) return true;
    unexpected(p, format(p->c, "`%s`%s%s", token_text(k), where ? " " : "", where ? where : ""));
    return false;
}

/* A bracket that is not closed: the place where it was opened says more than the place of the surprise. */
static void expect_close(Parser *p, TokenKind k, Span open)
{
    if (accept(p, k) || is(p, TokBroken)) return;
    unexpected(p, format(p->c, "`,` or `%s`", token_text(k)));
    note_at(p->c, open, "to close this");
}

Name expect_name(Parser *p, const char *what)
{
    Name n = p->t.name;
    if (token_is_name(p->t.kind)) {
        next(p);
        return n;
    }
    bool word = p->t.kind >= TokUse;
    unexpected(p, what);
    if (word) help(p->c, "`%s` is a word of the language, and no name", n);
    return NULL;
}

/* One such error a file: what comes after it is its echo. */
static void too_deep(Parser *p, const char *what)
{
    if (!is(p, TokBroken) && !p->too_deep) error_at(p->c, p->t.at, "%s", what);
    p->too_deep = true;
    broken(p);
}

bool enter(Parser *p)
{
    if (p->depth++ < Deepest) return true;
    too_deep(p, format(p->c, "nested more than %d deep", Deepest));
    return false;
}

void leave(Parser *p) { p->depth--; }

/* ---- nodes ---------------------------------------------------------------------------------------- */

static Expr *expr_new(Parser *p, ExprKind k, Span at)
{
    Expr *e = NEW(p->c, Expr);
    e->kind = k;
    e->at = at;
    e->height = 1;
    return e;
}

/* Chains such as a + b + c … grow to the left without recursion here, but not in those who walk them. */
static void grow(Parser *p, Expr *e, const Expr *kid)
{
    if (!kid || kid->height < e->height) return;
    e->height = kid->height + 1;
    if (e->height > Deepest) too_deep(p, format(p->c, "an expression of more than %d levels", Deepest));
}

static void set_kids(Parser *p, Expr *e, int n, Expr *const *kid)
{
    e->kid = NEWN(p->c, Expr *, n);
    e->n = n;
    for (int i = 0; i < n; i++) grow(p, e, e->kid[i] = kid[i]);
}

static Expr *with_kids(Parser *p, ExprKind k, Span at, int n, Expr *const *kid)
{
    Expr *e = expr_new(p, k, at);
    set_kids(p, e, n, kid);
    return e;
}

typedef VEC(Expr *) Exprs;

/* ---- strings -------------------------------------------------------------------------------------- */

bool string_next(Ctx *c, const char **from, char **piece, bool *hole)
{
    const char *s = *from;
    Text t = { 0 };
    *hole = false;
    if (!*s) return false;
    text_add(c, &t, "");
    for (; *s && !*hole; s++) {
        if (*s != '{') text_add(c, &t, "%c", *s);
        else if (s[1] == '{') text_add(c, &t, "%c", *s++);
        else {
            *hole = true;
            while (s[1] && *s != '}') s++;
        }
    }
    *from = s;
    *piece = t.s;
    return true;
}

/* The expression of a `{e}` is parsed where it stands in the source, so that errors point into the string. */
static Expr *hole(Parser *p, int from, int to)
{
    Parser inner = { .c = p->c, .lexer = lex_start(p->c, p->t.at.src, from, to), .depth = p->depth };
    next(&inner);
    if (is(&inner, TokBroken)) inner.t = lex(&inner.lexer);
    Expr *e = parse_expression(&inner);
    accept(&inner, TokSep);
    if (!is(&inner, TokEnd)) unexpected(&inner, "`}`");
    return e;
}

/* STRING, with the expressions in it */
Expr *parse_string(Parser *p)
{
    Span at = p->t.at;
    Expr *e = expr_new(p, EStr, at);
    Exprs kids = { 0 };
    e->name = p->t.name;
    const char *s = at.src->text;
    for (int i = at.from + 1; i < at.to - 1; i++) {
        if (s[i] == '\\' && s[i + 1] == 'u') while (i < at.to - 1 && s[i] != '}') i++;
        else if (s[i] == '\\') i++;
        else if (s[i] == '{' && s[i + 1] == '{') i++;
        else if (s[i] == '{') {
            int from = i + 1;
            while (i < at.to - 1 && s[i] != '}') i++;
            if (i == at.to - 1) {
                error_at(p->c, (Span){ at.src, from - 1, from }, "`{` begins a value, and has no `}`; a brace is `{{`");
                break;
            }
            Expr *kid = hole(p, from, i);
            push(p->c, &kids, kid);
        }
    }
    set_kids(p, e, kids.n, kids.at);
    next(p);
    return e;
}

/* ---- primary -------------------------------------------------------------------------------------- */

static Expr *pack(Parser *p, Expr *e)
{
    if (!accept(p, TokDots)) return e;
    return with_kids(p, EPack, since(p, e->at.from), 1, &e);
}

/* "(" several ")" ; several = named [ "..." ] [ "," [ several ] ] */
static Expr *parenthesised(Parser *p)
{
    Span open = p->t.at;
    Exprs kids = { 0 };
    next(p);
    do {
        Expr *e = pack(p, parse_named(p));
        push(p->c, &kids, e);
    } while (accept(p, TokComma) && !is(p, TokClose));
    expect_close(p, TokClose, open);
    Span at = since(p, open.from);
    if (kids.n > 1 || kids.at[0]->kind == EPack) return with_kids(p, EGroup, at, kids.n, kids.at);
    kids.at[0]->parens = true;
    kids.at[0]->at = at;
    return kids.at[0];
}

/* … "for" NAME [ "," NAME ] "in" iter [ "if" expr ] "]" */
static Expr *list_for(Parser *p, Span open, Expr *each)
{
    next(p);
    Name n = expect_name(p, "a name for each element"), second = NULL;
    if (accept(p, TokComma)) second = expect_name(p, "a second name");
    expect(p, TokIn, NULL);
    Expr *kid[4] = { each };
    parse_iter(p, &kid[1], &kid[2]);
    if (accept(p, TokIf)) kid[3] = parse_expression(p);
    expect_close(p, TokCloseList, open);
    Expr *e = with_kids(p, EListFor, since(p, open.from), 4, kid);
    e->name = n;
    e->name2 = second;
    return e;
}

/* list = "[" [ named ( "for" … | [ "," [ items ] ] ) ] "]" ;   items = named [ "," [ items ] ] */
static Expr *list(Parser *p)
{
    Span open = p->t.at;
    Exprs kids = { 0 };
    next(p);
    while (!is(p, TokCloseList) && !is(p, TokBroken)) {
        Expr *e = parse_named(p);
        if (kids.n == 0 && is(p, TokFor)) return list_for(p, open, e);
        push(p->c, &kids, e);
        if (!accept(p, TokComma)) break;
    }
    expect_close(p, TokCloseList, open);
    return with_kids(p, EList, since(p, open.from), kids.n, kids.at);
}

/* primary = INT | FLOAT | STRING | "true" | "false" | "none" | NAME | "(" several ")" | list */
static Expr *primary(Parser *p)
{
    Expr *e = expr_new(p, ENone, p->t.at);
    switch (p->t.kind) {
    case TokString:   return parse_string(p);
    case TokOpen:     return parenthesised(p);
    case TokOpenList: return list(p);
    case TokInt:      e->kind = EInt;   e->whole = p->t.whole;   break;
    case TokFloat:    e->kind = EFloat; e->number = p->t.number; break;
    case TokTrue:     e->kind = EBool;  e->whole = 1;            break;
    case TokFalse:    e->kind = EBool;                           break;
    case TokNone:                                                break;
    default:
        e->kind = EName;
        e->name = expect_name(p, "an expression");
        if (!e->name) e->name = intern(p->c, "_", 1);
        return e;
    }
    next(p);
    return e;
}

/* ---- calls, subscripts ---------------------------------------------------------------------------- */

/* arg = "*" | named [ "..." ] [ ( "=" | ":" ) named ] */
static Arg argument(Parser *p)
{
    int from = p->t.at.from;
    Arg a = { .sep = 0 };
    if (accept(p, TokStar)) a.sep = '*';
    else {
        a.value = pack(p, parse_named(p));
        if (is(p, TokAssign) || is(p, TokColon)) {
            a.sep = is(p, TokAssign) ? '=' : ':';
            next(p);
            a.key = a.value;
            a.name = a.key->kind == EName && !a.key->parens ? a.key->name : NULL;
            a.value = parse_named(p);
        }
    }
    a.at = since(p, from);
    return a;
}

/* … "(" [ args ] ")" ;   args = arg [ "," [ args ] ] */
static Expr *call(Parser *p, Expr *f)
{
    Span open = p->t.at;
    VEC(Arg) args = { 0 };
    Expr *e = with_kids(p, ECall, f->at, 1, &f);
    next(p);
    while (!is(p, TokClose) && !is(p, TokBroken)) {
        Arg a = argument(p);
        push(p->c, &args, a);
        grow(p, e, a.value);
        grow(p, e, a.key);
        if (!accept(p, TokComma)) break;
    }
    expect_close(p, TokClose, open);
    e->arg = args.at;
    e->narg = args.n;
    e->at = since(p, f->at.from);
    return e;
}

static void slice(Parser *p, Sub *s)
{
    s->kind = SubSlice;
    if (starts_expression(p->t.kind)) s->b = parse_expression(p);
    if (accept(p, TokColon)) s->s = parse_expression(p);
}

/* sub = "..." | ":" [ expr ] [ ":" expr ] | expr [ "..." | ":" [ expr ] [ ":" expr ] | "+:" expr ] */
static Sub subscript(Parser *p)
{
    int from = p->t.at.from;
    Sub s = { .kind = SubAt };
    if (accept(p, TokDots)) s.kind = SubDots;
    else if (accept(p, TokColon)) slice(p, &s);
    else {
        s.a = pack(p, parse_expression(p));
        if (s.a->kind == EPack) ;
        else if (accept(p, TokColon)) slice(p, &s);
        else if (accept(p, TokRun)) s.kind = SubRun, s.b = parse_expression(p);
    }
    s.at = since(p, from);
    return s;
}

/* … "[" subs "]" ;   subs = sub [ "," [ subs ] ] */
static Expr *subscripted(Parser *p, Expr *x)
{
    Span open = p->t.at;
    VEC(Sub) subs = { 0 };
    Expr *e = with_kids(p, EIndex, x->at, 1, &x);
    next(p);
    do {
        Sub s = subscript(p);
        push(p->c, &subs, s);
        grow(p, e, s.a);
        grow(p, e, s.b);
        grow(p, e, s.s);
    } while (accept(p, TokComma) && !is(p, TokCloseList));
    expect_close(p, TokCloseList, open);
    e->sub = subs.at;
    e->nsub = subs.n;
    e->at = since(p, x->at.from);
    return e;
}

/* … "." NAME */
static Expr *attribute(Parser *p, Expr *x)
{
    next(p);
    Expr *e = with_kids(p, EAttr, x->at, 1, &x);
    e->op_at = p->t.at;
    e->name = expect_name(p, "a name after `.`");
    if (!e->name) e->name = intern(p->c, "_", 1);
    e->at = since(p, x->at.from);
    return e;
}

/* postfix = primary { "(" [ args ] ")" | "[" subs "]" | "." NAME } */
Expr *parse_postfix(Parser *p)
{
    Expr *e = primary(p);
    for (;;) {
        if (is(p, TokOpen)) e = call(p, e);
        else if (is(p, TokOpenList)) e = subscripted(p, e);
        else if (is(p, TokDot)) e = attribute(p, e);
        else return e;
    }
}

/* ref = NAME { "." NAME | "[" subs "]" } */
Expr *parse_ref(Parser *p)
{
    Expr *e = expr_new(p, EName, p->t.at);
    e->name = expect_name(p, "a name");
    if (!e->name) e->name = intern(p->c, "_", 1);
    for (;;) {
        if (is(p, TokOpenList)) e = subscripted(p, e);
        else if (is(p, TokDot)) e = attribute(p, e);
        else return e;
    }
}

/* ---- operators ------------------------------------------------------------------------------------ */

/* From the loosest to the tightest level; the enumerators of Op are in this file's order of text. */
static const struct { TokenKind token; Op op; int level; } operators[] = {
    { TokOr,    OpOr,  0 }, { TokAnd,    OpAnd, 1 },
    { TokEqual, OpEq,  3 }, { TokDiffer, OpNe,  3 }, { TokLess,  OpLt, 3 }, { TokAtMost,   OpLe,       3 },
    { TokGreater, OpGt, 3 }, { TokAtLeast, OpGe, 3 },
    { TokPlus,  OpAdd, 4 }, { TokMinus,  OpSub, 4 }, { TokJoin,  OpJoin, 4 },
    { TokStar,  OpMul, 5 }, { TokSlash,  OpDiv, 5 }, { TokFloorDiv, OpFloorDiv, 5 }, { TokPercent, OpMod, 5 },
    { TokAt, OpMatmul, 5 },
};
enum { LevelOr, LevelAnd, LevelNot, LevelCompare, LevelAdd, LevelMul, LevelUnary };

const char *op_text(Op op)
{
    static const char *const text[] = {
        [OpNone] = "", [OpAdd] = "+", [OpSub] = "-", [OpMul] = "*", [OpDiv] = "/", [OpFloorDiv] = "//", [OpMod] = "%",
        [OpPow] = "**", [OpMatmul] = "@", [OpJoin] = "++", [OpEq] = "==", [OpNe] = "!=", [OpLt] = "<", [OpLe] = "<=",
        [OpGt] = ">", [OpGe] = ">=", [OpAnd] = "and", [OpOr] = "or", [OpNeg] = "-", [OpNot] = "not",
    };
    return text[op];
}

static Op operator_at(const Parser *p, int level)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (operators[i].token == p->t.kind && operators[i].level == level) return operators[i].op;
    return OpNone;
}

static Expr *joined(Parser *p, Op op, Span op_at, Expr *a, Expr *b)
{
    Expr *e = with_kids(p, EBinary, span_join(a->at, b->at), 2, (Expr *[]){ a, b });
    e->op = op;
    e->op_at = op_at;
    return e;
}

static Expr *prefixed(Parser *p, Op op, Span op_at, Expr *a)
{
    Expr *e = with_kids(p, EUnary, span_join(op_at, a->at), 1, &a);
    e->op = op;
    e->op_at = op_at;
    return e;
}

static Expr *unary(Parser *p);

/* power = postfix [ "**" unary ] */
static Expr *power(Parser *p)
{
    Expr *a = parse_postfix(p);
    Span op_at = p->t.at;
    if (!accept(p, TokPower)) return a;
    if (enter(p)) a = joined(p, OpPow, op_at, a, unary(p));
    leave(p);
    return a;
}

/* unary = "-" unary | power */
static Expr *unary(Parser *p)
{
    Span op_at = p->t.at;
    if (!accept(p, TokMinus)) return power(p);
    Expr *e = enter(p) ? prefixed(p, OpNeg, op_at, unary(p)) : expr_new(p, ENone, op_at);
    leave(p);
    return e;
}

static Expr *binary(Parser *p, int level);

/* `a<-1` reads as an arrow. It is told, and taken as what was meant. */
static Expr *less_than_minus(Parser *p, Expr *a)
{
    Span arrow = p->t.at, minus = { arrow.src, arrow.from + 1, arrow.to };
    next(p);
    Expr *b = binary(p, LevelAdd);
    error_at(p->c, arrow, "`<-` writes a state; a comparison with a negative number needs a space: `%s < -%s`",
             source_text(p->c, a->at), source_text(p->c, b->at));
    return joined(p, OpLt, arrow, a, prefixed(p, OpNeg, minus, b));
}

/* cmp = add [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) add ] */
static Expr *comparison(Parser *p)
{
    Expr *a = binary(p, LevelAdd);
    if (is(p, TokWrite)) return less_than_minus(p, a);
    Op op = operator_at(p, LevelCompare);
    Span op_at = p->t.at;
    if (!op) return a;
    next(p);
    Expr *b = binary(p, LevelAdd);
    if (operator_at(p, LevelCompare)) {
        error_at(p->c, p->t.at, "comparisons are not chained");
        help(p->c, "`%s %s %s and %s %s …`", source_text(p->c, a->at), op_text(op), source_text(p->c, b->at),
             source_text(p->c, b->at), source_text(p->c, p->t.at));
        broken(p);
    }
    return joined(p, op, op_at, a, b);
}

/* not = "not" not | cmp */
static Expr *negation(Parser *p)
{
    Span op_at = p->t.at;
    if (!accept(p, TokNot)) return comparison(p);
    Expr *e = enter(p) ? prefixed(p, OpNot, op_at, negation(p)) : expr_new(p, ENone, op_at);
    leave(p);
    return e;
}

/* or = and { "or" and } ;   and = not { "and" not } ;   add = mul { ( "+" | "-" | "++" ) mul } ;
 * mul = unary { ( "*" | "/" | "//" | "%" | "@" ) unary } */
static Expr *binary(Parser *p, int level)
{
    if (level == LevelNot) return negation(p);
    if (level == LevelUnary) return unary(p);
    Expr *a = binary(p, level + 1);
    for (Op op; (op = operator_at(p, level)) != OpNone;) {
        Span op_at = p->t.at;
        next(p);
        a = joined(p, op, op_at, a, binary(p, level + 1));
    }
    return a;
}

/* expr = "if" expr "then" expr "else" expr | or */
Expr *parse_expression(Parser *p)
{
    Span at = p->t.at;
    Expr *e;
    if (!enter(p)) e = expr_new(p, ENone, at);
    else if (accept(p, TokIf)) {
        Expr *kid[3];
        kid[0] = parse_expression(p);
        expect(p, TokThen, "after the condition");
        kid[1] = parse_expression(p);
        expect(p, TokElse, "and a value for the other case");
        kid[2] = parse_expression(p);
        e = with_kids(p, EIf, since(p, at.from), 3, kid);
    } else e = binary(p, LevelOr);
    leave(p);
    return e;
}

bool starts_expression(TokenKind k)
{
    return token_is_name(k) || k == TokIf || k == TokNot || k == TokMinus || k == TokInt || k == TokFloat ||
           k == TokString || k == TokTrue || k == TokFalse || k == TokNone || k == TokOpen || k == TokOpenList;
}

/* iter = expr [ ".." expr ] */
void parse_iter(Parser *p, Expr **lo, Expr **hi)
{
    *lo = parse_expression(p);
    *hi = accept(p, TokRange) ? parse_expression(p) : NULL;
}

/* ---- names for instances -------------------------------------------------------------------------- */

/* path = ( NAME | STRING ) { "." NAME | "[" expr "]" } */
Path parse_path(Parser *p)
{
    Path path = { .at = p->t.at };
    struct PathPart part = { 0 };
    if (is(p, TokString)) part.string = parse_string(p);
    else part.name = expect_name(p, "a name or a string after `as`");
    for (;;) {
        if (part.name || part.string || part.index) push(p->c, &path.part, part);
        part = (struct PathPart){ 0 };
        Span open = p->t.at;
        if (accept(p, TokDot)) part.name = expect_name(p, "a name after `.`");
        else if (accept(p, TokOpenList)) part.index = parse_expression(p), expect_close(p, TokCloseList, open);
        else break;
        if (is(p, TokBroken)) break;
    }
    path.at = since(p, path.at.from);
    return path;
}

/* What stands from here to the end of the statement or of the bracket it is in. */
static Span rest(const Parser *p)
{
    Span at = { p->t.at.src, p->t.at.from, p->t.at.from };
    const char *s = at.src->text;
    for (int depth = 0; s[at.to] && !strchr("\n#;{}", s[at.to]); at.to++) {
        if (strchr("([", s[at.to])) depth++;
        if (strchr(")]", s[at.to]) && depth-- == 0) break;
        if (s[at.to] == ',' && depth == 0) break;
    }
    while (at.to > at.from && strchr(" \t\r", s[at.to - 1])) at.to--;
    return at;
}

/* Rule 19. Nothing says whether `a as n + b` names a or a + b. */
void as_then_operator(Parser *p, const Expr *e)
{
    bool goes_on = is(p, TokPower) || is(p, TokOpen) || is(p, TokDot) || is(p, TokWrite);
    for (int level = LevelOr; level < LevelUnary; level++) goes_on |= operator_at(p, level) != OpNone;
    if (!goes_on) return;
    Ctx *c = p->c;
    Span named = { e->at.src, e->at.from, p->before.to };
    error_at(c, p->t.at, "`as` ends an expression; found `%s` after it", source_text(c, p->t.at));
    help(c, "to name the block and go on: `(%s) %s`", source_text(c, named), source_text(c, rest(p)));
    broken(p);
}

/* named = expr [ "as" path ] */
Expr *parse_named(Parser *p)
{
    Expr *kid = parse_expression(p);
    int as = p->t.at.from;
    if (!accept(p, TokAs)) return kid;
    Path path = parse_path(p);
    Expr *e = with_kids(p, EAs, since(p, kid->at.from), 1, &kid);
    e->path = path;
    e->op_at = since(p, as);
    as_then_operator(p, kid);
    return e;
}

/* ---- types ---------------------------------------------------------------------------------------- */

/* dim = "..." | expr [ "..." | "?" ] */
static DimExpr dimension(Parser *p)
{
    int from = p->t.at.from;
    DimExpr d = { .kind = DimAt };
    if (accept(p, TokDots)) d.kind = DimDots;
    else {
        d.e = parse_expression(p);
        if (accept(p, TokDots)) d.kind = DimPack;
        else if (accept(p, TokMaybe)) d.kind = DimMaybe;
    }
    d.at = since(p, from);
    return d;
}

/* "[" [ dims ] "]" ;   dims = dim [ "," [ dims ] ] */
DimList parse_dims(Parser *p)
{
    VEC(DimExpr) dims = { 0 };
    Span open = p->t.at;
    expect(p, TokOpenList, NULL);
    while (!is(p, TokCloseList) && !is(p, TokBroken)) {
        DimExpr d = dimension(p);
        push(p->c, &dims, d);
        if (!accept(p, TokComma)) break;
    }
    expect_close(p, TokCloseList, open);
    return (DimList){ dims.at, dims.n, true };
}

/* type = ( "[" type [ ";" expr ] "]" | ( NAME | "block" | "model" ) [ "[" [ dims ] "]" ] ) [ "?" ] */
TypeExpr *parse_type(Parser *p)
{
    TypeExpr *t = NEW(p->c, TypeExpr);
    Span open = p->t.at;
    if (!enter(p)) ;
    else if (accept(p, TokOpenList)) {
        t->list = parse_type(p);
        if (accept(p, TokSemicolon)) t->count = parse_expression(p);
        expect_close(p, TokCloseList, open);
    } else {
        bool word = is(p, TokBlock) || is(p, TokModel);
        t->name = word ? p->t.name : expect_name(p, "a type");
        if (word) next(p);
        if (is(p, TokOpenList)) t->dims = parse_dims(p);
    }
    leave(p);
    t->maybe = accept(p, TokMaybe);
    t->at = since(p, open.from);
    return t;
}
