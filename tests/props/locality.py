#!/usr/bin/python3
"""A small change in gives a small change out: editing one layer of fifty changes or removes at most 12 lines of the
generated C, in at most 12 places. What is added is the new kernel."""
import os, re, sys
sys.dont_write_bytecode = True
from common import *

LAYERS = 50


def network(edit):
    """Fifty residual layers; `edit` is (number, what stands there instead)."""
    lines = ["mth 1", "use nn",
             "model Wide(dim: int, wide: int) {", "    in  x: float[B, D]", "    out y: float[B, D]",
             "    |= Linear(wide)(x) as up", "    += relu()", "    += Linear(dim) as down", "}",
             "model Deep {", "    in  x: float[B, 32]", "    out y: float[B, 10]", "    h0 = x"]
    for i in range(LAYERS):
        body = "relu(Linear(32)(h%d) as fc[%d])" % (i, i)
        if edit and edit[0] == i:
            body = edit[1].replace("H", "h%d" % i).replace("I", str(i))
        lines.append("    h%d = h%d + %s" % (i + 1, i, body))
    return "\n".join(lines + ["    y = Linear(10)(h%d) as head" % LAYERS, "}", "export Deep() as deep", ""])


def convolutions(edit):
    lines = ["mth 1", "use nn", "model Deep {", "    in  x: float[N, 8, 12, 12]", "    out y: float[N, 10]", "    |= x"]
    for i in range(LAYERS):
        body = edit[1].replace("I", str(i)) if edit and edit[0] == i else \
            "    += Conv2d(8, kernel = 3, padding = 1, bias = false) as conv[%d]\n    += BatchNorm2d() as bn[%d]\n    += relu()" % (i, i)
        lines.append(body)
    return "\n".join(lines + ["    += mean(axis = [2, 3])", "    += Linear(10) as head", "}", "export Deep() as deep", ""])


def generated(text, top, name):
    path = os.path.join(top, name + ".mth")
    with open(path, "w") as f:
        f.write(text)
    out = os.path.join(top, name)
    if not build(out, path, "--bind", "B=1" if "float[B" in text else "N=1"):
        return None
    return out


def changed(before, after):
    """Lines that went or were replaced, and where, over all files: the least that diff finds."""
    lines, places = 0, []
    for name in sorted(set(os.listdir(before)) | set(os.listdir(after))):
        said = run("diff", "-d", "-N", before + "/" + name, after + "/" + name).stdout.decode()
        for first, last, how in re.findall(r"^(\d+)(?:,(\d+))?([acd])", said, re.M):
            if how != "a":
                lines += int(last or first) - int(first) + 1
                places.append("%s:%s" % (name, first))
    return lines, places


def compare(what, before, text, top):
    after = generated(text, top, what.replace(" ", "_"))
    if before is None or after is None:
        return
    lines, places = changed(before, after)
    check(lines <= 12 and len(places) <= 12, "%s: want at most 12 lines in 12 places, got %d in %d: %s" % (
        what, lines, len(places), " ".join(places[:14])))
    check(run("diff", "-r", before, after).returncode == 1, "%s: nothing changed" % what)


with folder() as top:
    base = generated(network(None), top, "base")
    for i in (0, 20, 49):
        compare("another activation in layer %d" % i, base, network((i, "tanh(Linear(32)(H) as fc[I])")), top)
        compare("another width in layer %d" % i, base, network((i, "(Wide(32, 48)(H) as fc[I])")), top)
        compare("no bias in layer %d" % i, base, network((i, "relu(Linear(32, bias = false)(H) as fc[I])")), top)
    base = generated(convolutions(None), top, "conv")
    for i in (1, 25):
        compare("another activation after convolution %d" % i, base, convolutions((i,
                "    += Conv2d(8, kernel = 3, padding = 1, bias = false) as conv[I]\n    += BatchNorm2d() as bn[I]\n    += tanh()")), top)
        compare("another kernel in convolution %d" % i, base, convolutions((i,
                "    += Conv2d(8, kernel = 5, padding = 2, bias = false) as conv[I]\n    += BatchNorm2d() as bn[I]\n    += relu()")), top)
finish()
