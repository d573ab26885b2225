/* syntax_print.c: the syntax tree as text, for --dump=parse.
 *
 * It is `.mth` again, in one form: everything that binds loosely in parentheses, one statement a line. So it can be
 * read, and parsed, and printed again to the same text. */
#include "compiler.h"

#include <inttypes.h>

typedef struct Printer { Ctx *c; FILE *to; int depth; } Printer;

static void print_expr(Printer *p, const Expr *e);

static void put(Printer *p, const char *s) { fputs(s, p->to); }

static void put_kids(Printer *p, Expr *const *kid, int n)
{
    for (int i = 0; i < n; i++) {
        if (i) put(p, ", ");
        print_expr(p, kid[i]);
    }
}

/* As it was written: the tree keeps only what escapes mean. */
static void put_source(Printer *p, Span at) { fprintf(p->to, "%.*s", at.to - at.from, at.src->text + at.from); }

static void print_string(Printer *p, const Expr *e)
{
    Span at = e->at;
    while (at.src->text[at.from] == '(' || at.src->text[at.from] == ' ') at.from++;   /* of its own parentheses */
    while (at.src->text[at.to - 1] != '"') at.to--;
    put_source(p, at);
}

static void print_path(Printer *p, const Path *path)
{
    for (int i = 0; i < path->part.n; i++) {
        const struct PathPart *part = &path->part.at[i];
        if (part->index) { put(p, "["); print_expr(p, part->index); put(p, "]"); continue; }
        if (i) put(p, ".");
        if (part->string) print_string(p, part->string);
        else put(p, part->name);
    }
}

static void print_arg(Printer *p, const Arg *a)
{
    if (a->sep == '*') { put(p, "*"); return; }
    if (a->key) { print_expr(p, a->key); put(p, a->sep == ':' ? ": " : " = "); }
    print_expr(p, a->value);
}

static void print_sub(Printer *p, const Sub *s)
{
    if (s->kind == SubDots) put(p, "...");
    if (s->a) print_expr(p, s->a);
    if (s->kind == SubSlice) put(p, ":");
    if (s->kind == SubRun) put(p, " +: ");
    if (s->b) print_expr(p, s->b);
    if (s->s) { put(p, ":"); print_expr(p, s->s); }
}

static void print_list_for(Printer *p, const Expr *e)
{
    put(p, "[");
    print_expr(p, e->kid[0]);
    fprintf(p->to, " for %s%s%s in ", e->name, e->name2 ? ", " : "", e->name2 ? e->name2 : "");
    print_expr(p, e->kid[1]);
    if (e->kid[2]) { put(p, ".."); print_expr(p, e->kid[2]); }
    if (e->kid[3]) { put(p, " if "); print_expr(p, e->kid[3]); }
    put(p, "]");
}

/* Binary operators and whatever else could be taken apart by what stands beside it. */
static bool needs_parens(const Expr *e)
{
    return e->kind == EBinary || e->kind == EUnary || e->kind == EIf || e->kind == EAs;
}

static void print_number(Printer *p, const Expr *e)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", e->number);
    bool real = false;
    for (const char *s = text; *s; s++) real |= *s == '.' || *s == 'e';
    fprintf(p->to, real ? "%s" : "%s.0", text);
}

static void print_bare(Printer *p, const Expr *e)
{
    switch (e->kind) {
    case EInt:   fprintf(p->to, "%" PRId64, e->whole); break;
    case EFloat: print_number(p, e); break;
    case EBool:  put(p, e->whole ? "true" : "false"); break;
    case ENone:  put(p, "none"); break;
    case EName:  put(p, e->name); break;
    case EStr:   print_string(p, e); break;
    case EGroup: put(p, "("); put_kids(p, e->kid, e->n); put(p, ")"); break;
    case EList:  put(p, "["); put_kids(p, e->kid, e->n); put(p, "]"); break;
    case EListFor: print_list_for(p, e); break;
    case EUnary: fprintf(p->to, e->op == OpNot ? "%s " : "%s", op_text(e->op)); print_expr(p, e->kid[0]); break;
    case EBinary:
        print_expr(p, e->kid[0]);
        fprintf(p->to, " %s ", op_text(e->op));
        print_expr(p, e->kid[1]);
        break;
    case EIf:
        put(p, "if "); print_expr(p, e->kid[0]);
        put(p, " then "); print_expr(p, e->kid[1]);
        put(p, " else "); print_expr(p, e->kid[2]);
        break;
    case ECall:
        print_expr(p, e->kid[0]);
        put(p, "(");
        for (int i = 0; i < e->narg; i++) { if (i) put(p, ", "); print_arg(p, &e->arg[i]); }
        put(p, ")");
        break;
    case EIndex:
        print_expr(p, e->kid[0]);
        put(p, "[");
        for (int i = 0; i < e->nsub; i++) { if (i) put(p, ", "); print_sub(p, &e->sub[i]); }
        put(p, "]");
        break;
    case EAttr: print_expr(p, e->kid[0]); fprintf(p->to, ".%s", e->name); break;
    case EAs:   print_expr(p, e->kid[0]); put(p, " as "); print_path(p, &e->path); break;
    case EPack: print_expr(p, e->kid[0]); put(p, "..."); break;
    }
}

static void print_expr(Printer *p, const Expr *e)
{
    if (needs_parens(e)) put(p, "(");
    print_bare(p, e);
    if (needs_parens(e)) put(p, ")");
}

/* ---- types and lists of fields -------------------------------------------------------------------- */

static void print_dims(Printer *p, const DimList *d)
{
    static const char *const after[] = { [DimAt] = "", [DimDots] = "...", [DimPack] = "...", [DimMaybe] = "?" };
    if (!d->given) return;
    put(p, "[");
    for (int i = 0; i < d->n; i++) {
        if (i) put(p, ", ");
        if (d->at[i].e) print_expr(p, d->at[i].e);
        put(p, after[d->at[i].kind]);
    }
    put(p, "]");
}

static void print_type(Printer *p, const TypeExpr *t)
{
    if (t->list) {
        put(p, "[");
        print_type(p, t->list);
        if (t->count) { put(p, "; "); print_expr(p, t->count); }
        put(p, "]");
    } else if (t->name) put(p, t->name);
    print_dims(p, &t->dims);
    if (t->maybe) put(p, "?");
}

static void typed(Printer *p, const TypeExpr *t)
{
    if (t) { put(p, ": "); print_type(p, t); }
}

static void given(Printer *p, const char *before, const Expr *e)
{
    if (e) { put(p, before); print_expr(p, e); }
}

static void print_field(Printer *p, const Field *f)
{
    put(p, f->name);
    print_dims(p, &f->dims);
    given(p, " else ", f->outside);
    typed(p, f->type);
    given(p, " = ", f->init);
}

static void print_fields(Printer *p, const FieldList *f)
{
    if (!f->given) return;
    put(p, "(");
    for (int i = 0; i < f->n; i++) { if (i) put(p, ", "); print_field(p, &f->at[i]); }
    put(p, ")");
}

/* ---- statements ----------------------------------------------------------------------------------- */

static void line(Printer *p)
{
    fputc('\n', p->to);
    for (int i = 0; i < p->depth; i++) put(p, "    ");
}

static void print_doc(Printer *p, const char *doc)
{
    if (!doc) return;
    put(p, "## ");
    for (; *doc; doc++)
        if (*doc == '\n') { line(p); put(p, "## "); }
        else fputc(*doc, p->to);
    line(p);
}

static void print_stmt(Printer *p, const Stmt *s);

static void print_body(Printer *p, const Body *b)
{
    put(p, " {");
    p->depth++;
    for (int i = 0; i < b->n; i++) { line(p); print_stmt(p, b->at[i]); }
    p->depth--;
    line(p);
    put(p, "}");
}

static void print_iter(Printer *p, const Stmt *s)
{
    put(p, " in ");
    print_expr(p, s->lo);
    given(p, "..", s->hi);
}

static void print_as(Printer *p, const Stmt *s)
{
    if (s->named) { put(p, " as "); print_path(p, &s->path); }
}

static void print_refs(Printer *p, const Ref *r, int n)
{
    for (int i = 0; i < n; i++) {
        if (i) put(p, ", ");
        print_expr(p, r[i].e);
        typed(p, r[i].type);
    }
}

static void print_minimize(Printer *p, const Stmt *s)
{
    static const char *const how[] = { [Whole] = "", [Only] = " only ", [Except] = " except " };
    given(p, "minimize ", s->e);
    put(p, " {");
    p->depth++;
    for (int i = 0; i < s->ngroup; i++) {
        const Group *g = &s->group[i];
        line(p);
        put(p, "over ");
        for (int k = 0; k < g->n; k++) {
            if (k) put(p, ", ");
            print_expr(p, g->target[k].e);
            given(p, how[g->how[k]], g->glob[k]);
        }
        given(p, " with ", g->with);
    }
    for (int i = 0; i < s->nsetting; i++) { line(p); print_field(p, &s->setting[i]); }
    p->depth--;
    line(p);
    put(p, "}");
}

static void print_if(Printer *p, const Stmt *s)
{
    given(p, "if ", s->e);
    print_body(p, &s->body);
    if (!s->other.given) return;
    put(p, " else");
    bool chain = s->other.n == 1 && s->other.at[0]->kind == SIf && s->other.span.to == s->other.at[0]->at.to;
    if (!chain) { print_body(p, &s->other); return; }
    put(p, " ");
    print_if(p, s->other.at[0]);
}

static void print_stmt(Printer *p, const Stmt *s)
{
    static const char *const word[] = {
        [SIn] = "in", [SOut] = "out", [SParam] = "param", [SState] = "state", [SBlock] = "block", [SLet] = "let",
        [SFor] = "for", [SScan] = "scan", [SMetric] = "metric",
    };
    print_doc(p, s->doc);
    if (s->broken) { put(p, "# broken"); return; }
    switch (s->kind) {
    case SIn: case SOut: case SParam: case SState: case SLet: case SMetric:
        fprintf(p->to, "%s %s", word[s->kind], s->name);
        typed(p, s->type);
        given(p, " = ", s->e);
        if (s->frozen) put(p, " frozen");
        print_as(p, s);
        break;
    case SBlock:
        fprintf(p->to, "block %s", s->name);
        if (s->name2) { fprintf(p->to, "[%s", s->name2); print_iter(p, s); put(p, "]"); }
        given(p, " = ", s->e);
        print_as(p, s);
        break;
    case SRequire: given(p, "require ", s->e); given(p, ", ", s->message); break;
    case SChain:
        given(p, s->start ? "|= " : "+= ", s->e);
        print_as(p, s);
        if (s->nleft) { put(p, " -> "); print_refs(p, s->left, s->nleft); }
        break;
    case SAssign:
        print_refs(p, s->left, s->nleft);
        given(p, s->start ? " <- " : " = ", s->e);
        print_as(p, s);
        break;
    case SIf: print_if(p, s); break;
    case SFor: case SScan:
        fprintf(p->to, "%s %s%s%s", word[s->kind], s->name, s->name2 ? ", " : "", s->name2 ? s->name2 : "");
        print_iter(p, s);
        print_body(p, &s->body);
        break;
    case SWhile: given(p, "while ", s->e); print_body(p, &s->body); break;
    case SYield: given(p, "yield ", s->e); fprintf(p->to, " -> %s", s->name); given(p, " along ", s->along); break;
    case SReturn: put(p, "return "); put_kids(p, s->value, s->nvalue); break;
    case SMinimize: print_minimize(p, s); break;
    }
}

/* ---- declarations --------------------------------------------------------------------------------- */

static void print_use(Printer *p, const Item *it)
{
    put(p, "use ");
    if (it->path) print_string(p, it->path);
    else put(p, it->module);
    if (it->name) fprintf(p->to, " as %s", it->name);
    for (int i = 0; i < it->nselect; i++) fprintf(p->to, "%s%s", i ? ", " : ": ", it->select[i]);
}

static void print_braced_fields(Printer *p, const Item *it)
{
    put(p, " {");
    p->depth++;
    for (int i = 0; i < it->nfield; i++) {
        line(p);
        print_doc(p, it->field[i].doc);
        print_field(p, &it->field[i]);
    }
    p->depth--;
    line(p);
    put(p, "}");
}

static void print_export(Printer *p, const Item *it)
{
    given(p, "export ", it->e);
    if (it->name) fprintf(p->to, " as %s", it->name);
    if (!it->nentry) return;
    put(p, " {");
    p->depth++;
    for (int i = 0; i < it->nentry; i++) {
        const EntryItem *e = &it->entry[i];
        line(p);
        fprintf(p->to, "entry %s", e->name);
        for (int k = 0; k < e->nbound; k++) {
            fprintf(p->to, "%s%s", k ? ", " : ": ", e->bound[k].name);
            given(p, " = ", e->bound[k].lo);
            given(p, "..", e->bound[k].hi);
        }
        if (e->body.given) print_body(p, &e->body);
    }
    p->depth--;
    line(p);
    put(p, "}");
}

static void print_item(Printer *p, const Item *it)
{
    static const char *const word[] = {
        [IConfig] = "config ", [ILet] = "let ", [IModel] = "model ", [IOp] = "op ", [IExtern] = "extern op ",
        [IGradient] = "gradient ", [ITrain] = "train ",
    };
    print_doc(p, it->doc);
    if (it->kind == IUse) { print_use(p, it); return; }
    if (it->kind == IExport) { print_export(p, it); return; }
    if (it->kind == IEg) { given(p, "eg ", it->e); return; }
    fprintf(p->to, "%s%s", word[it->kind], it->name ? it->name : "_");
    typed(p, it->type);
    print_fields(p, &it->params);
    if (it->arrow) {
        put(p, " -> ");
        print_dims(p, &it->result_dims);
        typed(p, it->result_type);
        print_fields(p, &it->result);
    }
    given(p, " = ", it->e);
    if (it->body.given) print_body(p, &it->body);
    if (it->kind == IConfig || it->kind == IExtern) print_braced_fields(p, it);
}

void syntax_print(Ctx *c, const SyntaxFile *f, FILE *to)
{
    Printer p = { c, to, 0 };
    fprintf(to, "mth %d\n", f->version ? f->version : 1);
    for (int i = 0; i < f->n; i++) {
        print_item(&p, f->item[i]);
        fputc('\n', to);
    }
}
