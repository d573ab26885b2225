/* rowmatch.c: the axes of an op's tensors are matched with the indices of its signature.
 *
 * Ranks are known, so sequences (`...`, `h...`) are written out first; nothing later knows of them.
 * Then each axis is an equation: its size is the product of its indices' sizes. Equations are
 * solved in any order, one unknown at a time, by exact division (rule 63). */
#include "row.h"

#include <string.h>

int row_seq(Row *r, Name n) {
    for (int k = 0; k < r->nseq; k++)
        if (r->seq[k].name == n)
            return r->seq[k].n;
    return -1;
}

void row_seq_set(Row *r, Name n, int len) {
    if (row_seq(r, n) >= 0)
        return;
    if (r->nseq == MaxNames) {
        row_error(r, r->decl->at, "%s has too many names", r->decl->name);
        return;
    }
    r->seq[r->nseq].name = n;
    r->seq[r->nseq++].n = len;
}

RowIndex *row_index_find(Row *r, Name n, int seq) {
    for (int k = r->nindex - 1; k >= 0; k--)
        if (r->index[k].name == n && r->index[k].seq == seq && r->index[k].live)
            return &r->index[k];
    return NULL;
}

static Name index_name(Row *r, Name n, int seq) {
    return seq == Plain || row_seq(r, n) == 1 ? n : name(r->c, "%s%d", n, seq + 1);
}

/* A new index; a binder that ended, of the same name and size, comes back, so that equal reductions
 * are equal. */
RowIndex *row_index_add(Row *r, Name n, int seq, Dim size, Name from) {
    for (int k = 0; k < r->nindex; k++) {
        RowIndex *old = &r->index[k];
        if (!old->live && old->name == n && old->seq == seq && old->size == size) {
            old->live = true;
            return old;
        }
    }
    if (r->nindex == MaxNames) {
        row_error(r, r->decl->at, "%s has too many indices", r->decl->name);
        return NULL;
    }
    RowIndex *i = &r->index[r->nindex++];
    *i = (RowIndex){ .name = n, .seq = seq, .size = size, .live = true, .from = from };
    i->index = index_new(r->c, index_name(r, n, seq), size);
    return i;
}

/* ---- how often `…` is written out */

static void foundname(Row *r, Name n, int *times) {
    int len = row_seq(r, n);
    Bind *b = scope_find(r->scope, n);
    for (int k = 0; len < 0 && k < r->nseq; k++)
        if (is_size_name(n, r->seq[k].name))
            len = r->seq[k].n;
    if (len < 0 && b && b->known && b->value.kind == VList)
        len = b->value.n;
    if (len < 0)
        return;
    if (*times >= 0 && *times != len && !r->bad)
        row_error(r, r->decl->line, "%s: `%s` is %d long, and what stands beside it %d",
                  r->decl->name, n, len, *times);
    *times = len;
}

static void sequence_length(Row *r, Expr *e, int *times) {
    if (!e)
        return;
    if (e->kind == EName)
        foundname(r, e->name, times);
    for (int k = 0; k < e->n; k++)
        sequence_length(r, e->kid[k], times);
    for (int k = 0; k < e->narg; k++) {
        sequence_length(r, e->arg[k].key, times);
        sequence_length(r, e->arg[k].value, times);
    }
    for (int k = 0; k < e->nsub; k++)
        sequence_length(r, e->sub[k].a, times);
}

int row_times(Row *r, Expr *e) {
    int times = -1;
    if (e->kind == EPack)
        e = e->kid[0];
    sequence_length(r, e, &times);
    if (times < 0 && r->nseq == 1)
        times = r->seq[0].n; /* numbers alone: as often as the one sequence */
    if (times < 0) {
        row_error(r, e->at, "%s: nothing in `...` says how many", r->decl->name);
        return 0;
    }
    return times;
}

/* ---- the indices of an axis */

static Expr *unpacked(Expr *e) {
    return e->kind == EPack ? e->kid[0] : e;
}

static Name index_of(Expr *e) {
    if (e->kind == EName)
        return e->name;
    if (e->kind == EBinary && e->op == OpLt && e->kid[0]->kind == EName)
        return e->kid[0]->name;
    return NULL;
}

int row_parts(Row *r, Expr *e, int seq, Part *out) {
    Name n = index_of(e);
    int found = 0;
    Dim size;
    if (n && (e->kind != EName || !scope_find(r->scope, n))) {
        out[0] = (Part){ .name = n, .seq = seq, .bound = e->kind == EBinary ? e->kid[1] : NULL };
        return 1;
    }
    if (e->kind != EGroup && row_size(r, e, seq, &size)) { /* in a type: float[N, 4] */
        out[0] = (Part){ .fixed = size, .seq = Plain };
        return 1;
    }
    if (e->kind != EGroup) {
        row_error(r, e->at, "%s: this is not an axis: an index, `i < size`, or a group of them",
                  r->decl->name);
        return 0;
    }
    for (int k = 0; k < e->n; k++) {
        Expr *kid = unpacked(e->kid[k]);
        int times = e->kid[k]->kind == EPack ? row_times(r, kid) : 1;
        for (int m = 0; m < times && !r->bad; m++) {
            Part inner[MaxParts];
            int got = kid->kind == EGroup
                          ? 0
                          : row_parts(r, kid, e->kid[k]->kind == EPack ? m : seq, inner);
            if (got != 1 || found == MaxParts) {
                row_error(r, kid->at, "%s: a group of plain indices is wanted", r->decl->name);
                return 0;
            }
            out[found++] = inner[0];
        }
    }
    return found;
}

/* ---- `axis`: rule 69 */

static DimList dims_of(const Field *f) {
    static DimExpr dots = { .kind = DimDots };
    static const DimList rest = { .at = &dots, .n = 1 };
    if (f->dims.given)
        return f->dims;
    if (f->type)
        return f->type->dims; /* x: float[N, 4], or f32: a type alone is rank 0 */
    return rest;
}

static bool has_tail(DimList d) {
    return d.n > 1 && d.at[0].kind == DimDots;
}

static bool axis_numbers(Row *r, const Value *v, int rank) {
    int64_t n;
    int found = v->kind == VList ? v->n : 1;
    if (found > rank) {
        row_error(r, v->at, "%s: %d axes of a tensor of rank %d", r->decl->name, found, rank);
        return false;
    }
    for (int k = 0; k < found; k++) {
        const Value *one = v->kind == VList ? &v->item[k] : v;
        if (one->kind != VInt || !dim_number(one->whole, &n) || n < -rank || n >= rank) {
            row_error(r, v->at, "%s: axis %s of a tensor of rank %d", r->decl->name,
                      one->kind == VInt ? dim_text(r->c, one->whole) : "?", rank);
            return false;
        }
        for (int j = 0; j < k; j++)
            if (r->axes[j] == (n < 0 ? n + rank : n)) {
                row_error(r, v->at, "%s: axis %d is named twice", r->decl->name, r->axes[j]);
                return false;
            }
        r->axes[k] = (int)(n < 0 ? n + rank : n);
    }
    r->naxes = found;
    return true;
}

void row_axes(Row *r, Value *arg) {
    Bind *axis = scope_find(r->scope, intern(r->c, "axis", 4)),
         *keep = scope_find(r->scope, intern(r->c, "keep", 4));
    if (!axis || !axis->known)
        return;
    for (int k = 0; k < r->decl->params.n; k++) {
        if (row_is_attr(&r->decl->params.at[k]) || !has_tail(dims_of(&r->decl->params.at[k])))
            continue;
        if (arg[k].kind != VTensor)
            continue;
        r->axes_rank = arg[k].tensor->type.rank;
        r->has_axis = true;
        r->keep = keep && keep->known && keep->value.kind == VBool && keep->value.number != 0;
        if (axis->value.kind == VNone)
            for (r->naxes = 0; r->naxes < r->axes_rank; r->naxes++)
                r->axes[r->naxes] = r->naxes;
        else
            axis_numbers(r, &axis->value, r->axes_rank);
        return;
    }
}

/* The k-th axis of the op's list is which axis of the tensor: those `axis` names stand at the end.
 */
static void place_pat(Row *r, RowTensor *t, DimList d) {
    bool taken[MaxRank] = { false };
    int at = 0;
    for (int k = 0; k < t->n; k++)
        t->axis[k] = k;
    if (!r->has_axis || !has_tail(d) || r->naxes > t->n)
        return;
    for (int k = 0; k < r->naxes; k++) {
        int a = r->axes[k] - r->axes_rank + t->n; /* counted from the right, as ranks may differ */
        if (a < 0) {
            row_error(r, r->at, "%s: `%s` has no axis %d", r->decl->name, t->name, r->axes[k]);
            return;
        }
        t->axis[t->n - r->naxes + k] = a;
        taken[a] = true;
    }
    for (int a = 0; a < t->n; a++)
        if (!taken[a])
            t->axis[at++] = a;
}

/* ---- a tensor and its list */

/* How many axes each entry of the list stands for. */
static bool lengths(Row *r, RowTensor *t, const Field *f, DimList d, int *len) {
    int rank = t->tensor->type.rank, known = 0, open = -1;
    bool rest = false;
    for (int k = 0; k < d.n; k++) {
        bool pack = d.at[k].kind == DimPack, dots = d.at[k].kind == DimDots;
        int seq = pack ? row_seq(r, index_of(unpacked(d.at[k].e))) : -1;
        len[k] = !pack && !dots ? 1 : seq;
        if (pack && seq < 0 && r->has_axis && has_tail(d))
            len[k] = r->naxes;
        if (len[k] >= 0) {
            known += len[k];
            continue;
        }
        if (open >= 0) {
            row_error(r, f->at, "%s: two sequences of unknown length in `%s`", r->decl->name,
                      f->name);
            return false;
        }
        open = k;
    }
    rest = open >= 0;
    if (rest)
        len[open] = rank - known;
    if (rank < known || (!rest && rank != known)) {
        row_error(r, f->at, "%s: `%s` has rank %d, and %s%d is wanted", r->decl->name, f->name,
                  rank, rest ? "at least " : "", known);
        return false;
    }
    return true;
}

static void tensor_dots(Row *r, RowTensor *t, int n, int from) {
    for (int m = 0; m < n; m++) {
        int dot = n - 1 - m;
        Dim own = t->tensor->type.dim[t->axis[from + m]];
        t->pat[from + m] = (Pat){ .kind = PatDots, .dot = dot, .stretched = dim_is(own, 1) };
        for (; r->ndots <= dot; r->ndots++) {
            r->dots[r->ndots] = dim(r->c, 1);
            r->dots_from[r->ndots] = t->name;
        }
        if (dim_is(r->dots[dot], 1)) {
            r->dots[dot] = own;
            r->dots_from[dot] = t->name;
        } else if (!dim_is(own, 1) && !dim_equal(r->c, own, r->dots[dot])) {
            row_error(r, r->at, "%s: cannot broadcast `%s` with `%s`: %s", r->decl->name, t->name,
                      r->dots_from[dot], sizes_differ(r->c, r->dots[dot], own));
            note_sizes(r->c, r->dots[dot], own);
            return;
        }
    }
}

static void equate(Row *r, Expr *e, int seq, Dim size, Name who, int axis) {
    if (r->nequation == MaxNames) {
        row_error(r, r->decl->at, "%s has too many axes", r->decl->name);
        return;
    }
    r->equation[r->nequation++] =
        (Equation){ .e = e, .seq = seq, .size = size, .who = who, .axis = axis };
}

void row_match(Row *r, RowTensor *t, const Field *f) {
    DimList d = dims_of(f);
    int len[MaxRank * 2], at = 0;
    if (d.n > MaxRank * 2) {
        row_error(r, f->at, "%s: `%s` has too many axes", r->decl->name, f->name);
        return;
    }
    t->n = t->tensor->type.rank;
    if (!lengths(r, t, f, d, len))
        return;
    place_pat(r, t, d);
    for (int k = 0; k < d.n && !r->bad; k++) {
        const DimExpr *x = &d.at[k];
        if (x->kind == DimDots) {
            tensor_dots(r, t, len[k], at);
            at += len[k];
            continue;
        }
        Expr *e = unpacked(x->e);
        if (x->kind == DimPack && index_of(e))
            row_seq_set(r, index_of(e), len[k]);
        for (int m = 0; m < len[k] && !r->bad; m++, at++) {
            Dim size = t->tensor->type.dim[t->axis[at]];
            int seq = x->kind == DimPack ? m : Plain;
            bool one = x->kind == DimMaybe && dim_is(size, 1);
            t->pat[at] = (Pat){ .kind = one ? PatOne : PatAxis, .e = e, .seq = seq };
            if (!one)
                equate(r, e, seq, size, f->name, t->axis[at]);
        }
    }
}

/* ---- the equations */

static char *pat_text(Row *r, const Part *p) {
    return p->name ? format(r->c, "%s", index_name(r, p->name, p->seq)) : dim_text(r->c, p->fixed);
}

static char *product_text(Row *r, const Part *p, int n) {
    Text t = { 0 };
    for (int k = 0; k < n; k++)
        text_add(r->c, &t, "%s%s", k ? " * " : "", pat_text(r, &p[k]));
    return t.s ? t.s : format(r->c, "1");
}

static void size_conflict(Row *r, const Equation *q, const Part *p, int n, Dim known) {
    RowIndex *i = n == 1 && p->name ? row_index_find(r, p->name, p->seq) : NULL;
    if (i && i->from)
        row_error(r, r->at, "%s: %s is %s in `%s` and %s in `%s`", r->decl->name, pat_text(r, p),
                  dim_text(r->c, i->size), i->from, dim_text(r->c, q->size), q->who);
    else
        row_error(r, r->at, "%s: axis %d of `%s` is %s, and %s is wanted", r->decl->name, q->axis,
                  q->who, dim_text(r->c, q->size),
                  n == 1 ? dim_text(r->c, known)
                         : format(r->c, "%s = %s", product_text(r, p, n), dim_text(r->c, known)));
    note_sizes(r->c, known, q->size);
}

static void bind_parts(Row *r, Part *p, int n) {
    Dim size;
    for (int k = 0; k < n; k++)
        if (p[k].bound && !row_index_find(r, p[k].name, p[k].seq) &&
            row_size(r, p[k].bound, p[k].seq, &size))
            row_index_add(r, p[k].name, p[k].seq, size, NULL);
}

/* One try: solved, contradicted, or left for later. */
static void solve_equation(Row *r, Equation *q, bool last) {
    Part p[MaxParts];
    Dim known = dim(r->c, 1), rest;
    int n = row_parts(r, q->e, q->seq, p), unknown = -1, open = 0;
    bind_parts(r, p, n);
    for (int k = 0; k < n && !r->bad; k++) {
        RowIndex *i = p[k].name ? row_index_find(r, p[k].name, p[k].seq) : NULL;
        if (i || !p[k].name)
            known = dim_mul(r->c, known, i ? i->size : p[k].fixed);
        else {
            unknown = k;
            open++;
        }
    }
    if (r->bad)
        return;
    if (open == 0) {
        if (!dim_equal(r->c, known, q->size))
            size_conflict(r, q, p, n, known);
        q->done = true;
    } else if (open == 1) {
        if (!dim_exact(r->c, q->size, known, &rest)) {
            row_error(r, r->at, "%s: axis %d of `%s` is %s, not a multiple of %s", r->decl->name,
                      q->axis, q->who, dim_text(r->c, q->size), dim_text(r->c, known));
            return;
        }
        row_index_add(r, p[unknown].name, p[unknown].seq, rest, q->who);
        q->done = true;
    } else if (last) {
        row_error(r, r->at, "%s: the sizes in axis %d of `%s` are not known", r->decl->name,
                  q->axis, q->who);
    }
}

void row_settle(Row *r) {
    for (bool moved = true; moved && !r->bad;) {
        moved = false;
        for (int k = 0; k < r->nequation && !r->bad; k++)
            if (!r->equation[k].done) {
                solve_equation(r, &r->equation[k], false);
                moved |= r->equation[k].done;
            }
    }
}

/* ---- axes of a result or an intermediate */

Index *row_dot(Row *r, int k) {
    if (!r->dot[k])
        r->dot[k] =
            index_new(r->c, r->ndots == 1 ? intern(r->c, "b", 1) : name(r->c, "b%d", r->ndots - k),
                      r->dots[k]);
    return r->dot[k];
}

static void left_axis(Row *r, Expr *e, int seq, Axis *axis) {
    Part p[MaxParts];
    int n = row_parts(r, e, seq, p);
    *axis = (Axis){ .index = NEWN(r->c, Index *, n + 1), .n = 0 };
    for (int k = 0; k < n && !r->bad; k++) {
        RowIndex *i = p[k].name ? row_index_find(r, p[k].name, p[k].seq) : NULL;
        Dim size;
        if (!p[k].name) {
            axis->index[axis->n++] = index_new(r->c, intern(r->c, "i", 1), p[k].fixed);
            continue;
        }
        if (!i) {
            if (!p[k].bound || !row_size(r, p[k].bound, p[k].seq, &size)) {
                row_error(r, e->at, "%s: the size of `%s` is not known here; write `%s < …`",
                          r->decl->name, p[k].name, p[k].name);
                return;
            }
            if (dim_less(r->c, size, dim(r->c, 0)) == 1) {
                row_error(r, r->at, "%s: the result would have size %s", r->decl->name,
                          dim_text(r->c, size));
                return;
            }
            i = row_index_add(r, p[k].name, p[k].seq, size, NULL);
            if (!i)
                return;
        }
        axis->index[axis->n++] = i->index;
    }
}

int row_left(Row *r, DimList dims, Axis *axis, Pat *pat) {
    int n = 0;
    for (int k = 0; k < dims.n && !r->bad; k++) {
        const DimExpr *x = &dims.at[k];
        Expr *e = x->e ? unpacked(x->e) : NULL;
        int times = x->kind == DimDots ? r->ndots : 1;
        if (x->kind == DimPack) {
            Name own = index_of(e);
            times = own && row_seq(r, own) >= 0 ? row_seq(r, own)
                                                : row_times(r, e->kind == EBinary ? e->kid[1] : e);
            if (own)
                row_seq_set(r, own, times);
        }
        for (int m = 0; m < times && !r->bad; m++, n++) {
            if (n == MaxRank) {
                row_error(r, r->at, "%s: a result of more than %d axes", r->decl->name, MaxRank);
                return -1;
            }
            if (x->kind == DimDots) {
                int dot = times - 1 - m;
                pat[n] = (Pat){ .kind = PatDots, .dot = dot };
                axis[n] = (Axis){ .index = NEWN(r->c, Index *, 1), .n = 1 };
                axis[n].index[0] = row_dot(r, dot);
            } else {
                pat[n] = (Pat){ .kind = PatAxis, .e = e, .seq = x->kind == DimPack ? m : Plain };
                left_axis(r, e, pat[n].seq, &axis[n]);
            }
        }
    }
    return r->bad ? -1 : n;
}
