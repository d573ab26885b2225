/* parse_expr.c: expressions.
 *
 * Recursive descent, the grammar's rule above each function. Brackets nest at most MostNested deep; with
 * chains a tree is at most MostChained high, so that whoever walks it may recurse. */
#include "lex.h"

#include <string.h>

/* ---- nodes */

static Expr *expr_new(Parser *p, ExprKind k, Span at) {
    Expr *e = NEW(p->c, Expr);
    e->kind = k;
    e->at = at;
    e->height = 1;
    return e;
}

/* Chains such as a + b + c … grow to the left without recursion here, but not in those who walk
 * them. */
static void grow(Parser *p, Expr *e, const Expr *kid) {
    if (!kid || kid->height < e->height)
        return;
    e->height = kid->height + 1;
    if (e->height > MostChained)
        too_deep(p, format(p->c, "an expression of more than %d levels", MostChained));
}

static void set_kids(Parser *p, Expr *e, int n, Expr *const *kid) {
    e->kid = NEWN(p->c, Expr *, n);
    e->n = n;
    for (int i = 0; i < n; i++)
        grow(p, e, e->kid[i] = kid[i]);
}

static Expr *with_kids(Parser *p, ExprKind k, Span at, int n, Expr *const *kid) {
    Expr *e = expr_new(p, k, at);
    set_kids(p, e, n, kid);
    return e;
}

typedef VEC(Expr *) Exprs;

/* ---- strings */

bool string_next(Ctx *c, const char **from, char **piece, bool *hole) {
    const char *s = *from;
    Text t = {0};
    *hole = false;
    if (!*s)
        return false;
    text_add(c, &t, "");
    for (; *s && !*hole; s++) {
        if (*s != '{')
            text_add(c, &t, "%c", *s);
        else if (s[1] == '{')
            text_add(c, &t, "%c", *s++);
        else {
            *hole = true;
            while (s[1] && *s != '}')
                s++;
        }
    }
    *from = s;
    *piece = t.s;
    return true;
}

/* The expression of a `{e}` is parsed where it stands in the source, so that errors point into the
 * string. */
static Expr *hole(Parser *p, int from, int to) {
    Parser inner = {.c = p->c, .lexer = lex_start(p->c, p->t.at.src, from, to), .depth = p->depth};
    token_next(&inner);
    if (token_is(&inner, TokBroken))
        inner.t = lex(&inner.lexer);
    Expr *e = parse_expression(&inner);
    token_take(&inner, TokSep);
    if (!token_is(&inner, TokEnd))
        unexpected(&inner, "`}`");
    return e;
}

/* STRING, with the expressions in it */
Expr *parse_string(Parser *p) {
    Span at = p->t.at;
    Expr *e = expr_new(p, EStr, at);
    Exprs kids = {0};
    e->name = p->t.name;
    const char *s = at.src->text;
    for (int i = at.from + 1; i < at.to - 1; i++) {
        if (s[i] == '\\' && s[i + 1] == 'u')
            while (i < at.to - 1 && s[i] != '}')
                i++;
        else if (s[i] == '\\')
            i++;
        else if (s[i] == '{' && s[i + 1] == '{')
            i++;
        else if (s[i] == '{') {
            int from = i + 1;
            while (i < at.to - 1 && s[i] != '}')
                i++;
            if (i == at.to - 1) {
                error_at(p->c, (Span){at.src, from - 1, from},
                         "`{` begins a value, and has no `}`; a brace is `{{`");
                break;
            }
            Expr *kid = hole(p, from, i);
            push(p->c, &kids, kid);
        }
    }
    set_kids(p, e, kids.n, kids.at);
    token_next(p);
    return e;
}

/* ---- primary */

static Expr *parse_pack(Parser *p, Expr *e) {
    if (!token_take(p, TokDots))
        return e;
    return with_kids(p, EPack, since(p, e->at.from), 1, &e);
}

/* "(" several ")" ; several = named [ "..." ] [ "," [ several ] ] */
static Expr *parse_parens(Parser *p) {
    Span open = p->t.at;
    Exprs kids = {0};
    token_next(p);
    do {
        Expr *e = parse_pack(p, parse_named(p));
        push(p->c, &kids, e);
    } while (token_take(p, TokComma) && !token_is(p, TokClose));
    expect_close(p, TokClose, open);
    Span at = since(p, open.from);
    if (kids.n > 1 || kids.at[0]->kind == EPack)
        return with_kids(p, EGroup, at, kids.n, kids.at);
    kids.at[0]->parens = true;
    kids.at[0]->at = at;
    return kids.at[0];
}

/* … "for" NAME [ "," NAME ] "in" iter [ "if" expr ] "]" */
static Expr *parse_list_for(Parser *p, Span open, Expr *each) {
    token_next(p);
    Name n = expect_name(p, "a name for each element"), second = NULL;
    if (token_take(p, TokComma))
        second = expect_name(p, "a second name");
    token_expect(p, TokIn, NULL);
    Expr *kid[4] = {each};
    parse_iter(p, &kid[1], &kid[2]);
    if (token_take(p, TokIf))
        kid[3] = parse_expression(p);
    expect_close(p, TokCloseList, open);
    Expr *e = with_kids(p, EListFor, since(p, open.from), 4, kid);
    e->name = n;
    e->name2 = second;
    return e;
}

/* list = "[" [ named ( "for" … | [ "," [ items ] ] ) ] "]" ;   items = named [ "," [ items ] ] */
static Expr *parse_list(Parser *p) {
    Span open = p->t.at;
    Exprs kids = {0};
    token_next(p);
    while (!token_is(p, TokCloseList) && !token_is(p, TokBroken)) {
        Expr *e = parse_named(p);
        if (kids.n == 0 && token_is(p, TokFor))
            return parse_list_for(p, open, e);
        push(p->c, &kids, e);
        if (!token_take(p, TokComma))
            break;
    }
    expect_close(p, TokCloseList, open);
    return with_kids(p, EList, since(p, open.from), kids.n, kids.at);
}

/* primary = INT | FLOAT | STRING | "true" | "false" | "none" | NAME | "(" several ")" | list */
static Expr *parse_primary(Parser *p) {
    Expr *e = expr_new(p, ENone, p->t.at);
    switch (p->t.kind) {
    case TokString:
        return parse_string(p);
    case TokOpen:
        return parse_parens(p);
    case TokOpenList:
        return parse_list(p);
    case TokInt:
        e->kind = EInt;
        e->whole = p->t.whole;
        break;
    case TokFloat:
        e->kind = EFloat;
        e->number = p->t.number;
        break;
    case TokTrue:
        e->kind = EBool;
        e->whole = 1;
        break;
    case TokFalse:
        e->kind = EBool;
        break;
    case TokNone:
        break;
    default:
        e->kind = EName;
        e->name = expect_name(p, "an expression");
        if (!e->name)
            e->name = intern(p->c, "_", 1);
        return e;
    }
    token_next(p);
    return e;
}

/* ---- calls, subscripts */

/* arg = "*" | named [ "..." ] [ ( "=" | ":" ) named ] */
static Arg parse_arg(Parser *p) {
    int from = p->t.at.from;
    Arg a = {.sep = 0};
    if (token_take(p, TokStar))
        a.sep = '*';
    else {
        a.value = parse_pack(p, parse_named(p));
        if (token_is(p, TokAssign) || token_is(p, TokColon)) {
            a.sep = token_is(p, TokAssign) ? '=' : ':';
            token_next(p);
            a.key = a.value;
            a.name = a.key->kind == EName && !a.key->parens ? a.key->name : NULL;
            a.value = parse_named(p);
        }
    }
    a.at = since(p, from);
    return a;
}

/* … "(" [ args ] ")" ;   args = arg [ "," [ args ] ] */
static Expr *parse_call(Parser *p, Expr *f) {
    Span open = p->t.at;
    VEC(Arg) args = {0};
    Expr *e = with_kids(p, ECall, f->at, 1, &f);
    token_next(p);
    while (!token_is(p, TokClose) && !token_is(p, TokBroken)) {
        Arg a = parse_arg(p);
        push(p->c, &args, a);
        grow(p, e, a.value);
        grow(p, e, a.key);
        if (!token_take(p, TokComma))
            break;
    }
    expect_close(p, TokClose, open);
    e->arg = args.at;
    e->narg = args.n;
    e->at = since(p, f->at.from);
    return e;
}

static bool starts_expression(TokenKind k) {
    return token_is_name(k) || k == TokIf || k == TokNot || k == TokMinus || k == TokInt ||
           k == TokFloat || k == TokString || k == TokTrue || k == TokFalse || k == TokNone ||
           k == TokOpen || k == TokOpenList;
}

static void parse_slice(Parser *p, Sub *s) {
    s->kind = SubSlice;
    if (starts_expression(p->t.kind))
        s->b = parse_expression(p);
    if (token_take(p, TokColon))
        s->s = parse_expression(p);
}

/* sub = "..." | ":" [ expr ] [ ":" expr ] | expr [ "..." | ":" [ expr ] [ ":" expr ] | "+:" expr ]
 */
static Sub parse_sub(Parser *p) {
    int from = p->t.at.from;
    Sub s = {.kind = SubAt};
    if (token_take(p, TokDots))
        s.kind = SubDots;
    else if (token_take(p, TokColon))
        parse_slice(p, &s);
    else {
        s.a = parse_pack(p, parse_expression(p));
        if (s.a->kind == EPack)
            ;
        else if (token_take(p, TokColon))
            parse_slice(p, &s);
        else if (token_take(p, TokRun))
            s.kind = SubRun, s.b = parse_expression(p);
    }
    s.at = since(p, from);
    return s;
}

/* … "[" subs "]" ;   subs = sub [ "," [ subs ] ] */
static Expr *parse_index(Parser *p, Expr *x) {
    Span open = p->t.at;
    VEC(Sub) subs = {0};
    Expr *e = with_kids(p, EIndex, x->at, 1, &x);
    token_next(p);
    do {
        Sub s = parse_sub(p);
        push(p->c, &subs, s);
        grow(p, e, s.a);
        grow(p, e, s.b);
        grow(p, e, s.s);
    } while (token_take(p, TokComma) && !token_is(p, TokCloseList));
    expect_close(p, TokCloseList, open);
    e->sub = subs.at;
    e->nsub = subs.n;
    e->at = since(p, x->at.from);
    return e;
}

/* … "." NAME */
static Expr *parse_attribute(Parser *p, Expr *x) {
    token_next(p);
    Expr *e = with_kids(p, EAttr, x->at, 1, &x);
    e->op_at = p->t.at;
    e->name = expect_name(p, "a name after `.`");
    if (!e->name)
        e->name = intern(p->c, "_", 1);
    e->at = since(p, x->at.from);
    return e;
}

/* postfix = primary { "(" [ args ] ")" | "[" subs "]" | "." NAME } */
Expr *parse_postfix(Parser *p) {
    Expr *e = parse_primary(p);
    for (;;) {
        if (token_is(p, TokOpen))
            e = parse_call(p, e);
        else if (token_is(p, TokOpenList))
            e = parse_index(p, e);
        else if (token_is(p, TokDot))
            e = parse_attribute(p, e);
        else
            return e;
    }
}

/* ref = NAME { "." NAME | "[" subs "]" } */
Expr *parse_ref(Parser *p) {
    Expr *e = expr_new(p, EName, p->t.at);
    e->name = expect_name(p, "a name");
    if (!e->name)
        e->name = intern(p->c, "_", 1);
    for (;;) {
        if (token_is(p, TokOpenList))
            e = parse_index(p, e);
        else if (token_is(p, TokDot))
            e = parse_attribute(p, e);
        else
            return e;
    }
}

/* ---- operators */

/* From the loosest to the tightest. */
enum { LevelOr, LevelAnd, LevelNot, LevelCompare, LevelAdd, LevelMul, LevelUnary };

static const struct { TokenKind token; Op op; int level; } operator_table[] = {
    { TokOr,       OpOr,       LevelOr      }, { TokAnd,      OpAnd,      LevelAnd     },
    { TokEqual,    OpEq,       LevelCompare }, { TokDiffer,   OpNe,       LevelCompare },
    { TokLess,     OpLt,       LevelCompare }, { TokAtMost,   OpLe,       LevelCompare },
    { TokGreater,  OpGt,       LevelCompare }, { TokAtLeast,  OpGe,       LevelCompare },
    { TokPlus,     OpAdd,      LevelAdd     }, { TokMinus,    OpSub,      LevelAdd     },
    { TokJoin,     OpJoin,     LevelAdd     }, { TokStar,     OpMul,      LevelMul     },
    { TokSlash,    OpDiv,      LevelMul     }, { TokFloorDiv, OpFloorDiv, LevelMul     },
    { TokPercent,  OpMod,      LevelMul     }, { TokAt,       OpMatmul,   LevelMul     },
};

const char *op_text(Op op) {
    static const char *const text[] = {
        [OpNone] = "",  [OpAdd] = "+",   [OpSub] = "-",      [OpMul] = "*",   [OpDiv] = "/",
        [OpMod] = "%",  [OpPow] = "**",  [OpFloorDiv] = "//", [OpMatmul] = "@", [OpJoin] = "++",
        [OpEq] = "==",  [OpNe] = "!=",   [OpLt] = "<",       [OpLe] = "<=",   [OpGt] = ">",
        [OpGe] = ">=",  [OpAnd] = "and", [OpOr] = "or",      [OpNeg] = "-",   [OpNot] = "not",
    };
    return text[op];
}

static Op operator_of_level(const Parser *p, int level) {
    for (size_t i = 0; i < sizeof operator_table / sizeof *operator_table; i++)
        if (operator_table[i].token == p->t.kind && operator_table[i].level == level)
            return operator_table[i].op;
    return OpNone;
}

static Expr *binary_of(Parser *p, Op op, Span op_at, Expr *a, Expr *b) {
    Expr *e = with_kids(p, EBinary, span_join(a->at, b->at), 2, (Expr *[]){a, b});
    e->op = op;
    e->op_at = op_at;
    return e;
}

static Expr *unary_of(Parser *p, Op op, Span op_at, Expr *a) {
    Expr *e = with_kids(p, EUnary, span_join(op_at, a->at), 1, &a);
    e->op = op;
    e->op_at = op_at;
    return e;
}

static Expr *parse_unary(Parser *p);

/* power = postfix [ "**" unary ] */
static Expr *parse_power(Parser *p) {
    Expr *a = parse_postfix(p);
    Span op_at = p->t.at;
    if (!token_take(p, TokPower))
        return a;
    if (enter(p))
        a = binary_of(p, OpPow, op_at, a, parse_unary(p));
    leave(p);
    return a;
}

/* unary = "-" unary | power */
static Expr *parse_unary(Parser *p) {
    Span op_at = p->t.at;
    if (!token_take(p, TokMinus))
        return parse_power(p);
    Expr *e = enter(p) ? unary_of(p, OpNeg, op_at, parse_unary(p)) : expr_new(p, ENone, op_at);
    leave(p);
    return e;
}

static Expr *parse_binary(Parser *p, int level);

/* `a<-1` reads as an arrow. It is told, and taken as what was meant. */
static Expr *less_than_minus(Parser *p, Expr *a) {
    Span arrow = p->t.at, minus = {arrow.src, arrow.from + 1, arrow.to};
    token_next(p);
    Expr *b = parse_binary(p, LevelAdd);
    error_at(p->c, arrow,
             "`<-` writes a state; a comparison with a negative number needs a space: `%s < -%s`",
             source_text(p->c, a->at), source_text(p->c, b->at));
    return binary_of(p, OpLt, arrow, a, unary_of(p, OpNeg, minus, b));
}

/* cmp = add [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) add ] */
static Expr *parse_comparison(Parser *p) {
    Expr *a = parse_binary(p, LevelAdd);
    if (token_is(p, TokWrite))
        return less_than_minus(p, a);
    Op op = operator_of_level(p, LevelCompare);
    Span op_at = p->t.at;
    if (!op)
        return a;
    token_next(p);
    Expr *b = parse_binary(p, LevelAdd);
    if (operator_of_level(p, LevelCompare)) {
        error_at(p->c, p->t.at, "comparisons are not chained");
        help(p->c, "`%s %s %s and %s %s …`", source_text(p->c, a->at), op_text(op),
             source_text(p->c, b->at), source_text(p->c, b->at), source_text(p->c, p->t.at));
        give_up(p);
    }
    return binary_of(p, op, op_at, a, b);
}

/* not = "not" not | cmp */
static Expr *parse_not(Parser *p) {
    Span op_at = p->t.at;
    if (!token_take(p, TokNot))
        return parse_comparison(p);
    Expr *e = enter(p) ? unary_of(p, OpNot, op_at, parse_not(p)) : expr_new(p, ENone, op_at);
    leave(p);
    return e;
}

/* or = and { "or" and } ;   and = not { "and" not } ;   add = mul { ( "+" | "-" | "++" ) mul } ;
 * mul = unary { ( "*" | "/" | "//" | "%" | "@" ) unary } */
static Expr *parse_binary(Parser *p, int level) {
    if (level == LevelNot)
        return parse_not(p);
    if (level == LevelUnary)
        return parse_unary(p);
    Expr *a = parse_binary(p, level + 1);
    for (Op op; (op = operator_of_level(p, level)) != OpNone;) {
        Span op_at = p->t.at;
        token_next(p);
        a = binary_of(p, op, op_at, a, parse_binary(p, level + 1));
    }
    return a;
}

/* The expression from byte `from` to the end of the text: of an option. */
Expr *parse_value(Ctx *c, const Source *src, int from) {
    Parser p = {.c = c, .lexer = lex_start(c, src, from, (int)src->n)};
    token_next(&p);
    if (token_is(&p, TokBroken))
        p.t = lex(&p.lexer);
    Expr *e = parse_expression(&p);
    token_take(&p, TokSep);
    if (!token_is(&p, TokEnd))
        unexpected(&p, "the end of the value");
    return e;
}

/* expr = "if" expr "then" expr "else" expr | or */
Expr *parse_expression(Parser *p) {
    Span at = p->t.at;
    Expr *e;
    if (!enter(p))
        e = expr_new(p, ENone, at);
    else if (token_take(p, TokIf)) {
        Expr *kid[3];
        kid[0] = parse_expression(p);
        token_expect(p, TokThen, "after the condition");
        kid[1] = parse_expression(p);
        token_expect(p, TokElse, "and a value for the other case");
        kid[2] = parse_expression(p);
        e = with_kids(p, EIf, since(p, at.from), 3, kid);
    } else
        e = parse_binary(p, LevelOr);
    leave(p);
    return e;
}

/* iter = expr [ ".." expr ] */
void parse_iter(Parser *p, Expr **lo, Expr **hi) {
    *lo = parse_expression(p);
    *hi = token_take(p, TokRange) ? parse_expression(p) : NULL;
}

/* ---- names for instances */

/* What stands from here to the end of the statement or of the bracket it is in. */
static Span rest(const Parser *p) {
    Span at = {p->t.at.src, p->t.at.from, p->t.at.from};
    const char *s = at.src->text;
    for (int depth = 0; s[at.to] && !strchr("\n#;{}", s[at.to]); at.to++) {
        if (strchr("([", s[at.to]))
            depth++;
        if (strchr(")]", s[at.to]) && depth-- == 0)
            break;
        if (s[at.to] == ',' && depth == 0)
            break;
    }
    while (at.to > at.from && strchr(" \t\r", s[at.to - 1]))
        at.to--;
    return at;
}

/* Rule 19. Nothing says whether `a as n + b` names a or a + b. */
void as_then_operator(Parser *p, const Expr *e) {
    bool goes_on = token_is(p, TokPower) || token_is(p, TokOpen) || token_is(p, TokDot) ||
                   token_is(p, TokWrite);
    for (int level = LevelOr; level < LevelUnary; level++)
        goes_on |= operator_of_level(p, level) != OpNone;
    if (!goes_on)
        return;
    Ctx *c = p->c;
    Span named = {e->at.src, e->at.from, p->before.to};
    error_at(c, p->t.at, "`as` ends an expression; found `%s` after it", source_text(c, p->t.at));
    help(c, "to name the block and go on: `(%s) %s`", source_text(c, named),
         source_text(c, rest(p)));
    give_up(p);
}

/* named = expr [ "as" path ] */
Expr *parse_named(Parser *p) {
    Expr *kid = parse_expression(p);
    int as = p->t.at.from;
    if (!token_take(p, TokAs))
        return kid;
    Path path = parse_path(p);
    Expr *e = with_kids(p, EAs, since(p, kid->at.from), 1, &kid);
    e->path = path;
    e->op_at = since(p, as);
    as_then_operator(p, kid);
    return e;
}
