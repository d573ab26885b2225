/* init.c: what parameters and states are before anything was learnt or stored. */
#include "compiler.h"

#include <string.h>

double init_number(const Init *init) {
    if (!init || !init->kind)
        return 0;
    if (!strcmp(init->kind, "ones"))
        return 1;
    return !strcmp(init->kind, "constant") ? init->arg[0] : 0;
}
