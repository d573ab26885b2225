#!/usr/bin/python3
"""Every operator that is built, in generated C, against NumPy: odd shapes (0, 1, primes), broadcasting, views, NaN, infinities.

    tests/ops/numpy.py [NAME...]        all cases, or those whose name begins so

A case is an expression over inputs and a NumPy function of the same inputs, written apart from the rows of models/std/ops.mth.
Each becomes a model of its own; all are compiled into one library and called from here, the arena and the results filled
with 0xff before. Elementwise functions may differ by a few units in the last place, sums by a share of the sum of their
absolute values.
"""
import concurrent.futures, ctypes, itertools, math, os, re, subprocess, sys, tempfile, time

del sys.path[0]                         # this file has the name of the library it needs
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MITHRILC = os.environ.get("MITHRILC", os.path.join(ROOT, "build", "mithrilc"))
try:
    import numpy as np
except ImportError:
    print("skip tests/ops/numpy.py: no python3-numpy: the operators are held to their examples only")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

MTH = {"float32": "float", "float64": "f64", "int32": "i32", "int64": "i64", "int8": "i8", "uint8": "u8", "bool": "bool"}
C = {"float32": "float", "float64": "double", "int32": "int32_t", "int64": "int64_t", "int8": "int8_t", "uint8": "uint8_t",
     "bool": "uint8_t"}
rng = np.random.default_rng(7)
np.seterr(all="ignore")


class Case:
    """expr over the names of `inputs`; want: arrays; sizes: bounds and values of symbols; shape: types as text."""
    def __init__(self, name, expr, inputs, want, ulp=0, rel=0.0, near=0.0, types=None, sizes=None, head=""):
        self.name, self.expr, self.inputs, self.ulp, self.rel, self.near = name, expr, inputs, ulp, rel, near
        self.types, self.sizes, self.head = types or {}, sizes or {}, head
        self.want = [np.asarray(w) for w in (want if isinstance(want, (tuple, list)) else [want])]

    def text(self, symbol):
        ins = []
        for n, x in self.inputs.items():
            shape = "[" + ", ".join(map(str, x.shape)) + "]" if x.ndim else ""
            ins.append("    in  %s: %s" % (n, self.types.get(n, MTH[x.dtype.name] + shape)))
        outs = ["y%d" % i for i in range(len(self.want))]
        body = ["    out %s" % o for o in outs]
        entry = ""
        if self.sizes:
            entry = " {\n    entry e: " + ", ".join("%s = 0..%d" % (n, hi) for n, (_, hi) in self.sizes.items()) + "\n}"
        return "mth 1\nuse nn\n%s\nmodel Case {\n%s\n    %s = %s\n}\nexport Case() as %s%s\n" % (
            self.head, "\n".join(ins + body), ", ".join(outs), self.expr, symbol, entry)


CASES = []


def case(name, expr, want, inputs=None, **how):
    inputs = inputs or {}
    CASES.append(Case(name, expr, inputs, want(*[x.astype(np.float64) if x.dtype == np.float32 else x for x in inputs.values()])
                      if callable(want) else want, **how))


def f32(*shape, lo=-2.0, hi=2.0):
    return rng.uniform(lo, hi, shape).astype(np.float32)


def i32(hi, *shape, lo=0):
    return rng.integers(lo, hi, shape).astype(np.int32)


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-38, 1e-45, 2.5, -2.5, 88.0, -104.0],
                   np.float32)
SHAPES = [(), (1,), (7,), (0,), (3, 5), (1, 13), (2, 0, 3), (2, 3, 1, 5), (31,)]


# ---------------------------------------------------------------- element by element

def sigmoid(x): return 1 / (1 + np.exp(-x))
def softplus(x): return np.logaddexp(0, x)
def erf(x): return np.vectorize(math.erf, otypes=[float])(x)


UNARY = {   # name: (function, ulp, lo, hi of the ordinary inputs; special values too)
    "exp": (np.exp, 2, -10, 10), "expm1": (np.expm1, 3, -5, 5), "log": (np.log, 2, 1e-3, 100), "log1p": (np.log1p, 3, -0.9, 50),
    "sqrt": (np.sqrt, 1, 0, 100), "sin": (np.sin, 2, -20, 20), "cos": (np.cos, 2, -20, 20), "tan": (np.tan, 3, -1.5, 1.5),
    "asin": (np.arcsin, 4, -1, 1), "acos": (np.arccos, 4, -1, 1), "atan": (np.arctan, 3, -20, 20), "sinh": (np.sinh, 4, -8, 8),
    "cosh": (np.cosh, 4, -8, 8), "tanh": (np.tanh, 4, -6, 6), "asinh": (np.arcsinh, 4, -50, 50), "acosh": (np.arccosh, 4, 1, 50),
    "atanh": (np.arctanh, 4, -0.99, 0.99), "erf": (erf, 3, -4, 4), "floor": (np.floor, 0, -9, 9), "ceil": (np.ceil, 0, -9, 9),
    "round": (np.rint, 0, -9, 9), "trunc": (np.trunc, 0, -9, 9), "abs": (np.abs, 0, -9, 9), "neg": (np.negative, 0, -9, 9),
    "square": (np.square, 1, -9, 9), "rsqrt": (lambda x: 1 / np.sqrt(x), 2, 1e-3, 100), "reciprocal": (lambda x: 1 / x, 1, 0.1, 9),
    "sign": (np.sign, 0, -2, 2),
}
for op, (f, ulp, lo, hi) in UNARY.items():
    for shape in SHAPES:
        case("%s_%s" % (op, shape), "%s(x)" % op, f, {"x": f32(*shape, lo=lo, hi=hi)}, ulp=ulp)
    case(op + "_special", "%s(x)" % op, f, {"x": SPECIAL}, ulp=ulp)

# Compositions: error a few roundings of the largest intermediate, hence `rel` beside the ulps.
ACTIVATIONS = {
    "relu": lambda x: np.where(np.isnan(x), np.nan, np.maximum(x, 0)), "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x), "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "celu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "sigmoid": sigmoid, "log_sigmoid": lambda x: -softplus(-x), "softplus": softplus, "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * sigmoid(x), "mish": lambda x: x * np.tanh(softplus(x)),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))), "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "hard_tanh": lambda x: np.clip(x, -1, 1), "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "shrink": lambda x: np.where(np.abs(x) > 0.5, x - np.sign(x) * 0.5, 0), "thresholded_relu": lambda x: np.where(x > 1, x, 0),
}
for op, f in ACTIVATIONS.items():
    for shape in [(), (0,), (11,), (3, 7), (2, 1, 5)]:
        case("%s_%s" % (op, shape), "%s(x)" % op, f, {"x": f32(*shape, lo=-8, hi=8)}, ulp=12, rel=1e-6, near=1e-6)
    case(op + "_infinite", "%s(x)" % op, f, {"x": np.array([np.inf, -np.inf, np.nan, 0.0], np.float32)} if op not in (
        "softsign", "silu", "mish", "gelu", "quick_gelu", "hard_swish", "shrink") else {"x": np.array([np.nan, 0.0, 100.0, -100.0], np.float32)},
        ulp=12, rel=1e-6)
case("gelu_tanh", "gelu(x, approximate = true)", lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))),
     {"x": f32(41, lo=-6, hi=6)}, ulp=12, rel=1e-6)
case("leaky_slope", "leaky_relu(x, slope = 0.2)", lambda x: np.where(x > 0, x, 0.2 * x), {"x": f32(9)}, ulp=2)
case("elu_alpha", "elu(x, alpha = 1.5)", lambda x: np.where(x > 0, x, 1.5 * np.expm1(np.minimum(x, 0))), {"x": f32(9)}, ulp=4)
case("prelu", "prelu(x, s)", lambda x, s: np.where(x > 0, x, s * x), {"x": f32(3, 5), "s": f32(5)}, ulp=1)

BINARY = {
    "a + b": np.add, "a - b": np.subtract, "a * b": np.multiply, "a / b": np.divide, "max(a, b)": np.maximum, "min(a, b)": np.minimum,
    "maximum(a, b)": np.maximum, "hypot(a, b)": np.hypot,
}
PAIRS = [((), ()), ((5,), ()), ((), (3, 2)), ((3, 5), (5,)), ((3, 1), (1, 7)), ((2, 3, 5), (3, 1)), ((0, 3), (3,)), ((1,), (0,)),
         ((1, 1), (4, 6)), ((2, 1, 3, 1), (4, 1, 5))]
for (expr, f), (s, t) in itertools.product(BINARY.items(), PAIRS):
    case("%s_%s_%s" % (expr, s, t), expr, f, {"a": f32(*s), "b": f32(*t, lo=0.5)}, ulp=2 if "hypot" in expr else 1)
a, b = (np.ascontiguousarray(v.reshape(-1)) for v in np.meshgrid(SPECIAL, SPECIAL))
for expr, f in list(BINARY.items())[:7]:
    if expr not in ("a * b", "a / b"):
        case(expr + "_special", expr, f, {"a": a, "b": b}, ulp=1)
    else:
        case(expr + "_special", expr, np.asarray(f(a, b)), {"a": a, "b": b}, ulp=1)
case("power", "a ** b", np.power, {"a": f32(4, 5, lo=0.1, hi=5), "b": f32(5)}, ulp=4)
case("power_whole", "x ** 3", lambda x: x ** 3, {"x": f32(17)}, ulp=4)
case("power_half", "x ** 0.5", lambda x: x ** 0.5, {"x": f32(17, lo=0)}, ulp=4)
case("power_two_to", "2.0 ** x", lambda x: 2.0 ** x, {"x": f32(17)}, ulp=4)
case("power_negative", "x ** -2", lambda x: x ** -2.0, {"x": f32(17, lo=0.5)}, ulp=4)
case("list_beside", "x * [1.0, 2.0, 3.0]", lambda x: x * np.array([1.0, 2, 3]), {"x": f32(4, 3)}, ulp=1)
case("number_beside", "2 * x - 1", lambda x: 2 * x - 1, {"x": f32(4, 3)}, rel=1e-6, ulp=2)
case("clamp", "clamp(x, -0.5, 1.0)", lambda x: np.clip(x, -0.5, 1.0), {"x": f32(23)})
case("lerp", "lerp(a, b, 0.25)", lambda a, b: a + 0.25 * (b - a), {"a": f32(7), "b": f32(7)}, rel=1e-6, ulp=2)

for t, name in (np.int32, "i32"), (np.int64, "i64"), (np.int8, "i8"), (np.uint8, "u8"):
    lo = 0 if name == "u8" else -50
    p = {"a": rng.integers(lo, 50, (3, 7)).astype(t), "b": np.array([1, 2, 3, 5, 7, 11, 13], t) * (1 if name == "u8" else np.array([1, -1, 1, -1, 1, 1, -1], t))}
    for expr, f in {"a + b": np.add, "a - b": np.subtract, "a * b": np.multiply, "a // b": np.floor_divide, "a % b": np.mod,
                    "max(a, b)": np.maximum, "min(a, b)": np.minimum}.items():
        case("%s_%s" % (name, expr), expr, f(p["a"], p["b"]), p)
case("i32_neg_abs_sign", "abs(-a) * sign(a)", lambda a: np.abs(-a) * np.sign(a), {"a": i32(9, 13, lo=-9)})
case("floor_div_float", "a // b", lambda a, b: np.floor(a / b), {"a": f32(13, lo=-9, hi=9), "b": f32(13, lo=0.5)})
case("mod_float", "a % b", lambda a, b: a - np.floor(a / b) * b, {"a": f32(13, lo=-9, hi=9), "b": f32(13, lo=0.5)}, rel=1e-6, ulp=4)
for expr, f in {"a == b": np.equal, "a != b": np.not_equal, "a < b": np.less, "a <= b": np.less_equal, "a > b": np.greater,
                "a >= b": np.greater_equal}.items():
    case(expr + "_f32", expr, np.asarray(f(a, b)), {"a": a, "b": b})
    case(expr + "_i32", expr, f, {"a": i32(3, 4, 1), "b": i32(3, 5)})
p = {"a": rng.integers(0, 2, (4, 1)).astype(bool), "b": rng.integers(0, 2, 3).astype(bool)}
for expr, f in {"a and b": np.logical_and, "a or b": np.logical_or, "a != b": np.logical_xor}.items():
    case(expr + "_bool", expr, f, p)
case("not", "not a", np.logical_not, {"a": p["a"]})
case("where", "where(c, a, b)", np.where, {"c": p["a"], "a": f32(3), "b": f32(4, 3)})
case("where_number", "where(x > 0.0, x, 0.0)", lambda x: np.where(x > 0, x, 0), {"x": SPECIAL})
case("isnan", "isnan(x)", np.isnan, {"x": SPECIAL})
case("isinf", "isinf(x)", np.isinf, {"x": SPECIAL})
case("is_finite", "is_finite(x)", np.isfinite, {"x": SPECIAL})
case("masked_fill", "masked_fill(x, m, -1.0)", lambda x, m: np.where(m, -1.0, x), {"x": f32(2, 3), "m": rng.integers(0, 2, (2, 3)).astype(bool)})
wild = np.array([0.0, 1.9, -1.9, 3e9, -3e9, np.inf, -np.inf, np.nan, 127.9, 128.0, -128.9, 255.9, 256.0, -0.5], np.float32)


def saturate(x, t):
    lo, hi = np.iinfo(t).min, np.iinfo(t).max
    return np.array([0 if math.isnan(v) else lo if v <= lo else hi if v >= hi else int(v) for v in x.astype(np.float64)], t)


for t in np.int32, np.int8, np.uint8, np.int64:
    case("to_" + np.dtype(t).name, MTH[np.dtype(t).name] + "(x)", saturate(wild, t), {"x": wild})
case("to_float", "float(n)", lambda n: n.astype(np.float32), {"n": i32(1000, 7, lo=-1000)})
case("bool_to_float", "float(b)", lambda b: b.astype(np.float32), {"b": p["b"]})

# ---------------------------------------------------------------- reductions

REDUCTIONS = {"sum": np.sum, "mean": np.mean, "prod": np.prod, "amax": np.max, "amin": np.min, "norm1": lambda x, **k: np.sum(np.abs(x), **k),
              "norm2": lambda x, **k: np.sqrt(np.sum(x * x, **k)), "sum_square": lambda x, **k: np.sum(x * x, **k)}
for (op, f), shape in itertools.product(REDUCTIONS.items(), [(7,), (1,), (3, 5), (2, 3, 5), (4, 1, 3), (101,)]):
    x = f32(*shape, lo=0.5) if op == "prod" else f32(*shape)
    case("%s_%s" % (op, shape), "%s(x)" % op, f, {"x": x}, rel=1e-5, ulp=8)
    for axis in range(len(shape)):
        case("%s_%s_%d" % (op, shape, axis), "%s(x, axis = %d)" % (op, axis - len(shape) if axis % 2 else axis), lambda x: f(x, axis=axis), {"x": x}, rel=1e-5, ulp=8)
    if len(shape) > 1:
        case("%s_%s_keep" % (op, shape), "%s(x, axis = [-1], keep = true)" % op, lambda x: f(x, axis=-1, keepdims=True), {"x": x}, rel=1e-5, ulp=8)
        case("%s_%s_two" % (op, shape), "%s(x, axis = [0, -1])" % op, lambda x: f(x, axis=(0, -1)), {"x": x}, rel=1e-5, ulp=8)
for op, want in {"sum": 0, "prod": 1, "amax": -np.inf, "amin": np.inf, "mean": np.nan}.items():
    case(op + "_of_none", "%s(x, axis = 1)" % op, np.full(3, float(want)), {"x": f32(3, 0)})
    case(op + "_of_none_at_all", "%s(x)" % op, np.array(float(want)), {"x": f32(0)})
for op, f in {"amax": np.max, "amin": np.min, "sum": np.sum}.items():
    case(op + "_nan", "%s(x, axis = 1)" % op, lambda x: f(x, axis=1), {"x": np.array([[1, np.nan, 2], [np.inf, 1, 2], [-np.inf, 3, -1], [np.nan, np.inf, -np.inf]], np.float32)})
ties = np.array([[3, 1, 3, 1], [2, 2, 2, 2], [np.nan, 5, np.nan, 1], [-np.inf, -np.inf, 0, np.inf]], np.float32)
case("argmax", "argmax(x, axis = 1)", lambda x: np.argmax(x, 1).astype(np.int32), {"x": ties})
case("argmin", "argmin(x, axis = 1)", lambda x: np.argmin(x, 1).astype(np.int32), {"x": ties})
case("argmax_all", "argmax(x)", lambda x: np.int32(np.argmax(x)), {"x": f32(5, 7)})
case("argmin_first", "argmin(x, axis = 0, keep = true)", lambda x: np.argmin(x, 0)[None].astype(np.int32), {"x": f32(11, 3)})
case("any", "any(x > 0.0, axis = 0)", lambda x: np.any(x > 0, 0), {"x": f32(3, 5)})
case("all", "all(x > -1.0, axis = 1)", lambda x: np.all(x > -1, 1), {"x": f32(3, 5)})
case("any_of_none", "any(x > 0.0, axis = 0)", lambda x: np.any(x > 0, 0), {"x": f32(0, 5)})
case("sum_i32", "sum(n, axis = 0)", lambda n: np.sum(n, 0, dtype=np.int32), {"n": i32(9, 7, 3, lo=-9)})
case("count_nonzero", "count_nonzero(x)", lambda x: np.int32(np.count_nonzero(x)), {"x": np.array([0, 1, 0, 2, -0.0], np.float32)})
case("variance", "variance(x, axis = 1)", lambda x: np.var(x, 1), {"x": f32(4, 9)}, rel=1e-5)
case("logsumexp", "logsumexp(x, axis = 0)", lambda x: np.log(np.sum(np.exp(x), 0)), {"x": f32(7, 5)}, rel=1e-6)
case("logsumexp_large", "logsumexp(x)", np.array(1000 + math.log(2)), {"x": np.array([1000, 1000], np.float32)}, rel=1e-6)
case("max_with_index", "max_with_index(x)", lambda x: (np.max(x, 1), np.argmax(x, 1).astype(np.int32)), {"x": f32(4, 7)})
case("cumsum", "cumsum(x, axis = 1)", lambda x: np.cumsum(x, 1), {"x": f32(3, 17)}, rel=1e-5, ulp=8)
case("cumprod", "cumprod(x)", lambda x: np.cumprod(x), {"x": f32(11, lo=0.5)}, rel=1e-5)

# ---------------------------------------------------------------- contractions

for (s, t) in [((2, 3), (3, 5)), ((1, 1), (1, 1)), ((7, 13), (13, 11)), ((2, 3, 5), (5, 7)), ((3, 2, 5), (3, 5, 4)), ((2, 1, 3, 5), (4, 5, 2)),
               ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((17, 64), (64, 9)), ((1, 37), (37, 1)), ((33, 8), (8, 65))]:
    case("matmul_%s_%s" % (s, t), "a @ b", np.matmul, {"a": f32(*s), "b": f32(*t)}, rel=4e-6)
case("matmul_transposed", "a @ b.T", lambda a, b: a @ b.T, {"a": f32(5, 7), "b": f32(3, 7)}, rel=4e-6)
case("matvec", "matvec(a, b)", np.matmul, {"a": f32(5, 7), "b": f32(7)}, rel=4e-6)
case("vecmat", "vecmat(a, b)", np.matmul, {"a": f32(7), "b": f32(7, 3)}, rel=4e-6)
case("first_example", "relu(x @ w + b)", lambda x, w, b: np.maximum(x @ w + b, 0), {"x": f32(3, 5), "w": f32(5, 7), "b": f32(7)}, rel=4e-6)
case("linear", "linear(x, w)", lambda x, w: x @ w.T, {"x": f32(2, 3, 13), "w": f32(7, 13)}, rel=4e-6)
case("linear_bias", "linear_bias(x, w, b)", lambda x, w, b: x @ w.T + b, {"x": f32(4, 11), "w": f32(5, 11), "b": f32(5)}, rel=4e-6)
case("dot", "dot(a, b)", lambda a, b: np.sum(a * b, -1), {"a": f32(3, 19), "b": f32(3, 19)}, rel=4e-6)
case("outer", "outer(a, b)", lambda a, b: np.outer(a, b), {"a": f32(3), "b": f32(5)}, ulp=1)
case("matmul_i32", "a @ b", np.matmul, {"a": i32(9, 3, 5, lo=-9), "b": i32(9, 5, 2, lo=-9)})
case("matmul_nan", "a @ b", np.matmul, {"a": np.array([[np.nan, 1], [1, 1]], np.float32), "b": f32(2, 2)}, rel=4e-6)
case("matmul_views", "permute(a, [1, 0]) @ b[:, 1:4]", lambda a, b: a.T @ b[:, 1:4], {"a": f32(5, 3), "b": f32(5, 7)}, rel=4e-6)
for pattern, s, t in [("ij,jk->ik", (2, 3), (3, 4)), ("bij,bkj->bik", (2, 3, 5), (2, 4, 5)), ("i,i->", (7,), (7,)), ("i,j->ij", (3,), (2,))]:
    case("einsum_" + pattern, 'einsum("%s", a, b)' % pattern, lambda a, b: np.einsum(pattern, a, b), {"a": f32(*s), "b": f32(*t)}, rel=4e-6)

# ---------------------------------------------------------------- convolution, pooling

def conv(x, f, stride, padding, dilation, groups):
    d = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0)] + [(p, p) for p in padding])
    out = [(x.shape[2 + i] - dilation[i] * (f.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in range(d)]
    y = np.zeros((x.shape[0], f.shape[0], *out))
    per_in, per_out = f.shape[1], f.shape[0] // groups
    for o in range(f.shape[0]):
        g = o // per_out
        for at in itertools.product(*map(range, f.shape[2:])):
            window = tuple(slice(k * dl, k * dl + st * (n - 1) + 1, st) for k, dl, st, n in zip(at, dilation, stride, out))
            y[:, o] += np.einsum("nc...,c->n...", x[(slice(None), slice(g * per_in, (g + 1) * per_in)) + window], f[(o, slice(None)) + at])
    return y


for n, c, o, size, k, stride, padding, dilation, groups in [
        (1, 1, 1, (5, 5), (3, 3), 1, 0, 1, 1), (2, 3, 5, (7, 11), (3, 3), 1, 1, 1, 1), (1, 4, 6, (9, 8), (3, 5), 2, 1, 1, 2),
        (1, 3, 3, (7, 7), (3, 3), 1, 1, 1, 3), (1, 8, 8, (13, 5), (3, 3), 2, 1, 1, 8), (2, 2, 7, (6, 6), (1, 1), 1, 0, 1, 1),
        (1, 2, 3, (9, 9), (3, 3), 1, 2, 2, 1), (1, 5, 16, (17, 17), (5, 5), 1, 2, 1, 1), (1, 16, 4, (1, 1), (1, 1), 1, 0, 1, 1),
        (1, 2, 3, (3, 3), (3, 3), 1, 0, 1, 1), (1, 6, 4, (10, 4), (10, 4), 2, 4, 1, 2), (1, 2, 2, (11,), (3,), 2, 1, 1, 1),
        (1, 1, 2, (4, 5, 3), (2, 2, 2), 1, 0, 1, 1), (3, 4, 8, (12, 12), (3, 3), 3, 0, 1, 4), (1, 3, 5, (8, 8), (7, 7), 1, 3, 1, 1),
        (1, 1, 1, (1, 40), (1, 9), 1, 4, 1, 1), (0, 2, 3, (5, 5), (3, 3), 1, 1, 1, 1)]:
    d = len(size)
    lists = [[v] * d for v in (stride, padding, dilation)]
    case("conv_%s_%s_s%d_p%d_d%d_g%d" % ((n, c, *size), (o, c // groups, *k), stride, padding, dilation, groups),
         "conv(x, f, stride = %s, padding = %s, dilation = %s, groups = %d)" % (*lists, groups),
         lambda x, f: conv(x, f, *lists, groups), {"x": f32(n, c, *size), "f": f32(o, c // groups, *k)}, rel=4e-6)
case("conv_relu_bias", "relu(conv(x, f, padding = [1, 1]) + b[:, none, none])",
     lambda x, f, b: np.maximum(conv(x, f, (1, 1), (1, 1), (1, 1), 1) + b[:, None, None], 0), {"x": f32(1, 3, 9, 7), "f": f32(4, 3, 3, 3), "b": f32(4)}, rel=4e-6)
case("conv2d", "conv2d(x, f, stride = 2, padding = 1)", lambda x, f: conv(x, f, (2, 2), (1, 1), (1, 1), 1), {"x": f32(1, 3, 9, 7), "f": f32(4, 3, 3, 3)}, rel=4e-6)
case("depthwise_conv2d", "depthwise_conv2d(x, f, padding = 1)", lambda x, f: conv(x, f[:, None], (1, 1), (1, 1), (1, 1), 3), {"x": f32(2, 3, 9, 7), "f": f32(3, 3, 3)}, rel=4e-6)


def conv_transpose(x, f, stride, padding):
    n, c, h, w = x.shape
    _, o, p, q = f.shape
    y = np.zeros((n, o, (h - 1) * stride + p, (w - 1) * stride + q))
    for i, j in itertools.product(range(h), range(w)):
        y[:, :, i * stride:i * stride + p, j * stride:j * stride + q] += np.einsum("nc,copq->nopq", x[:, :, i, j], f)
    return y[:, :, padding:y.shape[2] - padding, padding:y.shape[3] - padding]


case("conv_transpose", "conv_transpose(x, f, stride = [2, 2], padding = [1, 1])", lambda x, f: conv_transpose(x, f, 2, 1), {"x": f32(1, 3, 5, 4), "f": f32(3, 2, 3, 3)}, rel=4e-6)


def windows(x, k, stride, padding, fill):
    """[n, c, y, z, k0 * k1], and whether each is inside."""
    x = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2], constant_values=fill)
    h, w = [(x.shape[2 + i] - k[i]) // stride[i] + 1 for i in range(2)]
    return np.stack([x[:, :, p:p + stride[0] * (h - 1) + 1:stride[0], q:q + stride[1] * (w - 1) + 1:stride[1]]
                     for p in range(k[0]) for q in range(k[1])], -1)


for shape, k, stride, padding in [((1, 1, 4, 4), (2, 2), (2, 2), (0, 0)), ((2, 3, 7, 5), (3, 3), (2, 2), (1, 1)), ((1, 5, 9, 9), (3, 2), (1, 3), (1, 0)),
                                  ((1, 2, 5, 11), (5, 1), (1, 1), (2, 0)), ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0))]:
    how = "window = %s, stride = %s, padding = %s" % (list(k), list(stride), list(padding))
    case("max_pool_%s_%s" % (shape, k), "max_pool(x, %s)" % how, lambda x: np.max(windows(x, k, stride, padding, -np.inf), -1), {"x": f32(*shape)})
    case("avg_pool_%s_%s" % (shape, k), "avg_pool(x, %s)" % how, lambda x: np.mean(windows(x, k, stride, padding, 0), -1), {"x": f32(*shape)}, rel=2e-6)
    case("avg_pool_inside_%s_%s" % (shape, k), "avg_pool(x, %s, count_padding = false)" % how,
         lambda x: np.sum(windows(x, k, stride, padding, 0), -1) / np.sum(windows(np.ones_like(x), k, stride, padding, 0), -1), {"x": f32(*shape)}, rel=2e-6)
case("max_pool_nan", "max_pool(x, window = [2, 2])", lambda x: np.max(windows(x, (2, 2), (2, 2), (0, 0), -np.inf), -1), {"x": np.array([[[[np.nan, 1, 2, 3], [1, 1, -np.inf, -np.inf]]]], np.float32)})
case("global_avg_pool", "global_avg_pool(x)", lambda x: np.mean(x, (2, 3)), {"x": f32(2, 3, 5, 7)}, rel=2e-6)
case("global_max_pool", "global_max_pool(x)", lambda x: np.max(x, (2, 3)), {"x": f32(2, 3, 5, 7)})
case("adaptive_avg_pool2d", "adaptive_avg_pool2d(x, 2)", lambda x: x.reshape(1, 3, 2, 3, 2, 2).mean((3, 5)), {"x": f32(1, 3, 6, 4)}, rel=2e-6)

# ---------------------------------------------------------------- softmax, norms

def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis, keepdims=True))
    return e / np.sum(e, axis, keepdims=True)


for shape in [(1,), (7,), (3, 5), (2, 3, 11), (4, 1), (0, 5), (1, 101)]:
    case("softmax_%s" % (shape,), "softmax(x)", softmax, {"x": f32(*shape, lo=-9, hi=9)}, rel=4e-6)
    case("log_softmax_%s" % (shape,), "log_softmax(x)", lambda x: np.log(softmax(x)), {"x": f32(*shape, lo=-9, hi=9)}, rel=4e-6)
case("softmax_first", "softmax(x, axis = 0)", lambda x: softmax(x, 0), {"x": f32(5, 3)}, rel=4e-6)
case("softmax_middle", "softmax(x, axis = 1)", lambda x: softmax(x, 1), {"x": f32(2, 5, 3)}, rel=4e-6)
case("softmax_large", "softmax(x)", softmax, {"x": np.array([[1e30, 1e30, 0], [-np.inf, 0, 0], [1000, 999, -1000]], np.float32)}, rel=4e-6)
case("softmax_nan", "softmax(x)", np.full((1, 3), np.nan), {"x": np.array([[np.nan, 1, 2]], np.float32)})
case("softmax_of_view", "softmax(x[:, ::2])", lambda x: softmax(x[:, ::2]), {"x": f32(3, 9)}, rel=4e-6)
case("glu", "glu(x)", lambda x: x[:, :4] * sigmoid(x[:, 4:]), {"x": f32(3, 8)}, rel=4e-6)


def standard(x, axis, eps):
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


for shape in [(1, 3), (5, 7), (2, 3, 11), (4, 64)]:
    d = shape[-1]
    case("layer_norm_%s" % (shape,), "layer_norm(x, s, b)", lambda x, s, b: standard(x, -1, 1e-5) * s + b, {"x": f32(*shape), "s": f32(d), "b": f32(d)}, rel=2e-5)
    case("rms_norm_%s" % (shape,), "rms_norm(x, s)", lambda x, s: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-6) * s, {"x": f32(*shape), "s": f32(d)}, rel=4e-6)
    case("l2_normalize_%s" % (shape,), "l2_normalize(x)", lambda x: x / np.sqrt(np.sum(x * x, -1, keepdims=True)), {"x": f32(*shape)}, rel=4e-6)
case("layer_norm_one", "layer_norm(x, s, b)", lambda x, s, b: b + 0 * x, {"x": f32(3, 1), "s": f32(1), "b": f32(1)}, rel=1e-6)
five = {"x": f32(2, 3, 4, 5), "s": f32(3), "b": f32(3), "m": f32(3), "v": f32(3, lo=0.5)}
case("batch_norm", "batch_norm(x, s, b, m, v)", lambda x, s, b, m, v: ((x.transpose(0, 2, 3, 1) - m) / np.sqrt(v + 1e-5) * s + b).transpose(0, 3, 1, 2), five, rel=1e-5)
case("group_norm", "group_norm(x, s, b, groups = 2)", lambda x, s, b: standard(x.reshape(2, 2, 3, 5), (2, 3), 1e-5).reshape(2, 6, 5) * s[:, None] + b[:, None],
     {"x": f32(2, 6, 5), "s": f32(6), "b": f32(6)}, rel=2e-5)
case("instance_norm", "instance_norm(x, s, b)", lambda x, s, b: standard(x, 2, 1e-5) * s[:, None] + b[:, None], {"x": f32(2, 3, 7), "s": f32(3), "b": f32(3)}, rel=2e-5)

# ---------------------------------------------------------------- attention, rotation, gathering

def attention(q, k, v, causal=False, offset=0, length=None, mask=None, scale=None):
    b, h, t, d = q.shape
    times, s = h // k.shape[1], k.shape[2]
    k, v = np.repeat(k, times, 1), np.repeat(v, times, 1)
    a = q @ k.transpose(0, 1, 3, 2) * (d ** -0.5 if scale is None else scale)
    seen = np.ones((t, s), bool)
    if causal: seen &= np.arange(s)[None] <= np.arange(t)[:, None] + offset
    if length is not None: seen &= np.arange(s)[None] < length
    a = np.where(seen, a, -np.inf)
    if mask is not None: a = np.where(mask, a, -np.inf)
    return softmax(a) @ v


for b, h, kv, t, s, d, e in [(1, 1, 1, 1, 1, 1, 1), (1, 2, 2, 3, 3, 4, 4), (2, 4, 2, 5, 5, 8, 8), (1, 6, 1, 3, 7, 5, 3), (1, 8, 4, 1, 17, 8, 8)]:
    qkv = {"q": f32(b, h, t, d), "k": f32(b, kv, s, d), "v": f32(b, kv, s, e)}
    case("attention_%s" % ((b, h, kv, t, s, d, e),), "attention(q, k, v)", attention, qkv, rel=8e-6)
    if t == s:
        case("attention_causal_%s" % ((b, h, kv, t, s, d, e),), "attention(q, k, v, causal = true)", lambda q, k, v: attention(q, k, v, True), qkv, rel=8e-6)
qkv = {"q": f32(1, 4, 3, 8), "k": f32(1, 2, 11, 8), "v": f32(1, 2, 11, 8)}
for at in 0, 1, 8:
    case("attention_offset_%d" % at, "attention(q, k, v, causal = true, offset = pos, length = pos + 3)", lambda q, k, v, pos: attention(q, k, v, True, at, at + 3),
         dict(qkv, pos=np.int32(at)), rel=8e-6)
case("attention_scale", "attention(q, k, v, scale = 0.5)", lambda q, k, v: attention(q, k, v, scale=0.5), qkv, rel=8e-6)
mask = rng.integers(0, 2, (1, 4, 3, 11)).astype(bool)
mask[..., 0] = True
case("attention_mask", "attention(q, k, v, mask = m)", lambda q, k, v, m: attention(q, k, v, mask=m), dict(qkv, m=mask), rel=8e-6)
case("split_merge_heads", "merge_heads(split_heads(x, 3))", lambda x: x, {"x": f32(2, 5, 12)})
case("split_heads", "split_heads(x, 3)", lambda x: x.reshape(2, 5, 3, 4).transpose(0, 2, 1, 3), {"x": f32(2, 5, 12)})
case("repeat_kv", "repeat_kv(x, 3)", lambda x: np.repeat(x, 3, 1), {"x": f32(1, 2, 3, 4)})


def rope(x, angle, pairs):
    z = x[..., 0::2] + 1j * x[..., 1::2] if pairs else x[..., :x.shape[-1] // 2] + 1j * x[..., x.shape[-1] // 2:]
    z = z * np.exp(1j * angle)
    return np.stack([z.real, z.imag], -1).reshape(x.shape) if pairs else np.concatenate([z.real, z.imag], -1)


case("rope", "rope(x, angle)", lambda x, a: rope(x, a, False), {"x": f32(2, 3, 5, 8), "angle": f32(5, 4, lo=0, hi=6)}, rel=2e-6)
case("rope_pairs", "rope_pairs(x, angle)", lambda x, a: rope(x, a, True), {"x": f32(2, 3, 5, 8), "angle": f32(5, 4, lo=0, hi=6)}, rel=2e-6)
case("embedding", "embedding(w, id)", lambda w, i: w[i], {"w": f32(7, 3), "id": i32(7, 2, 5)})
case("embedding_clamped", "embedding(w, id)", lambda w, i: w[np.clip(i, 0, 6)], {"w": f32(7, 3), "id": np.array([-5, 100, 3, 2147483647, -2147483648], np.int32)})
case("gather_index", "w[id]", lambda w, i: w[i], {"w": f32(7, 3), "id": i32(7, 5)})
case("gather_two", "w[a, b]", lambda w, a, b: w[a, b], {"w": f32(7, 3, 2), "a": i32(7, 5), "b": i32(3, 5)})
case("gather_broadcast", "w[a, b]", lambda w, a, b: w[a, b], {"w": f32(7, 3), "a": i32(7, 5, 1), "b": i32(3, 4)})
case("gather_of_none", "w[id]", lambda w, i: w[i], {"w": f32(7, 3), "id": i32(7, 0)})
case("take_along", "take_along(x, id)", lambda x, i: np.take_along_axis(x, i, -1), {"x": f32(3, 7), "id": i32(7, 3, 4)})
case("pick", "pick(x, id)", lambda x, i: np.take_along_axis(x, i[:, None], 1)[:, 0], {"x": f32(5, 7), "id": i32(7, 5)})
case("one_hot", "one_hot(id, 5)", lambda i: np.eye(5)[i], {"id": i32(5, 7)})
case("scatter_add", "scatter_add(x, id, u)", lambda x, i, u: (np.add.at(y := x.copy(), i, u), y)[1], {"x": f32(5, 3), "id": i32(5, 9), "u": f32(9, 3)}, rel=4e-6)
case("dynamic_slice", "x[:, at +: 3]", lambda x, at: x[:, 2:5], {"x": f32(2, 7), "at": np.int32(2)})
case("dynamic_slice_clamped", "x[:, at +: 3]", lambda x, at: x[:, 4:7], {"x": f32(2, 7), "at": np.int32(100)})
case("dynamic_slice_low", "x[:, at +: 3]", lambda x, at: x[:, 0:3], {"x": f32(2, 7), "at": np.int32(-9)})
case("index_run_time", "x[at]", lambda x, at: x[3], {"x": f32(5, 2), "at": np.int32(3)})

# ---------------------------------------------------------------- views

x3 = {"x": f32(3, 5, 7)}
VIEWS = {
    "x": lambda x: x, "x.T": lambda x: np.swapaxes(x, -1, -2), "transpose(x)": lambda x: np.swapaxes(x, -1, -2), "permute(x, [2, 0, 1])": lambda x: x.transpose(2, 0, 1),
    "reshape(x, [15, 7])": lambda x: x.reshape(15, 7), "reshape(x, [7, 5, 3])": lambda x: x.reshape(7, 5, 3), "reshape(x, [105])": lambda x: x.reshape(105),
    "reshape(x, [1, 3, 1, 35])": lambda x: x.reshape(1, 3, 1, 35), "flatten(x)": lambda x: x.reshape(3, 35), "x[1]": lambda x: x[1], "x[-1]": lambda x: x[-1],
    "x[:, 2]": lambda x: x[:, 2], "x[..., -2]": lambda x: x[..., -2], "x[1:]": lambda x: x[1:], "x[:, 1:4]": lambda x: x[:, 1:4], "x[:, ::2]": lambda x: x[:, ::2],
    "x[:, 1::2, :-1]": lambda x: x[:, 1::2, :-1], "x[:, :, ::3]": lambda x: x[:, :, ::3], "x[:, none]": lambda x: x[:, None], "x[2, 3, 4]": lambda x: x[2, 3, 4],
    "x[1:1]": lambda x: x[1:1], "x[0, ..., none]": lambda x: x[0, ..., None], "flip(x)": lambda x: np.flip(x), "roll(x, by = [1, 0, -2])": lambda x: np.roll(x, (1, 0, -2), (0, 1, 2)),
    "tile(x, times = [1, 2, 3])": lambda x: np.tile(x, (1, 2, 3)), "repeat(x, 2)": lambda x: np.repeat(x, 2, -1), "repeat(x, 3, axis = 0)": lambda x: np.repeat(x, 3, 0),
    "pad(x, before = [0, 1, 2], after = [1, 0, 3])": lambda x: np.pad(x, [(0, 1), (1, 0), (2, 3)]),
    "pad(x, before = [1, 1, 1], after = [1, 1, 1], value = 2.5)": lambda x: np.pad(x, 1, constant_values=2.5),
    "pad_edge(x, before = [0, 1, 2], after = [1, 0, 3])": lambda x: np.pad(x, [(0, 1), (1, 0), (2, 3)], "edge"),
    "pad_reflect(x, before = [0, 1, 2], after = [1, 0, 3])": lambda x: np.pad(x, [(0, 1), (1, 0), (2, 3)], "reflect"),
    "pad_wrap(x, before = [0, 1, 2], after = [1, 0, 3])": lambda x: np.pad(x, [(0, 1), (1, 0), (2, 3)], "wrap"),
    "broadcast_to(x, [2, 3, 5, 7])": lambda x: np.broadcast_to(x, (2, 3, 5, 7)), "broadcast_rows(x, 2)": lambda x: np.broadcast_to(x, (2, 3, 5, 7)),
    "concat([x, x], axis = 0)": lambda x: np.concatenate([x, x], 0), "concat([x, x[:, 1:3], x], axis = 1)": lambda x: np.concatenate([x, x[:, 1:3], x], 1),
    "concat([x], axis = 2)": lambda x: x, "concat([x[:, :0], x], axis = 1)": lambda x: x, "stack([x, -x], axis = 0)": lambda x: np.stack([x, -x]),
    "stack([x, -x], axis = -1)": lambda x: np.stack([x, -x], -1), "tril(x)": lambda x: np.tril(x), "triu(x, k = 1)": lambda x: np.triu(x, 1),
    "sliding_window(x, 3, step = 2)": lambda x: np.lib.stride_tricks.sliding_window_view(x, 3, -1)[..., ::2, :], "difference(x)": lambda x: np.diff(x),
    'rearrange(x, "a b c -> c (a b)")': lambda x: x.transpose(2, 0, 1).reshape(7, 15), "concat([x, x], axis = 2)[:, 1:, ::2]": lambda x: np.concatenate([x, x], 2)[:, 1:, ::2],
    "reshape(permute(x, [1, 0, 2]), [5, 21])": lambda x: x.transpose(1, 0, 2).reshape(5, 21), "reshape(x[:, 1:3], [6, 7])": lambda x: x[:, 1:3].reshape(6, 7),
    "reshape(pad(x, before = [0, 1, 0], after = [0, 0, 0]), [18, 7])": lambda x: np.pad(x, [(0, 0), (1, 0), (0, 0)]).reshape(18, 7),
    "sum(permute(x, [2, 1, 0]), axis = 0)": lambda x: x.sum(2).T, "x[:, 0] + x[:, 1]": lambda x: x[:, 0] + x[:, 1],
    "relu(reshape(x, [15, 7])) @ reshape(x, [7, 15])": lambda x: np.maximum(x.reshape(15, 7), 0) @ x.reshape(7, 15),
}
for expr, f in VIEWS.items():
    case("view " + expr, expr, f, x3, rel=4e-6 if "@" in expr or "sum" in expr or "+" in expr or "difference" in expr else 0)
case("split", "split(x, 3, axis = 1)", lambda x: np.split(x, 3, 1), {"x": f32(2, 9)})
case("split_uneven", "split(x, [2, 4, 1], axis = -1)", lambda x: np.split(x, [2, 6], -1), {"x": f32(2, 7)})
case("pixel_shuffle", "pixel_shuffle(x, 2)", lambda x: x.reshape(1, 3, 2, 2, 4, 5).transpose(0, 1, 4, 2, 5, 3).reshape(1, 3, 8, 10), {"x": f32(1, 12, 4, 5)})
case("channel_shuffle", "channel_shuffle(x, 3)", lambda x: x.reshape(2, 3, 2, 5).transpose(0, 2, 1, 3).reshape(2, 6, 5), {"x": f32(2, 6, 5)})
case("upsample_nearest", "upsample_nearest(x, scale = [2, 3])", lambda x: x.repeat(2, 2).repeat(3, 3), {"x": f32(1, 2, 3, 4)})
case("resize_nearest", "resize(x, scale = [2, 2], mode = \"nearest\")", lambda x: x.repeat(2, 2).repeat(2, 3), {"x": f32(1, 2, 3, 4)})
case("arange", "arange(7) + n", lambda n: np.arange(7, dtype=np.int32) + 3, {"n": np.int32(3)})
case("eye", "eye(5) * x", lambda x: np.eye(5) * x, {"x": f32(5)})
case("linspace", "linspace(0.0, 1.0, 5) + x", lambda x: np.linspace(0, 1, 5) + x, {"x": f32(1)}, rel=1e-6)
case("empty_views", "concat([x, reshape(x, [2, 0])], axis = 0)", lambda x: np.concatenate([x, x.reshape(2, 0)]), {"x": f32(4, 0)})

# ---------------------------------------------------------------- sizes that vary, rows of one's own, chains

for t in 0, 1, 5, 8:
    case("varying_add_%d" % t, "relu(x + b)", lambda x, b: np.maximum(x + b, 0), {"x": f32(t, 3), "b": f32(3)}, types={"x": "float[T, 3]"}, sizes={"T": (t, 8)}, ulp=1)
    case("varying_inner_%d" % t, "x * 2.0", lambda x: x * 2, {"x": f32(3, t)}, types={"x": "float[3, T]"}, sizes={"T": (t, 8)})
    case("varying_matmul_%d" % t, "a @ b", np.matmul, {"a": f32(t, 5), "b": f32(5, 7)}, types={"a": "float[T, 5]"}, sizes={"T": (t, 8)}, rel=4e-6)
    case("varying_contraction_%d" % t, "a @ b", np.matmul, {"a": f32(3, t), "b": f32(t, 2)}, types={"a": "float[3, T]", "b": "float[T, 2]"}, sizes={"T": (t, 8)}, rel=4e-6)
    case("varying_concat_%d" % t, "concat([x, x], axis = 1)", lambda x: np.concatenate([x, x], 1), {"x": f32(3, t)}, types={"x": "float[3, T]"}, sizes={"T": (t, 8)})
    if t:
        case("varying_softmax_%d" % t, "softmax(x)", softmax, {"x": f32(3, t)}, types={"x": "float[3, T]"}, sizes={"T": (t, 8)}, rel=4e-6)
        case("varying_attention_%d" % t, "attention(q, q, q, causal = true)", lambda q: attention(q, q, q, True), {"q": f32(1, 2, t, 4)}, types={"q": "float[1, 2, T, 4]"}, sizes={"T": (t, 8)}, rel=8e-6)
    case("varying_temporary_%d" % t, "relu(a @ b) @ b.T", lambda a, b: np.maximum(a @ b, 0) @ b.T, {"a": f32(t, 5), "b": f32(5, 7)}, types={"a": "float[T, 5]"}, sizes={"T": (t, 8)}, rel=8e-6)
case("own_row", "mine(x, y)", lambda x, y: (x[:, :, None] * y[None]).sum(1) + 1, {"x": f32(3, 5), "y": f32(5, 2)},
     head="op mine(x[i, k], y[k, j]) -> [i, j] = sum(k: x * y) + 1.0", rel=4e-6)
case("own_row_conditions", "banded(x)", lambda x: np.array([[x[i, max(0, i - 1):i + 2].sum()] for i in range(5)])[:, 0], {"x": f32(5, 5)},
     head="op banded(x[i, j]) -> [i] = sum(j, j <= i + 1 and j >= i - 1: x)", rel=4e-6)
case("own_row_two_sums", "centre(x)", lambda x: x - x.mean(-1, keepdims=True) * x.sum(-1, keepdims=True), {"x": f32(3, 5)},
     head="op centre(x[..., i]) -> [..., i] = x - sum(k < I: x[..., k]) / I * sum(k < I: x[..., k])", rel=8e-6)
case("own_scalar", "twice(x)", lambda x: 2 * x + 1, {"x": f32(3)}, head="op twice(x) = x + x + 1.0", rel=1e-6)
case("common_part", "exp(x) + exp(x) * exp(x)", lambda x: np.exp(x) + np.exp(x) ** 2, {"x": f32(3, 5)}, rel=1e-6, ulp=8)
case("residual", "relu(x @ w) + x", lambda x, w: np.maximum(x @ w, 0) + x, {"x": f32(3, 5), "w": f32(5, 5)}, rel=4e-6)
case("deep_chain", "tanh(relu(x @ w) @ w.T) @ w", lambda x, w: np.tanh(np.maximum(x @ w, 0) @ w.T) @ w, {"x": f32(3, 5), "w": f32(5, 7)}, rel=2e-5)
case("sum_of_map", "sum(square(x - y), axis = 1)", lambda x, y: np.sum((x - y) ** 2, 1), {"x": f32(3, 5), "y": f32(5)}, rel=4e-6)
case("mse", "mse(x, y)", lambda x, y: np.mean((x - y) ** 2), {"x": f32(3, 5), "y": f32(3, 5)}, rel=4e-6)
case("cross_entropy", "cross_entropy(x, t)", lambda x, t: -np.log(softmax(x))[np.arange(5), t], {"x": f32(5, 7), "t": i32(7, 5)}, rel=4e-6)


# ---------------------------------------------------------------- building, calling, comparing

def build(i, top):
    c, symbol = CASES[i], "c%d" % i
    path, out = "%s/%s.mth" % (top, symbol), "%s/%s" % (top, symbol)
    with open(path, "w") as f:
        f.write(c.text(symbol))
    try:
        done = subprocess.run([MITHRILC, "build", path, "-o", out, "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
    except subprocess.TimeoutExpired:
        return "no end after 20 s"
    if done.returncode:
        first = [l for l in done.stderr.decode(errors="replace").split("\n") if "error" in l][:1] or ["exit code %d" % done.returncode]
        return re.sub(r"^.*?\.mth", "build", first[0])
    return None


def compile_all(good, top):
    """C → one library. What does not compile, or not without a warning, is reported and left out."""
    flags = "-std=c99 -O1 -fPIC -ffp-contract=off -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Werror".split()

    def some(part):
        done = subprocess.run(["cc", *flags, "-c"] + ["c%d/c%d.c" % (i, i) for i in part], cwd=top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return [] if done.returncode == 0 else [i for i in part if one(i)]

    def one(i):
        done = subprocess.run(["cc", *flags, "-c", "c%d/c%d.c" % (i, i)], cwd=top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            problems[i] = "cc: " + ([l for l in done.stdout.decode(errors="replace").split("\n") if "error" in l] or ["?"])[0]
        return done.returncode

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        bad = set(sum(pool.map(some, [good[i::8] for i in range(8)]), []))
    good = [i for i in good if i not in bad]
    with open(top + "/objects", "w") as f:
        f.write("\n".join("%s/c%d.o" % (top, i) for i in good))
    subprocess.run(["cc", "-shared", "-o", top + "/ops.so", "@" + top + "/objects", "-lm"], check=True)
    return good


def parameters(header, function):
    m = re.search(r"^int %s\(([^)]*)\)" % function, header, re.M)
    return [] if not m or m.group(1).strip() == "void" else [p.strip() for p in m.group(1).split(",")]


def aligned(n):
    raw = np.full(n + 64, 0xff, np.uint8)
    return raw[-raw.ctypes.data % 64:][:n]


def blank(shape, dtype):
    out = np.empty(shape, dtype)
    np.atleast_1d(out).view(np.uint8)[...] = 0xff
    return out


def call(i, library, top):
    """The results of case i, or a message."""
    c, symbol = CASES[i], "c%d" % i
    header = open("%s/%s/%s.h" % (top, symbol, symbol)).read()
    function = symbol + ("_e" if c.sizes else "")
    results = {"y%d" % k: blank(w.shape, expected(w)) for k, w in enumerate(c.want)}
    given, keep = [], []
    for p in parameters(header, function):
        name = re.search(r"(\w+)$", p).group(1)
        if name in c.inputs and "*" in p:
            keep.append(np.ascontiguousarray(c.inputs[name]))
            given.append(ctypes.c_void_p(keep[-1].ctypes.data))
        elif name in c.inputs:
            x = c.inputs[name]
            given.append({"float32": ctypes.c_float, "int32": ctypes.c_int32, "bool": ctypes.c_uint8}[x.dtype.name](x.item()))
        elif name in results:
            if C[results[name].dtype.name] not in p:
                return "%s is `%s`, want %s" % (name, p, C[results[name].dtype.name])
            given.append(ctypes.c_void_p(results[name].ctypes.data))
        elif name in c.sizes:
            given.append(ctypes.c_int(c.sizes[name][0]))
        elif name == "work":
            keep.append(aligned(int(re.search(r"_WORK_BYTES (\d+)", header).group(1))))
            given.append(ctypes.c_void_p(keep[-1].ctypes.data))
        else:
            return "the function takes `%s`" % p
    code = library[function](*given)
    return "the function returned %d" % code if code else list(results.values())


def expected(w):
    return np.dtype(np.float32) if w.dtype == np.float64 else w.dtype


def compare(c, got):
    for k, (w, g) in enumerate(zip(c.want, got)):
        if w.dtype.kind in "iub":
            wrong = w != g
        else:
            w64, g64 = w.astype(np.float64), g.astype(np.float64)
            rounded = w64.astype(np.float32)
            unit = np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, 1))).astype(np.float64)
            bound = c.near + 0.5 * unit + c.ulp * unit + c.rel * (np.abs(w64) + (np.max(np.abs(w64[np.isfinite(w64)])) if np.any(np.isfinite(w64)) else 0))
            same = (np.isnan(w64) & np.isnan(g64)) | (rounded == g)
            wrong = ~same & ~(np.abs(w64 - g64) <= bound)
        if np.any(wrong):
            at = np.argwhere(wrong)[0] if w.ndim else []
            return "y%d%s: want %r, got %r" % (k, "".join("[%d]" % v for v in at), w[tuple(at)], g[tuple(at)])
    return None


problems = {}


def main():
    chosen = [i for i, c in enumerate(CASES) if not sys.argv[1:] or any(c.name.startswith(a) for a in sys.argv[1:])]
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="mithril-ops-") as top:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for i, problem in zip(chosen, pool.map(lambda i: build(i, top), chosen)):
                if problem:
                    problems[i] = problem
        good = compile_all([i for i in chosen if i not in problems], top)
        library = ctypes.CDLL(top + "/ops.so")
        for i in good:
            got = call(i, library, top)
            problem = got if isinstance(got, str) else compare(CASES[i], got)
            if problem:
                problems[i] = problem
    for i in chosen:
        if i in problems:
            failed += 1
            print("FAIL tests/ops/numpy.py: %s: %s" % (CASES[i].name, problems[i][:300]))
        else:
            passed += 1
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
