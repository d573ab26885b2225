#!/usr/bin/python3
"""Wrong programs: exit 1, the right line, within a second and 1 GiB, and nothing is written."""
import os, resource, sys
sys.dont_write_bytecode = True
from common import *

HEAD = "mth 1\nuse nn\n"
MODEL = HEAD + "model M {\n    in  x: float[4]\n    out y: float[4]\n    y = %s\n}\n"

# name: (text or bytes, line of an error, a word of its message or "")
CASES = {
    "unclosed_brace": (HEAD + "model M {\n    in  x: float[4]\n    out y: float[4]\n    y = relu(x)\n", None, ""),
    "unclosed_parenthesis": (MODEL % "relu((x", None, ""),
    "unclosed_string": (HEAD + 'model M {\n    in  x: float[4]\n    out y: float[4]\n    require 1 == 1, "abc\n    y = x\n}\n', 6, ""),
    "recursive": (HEAD + "model M {\n    in  x: float[4]\n    out y: float[4]\n    y = M()(x) as again\n}\n", 6, ""),
    "recursive_two": (HEAD + "model A {\n    in  x: float[4]\n    out y: float[4]\n    y = B()(x) as b\n}\n"
                      "model B {\n    in  x: float[4]\n    out y: float[4]\n    y = A()(x) as a\n}\nexport A() as a\n", None, ""),
    "recursive_wide": (HEAD + "model M(n: int) {\n    in  x: float[4]\n    out y: float[4]\n    a = M(n + 1)(x) as a\n"
                       "    b = M(n + 1)(x) as b\n    y = a + b\n}\nexport M(0) as m\n", None, ""),
    "elements_1e18": (HEAD + "model M {\n    in  x: float[1000000000, 1000000000]\n    out y: float[1000000000, 1000000000]\n"
                      "    y = relu(x)\n}\n", None, ""),
    "parameter_1e18": (HEAD + "model M {\n    in  x: float[1, 1000000000]\n    out y\n    y = Linear(1000000000)(x) as fc\n}\n", None, ""),
    "elements_overflow": (HEAD + "model M {\n    in  x: float[9000000000, 9000000000, 9000000000]\n    out y\n    y = relu(x)\n}\n", None, ""),
    "parentheses_200000": (MODEL % ("(" * 200000 + "x" + ")" * 200000), 6, ""),
    "brackets_200000": (MODEL % ("[" * 200000 + "1" + "]" * 200000), 6, ""),
    "minus_200000": (MODEL % ("-" * 200000 + "x"), 6, ""),
    "not_200000": (MODEL % ("not " * 200000 + "x"), 6, ""),
    "sum_200000": (MODEL % ("x" + " + x" * 200000), 6, ""),
    "if_200000": (MODEL % ("if true then x else " * 200000 + "x"), 6, ""),
    "braces_200000": (HEAD + "model M {\n" + "if true {\n" * 200000, None, ""),
    "power_200000": (MODEL % ("x" + " ** x" * 200000), 6, ""),
    "no_text": (bytes(range(256)) * 40, 1, ""),
    "no_utf8": (HEAD.encode() + b"model M {\n    in x: float[4]\n    out y: float[4]\n    y = \xff\xfe(x)\n}\n", 6, ""),
    "zeros": (b"\0" * 10000, 1, ""),
    "loop_1e12": (HEAD + "model M {\n    in  x: float[4]\n    out y: float[4]\n    h = x\n    for i in 0..1000000000000 {\n"
                  "        h = h + 1.0\n    }\n    y = h\n}\n", 7, ""),
    "list_1e12": (HEAD + "let big = [i for i in 0..1000000000000]\nmodel M {\n    in  x: float[4]\n    out y: float[4]\n"
                  "    require big[0] == 0\n    y = x\n}\n", None, ""),
    "loops_nested": (HEAD + "model M {\n    in  x: float[4]\n    out y: float[4]\n    h = x\n    for i in 0..1000000 {\n"
                     "        for j in 0..1000000 {\n            h = h + 1.0\n        }\n    }\n    y = h\n}\n", None, ""),
    "block_1e12": (HEAD + "model M {\n    in  x: float[4]\n    out y: float[4]\n    block b[i in 0..1000000000000] = Linear(4)\n"
                   "    y = b[0](x)\n}\n", None, ""),
    "string_doubled": (HEAD + 'let s0 = "ab"\n' + "".join('let s%d = "{s%d}{s%d}"\n' % (i + 1, i, i) for i in range(60)) +
                       "model M {\n    in  x: float[4]\n    out y: float[4]\n    require s60 != s59\n    y = x\n}\n", None, ""),
    "list_doubled": (HEAD + "let s0 = [1, 2]\n" + "".join("let s%d = s%d ++ s%d\n" % (i + 1, i, i) for i in range(60)) +
                     "model M {\n    in  x: float[4]\n    out y: float[4]\n    require s60[0] == 1\n    y = x\n}\n", None, ""),
    "cyclic_let": (HEAD + "let a = b\nlet b = a\nmodel M {\n    in  x: float[4]\n    out y: float[4]\n    require a == b\n    y = x\n}\n", None, ""),
    "number_long": (MODEL % ("x * " + "9" * 5000), 6, ""),
    "name_long": (MODEL % ("n" * 100000), 6, ""),
    "unknown": (MODEL % "rleu(x)", 6, "relu"),
}
USES = {                                # several files; the first is built
    "use_cyclic": ({"a.mth": 'mth 1\nuse "./b.mth"\nmodel M {\n    in x: float[4]\n    out y: float[4]\n    y = x\n}\n',
                    "b.mth": 'mth 1\nuse "./a.mth"\n'}, None),
    "use_itself": ({"a.mth": 'mth 1\nuse "./a.mth"\nmodel M {\n    in x: float[4]\n    out y: float[4]\n    y = x\n}\n'}, 2),
    "use_missing": ({"a.mth": 'mth 1\nuse "./b.mth"\nmodel M {\n    in x: float[4]\n    out y: float[4]\n    y = x\n}\n'}, 2),
    "use_folder": ({"a.mth": 'mth 1\nuse "."\nmodel M {\n    in x: float[4]\n    out y: float[4]\n    y = x\n}\n'}, 2),
}


def spent():
    """Seconds of the processor that programs run from here took: what else the machine does is not theirs."""
    t = os.times()
    return t.children_user + t.children_system


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def try_it(name, files, line, word):
    with folder() as top:
        for path, text in files.items():
            with open(os.path.join(top, path), "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
        first = list(files)[0]
        for command in ["check", first], ["build", first, "-o", "out"], ["run", first, "-o", "out"]:
            start = spent()
            try:
                done = run(MITHRILC, *command, cwd=top, preexec_fn=limited, timeout=20)
            except Exception as e:
                check(False, "%s: %s: %s" % (name, command[0], e))
                continue
            took, said = spent() - start, done.stderr.decode(errors="replace")
            errors = [l for l in said.split("\n") if ": error: " in l]
            check(done.returncode == 1, "%s: %s: want exit code 1, got %d: %s" % (name, command[0], done.returncode, said[-200:]))
            check(took < 1.0, "%s: %s: want less than a second, got %.2f s" % (name, command[0], took))
            check(len(said) < 200000, "%s: %s: %d bytes of messages" % (name, command[0], len(said)))
            check(sorted(os.listdir(top)) == sorted(files), "%s: %s: something was written: %s" % (name, command[0], os.listdir(top)))
            if check(bool(errors), "%s: %s: no error is printed: %s" % (name, command[0], said[:200])):
                if line:
                    check(any(":%d:" % line in e for e in errors), "%s: %s: want an error on line %d, got %s" % (name, command[0], line, errors[0][:150]))
                check(word in said, "%s: %s: want `%s` in: %s" % (name, command[0], word, errors[0][:150]))


for name, (text, line, word) in CASES.items():
    try_it(name, {name + ".mth": text}, line, word)
for name, (files, line) in USES.items():
    try_it(name, files, line, "")
with folder() as top:
    for arguments in ["check", "missing.mth"], ["check", top]:
        done = run(MITHRILC, *arguments, cwd=top)
        check(done.returncode == 1 and done.stderr, "%s: want exit code 1, got %d" % (arguments, done.returncode))
    for arguments in [], ["nothing"], ["check"], ["build", "a.mth"], ["check", "a.mth", "--wieghts", "x"], ["check", "a.mth", "--bind", "T"]:
        done = run(MITHRILC, *arguments, cwd=top)
        check(done.returncode == 2 and done.stderr, "%s: want exit code 2, got %d" % (arguments, done.returncode))
finish()
