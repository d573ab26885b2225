/* targets.c: the list of targets. A target is a folder here and one line. */
#include "../codegen/codegen.h"

extern const Target c_target;

const Target *const targets[] = { &c_target, NULL };
