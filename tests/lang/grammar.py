#!/usr/bin/env python3
"""The parser accepts what the grammar of LANGUAGE.md accepts, and refuses what it refuses.

    python3 tests/lang/grammar.py [-n COUNT] COMMAND...      # default: ./mithrilc check --dump=parse

Reads the grammar with the checker that comes with the language (../shared/language/check/check.py), then compares
its verdict with that of COMMAND FILE on every example, as it is and with one to three tokens changed.
Skips with a message where ../shared is absent. Standard library only.
"""
import concurrent.futures, glob, os, random, re, subprocess, sys, tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
WORDS = "in out param state block let if else for scan while as with model op extern use frozen along entry eg".split()
MARKS = "( ) [ ] { } , : = . .. ... + - * / // % @ ** ++ == != < <= > >= -> <- |= += +: ? ; not and or".split()


def oracle():
    """A function from text to None, or why the grammar refuses it."""
    sys.path.insert(0, os.path.join(SHARED, "language", "check"))
    import check
    text = open(check.REVIEW).read()
    rules = check.read_ebnf(re.search(r"```ebnf\n(.*?)```", text, re.S).group(1))
    ll = check.LL(rules)
    words = {s[1] for ps in ll.prods.values() for p in ps for s in p if s[0] == "t" and s[1].isidentifier()}

    def verdict(src):
        try:
            check.parse(ll, check.lex(src, words, "x"), "x")
        except (check.LexError, check.ParseError) as e:
            return str(e)
    return verdict, lambda src: check.lex(src, words, "x")


def places(src, tokens):
    """(from, to) of each token in src."""
    starts = [0] + [m.end() for m in re.finditer("\n", src)]
    out = []
    for kind, text, line, column in tokens:
        at = starts[line - 1] + column - 1
        if text.strip() and src.startswith(text, at):
            out.append((at, at + len(text)))
    return out


def change(src, spots, rng):
    """src with one token left out, doubled, swapped with the next, or replaced."""
    i = rng.randrange(len(spots) - 1)
    (a, b), (c, d) = spots[i], spots[i + 1]
    how = rng.randrange(5)
    if how == 0: return src[:a] + src[b:]
    if how == 1: return src[:b] + " " + src[a:b] + src[b:]
    if how == 2: return src[:a] + src[c:d] + src[b:c] + src[a:b] + src[d:]
    if how == 3: return src[:a] + src[slice(*rng.choice(spots))] + src[b:]
    return src[:a] + " " + rng.choice(WORDS + MARKS) + " " + src[b:]


def variants(src, lex, count, rng):
    spots = places(src, lex(src))
    for _ in range(count):
        text, left = src, rng.choice([1, 1, 1, 2, 3])
        while left:
            text, left = change(text, spots, rng), left - 1
            if left:
                try: spots_now = places(text, lex(text))
                except Exception: break
                if len(spots_now) < 2: break
                text = change(text, spots_now, rng)
                left -= 1
        if "{" not in "".join(re.findall(r'"[^"\n]*"', text)):      # values in strings are no part of the grammar
            yield text


def main():
    args = sys.argv[1:]
    count = 1500
    if args[:1] == ["-n"]: count, args = int(args[1]), args[2:]
    command = args or [os.path.join(ROOT, "mithrilc"), "check", "--dump=parse"]
    if not os.path.isdir(SHARED):
        print("grammar.py: skipped: ../shared is absent")
        return 0
    verdict, lex = oracle()
    rng = random.Random(1)
    files = sorted(glob.glob(os.path.join(SHARED, "language", "*.mth")))
    cases = [(os.path.basename(f), open(f).read()) for f in files]
    for name, src in list(cases):
        cases += [(name + " changed", v) for v in variants(src, lex, count // len(files) + 1, rng)]
    with tempfile.TemporaryDirectory() as folder:
        def run(i):
            path = os.path.join(folder, "%d.mth" % i)
            with open(path, "w") as f: f.write(cases[i][1])
            r = subprocess.run(command + [path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
            return r.returncode, r.stderr.decode(errors="replace")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            got = list(pool.map(run, range(len(cases))))
    wrong = refused = 0
    for (name, src), (code, text) in zip(cases, got):
        want = verdict(src)
        refused += want is not None
        if code not in (0, 1):
            print("%s: exit %d\n%s" % (name, code, text[:2000])); wrong += 1
        elif (want is None) != (code == 0):
            keep = os.path.join(tempfile.gettempdir(), "grammar-%d.mth" % wrong)
            with open(keep, "w") as f: f.write(src)
            print("%s (%s): the grammar says %s; the parser says %s" % (name, keep, want or "yes", text[:400] or "yes"))
            wrong += 1
    print("grammar.py: %d programs (%d refused), %d disagreements" % (len(cases), refused, wrong))
    return 1 if wrong else 0


sys.exit(main())
