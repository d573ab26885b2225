/* weights.c: gives the parameters of a program their data, strictly.
 *
 * needs: a program whose parameters have numbers for sizes. gives: `data` of each, dense, in the
 * type it is stored in. What a parameter takes is the array of its full name, or what its line in
 * the map says; shape and type must be the declared ones. Only a `float`, whose precision the
 * model leaves open, takes any float type of the file. */
#include "archive.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MostReports = 10, MostNamed = 8 };

typedef struct Want { Tensor *tensor; MapLine *line; const Array *array; } Want;

typedef struct Loading {
    Ctx *c;
    const char *path;
    Archive *archive;
    MapLines line;
    Map arrays, taken;                  /* name → Array; those a parameter takes */
    VEC(Want) want;
    VEC(Name) missing;
    int wrong;
    bool partial;
} Loading;

static const char *shown_name(const Loading *l, Name n) {
    return shown(l->c, n, strlen(n));
}

/* Is this one still to be told? */
static bool is_told(Loading *l) {
    return ++l->wrong > MostReports;
}

/* ---- who takes what */

/* Rule 23: a state that no entry writes is as good as a parameter. */
static bool is_only_read(const Program *p, int state) {
    for (int i = 0; i < p->n; i++)
        if (p->graph[i]->last_state && p->graph[i]->last_state[state] != p->state.at[state])
            return false;
    return true;
}

static void add_want(Loading *l, Tensor *t) {
    push(l->c, &l->want, ((Want){ .tensor = t }));
}

static void collect_wants(Loading *l, const Program *p) {
    for (int i = 0; i < p->param.n; i++)
        add_want(l, p->param.at[i]);
    for (int i = 0; i < p->state.n; i++)
        if (is_only_read(p, i))
            add_want(l, p->state.at[i]);
}

/* Of names, the one most like `n`; what cannot beat the best so far is not measured. */
static void nearer(Name candidate, Name n, Name *best, int *least) {
    int differ = abs((int)strlen(candidate) - (int)strlen(n));
    int d = differ < *least ? edit_distance(candidate, n) : *least;
    if (d >= *least)
        return;
    *least = d;
    *best = candidate;
}

static Name nearest_array(const Loading *l, Name n) {
    Name free_one = NULL, any = NULL;
    int free_least = INT_MAX, any_least = INT_MAX;
    for (int i = 0; i < l->archive->n; i++) {
        Name candidate = l->archive->at[i].name;
        if (!map_get(&l->taken, candidate))
            nearer(candidate, n, &free_one, &free_least);
        else
            nearer(candidate, n, &any, &any_least);
    }
    return free_one ? free_one : any;
}

static Name nearest_parameter(const Loading *l, Name n) {
    Name best = NULL;
    int least = INT_MAX;
    for (int i = 0; i < l->want.n; i++)
        nearer(l->want.at[i].tensor->path, n, &best, &least);
    return best;
}

static void suggest_name(const Loading *l, const char *what, Name nearest) {
    if (nearest)
        help(l->c, "the nearest name %s is `%s`", what, shown_name(l, nearest));
}

static void take_array(Loading *l, Want *w) {
    Name n = w->line ? w->line->from : w->tensor->path;
    w->array = map_get(&l->arrays, n);
    if (w->array)
        map_put(l->c, &l->taken, n, (void *)n);
}

static void take_lines(Loading *l) {
    Map parameters = { 0 };
    for (int i = 0; i < l->want.n; i++)
        map_put(l->c, &parameters, l->want.at[i].tensor->path, &l->want.at[i]);
    for (int i = 0; i < l->line.n; i++) {
        MapLine *line = &l->line.at[i];
        Want *w = map_get(&parameters, line->to);
        if (w)
            w->line = line;
        else if (!is_told(l)) {
            error_at(l->c, line->to_at, "the model has no parameter `%s`", shown_name(l, line->to));
            suggest_name(l, "in the model", nearest_parameter(l, line->to));
        }
    }
}

static void index_arrays(Loading *l) {
    for (int i = 0; i < l->archive->n; i++)
        map_put(l->c, &l->arrays, l->archive->at[i].name, &l->archive->at[i]);
}

/* ---- what does not fit */

static bool report_missing(Loading *l, const Want *w) {
    Name n = w->tensor->path;
    if (w->line && !is_told(l)) {
        error_at(l->c, w->line->from_at, "%s has no array `%s`", l->path,
                 shown_name(l, w->line->from));
        suggest_name(l, "in the file", nearest_array(l, w->line->from));
    } else if (!w->line && l->partial) {
        push(l->c, &l->missing, n);
    } else if (!w->line && !is_told(l)) {
        error_plain(l->c, "%s has no array `%s`, which the model needs as %s", l->path,
                    shown_name(l, n), type_text(l->c, &w->tensor->type));
        suggest_name(l, "in the file", nearest_array(l, n));
    }
    return false;
}

static bool sizes_known(Loading *l, const Tensor *t) {
    int64_t n;
    for (int i = 0; i < t->type.rank; i++) {
        if (dim_number(t->type.dim[i], &n))
            continue;
        if (is_told(l))
            return false;
        error_plain(
            l->c, "parameter `%s` is %s: `%s` must be a number before weights can be loaded",
            shown_name(l, t->path), type_text(l->c, &t->type), dim_text(l->c, t->type.dim[i]));
        return false;
    }
    return true;
}

static bool same_shape(const Type *t, const Array *a) {
    if (t->rank != a->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (!dim_is(t->dim[i], a->dim[i]))
            return false;
    return true;
}

static bool is_stored_float(Elem e) {
    return e == F16 || e == BF16 || e == F32 || e == F64;
}

static bool same_elem(const Loading *l, Elem want, Elem have) {
    return want == Float ? is_stored_float(have) : elem_storage(l->c, want) == have;
}

static bool report_mismatch(Loading *l, const Want *w, const Array *a) {
    const Tensor *t = w->tensor;
    if (is_told(l))
        return false;
    const char *text =
        format(l->c, "`%s` in %s is %s%s; parameter `%s` is %s", shown_name(l, a->name), l->path,
               array_type(l->c, a), w->line && w->line->step.n ? " after these steps" : "",
               shown_name(l, t->path), type_text(l->c, &t->type));
    if (w->line)
        error_at(l->c, span_join(w->line->to_at, w->line->from_at), "%s", text);
    else
        error_plain(l->c, "%s", text);
    if (t->at.src)
        note_at(l->c, t->at, "declared here");
    return false;
}

/* ---- data */

static const void *stored_data(Ctx *c, const Array *a, Elem to) {
    size_t count, bytes;
    if (a->elem == to)
        return a->data;
    Array fresh = *a;
    fresh.elem = to;
    if (!array_size(&fresh, &count, &bytes))
        return a->data; /* nothing a file holds is that large */
    void *data = alloc(c, bytes + 1);
    for (int64_t i = 0; i < (int64_t)count; i++) {
        double v;
        elem_read(a->elem, a->data, i, 0, &v, 1);
        elem_write(to, data, i, v);
    }
    return data;
}

static bool fill_want(Loading *l, Want *w) {
    Tensor *t = w->tensor;
    if (w->line && w->line->wrong)
        return false;
    if (!w->array)
        return report_missing(l, w);
    if (!sizes_known(l, t))
        return false;
    Array a = *w->array;
    if (w->line && !map_apply(l->c, w->line, &a))
        return l->wrong++, false;
    if (!same_shape(&t->type, &a) || !same_elem(l, t->type.elem, a.elem))
        return report_mismatch(l, w, &a);
    t->data = stored_data(l->c, &a, elem_storage(l->c, t->type.elem));
    return true;
}

/* ---- notes */

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static char *listed(const Loading *l, const Name *n, int count) {
    Text t = { 0 };
    for (int i = 0; i < count && i < MostNamed; i++)
        text_add(l->c, &t, "%s%s", i ? ", " : "", shown_name(l, n[i]));
    if (count > MostNamed)
        text_add(l->c, &t, ", …");
    return t.s;
}

/* PyTorch counts the batches a norm has seen; no model reads that. */
static void note_excess(const Loading *l) {
    VEC(Name) excess = { 0 };
    for (int i = 0; i < l->archive->n; i++) {
        Name n = l->archive->at[i].name;
        if (!map_get(&l->taken, n) && !ends_with(n, ".num_batches_tracked"))
            push(l->c, &excess, n);
    }
    if (excess.n)
        fprintf(stderr, "note: %s has %d array%s no parameter takes: %s\n", l->path, excess.n,
                excess.n == 1 ? "" : "s", listed(l, excess.at, excess.n));
}

static void note_missing(const Loading *l) {
    if (l->missing.n)
        fprintf(stderr, "note: %s lacks %d parameter%s, left without data: %s\n", l->path,
                l->missing.n, l->missing.n == 1 ? "" : "s", listed(l, l->missing.at, l->missing.n));
}

bool weights_load(Ctx *c, Program *p, const char *path, const char *map, bool partial) {
    Loading l = { .c = c, .path = path, .partial = partial };
    l.archive = archive_read(c, path);
    bool good = l.archive && (!map || map_read(c, map, &l.line));
    if (!l.archive)
        return false;
    index_arrays(&l);
    collect_wants(&l, p);
    take_lines(&l);
    for (int i = 0; i < l.want.n; i++)
        take_array(&l, &l.want.at[i]);
    for (int i = 0; i < l.want.n; i++)
        fill_want(&l, &l.want.at[i]);
    if (l.wrong > MostReports)
        error_plain(c, "%s: and %d more that do not fit", path, l.wrong - MostReports);
    if (!good || l.wrong)
        return false;
    note_excess(&l);
    note_missing(&l);
    return true;
}
