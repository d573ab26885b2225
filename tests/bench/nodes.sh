#!/bin/sh
# How the time to build grows with the size of the model, 1,000 to 10,000 nodes, for three shapes: residual layers of
# 10 nodes each, and loops over values without names, of three operators a turn and of two.
# Prints seconds, MiB, and the slope of log time over log nodes from 1,000 on: 1.0 is linear. A benchmark, not a test.
#
#   tests/bench/nodes.sh            MITHRILC=build/mithrilc

set -eu
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/../.."
mithrilc=${MITHRILC:-build/mithrilc}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

layers() {                              # layers NODES: half of them have shapes of their own
    awk -v layers="$(($1 / 10))" 'BEGIN {
        print "mth 1\nuse nn\nmodel Deep {\n    in  x: float[1, 16]\n    out y: float[1, 16]\n    h0 = x"
        for (i = 0; i < layers; i++) {
            wide = 8 + i % 64
            printf "    a%d = silu(Linear(%d)(h%d) as up[%d])\n", i, wide, i, i
            printf "    h%d = h%d + tanh(Linear(16)(a%d) as down[%d])\n", i + 1, i, i, i
        }
        printf "    y = h%d\n}\nexport Deep() as deep\n", layers }'
}

chain() {                               # chain TURNS VALUE
    echo "mth 1
model Chain {
    in  x: float[4, 4]
    out y: float[4, 4]
    y = x
    for i in 0..$1 { y = $2 }
}
export Chain() as chain"
}

model() {                               # model SHAPE NODES
    case $1 in
        layers)  layers "$2" ;;
        softmax) chain $(($2 / 3)) 'softmax(y @ x) + x' ;;
        tanh)    chain $(($2 / 2)) 'tanh(y) + x' ;;
    esac
}

memory() {                              # MiB at the most; - where the system does not tell
    /usr/bin/time -f %M "$@" 2>&1 >"$folder/null" | awk '{ m = $1 } END { print (m ? int(m / 1024) : "-") }'
}

measure() {                             # measure SHAPE NODES: a line of the table, and one of times
    model "$1" "$2" >"$folder/deep.mth"
    best_check= best_build=
    for turn in 1 2 3; do
        a=$(date +%s.%N)
        "$mithrilc" check "$folder/deep.mth"
        b=$(date +%s.%N)
        "$mithrilc" build "$folder/deep.mth" -o "$folder/out" --quiet
        c=$(date +%s.%N)
        best_check=$(echo "$a $b ${best_check:-9999}" | awk '{ t = $2 - $1; print t < $3 ? t : $3 }')
        best_build=$(echo "$b $c ${best_build:-9999}" | awk '{ t = $2 - $1; print t < $3 ? t : $3 }')
    done
    count=$("$mithrilc" build "$folder/deep.mth" --dump=flatten | grep -c ' = ' || true)
    used=$(memory "$mithrilc" build "$folder/deep.mth" -o "$folder/out" --quiet)
    printf '%-8s %8d %10.3f %10.3f %6s %12d\n' "$1" "$2" "$best_check" "$best_build" "$used" "$count"
    echo "$2 $best_build" >>"$folder/times"
}

printf '%-8s %8s %10s %10s %6s %12s\n' shape nodes 'check s' 'build s' MiB 'graph nodes'
for shape in layers softmax tanh; do
    : >"$folder/times"
    for nodes in 1000 2000 4000 7000 10000; do
        measure $shape $nodes
    done
    awk '{ x = log($1); y = log($2); n++; sx += x; sy += y; sxx += x * x; sxy += x * y }
         END { printf "slope %.2f\n", (n * sxy - sx * sy) / (n * sxx - sx * sx) }' "$folder/times"
done
