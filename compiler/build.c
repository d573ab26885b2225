/* build.c: files become modules.
 *
 * Reads a file and, through `use`, all it needs, each once. A module's table of names has the
 * file's own declarations, then what `use` brings, then the operators of module `ops`, which is in
 * scope for everyone: an earlier one hides a later one. Then resolve.c goes over the bodies. */
#include "compiler.h"

#include <ctype.h>
#include <string.h>

typedef struct OpenFile { Module *module; struct OpenFile *up; } OpenFile;

struct Build {
    Map module;                         /* path, interned → Module * */
    VEC(Module *) all;                  /* in the order their reading ended: the used comes first */
    OpenFile *reading;                  /* those under way: one that turns up again is a cycle */
    Module *ops;
};

/* ---- where files are */

/* "a/./b/../c" is "a/c" */
static Name tidy_path(Ctx *c, const char *path) {
    size_t n = strlen(path), out = 0;
    char *s = alloc(c, n + 1);
    for (size_t i = 0; i < n;) {
        const char *end = strchr(path + i, '/');
        size_t k = end ? (size_t)(end - path) - i + 1 : n - i;
        bool here = (k == 2 && !strncmp(path + i, "./", 2)) || (k == 1 && path[i] == '/' && i > 0);
        bool up = k == 3 && !strncmp(path + i, "../", 3) && out > 0 &&
                  !(out >= 3 && !strncmp(s + out - 3, "../", 3)) && !(out == 1 && s[0] == '/');
        if (up) {
            out--;
            while (out > 0 && s[out - 1] != '/')
                out--;
        } else if (!here) {
            memcpy(s + out, path + i, k);
            out += k;
        }
        i += k;
    }
    return intern(c, s, out);
}

static Name beside(Ctx *c, const Source *src, const char *path) {
    const char *slash = strrchr(src->path, '/');
    int n = slash && path[0] != '/' ? (int)(slash - src->path) + 1 : 0;
    return tidy_path(c, format(c, "%.*s%s", n, src->path, path));
}

static const Source *source_at(Ctx *c, Name path) {
    Source *src = NEW(c, Source);
    src->path = path;
    src->text = read_file(c, path, &src->n);
    return src->text ? src : NULL;
}

/* `use nn`: nn.mth in a folder given by -I, else the library. */
static const Source *module_source(Ctx *c, Name n) {
    for (int i = 0; i < c->opt.include.n; i++) {
        const Source *src =
            source_at(c, tidy_path(c, format(c, "%s/%s.mth", c->opt.include.at[i], n)));
        if (src)
            return src;
    }
    return embedded_source(c, n);
}

static Module *known_module(Ctx *c, Name path) {
    return map_get(&c->build->module, path);
}

/* ---- declarations */

/* Text rule 3. */
static void check_capital(Ctx *c, const Item *it) {
    static const char *const what[] = {
        [IConfig] = "a config", [IModel] = "a model", [ITrain] = "a `train` block"};
    bool capital = isupper((unsigned char)it->name[0]),
         wanted = it->kind == IConfig || it->kind == IModel || it->kind == ITrain;
    if (it->name[0] == '_' || capital == wanted)
        return;
    if (wanted)
        error_at(c, it->name_at, "%s begins with a capital, found `%s`", what[it->kind], it->name);
    else
        error_at(c, it->name_at,
                 "`%s` begins with a capital, as only models, configs, `train` blocks and "
                 "dimension symbols do",
                 it->name);
}

static bool declares(const Item *it) {
    return it->name && it->kind != IExport && it->kind != IGradient && it->kind != IEg;
}

static void declare(Ctx *c, Module *m, Item *it) {
    Item *first = map_get(&m->names, it->name);
    if (it->kind != IUse)
        check_capital(c, it);
    if (!first) {
        map_put(c, &m->names, it->name, it);
        return;
    }
    error_at(c, it->name_at, "`%s` is declared twice", it->name);
    note_at(c, first->name_at, "the first is here");
}

static void bring(Ctx *c, Module *m, Item *it) {
    Item *other = map_get(&m->names, it->name);
    if (!other)
        map_put(c, &m->names, it->name, it);
    else if (other != it && other->module_in != m && !map_get(&m->twice, it->name))
        map_put(c, &m->twice, it->name, it);
}

static Item *declared_in(const Module *m, Name n) {
    for (int i = 0; i < m->syntax->n; i++) {
        Item *it = m->syntax->item[i];
        if (declares(it) && it->kind != IUse && it->name == n)
            return it;
    }
    return NULL;
}

static void no_such_name(Ctx *c, const Module *from, Name n, Span at) {
    Item *near = NULL;
    int best = 3;
    for (int i = 0; i < from->syntax->n; i++) {
        Item *it = from->syntax->item[i];
        int d = declares(it) ? edit_distance(n, it->name) : best;
        if (d < best)
            best = d, near = it;
    }
    error_at(c, at, "%s declares no `%s`", from->src->path, n);
    if (near)
        help(c, "did you mean `%s`?", near->name);
}

/* What a `use` adds to the names of its file: all, those selected, or only its own name. */
static void bring_used(Ctx *c, Module *m, const Item *use) {
    const Module *from = use->used;
    for (int i = 0; i < use->nselect; i++) {
        Item *it = declared_in(from, use->select[i]);
        if (it)
            bring(c, m, it);
        else
            no_such_name(c, from, use->select[i], use->select_at[i]);
    }
    if (use->nselect || use->name)
        return;
    for (int i = 0; i < from->syntax->n; i++) {
        Item *it = from->syntax->item[i];
        if (declares(it) && it->kind != IUse && it->kind != ITrain)
            bring(c, m, it);
    }
}

/* The operators are behind everything else. */
static void bring_operators(Ctx *c, Module *m) {
    const Module *ops = c->build->ops;
    for (int i = 0; ops && ops != m && i < ops->syntax->n; i++) {
        Item *it = ops->syntax->item[i];
        if (declares(it) && !map_get(&m->names, it->name))
            map_put(c, &m->names, it->name, it);
    }
}

/* ---- reading */

static Module *module_of(Ctx *c, SyntaxFile *syntax);

static Module *cycle(Ctx *c, const Item *use, const Module *m) {
    error_at(c, use->name_at, "%s is being read already: files use each other in a circle",
             m->src->path);
    Text t = {0};
    for (OpenFile *r = c->build->reading; r; r = r->up) {
        text_add(c, &t, "%s%s", t.n ? ", used by " : "", r->module->src->path);
        if (r->module == m)
            break;
    }
    help(c, "%s", t.s);
    return NULL;
}

static Module *under_way(Ctx *c, const Module *m) {
    for (OpenFile *r = c->build->reading; r; r = r->up)
        if (r->module == m)
            return r->module;
    return NULL;
}

static Module *used_module(Ctx *c, const Module *m, const Item *use) {
    const Source *src;
    if (use->module)
        src = module_source(c, use->module);
    else {
        Name path = beside(c, m->src, use->path->name);
        Module *seen = known_module(c, path);
        if (seen)
            return under_way(c, seen) ? cycle(c, use, seen) : seen;
        src = source_at(c, path);
        if (!src)
            error_at(c, use->name_at, "%s cannot be read", path);
    }
    if (!src) {
        if (use->module) {
            error_at(c, use->name_at, "there is no module `%s`", use->module);
            help(c,
                 "a file is used by its name in quotes: `use \"./%s.mth\"`; -I names a folder of "
                 "modules",
                 use->module);
        }
        return NULL;
    }
    Module *seen = known_module(c, tidy_path(c, src->path));
    if (seen)
        return under_way(c, seen) ? cycle(c, use, seen) : seen;
    return module_of(c, parse(c, src));
}

static void collect_names(Ctx *c, Module *m) {
    for (int i = 0; i < m->syntax->n; i++) {
        Item *it = m->syntax->item[i];
        it->module_in = m;
        if (declares(it))
            declare(c, m, it);
        if (it->kind == IExport)
            push(c, &m->exports, it);
    }
    for (int i = 0; i < m->syntax->n; i++) {
        Item *it = m->syntax->item[i];
        if (it->kind != IUse || (!it->module && !it->path))
            continue;
        it->used = used_module(c, m, it);
        if (it->used)
            bring_used(c, m, it);
    }
    bring_operators(c, m);
}

static Module *module_of(Ctx *c, SyntaxFile *syntax) {
    struct Build *b = c->build;
    Module *m = NEW(c, Module);
    OpenFile here = {m, b->reading};
    m->src = syntax->src;
    m->syntax = syntax;
    map_put(c, &b->module, tidy_path(c, m->src->path), m);
    b->reading = &here;
    collect_names(c, m);
    b->reading = here.up;
    push(c, &b->all, m);
    return m;
}

Module *build(Ctx *c, SyntaxFile *file) {
    c->build = NEW(c, struct Build);
    const Source *ops = module_source(c, name(c, "ops"));
    if (ops)
        c->build->ops = module_of(c, parse(c, ops));
    Module *m = module_of(c, file);
    for (int i = 0; i < c->build->all.n; i++)
        resolve(c, c->build->all.at[i]);
    return m;
}

/* ---- --dump=build */

static void print_names(const Module *m, FILE *to) {
    static const char *const kind[] = {
        [IUse] = "use",     [IConfig] = "config",     [ILet] = "let",           [IModel] = "model",
        [IOp] = "op",       [IExtern] = "extern op",  [IGradient] = "gradient", [IEg] = "eg",
        [ITrain] = "train", [IExport] = "export",
    };
    for (int i = 0; i < m->syntax->n; i++) {
        const Item *it = m->syntax->item[i];
        if (it->kind == IUse && it->used)
            fprintf(to, "  use %s\n", it->used->src->path);
        else if (it->kind != IEg)
            fprintf(to, "  %s %s\n", kind[it->kind], it->name ? it->name : "");
    }
}

void build_print(Ctx *c, const Module *m, FILE *to) {
    for (int i = 0; i < c->build->all.n; i++) {
        const Module *each = c->build->all.at[i];
        fprintf(to, "%s%s\n", each == m ? "main " : "", each->src->path);
        print_names(each, to);
    }
}
