/* graph.c: the flat graph, made and shown.
 *
 * graph_print writes what flatten and simplify leave, one line a node:
 *
 *     q[b, t, j] = sum(k: x[b, t, k] * weight[j, k])    # linear, h.0.attn, float[1, T, 64]
 *
 * Names are those of the tensors; where two would be alike, the second is name.2, in the order of
 * the text. */
#include "compiler.h"

#include <string.h>

Tensor *tensor(Ctx *c, TensorKind k, Name nm, Name path, const Type *t, Span at) {
    Tensor *x = NEW(c, Tensor);
    *x = (Tensor){
        .kind = k, .name = nm, .path = path, .type = *t, .at = at, .id = c->next_tensor++
    };
    return x;
}

Node *node_new(Ctx *c, Graph *g, Tensor *out) {
    Node *n = NEW(c, Node);
    n->out = out;
    out->def = n;
    push(c, &g->node, n);
    return n;
}

Index *index_new(Ctx *c, Name nm, Dim size) {
    Index *i = NEW(c, Index);
    *i = (Index){ nm, size };
    return i;
}

/* ---- text */

static const char *const reduce_names[] = {
    [NoReduce] = "", [RSum] = "sum", [RProd] = "prod", [RMax] = "max", [RMin] = "min",
    [RAny] = "any", [RAll] = "all", [RArgMax] = "argmax", [RArgMin] = "argmin",
};

typedef struct GraphText {
    Ctx *c;
    FILE *to;
    Map names;                          /* Tensor and Index → Name */
    Map taken;                          /* Name → how often it was given: an int kept in the pointer's place */
    Map local;                          /* likewise, of the indices of one node */
} GraphText;

static Name unique_label(GraphText *s, Map *taken, Name plain) {
    int *times = map_get(taken, plain);
    if (!times)
        map_put(s->c, taken, plain, times = NEW(s->c, int));
    ++*times;
    return *times == 1 ? plain : name(s->c, "%s.%d", plain, *times);
}

static Name tensor_name(GraphText *s, const Tensor *t) {
    Name n = map_get(&s->names, t);
    if (n)
        return n;
    bool global = t->kind == TParam || t->kind == TState;
    n = global && t->path ? t->path : t->name ? t->name : name(s->c, "t");
    n = unique_label(s, &s->taken, n);
    map_put(s->c, &s->names, t, (void *)(uintptr_t)n);
    return n;
}

static void name_index(GraphText *s, const Index *i) {
    if (map_get(&s->names, i))
        return;
    Name n = unique_label(s, &s->local, i->name ? i->name : name(s->c, "i"));
    map_put(s->c, &s->names, i, (void *)(uintptr_t)n);
}

static void name_loads(GraphText *s, const Term *t) {
    if (t->kind == TLoad)
        tensor_name(s, t->from);
    if (t->kind == TIndex)
        name_index(s, t->index);
    for (int i = 0; i < t->n; i++)
        name_loads(s, t->kid[i]);
    if (t->outside)
        name_loads(s, t->outside);
}

static const char *index_label(GraphText *s, const Index *i) {
    return map_get(&s->names, i);
}

static void name_node(GraphText *s, const Node *n) {
    s->local = (Map){ 0 };
    for (int a = 0; a < n->naxis; a++)
        for (int i = 0; i < n->axis[a].n; i++)
            name_index(s, n->axis[a].index[i]);
    for (int i = 0; i < n->nbind; i++)
        name_index(s, n->bind[i]);
    for (int i = 0; n->at && i < n->out->type.rank; i++)
        name_loads(s, n->at[i]);
    for (int i = 0; i < n->ncond; i++)
        name_loads(s, n->cond[i]);
    name_loads(s, n->body);
    tensor_name(s, n->out);
}

static void print_result_axes(GraphText *s, const Node *n) {
    int rank = n->at ? n->out->type.rank : n->naxis;
    if (rank)
        fputc('[', s->to);
    for (int a = 0; a < rank; a++) {
        if (a)
            fputs(", ", s->to);
        if (n->at) {
            fputs(term_text_named(s->c, n->at[a], &s->names), s->to);
            continue;
        }
        const Axis *x = &n->axis[a];
        if (x->n != 1)
            fputs(x->n ? "(" : "1", s->to);
        for (int i = 0; i < x->n; i++)
            fprintf(s->to, "%s%s", i ? ", " : "", index_label(s, x->index[i]));
        if (x->n > 1)
            fputc(')', s->to);
    }
    if (rank)
        fputc(']', s->to);
}

static void print_node_body(GraphText *s, const Node *n) {
    const char *sep = "";
    bool wrapped = n->reduce || n->ncond;
    if (wrapped)
        fprintf(s->to, "%s(", n->reduce ? reduce_names[n->reduce] : "only");
    for (int i = 0; i < n->nbind; i++, sep = ", ")
        fprintf(s->to, "%s%s < %s", sep, index_label(s, n->bind[i]),
                dim_text(s->c, n->bind[i]->size));
    for (int i = 0; i < n->ncond; i++, sep = ", ")
        fprintf(s->to, "%s%s", sep, term_text_named(s->c, n->cond[i], &s->names));
    fprintf(s->to, "%s%s%s", wrapped ? ": " : "", term_text_named(s->c, n->body, &s->names),
            wrapped ? ")" : "");
}

static void print_flat_node(GraphText *s, const Node *n) {
    name_node(s, n);
    fprintf(s->to, "    %s", tensor_name(s, n->out));
    print_result_axes(s, n);
    fputs(" = ", s->to);
    print_node_body(s, n);
    fputs("    #", s->to);
    if (n->call && n->call->op)
        fprintf(s->to, " %s,", n->call->op);
    if (n->call && n->call->path && *n->call->path)
        fprintf(s->to, " %s,", n->call->path);
    fprintf(s->to, " %s", type_text(s->c, &n->out->type));
    if (n->out->before)
        fprintf(s->to, ", over %s", tensor_name(s, n->out->before));
    fputc('\n', s->to);
}

static void print_tensor(GraphText *s, const char *word, const Tensor *t, const char *note) {
    fprintf(s->to, "    %-6s %s: %s%s\n", word, tensor_name(s, t), type_text(s->c, &t->type), note);
}

static void print_terminals(GraphText *s, const Graph *g) {
    for (int i = 0; i < g->input.n; i++) {
        const Terminal *t = &g->input.at[i];
        if (t->tensor)
            print_tensor(s, "in", t->tensor, t->absent ? "   # absent" : "");
        else
            fprintf(s->to, "    in     %s   # absent\n", t->name);
    }
    for (int i = 0; i < g->size.n; i++) {
        const Symbol *z = g->size.at[i];
        fprintf(s->to, "    size   %s = %lld..%lld\n", z->name, (long long)z->lo, (long long)z->hi);
    }
    for (int i = 0; i < g->check.n; i++) {
        name_loads(s, g->check.at[i].holds);
        fprintf(s->to, "    check  %s\n", term_text_named(s->c, g->check.at[i].holds, &s->names));
    }
}

/* Every entry has names of its own; those of parameters and states are the same in all. */
static void print_graph(Ctx *c, const Program *p, const Graph *g, FILE *to) {
    GraphText s = { .c = c, .to = to };
    for (int i = 0; i < p->param.n; i++)
        tensor_name(&s, p->param.at[i]);
    for (int i = 0; i < p->state.n; i++)
        tensor_name(&s, p->state.at[i]);
    fprintf(to, "\nentry %s {\n", g->name ? g->name : p->name ? p->name : "main");
    print_terminals(&s, g);
    for (int i = 0; i < g->node.n; i++)
        print_flat_node(&s, g->node.at[i]);
    for (int i = 0; i < g->output.n; i++)
        fprintf(to, "    out    %s = %s\n", g->output.at[i].name,
                tensor_name(&s, g->output.at[i].tensor));
    for (int i = 0; g->last_state && i < p->state.n; i++)
        if (g->last_state[i] && g->last_state[i] != p->state.at[i])
            fprintf(to, "    keep   %s = %s\n", tensor_name(&s, p->state.at[i]),
                    tensor_name(&s, g->last_state[i]));
    fputs("}\n", to);
}

void graph_print(Ctx *c, const Program *p, FILE *to) {
    GraphText s = { .c = c, .to = to };
    fprintf(to, "program %s\n", p->name ? p->name : "main");
    for (int i = 0; i < p->param.n; i++)
        print_tensor(&s, "param", p->param.at[i], p->param.at[i]->frozen ? " frozen" : "");
    for (int i = 0; i < p->state.n; i++)
        print_tensor(&s, "state", p->state.at[i], "");
    for (int i = 0; i < p->n; i++)
        print_graph(c, p, p->graph[i], to);
}
