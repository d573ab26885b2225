"""What graphs.py draws from: for each operator, a call of it in .mth and what that call means in NumPy, side by side.

An operator is a function of the program being made, `g`: it picks arguments among the values there are (or makes new inputs
and parameters), and adds a statement: text, and a function of arrays. It raises Unfit where nothing fits.
The functions compute in float64 and were written apart from models/std/ops.mth.
"""
import math
import numpy as np
from itertools import product as every


class Unfit(Exception):
    pass


OPERATORS = []


def operator(weight=1):
    return lambda f: OPERATORS.extend([f] * weight) or f


# ---------------------------------------------------------------- functions NumPy lacks

def erf(x): return np.vectorize(math.erf, otypes=[float])(x) if x.size else x
def sigmoid(x): return 1 / (1 + np.exp(-x))
def softplus(x): return np.logaddexp(0, x)
def rms(x, s): return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * s
def clip(i, n): return np.clip(i, 0, n - 1).astype(np.int64)


def saturate(x):
    return np.nan_to_num(np.trunc(np.clip(x, -2147483648, 2147483647)), nan=0).astype(np.int64)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)


def standardize(x, axes):
    m = x.mean(axes, keepdims=True)
    return (x - m) / np.sqrt(((x - m) ** 2).mean(axes, keepdims=True) + 1e-5)


def windows(x, k, s, p, d, value):
    """Padded x (its last len(k) axes) as [..., y..., k...]: what a kernel sees at each place."""
    n = len(k)
    x = np.pad(x, [(0, 0)] * (x.ndim - n) + [(a, a) for a in p], constant_values=value)
    out = [(x.shape[x.ndim - n + a] - d[a] * (k[a] - 1) - 1) // s[a] + 1 for a in range(n)]
    place = [np.arange(max(out[a], 0))[:, None] * s[a] + np.arange(k[a])[None] * d[a] for a in range(n)]
    if n == 1:
        return x[..., place[0]]
    return x[..., place[0][:, None, :, None], place[1][None, :, None, :]]


def conv(x, f, s, p, d, groups):
    n = x.ndim - 2
    y = windows(x, f.shape[2:], s, p, d, 0)
    y = y.reshape(x.shape[0], groups, x.shape[1] // groups, *y.shape[2:])
    f = f.reshape(groups, f.shape[0] // groups, *f.shape[1:])
    at, k = "yz"[:n], "pq"[:n]
    out = np.einsum("ngc%s%s,goc%s->ngo%s" % (at, k, k, at), y, f)
    return out.reshape(x.shape[0], -1, *out.shape[3:])


def conv_transpose(x, f, s, p):
    h = (x.shape[2] - 1) * s + f.shape[2] - 2 * p
    out = np.zeros((x.shape[0], f.shape[1], max(h, 0)))
    for y, k in every(range(x.shape[2]), range(f.shape[2])):
        at = y * s + k - p
        if 0 <= at < h:
            out[:, :, at] += x[:, :, y] @ f[:, :, k]
    return out


def attention(q, k, v, mask=None, causal=False, offset=0, length=None, scale=None):
    t, s = q.shape[2], k.shape[2]
    groups = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, groups, 1), np.repeat(v, groups, 1)
    a = np.einsum("bhtd,bhsd->bhts", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale)
    seen = np.ones(a.shape, bool)
    if causal: seen &= np.arange(s)[None] <= np.arange(t)[:, None] + offset
    if length is not None: seen &= np.arange(s) < length
    if mask is not None: seen &= mask
    a = np.where(seen, a, -np.inf)
    p = np.where(seen, np.exp(a - a.max(-1, keepdims=True, initial=-np.inf)), 0)
    return np.einsum("bhts,bhse->bhte", p, v) / p.sum(-1, keepdims=True)


def scatter(x, i, u, how):
    y = x.copy()
    for k in range(len(i)):
        if 0 <= i[k] < len(y):
            y[i[k]] = how(y[i[k]], u[k])
    return y


# ---------------------------------------------------------------- element by element

UNARY = {
    "exp({})": lambda x: np.exp(x), "tanh({})": np.tanh, "sin({})": np.sin, "cos({})": np.cos, "relu({})": lambda x: np.maximum(x, 0),
    "sigmoid({})": sigmoid, "silu({})": lambda x: x * sigmoid(x), "gelu({})": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "abs({})": np.abs, "-{}": np.negative, "square({})": np.square, "sqrt(abs({}) + 0.5)": lambda x: np.sqrt(np.abs(x) + 0.5),
    "log(abs({}) + 0.5)": lambda x: np.log(np.abs(x) + 0.5), "softplus({})": softplus, "floor({})": np.floor, "round({})": np.rint,
    "sign({})": np.sign, "hard_tanh({})": lambda x: np.clip(x, -1, 1), "relu6({})": lambda x: np.clip(x, 0, 6),
    "clamp({}, -0.5, 1.5)": lambda x: np.clip(x, -0.5, 1.5), "{} * 0.5": lambda x: x * 0.5, "1.5 - {}": lambda x: 1.5 - x,
    "{} ** 2.0": lambda x: x ** 2, "{} + 1.0": lambda x: x + 1, "leaky_relu({})": lambda x: np.where(x > 0, x, 0.01 * x),
    "{} % 1.5": lambda x: np.mod(x, 1.5), "{} // 0.75": lambda x: np.floor(x / 0.75), "elu({})": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "reciprocal(1.0 + square({}))": lambda x: 1 / (1 + x * x), "{} / 3.0": lambda x: x / 3, "hard_swish({})": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
}
BINARY = {
    "{} + {}": np.add, "{} - {}": np.subtract, "{} * {}": np.multiply, "{} / (1.0 + abs({}))": lambda a, b: a / (1 + np.abs(b)),
    "max({}, {})": np.maximum, "min({}, {})": np.minimum, "lerp({}, {}, 0.25)": lambda a, b: a + 0.25 * (b - a), "hypot({}, {})": np.hypot,
}
INTEGER = {
    "{} + {}": np.add, "{} - {}": np.subtract, "{} * {}": np.multiply, "max({}, {})": np.maximum, "min({}, {})": np.minimum,
    "{} // (1 + abs({}))": lambda a, b: a // (1 + np.abs(b)), "{} % (1 + abs({}))": lambda a, b: a % (1 + np.abs(b)),
    "bit_xor({}, {})": np.bitwise_xor, "bit_and({}, {})": np.bitwise_and,
}
WHOLE = {"-{}": np.negative, "abs({})": np.abs, "{} // 3": lambda x: x // 3, "{} % 4": lambda x: x % 4, "{} * 2 - 1": lambda x: x * 2 - 1, "{} % -3": lambda x: x % -3}
COMPARE = {"{} < {}": np.less, "{} <= {}": np.less_equal, "{} > {}": np.greater, "{} >= {}": np.greater_equal, "{} == {}": np.equal, "{} != {}": np.not_equal}
LOGIC = {"{} and {}": np.logical_and, "{} or {}": np.logical_or, "{} != {}": np.not_equal}


@operator(6)
def unary(g):
    text, f = g.choose(list(UNARY.items()))
    x = g.pick("f")
    g.add("f", text.format(x), lambda T, x: f(x), x)


@operator(8)
def binary(g):
    text, f = g.choose(list(BINARY.items()))
    a, b = g.pair("f")
    g.add("f", text.format(a, b), lambda T, a, b: f(a, b), a, b, exact=text[0] == "m")


@operator(5)
def tree(g):
    """Several operators in one expression, over values that broadcast."""
    a, b = g.pair("f")
    leaves, made = [(a.name, lambda a, b: a), (b.name, lambda a, b: b)], []
    for _ in range(g.between(2, 5)):
        pool = leaves + made
        if g.chance(0.4):
            (t, f), (u, h) = g.choose(list(UNARY.items())), g.choose(pool)
            made.append(("(%s)" % t.format(u), lambda a, b, f=f, h=h: f(h(a, b))))
        else:
            (t, f), (u, h), (w, k) = g.choose(list(BINARY.items())), g.choose(pool), g.choose(pool)
            made.append(("(%s)" % t.format(u, w), lambda a, b, f=f, h=h, k=k: f(h(a, b), k(a, b))))
    text, f = made[-1]
    g.add("f", text, lambda T, a, b: f(a, b), a, b)


@operator(2)
def integers(g):
    if g.chance(0.4):
        (text, f), x = g.choose(list(WHOLE.items())), g.pick("i")
        return g.add("i", text.format(x), lambda T, x: f(x), x)
    (text, f), (a, b) = g.choose(list(INTEGER.items())), g.pair("i")
    g.add("i", text.format(a, b), lambda T, a, b: f(a, b), a, b)


@operator(2)
def compare(g):
    (text, f), (a, b) = g.choose(list(COMPARE.items())), g.pair(g.choose("fffi"))
    g.add("b", text.format(a, b), lambda T, a, b: f(a, b), a, b, exact=True)


@operator(1)
def logic(g):
    if g.chance(0.3):
        x = g.pick("b")
        return g.add("b", "not %s" % x, lambda T, x: ~x, x)
    (text, f), (a, b) = g.choose(list(LOGIC.items())), g.pair("b")
    g.add("b", text.format(a, b), lambda T, a, b: f(a, b), a, b)


@operator(3)
def where(g):
    kind = g.choose("ffi")
    a, b = g.pair(kind)
    shape = g.choose([a, b]).dims
    c = g.like("b", [s if g.chance(0.7) else 1 for s in shape][g.between(0, len(shape)):] if g.chance(0.4) else shape)
    if g.chance(0.3):
        return g.add(kind, "where(%s, %s, %s)" % (c, a, "0.0" if kind == "f" else "0"), lambda T, c, a: np.where(c, a, 0), c, a, exact=True)
    g.add(kind, "where(%s, %s, %s)" % (c, a, b), lambda T, c, a, b: np.where(c, a, b), c, a, b, exact=True)


@operator(2)
def cast(g):
    a = g.pick(g.choose("fib"))
    if a.kind == "f":
        return g.add("i", "i32(%s)" % a, lambda T, x: saturate(x), a, exact=True)
    to = g.choose("fi")
    g.add(to, "%s(%s)" % ({"f": "float", "i": "i32"}[to], a), lambda T, x: x.astype(float if to == "f" else np.int64), a, exact=True)


# ---------------------------------------------------------------- reductions

def spread(x, axes, f):
    return f(x, tuple(axes)) if axes else x


REDUCTIONS = {
    "sum": ("f", lambda x, a, k: x.sum(a, keepdims=k)), "mean": ("f", lambda x, a, k: x.mean(a, keepdims=k)), "prod": ("f", lambda x, a, k: x.prod(a, keepdims=k)),
    "amax": ("f", lambda x, a, k: x.max(a, keepdims=k, initial=-np.inf)), "amin": ("f", lambda x, a, k: x.min(a, keepdims=k, initial=np.inf)),
    "any": ("b", lambda x, a, k: x.any(a, keepdims=k)), "all": ("b", lambda x, a, k: x.all(a, keepdims=k)),
    "variance": ("f", lambda x, a, k: x.var(a, keepdims=k)), "norm1": ("f", lambda x, a, k: np.abs(x).sum(a, keepdims=k)),
    "logsumexp": ("f", lambda x, a, k: np.log(np.exp(x - 1).sum(a, keepdims=k)) + 1), "norm2": ("f", lambda x, a, k: np.sqrt((x * x).sum(a, keepdims=k))),
    "count_nonzero": ("i", lambda x, a, k: (x != 0).sum(a, keepdims=k)), "argmax": ("i", None), "argmin": ("i", None), "isum": ("i", lambda x, a, k: x.sum(a, keepdims=k)),
}


def first_of(x, axes, keep, f):
    rest = [a for a in range(x.ndim) if a not in axes]
    y = x.transpose(rest + sorted(axes)).reshape([x.shape[a] for a in rest] + [-1])
    y = f(y, -1)
    return y.reshape([1 if a in axes else x.shape[a] for a in range(x.ndim)]) if keep else y


@operator(7)
def reduce(g):
    name = g.choose(list(REDUCTIONS))
    kind, f = REDUCTIONS[name]
    lowest = 1 if name in ("argmax", "argmin", "logsumexp") else 0
    x = g.pick("b" if name in ("any", "all") else "i" if name == "isum" else "f", rank=(1, 5), size=lowest)
    axes = sorted(g.some(range(x.rank), 1))
    keep = g.chance(0.4)
    given = [a - x.rank if g.chance(0.3) else a for a in axes]
    text = "" if len(axes) == x.rank and g.chance(0.5) else ", axis = [%s]" % ", ".join(map(str, given))
    if not f:
        arg = {"argmax": np.argmax, "argmin": np.argmin}[name]
        return g.add("i", "%s(%s%s%s)" % (name, x, text, ", keep = true" if keep else ""), lambda T, x: first_of(x, axes, keep, arg), x, exact=True)
    g.add(kind, "%s(%s%s%s)" % (name.replace("isum", "sum"), x, text, ", keep = true" if keep else ""),
          lambda T, x: f(x, tuple(axes), keep), x, exact=name in ("amax", "amin"))


@operator(2)
def cumulative(g):
    name = g.choose(["cumsum", "cumsum_exclusive", "cumsum_reverse", "cummax", "cumprod"])
    x = g.pick("f", rank=(1, 4))
    axis = g.between(0, x.rank - 1)
    f = {"cumsum": lambda x: np.cumsum(x, axis), "cumsum_exclusive": lambda x: np.cumsum(x, axis) - x, "cummax": lambda x: np.maximum.accumulate(x, axis),
         "cumsum_reverse": lambda x: np.flip(np.cumsum(np.flip(x, axis), axis), axis), "cumprod": lambda x: np.cumprod(x, axis)}[name]
    g.add("f", "%s(%s, axis = %d)" % (name, x, axis), lambda T, x: f(x), x)


@operator(3)
def softmaxes(g):
    x = g.pick("f", rank=(1, 4))
    axis = g.between(0, x.rank - 1)
    name = g.choose(["softmax", "log_softmax", "l2_normalize"])
    f = {"softmax": lambda x: softmax(x, axis), "log_softmax": lambda x: x - np.log(np.exp(x - 1).sum(axis, keepdims=True)) - 1,
         "l2_normalize": lambda x: x / np.maximum(np.sqrt((x * x).sum(axis, keepdims=True)), 1e-12)}[name]
    g.add("f", "%s(%s, axis = %d)" % (name, x, axis - x.rank if g.chance(0.5) else axis), lambda T, x: f(x), x)


@operator(3)
def norms(g):
    name = g.choose(["layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm", "LayerNorm", "RmsNorm"])
    if name in ("layer_norm", "rms_norm", "LayerNorm", "RmsNorm"):
        x = g.pick("f", rank=(1, 4), size=1, fixed=-1)
        d = [x.dims[-1]]
        if name == "layer_norm":
            s, b = g.like("f", d), g.like("f", d)
            return g.add("f", "layer_norm(%s, %s, %s)" % (x, s, b), lambda T, x, s, b: standardize(x, -1) * s + b, x, s, b)
        if name == "rms_norm":
            s = g.like("f", d)
            return g.add("f", "rms_norm(%s, %s)" % (x, s), lambda T, x, s: rms(x, s), x, s)
        path = g.path()
        s = g.weight(path + ".weight", d)
        if name == "RmsNorm":
            return g.add("f", "RmsNorm()(%s) as %s" % (x, path), lambda T, x, s: rms(x, s), x, s)
        b = g.weight(path + ".bias", d)
        return g.add("f", "LayerNorm()(%s) as %s" % (x, path), lambda T, x, s, b: standardize(x, -1) * s + b, x, s, b)
    x = g.pick("f", rank=(2, 4), size=1, fixed=1)
    c = x.dims[1]
    along = lambda v, x: v.reshape(-1, *[1] * (x.ndim - 2))
    s, b = g.like("f", [c], weight=True), g.like("f", [c], weight=True)
    if name == "instance_norm" and x.rank > 2:
        return g.add("f", "instance_norm(%s, %s, %s)" % (x, s, b), lambda T, x, s, b: standardize(x, tuple(range(2, x.ndim))) * along(s, x) + along(b, x), x, s, b)
    if name == "group_norm":
        groups = g.choose([n for n in range(1, c + 1) if c % n == 0])
        return g.add("f", "group_norm(%s, %s, %s, groups = %d)" % (x, s, b, groups), lambda T, x, s, b: along(s, x) * standardize(
            x.reshape(x.shape[0], groups, -1), -1).reshape(x.shape) + along(b, x), x, s, b)
    m, v = g.like("f", [c], weight=True), g.weight(None, [c], low=0.3)
    g.add("f", "batch_norm(%s, %s, %s, %s, %s)" % (x, s, b, m, v), lambda T, x, s, b, m, v: (x - along(m, x)) / np.sqrt(along(v, x) + 1e-5) * along(s, x) + along(b, x), x, s, b, m, v)


# ---------------------------------------------------------------- contractions

@operator(6)
def matmul(g):
    a = g.pick("f", rank=(2, 4))
    k, j = a.dims[-1], g.size()
    lead = [d if g.chance(0.8) else 1 for d in a.dims[:-2]][g.between(0, a.rank - 2) if g.chance(0.5) else 0:] if g.chance(0.6) else []
    turned = g.chance(0.4)
    b = g.like("f", lead + ([j, k] if turned else [k, j]), weight=not lead and g.chance(0.6), old=0.3)
    g.add("f", "%s @ %s%s" % (a, b, ".T" if turned else ""), lambda T, a, b: a @ (b.swapaxes(-1, -2) if turned else b), a, b)


@operator(1)
def products(g):
    what = g.choose(["linear", "linear_bias", "dot", "outer", "matvec", "einsum", "squared"])
    a = g.pick("f", rank=(1, 3))
    if what in ("linear", "linear_bias"):
        j = g.size()
        w, b = g.like("f", [j, a.dims[-1]], weight=True), g.like("f", [j], weight=True)
        if what == "linear":
            return g.add("f", "linear(%s, %s)" % (a, w), lambda T, a, w: a @ w.T, a, w)
        return g.add("f", "linear_bias(%s, %s, %s)" % (a, w, b), lambda T, a, w, b: a @ w.T + b, a, w, b)
    if what == "dot":
        b = g.like("f", a.dims)
        return g.add("f", "dot(%s, %s)" % (a, b), lambda T, a, b: (a * b).sum(-1), a, b)
    if what == "outer":
        b = g.like("f", list(a.dims[:-1]) + [g.size()])
        return g.add("f", "outer(%s, %s)" % (a, b), lambda T, a, b: a[..., :, None] * b[..., None, :], a, b)
    if what == "matvec":
        b = g.like("f", [a.dims[-1]])
        if a.rank < 2: raise Unfit
        return g.add("f", "matvec(%s, %s)" % (a, b), lambda T, a, b: a @ b, a, b)
    a = g.pick("f", rank=(2, 2))
    b = g.like("f", [g.size(), a.dims[1]])
    if what == "einsum":
        return g.add("f", 'einsum("ik,jk->ji", %s, %s)' % (a, b), lambda T, a, b: b @ a.T, a, b)
    g.add("f", "squared_distance(%s, %s)" % (a, b), lambda T, a, b: ((a[:, None] - b[None]) ** 2).sum(-1), a, b)


@operator(2)
def layers(g):
    name = g.choose(["Linear", "Linear", "Conv2d", "Conv1d", "BatchNorm1d", "BatchNorm2d", "Lstm"])
    path = g.path()
    if name == "Linear":
        x, j = g.pick("f", rank=(2, 4), fixed=-1), g.size()
        w = g.weight(path + ".weight", [j, x.dims[-1]])
        if g.chance(0.3):
            return g.add("f", "Linear(%d, bias = false)(%s) as %s" % (j, x, path), lambda T, x, w: x @ w.T, x, w)
        return g.add("f", "Linear(%d)(%s) as %s" % (j, x, path), lambda T, x, w, b: x @ w.T + b, x, w, g.weight(path + ".bias", [j]))
    if name[:4] == "Conv":
        n = int(name[4])
        x = g.pick("f", rank=(n + 2, n + 2), size=1, fixed=1, make=True)
        c, o, k, p = x.dims[1], g.between(1, 5), g.between(1, 3), g.between(0, 1)
        if any(d.least + 2 * p < k for d in map(g.extent, x.dims[2:])): raise Unfit
        w, b = g.weight(path + ".weight", [o, c] + [k] * n), g.weight(path + ".bias", [o])
        f = lambda T, x, w, b: conv(x, w, [1] * n, [p] * n, [1] * n, 1) + b.reshape(-1, *[1] * n)
        y = g.add("f", "%s(%d, %s, padding = %s)(%s) as %s" % (name, o, k if n == 1 else [k, k], p if n == 1 else [p, p], x, path), f, x, w, b)
        if n == 1 or g.chance(0.3): return
        x, path, name = y, g.path(), "BatchNorm2d"
    elif name == "Lstm":
        x, h = g.pick("f", rank=(2, 2), fixed=1), g.between(1, 5)
        h0, c0 = g.like("f", [x.dims[0], h]), g.like("f", [x.dims[0], h])
        w = [g.weight("%s.%s" % (path, n), d) for n, d in [("weight_ih", [4 * h, x.dims[1]]), ("weight_hh", [4 * h, h]), ("bias_ih", [4 * h]), ("bias_hh", [4 * h])]]
        def cell(T, x, h0, c0, wi, wh, bi, bh):
            i, f, z, o = np.split(x @ wi.T + bi + h0 @ wh.T + bh, 4, -1)
            c = sigmoid(f) * c0 + sigmoid(i) * np.tanh(z)
            return sigmoid(o) * np.tanh(c), c
        return g.add("ff", "LstmCell(%d)(%s, %s, %s) as %s" % (h, x, h0, c0, path), cell, x, h0, c0, *w)
    else:
        x = g.pick("f", rank=(4, 4) if name[-2] == "2" else (2, 2), fixed=1, make=True)
    w = [g.weight("%s.%s" % (path, n), [x.dims[1]], low=0.3) for n in ("weight", "bias", "running_mean", "running_var")]
    def normal(T, x, s, b, m, v):
        s, b, m, v = (z.reshape(-1, *[1] * (x.ndim - 2)) for z in (s, b, m, v))
        return (x - m) / np.sqrt(v + 1e-5) * s + b
    g.add("f", "%s()(%s) as %s" % (name, x, path), normal, x, *w)


@operator(4)
def convolution(g):
    n = g.between(1, 2)
    x = g.pick("f", rank=(n + 2, n + 2), size=1, fixed=1, make=True)
    c = x.dims[1]
    groups = g.choose([m for m in range(1, c + 1) if c % m == 0])
    o = groups * g.between(1, 3)
    k, s, p, d = ([g.between(lo, hi) for _ in range(n)] for lo, hi in ((1, 3), (1, 3), (0, 2), (1, 2)))
    if any(g.extent(x.dims[2 + a]).least + 2 * p[a] < d[a] * (k[a] - 1) + 1 for a in range(n)): raise Unfit
    f = g.like("f", [o, c // groups] + k, weight=g.chance(0.7))
    text = "conv(%s, %s" % (x, f)
    for word, v, usual in ("stride", s, [1] * n), ("padding", p, [0] * n), ("dilation", d, [1] * n):
        if v != usual or g.chance(0.1):
            text += ", %s = %s" % (word, v[0] if len(set(v)) == 1 and g.chance(0.3) else v)
    text += ", groups = %d)" % groups if groups > 1 else ")"
    y = g.add("f", text, lambda T, x, f: conv(x, f, s, p, d, groups), x, f)
    if g.chance(0.4):
        b = g.like("f", [o], weight=True)
        y = g.add("f", "%s + %s[%s]" % (y, b, ", ".join([":"] + ["none"] * n)), lambda T, y, b: y + b.reshape(-1, *[1] * n), y, b)
        if g.chance(0.5):
            g.add("f", "relu(%s)" % y, lambda T, y: np.maximum(y, 0), y)


@operator(2)
def pool(g):
    n = g.between(1, 2)
    x = g.pick("f", rank=(n + 2, n + 2), size=1, make=True)
    k = [g.between(1, 3) for _ in range(n)]
    s, p = [g.between(1, 3) for _ in range(n)], [g.between(0, m // 2) for m in k]
    if any(g.extent(x.dims[2 + a]).least + 2 * p[a] < k[a] for a in range(n)): raise Unfit
    last = tuple(range(-n, 0))
    if g.chance(0.5):
        return g.add("f", "max_pool(%s, window = %s, stride = %s, padding = %s)" % (x, k, s, p), lambda T, x: windows(x, k, s, p, [1] * n, -np.inf).max(last), x, exact=True)
    inside = g.chance(0.5)
    g.add("f", "avg_pool(%s, window = %s, stride = %s, padding = %s, count_padding = %s)" % (x, k, s, p, "false" if inside else "true"),
          lambda T, x: windows(x, k, s, p, [1] * n, 0).sum(last) / (windows(np.ones(x.shape), k, s, p, [1] * n, 0).sum(last) if inside else np.prod(k)), x)


@operator(1)
def transposed(g):
    x = g.pick("f", rank=(3, 3), size=1, fixed=1, make=True)
    k, s = g.between(1, 3), g.between(1, 3)
    p = g.between(0, (k - 1) // 2)
    f = g.like("f", [x.dims[1], g.between(1, 3), k], weight=True)
    g.add("f", "conv_transpose(%s, %s, stride = [%d], padding = [%d])" % (x, f, s, p), lambda T, x, f: conv_transpose(x, f, s, p), x, f)


@operator(3)
def attend(g):
    b, kv, group, d, e = g.between(1, 2), g.between(1, 2), g.between(1, 3), g.between(1, 5), g.between(1, 4)
    t = g.time() if g.chance(0.5) else g.between(1, 5)
    s = t if g.chance(0.4) else g.between(1, 6)
    q, k, v = g.like("f", [b, kv * group, t, d]), g.like("f", [b, kv, s, d]), g.like("f", [b, kv, s, e])
    text, args, names = "attention(%s, %s, %s" % (q, k, v), [q, k, v], []
    causal = g.chance(0.5)
    if causal: text += ", causal = true"
    if causal and g.chance(0.5):
        o = g.scalar(0, 4)
        text += ", offset = %s" % o; args.append(o); names.append("offset")
    if g.chance(0.3):
        o = g.scalar(1, 6)
        text += ", length = %s" % o; args.append(o); names.append("length")
    if g.chance(0.3):
        m = g.like("b", [n if g.chance(0.7) else 1 for n in (b, kv * group, t, s)])
        text += ", mask = %s" % m; args.append(m); names.append("mask")
    scale = 0.7 if g.chance(0.3) else None
    if scale: text += ", scale = 0.7"
    g.add("f", text + ")", lambda T, q, k, v, *more: attention(q, k, v, causal=causal, scale=scale, **dict(zip(names, more))), *args)


# ---------------------------------------------------------------- reading and writing through indices

@operator(3)
def gather(g):
    x = g.pick("f", rank=(1, 3), size=1)
    if g.chance(0.25) and x.rank > 1:
        a, b = g.ids(x.dims[0]), g.ids(x.dims[1])
        if not g.broadcasts(a.dims, b.dims): raise Unfit
        return g.add("f", "%s[%s, %s]" % (x, a, b), lambda T, x, a, b: x[clip(a, x.shape[0]), clip(b, x.shape[1])], x, a, b)
    axis = g.between(0, x.rank - 1)
    i = g.ids(x.dims[axis])
    text = "%s[%s]" % (x, ", ".join([":"] * axis + [i.name]))
    if axis == 0 and g.chance(0.3):
        text = "%s(%s, %s)" % (g.choose(["take"] + ["embedding"] * (x.rank == 2)), x, i)
    g.add("f", text, lambda T, x, i: np.take(x, clip(i, x.shape[axis]), axis), x, i)


@operator(1)
def along(g):
    x = g.pick("f", rank=(1, 3), size=1)
    i = g.like("i", list(x.dims[:-1]) + [g.size(1)], low=0, high=g.extent(x.dims[-1]).least + g.chance(0.1))
    g.add("f", "take_along(%s, %s)" % (x, i), lambda T, x, i: np.take_along_axis(x, clip(i, x.shape[-1]), -1), x, i)


@operator(1)
def run_time_index(g):
    x = g.pick("f", rank=(1, 3), size=1)
    i = g.scalar(0, g.extent(x.dims[0]).least - 1)
    g.add("f", "%s[%s]" % (x, i), lambda T, x, i: x[np.clip(int(i), 0, len(x) - 1)], x, i)


@operator(2)
def run_time_slice(g):
    x = g.pick("f", rank=(1, 3), size=1)
    axis = g.between(0, x.rank - 1)
    n = g.between(0, g.extent(x.dims[axis]).least)
    i = g.scalar(0, g.extent(x.dims[axis]).least - n)
    text = "%s[%s]" % (x, ", ".join([":"] * axis + ["%s +: %d" % (i, n)]))
    if g.chance(0.2):
        text = "dynamic_slice(%s, %s, %d, axis = %d)" % (x, i, n, axis)
    g.add("f", text, lambda T, x, i: np.take(x, np.clip(int(i), 0, x.shape[axis] - n) + np.arange(n), axis), x, i)


@operator(1)
def one_hot(g):
    i, n = g.pick("i"), g.between(1, 6)
    g.add("f", "one_hot(%s, %d)" % (i, n), lambda T, i: (i[..., None] == np.arange(n)).astype(float), i)


@operator(2)
def scatters(g):
    name = g.choose(["scatter_add", "scatter_max", "scatter_set", "segment_sum", "bincount"])
    k = g.size(int(name == "scatter_set"))
    n = g.between(1, 5)
    i = g.like("i", [k], low=0, high=n)
    if name == "bincount":
        return g.add("i", "bincount(%s, %d)" % (i, n), lambda T, i: np.array([(i == v).sum() for v in range(n)]), i)
    if name == "segment_sum":
        u = g.like("f", [k, g.size()])
        return g.add("f", "segment_sum(%s, %s, %d)" % (u, i, n), lambda T, u, i: scatter(np.zeros((n, *u.shape[1:])), i, u, np.add), u, i)
    x = g.pick("f", rank=(1, 3), size=1)
    u = g.like("f", [k] + list(x.dims[1:]))
    how = {"scatter_add": np.add, "scatter_max": np.maximum, "scatter_set": lambda a, b: b}[name]
    g.add("f", "%s(%s, %s, %s)" % (name, x, i, u), lambda T, x, i, u: scatter(x, i, u, how), x, i, u)


# ---------------------------------------------------------------- views

@operator(5)
def slices(g):
    x = g.pick("any", rank=(1, 4))
    text, cut = [], []
    for d in x.dims:
        e, how = g.extent(d), g.between(0, 8)
        if how == 0 and e.least > 0:
            i = g.between(-e.least, e.least - 1)
            text.append(str(i)); cut.append(i)
        elif how == 1 and e.least > 0:
            a = g.between(0, e.least)
            b = g.between(a, e.least)
            text.append("%d:%d" % (a, b)); cut.append(slice(a, b))
        elif how == 2:
            s = g.between(2, 3)
            a = g.between(0, min(2, e.least)) if e.fixed else 0
            text.append("%s::%d" % (a or "", s)); cut.append(slice(a, None, s))
        elif how == 3 and e.least > 1:
            a = g.between(1, e.least - 1)
            text.append(":-%d" % a); cut.append(slice(None, -a))
        elif how == 4 and e.least > 1:
            a = g.between(1, e.least - 1)
            text.append("%d:" % a); cut.append(slice(a, None))
        elif how == 5:
            text += ["none", ":"]; cut += [None, slice(None)]
        else:
            text.append(":"); cut.append(slice(None))
    if all(t == ":" for t in text): raise Unfit
    g.add(x.kind, "%s[%s]" % (x, ", ".join(text)), lambda T, x: x[tuple(cut)], x, exact=True)


@operator(4)
def shapes(g):
    x = g.pick("any", rank=(1, 4))
    what = g.choose(["permute", "permute", "reshape", "reshape", "flatten", "T", "broadcast", "rearrange"])
    if what == "permute":
        order = g.shuffled(range(x.rank))
        return g.add(x.kind, "permute(%s, %s)" % (x, order), lambda T, x: x.transpose(order), x, exact=True)
    if what == "T":
        if x.rank < 2: raise Unfit
        return g.add(x.kind, "%s.T" % x, lambda T, x: x.swapaxes(-1, -2), x, exact=True)
    if what == "flatten":
        return g.add(x.kind, "flatten(%s, start = %d)" % (x, 0), lambda T, x: x.reshape(-1), x, exact=True)
    if what == "broadcast":
        to = [g.size(), *[g.between(1, 3) if d == 1 else d for d in x.dims]]
        return g.add(x.kind, "broadcast_to(%s, [%s])" % (x, ", ".join(map(str, to))), lambda T, x: np.broadcast_to(x, g.at(T, to)), x, exact=True)
    if what == "rearrange":
        words = "a b c d".split()[:x.rank]
        order = g.shuffled(words)
        k = g.between(1, x.rank)
        return g.add(x.kind, 'rearrange(%s, "%s -> %s")' % (x, " ".join(words), " ".join(order[:k - 1] + ["(%s)" % " ".join(order[k - 1:])])),
                     lambda T, x: (lambda y: y.reshape(*y.shape[:k - 1], int(np.prod(y.shape[k - 1:]))))(x.transpose([words.index(w) for w in order])), x, exact=True)
    if any(g.extent(d).least < 1 for d in x.dims): raise Unfit      # a size of 0 is not proved inside
    to, n = [], 1
    for d in x.dims:                    # the primes of the fixed axes dealt anew, what varies where it stands
        if g.extent(d).fixed: n *= d
        else: to.append(d)
    parts = [1] * g.between(1, 3)
    for p in [2, 2, 2, 3, 3, 5, 7]:
        if n and n % p == 0:
            parts[g.between(0, len(parts) - 1)] *= p
            n //= p
    parts[-1] *= n
    for p in parts:
        to.insert(g.between(0, len(to)), p)
    g.add(x.kind, "reshape(%s, [%s])" % (x, ", ".join(map(str, to))), lambda T, x: x.reshape(g.at(T, to)), x, exact=True)


@operator(5)
def joins(g):
    what = g.choose(["concat", "concat", "stack", "split", "split_sizes"])
    x = g.pick("any", rank=(1, 4))
    axis = g.between(0, x.rank - 1)
    if what == "stack":
        y = g.like(x.kind, x.dims)
        axis = g.between(0, x.rank)
        return g.add(x.kind, "stack([%s, %s], axis = %d)" % (x, y, axis), lambda T, x, y: np.stack([x, y], axis), x, y, exact=True)
    if what == "concat":
        all = [x]
        for _ in range(g.between(0, 2)):
            dims = list(x.dims)
            dims[axis] = g.size()
            all.append(g.like(x.kind, dims) if g.chance(0.7) else x)
        return g.add(x.kind, "concat([%s], axis = %d)" % (", ".join(v.name for v in all), axis), lambda T, *all: np.concatenate(all, axis), *all, exact=True)
    d = x.dims[axis]
    if not g.extent(d).fixed or d < 2: raise Unfit
    if what == "split":
        n = g.choose([m for m in range(2, d + 1) if d % m == 0])
        return g.add(x.kind * n, "split(%s, %d, axis = %d)" % (x, n, axis), lambda T, x: np.split(x, n, axis), x, exact=True)
    a = g.between(0, d)
    g.add(x.kind * 2, "split(%s, [%d, %d], axis = %d)" % (x, a, d - a, axis), lambda T, x: np.split(x, [a], axis), x, exact=True)


@operator(3)
def pads(g):
    x = g.pick("f", rank=(1, 4), size=1)
    mode = g.choose(["pad", "pad", "pad_edge", "pad_reflect", "pad_wrap"])
    most = lambda d: g.extent(d).least - 1 if mode == "pad_reflect" else 3
    before, after = ([g.between(0, max(0, min(2, most(d)))) for d in x.dims] for _ in range(2))
    how = {"pad": "constant", "pad_edge": "edge", "pad_reflect": "reflect", "pad_wrap": "wrap"}[mode]
    value = g.choose([0.0, 0.0, 1.5]) if mode == "pad" else 0
    text = ", value = 1.5" if value else ""
    g.add("f", "%s(%s, before = %s, after = %s%s)" % (mode, x, before, after, text),
          lambda T, x: np.pad(x, list(zip(before, after)), how, **({"constant_values": value} if mode == "pad" else {})), x, exact=True)


@operator(3)
def moves(g):
    x = g.pick("any", rank=(1, 4), size=1)
    what = g.choose(["flip", "roll", "tile", "repeat", "tril", "triu", "diag", "sliding", "difference", "upsample"])
    if what == "flip":
        return g.add(x.kind, "flip(%s)" % x, lambda T, x: np.flip(x), x, exact=True)
    if what == "roll":
        by = [g.between(-3, 3) for _ in x.dims]
        return g.add(x.kind, "roll(%s, by = %s)" % (x, by), lambda T, x: np.roll(x, by, range(x.ndim)), x, exact=True)
    if what == "tile":
        times = [g.between(1, 2) for _ in x.dims]
        return g.add(x.kind, "tile(%s, times = %s)" % (x, times), lambda T, x: np.tile(x, times), x, exact=True)
    if what == "repeat":
        n, axis = g.between(1, 3), g.between(0, x.rank - 1)
        return g.add(x.kind, "repeat(%s, %d, axis = %d)" % (x, n, axis), lambda T, x: np.repeat(x, n, axis), x, exact=True)
    x = g.pick("f", rank=(2, 4), size=1)
    if what in ("tril", "triu"):
        k = g.between(-1, 1)
        return g.add("f", "%s(%s, k = %d)" % (what, x, k), lambda T, x: getattr(np, what)(x, k), x, exact=True)
    if what == "sliding":
        n, step = g.between(1, min(3, g.extent(x.dims[-1]).least)), g.between(1, 2)
        return g.add("f", "sliding_window(%s, %d, step = %d)" % (x, n, step), lambda T, x: windows(x, [n], [step], [0], [1], 0), x, exact=True)
    if what == "difference":
        return g.add("f", "difference(%s)" % x, lambda T, x: np.diff(x), x)
    if what == "upsample" and x.rank == 4:
        return g.add("f", "upsample_nearest(%s, scale = [2, 3])" % x, lambda T, x: x.repeat(2, 2).repeat(3, 3), x, exact=True)
    if x.dims[-1] != x.dims[-2]: raise Unfit
    g.add("f", "diag(%s)" % x, lambda T, x: np.diagonal(x, 0, -2, -1), x, exact=True)


@operator(1)
def orders(g):
    x = g.pick("f", rank=(1, 2), size=1)
    n = g.between(1, g.extent(x.dims[-1]).least)
    if g.chance(0.5):
        return g.add("f", "sort(%s)" % x, lambda T, x: np.sort(x), x, exact=True)
    g.add("fi", "top_k(%s, %d)" % (x, n), lambda T, x: (-np.sort(-x)[..., :n], np.argsort(-x, -1, "stable")[..., :n]), x, exact=True)


@operator(1)
def made(g):
    n = g.between(1, 6)
    text, kind, f = g.choose([("arange(%d)" % n, "i", lambda T: np.arange(n)), ("eye(%d)" % n, "f", lambda T: np.eye(n)),
                              ("float(arange(%d))" % n, "f", lambda T: np.arange(n) * 1.0), ("full([2, %d], 0.75)" % n, "f", lambda T: np.full((2, n), 0.75)),
                              ("causal_mask(%d, %d)" % (n, n + 1), "b", lambda T: np.tri(n, n + 1, 1, bool))])
    g.add(kind, text, f)


@operator(2)
def rope(g):
    x = g.pick("f", rank=(2, 4), size=1, fixed=-1)
    if x.dims[-1] % 2: raise Unfit
    angle = g.like("f", [x.dims[-2], x.dims[-1] // 2])
    pairs = g.chance(0.5)
    def turn(T, x, a):
        z = x[..., 0::2] + 1j * x[..., 1::2] if pairs else x[..., :x.shape[-1] // 2] + 1j * x[..., x.shape[-1] // 2:]
        z = z * np.exp(1j * a)
        return np.stack([z.real, z.imag], -1).reshape(x.shape) if pairs else np.concatenate([z.real, z.imag], -1)
    g.add("f", "%s(%s, %s)" % ("rope_pairs" if pairs else "rope", x, angle), turn, x, angle)


# ---------------------------------------------------------------- rows of the program's own

OWN = {
    "own_band": ("op own_band(x[..., i]) -> [..., i] = sum(k < I, k <= i + 1 and k >= i - 1: x[..., k])",
                 lambda x: np.array([x[..., max(i - 1, 0):i + 2].sum(-1) for i in range(x.shape[-1])]).reshape((x.shape[-1],) + x.shape[:-1]).transpose(*range(1, x.ndim), 0)),
    "own_centre": ("op own_centre(x[..., i]) -> [..., i] = x - sum(k < I: x[..., k]) / I * max(k < I: x[..., k])", lambda x: x - x.mean(-1, keepdims=True) * x.max(-1, keepdims=True)),
    "own_shift": ("op own_shift(x[..., i] else 0) -> [..., i] = x[..., i - 2] + 2.0 * x[..., i + 1]",
                  lambda x: (lambda p: p[..., :x.shape[-1]] + 2 * p[..., 3:])(np.pad(x, [(0, 0)] * (x.ndim - 1) + [(2, 1)]))),
    "own_mirror": ("op own_mirror(x[..., i]) -> [..., (i, a < 2)] = where(a == 0, x, x[..., I - 1 - i])", lambda x: np.stack([x, x[..., ::-1]], -1).reshape(*x.shape[:-1], -1)),
    "own_soft": ("op own_soft(x[..., i]) -> [...] {\n    m[...] = max(i: x)\n    e[..., i] = exp(x - m)\n    return sum(i: e * x) / sum(i: e)\n}", lambda x: (softmax(x) * x).sum(-1)),
    "own_mean": ("op own_mean(x[..., i]) -> [..., i] {\n    s[..., i] = sum(k <= i: x[..., k])\n    return s[..., i] / float(i + 1)\n}", lambda x: np.cumsum(x, -1) / np.arange(1, x.shape[-1] + 1)),
}


@operator(3)
def own(g):
    name = g.choose(list(OWN))
    x = g.pick("f", rank=(1, 4), size=1)
    g.heads.add(OWN[name][0])
    g.add("f", "%s(%s)" % (name, x), lambda T, x: OWN[name][1](x), x)


# ---------------------------------------------------------------- states

@operator(5)
def write(g):
    if not g.states: raise Unfit
    s = g.choose(list(g.states))
    dims = s.dims
    how = g.between(0, 4)
    if how == 0 or not dims:
        v = g.like("f", dims, old=0.8)
        return g.write(s, "", lambda T, s, v: v + 0 * s, v)
    d = dims[0]
    if how == 1 and d > 0:
        i = g.between(-d, d - 1)
        def put(T, s, v): s = s.copy(); s[i] = v; return s
        return g.write(s, "[%d]" % i, put, g.like("f", dims[1:], old=0.6))
    if how == 2:
        a = g.between(0, d)
        b = g.between(a, d)
        def put(T, s, v): s = s.copy(); s[a:b] = v; return s
        return g.write(s, "[%d:%d]" % (a, b), put, g.like("f", [b - a, *dims[1:]], old=0.6))
    n = g.between(0, d)
    if how == 3 and g.symbol and g.high <= d:
        n = g.time()
    i = g.scalar(0, d - g.extent(n).most)
    v = g.like("f", [n, *dims[1:]], old=0.6)
    def put(T, s, i, v):
        s = s.copy()
        at = np.clip(int(i), 0, len(s) - len(v))
        s[at:at + len(v)] = v
        return s
    g.write(s, "[%s +: %s]" % (i, n), put, i, v)
