#!/bin/sh
# make demo: from models/llama/llama.mth to a story, each step with its time, and what came of it.

set -eu
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/.."

build=${BUILD:-build}
cc=${CC:-cc}
gen=$build/demo
model=models/llama

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f s", b - a }'; }
step() {                                # step TEXT COMMAND...: the command as it is typed, then its time
    text=$1
    shift
    printf '\n%s\n    %s\n' "$text" "$*"
    start=$(now)
    "$@" >"$build/demo.log" 2>&1 || { cat "$build/demo.log"; exit 1; }
    grep '^ .*arena' "$build/demo.log" || true
    printf '    took %s\n' "$(since "$start")"
}

begin=$(now)
mkdir -p "$build"
rm -rf "$gen"
step "1. The compiler: C11, a compiler and make." \
    make --no-print-directory -j2 "BUILD=$build" all
step "2. The model, a page of .mth, and its weights become C." \
    "$build/mithrilc" build $model/llama.mth --weights $model/stories260K.safetensors --weights-as embed -o "$gen"
step "3. Any C compiler makes a program of it and of an example of embedding, main.c." \
    "$cc" -O2 -std=c99 -I"$gen" -o "$gen/story" $model/main.c "$gen/llama.c" "$gen/llama_weights.c" -lm
"$cc" -O2 -std=c99 -c -o "$gen/llama.o" "$gen/llama.c"

printf '\n4. It tells a story: 256 tokens, each the likeliest.\n    %s\n\n' \
    "$gen/story --tokenizer $model/tok512.bin"
start=$(now)
"$gen/story" --tokenizer $model/tok512.bin 2>"$gen/speed.txt" | tee "$gen/story.txt"
took=$(since "$start")

size_of() { wc -c <"$1" | tr -d ' '; }
number() { sed -n "s/.*#define LLAMA_$1 \\([0-9]*\\).*/\\1/p" "$gen/llama.h"; }
code=$(size "$gen/llama.o" 2>/dev/null | awk 'NR == 2 { print $1 " bytes" }')
printf '\n'
printf '    code      %s lines of C, %s of machine code\n' "$(wc -l <"$gen/llama.c" | tr -d ' ')" "${code:-unknown (no size)}"
printf '    weights   %s bytes of safetensors, in %s\n' "$(size_of $model/stories260K.safetensors)" "$gen/llama_weights.c"
printf '    arena     %s bytes, the lower bound; nothing is allocated\n' "$(number WORK_BYTES)"
printf '    speed     %s (%s with printing)\n' "$(cat "$gen/speed.txt")" "$took"
printf '    all       %s\n\n' "$(since "$begin")"

golden=tests/models/llama/greedy256.txt
if [ "$(cat "$golden")" = "$(cat "$gen/story.txt")" ]; then
    echo "The text is the golden text of the model's author, to the letter ($golden)."
    echo "Read the C: $gen/llama.h, $gen/llama.c"
else
    echo "The text differs from $golden" >&2
    exit 1
fi
