#!/usr/bin/python3
"""Generated C asks for nothing but memcpy, memset and the mathematics of libm, and writes no global."""
import glob, os, re, shutil, sys
sys.dont_write_bytecode = True
from common import *

LIBM = set("""exp expm1 log log1p sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf floor ceil rint round
trunc pow fmod sincos fma fmax fmin fabs nearbyint copysign exp2 log2 cbrt""".split())
ALLOWED = {"memcpy", "memset"} | LIBM | {f + "f" for f in LIBM}


def undefined(folder_, flags):
    sources = [os.path.basename(f) for f in sorted(glob.glob(folder_ + "/*.c"))]
    done = run("cc", "-std=c99", "-fno-pic", "-c", *flags, *sources, cwd=folder_)
    if done.returncode:
        check(False, "cc: " + done.stderr.decode(errors="replace")[:300])
        return None, None
    objects = sorted(glob.glob(folder_ + "/*.o"))
    names = run("nm", "-g", *objects).stdout.decode()
    defined = set(re.findall(r" [TDRBV] (\w+)", names))
    written = set(re.findall(r" [dDbBC] (\w+)", run("nm", *objects).stdout.decode()))
    return set(re.findall(r" U (\w+)", names)) - defined, written


if not shutil.which("nm"):
    skip("no nm: undefined symbols are unseen")
    finish()
for model in MODELS:
    for form in "embed", "extern", "blob", "incbin":
        with folder() as out:
            if not build(out, *model_arguments(model), "--weights-as", form):
                continue
            asked, written = undefined(out, ["-O2"] if form == "embed" else ["-O0"])
            if asked is None:
                continue
            check(asked <= ALLOWED, "%s, %s: want only memcpy, memset and libm, got %s" % (model, form, sorted(asked - ALLOWED)))
            check(not written, "%s, %s: want no global that is written, got %s" % (model, form, sorted(written)))
            with open(out + "/%s.c" % model) as f:
                outside = re.findall(r"^(?:int|void|const char \*) ?(\w+)\(", f.read(), re.M)
            with open(out + "/%s.h" % model) as f:
                header = f.read()
            check(all(re.search(r"\b%s\b" % n, header) for n in outside), "%s: a function with linkage is in no header: %s" % (model, outside))
finish()
