"""What the tests of tests/props share: where things are, how to run mithrilc, how to count."""
import os, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MITHRIL_BUILD", os.path.join(ROOT, "build"))
MITHRILC = os.environ.get("MITHRILC", os.path.join(BUILD, "mithrilc"))
MODELS = "kws ic resnet20 mnist mobilenet llama".split()

counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(good, what):
    """One test: `what` says what was wanted and what came, and is printed if it is not good."""
    counts["passed" if good else "failed"] += 1
    if not good:
        print("FAIL %s: %s" % (os.path.relpath(sys.argv[0], ROOT), what))
    return good


def skip(what):
    counts["skipped"] += 1
    print("skip %s: %s" % (os.path.relpath(sys.argv[0], ROOT), what))


def finish():
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    sys.exit(1 if counts["failed"] else 0)


def run(*command, **how):
    how.setdefault("timeout", 120)
    how.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


def model_arguments(name, weights=True):
    """Arguments that build models/NAME, relative to ROOT."""
    folder = "models/" + name
    out = ["%s/%s.mth" % (folder, name)]
    if weights:
        file, = [f for f in os.listdir(os.path.join(ROOT, folder)) if f.endswith(".safetensors")]
        out += ["--weights", folder + "/" + file]
        if os.path.exists(os.path.join(ROOT, folder, name + ".map")):
            out += ["--map", "%s/%s.map" % (folder, name)]
    return out + ([] if name == "llama" else ["--bind", "N=1"])


def build(out, *arguments, **how):
    """Runs mithrilc build; True if it went well, else a failure was counted."""
    how.setdefault("cwd", ROOT)
    done = run(how.pop("mithrilc", MITHRILC), "build", *arguments, "-o", out, "--quiet", **how)
    return done.returncode == 0 or check(False, "build %s: exit code %d: %s" % (
        arguments[0], done.returncode, done.stderr.decode(errors="replace")[:300].replace("\n", " ")))


def folder():
    return tempfile.TemporaryDirectory(prefix="mithril-")
