#!/bin/sh
# What must never be (docs/internals.md): a layer that reaches up, a target named below targets/, an operator named by hand in a
# pass, globals that are written. Prints each line that breaks a rule.

cd "$(dirname "$0")/.." || exit 1
bad=0
no() {                                  # no WHAT PATTERN FILE...: the pattern stands in no line, comments aside
    what=$1 pattern=$2
    shift 2
    found=$(for f in "$@"; do
        [ -f "$f" ] || continue
        awk -v f="$f" '{ line = $0
            while (inside || match(line, /\/\*/)) {
                if (inside) { if (!match(line, /\*\//)) { line = ""; break } line = substr(line, RSTART + 2); inside = 0 }
                else { rest = substr(line, RSTART + 2); head = substr(line, 1, RSTART - 1)
                       if (match(rest, /\*\//)) line = head " " substr(rest, RSTART + 2); else { line = head; inside = 1; break } }
            }
            sub(/\/\/.*/, "", line); print f ":" NR ": " line }' "$f"
    done | grep -E ": .*($pattern)")
    [ -z "$found" ] && return
    printf 'FAIL %s\n%s\n' "$what" "$found"
    bad=1
}

no "compiler/ includes what lies above it" '#include "(\.\./)?targets/' compiler/*.c compiler/*.h
no "compiler/ includes codegen/ (compile.c alone runs the passes)" '#include "\.\./codegen/' $(ls compiler/*.c compiler/*.h | grep -v compile)
no "codegen/ includes targets/" '#include ".*targets/' codegen/*.c codegen/*.h
no "a target is named below targets/" '"(cuda|metal|numpy|torch|jax|mlx|ggml|mth_c)"|c_target|cuda_|metal_' compiler/*.c compiler/*.h codegen/*.c codegen/*.h
for target in targets/*/; do
    others=$(ls -d targets/*/ | grep -v "^$target\$" | sed 's,targets/,,; s,/,,' | tr '\n' '|' | sed 's/|$//')
    [ -n "$others" ] && no "one target includes another" "#include \".*($others)/" "$target"*.c
done
ops=$(sed -n 's/^\(extern \)\{0,1\}op \([a-z_0-9]*\)(.*/\2/p' models/std/ops.mth |
    grep -vE '^(max|min|sum|prod|any|all|abs|pow|exp|log|sqrt|sin|cos|tan|floor|ceil|round|trunc|where|mul|add|sub|div|neg|mod|pad|slice|identity|fold|full|repeat|pick|take|dot|sign|equal|less|greater|select|shrink|tile|roll|flip|trace|diag|eye|power|sort|erf|tanh|outer|split2|unfold|fmod|hypot|floor_div|argmax|argmin|a?cosh?|a?sinh?|a?tanh?|log1p|expm1)$' |
    tr '\n' '|' | sed 's/|$//')
no "an operator is named by hand in a pass" "\"($ops)\"" codegen/*.c $(ls targets/*/*.c | grep -v names.c)   # names.c lists words that C has taken
no "a global that is written" '^(static )?(int|bool|char|long|size_t|int64_t|double|float|unsigned|void \*|[A-Z][A-Za-z]+) \**[a-z_]+(\[[^]]*\])?( = [^(]*)?;' compiler/*.c codegen/*.c targets/*.c targets/*/*.c
no "a dependency beyond libc, libm and zlib" '#include <(gmp|llvm|clang|glib|curl)' compiler/*.c codegen/*.c targets/*/*.c
exit $bad
