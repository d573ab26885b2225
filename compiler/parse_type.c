/* parse_type.c: types, the fields that have them, and paths. */
#include "lex.h"

/* ---- paths */

/* path = ( NAME | STRING ) { "." NAME | "[" expr "]" } */
Path parse_path(Parser *p) {
    Path path = {.at = p->t.at};
    struct PathPart part = {0};
    if (token_is(p, TokString))
        part.string = parse_string(p);
    else
        part.name = expect_name(p, "a name or a string after `as`");
    for (;;) {
        if (part.name || part.string || part.index)
            push(p->c, &path.part, part);
        part = (struct PathPart){0};
        Span open = p->t.at;
        if (token_take(p, TokDot))
            part.name = expect_name(p, "a name after `.`");
        else if (token_take(p, TokOpenList))
            part.index = parse_expression(p), expect_close(p, TokCloseList, open);
        else
            break;
        if (token_is(p, TokBroken))
            break;
    }
    path.at = since(p, path.at.from);
    return path;
}

/* ---- types */

/* dim = "..." | expr [ "..." | "?" ] */
static DimExpr parse_dim(Parser *p) {
    int from = p->t.at.from;
    DimExpr d = {.kind = DimAt};
    if (token_take(p, TokDots))
        d.kind = DimDots;
    else {
        d.e = parse_expression(p);
        if (token_take(p, TokDots))
            d.kind = DimPack;
        else if (token_take(p, TokMaybe))
            d.kind = DimMaybe;
    }
    d.at = since(p, from);
    return d;
}

/* "[" [ dims ] "]" ;   dims = dim [ "," [ dims ] ] */
DimList parse_dims(Parser *p) {
    VEC(DimExpr) dims = {0};
    Span open = p->t.at;
    token_expect(p, TokOpenList, NULL);
    while (!token_is(p, TokCloseList) && !token_is(p, TokBroken)) {
        DimExpr d = parse_dim(p);
        push(p->c, &dims, d);
        if (!token_take(p, TokComma))
            break;
    }
    expect_close(p, TokCloseList, open);
    return (DimList){dims.at, dims.n, true};
}

/* type = ( "[" type [ ";" expr ] "]" | ( NAME | "block" | "model" ) [ "[" [ dims ] "]" ] ) [ "?" ]
 */
TypeExpr *parse_type(Parser *p) {
    TypeExpr *t = NEW(p->c, TypeExpr);
    Span open = p->t.at;
    if (!enter(p))
        ;
    else if (token_take(p, TokOpenList)) {
        t->list = parse_type(p);
        if (token_take(p, TokSemicolon))
            t->count = parse_expression(p);
        expect_close(p, TokCloseList, open);
    } else {
        bool word = token_is(p, TokBlock) || token_is(p, TokModel);
        t->name = word ? p->t.name : expect_name(p, "a type");
        if (word)
            token_next(p);
        if (token_is(p, TokOpenList))
            t->dims = parse_dims(p);
    }
    leave(p);
    t->maybe = token_take(p, TokMaybe);
    t->at = since(p, open.from);
    return t;
}

/* ---- fields */

/* field = NAME [ "[" [ dims ] "]" [ "else" expr ] ] [ ":" type ] [ "=" expr ] */
Field parse_field(Parser *p) {
    Field f = {.at = p->t.at, .doc = p->t.doc};
    f.name = expect_name(p, "a name");
    if (token_is(p, TokOpenList)) {
        f.dims = parse_dims(p);
        if (token_take(p, TokElse))
            f.outside = parse_expression(p);
    }
    if (token_take(p, TokColon))
        f.type = parse_type(p);
    if (token_take(p, TokAssign))
        f.init = parse_expression(p);
    return f;
}

/* params = "(" [ fields ] ")" ;   fields = field [ "," [ fields ] ] */
FieldList parse_params(Parser *p) {
    FieldVec v = {0};
    Span open = p->t.at;
    token_expect(p, TokOpen, "and parameters");
    while (!token_is(p, TokClose) && !token_is(p, TokBroken)) {
        Field f = parse_field(p);
        if (f.name)
            push(p->c, &v, f);
        if (!token_take(p, TokComma))
            break;
    }
    if (!token_take(p, TokClose) && !token_is(p, TokBroken)) {
        unexpected(p, "`,` or `)`");
        note_at(p->c, open, "to close this");
    }
    return (FieldList){v.at, v.n, true};
}
