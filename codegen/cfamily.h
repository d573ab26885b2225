/* cfamily.h: what csize.c, cterm.c and cfamily.c share. */
#ifndef CFAMILY_H
#define CFAMILY_H

#include "codegen.h"

#include <stdlib.h>

/* How tightly an expression binds. */
enum { PrecLowest, PrecWhere, PrecOr, PrecAnd, PrecEqual, PrecOrder, PrecAdd, PrecMul, PrecUnary, PrecPrimary };

char *print_term_as(Ctx *c, const Dialect *d, const Term *t, Elem want, bool operand, Map *used);
char *print_place(Ctx *c, const Dialect *d, const Tensor *t, Term *const *at, int n, Map *used);
const char *reduce_helper(Ctx *c, const char *what, Elem e, Map *used);      /* "max_float" */
bool  has_view(Ctx *c, const Tensor *t);    /* may be read as t[i][j]: every inner size is a number */
int   dim_prec(Dim d);
void  shortest(char *s, size_t n, double v, bool is_double);

#endif
