#!/bin/sh
# The generated C of tests/golden is laid out as clang-format 14 lays it out with .clang-format.

command -v clang-format-14 >/dev/null || { echo "skip: no clang-format-14: the layout of generated C is unproved"; exit 0; }
cd "$(dirname "$0")/.." || exit 1
bad=0
for file in tests/golden/*.c tests/golden/*.h; do
    # Its one way not taken: `float(*x)[3]` looks like a call, `float (*x)[3]` like what it is.
    clang-format-14 --style=file "$file" | sed -E 's/([a-z0-9_])\(\*/\1 (*/g' | diff "$file" - >/tmp/format.$$ && continue
    echo "FAIL $file: clang-format wants:"
    sed -n 1,8p /tmp/format.$$
    bad=1
done
rm -f /tmp/format.$$
exit $bad
