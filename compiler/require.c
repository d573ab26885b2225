/* require.c: what must hold of parameters and sizes (rule 40).
 *
 * Decided while compiling where bounds decide it; else it is assumed by all that follows, and tested when the code runs. */
#include "flatten.h"

static void require_failed(Act *a, const Stmt *s, const Expr *cond) {
    Ctx *c = a->e->c;
    Name message = s->message && s->message->kind == EStr ? eval_text(a, s->message) : NULL;
    Frame *frame = c->frame;
    const char *text =
        message ? message : format(c, "`%s` does not hold", source_text(c, cond->at));
    if (!frame) {
        error_at(c, s->at, "%s", text);
        return;
    }
    c->frame = frame->up;
    error_at(c, frame->at, "%s", text);
    note_at(c, s->at, "required here, %s", frame->what);
    c->frame = frame;
}

static void narrow(Elab *e, Dim d, int64_t lo, int64_t hi) {
    if (d->n != 1 || d->term[0].coef != 1 || d->term[0].n != 1 ||
        d->term[0].atom[0]->kind != AtomSymbol)
        return;
    Symbol *s = d->term[0].atom[0]->symbol;
    (void)e;
    if (s->lo < lo)
        s->lo = lo < s->hi ? lo : s->hi;
    if (s->hi > hi)
        s->hi = hi > s->lo ? hi : s->lo;
}

/* `a < b + 1` and the like: a plain symbol takes the other side's number as a bound. */
static void assume_order(Elab *e, Dim a, Dim b, int64_t by) {
    int64_t n;
    if (dim_number(b, &n))
        narrow(e, a, INT64_MIN, n - by);
    if (dim_number(a, &n))
        narrow(e, b, n + by, INT64_MAX);
}

static bool is_multiple(Act *a, const Expr *x, Dim *what, int64_t *k) {
    if (x->kind != EBinary || x->op != OpMod)
        return false;
    Value l = evaluate(a, x->kid[0]), r = evaluate(a, x->kid[1]);
    if (l.kind != VInt || r.kind != VInt || !dim_number(r.whole, k) || *k <= 0)
        return false;
    *what = l.whole;
    return true;
}

static bool runtime_check(Act *a, const Stmt *s, const Expr *x, Value l, Value r) {
    static const FnId which[] = {
        [OpEq] = FnEq, [OpNe] = FnNe, [OpLt] = FnLt, [OpLe] = FnLe, [OpGt] = FnGt, [OpGe] = FnGe
    };
    Ctx *c = a->e->c;
    Term *arg[2] = { term_size(c, l.whole), term_size(c, r.whole) };
    Name message = s->message && s->message->kind == EStr ? eval_text(a, s->message) : NULL;
    const char *text = message ? message : format(c, "%s does not hold", source_text(c, x->at));
    struct Check check = { term_apply(c, fn(which[x->op]), Bool, arg), text, x->at };
    push(c, &a->e->graph->check, check);
    return true;
}

/* A comparison of sizes their bounds do not decide: assumed from here on, and tested when the code runs. */
static void assume(Act *a, const Stmt *s, const Expr *x, Value l, Value r) {
    Elab *e = a->e;
    Ctx *c = e->c;
    Dim what;
    int64_t k, zero;
    if (!e->check)
        runtime_check(a, s, x, l, r);
    switch (x->op) {
    case OpEq:
        if (dim_number(r.whole, &zero) && zero == 0 && is_multiple(a, x->kid[0], &what, &k))
            dim_assume_multiple(c, what, k);
        else
            dim_assume_equal(c, l.whole, r.whole);
        break;
    case OpLt: assume_order(e, l.whole, r.whole, 1); break;
    case OpLe: assume_order(e, l.whole, r.whole, 0); break;
    case OpGt: assume_order(e, r.whole, l.whole, 1); break;
    case OpGe: assume_order(e, r.whole, l.whole, 0); break;
    default: break;
    }
}

static int order_known(Ctx *c, Op op, Value l, Value r) {
    bool same = dim_equal(c, l.whole, r.whole);
    int less = dim_less(c, l.whole, r.whole), more = dim_less(c, r.whole, l.whole);
    switch (op) {
    case OpEq: return same ? 1 : less == 1 || more == 1 ? 0 : -1;
    case OpNe: return same ? 0 : less == 1 || more == 1 ? 1 : -1;
    case OpLt: return same ? 0 : less;
    case OpGt: return same ? 0 : more;
    case OpLe: return same || less == 1 ? 1 : more == 1 ? 0 : more == 0 ? 1 : -1;
    default: return same || more == 1 ? 1 : less == 1 ? 0 : less == 0 ? 1 : -1;
    }
}

void require(Act *a, const Stmt *s, const Expr *x) {
    Ctx *c = a->e->c;
    if (x->kind == EBinary && x->op == OpAnd) {
        require(a, s, x->kid[0]);
        require(a, s, x->kid[1]);
        return;
    }
    if (x->kind == EBinary && x->op >= OpEq && x->op <= OpGe) {
        Value l = evaluate(a, x->kid[0]), r = evaluate(a, x->kid[1]);
        if (l.kind == VInt && r.kind == VInt) {
            int known = order_known(c, x->op, l, r);
            if (known == 0 && (value_unknown(a->e, &l) || value_unknown(a->e, &r)))
                return;
            if (known == 0)
                require_failed(a, s, x);
            if (known == -1)
                assume(a, s, x, l, r);
            return;
        }
        if (l.kind == VPoison || r.kind == VPoison)
            return;
    }
    Value v = evaluate(a, x);
    if (v.kind == VBool && v.number == 0)
        require_failed(a, s, x);
    if (v.kind != VBool && v.kind != VPoison)
        error_at(c, x->at, "`require` takes a condition on parameters and sizes, found %s",
                 v.kind == VTensor ? value_text(c, &v) : value_kind(c, &v));
}
