#!/usr/bin/env python3
"""The networks of models/ once more, in PyTorch at float64: what the compiler is held to.

    python3 tests/models/oracle.py --check    against the committed vectors, and against ../shared/data if it is there
    python3 tests/models/oracle.py --write    makes the committed vectors: NAME/TERMINAL.npy and NAME/logits.npy

Weights are the published ones, renamed and transposed by models/NAME/NAME.map, so that a wrong map fails
here too. Needs NumPy and PyTorch, and no part of mithrilc.
"""
import gzip, json, os, struct, sys
import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DATA = os.path.join(os.path.dirname(ROOT), "shared", "data")


# ---------------------------------------------------------------- weights

def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        blob = f.read()
    header.pop("__metadata__", None)
    kinds = {"F32": np.float32, "I32": np.int32, "I64": np.int64}
    return {name: np.frombuffer(blob[t["data_offsets"][0]:t["data_offsets"][1]], kinds[t["dtype"]]).reshape(t["shape"])
            for name, t in header.items()}

def apply_map(path, tensors):
    """Lines `MODEL_NAME = FILE_NAME [permute A B …] [reshape D0 D1 …]`; without a file, names stay."""
    if not os.path.exists(path):
        return tensors
    out = {}
    for line in open(path):
        words = line.split("#")[0].split()
        if not words:
            continue
        name, value, rest = words[0], tensors[words[2]], words[3:]
        assert words[1] == "=" and name not in out, line
        while rest:
            n = next((i for i, w in enumerate(rest[1:], 1) if not w.isdigit()), len(rest))
            change = {"permute": np.transpose, "reshape": np.reshape}[rest[0]]
            value, rest = change(value, [int(w) for w in rest[1:n]]), rest[n:]
        out[name] = value
    return out

def weights(name):
    folder = os.path.join(ROOT, "models", name)
    file, = [f for f in os.listdir(folder) if f.endswith(".safetensors")]
    tensors = apply_map(os.path.join(folder, name + ".map"), read_safetensors(os.path.join(folder, file)))
    return {k: torch.from_numpy(np.array(v)).double() for k, v in tensors.items() if v.dtype == np.float32}


# ---------------------------------------------------------------- layers

def conv(w, name, x, **how):
    return F.conv2d(x, w[name + ".weight"], w.get(name + ".bias"), **how)

def conv_same(w, name, x, stride=1, **how):
    """TensorFlow's SAME padding: the odd row and column at the end."""
    def around(size, kernel):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2
    kh, kw = w[name + ".weight"].shape[2:]
    return conv(w, name, F.pad(x, around(x.shape[3], kw) + around(x.shape[2], kh)), stride=stride, **how)

def norm(w, name, x):
    return F.batch_norm(x, w[name + ".running_mean"], w[name + ".running_var"], w[name + ".weight"], w[name + ".bias"])

def linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))

def relu6(x):
    return torch.clamp(x, 0.0, 6.0)


# ---------------------------------------------------------------- networks

def kws(w, audio):
    x = F.relu(conv_same(w, "conv", audio.permute(0, 3, 1, 2), stride=2))
    for i in range(4):
        x = F.relu(conv_same(w, f"block.{i}.depthwise", x, groups=64))
        x = F.relu(conv_same(w, f"block.{i}.pointwise", x))
    return linear(w, "fc", x.mean((2, 3)))

def ic(w, image):
    x = F.relu(conv_same(w, "conv", image.permute(0, 3, 1, 2)))
    for i in range(3):
        stride = 1 if i == 0 else 2
        y = F.relu(conv_same(w, f"stage.{i}.conv1", x, stride=stride))
        y = conv_same(w, f"stage.{i}.conv2", y)
        x = F.relu(y + (x if i == 0 else conv_same(w, f"stage.{i}.shortcut", x, stride=stride)))
    return linear(w, "fc", F.avg_pool2d(x, 8).flatten(1))

def resnet20(w, image):
    x = F.relu(norm(w, "bn1", conv(w, "conv1", image, padding=1)))
    for i in 1, 2, 3:
        for j in 0, 1, 2:
            name, planes, stride = f"layer{i}.{j}", 8 << i, 2 if i > 1 and j == 0 else 1
            y = F.relu(norm(w, name + ".bn1", conv(w, name + ".conv1", x, stride=stride, padding=1)))
            y = norm(w, name + ".bn2", conv(w, name + ".conv2", y, padding=1))
            if stride == 2:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4))
            x = F.relu(y + x)
    return linear(w, "linear", F.avg_pool2d(x, 8).flatten(1))

def mnist(w, image):
    x = image
    for i in 1, 2, 3:
        x = F.relu(conv(w, f"conv{i}", x))
    x = F.relu(linear(w, "fc1", norm(w, "norm1", x).flatten(1)))
    return F.log_softmax(norm(w, "norm2", linear(w, "fc2", x)), dim=1)

def mobilenet(w, image):
    x = relu6(conv_same(w, "conv", image.permute(0, 3, 1, 2), stride=2))
    for i in range(13):
        x = relu6(conv_same(w, f"block.{i}.depthwise", x, stride=2 if i in (1, 3, 5, 11) else 1, groups=x.shape[1]))
        x = relu6(conv_same(w, f"block.{i}.pointwise", x))
    return linear(w, "fc", F.avg_pool2d(x, 4).flatten(1))

def rms_norm(w, name, x):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * w[name + ".weight"]

def rotate(x):
    """Pairs (2i, 2i + 1) of x[t, head, d] as complex numbers, turned by t·θ^(-2i/d)."""
    t, _, d = x.shape
    angle = torch.arange(t).double()[:, None] * 10000.0 ** (-torch.arange(0, d, 2).double() / d)
    z = torch.view_as_complex(x.reshape(t, -1, d // 2, 2)) * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.view_as_real(z).reshape(x.shape)

def llama(w, tokens):
    """The logits after every token, from the whole sequence at once: no cache."""
    x = w["tok_embeddings.weight"][tokens.long()]
    n = len(x)
    for i in range(5):
        name = f"layers.{i}"
        h = rms_norm(w, name + ".attention_norm", x)
        q = rotate(linear(w, name + ".attention.wq", h).view(n, 8, 8))
        k = rotate(linear(w, name + ".attention.wk", h).view(n, 4, 8)).repeat_interleave(2, dim=1)
        v = linear(w, name + ".attention.wv", h).view(n, 4, 8).repeat_interleave(2, dim=1)
        score = torch.einsum("thd,shd->hts", q, k) / 8 ** 0.5
        score = score.masked_fill(torch.ones(n, n).triu(1).bool(), -float("inf"))
        x = x + linear(w, name + ".attention.wo", torch.einsum("hts,shd->thd", score.softmax(-1), v).reshape(n, 64))
        h = rms_norm(w, name + ".ffn_norm", x)
        gate = F.silu(linear(w, name + ".feed_forward.w1", h))
        x = x + linear(w, name + ".feed_forward.w2", gate * linear(w, name + ".feed_forward.w3", h))
    return rms_norm(w, "norm", x) @ w["tok_embeddings.weight"].T

NETS = {"kws": (kws, "audio"), "ic": (ic, "image"), "resnet20": (resnet20, "image"), "mnist": (mnist, "image"),
        "mobilenet": (mobilenet, "image"), "llama": (llama, "tokens")}

def run(name, x):
    w = weights(name)
    batch = len(x) if name == "llama" else 50
    with torch.no_grad():
        x = torch.from_numpy(x)
        return torch.cat([NETS[name][0](w, part if name == "llama" else part.double()) for part in x.split(batch)]).numpy()


# ---------------------------------------------------------------- inputs that may be committed

def smooth(rng, n, h, w, scale):
    """Fields of random blobs, mean 0 and deviation 1: a picture to a network, if not to a person."""
    ky, kx = np.fft.fftfreq(h)[:, None] * scale, np.fft.fftfreq(w)[None] * scale
    low = np.exp(-0.5 * (ky ** 2 + kx ** 2) * (2 * np.pi) ** 2)
    x = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, h, w))) * low).real
    return (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)

def pictures(rng):
    """u8 [4, 32, 32, 3]: coarse shapes shared by the colours, finer ones of each, and noise."""
    x = 45 * smooth(rng, 4, 32, 32, 4.0)[..., None]
    x = x + 20 * np.stack([smooth(rng, 4, 32, 32, 2.0) for _ in range(3)], -1) + rng.normal(0, 4, (4, 32, 32, 3))
    return np.clip(np.rint(x + rng.uniform(90, 150, (4, 1, 1, 3))), 0, 255)

def strokes(points):
    """u8 [28, 28]: a pen two pixels wide along the points, with soft edges."""
    y, x = np.mgrid[0:28, 0:28] + 0.5
    distance = np.full((28, 28), np.inf)
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        t = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
        t = np.clip(t, 0, 1)
        distance = np.minimum(distance, np.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0)))
    return np.rint(255 * np.clip(2.0 - distance, 0, 1))

DIGITS = [
    [(14 + 5 * np.sin(a), 14 - 9 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 25)],    # 0
    [(12, 8), (15, 5), (15, 23)],                                                         # 1
    [(8, 6), (20, 6), (12, 23)],                                                          # 7
    [(16, 23), (16, 5), (7, 17), (21, 17)],                                               # 4
]

def normalize_imagenet(u8_nhwc):
    mean, std = np.array([.485, .456, .406]), np.array([.229, .224, .225])
    return ((u8_nhwc / 255.0 - mean) / std).transpose(0, 3, 1, 2)

def synthetic(name):
    rng = np.random.default_rng([ord(c) for c in name])
    if name == "kws":            # a second of silence with a word in it; the finer the cepstrum, the smaller
        x = smooth(rng, 4 * 10, 49, 1, 2.0).reshape(4, 10, 49).transpose(0, 2, 1) * np.array([6, 9, 6, 4, 4, 3, 3, 2, 2, 2])
        loud = np.exp(-0.5 * ((np.arange(49) - rng.uniform(16, 32, (4, 1))) / 7) ** 2)
        x = x * loud[..., None]
        x[..., 0] += 55 * loud - 45
        return (np.clip(np.rint(x / 0.5847029 + 83), -128, 127)[..., None] - 83) * 0.5847029
    if name == "ic":
        return pictures(rng)
    if name == "resnet20":
        return normalize_imagenet(pictures(rng))
    if name == "mnist":
        return (np.stack([strokes(d) for d in DIGITS])[:, None] / 255.0 - 0.1307) / 0.3081
    if name == "mobilenet":      # the kitten
        return (np.load(os.path.join(HERE, "mobilenet", "photos_u8_128.npy"))[:1] - 128.0) / 128.0

def write():
    for name, (_, terminal) in NETS.items():
        if name == "llama":
            continue             # greedy256_*.npy are upstream's text and its logits
        x = synthetic(name).astype(np.float32)
        y = run(name, x).astype(np.float32)
        np.save(os.path.join(HERE, name, terminal + ".npy"), np.ascontiguousarray(x))
        np.save(os.path.join(HERE, name, "logits.npy"), y)
        print(f"{name:10} {terminal}.npy {x.shape} -> logits.npy {y.shape}, top {y.argmax(1)}")


# ---------------------------------------------------------------- the check

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)

def agrees(what, got, want, probabilities=False):
    """|got - want| within the bounds of shared/data/README.md; the largest entry the same where it is clear."""
    want = want.astype(np.float64)
    bound = 1e-5 if probabilities else 1e-4 + 1e-4 * np.abs(want)
    worst = np.max(np.abs(got - want) / bound)
    two = np.sort(want, -1)[..., -2:]
    clear = two[..., 1] - two[..., 0] > np.max(bound)
    same = np.all((got.argmax(-1) == want.argmax(-1)) | ~clear)
    good = got.shape == want.shape and worst <= 1 and same
    print(f"{'ok  ' if good else 'FAIL'} {what}: {want.shape}, error / bound {worst:.2g}")
    return good

def load(*path):
    return np.load(os.path.join(*path))

def cifar(file):
    raw = np.fromfile(os.path.join(DATA, "cifar", file + ".bin"), np.uint8).reshape(-1, 3073)
    return raw[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).astype(np.float64)

def t10k(n):
    raw = gzip.open(os.path.join(DATA, "mnist", "t10k-images-idx3-ubyte.gz")).read(16 + 784 * n)[16:]
    return (np.frombuffer(raw, np.uint8).reshape(n, 1, 28, 28) / 255.0 - 0.1307) / 0.3081

def check_committed():
    good = True
    for name, (_, terminal) in NETS.items():
        if name != "llama":
            x = load(HERE, name, terminal + ".npy")
            good &= agrees(f"tests/models/{name}", run(name, x), load(HERE, name, "logits.npy"))
    photos = (load(HERE, "mobilenet", "photos_u8_128.npy") - 128.0) / 128.0
    good &= agrees("tests/models/mobilenet photos", softmax(run("mobilenet", photos)),
                   load(HERE, "mobilenet", "photos_probs.npy"), probabilities=True)
    tokens = load(HERE, "llama", "greedy256_tokens.npy")
    logits = run("llama", tokens[:-1])
    good &= agrees("tests/models/llama", logits, load(HERE, "llama", "greedy256_logits.npy"))
    good &= bool(np.all(logits.argmax(1) == tokens[1:]))
    return good

def check_shared():
    audio = (load(DATA, "kws", "kws_x_i8.npy").astype(np.float64) - 83) * 0.5847029089927673
    logits = run("kws", audio)
    good = agrees("kws", logits, load(DATA, "kws", "kws_float_logits.npy"))
    good &= agrees("kws softmax", softmax(logits), load(DATA, "kws", "kws_float_probs.npy"), probabilities=True)
    for file in "cifar10_lossless20", "cifar10_jpgA500":
        logits = run("ic", cifar(file))
        good &= agrees(f"ic {file}", logits, load(DATA, "ic", file + "_logits.npy"))
        good &= agrees(f"ic {file} softmax", softmax(logits), load(DATA, "ic", file + "_probs.npy"), probabilities=True)
        good &= agrees(f"resnet20 {file}", run("resnet20", normalize_imagenet(cifar(file))),
                       load(DATA, "resnet20", file + "_logits.npy"))
    good &= agrees("mnist", run("mnist", t10k(1000)), load(DATA, "mnist", "burn_t10k_first1000_logprob.npy"))
    return good

if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    elif sys.argv[1:] == ["--check"]:
        good = check_committed()
        if os.path.isdir(DATA):
            good &= check_shared()
        else:
            print(f"skipped: no {DATA}")
        sys.exit(0 if good else 1)
    else:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
