/* cfamily.h: what cterm.c and cfamily.c share. */
#ifndef CFAMILY_H
#define CFAMILY_H

#include "codegen.h"

#include <stdlib.h>

char *print_term_as(Ctx *c, const Dialect *d, const Term *t, Elem want, bool operand, Map *used);
char *print_place(Ctx *c, const Dialect *d, const Tensor *t, Term *const *at, int n, Map *used);
const char *reduce_helper(Ctx *c, const char *what, Elem e, Map *used);      /* "max_float" */
bool  has_view(Ctx *c, const Tensor *t);    /* may be read as t[i][j]: every inner size is a number */
void  shortest(char *s, size_t n, double v, bool is_double);

#endif
