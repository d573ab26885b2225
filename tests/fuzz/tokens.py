#!/usr/bin/python3
"""Programs with one token wrong: every answer of mithrilc is a message or C that compiles.

    tests/fuzz/tokens.py [--count N] [--seed S] [--mithrilc PATH] [--keep DIR]

A program of the models or the tests loses a token, or has one doubled, swapped with the next, or replaced by another of the
program or of the language. `check` and `build` must then end within two seconds with exit code 0 or 1, say at which line an
error is, and what they build must compile without warnings. What fails is kept. Equal seeds make equal programs.
"""
import argparse, concurrent.futures, glob, os, random, re, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOKEN = re.compile(r'[ \t]+|#[^\n]*|\n|"(?:\\.|[^"\\\n])*"|\d+\.\d+(?:[eE][-+]?\d+)?|0x[0-9a-fA-F]+|\d+|\w+'
                   r'|\|=|\+=|<-|->|\.\.\.|\.\.|\+:|\*\*|//|==|!=|<=|>=|\+\+|.')
WORDS = """in out param state block let require model op extern config export entry use train if then else for scan while yield return and
or not as true false none 0 1 2 -1 7 1000000000000 9223372036854775807 0.5 1e30 float i32 bool int u8 f16 any ... .. _ * + - / // % ** @ ++
== < <- = |= += -> ( ) [ ] { } , : ; . "" "x" T B N x y w h relu sum max concat reshape softmax Linear Conv2d zeros() x.shape inf nan""".split()
FLAGS = "-std=c99 -fsyntax-only -Wall -Wextra -Werror".split()


def programs():
    found = [f for p in ("models/*/*.mth", "tests/golden/*.mth", "tests/lang/*.mth", "tests/errors/*.mth") for f in glob.glob(os.path.join(ROOT, p))]
    return sorted(f for f in found if os.path.getsize(f) < 100000)


def mutated(text, chance):
    """The text with one token wrong; blanks and comments stay."""
    tokens = TOKEN.findall(text)
    at = chance.choice([k for k, t in enumerate(tokens) if t.strip() and t[0] != "#"])
    how = chance.randrange(6)
    if how == 0:
        tokens[at] = ""
    elif how == 1:
        tokens[at] += " " + tokens[at]
    elif how == 2:
        tokens[at] = chance.choice(WORDS)
    elif how == 3:
        tokens[at] = chance.choice([t for t in tokens if t.strip() and t[0] != "#"])
    elif how == 4:
        tokens[at] += " " + chance.choice(WORDS)
    else:
        other = min(at + 1 + chance.randrange(3), len(tokens) - 1)
        tokens[at], tokens[other] = tokens[other], tokens[at]
    return "".join(tokens)


def run(command, timeout, **how):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, stdin=subprocess.DEVNULL, **how)
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired:
        return "no end", ""


def problem_of(path, out):
    """What is wrong with mithrilc's answers to a program, or None."""
    include = ["-I", os.path.join(ROOT, "models/std"), "--quiet"]
    for command in (["check", path], ["build", path, "--partial", "--bind", "N=1", "-o", out], ["build", path, "--partial", "-o", out]):
        code, said = run([OPTIONS.mithrilc, *command, *include], 2 * OPTIONS.patience)
        if code not in (0, 1):
            return "%s: exit code %s: %s" % (command[0], code, said.strip()[-200:].replace("\n", " "))
        if code == 1 and "error:" not in said:
            return "%s: an error without a message: %s" % (command[0], said[:200].replace("\n", " "))
        if "internal error" in said or "runtime error" in said:
            return "%s: %s" % (command[0], said[:200].replace("\n", " "))
        if command[0] == "build" and code == 0:
            code, said = run(["cc", *FLAGS, *glob.glob(os.path.join(out, "*.c"))], 60)
            return None if code == 0 else "cc: " + ([l for l in said.split("\n") if "error" in l] or [str(code)])[0]
    return None


def one(number):
    chance = random.Random("%d %d" % (OPTIONS.seed, number))
    path = chance.choice(OPTIONS.programs)
    with open(path) as f:
        text = mutated(f.read(), chance)
    with tempfile.TemporaryDirectory(prefix="mithril-fuzz-") as top:
        wrong = os.path.join(top, os.path.basename(path))
        with open(wrong, "w") as f:
            f.write(text)
        problem = problem_of(wrong, os.path.join(top, "out"))
    if problem:
        os.makedirs(OPTIONS.keep, exist_ok=True)
        kept = os.path.join(OPTIONS.keep, "token-%d-%d.mth" % (OPTIONS.seed, number))
        with open(kept, "w") as f:
            f.write(text)
        print("FAIL tests/fuzz/tokens.py: %s (of %s): %s" % (kept, os.path.relpath(path, ROOT), problem), flush=True)
    return not problem


def main():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        good = list(pool.map(one, range(OPTIONS.count)))
    print("%d passed, %d failed, 0 skipped" % (sum(good), len(good) - sum(good)))
    return not all(good)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--patience", type=float, default=1.0, help="for slow (sanitized) builds: times two seconds")
    arguments.add_argument("--mithrilc", default=os.environ.get("MITHRILC", os.path.join(ROOT, "build", "mithrilc")))
    arguments.add_argument("--keep", default=os.path.join(tempfile.gettempdir(), "mithril-fuzz"))
    OPTIONS = arguments.parse_args()
    OPTIONS.mithrilc = os.path.abspath(OPTIONS.mithrilc)
    OPTIONS.programs = programs()
    sys.exit(main())
