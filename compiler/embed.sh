#!/bin/sh
# Prints std.c: the library's modules as string literals, and embedded_source() which finds one.
# usage: embed.sh FILE.mth …
set -eu
export LC_ALL=C

echo '/* Made by compiler/embed.sh from models/std; do not edit. */'
echo '#include <string.h>'
echo '#include "compiler.h"'
for file in "$@"; do
    module=$(basename "$file" .mth)
    printf '\nstatic const char %s_text[] =\n' "$module"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$file"
    echo '    ;'
done
printf '\nstatic const Source sources[] = {\n'
for file in "$@"; do
    module=$(basename "$file" .mth)
    printf '    { "std/%s.mth", %s_text, sizeof %s_text - 1, true },\n' "$module" "$module" "$module"
done
echo '};'
printf '\nstatic const char *const modules[] = {'
for file in "$@"; do
    printf ' "%s",' "$(basename "$file" .mth)"
done
echo ' NULL };'
cat <<'END'

const Source *embedded_source(Ctx *c, Name module) {
    (void)c;
    for (int i = 0; modules[i]; i++)
        if (!strcmp(modules[i], module))
            return &sources[i];
    return NULL;
}
END
