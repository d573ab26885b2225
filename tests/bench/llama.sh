#!/bin/sh
# Tokens a second of the generated Llama against llama2.c's run.c, on one thread.
#
#   tests/bench/llama.sh RUN_C_DIR
#
# RUN_C_DIR holds run.c of github.com/karpathy/llama2.c. The rival is built with
# "gcc -O3 -march=native", ours with plain "cc -O2 -std=c99". Each pair runs both, one after the other,
# taking turns at going first: 256 greedy steps from an empty prompt. Both must print the same text.
# Exit status: 0 ours is at least as fast, 1 it is slower or something failed, 2 wrong usage.
#
# Environment:
#   CC            our compiler [cc]              RUN_CC      the rival's compiler [gcc]
#   MITHRILC      [build/mithrilc]               PAIRS       pairs, odd [9]
#   RUN_MODEL     run.c's stories260K.bin [in RUN_C_DIR, else in models/llama]
#   TOKENIZER     tok512.bin [likewise]          STEPS       steps a run, at most 512 [256]
# Relative paths in them are taken from the repository's root. run.c times in milliseconds: at 256 steps
# one of its figures is good to about 3 %.

set -u
LC_ALL=C
export LC_ALL

usage() {
	echo "usage: tests/bench/llama.sh RUN_C_DIR   (a folder with run.c of llama2.c)" >&2
	exit 2
}

fail() {
	echo "llama.sh: $*" >&2
	exit 1
}

# first FILE...: the first that exists
first() {
	for f in "$@"; do
		if [ -n "$f" ] && [ -f "$f" ]; then
			printf '%s\n' "$f"
			return 0
		fi
	done
	return 1
}

# median FILE: of one number a line
median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

version() {
	"$1" --version 2>/dev/null | sed -n 1p
}

[ $# -eq 1 ] || usage
case $1 in
-*) usage ;;
esac
[ -d "$1" ] || fail "$1: no such folder"
rival=$(cd "$1" && pwd) || exit 1
[ -f "$rival/run.c" ] || fail "$1/run.c is missing: get it from github.com/karpathy/llama2.c"
cd "$(dirname "$0")/../.." || exit 1

cc=${CC:-cc}
run_cc=${RUN_CC:-gcc}
mithrilc=${MITHRILC:-build/mithrilc}
pairs=${PAIRS:-9}
steps=${STEPS:-256}
out=build/bench/llama

case $pairs in
'' | *[!0-9]* | 0*) fail "PAIRS=$pairs is not a positive number" ;;
esac
case $steps in
'' | *[!0-9]* | 0*) fail "STEPS=$steps is not a positive number" ;;
esac
for tool in "$cc" "$run_cc"; do
	command -v "$tool" >/dev/null 2>&1 || fail "compiler '$tool' is not installed"
done
command -v "$mithrilc" >/dev/null 2>&1 || fail "$mithrilc is missing: run make first"
for file in models/llama/llama.mth models/llama/main.c models/llama/stories260K.safetensors; do
	[ -f "$file" ] || fail "$file is missing"
done
bin=$(first "${RUN_MODEL:-}" "$rival/stories260K.bin" models/llama/stories260K.bin) ||
	fail "stories260K.bin is missing: put it beside run.c or set RUN_MODEL"
tokenizer=$(first "${TOKENIZER:-}" "$rival/tok512.bin" models/llama/tok512.bin) ||
	fail "tok512.bin is missing: put it beside run.c or set TOKENIZER"

# Build both.

mkdir -p "$out" || exit 1
rm -f "$out"/*.c "$out"/*.h "$out/llama" "$out/run" "$out"/*.txt
"$mithrilc" build models/llama/llama.mth --weights models/llama/stories260K.safetensors --weights-as embed -o "$out" ||
	fail "mithrilc build failed"
for file in llama.c llama.h; do
	[ -f "$out/$file" ] || fail "mithrilc wrote no $out/$file"
done
for file in "$out"/*.c; do
	"$cc" -O2 -std=c99 -c -o "${file%.c}.o" "$file" || fail "the generated C does not build"
done
"$cc" -O2 -std=c11 -I "$out" -o "$out/llama" models/llama/main.c "$out"/*.o -lm || fail "models/llama/main.c does not build"
"$run_cc" -O3 -march=native -o "$out/run" "$rival/run.c" -lm || fail "run.c does not build"

# Run both. Each leaves its text in NAME.txt and its line of figures in NAME.log.

ours() {
	"$out/llama" -t 0 -n "$steps" --tokenizer "$tokenizer" >"$out/ours.txt" 2>"$out/ours.log" ||
		fail "the generated program failed: $(sed -n 1p "$out/ours.log")"
	a=$(cat "$out/ours.log" "$out/ours.txt" | sed -n 's|.*tokens/s: *\([0-9.][0-9.]*\).*|\1|p' | sed -n 1p)
	[ -n "$a" ] || fail "the generated program prints no 'tokens/s: NUMBER'"
}

theirs() {
	"$out/run" "$bin" -z "$tokenizer" -t 0 -n "$steps" >"$out/theirs.txt" 2>"$out/theirs.log" ||
		fail "run.c failed: $(sed -n 1p "$out/theirs.log")"
	b=$(sed -n 's|.*achieved tok/s: *\([0-9.][0-9.]*\).*|\1|p' "$out/theirs.log" | sed -n 1p)
	[ -n "$b" ] || fail "run.c prints no 'achieved tok/s: NUMBER'"
}

# text FILE: without the line of figures and blank lines at the end
text() {
	sed '/tokens\/s:/d' "$1" | awk 'NF { while (blank-- > 0) print ""; blank = 0; print; next } { blank++ }'
}

ours
theirs
text "$out/ours.txt" >"$out/ours.text.txt"
text "$out/theirs.txt" >"$out/theirs.text.txt"
if ! cmp -s "$out/ours.text.txt" "$out/theirs.text.txt"; then
	diff "$out/theirs.text.txt" "$out/ours.text.txt" | sed -n 1,6p >&2
	fail "the texts differ (< run.c, > ours)"
fi

echo "stories260K, $steps greedy steps, one thread; $pairs pairs after one unmeasured"
echo "  ours   $cc -O2 -std=c99         $(version "$cc")"
echo "  run.c  $run_cc -O3 -march=native  $(version "$run_cc")"
echo
printf '%4s %12s %12s %8s\n' pair 'ours tok/s' 'run.c tok/s' ratio
: >"$out/ours.rates.txt"
: >"$out/theirs.rates.txt"
: >"$out/ratios.txt"
i=1
while [ "$i" -le "$pairs" ]; do
	if [ $((i % 2)) -eq 1 ]; then
		ours
		theirs
	else
		theirs
		ours
	fi
	ratio=$(awk -v a="$a" -v b="$b" 'BEGIN { if (b <= 0) exit 1; printf "%.4f", a / b }') ||
		fail "run.c was too quick for its clock: raise STEPS"
	echo "$a" >>"$out/ours.rates.txt"
	echo "$b" >>"$out/theirs.rates.txt"
	echo "$ratio" >>"$out/ratios.txt"
	printf '%4d %12.0f %12.0f %8.2f\n' "$i" "$a" "$b" "$ratio"
	i=$((i + 1))
done

ratio=$(median "$out/ratios.txt")
echo
printf '%s: %.0f tokens/s ours, %.0f run.c, ratio %.2f\n' median "$(median "$out/ours.rates.txt")" \
	"$(median "$out/theirs.rates.txt")" "$ratio"
awk -v r="$ratio" 'BEGIN { exit !(r >= 1) }' || fail "slower than run.c"
