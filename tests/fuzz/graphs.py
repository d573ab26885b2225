#!/usr/bin/python3
"""Random programs through the whole compiler, against NumPy.

    tests/fuzz/graphs.py [--count N] [--seed S] [--mithrilc PATH] [--keep DIR] [--only K]

A program is made together with its meaning: each statement is a line of .mth and a function of float64 arrays
(operators.py). Every program is built, compiled (gcc -O2 and clang -O3 with warnings as errors, or gcc with sanitizers),
called several times with guards around all buffers and the arena full of NaN, and computed by `mithrilc run`; states are
kept from call to call. How exact a result must be is found by computing it again with each float disturbed by some
roundings. What fails is made smaller while it still fails, and written with its inputs into the folder that --keep names.
Equal seeds make equal programs. The last line is `N passed, N failed, N skipped`.
"""
import argparse, concurrent.futures, ctypes, json, os, pickle, random, re, struct, subprocess, sys, tempfile, warnings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
try:
    import numpy as np
except ImportError:
    print("skip tests/fuzz/graphs.py: no python3-numpy: random programs have no oracle")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
warnings.simplefilter("ignore")
from operators import OPERATORS, Unfit, write as WRITE

DTYPE = {"f": np.float32, "i": np.int32, "b": np.uint8}
TYPE = {"f": "float", "i": "i32", "b": "bool"}
NOISE = 4e-7                            # some seven roundings of a float


# ---------------------------------------------------------------- programs

class Varying:
    """A dimension that varies with T: its value at each sample, and its text if it is linear in T."""
    def __init__(self, values, samples):
        self.values = values
        a, rest = divmod(values[1] - values[0], samples[1] - samples[0])
        b = values[0] - a * samples[0]
        linear = not rest and a > 0 and all(v == a * t + b for v, t in zip(values, samples))
        self.text = linear and ("T" if a == 1 else "%d * T" % a) + (" %s %d" % ("+-"[b < 0], abs(b)) if b else "")

    def __eq__(self, other): return isinstance(other, Varying) and self.values == other.values
    def __hash__(self): return hash(self.values)
    def __str__(self):
        if not self.text: raise Unfit
        return self.text


class Extent:
    def __init__(self, values, fixed):
        self.least, self.most, self.fixed = min(values), max(values), fixed


class Value:
    """A named tensor: its dimensions, and what it holds in the first call at each sample."""
    def __init__(self, name, kind, dims, arrays, role="made"):
        self.name, self.kind, self.dims, self.arrays, self.role = name, kind, list(dims), arrays, role

    rank = property(lambda self: len(self.dims))
    def __str__(self): return self.name
    def __format__(self, how): return self.name


class Statement:
    def __init__(self, outs, text, function, args, exact, state=None):
        self.outs, self.text, self.function, self.args, self.exact, self.state = outs, text, function, args, exact, state

    def line(self):
        return "    " + (self.text if self.state else "%s = %s" % (", ".join(o.name for o in self.outs), self.text))


class Program:
    """Of a varying T, `samples` are the values called with, and two beyond that only tell fixed sizes from varying ones."""
    def __init__(self, seed, number):
        self.random, self.number = random.Random("%d %d" % (seed, number)), number
        self.data = np.random.default_rng([seed, number])
        self.symbol, self.wide = self.chance(0.35), self.chance(0.3)        # wide: axes that fill vectors
        self.low, self.high = self.choose([(1, 5), (1, 5), (0, 4), (2, 9), (1, 17)]) if self.symbol else (0, 0)
        self.samples = sorted({self.low, self.low + 1, self.high}) if self.symbol else [0, 1]
        self.real = len(self.samples)
        if self.symbol:
            self.samples += [self.high + 11, self.high + 24]
        self.values, self.inputs, self.weights, self.states, self.body, self.heads = [], [], [], [], [], set()
        self.paths, self.found = 0, None
        self.make()
        self.calls = [self.random.randrange(self.real) for _ in range(3)] if self.states else list(range(self.real))

    # ---- chance
    def chance(self, p): return self.random.random() < p
    def choose(self, of):
        if not of: raise Unfit
        return self.random.choice(of)
    def between(self, lo, hi):
        if hi < lo: raise Unfit
        return self.random.randint(lo, hi)
    def some(self, of, least): return self.random.sample(list(of), self.between(least, len(of)))
    def shuffled(self, of): return self.random.sample(list(of), len(of))
    def size(self, least=0):
        if self.symbol and self.chance(0.1): return self.time()
        if self.wide and self.chance(0.5): return self.choose([8, 9, 15, 16, 17, 24, 31, 32, 33, 64])
        return max(least, self.choose([0, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5, 7, 8, 11, 16, 17] if self.chance(0.3) else [1, 2, 3, 4, 5, 7]))
    def time(self): return Varying(tuple(self.samples), self.samples) if self.symbol else 3
    def path(self):
        self.paths += 1
        return "m%d" % self.paths

    # ---- sizes
    def extent(self, d): return Extent(d.values[:self.real], False) if isinstance(d, Varying) else Extent([d], True)
    def at(self, T, dims): return [d.values[self.samples.index(T)] if isinstance(d, Varying) else d for d in dims]
    def broadcasts(self, a, b): return all(x == y or x == 1 or y == 1 for x, y in zip(a[::-1], b[::-1]))
    def dims_of(self, shapes):
        if len(set(map(len, shapes))) > 1: raise Unfit
        return [v[0] if len(set(v)) == 1 else Varying(v, self.samples) for v in zip(*shapes)]

    # ---- values
    def numbers(self, kind, shape, low=None, high=None):
        if kind == "i":
            return self.data.integers(-4 if low is None else low, 5 if high is None else max(high, (low or 0) + 1), shape)
        if kind == "b":
            return self.data.integers(0, 2, shape).astype(bool)
        low = -1.5 if low is None else low
        return self.data.uniform(low, max(1.5, low + 1.5), shape).astype(np.float32).astype(float)

    def input(self, kind, dims, low=None, high=None):
        [str(d) for d in dims]
        if any(self.extent(d).most > 64 for d in dims) or np.prod([float(self.extent(d).most) for d in dims]) > 5000: raise Unfit
        v = Value("x%d" % len(self.inputs), kind, dims, [np.asarray(self.numbers(kind, self.at(t, dims), low, high)) for t in self.samples], "input")
        self.inputs.append(v)
        self.values.append(v)
        return v

    def weight(self, name, dims, low=None):
        if any(isinstance(d, Varying) for d in dims): raise Unfit
        own = name is None
        v = Value(name or "p%d" % len(self.weights), "f", dims, [self.numbers("f", dims, low)] * len(self.samples), "param" if own else "layer")
        self.weights.append(v)
        if own: self.values.append(v)
        return v

    def like(self, kind, dims, weight=False, old=0.5, low=None, high=None):
        same = [v for v in self.values if v.kind == kind and v.dims == list(dims)] if low is None else []
        if same and self.chance(old):
            return self.choose(same)
        fixed = not any(isinstance(d, Varying) for d in dims)
        return self.weight(None, dims, low) if kind == "f" and fixed and self.chance(0.8 if weight else 0.2) else self.input(kind, dims, low, high)

    def scalar(self, low, high):
        if self.chance(0.3):
            n = self.between(low, max(low, high))
            return Value(str(n), "i", [], [np.int64(n)] * len(self.samples), "number")
        return self.input("i", [], low, high + 1)

    def ids(self, dim):
        made = [v for v in self.values if v.kind == "i" and v.role == "made" and v.rank < 3]
        if made and self.chance(0.3): return self.choose(made)
        return self.input("i", [self.size() for _ in range(self.choose([1, 1, 2]))], 0, self.extent(dim).least)

    def pick(self, kind, rank=(0, 9), size=0, fixed=None, make=False):
        def good(v):
            return (v.kind == kind or kind == "any" and v.kind != "end") and rank[0] <= v.rank <= rank[1] and all(self.extent(d).least >= size for d in v.dims) \
                and (fixed is None or v.rank and not isinstance(v.dims[fixed], Varying))
        fit = [v for v in self.values if good(v)]
        if fit:
            return fit[-1 - int(len(fit) * self.random.random() ** 1.7)]
        if not make: raise Unfit
        dims = [self.between(max(size, 1), 6) for _ in range(self.between(*rank))]
        if self.symbol and self.low >= size and self.chance(0.3):
            dims[-1] = self.time()
        return self.input(kind if kind != "any" else "f", dims)

    def pair(self, kind):
        a = self.pick(kind)
        fit = [v for v in self.values if v.kind == kind and self.broadcasts(a.dims, v.dims)]
        if self.chance(0.6):
            b = self.choose(fit[-8:])
        else:
            b = self.like(kind, [d if self.chance(0.8) else 1 for d in a.dims][self.between(0, a.rank) if self.chance(0.4) else 0:])
        return (a, b) if self.chance(0.5) else (b, a)

    # ---- statements
    def compute(self, function, args, k):
        out = function(self.samples[k], *[v.arrays[k] for v in args])
        return out if isinstance(out, (tuple, list)) else [out]

    def add(self, kinds, text, function, *args, exact=False):
        each = [self.compute(function, args, k) for k in range(len(self.samples))]
        outs = []
        for j, kind in enumerate(kinds):
            arrays = [np.asarray(e[j]).astype({"f": float, "i": np.int64, "b": bool}[kind]) for e in each]
            most = max(a.size for a in arrays[:self.real])
            if most > 5000 or arrays[0].ndim > 6: raise Unfit
            v = Value("v%d" % (len(self.values) + j), kind, self.dims_of([a.shape for a in arrays]), arrays)
            v.finite = all(np.isfinite(a).all() for a in arrays[:self.real])
            if not v.finite and not self.chance(0.1): raise Unfit
            if any(np.abs(np.where(np.isfinite(a), a, 0)).max(initial=0) > (60 if kind == "f" else 10000) for a in arrays[:self.real]): raise Unfit
            outs.append(v)
        self.body.append(Statement(outs, text, function, args, exact))
        self.values += [v if v.finite else Value(v.name, "end", v.dims, v.arrays) for v in outs]
        return outs[0]

    def write(self, s, sub, function, *args):
        now = [function(self.samples[k], s.arrays[k], *[v.arrays[k] for v in args]) for k in range(self.real)] + s.arrays[self.real:]
        if any(np.abs(a).max(initial=0) > 60 for a in now): raise Unfit
        self.body.append(Statement([s], "%s%s <- %s" % (s, sub, args[-1]), function, (s,) + args, True, s))
        s.arrays = now

    def state(self):
        dims = [self.choose([1, 2, 3, 5, 6, 8]) for _ in range(self.between(1, 3))]
        ones = self.chance(0.3)
        s = Value("s%d" % len(self.states), "f", dims, [np.full(dims, float(ones))] * len(self.samples), "state")
        s.ones = ones
        self.states.append(s)
        self.values.append(s)

    def make(self):
        rank = self.between(1, 4)
        dims = [self.size(int(self.chance(0.9))) if k < 2 else self.between(1, 5) for k in range(rank)]
        if self.symbol:
            dims[self.random.randrange(rank)] = self.time()
        large = np.prod([float(self.extent(d).most) for d in dims]) > 5000
        self.input("f", [d if isinstance(d, Varying) else min(d, 5) for d in dims] if large else dims)
        for _ in range(self.choose([0, 0, 0, 1, 2])):
            self.state()
        wanted = self.between(1, 14)
        for _ in range(8 * wanted):
            if len(self.body) >= wanted: break
            kept = len(self.values), len(self.inputs), len(self.weights), len(self.body), self.paths
            try:
                (WRITE if self.states and self.chance(0.25) else self.choose(OPERATORS))(self)
            except Unfit:
                del self.values[kept[0]:], self.inputs[kept[1]:], self.weights[kept[2]:], self.body[kept[3]:]
                self.paths = kept[4]
        made = [o for s in self.body for o in s.outs if not s.state]
        used = {id(a) for s in self.body for a in s.args}
        ends = [v for v in made if id(v) not in used]
        others = [v for v in self.values if id(v) in used and self.chance(0.2)] + (self.states if self.chance(0.7) else [])
        # A state read at the end has its last value; one that is output earlier is read earlier.
        self.outs = (ends[-12:] + others[:2 if ends else 1]) or [self.values[0]]

    def loaded(self):
        """What the weights file holds: a state that is never written is a weight."""
        written = [s.state for s in self.body]
        return self.weights + [s for s in self.states if s not in written]

    # ---- as text, as numbers
    def text(self, symbol):
        entry = " {\n    entry e: T = %d..%d\n}" % (self.low, self.high) if self.symbol else ""
        typed = lambda v: TYPE[v.kind] + ("[%s]" % ", ".join(map(str, v.dims)) if v.dims else "")
        lines = ["    in  %s: %s" % (v, typed(v)) for v in self.inputs] + ["    out y%d" % k for k in range(len(self.outs))]
        lines += ["    param %s: %s" % (v, typed(v)) for v in self.weights if v.role == "param"]
        lines += ["    state %s: %s = %s()" % (s, typed(s), "ones" if s.ones else "zeros") for s in self.states]
        lines += [s.line() for s in self.body] + ["    y%d = %s" % (k, v) for k, v in enumerate(self.outs)]
        return "mth 1\nuse nn\n%s\nmodel Program {\n%s\n}\nexport Program() as %s%s\n" % ("\n".join(sorted(self.heads)), "\n".join(lines), symbol, entry)

    def values_of(self, noise=None):
        """Of every call, every value by name; with a generator, each float disturbed before and after it is computed with."""
        def shaken(a):
            return a * (1 + NOISE * noise.uniform(-1, 1, np.shape(a))) if noise is not None and np.asarray(a).dtype.kind == "f" else a
        kept = {s.name: np.full(s.dims, float(s.ones)) for s in self.states}
        for k in self.calls:
            env = dict(kept)
            env.update((v.name, v.arrays[k]) for v in self.inputs + self.weights)
            for s in self.body:
                args = [a.arrays[0] if a.role == "number" else env[a.name] for a in s.args]
                if not s.exact:
                    args = [shaken(a) for a in args]
                out = s.function(self.samples[k], *args)
                for o, a in zip(s.outs, out if isinstance(out, (tuple, list)) else [out]):
                    a = np.asarray(a).astype({"f": float, "i": np.int64, "b": bool, "end": float}[o.kind])
                    env[o.name] = a if s.exact else shaken(a)
            kept = {s.name: env[s.name] for s in self.states}
            yield env

    def wanted(self):
        """Of every call, for every output: what it is, and how far from it a result may be."""
        if not self.found:
            self.found = self.find()
        return self.found

    def find(self):
        noise = np.random.default_rng(1)
        exact, others = list(self.values_of()), [list(self.values_of(noise)) for _ in range(4)]
        out = []
        for c, env in enumerate(exact):
            row = []
            for v in self.outs:
                w = np.asarray(env[v.name], float)
                off = np.zeros(w.shape)
                for o in others:
                    d = np.abs(np.where(w == o[c][v.name], 0, w - o[c][v.name]))
                    off = np.fmax(off, np.where(np.isnan(w) != np.isnan(np.asarray(o[c][v.name], float)), np.inf, d))
                scale = np.abs(np.where(np.isfinite(w), w, 0)).max(initial=0)
                off = np.where(off > 0.5 * scale + 1e-3, np.inf, off)      # on the edge of a step: anything goes
                row.append((w, off if v.kind != "f" and v.kind != "end" else 6 * off + 2e-6 * scale + 1e-6))
            out.append(row)
        return out


def difference(want, got):
    """What is wrong with a list of results, or None."""
    for k, ((w, off), g) in enumerate(zip(want, got)):
        g = np.asarray(g, float)
        if w.shape != g.shape:
            return "y%d has shape %s, want %s" % (k, g.shape, w.shape)
        good = (w == g) | (np.isnan(w) & np.isnan(g)) | (np.abs(w - g) <= off) | np.isinf(off)
        if not good.all():
            at = tuple(np.argwhere(~good)[0])
            return "y%d%s: want %r ± %.2g, got %r (%d of %d wrong)" % (k, list(at), w[at], off[at], g[at], (~good).sum(), good.size)
    return None


# ---------------------------------------------------------------- building and compiling

WARNINGS = "-std=c99 -fPIC -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Werror".split()
COMPILERS = {
    "gcc":   ["gcc", "-O2"] + WARNINGS,
    "clang": ["clang", "-O3"] + WARNINGS,
    "sanitized": ["gcc", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"] + WARNINGS,
}


def run(command, timeout=60, **how):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, **how)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, b"no end", b"")


def write_weights(path, weights):
    at, head = 0, {}
    for v in weights:
        n = 4 * int(np.prod(v.dims))
        head[v.name] = {"dtype": "F32", "shape": v.dims, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for v in weights:
            f.write(v.arrays[0].astype(np.float32).tobytes())


class Job:
    """One program in a folder; `problem` is (stage, message) once it has failed."""
    def __init__(self, program, top):
        self.program, self.top, self.symbol, self.problem = program, top, "g%d" % program.number, None
        self.folder = os.path.join(top, self.symbol)

    def fail(self, stage, message):
        self.problem = self.problem or (stage, message)

    def mithrilc(self, command, *more):
        weights = ["--weights", "w.safetensors"] if self.program.loaded() else []
        done = run([OPTIONS.mithrilc, command, self.symbol + ".mth", "--quiet", *weights, *more], 20, cwd=self.folder)
        refused = command == "run" and b"it is used as an index" in done.stdout     # what the C clamps
        if done.returncode and not refused:
            lines = done.stdout.decode(errors="replace").split("\n")
            first = [l for l in lines if "error" in l or "ssert" in l][:1] or lines[:1]
            self.fail(command, "exit code %d: %s" % (done.returncode, first[0]))
        return not done.returncode

    def build(self):
        p = self.program
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, self.symbol + ".mth"), "w") as f:
            f.write(p.text(self.symbol))
        if p.loaded():
            write_weights(os.path.join(self.folder, "w.safetensors"), p.loaded())
        if self.mithrilc("build", "-o", "."):
            self.evaluate(p.wanted()[0])

    def evaluate(self, want):
        """The first call, by `mithrilc run`."""
        more, p = [], self.program
        for v in p.inputs:
            np.save(os.path.join(self.folder, v.name), v.arrays[p.calls[0]].astype(bool if v.kind == "b" else DTYPE[v.kind]))
            more += ["--input", "%s=%s.npy" % (v, v)]
        if not self.mithrilc("run", "-o", "run", *more):
            return
        got = [np.load(os.path.join(self.folder, "run", "y%d.npy" % k)) for k in range(len(p.outs))]
        wrong = difference(want, got)
        if wrong:
            self.fail("run", wrong)

    def header(self):
        with open(os.path.join(self.folder, self.symbol + ".h")) as f:
            return f.read()

    def sources(self):
        return [os.path.join(self.symbol, f) for f in sorted(os.listdir(self.folder)) if f.endswith(".c")]


def compile_jobs(jobs, compiler, top):
    """The library of all jobs that compile; the others have failed."""
    def some(part):
        if part and run(COMPILERS[compiler] + ["-c"] + sum((j.sources() for j in part), []), 300, cwd=out).returncode:
            if len(part) > 1:
                return [some([j]) for j in part]
            done = run(COMPILERS[compiler] + ["-c"] + part[0].sources(), 60, cwd=out)
            first = [l for l in done.stdout.decode(errors="replace").split("\n") if "error" in l or "no end" in l]
            part[0].fail("cc", "%s: %s" % (compiler, (first or ["exit code %d" % done.returncode])[0]))

    out = os.path.join(top, compiler)
    os.makedirs(out, exist_ok=True)
    for j in jobs:
        if not os.path.exists(os.path.join(out, j.symbol)):
            os.symlink(j.folder, os.path.join(out, j.symbol))
    some(jobs[::2]), some(jobs[1::2])
    good = [j for j in jobs if not j.problem]
    library = os.path.join(out, "all.so")
    objects = [os.path.basename(s)[:-2] + ".o" for j in good for s in j.sources()]
    done = run(COMPILERS[compiler] + ["-shared", "-o", library] + objects + ["-lm"], cwd=out)
    assert done.returncode == 0, done.stdout.decode()
    return library, good


# ---------------------------------------------------------------- calling, in a process of its own

def parameters(header, function):
    m = re.search(r"^int %s\(([^)]*)\)" % function, header, re.M)
    return [] if m.group(1).strip() == "void" else [p.split() for p in m.group(1).replace("*", "* ").split(",")]


def state_bytes(header, symbol):
    m = re.search(r"struct %s_state \{(.*?)\}" % symbol, header, re.S)
    n = 0
    for size in re.findall(r"float \w+(?:\[([\d *]+)\])?;", m.group(1)) if m else []:
        n += 4 * eval(size or "1")
    return n


def task(job):
    """What the other process needs to call a job, in plain types."""
    p, header = job.program, job.header()
    function = job.symbol + ("_e" if p.symbol else "")
    work = re.search(r"_WORK_BYTES (\d+)", header)
    calls, outs = [], []
    for k, env in zip(p.calls, p.values_of()):
        calls.append(dict({v.name: np.ascontiguousarray(v.arrays[k].astype(DTYPE[v.kind])) for v in p.inputs}, T=p.samples[k]))
        outs.append([("y%d" % j, np.shape(env[v.name]), DTYPE.get(v.kind, np.float32)) for j, v in enumerate(p.outs)])
    return dict(symbol=job.symbol, function=function, parameters=parameters(header, function), work=int(work.group(1)) if work else 0,
                state=state_bytes(header, job.symbol), calls=calls, outs=outs)


class Guarded:
    """Bytes between guards: 64 before, 64 after, at an address that is `align` and no better."""
    def __init__(self, size, align, fill=0xff):
        raw = np.full(size + 320, 0xa5, np.uint8)
        start = -raw.ctypes.data % 64 + 64 + (align if align < 64 else 0)
        self.raw, self.start, self.size = raw, start, size
        self.bytes = raw[start:start + size]
        self.bytes[...] = fill
        self.pointer = ctypes.c_void_p(raw.ctypes.data + start)

    def broken(self):
        return (self.raw[:self.start] != 0xa5).any() or (self.raw[self.start + self.size:] != 0xa5).any()


def call(library, t, given, outs, state):
    held, arguments = {}, []
    for p in t["parameters"]:
        name, pointer = p[-1], "*" in "".join(p)
        if name in given and pointer:
            x = given[name]
            held[name] = Guarded(x.nbytes, x.itemsize)
            held[name].bytes[...] = x.reshape(-1).view(np.uint8)
        elif name in given:
            kind = {"float": ctypes.c_float, "int32_t": ctypes.c_int32, "uint8_t": ctypes.c_uint8, "int": ctypes.c_int}[p[-2]]
            arguments.append(kind(np.asarray(given[name]).item()))
            continue
        elif name == "w":
            arguments.append(ctypes.byref(ctypes.c_char.in_dll(library, t["symbol"] + "_embedded")))
            continue
        elif name == "s":
            held[name] = state
        elif name == "work":
            held[name] = Guarded(t["work"], 64)
        else:
            shape, dtype = {o[0]: o[1:] for o in outs}[name]
            held[name] = Guarded(int(np.prod(shape)) * np.dtype(dtype).itemsize, np.dtype(dtype).itemsize)
        arguments.append(held[name].pointer)
    code = library[t["function"]](*arguments)
    if code:
        return "the function returned %d" % code
    for name, g in held.items():
        if g.broken():
            return "written outside of `%s`" % name
        if name in given and (g.bytes != given[name].reshape(-1).view(np.uint8)).any():
            return "the input `%s` was written" % name
    return [held[n].bytes.copy().view(d).reshape(s) for n, s, d in outs]


def worker(library, tasks, results):
    with open(tasks, "rb") as f:
        todo = pickle.load(f)
    library = ctypes.CDLL(library)
    with open(results, "ab") as f:
        for t in todo:
            state = Guarded(t["state"], 64)
            if t["state"]:
                library[t["symbol"] + "_reset"](state.pointer)
            pickle.dump([call(library, t, given, outs, state) for given, outs in zip(t["calls"], t["outs"])], f)
            f.flush()


def call_jobs(jobs, compiler, library):
    """Calls every job; one that ends the process has failed, and the rest goes on in another."""
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0", UBSAN_OPTIONS="print_stacktrace=0")
    if compiler == "sanitized":
        environment["LD_PRELOAD"] = run(["gcc", "-print-file-name=libasan.so"]).stdout.decode().strip()
    tasks, results = library + ".tasks", library + ".results"
    while jobs:
        with open(tasks, "wb") as f:
            pickle.dump([task(j) for j in jobs], f)
        open(results, "wb").close()
        done = run([sys.executable, os.path.abspath(__file__), "--worker", library, tasks, results], 120, env=environment)
        n = 0
        with open(results, "rb") as f:
            try:
                while n < len(jobs):
                    compare(jobs[n], compiler, pickle.load(f))
                    n += 1
            except EOFError:
                pass
        if n < len(jobs):
            lines = [l for l in done.stdout.decode(errors="replace").split("\n") if "rror" in l]
            jobs[n].fail("call", "%s: exit code %d: %s" % (compiler, done.returncode, (lines or [""])[0]))
            n += 1
        jobs = jobs[n:]


def compare(job, compiler, got):
    for k, (want, results) in enumerate(zip(job.program.wanted(), got)):
        wrong = results if isinstance(results, str) else difference(want, results)
        if wrong:
            job.fail("call", "%s, call %d, T = %d: %s" % (compiler, k, job.program.samples[job.program.calls[k]], wrong))
            return


def attempt(programs, top, compilers):
    jobs = [Job(p, top) for p in programs]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(Job.build, jobs))
        def one(compiler):
            library, good = compile_jobs([j for j in jobs if not j.problem], compiler, top)
            call_jobs(good, compiler, library)
        list(pool.map(one, compilers))
    return jobs


# ---------------------------------------------------------------- making a failure smaller

def copy_of(p):
    q = object.__new__(Program)
    q.__dict__.update(p.__dict__, found=None)
    for name in ("inputs", "weights", "states", "body", "outs", "calls"):
        setattr(q, name, list(getattr(p, name)))
    return q


def tidy(p):
    """Leaves out what no output needs."""
    used = {v.name for v in p.outs}
    for s in reversed(p.body[:]):
        if any(o.name in used for o in s.outs):
            used |= {a.name for a in s.args}
        else:
            p.body.remove(s)
    for name in ("inputs", "states"):
        setattr(p, name, [v for v in getattr(p, name) if v.name in used])
    p.weights = [v for v in p.weights if v.name in used]
    return p


def as_input(p, v):
    """What a statement made becomes an input that holds the same (of several calls: the first one's)."""
    q = copy_of(p)
    q.body = [s for s in q.body if v not in s.outs]
    fresh = Value("x%d" % (100 + int(v.name[1:])), v.kind if v.kind != "end" else "f", v.dims, v.arrays, "input")
    swap = lambda a: fresh if a is v else a
    q.body = [Statement(s.outs, re.sub(r"\b%s\b" % v.name, fresh.name, s.text), s.function, tuple(map(swap, s.args)), s.exact, s.state) for s in q.body]
    q.inputs.append(fresh)
    q.outs = [swap(o) for o in q.outs]
    return q


def smaller(p):
    """Programs a step smaller than p."""
    for k in range(len(p.outs)):
        if len(p.outs) > 1:
            q = copy_of(p)
            del q.outs[k]
            yield q
    for k in range(len(p.calls)):
        if len(p.calls) > 1:
            q = copy_of(p)
            del q.calls[k]
            yield q
    for s in reversed(p.body):
        if not s.state and len(s.outs) == 1 and len(p.body) > 1 and s.outs[0] not in p.outs:
            yield as_input(p, s.outs[0])
        elif s.state:
            q = copy_of(p)
            q.body.remove(s)
            yield q
    for s in p.body:                    # an argument of an output in its place
        for a in s.args:
            if not s.state and s.outs[0] in p.outs and a.role == "made" and a not in p.outs:
                q = copy_of(p)
                q.outs[q.outs.index(s.outs[0])] = a
                yield q


def kind_of(problem):
    """Failures of one kind: the message without names and numbers."""
    return re.sub(r"g?\d+|[‘'`].*?['’`]", "", "%s: %s" % problem)[:60]


def shrink(job, compilers):
    p, kind, tries = tidy(copy_of(job.program)), kind_of(job.problem), 0
    found = True
    while found and tries < 60:
        found = False
        for q in smaller(p):
            tries += 1
            try:
                q = tidy(q)
                with tempfile.TemporaryDirectory(prefix="mithril-fuzz-") as top:
                    again = attempt([q], top, compilers)[0]
            except (Unfit, IndexError, KeyError, ValueError):
                continue
            if again.problem and kind_of(again.problem) == kind:
                p, job, found = q, again, True
                break
            if tries >= 60:
                break
    return p, job.problem


def keep(job, fresh, compilers):
    """The failure, made small if it is the first of its kind, written to a folder of its own."""
    program, problem = shrink(job, compilers) if OPTIONS.shrink and fresh else (job.program, job.problem)
    folder = os.path.join(OPTIONS.keep, "fail-%d-%d" % (OPTIONS.seed, job.program.number))
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, job.symbol + ".mth")
    with open(path, "w") as f:
        f.write("# %s: %s\n" % problem + program.text(job.symbol))
    if program.loaded():
        write_weights(os.path.join(folder, "w.safetensors"), program.loaded())
    for v in program.inputs:
        np.save(os.path.join(folder, v.name), v.arrays[program.calls[0]].astype(bool if v.kind == "b" else DTYPE[v.kind]))
    return path, problem


def main():
    passed, failed, seen = 0, 0, set()
    chosen = range(OPTIONS.count) if OPTIONS.only is None else [OPTIONS.only]
    for start in range(0, len(chosen), 50):
        programs = [Program(OPTIONS.seed, n) for n in chosen[start:start + 50]]
        compilers = list(COMPILERS) if OPTIONS.all or len(programs) < 50 else list(COMPILERS)[::2 if start // 50 % 2 else 1][:2]
        with tempfile.TemporaryDirectory(prefix="mithril-fuzz-") as top:
            jobs = attempt(programs, top, compilers)
            for j in jobs:
                passed, failed = passed + (not j.problem), failed + bool(j.problem)
                if j.problem:
                    kind = kind_of(j.problem)
                    path, problem = keep(j, kind not in seen, [c for c in compilers if j.problem[1].startswith(c)] or compilers[:1])
                    seen.add(kind)
                    print("FAIL tests/fuzz/graphs.py: seed %d, program %d: %s: %s: %s" % (OPTIONS.seed, j.program.number, path, *problem), flush=True)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
        sys.exit(0)
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--only", type=int, help="the number of one program")
    arguments.add_argument("--mithrilc", default=os.environ.get("MITHRILC", os.path.join(ROOT, "build", "mithrilc")))
    arguments.add_argument("--keep", default=os.path.join(tempfile.gettempdir(), "mithril-fuzz"))
    arguments.add_argument("--all", action="store_true", help="every compiler for every program")
    arguments.add_argument("--no-shrink", dest="shrink", action="store_false")
    OPTIONS = arguments.parse_args()
    OPTIONS.mithrilc = os.path.abspath(OPTIONS.mithrilc)
    sys.exit(main())
