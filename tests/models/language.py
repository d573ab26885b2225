#!/usr/bin/python3
"""Models, layers and views at odd sizes, with random weights: PyTorch against `mithrilc run` and against generated C.

    tests/models/language.py [NAME...]        all cases, or those whose name begins so

A case is a model of models/{resnet,mobilenetv3,gpt,llama2,classic}, a layer of models/std/nn.mth or an expression, with
sizes that vary, and the same thing in PyTorch at float64, written apart, whose modules have the published names: its
state_dict is the weights. Each is computed in f32 and in f64 by the evaluator and by the C, for several sizes within
its bounds; the arena and the results are filled with 0xff before a call. The worst difference is a share of the
largest result: 1e-5 in f32, 1e-12 in f64. (f16 and bf16 are no working precision yet and are not here.)
"""
import concurrent.futures, ctypes, glob, json, os, re, struct, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "props"))
from common import MITHRILC, check, finish, folder, skip

try:
    import numpy as np
    import torch
    from torch import nn
    import torch.nn.functional as F
except ImportError as missing:
    skip("no %s: layers and models with random weights are held to nothing but themselves" % missing.name)
    finish()

torch.manual_seed(1)
torch.set_grad_enabled(False)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
rng = np.random.default_rng(1)
C_FLAGS = "-std=c99 -O2 -fPIC -Werror -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla".split()
PRECISION = {"f32": (np.float32, ctypes.c_float, 1e-5), "f64": (np.float64, ctypes.c_double, 1e-12)}
CASES = []


class Case:
    """entries: name -> (inputs: name -> type, outputs, want(**inputs)); calls: (entry, sizes, inputs that are given)."""
    def __init__(self, name, text, entries, calls, module=None, exact=1e-12, large=False):
        self.name, self.text, self.entries, self.calls, self.module = name, text, entries, calls, module
        self.exact, self.large, self.problems, self.symbol = exact, large, [], "c%d" % len(CASES)
        self.inputs = [self.make(*call) for call in calls]
        if module:                              # values that f32 holds: one file of weights for both precisions
            for t in module.state_dict().values():
                if t.is_floating_point():
                    t.copy_(t.float().double())
        CASES.append(self)

    def make(self, entry, sizes, given):
        made = {}
        for name, kind in self.entries[entry][0].items():
            shape = re.search(r"\[(.*)\]", kind)
            shape = [eval(d, {}, sizes) for d in shape.group(1).split(",")] if shape else []
            if name in given:
                made[name] = np.broadcast_to(np.asarray(given[name], np.int32 if kind[0] == "i" else None), shape).copy()
            elif kind.startswith("float"):
                made[name] = rng.normal(size=shape).astype(np.float32).astype(np.float64)
            elif kind.startswith("bool"):
                made[name] = rng.integers(0, 2, shape).astype(bool)
            else:
                made[name] = rng.integers(0, 4, shape).astype(np.int32)
        return made

    def weights(self):
        state = self.module.state_dict() if self.module else {}
        return {k: v.numpy() for k, v in state.items() if v.is_floating_point()}

    def reset(self):
        if hasattr(self.module, "reset"):
            self.module.reset()

    def want(self, k):
        entry = self.calls[k][0]
        wanted = self.entries[entry][2](**{n: torch.from_numpy(np.asarray(x)) for n, x in self.inputs[k].items()})
        wanted = list(wanted) if isinstance(wanted, (tuple, list)) else [] if wanted is None else [wanted]
        return [np.asarray(w) for w in wanted]


def bounds(bound):
    return ", ".join("%s = %s" % b for b in bound.items())


def case(name, body, inputs, want, bound=None, sizes=None, given=None, outputs=("y",), head="", use=("nn",), **how):
    """A model of one entry; body: statements, or the expression that is y."""
    if isinstance(body, (list, tuple)):             # one expression an output
        body = "\n".join("%s = %s" % pair for pair in zip(outputs, body))
    elif "\n" not in body:
        body = "%s = %s" % (", ".join(outputs), body)
    text = "mth 1\n" + "".join('use %s\n' % u for u in use) + head + "\nmodel Case {\n"
    text += "".join("    in  %s: %s\n" % i for i in inputs.items()) + "".join("    out %s\n" % o for o in outputs)
    text += "".join("    %s\n" % l for l in body.split("\n")) + "}\nexport Case() as SYMBOL {\n    entry e"
    text += (": " + bounds(bound) if bound else "") + "\n}\n"
    calls = [("e", s, g) for s in sizes or [{}] for g in (given or [{}])]
    return Case(name, text, {"e": (inputs, outputs, want)}, calls, **how)


def whole(name, export, file, inputs, want, bound, sizes, outputs, **how):
    """The model that a file of models/ holds."""
    text = 'mth 1\nuse "%s"\nexport %s as SYMBOL {\n    entry e: %s\n}\n' % (model_file(file), export, bounds(bound))
    return Case(name, text, {"e": (inputs, outputs, want)}, [("e", s, {}) for s in sizes], **how)


def model_file(name):
    return "%s/models/%s/%s.mth" % (ROOT, name, name)


class Named(nn.Module):
    """A module whose one child has a name, as an instance in a model's body has."""
    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)
        lively(self)


def lively(module):
    """Values that no layer can take for 0 or 1."""
    for name, t in module.state_dict().items():
        if t.is_floating_point() and (name.endswith("bias") or "running_mean" in name):
            t.copy_(0.3 * torch.randn(t.shape))
        elif t.is_floating_point() and ("running_var" in name or t.dim() == 1):
            t.copy_(0.5 + torch.rand(t.shape))
    module.eval()


# ---------------------------------------------------------------- layers of nn.mth

def layer(name, recipe, module, kind, bound, sizes, want=None, exact=1e-12):
    m = Named(m=module)
    case(name, recipe + "(x) as m", {"x": kind}, want or (lambda x: m.m(x)), bound, sizes, module=m, exact=exact)


def layers():
    rows = {"N": "1..5"}
    some = [{"N": 1}, {"N": 3}, {"N": 5}]
    layer("Linear", "Linear(7)", nn.Linear(5, 7), "float[N, 5]", rows, some)
    layer("Linear of 3 axes", "Linear(1, bias = false)", nn.Linear(13, 1, bias=False), "float[N, 3, 13]", rows, some)
    layer("LayerNorm of 1 axis", "LayerNorm()", nn.LayerNorm(9), "float[9]", {}, [{}])
    for k, s, p, d, g in [(1, 1, 0, 1, 1), (3, 2, 1, 1, 1), (2, 1, 0, 3, 2), (5, 3, 4, 2, 6), (4, 2, 3, 1, 3)]:
        layer("Conv1d k%d s%d p%d d%d g%d" % (k, s, p, d, g),
              "Conv1d(12, kernel = %d, stride = %d, padding = %d, dilation = %d, groups = %d)" % (k, s, p, d, g),
              nn.Conv1d(6, 12, k, s, p, d, g), "float[N, 6, L]", {"N": "1..2", "L": "9..17"}, [{"N": 1, "L": 9}, {"N": 2, "L": 16}])
    for k, s, p, d, g in [((1, 1), (1, 1), (0, 0), (1, 1), 1), ((3, 3), (2, 2), (1, 1), (1, 1), 1), ((3, 5), (1, 2), (2, 0), (1, 1), 2),
                          ((2, 3), (3, 1), (0, 3), (2, 3), 4), ((3, 3), (1, 1), (1, 1), (1, 1), 4)]:
        layer("Conv2d %s" % [k, s, p, d, g],
              "Conv2d(8, kernel = %s, stride = %s, padding = %s, dilation = %s, groups = %d)" % (*map(list, (k, s, p, d)), g),
              nn.Conv2d(4, 8, k, s, p, d, g), "float[N, 4, 9, 11]", {"N": "1..3"}, [{"N": 1}, {"N": 3}])
        layer("Conv2d of varying sizes %s" % [k, s, p, d, g],
              "Conv2d(8, kernel = %s, stride = %s, padding = %s, dilation = %s, groups = %d, bias = false)" % (*map(list, (k, s, p, d)), g),
              nn.Conv2d(4, 8, k, s, p, d, g, bias=False), "float[1, 4, H, W]", {"H": "7..13", "W": "8..12"},
              [{"H": 7, "W": 8}, {"H": 10, "W": 11}, {"H": 13, "W": 12}])
    for k, s, p in [((1, 1), (1, 1), (0, 0)), ((2, 2), (2, 2), (0, 0)), ((3, 4), (2, 3), (1, 2)), ((4, 4), (2, 2), (1, 1))]:
        layer("ConvTranspose2d %s" % [k, s, p], "ConvTranspose2d(3, kernel = %s, stride = %s, padding = %s)" % tuple(map(list, (k, s, p))),
              nn.ConvTranspose2d(5, 3, k, s, p), "float[N, 5, H, 6]", {"N": "1..2", "H": "3..7"}, [{"N": 1, "H": 3}, {"N": 2, "H": 7}])
    long = {"N": "1..2", "L": "7..12"}
    layer("MaxPool1d", "MaxPool1d(3, stride = 2)", nn.MaxPool1d(3, 2), "float[N, 3, L]", long, [{"N": 2, "L": 7}, {"N": 1, "L": 12}])
    wide = {"N": "1..2", "H": "6..11"}
    tall = [{"N": 1, "H": 6}, {"N": 2, "H": 11}]
    layer("MaxPool2d", "MaxPool2d(2)", nn.MaxPool2d(2), "float[N, 3, H, 7]", wide, tall)
    layer("MaxPool2d padded", "MaxPool2d([3, 2], stride = [2, 1], padding = [1, 0])", nn.MaxPool2d((3, 2), (2, 1), (1, 0)), "float[N, 3, H, 7]", wide, tall)
    layer("AvgPool2d", "AvgPool2d(3)", nn.AvgPool2d(3), "float[N, 3, H, 7]", wide, tall)
    layer("AvgPool2d padded", "AvgPool2d([2, 3], stride = [1, 2], padding = [1, 1])", nn.AvgPool2d((2, 3), (1, 2), (1, 1)), "float[N, 3, H, 7]", wide, tall)
    layer("LayerNorm", "LayerNorm()", nn.LayerNorm(13), "float[N, 3, 13]", rows, some)
    layer("LayerNorm of 1", "LayerNorm(eps = 1e-3)", nn.LayerNorm(1, 1e-3), "float[N, 1]", rows, some)
    layer("LayerNorm plain", "LayerNorm(scale = false, bias = false)", nn.LayerNorm(6, elementwise_affine=False), "float[N, 6]", rows, some)
    layer("RmsNorm", "RmsNorm(1e-5)", RmsNorm(11, 1e-5), "float[N, 11]", rows, some, exact=1e-6)      # its sum is f32 in any precision
    layer("GroupNorm", "GroupNorm(3)", nn.GroupNorm(3, 6), "float[N, 6, H, 5]", wide, tall)
    layer("GroupNorm of 1", "GroupNorm(1, eps = 1e-2)", nn.GroupNorm(1, 5, 1e-2), "float[N, 5, H, 5]", wide, tall)
    layer("BatchNorm2d", "BatchNorm2d()", nn.BatchNorm2d(5), "float[N, 5, H, 3]", wide, tall)
    layer("BatchNorm1d", "BatchNorm1d()", nn.BatchNorm1d(5), "float[N, 5]", rows, some)
    layer("Embedding", "Embedding(4, 7)", nn.Embedding(4, 7), "i32[N, 3]", rows, some)
    layer("Dropout", "Dropout(0.3)", nn.Identity(), "float[N, 3]", rows, some)
    layer("Identity", "Identity()", nn.Identity(), "float[N, 3]", rows, some)
    layer("Flatten", "Flatten()", nn.Flatten(), "float[N, 3, 1, 5]", rows, some)
    layer("Flatten of varying sizes", "Flatten()", nn.Flatten(), "float[N, 3, H, 5]", wide, tall)
    cells()


def cells():
    lstm, gru = Named(m=nn.LSTMCell(5, 4)), {"N": "1..4"}
    case("LstmCell", "LstmCell(4)(x, h, c) as m", {"x": "float[N, 5]", "h": "float[N, 4]", "c": "float[N, 4]"},
         lambda x, h, c: lstm.m(x, (h, c)), gru, [{"N": 1}, {"N": 4}], outputs=("y", "z"), module=lstm)
    rnn = Named(m=RnnCell(5, 3))
    case("RnnCell", "RnnCell(3)(x, h) as m", {"x": "float[N, 5]", "h": "float[N, 3]"}, lambda x, h: rnn.m(x, h), gru,
         [{"N": 1}, {"N": 3}], module=rnn)
    turns = Named(cell=nn.LSTMCell(3, 2))

    def steps(x):
        h = c = torch.zeros(2, 2)
        out = []
        for k in range(x.shape[1]):
            h, c = turns.cell(x[:, k], (h, c))
            out.append(h)
        return torch.stack(out, 1)
    case("LstmCell over a sequence", """block cell = LstmCell(2)
h = zeros([2, 2])
c = zeros([2, 2])
scan t in 0..T {
    h, c = cell(x[:, t], h, c)
    yield h -> y along 1
}""", {"x": "float[2, T, 3]"}, steps, {"T": "5"}, [{"T": 5}], module=turns)
    conv = Named(a=nn.Conv2d(3, 4, 3, padding=1, bias=False), b=nn.BatchNorm2d(4), c=nn.Conv2d(4, 5, 3, padding=1))
    case("Conv2d, BatchNorm2d, Conv2d", """|= Conv2d(4, kernel = 3, padding = 1, bias = false)(x) as a
+= BatchNorm2d() as b
+= relu()
+= Conv2d(5, kernel = 3, padding = 1) as c
+= hard_swish() -> y""", {"x": "float[N, 3, 5, W]"}, lambda x: F.hardswish(conv.c(F.relu(conv.b(conv.a(x))))), {"N": "1..2", "W": "1..7"},
         [{"N": 1, "W": 1}, {"N": 2, "W": 6}], module=conv)


class RmsNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class RnnCell(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.weight_ih, self.weight_hh = nn.Parameter(torch.randn(hidden, dim)), nn.Parameter(torch.randn(hidden, hidden))
        self.bias = nn.Parameter(torch.randn(hidden))

    def forward(self, x, h):
        return torch.tanh(x @ self.weight_ih.T + h @ self.weight_hh.T + self.bias)


# ---------------------------------------------------------------- ResNet, AgeGender

class Block(nn.Module):
    """torchvision's BasicBlock (three = False) and Bottleneck."""
    def __init__(self, c, planes, stride, three):
        super().__init__()
        out = 4 * planes if three else planes
        shape = [(c, planes, 1, 1), (planes, planes, 3, stride), (planes, out, 1, 1)] if three else \
                [(c, planes, 3, stride), (planes, planes, 3, 1)]
        for k, (a, b, size, step) in enumerate(shape, 1):
            self.add_module("conv%d" % k, nn.Conv2d(a, b, size, step, size // 2, bias=False))
            self.add_module("bn%d" % k, nn.BatchNorm2d(b))
        self.n = len(shape)
        if stride != 1 or c != out:
            self.downsample = nn.Sequential(nn.Conv2d(c, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for k in range(1, self.n + 1):
            y = getattr(self, "bn%d" % k)(getattr(self, "conv%d" % k)(y))
            y = F.relu(y) if k < self.n else y
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    def __init__(self, three, depths, classes, first=64):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, first, 7, 2, 3, bias=False), nn.BatchNorm2d(first)
        c = first
        for i, depth in enumerate(depths):
            blocks = []
            for j in range(depth):
                blocks.append(Block(c, first << i, 2 if i and not j else 1, three))
                c = (first << i) * (4 if three else 1)
            self.add_module("layer%d" % (i + 1), nn.Sequential(*blocks))
        self.fc, self.n = nn.Linear(c, classes), len(depths)
        lively(self)

    def forward(self, image):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        for i in range(self.n):
            x = getattr(self, "layer%d" % (i + 1))(x)
        return self.fc(x.mean((2, 3)))


SLIM = """
model Slim(unit: model, depths: [int], first: int, classes: int) {
    in  image:  float[N, 3, H, W]
    out logits: float[N, classes]
    |= Conv2d(first, kernel = 7, stride = 2, padding = 3, bias = false)(image) as conv1
    += BatchNorm2d() as bn1
    += relu()
    += MaxPool2d(3, stride = 2, padding = 1)
    for i, depth in depths {
        for j in 0..depth {
            += unit(first * 2 ** i, stride = if i > 0 and j == 0 then 2 else 1) as "layer{i + 1}"[j]
        }
    }
    += mean(axis = [2, 3])
    += Linear(classes) as fc -> logits
}
"""


def slim(name, unit, three, depths, first, bound, sizes):
    m = ResNet(three, depths, 10, first)
    text = 'mth 1\nuse nn\nuse "%s"\n%sexport Slim(%s, %s, %d, 10) as SYMBOL {\n    entry e: %s\n}\n' % (
        model_file("resnet"), SLIM, unit, depths, first, bounds(bound))
    Case(name, text, {"e": ({"image": "float[N, 3, H, W]"}, ["logits"], m)}, [("e", s, {}) for s in sizes], module=m)


def resnets():
    m = ResNet(False, [2, 2, 2, 2], 10)
    whole("ResNet-18", "ResNet(BasicBlock, [2, 2, 2, 2], classes = 10)", "resnet", {"image": "float[N, 3, 33, 29]"}, m,
          {"N": 1, "H": 33, "W": 29}, [{"N": 1}], ["logits"], module=m, large=True)
    slim("ResNet-18, slim", "BasicBlock", False, [2, 2, 2, 2], 4, {"N": "1..2", "H": 33, "W": 41},
         [{"N": 1, "H": 33, "W": 41}, {"N": 2, "H": 33, "W": 41}])
    slim("ResNet-50, slim", "Bottleneck", True, [3, 4, 6, 3], 4, {"N": 1, "H": 35, "W": 32}, [{"N": 1, "H": 35, "W": 32}])
    slim("ResNet-50 of varying sizes, slim", "Bottleneck", True, [1, 2, 1], 3, {"N": "1..2", "H": "16..40", "W": "32"},
         [{"N": 1, "H": 16, "W": 32}, {"N": 2, "H": 39, "W": 32}])
    gender = AgeGender()
    whole("AgeGender", "AgeGender()", "resnet", {"image": "float[N, 3, 128, 128]"}, gender, {"N": "1..2"}, [{"N": 1}, {"N": 2}],
          ["age", "margin"], module=gender)


class AgeGender(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(a, b, 3, 2, 1) for a, b in ((3, 8), (8, 16), (16, 32)))
        for name, dims in ("age_head", [256, 64, 1]), ("gender_head", [32, 16, 1]):
            head = nn.Module()
            head.layer = nn.ModuleList(nn.Linear(a, b) for a, b in zip([512] + dims, dims))
            self.add_module(name, head)
        lively(self)

    def forward(self, image):
        x = self.conv3(F.max_pool2d(self.conv2(F.max_pool2d(self.conv1(image), 2)), 2)).flatten(1)
        out = []
        for head in self.age_head, self.gender_head:
            y = x
            for i, l in enumerate(head.layer):
                y = F.leaky_relu(l(y), 0.1) if i < 2 else l(y)
            out.append(y)
        return out


# ---------------------------------------------------------------- MobileNetV3

LARGE = [(3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
         (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
         (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)]


def divisible(v):
    n = max(8, int(v + 4) // 8 * 8)
    return n + 8 if n < 0.9 * v else n


class SqueezeExcite(nn.Module):
    def __init__(self, c, squeeze):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(c, squeeze, 1), nn.Conv2d(squeeze, c, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


def conv_bn(a, b, k, stride=1, groups=1, act=None):
    return nn.Sequential(nn.Conv2d(a, b, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(b, eps=1e-3), act or nn.Identity())


class Inverted(nn.Module):
    def __init__(self, c, row, width):
        super().__init__()
        kernel, expand, features, se, hard, stride = row
        expand, out = divisible(expand * width), divisible(features * width)
        act = nn.Hardswish() if hard else nn.ReLU()
        parts = [conv_bn(c, expand, 1, act=act)] if expand != c else []
        parts.append(conv_bn(expand, expand, kernel, stride, expand, act))
        parts += [SqueezeExcite(expand, divisible(expand / 4))] if se else []
        self.block, self.same, self.out = nn.Sequential(*parts, conv_bn(expand, out, 1)), stride == 1 and c == out, out

    def forward(self, x):
        return x + self.block(x) if self.same else self.block(x)


class MobileNetV3(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        c = divisible(16 * width)
        parts = [conv_bn(3, c, 3, 2, act=nn.Hardswish())]
        for row in LARGE:
            parts.append(Inverted(c, row, width))
            c = parts[-1].out
        self.features = nn.Sequential(*parts, conv_bn(c, 6 * c, 1, act=nn.Hardswish()))
        self.classifier = nn.Sequential(nn.Linear(6 * c, 1280), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1280, classes))
        lively(self)

    def forward(self, image):
        return self.classifier(self.features(image).mean((2, 3)))


def mobilenets():
    m = MobileNetV3(1.0, 1000)
    whole("MobileNetV3", "MobileNetV3()", "mobilenetv3", {"image": "float[1, 3, 32, 32]"}, m, {"N": 1, "H": 32, "W": 32}, [{}], ["logits"],
          module=m, large=True)
    thin = MobileNetV3(0.25, 10)
    whole("MobileNetV3, a quarter as wide", "MobileNetV3(width = 0.25, classes = 10)", "mobilenetv3", {"image": "float[N, 3, 41, 33]"}, thin,
          {"N": "1..2", "H": 41, "W": 33}, [{"N": 1}, {"N": 2}], ["logits"], module=thin, large=True)


# ---------------------------------------------------------------- GPT-2

class Gpt(nn.Module):
    def __init__(self, layers, dim, heads, vocab, context):
        super().__init__()
        self.wte, self.wpe, self.ln_f, self.heads = nn.Embedding(vocab, dim), nn.Embedding(context, dim), nn.LayerNorm(dim), heads
        self.h = nn.ModuleList()
        for _ in range(layers):
            h = Named(ln_1=nn.LayerNorm(dim), ln_2=nn.LayerNorm(dim), attn=nn.Module(), mlp=nn.Module())
            h.attn.c_attn, h.attn.c_proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            h.mlp.c_fc, h.mlp.c_proj = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
            self.h.append(h)
        lively(self)

    def forward(self, tokens):
        b, t = tokens.shape
        x = self.wte(tokens.long()) + self.wpe(torch.arange(t))
        for h in self.h:
            q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in h.attn.c_attn(h.ln_1(x)).chunk(3, -1))
            a = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
            a = a.masked_fill(torch.ones(t, t).triu(1).bool(), -float("inf")).softmax(-1) @ v
            x = x + h.attn.c_proj(a.transpose(1, 2).reshape(b, t, -1))
            z = h.mlp.c_fc(h.ln_2(x))
            z = 0.5 * z * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (z + 0.044715 * z ** 3)))
            x = x + h.mlp.c_proj(z)
        return self.ln_f(x) @ self.wte.weight.T


def gpts():
    m = Gpt(2, 24, 3, 50, 16)
    export = "Gpt(layers = 2, dim = 24, heads = 3, vocab = 50, context = 16)"
    whole("GPT-2", export, "gpt", {"tokens": "i32[1, T]"}, m, {"B": 1, "T": "1..16"}, [{"T": t} for t in (1, 2, 7, 16)], ["logits"], module=m)
    whole("GPT-2 in batches", export, "gpt", {"tokens": "i32[B, T]"}, m, {"B": "1..3", "T": "1..9"},
          [{"B": 1, "T": 9}, {"B": 3, "T": 1}, {"B": 2, "T": 5}], ["logits"], module=m)
    whole("GPT-2 of one length", export, "gpt", {"tokens": "i32[2, 13]"}, m, {"B": 2, "T": 13}, [{}], ["logits"], module=m)


# ---------------------------------------------------------------- Llama

class Llama(nn.Module):
    """Hugging Face's names; halves turned; caches of max_len that entries read and write."""
    def __init__(self, dim, inner, layers, heads, kv, vocab, length, batch, tied=False):
        super().__init__()
        self.heads, self.kv, self.d, self.length, self.batch, self.tied = heads, kv, dim // heads, length, batch, tied
        d = self.d
        self.model = Named(embed_tokens=nn.Embedding(vocab, dim), norm=RmsNorm(dim, 1e-5), layers=nn.ModuleList())
        for _ in range(layers):
            l = Named(input_layernorm=RmsNorm(dim, 1e-5), post_attention_layernorm=RmsNorm(dim, 1e-5), self_attn=nn.Module(), mlp=nn.Module())
            for name, a, b in ("q_proj", dim, heads * d), ("k_proj", dim, kv * d), ("v_proj", dim, kv * d), ("o_proj", heads * d, dim):
                l.self_attn.add_module(name, nn.Linear(a, b, bias=False))
            for name, a, b in ("gate_proj", dim, inner), ("up_proj", dim, inner), ("down_proj", inner, dim):
                l.mlp.add_module(name, nn.Linear(a, b, bias=False))
            self.model.layers.append(l)
        if not tied:
            self.lm_head = nn.Linear(dim, vocab, bias=False)
        lively(self)
        self.reset()

    def reset(self):
        self.cache = [[torch.zeros(self.batch, self.kv, self.length, self.d) for _ in range(2)] for _ in self.model.layers]

    def turn(self, x, pos):
        t, half = x.shape[2], self.d // 2
        angle = (pos + torch.arange(t))[:, None] * 10000.0 ** (-2.0 * torch.arange(half) / self.d)
        z = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle)
        return torch.cat([z.real, z.imag], -1)

    def forward(self, tokens, pos):
        (b, t), pos = tokens.shape, int(pos)
        at = min(max(pos, 0), self.length - t)           # where a run-time slice fits
        x = self.model.embed_tokens(tokens.long())
        for l, cache in zip(self.model.layers, self.cache):
            h, s = l.input_layernorm(x), l.self_attn
            q, k, v = (p(h).view(b, t, -1, self.d).transpose(1, 2) for p in (s.q_proj, s.k_proj, s.v_proj))
            cache[0][:, :, at:at + t], cache[1][:, :, at:at + t] = self.turn(k, pos), v
            keys, values = (c.repeat_interleave(self.heads // self.kv, 1) for c in cache)
            a = self.turn(q, pos) @ keys.transpose(2, 3) / self.d ** 0.5
            a = a.masked_fill(torch.arange(self.length)[None] > pos + torch.arange(t)[:, None], -float("inf")).softmax(-1)
            x = x + s.o_proj((a @ values).transpose(1, 2).reshape(b, t, -1))
            h, m = l.post_attention_layernorm(x), l.mlp
            x = x + m.down_proj(F.silu(m.gate_proj(h)) * m.up_proj(h))
        x = self.model.norm(x[:, -1])
        return x @ self.model.embed_tokens.weight.T if self.tied else self.lm_head(x)

    def reorder(self, beam):
        for cache in self.cache:
            cache[0], cache[1] = cache[0][beam.long()], cache[1][beam.long()]


REORDER = """
    entry reorder: B = 4 {
        in beam: i32[B]
        for i in 0..c.num_hidden_layers {
            layer[i].self_attn.k_cache <- layer[i].self_attn.k_cache[beam]
            layer[i].self_attn.v_cache <- layer[i].self_attn.v_cache[beam]
        }
    }"""


def llama(name, batch, dim, inner, layers, heads, kv, length, prompt, calls, tied=False):
    m = Llama(dim, inner, layers, heads, kv, 50, length, batch, tied)
    text = """mth 1
use "%s"
export Llama(LlamaConfig(hidden_size = %d, intermediate_size = %d, num_hidden_layers = %d, num_attention_heads = %d,
                         num_key_value_heads = %d, vocab_size = 50, max_len = %d, tie_word_embeddings = %s)) as SYMBOL {
    entry prefill: B = %d, T = 1..%d
    entry decode:  B = %d, T = 1%s
}
""" % (model_file("llama2"), dim, inner, layers, heads, kv, length, "true" if tied else "false", batch, prompt, batch, REORDER if batch == 4 else "")
    entries = {"prefill": ({"tokens": "i32[%d, T]" % batch, "pos": "i32"}, ["logits"], m),
               "decode": ({"tokens": "i32[%d, 1]" % batch, "pos": "i32"}, ["logits"], m),
               "reorder": ({"beam": "i32[%d]" % batch}, [], m.reorder)}
    Case(name, text, entries, calls, module=m, exact=3e-6)          # rotations and norms are f32 in any precision


def llamas():
    steps = [("decode", {}, {"pos": p}) for p in range(7, 12)]
    llama("Llama", 1, 24, 40, 2, 6, 2, 16, 8, [("prefill", {"T": 7}, {"pos": 0})] + steps + [("prefill", {"T": 4}, {"pos": 12})])
    llama("Llama from the first token", 1, 16, 20, 1, 2, 2, 5, 5, [("decode", {}, {"pos": p}) for p in range(5)] +
          [("prefill", {"T": 1}, {"pos": 0}), ("prefill", {"T": 5}, {"pos": 0})], tied=True)
    llama("Llama with beams", 4, 24, 17, 2, 4, 1, 9, 4, [("prefill", {"T": 3}, {"pos": 0}), ("decode", {}, {"pos": 3}),
          ("reorder", {}, {"beam": [2, 2, 0, 1]}), ("decode", {}, {"pos": 4}), ("reorder", {}, {"beam": [3, 0, 3, 0]}),
          ("decode", {}, {"pos": 5}), ("prefill", {"T": 3}, {"pos": 6})])


# ---------------------------------------------------------------- classic.mth

def classics():
    use = ("nn", '"%s"' % model_file("classic"))
    size, pick = {"N": "1..5", "M": "1..4", "D": 3}, [{"N": n, "M": m, "D": 3} for n, m in ((1, 1), (5, 4), (3, 2))]
    two = {"a": "float[N, D]", "b": "float[M, D]"}

    def rbf(a, b, length=1.0, sigma=1.0):
        return length ** 2 * torch.exp(-0.5 * torch.cdist(a, b) ** 2 / sigma ** 2)

    def poly(a, b, coef, degree):
        return (a @ b.T + coef) ** degree
    scalars = [{"length": 1.25, "sigma": 0.75}, {"length": -2.0, "sigma": 3.0}]
    case("RbfKernel", "RbfKernel()(a, b)", two, rbf, size, pick, use=use)
    case("RbfKernel, its scalars asked for", "RbfKernel()(a, b, length: length, sigma: sigma)", dict(two, length="float", sigma="float"), rbf, size,
         pick, scalars, use=use)
    case("PolynomialKernel", "PolynomialKernel()(a, b, coef: coef, degree: degree)", dict(two, coef="float", degree="float"), poly, size, pick,
         [{"coef": 9.5, "degree": 2.0}, {"coef": 12.0, "degree": 1.5}, {"coef": 0.5, "degree": 3.0}], use=use)
    for name, kernel, inputs, given in ("KernelSvm of RbfKernel", rbf, ["length", "sigma"], {"length": 1.5, "sigma": 0.5}), \
                                       ("KernelSvm of PolynomialKernel", poly, ["coef", "degree"], {"coef": 1.0, "degree": 2.0}):
        m = Named(svm=nn.Linear(4, 1))

        def svm(a, b, m=m, kernel=kernel, **rest):
            gram = kernel(a, b, **rest)
            return m.svm(gram), gram
        text = 'mth 1\nuse nn\nuse "%s"\nexport KernelSvm(%s()) as SYMBOL {\n    entry e: N = 1..3, M = 4, D = 5\n}\n' % (
            model_file("classic"), name.split()[-1])
        Case(name, text, {"e": (dict({"a": "float[N, 5]", "b": "float[4, 5]"}, **{i: "float" for i in inputs}), ["margin", "gram"], svm)},
             [("e", {"N": n}, given) for n in (1, 3)], module=m)
    logistic = Named(linear=nn.Linear(6, 1))
    whole("LogisticRegression", "LogisticRegression()", "classic", {"x": "float[N, 6]"}, lambda x: (logistic.linear(x), logistic.linear(x).sigmoid()),
          {"N": "1..7", "D": 6}, [{"N": 1}, {"N": 7}], ["logit", "prob"], module=logistic)
    regression = Named(linear=nn.Linear(9, 2))
    whole("PolynomialRegression", "PolynomialRegression(3, 2)", "classic", {"x": "float[N, 3]"},
          lambda x: regression.linear(torch.cat([x, x ** 2, x ** 3], -1)), {"N": "1..7", "D": 3}, [{"N": 1}, {"N": 7}], ["y"], module=regression)
    for p in 2.0, 3.0:
        mds = nn.Module()
        mds.coords = nn.Parameter(torch.randn(7, 2))

        def stress(distances, mds=mds, p=p):
            d = ((mds.coords[:, None] - mds.coords[None]).abs() ** p).sum(-1) ** (1 / p)
            return ((distances - d).square().sum() / distances.square().sum()).sqrt()
        text = 'mth 1\nuse "%s"\nexport Mds(7, 2, p = %s) as SYMBOL {\n    entry e\n}\n' % (model_file("classic"), p)
        Case("Mds p = %s" % p, text, {"e": ({"distances": "float[7, 7]"}, ["stress"], stress)}, [("e", {}, {})], module=mds)
    case("quadratic_form", "quadratic_form(x, k)", {"x": "float[N, D]", "k": "float[D, D]"}, lambda x, k: 0.5 * x @ k @ x.T, {"N": "1..4", "D": 3},
         [{"N": 1, "D": 3}, {"N": 4, "D": 3}], use=('"%s"' % model_file("classic"),))
    case("l1, l2", ["l1(x)", "l2(x)"], {"x": "float[N, 3]"}, lambda x: (x.abs().sum(), 0.5 * x.square().sum()), {"N": "0..4"},
         [{"N": 0}, {"N": 1}, {"N": 4}], outputs=("y", "z"), use=use)

    def f1(pred, label):
        p, l = (F.one_hot(t.long(), 4).double() for t in (pred, label))
        hit, predicted, actual = (p * l).sum(0), p.sum(0), l.sum(0)
        precision, recall = hit / predicted.clamp(min=1), hit / actual.clamp(min=1)
        return (2 * precision * recall / (precision + recall).clamp(min=1e-9)).mean()
    case("macro_f1", "macro_f1(pred, label, 4)", {"pred": "i32[N]", "label": "i32[N]"}, f1, {"N": "1..40"}, [{"N": 1}, {"N": 40}, {"N": 11}],
         use=use, exact=1e-6)                                       # counts are f32
    case("distance_power", "distance_power(a, b, 1.0)", two, lambda a, b: (a[:, None] - b[None]).abs().sum(-1), size, pick, use=use)
    case("polynomial_features", "polynomial_features(x, 2)", {"x": "float[N, 3]"}, lambda x: torch.cat([x, x ** 2], 1), {"N": "1..3"},
         [{"N": 2}], use=use)


# ---------------------------------------------------------------- x[…]

def indexing():
    three = {"x": "float[N, 5, 4]"}
    rows, some = {"N": "3..6"}, [{"N": 3}, {"N": 6}, {"N": 5}]

    def index(text, want, extra=None, given=None, kinds=None, bound=None, sizes=None):
        case("x[%s]" % text, "x[%s]" % text, dict(kinds or three, **(extra or {})), want, bound or rows, sizes or some, given)
    for text in "0", "-1", ":, 2", ":, -5", "..., -1", "1, 2, 3", ":, 1, :", "1:", ":2", "1:3", "-2:", ":-1", "-3:-1", "::2", "1::2", ":, ::3", \
                ":, 1:5:2", "..., ::2", ":, -4:-1, 1:3", ":, 0:0", "1, ..., 2", "-1, :, ::3", ":, 4:1", ":, 3:", "1:3, :, 2:4":
        got = eval("lambda x: x[%s]" % text)
        index(text, got)
    index("::-1", lambda x: x.flip(0))
    index(":, ::-1", lambda x: x.flip(1))
    index(":, 3:0:-1", lambda x: x[:, [3, 2, 1]])
    index(":, ::-2, ::-1", lambda x: x.flip((1, 2))[:, ::2])
    index("none", lambda x: x[None])
    index(":, none, 1, ..., none", lambda x: x[:, None, 1, ..., None])
    index("..., none, :2", lambda x: x[..., None, :2])
    for text, want in ("i", lambda x, i: x[at(i, len(x))]), (":, i", lambda x, i: x[:, at(i, 5)]), ("..., i", lambda x, i: x[..., at(i, 4)]), \
                      ("0, i, none", lambda x, i: x[0, at(i, 5), None]):
        index(text, want, {"i": "i32"}, [{"i": v} for v in (0, 2, 3, 99, -7, -1)])
    for text, axis, n in ("i +: 2", 0, 2), (":, i +: 3", 1, 3), ("..., i +: 4", 2, 4), (":, i +: 5", 1, 5):
        def run(x, i, axis=axis, n=n):
            return x.narrow(axis, min(max(int(i), 0), x.shape[axis] - n), n)
        index(text, run, {"i": "i32"}, [{"i": v} for v in (0, 1, 2, 50, -3)])
    ids = [{"i": [0, 2, 1, 2]}, {"i": [-1, 99, -100, 1]}]
    index("i", lambda x, i: x[at(i, len(x))], {"i": "i32[4]"}, ids)
    index(":, i", lambda x, i: x[:, at(i, 5)], {"i": "i32[4]"}, ids)
    index("..., i, none", lambda x, i: x[..., at(i, 4)][..., None], {"i": "i32[4]"}, ids)
    index("i, :, ::2", lambda x, i: x[at(i, len(x)), :, ::2], {"i": "i32[2, 3]"}, [{"i": [[0, 1, 2], [2, 1, 0]]}])
    index("i, j", lambda x, i, j: x[at(i, len(x)), at(j, 5)], {"i": "i32[4]", "j": "i32[4]"}, [{"i": [0, 1, 2, 9], "j": [4, 0, -9, 2]}])
    index(":, i, j", lambda x, i, j: x[:, at(i, 5), at(j, 4)], {"i": "i32[3, 1]", "j": "i32[4]"}, [{"i": [[0], [4], [2]], "j": [3, 0, 1, 2]}])
    index("i, j, k", lambda x, i, j, k: x[at(i, len(x)), at(j, 5), at(k, 4)], {"i": "i32[2, 1]", "j": "i32[3]", "k": "i32"},
          [{"i": [[0], [2]], "j": [4, 4, 1], "k": 3}])
    index("i, 1", lambda x, i: x[at(i, len(x)), 1], {"i": "i32[4]"}, ids)
    index("i, 1:4", lambda x, i: x[at(i, len(x)), 1:4], {"i": "i32[K]"}, [{}], bound={"N": "3..6", "K": "0..5"},
          sizes=[{"N": 3, "K": 0}, {"N": 6, "K": 5}, {"N": 4, "K": 1}])
    varying = {"N": "1..6", "M": "2..5"}
    for text in "1:, :-1", "::2, -1", "-1, 1:", ":, 1::2":
        index(text, (lambda t: lambda x: x[np.s_[0:] if len(x) == 0 else eval("np.s_[%s]" % t)])(text), kinds={"x": "float[N, M]"}, bound=varying,
              sizes=[{"N": 1, "M": 2}, {"N": 6, "M": 5}, {"N": 4, "M": 3}])
    case("x of bool and int", ["x[::2, i]", "y[i +: 2]"], {"x": "bool[5, 3]", "y": "i32[4]", "i": "i32"}, lambda x, y, i: (x[::2, at(i, 3)],
         y[min(max(int(i), 0), 2):][:2]), given=[{"i": 1}, {"i": 9}], outputs=("a", "b"))


def at(i, n):
    return i.long().clamp(0, n - 1)


# ---------------------------------------------------------------- states, whole and in part

class Memory(nn.Module):
    """A state of a shape; every call changes it by `step` and gives it back."""
    def __init__(self, shape, step):
        super().__init__()
        self.shape, self.step = shape, step
        self.reset()

    def reset(self):
        self.s = torch.full(self.shape, 0.5)

    def forward(self, **inputs):
        y = self.step(self.s, **inputs)
        return self.s.clone() if y is None else (self.s.clone(), y)


def states():
    def state(write, shape, inputs, step, given=None, sizes=None, bound=None):
        m = Memory(shape, step)
        text = "state s: float%s = full(0.5)\n%s\ny = s" % (list(shape), write)
        text = text.replace("full(0.5)", "0.5")
        case("state %s" % write.replace("\n", "; "), text, inputs, lambda **i: m(**i), bound, sizes or [{}, {}], given, module=m)

    def put(place):
        return eval("lambda s, e: s.__setitem__(np.s_[%s], e)" % place)
    state("s <- e", (3, 4), {"e": "float[3, 4]"}, put("..."))
    state("s <- s + e", (3, 4), {"e": "float[3, 4]"}, lambda s, e: s.add_(e))
    state("s <- s + e", (3, 4), {"e": "float[4]"}, lambda s, e: s.add_(e))
    state("s <- s.T @ s * e", (3, 3), {"e": "float"}, lambda s, e: s.copy_(s.T @ s * e))
    state("s[...] <- e", (3, 4), {"e": "float[3, 4]"}, put("..."))
    for place, shape in ("1", "[4]"), ("-1", "[4]"), (":, 2", "[3]"), ("0:2", "[2, 4]"), (":, ::2", "[3, 2]"), ("1:, 1::2", "[2, 2]"), ("2, 3", ""), \
                        (":, -2:", "[3, 2]"), ("1:2, :", "[1, 4]"), ("::2, 1:3", "[2, 2]"):
        state("s[%s] <- e" % place, (3, 4), {"e": "float" + shape}, put(place))
    state("s[::-1] <- e", (3, 4), {"e": "float[3, 4]"}, lambda s, e: s.copy_(e.flip(0)))
    state("s[:, 1:3] <- 2.0 * s[:, 2:4] + e", (3, 4), {"e": "float[3, 2]"}, lambda s, e: s[:, 1:3].copy_(2 * s[:, 2:4] + e))
    state("s[:, 0:3] <- s[:, 1:4]\ns[:, 3] <- e", (3, 4), {"e": "float[3]"}, lambda s, e: (s[:, 0:3].copy_(s[:, 1:4].clone()), put(":, 3")(s, e))[2:] or None)
    state("s[1:] <- s[:-1]\ns[0] <- e", (3, 4), {"e": "float[4]"}, lambda s, e: (s[1:].copy_(s[:-1].clone()), put("0")(s, e))[2:] or None)
    ends = [{"i": v} for v in (0, 1, 2, 3, 4, 99, -1, -50)]
    for n, shape in (1, (5, 3)), (2, (5, 3)), (5, (5, 3)):
        def run(s, i, e, n=n):
            s.narrow(0, min(max(int(i), 0), 5 - n), n).copy_(e)
        state("s[i +: %d] <- e" % n, shape, {"i": "i32", "e": "float[%d, 3]" % n}, run, ends)
    state("s[:, i] <- e", (2, 5), {"i": "i32", "e": "float[2]"}, lambda s, i, e: put(":, %d" % min(max(int(i), 0), 4))(s, e), ends)
    state("s[i] <- s[i] + e", (5, 2), {"i": "i32", "e": "float[2]"}, lambda s, i, e: s[min(max(int(i), 0), 4)].add_(e) is None or None, ends)

    def append(s, i, e):
        t = e.shape[1]
        s.narrow(1, min(max(int(i), 0), 7 - t), t).copy_(e)
    state("s[:, i +: T] <- e", (2, 7), {"i": "i32", "e": "float[2, T]"}, append, ends, [{"T": 1}, {"T": 4}], {"T": "1..4"})

    def late(s, i, e):
        old = s.clone()
        s[1] = e
        return (old * 2 + s).sum(0)
    m = Memory((3, 2), lambda s, e: late(s, 0, e))
    case("a state read before and after it is written", "state s: float[3, 2] = 0.5\nold = 2.0 * s\ns[1] <- e\ny = s\nz = sum(old + s, axis = 0)",
         {"e": "float[2]"}, lambda **i: m(**i), sizes=[{}, {}, {}], outputs=("y", "z"), module=m)


    overlaps()
    scans()


class Replaced(nn.Module):
    """A state [3, 4] that every call replaces by step(state), and gives back."""
    def __init__(self, step):
        super().__init__()
        self.step = step
        self.reset()

    def reset(self):
        self.s = torch.arange(12.0).reshape(3, 4) / 16

    def forward(self, **inputs):
        self.s = self.step(self.s.clone(), **inputs)
        return self.s.clone()


def overlaps():
    """What is read of a state is its value before the write, whatever part is written."""
    def state(write, inputs, step, given=None):
        m = Replaced(step)
        rows = "[" + ", ".join("[%s]" % ", ".join(map(str, r)) for r in m.s.tolist()) + "]"
        case("state read and written: %s" % write, "state s: float[3, 4] = %s\n%s\ny = s" % (rows, write), inputs, lambda **i: m(**i), {},
             [{}, {}], given, module=m)
    e, start = {"e": "float[1]"}, [{"i": 0}, {"i": 1}]
    state("s <- s[::-1] + e", e, lambda s, e: s.flip(0) + e)
    state("s[:, :3] <- s[:, :3].T + e", e, lambda s, e: torch.cat([s[:, :3].T + e, s[:, 3:]], 1))
    state("s[:, 1:] <- s[:, :-1] + e", e, lambda s, e: torch.cat([s[:, :1], s[:, :-1] + e], 1))
    state("s <- s[i]", {"i": "i32[3]"}, lambda s, i: s[i.long()], [{"i": [2, 0, 1]}, {"i": [1, 1, 0]}])
    state("s[i +: 2] <- s[:2]", {"i": "i32"}, lambda s, i: torch.cat([s[:i], s[:2], s[i + 2:]]), start)
    state("s[:2] <- s[i +: 2]", {"i": "i32"}, lambda s, i: torch.cat([s[i:i + 2], s[2:]]), start)
    state("s[:, 1:3] <- e", {"e": "float[2]"}, lambda s, e: torch.cat([s[:, :1], e.expand(3, 2), s[:, 3:]], 1))


class Two(nn.Module):
    def reset(self):
        self.a, self.b = torch.zeros(3, 4), torch.ones(3, 4)

    def forward(self, x):
        old = self.a, self.b
        self.a = old[1] + x
        self.b = 2 * old[0] + self.a
        self.a[:, ::2] = self.b[:, 1::2]
        return self.a.clone(), self.b.clone(), old[0] + old[1]


class Turns(nn.Module):
    def reset(self):
        self.s, self.seen = torch.zeros(8, 4), torch.zeros(8)

    def forward(self, x, n):
        for i in range(3):
            self.s[min(max(int(n), 0), 7)], self.seen[i] = x[0] * i, int(n)
        self.s[:, 1] = 2 * self.s[:, 0]
        return self.s + self.seen[:, None]


def scans():
    two, turns = Two(), Turns()
    case("two states that read one another", """state a: float[3, 4] = 0.0
state b: float[3, 4] = 1.0
c = a
d = b
a <- d + x
b <- 2.0 * c + a
a[:, ::2] <- b[:, 1::2]
y = a
z = b
q = c + d""", {"x": "float[3, 4]"}, lambda x: two(x), {}, [{}, {}, {}], outputs=("y", "z", "q"), module=two)
    case("states written in a scan", """state s: float[8, 4] = 0.0
state seen: i32[8] = 0
scan i in 0..3 {
    s[n +: 1] <- x[:1] * float(i)
    seen[i] <- n
}
s[:, 1] <- 2.0 * s[:, 0]
y = s + float(seen)[:, none]""", {"x": "float[N, 4]", "n": "i32"}, lambda x, n: turns(x, n), {"N": "1..4"}, [{"N": 1}, {"N": 3}],
         [{"n": 0}, {"n": 3}, {"n": 99}], module=turns)

    def carry(x):
        h = x[0]
        for i in range(1, len(x)):
            h = (0.5 * h + x[i]).tanh()
        return h
    case("a value carried by a scan", "h = x[0]\nscan i in 1..6 {\n    h = tanh(0.5 * h + x[i])\n}\ny = h", {"x": "float[6, N]"}, carry,
         {"N": "1..5"}, [{"N": 1}, {"N": 5}])


# ---------------------------------------------------------------- views

def views():
    size = {"N": "1..5", "M": "1..4"}
    some = [{"N": n, "M": m} for n, m in ((1, 1), (5, 4), (3, 2), (2, 3))]
    flat, cube = {"x": "float[N, M]"}, {"x": "float[N, 6, M]"}

    def view(text, want, inputs=None, outputs=("y",), bound=None, sizes=None):
        case(", ".join(text) if isinstance(text, list) else text, text, inputs or cube, want, size if bound is None else bound, sizes or some,
             outputs=outputs)
    view("reshape(x, [N * 6, M])", lambda x: x.reshape(-1, x.shape[2]))
    view("reshape(x, [N, 2, 3, M])", lambda x: x.reshape(len(x), 2, 3, -1))
    view("reshape(x, [M, 6, N])", lambda x: x.reshape(x.shape[::-1]))
    view("reshape(x, [3, N * M, 2])", lambda x: x.reshape(3, -1, 2))
    view("reshape(x, [6 * N * M])", lambda x: x.reshape(-1))
    view("reshape(x, [N, 1, 6 * M, 1])", lambda x: x.reshape(len(x), 1, -1, 1))
    view("reshape(permute(x, [2, 0, 1]), [M * N, 6])", lambda x: x.permute(2, 0, 1).reshape(-1, 6))
    view("reshape(permute(x, [1, 0, 2]), [2, 3 * N, M])", lambda x: x.permute(1, 0, 2).reshape(2, -1, x.shape[2]))
    view("permute(x, [2, 1, 0])", lambda x: x.permute(2, 1, 0))
    view("permute(x, [1, 2, 0])", lambda x: x.permute(1, 2, 0))
    view("x.T", lambda x: x.T, flat)
    view("flatten(x)", lambda x: x.flatten(1))
    view("broadcast_to(x, [3, N, M])", lambda x: x.expand(3, *x.shape), flat)
    view("broadcast_to(x[:, none], [N, 3, M])", lambda x: x[:, None].expand(-1, 3, -1), flat)
    pair = {"x": "float[N, M]", "y": "float[3, M]"}
    view("concat([x, y], axis = 0)", lambda x, y: torch.cat([x, y]), pair, ("z",))
    view("concat([y, x, y], axis = 0)", lambda x, y: torch.cat([y, x, y]), pair, ("z",))
    view("concat([x, 2.0 * x, x[:, :1]], axis = 1)", lambda x: torch.cat([x, 2 * x, x[:, :1]], 1), flat)
    view("concat([x, x], axis = -2)[:, ::5]", lambda x: torch.cat([x, x], -2)[:, ::5])
    view("sum(concat([x, exp(x)], axis = 1), axis = 1)", lambda x: torch.cat([x, x.exp()], 1).sum(1))
    view("stack([x, -x], axis = 0)", lambda x: torch.stack([x, -x]), flat)
    view("stack([x, x + 1.0, x], axis = -1)", lambda x: torch.stack([x, x + 1, x], -1), flat)
    view("stack([x, 3.0 * x], axis = 1)", lambda x: torch.stack([x, 3 * x], 1), flat)
    view("split(x, 3, axis = 1)", lambda x: x.chunk(3, 1), cube, ("a", "b", "c"))
    view("split(x, [1, 3, 2], axis = 1)", lambda x: x.split([1, 3, 2], 1), cube, ("a", "b", "c"))
    view("split(concat([x, y], axis = 0), [N, 3], axis = 0)", lambda x, y: (x, y), pair, ("a", "b"))
    view('rearrange(x, "n (a b) m -> n b (a m)", a = 2)', lambda x: x.reshape(len(x), 2, 3, -1).permute(0, 2, 1, 3).flatten(2))
    view('rearrange(x, "n (a b) m -> (m n) a b", b = 2)', lambda x: x.reshape(len(x), 3, 2, -1).permute(3, 0, 1, 2).flatten(0, 1))
    view('rearrange(x, "n c m -> n c m 1")', lambda x: x[..., None])
    view('einsum("ncm -> mcn", x)', lambda x: x.permute(2, 1, 0))
    view('einsum("ncm -> c", x)', lambda x: x.sum((0, 2)))
    view('einsum("ncm,ncm->n", x, x)', lambda x: x.square().sum((1, 2)))
    view('einsum("ncm,ndm->ncd", x, x)', lambda x: torch.einsum("ncm,ndm->ncd", x, x))
    view('einsum("nm,km->nk", x, y)', lambda x, y: x @ y.T, pair, ("z",))
    view('einsum("nm,km->nkm", x, y)', lambda x, y: x[:, None] * y[None], pair, ("z",))
    view('einsum("nm,km,nk->", x, y, einsum("nm,km->nk", x, y))', lambda x, y: (x @ y.T).square().sum(), pair, ("z",))
    view("x + y[0] - y[:1]", lambda x, y: x + y[0] - y[:1], pair, ("z",))
    view("x[:, none] * y", lambda x, y: x[:, None] * y, pair, ("z",))
    view("where(x[:, none] > y, x[:, none], 2.0 * y)", lambda x, y: torch.where(x[:, None] > y, x[:, None], 2 * y), pair, ("z",))
    view("x + mean(x, axis = 0, keep = true) * amax(x, axis = 1, keep = true)", lambda x: x + x.mean(0, keepdim=True) * x.amax(1, keepdim=True), flat)
    view("amax(x, axis = [0, 2])", lambda x: x.amax((0, 2)))
    view("softmax(x, axis = 0)", lambda x: x.softmax(0))
    view("softmax(x, axis = 1)", lambda x: x.softmax(1))
    view(["cumsum(x, axis = 0)", "cumsum(x, axis = 1)"], lambda x: (x.cumsum(0), x.cumsum(1)), flat, ("a", "b"))
    view("x @ permute(x, [0, 2, 1])", lambda x: x @ x.transpose(1, 2))
    view("permute(x, [0, 2, 1]) @ x", lambda x: x.transpose(1, 2) @ x)
    view("pad(x, before = [0, 2], after = [1, 0])", lambda x: F.pad(x, (2, 0, 0, 1)), flat)
    view("flip(x)", lambda x: x.flip((0, 1)), flat)
    view("tile(x, times = [2, 3])", lambda x: x.repeat(2, 3), flat)
    view(["diag(x @ x.T)", "trace(x @ x.T)"], lambda x: ((x @ x.T).diag(), (x @ x.T).trace()), {"x": "float[3, 4]"}, ("a", "b"), {}, [{}])
    view(["argmax(x, axis = 0)", "argmin(x, axis = 1)"], lambda x: (x.argmax(0), x.argmin(1)), flat, ("a", "b"))
    view("arange(N)[:, none] + arange(M)", lambda x: torch.arange(x.shape[0])[:, None] + torch.arange(x.shape[1]), flat)


# ---------------------------------------------------------------- building

def write_safetensors(path, tensors):
    header, blob = {}, b""
    parts = []
    for name, x in tensors.items():
        data = np.ascontiguousarray(x, np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        parts.append(data)
        blob = range(len(blob) + len(data))         # only its length is asked for
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def said(done):
    lines = [l for l in (done.stderr or b"").decode(errors="replace").split("\n") if "error" in l or "mithrilc:" in l]
    return re.sub(r"^.*?\.mth", "", (lines or ["exit code %d" % done.returncode])[0])


def command(*words):
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, b"", b"error: no end after 60 s")


def prepare(c, top):
    """Source, weights and generated C of both precisions."""
    base = "%s/%s" % (top, c.symbol)
    weights = c.weights()
    c.file = ["--weights", base + ".safetensors"] if weights else []
    if weights:
        write_safetensors(c.file[1], weights)
    for p in PRECISION:
        with open("%s_%s.mth" % (base, p), "w") as f:
            f.write(c.text.replace("SYMBOL", "%s_%s" % (c.symbol, p)))
        form = ["--weights-as", "extern" if c.large else "embed"] if weights else []
        done = command(MITHRILC, "build", "%s_%s.mth" % (base, p), "-o", "%s_%s" % (base, p), "--quiet", "--precision", p, *c.file, *form)
        if done.returncode:
            c.problems.append("build %s: %s" % (p, said(done)))


def compile_all(cases, top):
    """Every .c to an object, then one library. What does not compile without a warning is reported and left out."""
    sources = {}
    for c in cases:
        for p in PRECISION:
            for path in glob.glob("%s/%s_%s/*.c" % (top, c.symbol, p)):
                sources[path] = c

    def one(path):
        done = command("gcc", *C_FLAGS, "-c", path, "-o", path + ".o")
        if done.returncode:
            sources[path].problems.append("gcc: " + said(done))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        list(pool.map(one, sorted(sources, key=os.path.getsize, reverse=True)))
    objects = [path + ".o" for path, c in sources.items() if not c.problems]
    with open(top + "/objects", "w") as f:
        f.write("\n".join(objects))
    done = command("gcc", "-shared", "-o", top + "/all.so", "@" + top + "/objects", "-lm")
    return ctypes.CDLL(top + "/all.so") if done.returncode == 0 else check(False, "link: " + said(done)) or None


# ---------------------------------------------------------------- calling

def aligned(n):
    raw = np.full(n + 64, 0xff, np.uint8)
    return raw[-raw.ctypes.data % 64:][:n]


def blank(want, real):
    kind = {"b": np.uint8, "i": np.int32, "f": real}[want.dtype.kind]
    out = np.empty(want.shape, kind)
    np.atleast_1d(out).view(np.uint8)[...] = 0xff
    return out


class Library:
    """The functions of one case in one precision."""
    def __init__(self, library, case, precision, top):
        self.name, self.case, self.library = "%s_%s" % (case.symbol, precision), case, library
        self.real, self.scalar, _ = PRECISION[precision]
        self.header = open("%s/%s/%s.h" % (top, self.name, self.name)).read()
        self.keep = {n: np.ascontiguousarray(x, self.real) for n, x in case.weights().items()}
        fields = re.search(r"struct \w+_weights \{(.*?)\}", self.header, re.S)
        if fields and not case.large:               # what was folded lies there as it is wanted
            self.w = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(library, self.name + "_embedded")))
        elif fields:
            by_field = {re.sub(r"\W", "_", n): x for n, x in self.keep.items()}
            names = re.findall(r"\*(\w+);", fields.group(1))
            self.w = (ctypes.c_void_p * len(names))(*[by_field[n].ctypes.data for n in names])
        size = re.search(r"struct \w+_state \{(.*?)\}", self.header, re.S)
        if size:
            self.s = aligned(64 + 8 * sum(eval(n) for n in re.findall(r"\[([\d* ]+)\]", size.group(1))))
            library[self.name + "_reset"](ctypes.c_void_p(self.s.ctypes.data))

    def call(self, k, want):
        entry, sizes, _ = self.case.calls[k]
        function = "%s_%s" % (self.name, entry)
        found = re.search(r"^int %s\(([^)]*)\)" % function, self.header, re.M)
        if not found:
            raise ValueError("the header has no %s" % function)
        results = {}
        for n, w in zip(self.case.entries[entry][1], want):
            kind = re.search(r"(\w+) \*%s\b" % n, found.group(1))
            results[n] = blank(w, np.dtype({"float": "f4", "double": "f8"}.get(kind and kind.group(1), self.real)))
        work = aligned(int((re.search(r"_WORK_BYTES (\d+)", self.header) or [0, 0])[1]))
        keep, given = [], []
        for p in found.group(1).split(","):
            given.append(self.argument(p, self.case.inputs[k], results, sizes, work, keep))
        code = self.library[function](*[g for g in given if g is not None])
        if code:
            raise ValueError("%s returned %d" % (function, code))
        return list(results.values())

    def argument(self, p, inputs, results, sizes, work, keep):
        name = re.search(r"(\w+)\s*$", p).group(1)
        if name in inputs:
            x = inputs[name]
            kind = self.real if x.dtype.kind == "f" else np.int32 if x.dtype.kind == "i" else np.uint8
            if "*" in p:
                keep.append(np.ascontiguousarray(x, kind))
                return ctypes.c_void_p(keep[-1].ctypes.data)
            return {"f": self.scalar, "i": ctypes.c_int32, "b": ctypes.c_uint8}[x.dtype.kind](x.item())
        if name in results:
            return ctypes.c_void_p(results[name].ctypes.data)
        if name in sizes:
            return ctypes.c_int(sizes[name])
        if name == "void":
            return None
        return {"w": lambda: self.w, "s": lambda: ctypes.c_void_p(self.s.ctypes.data), "work": lambda: ctypes.c_void_p(work.ctypes.data)}[name]()


def evaluate(c, k, precision, top):
    """One call by `mithrilc run`, from the initial states; the outputs, or a message."""
    entry, _, _ = c.calls[k]
    out = "%s/run_%s_%s_%d" % (top, c.symbol, precision, k)
    os.makedirs(out)
    words = []
    for name, x in c.inputs[k].items():
        np.save("%s/in_%s.npy" % (out, name), x.astype(PRECISION[precision][0]) if x.dtype.kind == "f" else x)
        words += ["--input", "%s=%s/in_%s.npy" % (name, out, name)]
    done = command(MITHRILC, "run", "%s/%s_%s.mth" % (top, c.symbol, precision), "--entry", entry, "--quiet", "-o", out, "--precision", precision,
                   *c.file, *words)
    if done.returncode:
        return said(done)
    return [np.load("%s/%s.npy" % (out, n)) for n in c.entries[entry][1]]


def difference(want, got, bound):
    """None, or what is wrong."""
    for n, (w, g) in enumerate(zip(want, got)):
        if w.shape != g.shape:
            return "output %d: want shape %s, got %s" % (n, w.shape, g.shape)
        if not w.size:
            continue
        off = np.abs(w.astype(np.float64) - g.astype(np.float64))
        limit = bound * max(np.max(np.abs(w)), 1e-30) if w.dtype.kind == "f" else 0
        if not np.all(off <= limit):
            k = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), w.shape)
            return "output %d%s: want %r, got %r, bound %.2g" % (n, list(map(int, k)), w[k].item(), g[k].item(), float(limit))
    return None


def label(c, k):
    entry, sizes, given = c.calls[k]
    return ", ".join([entry] * (entry != "e") + ["%s = %s" % i for i in list(sizes.items()) + list(given.items())])


def bound_of(c, precision):
    return max(PRECISION[precision][2], c.exact if precision == "f64" else 0)


def refused(got):
    """`run` refuses an index that C would clamp (rule 34)."""
    m = re.search(r"is (-?\d+) and must be (\d+) to (\d+): it is used as an index", got) if isinstance(got, str) else None
    return m and not int(m.group(2)) <= int(m.group(1)) <= int(m.group(3))


def try_evaluator(c, top, pool):
    made = {(k, p): pool.submit(evaluate, c, k, p, top) for k in range(len(c.calls)) for p in PRECISION
            if not (c.large and p == "f64")}
    for (k, p), future in made.items():
        c.reset()
        want, got = c.want(k), future.result()
        if refused(got):
            continue
        problem = got if isinstance(got, str) else difference(want, got, bound_of(c, p))
        if problem:
            c.problems.append("run %s (%s): %s" % (p, label(c, k), problem))


def try_c(c, library, top):
    for p in PRECISION:
        try:
            functions = Library(library, c, p, top)
            c.reset()
            for k in range(len(c.calls)):
                want = c.want(k)
                problem = difference(want, functions.call(k, want), bound_of(c, p))
                if problem:
                    raise ValueError("(%s): %s" % (label(c, k), problem))
        except (ValueError, KeyError, OSError) as problem:
            c.problems.append("C %s %s" % (p, problem))


def main():
    for make in layers, resnets, mobilenets, gpts, llamas, classics, indexing, states, views:
        make()
    cases = [c for c in CASES if not sys.argv[1:] or any(c.name.startswith(a) for a in sys.argv[1:])]
    with folder() as top, concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        list(pool.map(lambda c: prepare(c, top), cases))
        sound = [c for c in cases if not c.problems]
        library = compile_all(sound, top)
        for c in sound:
            try_evaluator(c, top, pool)
            if library and not any(p.startswith("gcc") for p in c.problems):
                try_c(c, library, top)
        for c in cases:
            if any("is not built yet" in p for p in c.problems):
                skip("%s: %s" % (c.name, c.problems[0]))
            else:
                check(not c.problems, "%s: %s" % (c.name, "; ".join(c.problems)[:400]))
    finish()


if __name__ == "__main__":
    main()
