/* elem.c: one element as it lies in memory. */
#include "evalstore.h"

double elem_load(Elem stored, const void *at) {
    double v;
    store_read(stored, at, 0, 0, &v, 1);
    return v;
}

void elem_store(Elem stored, void *at, double v) {
    store_write(stored, at, 0, v);
}
