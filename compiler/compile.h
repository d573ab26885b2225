/* compile.h: what the driver's files share. The driver alone sees all layers. */
#ifndef COMPILE_H
#define COMPILE_H

#include "../codegen/codegen.h"

/* What has been made so far. */
typedef struct Work {
    Ctx *c;
    SyntaxFile *syntax;
    Module *module;
    Programs programs;
    Bunches ***bunches;                 /* [program][graph] */
    Code **code;                        /* [program] */
    OutFiles files;
    bool dumped;
} Work;

typedef struct Pass {
    const char *name, *needs, *gives;
    void (*run)(Work *);
    void (*dump)(Work *, FILE *);
    void (*check)(Work *);
    bool sound;                         /* it runs only if nothing was reported so far */
} Pass;
extern const Pass pass_table[];

bool run_passes(Work *w, const char *last);
bool run_passes_after(Work *w, const char *first, const char *last);
int  command_run(Work *w);              /* run.c */
bool indices_good(Ctx *c, const Graph *g, const int64_t *size, Map *env);     /* run_index.c */

#endif
