#!/bin/sh
# What `make demo` and `make test` need, by the name of the Debian package: what is missing is named, and
# installed if this is root. Only a compiler is a must; a test without its tool is skipped and says so.
#
#   tests/need.sh demo|test

missing=
want() {                                # want PACKAGE COMMAND...: it is there if the command succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
header() {
    printf '#include <stddef.h>\n#include <stdarg.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <%s>\n' "$1" |
        cc -x c -fsyntax-only -
}

want gcc command -v cc
want libc6-dev header stdio.h
if [ "${1-}" = test ]; then
    want g++ command -v g++
    want clang command -v clang
    want binutils command -v nm
    want libcmocka-dev header cmocka.h
    want zlib1g-dev header zlib.h
    want python3 test -x /usr/bin/python3
    want python3-numpy /usr/bin/python3 -c 'import numpy'
    want python3-torch /usr/bin/python3 -c 'import torch'
fi
[ -n "$missing" ] || exit 0

echo "missing:$missing"
echo "    apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >/dev/null 2>&1 ||
        echo "apt-get failed; going on without"
fi
command -v cc >/dev/null || { echo "a C compiler is needed"; exit 1; }
