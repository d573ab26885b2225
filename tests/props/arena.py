#!/usr/bin/python3
"""The arena is as small as it can be: recomputed from the text of the generated C alone.

    arena.py                    all models: peak / lower bound is 1.00
    arena.py FILE.c             prints a line a function
    arena.py --poison FILE.c    changes FILE.c: the arena is filled with 0xff at the start, and after every kernel what no
                                later kernel reads is filled again

The lower bound is the largest sum of bytes live across one kernel in the emitted order, scratch included, each rounded
up to 64 bytes. A buffer is live from the call that first takes it to the last that takes it. Two that
start at one offset, where one call ends the first and begins the second, are one: written in place.
"""
import os, re, sys

sys.dont_write_bytecode = True
BYTES = {"float": 4, "double": 8, "int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "uint32_t": 4,
         "int64_t": 8, "uint64_t": 8}


def arguments(text):
    return [a.strip() for a in text.split(",")] if text.strip() else []


def product(shape):
    n = 1
    for d in re.findall(r"\[([^\]]*)\]", shape):
        n *= int(eval(d.replace("/", "//"), {}))
    return n


def kernels(text):
    """name → [(parameter, elements)], from the shapes in the heading and the signature below it."""
    out = {}
    for m in re.finditer(r"/\*((?:(?!\*/).)*)\*/\nstatic void (\w+)\(([^)]*)\) \{", text, re.S):
        heading, name, signature = m.groups()
        heading = re.sub(r"\n \* *", " ", heading)
        sizes = {n: s for n, s in re.findall(r"(\w+)((?:\[[^\]]*\])+)(?=,|;| ->|\s)", heading)}
        found = []
        for parameter in arguments(signature):
            word = re.search(r"(\w+)$", parameter).group(1)
            plain = word[:-1] if word.endswith("_") else word
            shape = sizes.get(plain)
            try:
                count = product(shape) if shape else 1
            except (NameError, SyntaxError):            # a terminal of varying size, which the arena does not hold
                count = None
            found.append((plain, count))
        out[name] = found
    return out


class Buffer:
    def __init__(self, name, offset):
        self.name, self.offset, self.bytes, self.first, self.last = name, offset, 0, None, None


def routines(text):
    """(name, buffers by name, calls as (position of the end of the statement, kernel, arguments))"""
    known = kernels(text)
    for m in re.finditer(r"^int (\w+)\((.*?)\) \{\n(.*?)^\}", text, re.S | re.M):
        name, body = m.group(1), m.group(3)
        table = re.search(r"enum \{[^\n]*\n(.*?)\};", body, re.S)
        buffers = {}
        for n, before, number in re.findall(r"at_(\w+) = (?:at_(\w+)|(\d+))[,;]", table.group(1) if table else body):
            buffers[n] = Buffer(n, buffers[before].offset if before else int(number))
        types = {n: BYTES[t] for t, n, at in re.findall(r"(\w+) \*(\w+) = \(\w+ \*\)\(arena \+ at_(\w+)\)", body)}
        calls = []
        for c in re.finditer(r"^ +(\w+)\(([^;]*)\);", body, re.M):
            if c.group(1) in known:
                calls.append((m.start(3) + c.end(), c.group(1), arguments(re.sub(r"\s+", " ", c.group(2)))))
        for i, (_, kernel, given) in enumerate(calls):
            for (formal, count), actual in zip(known[kernel], given):
                b = buffers.get(actual)
                if not b:
                    continue
                b.first = i if b.first is None else b.first
                b.last = i
                b.bytes = max(b.bytes, (count * types[actual] + 63) // 64 * 64)
        yield name, m, buffers, calls


def bound(buffers, calls):
    most = 0
    for i in range(len(calls)):
        live = [b for b in buffers.values() if b.first is not None and b.first <= i <= b.last]
        total = sum(b.bytes for b in live)
        for b in live:
            over = [a for a in live if a is not b and a.offset == b.offset and a.last == i and b.first == i]
            total -= sum(min(a.bytes, b.bytes) for a in over)
        most = max(most, total)
    return most


def overlaps(buffers):
    """Pairs that lie over each other while both are needed, but for one written in place."""
    live = [b for b in buffers.values() if b.first is not None]
    return [(a.name, b.name) for a in live for b in live
            if a.name < b.name and a.offset < b.offset + b.bytes and b.offset < a.offset + a.bytes and a.first <= b.last and
            b.first <= a.last and not (a.offset == b.offset and (a.last == b.first or b.last == a.first))]


def work_bytes(path):
    header = open(path[:-2] + ".h").read()
    m = re.search(r"_WORK_BYTES (\d+)", header)
    return int(m.group(1)) if m else 0


def poison(path):
    text, work, edits = open(path).read(), work_bytes(path), []
    for name, m, buffers, calls in routines(text):
        if not calls or not work:
            continue
        begin = text.rfind("\n", 0, text.rfind(calls[0][1] + "(", m.start(3), calls[0][0])) + 1
        unused = "memset(arena, 0xff, %d);" if buffers else "memset(work, 0xff, %d);"
        edits.append((begin, "    " + unused % work + "\n"))
        for i, (end, _, _) in enumerate(calls if buffers else []):
            live = sorted((b.offset, b.offset + b.bytes) for b in buffers.values() if b.first is not None and b.first <= i < b.last)
            at, gaps = 0, []
            for lo, hi in live + [(work, work)]:
                if lo > at:
                    gaps.append((at, lo))
                at = max(at, hi)
            edits.append((end, "".join(" memset(arena + %d, 0xff, %d);" % (lo, hi - lo) for lo, hi in gaps)))
    for at, what in sorted(edits, reverse=True):
        text = text[:at] + what + text[at:]
    if "<string.h>" not in text:
        text = text.replace("#include <math.h>\n", "#include <math.h>\n#include <string.h>\n", 1)
    with open(path, "w") as f:
        f.write(text)


def report(path):
    text = open(path).read()
    for name, _, buffers, calls in routines(text):
        peak = max([b.offset + b.bytes for b in buffers.values() if b.first is not None] + [0])
        yield name, peak, bound(buffers, calls), len(calls), overlaps(buffers)


def main():
    from common import MODELS, build, check, finish, folder, model_arguments
    for model in MODELS:
        with folder() as out:
            if not build(out, *model_arguments(model)):
                continue
            path = os.path.join(out, model + ".c")
            found = list(report(path))
            check(found and all(calls for _, _, _, calls, _ in found), "%s: no function with calls was found" % model)
            for name, peak, least, calls, over in found:
                check(peak == least, "%s: want a peak of %d bytes, the lower bound, got %d" % (name, least, peak))
                check(peak <= work_bytes(path), "%s: peak %d is more than WORK_BYTES %d" % (name, peak, work_bytes(path)))
                check(not over, "%s: these lie over each other: %s" % (name, over[:3]))
            check(max(p for _, p, _, _, _ in found) == work_bytes(path), "%s: WORK_BYTES is %d, the peak %d" % (
                model, work_bytes(path), max(p for _, p, _, _, _ in found)))
    finish()


if len(sys.argv) == 3 and sys.argv[1] == "--poison":
    poison(sys.argv[2])
elif len(sys.argv) == 2:
    for line in report(sys.argv[1]):
        print("%s: peak %d, bound %d, %d calls, overlaps %s" % line)
else:
    main()
