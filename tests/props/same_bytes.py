#!/usr/bin/python3
"""The same input gives the same bytes: from two folders, in two locales, from a compiler built by clang -O0."""
import glob, os, shutil, sys
sys.dont_write_bytecode = True
from common import *


def files(folder_):
    return {os.path.basename(p): open(p, "rb").read() for p in sorted(glob.glob(folder_ + "/*"))}


def difference(a, b):
    if sorted(a) != sorted(b):
        return "files %s and %s" % (sorted(a), sorted(b))
    for name in a:
        for i, (x, y) in enumerate(zip(a[name].split(b"\n"), b[name].split(b"\n"))):
            if x != y:
                return "%s:%d: `%s` and `%s`" % (name, i + 1, x[:80].decode(errors="replace"), y[:80].decode(errors="replace"))
        if a[name] != b[name]:
            return name + ": the lengths differ"
    return None


def other_compiler():
    """mithrilc built by clang -O0, or None."""
    if not shutil.which("clang"):
        skip("no clang: that the compiler's compiler does not show is unproved")
        return None
    done = run("make", "BUILD=" + os.path.join(BUILD, "clang-O0"), "CC=clang", "CFLAGS=-O0", "all", "-j2", cwd=ROOT, timeout=300)
    if not check(done.returncode == 0, "clang -O0 does not build the compiler: " + done.stderr.decode(errors="replace")[-300:]):
        return None
    return os.path.join(BUILD, "clang-O0", "mithrilc")


def locales():
    """The locales of this machine that are unlike C, and two that may not be there."""
    have = run("locale", "-a").stdout.decode().split() if shutil.which("locale") else []
    return [l for l in have if l not in ("C", "POSIX", "C.UTF-8", "C.utf8")][:2] + ["tr_TR.UTF-8", "de_DE.UTF-8"]


clang = other_compiler()
for model in MODELS:
    for form in "embed", "blob":
        with folder() as top:
            arguments = model_arguments(model) + ["--weights-as", form]
            if not build(top + "/first", *arguments):
                continue
            first = files(top + "/first")

            # From another folder, by other paths.
            os.makedirs(top + "/elsewhere/deeper/models")
            shutil.copytree(ROOT + "/models/" + model, top + "/elsewhere/deeper/models/" + model)
            if build("../out", *arguments, cwd=top + "/elsewhere/deeper"):
                check(not difference(first, files(top + "/elsewhere/out")), "%s, %s, another folder: %s" % (
                    model, form, difference(first, files(top + "/elsewhere/out"))))
            if form == "blob":
                continue
            for i, locale in enumerate(locales()):
                if build(top + "/l%d" % i, *arguments, env=dict(os.environ, LC_ALL=locale, LANG=locale, TZ="Asia/Tokyo")):
                    check(not difference(first, files(top + "/l%d" % i)), "%s, LC_ALL=%s: %s" % (
                        model, locale, difference(first, files(top + "/l%d" % i))))
            if clang and build(top + "/clang", *arguments, mithrilc=clang):
                check(not difference(first, files(top + "/clang")), "%s, clang -O0: %s" % (model, difference(first, files(top + "/clang"))))
finish()
