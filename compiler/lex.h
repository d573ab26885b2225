/* lex.h: tokens, and what lex.c and the files of the parser share. Nothing else includes it. */
#ifndef LEX_H
#define LEX_H

#include "compiler.h"

/* X(enumerator, text, flags). Opens: a newline after it ends nothing. Leads: no statement begins
 * with it, so a newline before it ends nothing. AlsoName: a word only where the grammar asks for
 * it. Longer ones stand first. */
enum { Opens = 1, Leads = 2, AlsoName = 4 };
#define PUNCTUATION(X) \
    X(Dots, "...", 0)                  X(Range, "..", Opens) \
    X(Run, "+:", 0)                    X(Power, "**", Opens | Leads) \
    X(FloorDiv, "//", Opens | Leads)   X(Join, "++", Opens | Leads) \
    X(Begin, "|=", Opens)              X(Continue, "+=", Opens) \
    X(Arrow, "->", Opens | Leads)      X(Write, "<-", Opens) \
    X(Equal, "==", Opens | Leads)      X(Differ, "!=", Opens | Leads) \
    X(AtMost, "<=", Opens | Leads)     X(AtLeast, ">=", Opens | Leads) \
    X(Open, "(", Opens)                X(Close, ")", 0) \
    X(OpenList, "[", Opens)            X(CloseList, "]", 0) \
    X(OpenBody, "{", Opens)            X(CloseBody, "}", Leads) \
    X(Comma, ",", Opens)               X(Colon, ":", Opens) \
    X(Assign, "=", Opens | Leads)      X(Less, "<", Opens | Leads) \
    X(Greater, ">", Opens | Leads)     X(Plus, "+", Opens | Leads) \
    X(Minus, "-", Opens | Leads)       X(Star, "*", Opens | Leads) \
    X(Slash, "/", Opens | Leads)       X(Percent, "%", Opens | Leads) \
    X(At, "@", Opens | Leads)          X(Dot, ".", Leads) \
    X(Maybe, "?", 0)                   X(Semicolon, ";", 0)
#define WORDS(X) \
    X(Use, "use", 0)                X(As, "as", Leads)              X(Config, "config", 0) \
    X(Let, "let", 0)                X(Model, "model", 0)            X(OpWord, "op", 0) \
    X(Extern, "extern", 0)          X(Export, "export", 0)          X(Train, "train", 0) \
    X(Metric, "metric", 0)          X(Minimize, "minimize", 0)      X(Over, "over", 0) \
    X(With, "with", Leads)          X(Else, "else", Leads)          X(Block, "block", 0) \
    X(In, "in", 0)                  X(Out, "out", 0)                X(Param, "param", 0) \
    X(State, "state", 0)            X(Require, "require", 0)        X(If, "if", 0) \
    X(For, "for", 0)                X(Scan, "scan", 0)              X(While, "while", 0) \
    X(Yield, "yield", 0)            X(Return, "return", 0)          X(Then, "then", Opens | Leads) \
    X(Or, "or", Opens | Leads)      X(And, "and", Opens | Leads)    X(Not, "not", Opens) \
    X(True, "true", 0)              X(False, "false", 0)            X(None, "none", 0) \
    X(Frozen, "frozen", AlsoName)   X(Along, "along", AlsoName)     X(Only, "only", AlsoName) \
    X(Except, "except", AlsoName)   X(Entry, "entry", AlsoName)     X(Mth, "mth", AlsoName) \
    X(Eg, "eg", AlsoName)           X(Gradient, "gradient", AlsoName)

typedef enum TokenKind {
    TokBroken,                          /* an error was reported; no rule takes it, so all end */
    TokEnd, TokSep, TokName, TokInt, TokFloat, TokString,
#define X(kind, text, flags) Tok##kind,
    PUNCTUATION(X)
    WORDS(X)
#undef X
    TokenKinds
} TokenKind;

typedef struct Token {
    TokenKind kind;
    Span at;
    Name name;                          /* of a name or word; of a string, its text after escapes */
    int64_t whole;
    double number;
    const char *doc;                    /* the `##` lines above it */
} Token;

typedef struct Lexer {
    Ctx *c;
    const Source *src;
    int pos, end;
    TokenKind last;                     /* the token before, separators included */
    VEC(char) open;                     /* brackets that wait for their ends */
    bool has_next;
    Token next;                         /* read ahead, to know whether a newline counts */
    Text doc;
} Lexer;

bool        lex_text_ok(Ctx *c, const Source *src);     /* UTF-8 without NUL; else one error */
Lexer       lex_start(Ctx *c, const Source *src, int from, int to);
Token       lex(Lexer *l);
const char *token_text(TokenKind k);                    /* "...", "model"; NULL for the first */
bool        token_is_name(TokenKind k);

/* ---- the parser */

typedef struct Parser {
    Ctx *c;
    Lexer lexer;
    Token t;                            /* the one token of look-ahead */
    TokenKind was;                      /* its kind before it became TokBroken */
    Span before;                        /* the token before it */
    int depth;                          /* of the rules under way */
        bool in_train, too_deep;
    int errors;                         /* before the declaration under way */
} Parser;

enum { MostNested = 500, MostChained = 4000 };

/* parse_token.c */
bool token_is(const Parser *p, TokenKind k);
void token_next(Parser *p);
bool token_take(Parser *p, TokenKind k);                /* if it is there */
bool token_expect(Parser *p, TokenKind k, const char *where);   /* "after the condition", or NULL */
void token_skip(Parser *p);                             /* also over what is broken */
Name expect_name(Parser *p, const char *what);
void expect_close(Parser *p, TokenKind k, Span open);   /* the bracket opened there */
bool another(Parser *p, TokenKind close, const char *wanted);   /* is there one more? */
void unexpected(Parser *p, const char *wanted);
void give_up(Parser *p);                                /* an error was reported: all rules end */
void too_deep(Parser *p, const char *what);
bool enter(Parser *p);                                  /* one level deeper; too deep is an error */
void leave(Parser *p);
Span since(const Parser *p, int from);                  /* from a byte up to the last token taken */
bool starts_item(TokenKind k);
bool starts_item_only(TokenKind k);                     /* and no statement */
bool at_margin(Span at);
void start_again(Parser *p, int open);                  /* brackets opened since are forgotten */
void recover(Parser *p, int open);                      /* to the end of the statement */

/* parse_expr.c */
Expr *parse_expression(Parser *p);
Expr *parse_named(Parser *p);
Expr *parse_postfix(Parser *p);
Expr *parse_ref(Parser *p);
Expr *parse_string(Parser *p);
void  parse_iter(Parser *p, Expr **lo, Expr **hi);
void  as_then_operator(Parser *p, const Expr *e);       /* after `e as path` */

/* parse_type.c */
typedef VEC(Field) FieldVec;
TypeExpr *parse_type(Parser *p);
DimList   parse_dims(Parser *p);                        /* `[` dims `]`, at the bracket */
Path      parse_path(Parser *p);
Field     parse_field(Parser *p);
FieldList parse_params(Parser *p);

/* parse_stmt.c */
Body parse_body(Parser *p);
Body parse_statements(Parser *p, Span open);            /* behind the brace */

#endif
