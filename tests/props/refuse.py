#!/usr/bin/python3
"""What the C target cannot write is an error before anything is written; and names that only C has taken are no trouble."""
import os, resource, shutil, sys
sys.dont_write_bytecode = True
from common import *

MODEL = "model A {\n    in  %s: float[4]\n    out y: float[4]\n    y = %s * 2.0\n}\n"
PLAIN = MODEL % ("x", "x")
HUGE = "model A {\n    in  x: %s\n    out y\n    %sy = %s\n}\nexport A() as a%s\n"

# name: (program, a word of the message)
CASES = {
    "export_" + word: (PLAIN + "export A() as %s\n" % word, word)
    for word in "expf sqrtl isnan memcpy math select".split()
}
CASES.update({
    "entry_" + word: (PLAIN + "export A() as a {\n    entry %s\n}\n" % word, "a_" + word)
    for word in "reset strerror open_weights embedded weights".split()
})
CASES.update({
    "entry_size_t": (PLAIN + "export A() as size {\n    entry t\n}\n", "size_t"),
    "twice": (PLAIN + "export A() as a {\n    entry b\n}\nexport A() as a_b\n", "a_b"),
    "like_a_kernel": (PLAIN + "export A() as mul_4\n", "mul_4"),
    "case_only": (PLAIN + "export A() as net\nexport A() as Net\n", "Net.h"),
    "size_is_macro": ("model A {\n    in  x: float[A_H]\n    out y: float[A_H]\n    y = x * 2.0\n}\nexport A() as a {\n"
                      "    entry go: A_H = 1..4\n}\n", "A_H"),
    "bounds_product": (HUGE % ("float[N, N]", "", "sum(x * 2.0, axis = 1)", " {\n    entry go: N = 1..100000\n}"), "float[N, N]"),
    "one_dimension": (HUGE % ("u8[3000000000]", "", "x // 2", ""), "u8[3000000000]"),
    "two_dimensions": (HUGE % ("float[70000, 40000]", "", "x * 2.0", ""), "float[70000, 40000]"),
    "state_large": (HUGE % ("float[4]", "state h: float[50000, 50000, 4] = zeros()\n    h[0, 0] <- x\n    ", "h[0, 1]", ""), "`h`"),
})


def compiles(out):
    for name in sorted(os.listdir(out)):
        for compiler in [["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"], ["c++", "-std=c++17", "-x", "c++"]]:
            if (compiler[0] == "c++") == name.endswith(".h") and shutil.which(compiler[0]):
                done = run(*compiler, "-c", os.path.join(out, name), "-o", os.devnull)
                check(done.returncode == 0, "%s: %s" % (name, done.stderr.decode(errors="replace")[:300]))


with folder() as top:
    for name, (text, word) in CASES.items():
        file, out = os.path.join(top, name + ".mth"), os.path.join(top, name)
        open(file, "w").write("mth 1\n" + text)
        done = run(MITHRILC, "build", file, "-o", out, timeout=20)
        said = done.stderr.decode(errors="replace")
        check(done.returncode == 1 and word in said, "%s: want exit code 1 and `%s`, got %d: %s" % (name, word, done.returncode, said[:300]))
        check(not os.path.exists(out), "%s: something was written" % name)

with folder() as top:                   # words of C++ and of the headers as terminals; an arena above 2 GiB
    out = os.path.join(top, "out")
    for word in "and_eq not_eq typeid wchar_t static_cast int32_t size_t co_await exp isnan".split():
        text = MODEL % (word, word) + "export A() as %s_net\n" % word
        open(os.path.join(top, "a.mth"), "w").write("mth 1\n" + text)
        build(out, os.path.join(top, "a.mth"))
    open(os.path.join(top, "a.mth"), "w").write(
        "mth 1\nmodel A {\n    in  x: float[40000]\n    out y: float[40000]\n    h = x[:, none] * x\n"
        "    y = matvec(softmax(h, axis = 0), x) + sum(h * h, axis = 0)\n}\nexport A() as arena\n")
    build(out, os.path.join(top, "a.mth"))
    compiles(out)


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 10, 20 << 10))


with folder() as top:                   # a file over the limit is an error, and nothing is left
    done = run(MITHRILC, "build", *model_arguments("kws"), "-o", top, cwd=ROOT, preexec_fn=small_files)
    check(done.returncode == 1 and not os.listdir(top), "file size: want exit code 1 and an empty folder, got %d, %s" % (
        done.returncode, os.listdir(top)))

with folder() as top:                   # -MD: make reads the names back
    spaced = os.path.join(top, "my $folder")
    os.mkdir(spaced)
    open(os.path.join(spaced, "a b.mth"), "w").write("mth 1\n" + PLAIN + "export A() as a\n")
    build("out dir", "my $folder/a b.mth", "-MD", cwd=top)
    with open(os.path.join(top, "Makefile"), "w") as f:
        f.write("all: out\\ dir/a.h\nout\\ dir/a.h:\n\t@echo made\n-include out\\ dir/a.d\n")
    fresh = run("make", "-s", cwd=top).stdout
    os.utime(os.path.join(spaced, "a b.mth"), (4e9, 4e9))
    check(fresh == b"" and run("make", "-s", cwd=top).stdout == b"made\n", "-MD: make does not see that the model is newer")
finish()
