/* syntax_print.c: the syntax tree as text, for --dump=parse.
 *
 * It is `.mth` again, in one form: everything that binds loosely in parentheses, one statement a
 * line. So it can be read, and parsed, and printed again to the same text. */
#include "compiler.h"

#include <inttypes.h>

typedef struct TreeWriter { Ctx *c; FILE *to; int depth; } TreeWriter;

static void put_expr(TreeWriter *p, const Expr *e);

static void put_raw(TreeWriter *p, const char *s) {
    fputs(s, p->to);
}

static void put_kids(TreeWriter *p, Expr *const *kid, int n) {
    for (int i = 0; i < n; i++) {
        if (i)
            put_raw(p, ", ");
        put_expr(p, kid[i]);
    }
}

/* As it was written: the tree keeps only what escapes mean. */
static void put_source(TreeWriter *p, Span at) {
    fprintf(p->to, "%.*s", at.to - at.from, at.src->text + at.from);
}

static void put_string(TreeWriter *p, const Expr *e) {
    Span at = e->at;
    while (at.src->text[at.from] == '(' || at.src->text[at.from] == ' ')
        at.from++; /* of its own parentheses */
    while (at.src->text[at.to - 1] != '"')
        at.to--;
    put_source(p, at);
}

static void put_path(TreeWriter *p, const Path *path) {
    for (int i = 0; i < path->part.n; i++) {
        const struct PathPart *part = &path->part.at[i];
        if (part->index) {
            put_raw(p, "[");
            put_expr(p, part->index);
            put_raw(p, "]");
            continue;
        }
        if (i)
            put_raw(p, ".");
        if (part->string)
            put_string(p, part->string);
        else
            put_raw(p, part->name);
    }
}

static void put_arg(TreeWriter *p, const Arg *a) {
    if (a->sep == '*') {
        put_raw(p, "*");
        return;
    }
    if (a->key) {
        put_expr(p, a->key);
        put_raw(p, a->sep == ':' ? ": " : " = ");
    }
    put_expr(p, a->value);
}

static void put_sub(TreeWriter *p, const Sub *s) {
    if (s->kind == SubDots)
        put_raw(p, "...");
    if (s->a)
        put_expr(p, s->a);
    if (s->kind == SubSlice)
        put_raw(p, ":");
    if (s->kind == SubRun)
        put_raw(p, " +: ");
    if (s->b)
        put_expr(p, s->b);
    if (s->s) {
        put_raw(p, ":");
        put_expr(p, s->s);
    }
}

static void put_list_for(TreeWriter *p, const Expr *e) {
    put_raw(p, "[");
    put_expr(p, e->kid[0]);
    fprintf(p->to, " for %s%s%s in ", e->name, e->name2 ? ", " : "", e->name2 ? e->name2 : "");
    put_expr(p, e->kid[1]);
    if (e->kid[2]) {
        put_raw(p, "..");
        put_expr(p, e->kid[2]);
    }
    if (e->kid[3]) {
        put_raw(p, " if ");
        put_expr(p, e->kid[3]);
    }
    put_raw(p, "]");
}

/* Binary operators and whatever else could be taken apart by what stands beside it. */
static bool needs_parens(const Expr *e) {
    return e->kind == EBinary || e->kind == EUnary || e->kind == EIf || e->kind == EAs;
}

static void put_float(TreeWriter *p, const Expr *e) {
    char text[40];
    snprintf(text, sizeof text, "%.17g", e->number);
    bool real = false;
    for (const char *s = text; *s; s++)
        real |= *s == '.' || *s == 'e';
    fprintf(p->to, real ? "%s" : "%s.0", text);
}

static void put_bare(TreeWriter *p, const Expr *e) {
    switch (e->kind) {
    case EInt:
        fprintf(p->to, "%" PRId64, e->whole);
        break;
    case EFloat:
        put_float(p, e);
        break;
    case EBool:
        put_raw(p, e->whole ? "true" : "false");
        break;
    case ENone:
        put_raw(p, "none");
        break;
    case EName:
        put_raw(p, e->name);
        break;
    case EStr:
        put_string(p, e);
        break;
    case EGroup:
        put_raw(p, "(");
        put_kids(p, e->kid, e->n);
        put_raw(p, ")");
        break;
    case EList:
        put_raw(p, "[");
        put_kids(p, e->kid, e->n);
        put_raw(p, "]");
        break;
    case EListFor:
        put_list_for(p, e);
        break;
    case EUnary:
        fprintf(p->to, e->op == OpNot ? "%s " : "%s", op_text(e->op));
        put_expr(p, e->kid[0]);
        break;
    case EBinary:
        put_expr(p, e->kid[0]);
        fprintf(p->to, " %s ", op_text(e->op));
        put_expr(p, e->kid[1]);
        break;
    case EIf:
        put_raw(p, "if ");
        put_expr(p, e->kid[0]);
        put_raw(p, " then ");
        put_expr(p, e->kid[1]);
        put_raw(p, " else ");
        put_expr(p, e->kid[2]);
        break;
    case ECall:
        put_expr(p, e->kid[0]);
        put_raw(p, "(");
        for (int i = 0; i < e->narg; i++) {
            if (i)
                put_raw(p, ", ");
            put_arg(p, &e->arg[i]);
        }
        put_raw(p, ")");
        break;
    case EIndex:
        put_expr(p, e->kid[0]);
        put_raw(p, "[");
        for (int i = 0; i < e->nsub; i++) {
            if (i)
                put_raw(p, ", ");
            put_sub(p, &e->sub[i]);
        }
        put_raw(p, "]");
        break;
    case EAttr:
        put_expr(p, e->kid[0]);
        fprintf(p->to, ".%s", e->name);
        break;
    case EAs:
        put_expr(p, e->kid[0]);
        put_raw(p, " as ");
        put_path(p, &e->path);
        break;
    case EPack:
        put_expr(p, e->kid[0]);
        put_raw(p, "...");
        break;
    }
}

static void put_expr(TreeWriter *p, const Expr *e) {
    if (needs_parens(e))
        put_raw(p, "(");
    put_bare(p, e);
    if (needs_parens(e))
        put_raw(p, ")");
}

/* ---- types and lists of fields */

static void put_dims(TreeWriter *p, const DimList *d) {
    static const char *const after[] = {
        [DimAt] = "", [DimDots] = "...", [DimPack] = "...", [DimMaybe] = "?"};
    if (!d->given)
        return;
    put_raw(p, "[");
    for (int i = 0; i < d->n; i++) {
        if (i)
            put_raw(p, ", ");
        if (d->at[i].e)
            put_expr(p, d->at[i].e);
        put_raw(p, after[d->at[i].kind]);
    }
    put_raw(p, "]");
}

static void put_type(TreeWriter *p, const TypeExpr *t) {
    if (t->list) {
        put_raw(p, "[");
        put_type(p, t->list);
        if (t->count) {
            put_raw(p, "; ");
            put_expr(p, t->count);
        }
        put_raw(p, "]");
    } else if (t->name)
        put_raw(p, t->name);
    put_dims(p, &t->dims);
    if (t->maybe)
        put_raw(p, "?");
}

static void put_typed(TreeWriter *p, const TypeExpr *t) {
    if (t) {
        put_raw(p, ": ");
        put_type(p, t);
    }
}

static void put_given(TreeWriter *p, const char *before, const Expr *e) {
    if (e) {
        put_raw(p, before);
        put_expr(p, e);
    }
}

static void put_field(TreeWriter *p, const Field *f) {
    put_raw(p, f->name);
    put_dims(p, &f->dims);
    put_given(p, " else ", f->outside);
    put_typed(p, f->type);
    put_given(p, " = ", f->init);
}

static void put_fields(TreeWriter *p, const FieldList *f) {
    if (!f->given)
        return;
    put_raw(p, "(");
    for (int i = 0; i < f->n; i++) {
        if (i)
            put_raw(p, ", ");
        put_field(p, &f->at[i]);
    }
    put_raw(p, ")");
}

/* ---- statements */

static void put_newline(TreeWriter *p) {
    fputc('\n', p->to);
    for (int i = 0; i < p->depth; i++)
        put_raw(p, "    ");
}

static void put_doc(TreeWriter *p, const char *doc) {
    if (!doc)
        return;
    put_raw(p, "## ");
    for (; *doc; doc++)
        if (*doc == '\n') {
            put_newline(p);
            put_raw(p, "## ");
        } else
            fputc(*doc, p->to);
    put_newline(p);
}

static void put_stmt(TreeWriter *p, const Stmt *s);

static void put_body(TreeWriter *p, const Body *b) {
    put_raw(p, " {");
    p->depth++;
    for (int i = 0; i < b->n; i++) {
        put_newline(p);
        put_stmt(p, b->at[i]);
    }
    p->depth--;
    put_newline(p);
    put_raw(p, "}");
}

static void put_iter(TreeWriter *p, const Stmt *s) {
    put_raw(p, " in ");
    put_expr(p, s->lo);
    put_given(p, "..", s->hi);
}

static void put_as(TreeWriter *p, const Stmt *s) {
    if (s->named) {
        put_raw(p, " as ");
        put_path(p, &s->path);
    }
}

static void put_refs(TreeWriter *p, const Ref *r, int n) {
    for (int i = 0; i < n; i++) {
        if (i)
            put_raw(p, ", ");
        put_expr(p, r[i].e);
        put_typed(p, r[i].type);
    }
}

static void put_minimize(TreeWriter *p, const Stmt *s) {
    static const char *const how[] = { [Whole] = "", [Only] = " only ", [Except] = " except " };
    put_given(p, "minimize ", s->e);
    put_raw(p, " {");
    p->depth++;
    for (int i = 0; i < s->ngroup; i++) {
        const Group *g = &s->group[i];
        put_newline(p);
        put_raw(p, "over ");
        for (int k = 0; k < g->n; k++) {
            if (k)
                put_raw(p, ", ");
            put_expr(p, g->target[k].e);
            put_given(p, how[g->how[k]], g->glob[k]);
        }
        put_given(p, " with ", g->with);
    }
    for (int i = 0; i < s->nsetting; i++) {
        put_newline(p);
        put_field(p, &s->setting[i]);
    }
    p->depth--;
    put_newline(p);
    put_raw(p, "}");
}

static void put_if(TreeWriter *p, const Stmt *s) {
    put_given(p, "if ", s->e);
    put_body(p, &s->body);
    if (!s->other.given)
        return;
    put_raw(p, " else");
    bool chain =
        s->other.n == 1 && s->other.at[0]->kind == SIf && s->other.span.to == s->other.at[0]->at.to;
    if (!chain) {
        put_body(p, &s->other);
        return;
    }
    put_raw(p, " ");
    put_if(p, s->other.at[0]);
}

static void put_stmt(TreeWriter *p, const Stmt *s) {
    static const char *const word[] = {
        [SIn] = "in", [SOut] = "out", [SParam] = "param", [SState] = "state", [SLet] = "let",
        [SFor] = "for", [SScan] = "scan", [SMetric] = "metric",
    };
    put_doc(p, s->doc);
    if (s->broken) {
        put_raw(p, "# broken");
        return;
    }
    switch (s->kind) {
    case SIn:
    case SOut:
    case SParam:
    case SState:
    case SLet:
    case SMetric:
        fprintf(p->to, "%s %s", word[s->kind], s->name);
        put_typed(p, s->type);
        put_given(p, " = ", s->e);
        if (s->frozen)
            put_raw(p, " frozen");
        put_as(p, s);
        break;
    case SBlock:
        fprintf(p->to, "block %s", s->name);
        if (s->name2) {
            fprintf(p->to, "[%s", s->name2);
            put_iter(p, s);
            put_raw(p, "]");
        }
        put_given(p, " = ", s->e);
        put_as(p, s);
        break;
    case SRequire:
        put_given(p, "require ", s->e);
        put_given(p, ", ", s->message);
        break;
    case SChain:
        put_given(p, s->start ? "|= " : "+= ", s->e);
        put_as(p, s);
        if (s->nleft) {
            put_raw(p, " -> ");
            put_refs(p, s->left, s->nleft);
        }
        break;
    case SAssign:
        put_refs(p, s->left, s->nleft);
        put_given(p, s->start ? " <- " : " = ", s->e);
        put_as(p, s);
        break;
    case SIf:
        put_if(p, s);
        break;
    case SFor:
    case SScan:
        fprintf(p->to, "%s %s%s%s", word[s->kind], s->name, s->name2 ? ", " : "",
                s->name2 ? s->name2 : "");
        put_iter(p, s);
        put_body(p, &s->body);
        break;
    case SWhile:
        put_given(p, "while ", s->e);
        put_body(p, &s->body);
        break;
    case SYield:
        put_given(p, "yield ", s->e);
        fprintf(p->to, " -> %s", s->name);
        put_given(p, " along ", s->along);
        break;
    case SReturn:
        put_raw(p, "return ");
        put_kids(p, s->value, s->nvalue);
        break;
    case SMinimize:
        put_minimize(p, s);
        break;
    }
}

/* ---- declarations */

static void put_use(TreeWriter *p, const Item *it) {
    put_raw(p, "use ");
    if (it->path)
        put_string(p, it->path);
    else
        put_raw(p, it->module);
    if (it->name)
        fprintf(p->to, " as %s", it->name);
    for (int i = 0; i < it->nselect; i++)
        fprintf(p->to, "%s%s", i ? ", " : ": ", it->select[i]);
}

static void put_braced_fields(TreeWriter *p, const Item *it) {
    put_raw(p, " {");
    p->depth++;
    for (int i = 0; i < it->nfield; i++) {
        put_newline(p);
        put_doc(p, it->field[i].doc);
        put_field(p, &it->field[i]);
    }
    p->depth--;
    put_newline(p);
    put_raw(p, "}");
}

static void put_export(TreeWriter *p, const Item *it) {
    put_given(p, "export ", it->e);
    if (it->name)
        fprintf(p->to, " as %s", it->name);
    if (!it->nentry)
        return;
    put_raw(p, " {");
    p->depth++;
    for (int i = 0; i < it->nentry; i++) {
        const EntryItem *e = &it->entry[i];
        put_newline(p);
        fprintf(p->to, "entry %s", e->name);
        for (int k = 0; k < e->nbound; k++) {
            fprintf(p->to, "%s%s", k ? ", " : ": ", e->bound[k].name);
            put_given(p, " = ", e->bound[k].lo);
            put_given(p, "..", e->bound[k].hi);
        }
        if (e->body.given)
            put_body(p, &e->body);
    }
    p->depth--;
    put_newline(p);
    put_raw(p, "}");
}

static void put_item(TreeWriter *p, const Item *it) {
    static const char *const word[] = {
        [IConfig] = "config ",    [ILet] = "let ",           [IModel] = "model ", [IOp] = "op ",
        [IExtern] = "extern op ", [IGradient] = "gradient ", [ITrain] = "train ",
    };
    put_doc(p, it->doc);
    if (it->kind == IUse) {
        put_use(p, it);
        return;
    }
    if (it->kind == IExport) {
        put_export(p, it);
        return;
    }
    if (it->kind == IEg) {
        put_given(p, "eg ", it->e);
        return;
    }
    fprintf(p->to, "%s%s", word[it->kind], it->name ? it->name : "_");
    put_typed(p, it->type);
    put_fields(p, &it->params);
    if (it->arrow) {
        put_raw(p, " -> ");
        put_dims(p, &it->result_dims);
        put_typed(p, it->result_type);
        put_fields(p, &it->result);
    }
    put_given(p, " = ", it->e);
    if (it->body.given)
        put_body(p, &it->body);
    if (it->kind == IConfig || it->kind == IExtern)
        put_braced_fields(p, it);
}

void syntax_print(Ctx *c, const SyntaxFile *f, FILE *to) {
    TreeWriter p = {c, to, 0};
    fprintf(to, "mth %d\n", f->version ? f->version : 1);
    for (int i = 0; i < f->n; i++) {
        put_item(&p, f->item[i]);
        fputc('\n', to);
    }
}
