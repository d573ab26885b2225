/* evalstore.h: elements in memory, as eval.c reads and writes them. */
#ifndef EVALSTORE_H
#define EVALSTORE_H

#include "compiler.h"

double fn_wrap(Elem e, uint64_t v);                       /* fn.c: v modulo the width of e */
void   store_read(Elem e, const void *data, int64_t at, int64_t step, double *restrict v, int n);
void   store_write(Elem e, void *data, int64_t at, double v);     /* rounded, or saturated, to e */
double store_dot(const float *x, int64_t sx, const float *y, int64_t sy, int n);
void   store_axpy(double *restrict to, const float *x, int64_t sx, const float *y, int64_t sy, int n);   /* to += x * y */

#endif
