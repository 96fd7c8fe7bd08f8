"""The text of `setup`, executed, gives the weights of `manual_seed(s); Model()`."""

from __future__ import annotations

import ast
import copy
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from luxgen.frontends.initial import trace_initial
from luxgen.ir.initial import Call, Draw, InitProgram, reach
from luxgen.ir.values import Leaf
from luxgen.ops.types import Array
from luxgen.targets.numpy.helpers import helper_function
from luxgen.targets.numpy.setup_select import select
from luxgen.targets.numpy.setup_text import SetupText, setup_text

Build = Callable[[], nn.Module]
init = nn.init


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """All leaves in state_dict order, then the buffers that aren't persistent."""
    found = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    order = [*(n for n in model.state_dict() if n in found), *found]
    return {name: found[name].detach() for name in dict.fromkeys(order)}


def text_of(build: Build, **options: Any) -> tuple[SetupText, InitProgram, list[Leaf]]:
    torch.manual_seed(0)
    model, program = trace_initial(build)
    leaves = [
        Leaf(tuple(n.split(".")), "ps", str(t.dtype)[6:], tuple(t.shape))
        for n, t in tensors(model).items()
    ]
    return setup_text(program, leaves, **options), program, leaves


def run(
    text: SetupText, leaves: list[Leaf], stored: dict[str, Array] | None = None
) -> Callable[[Any], dict[str, Array]]:
    """`setup`, returning the mapping that it would build the trees from."""
    scope: dict[str, Any] = {
        "np": np,
        "_shapes": lambda: {".".join(leaf.path): leaf.shape for leaf in leaves},
        "_stored": lambda: dict(stored or {}),
        "from_state_dict": lambda w, **_: w,
    }
    scope |= {name: helper_function(name) for name in text.helpers}
    source = "from __future__ import annotations\n" + "\n".join(text.lines)
    exec(compile(source, "<setup>", "exec"), scope)
    setup: Callable[[Any], dict[str, Array]] = scope["setup"]
    return setup


def check(build: Build, seeds: tuple[int, ...] = (0, 7, 2**32 + 5)) -> SetupText:
    """All is retraced; uniforms are equal, the rest but for the last digits."""
    text, program, leaves = text_of(build)
    assert not text.stored
    assert all(len(line) <= 88 or '"' in line for line in text.lines)
    setup = run(text, leaves)
    for seed in seeds:
        torch.manual_seed(seed)
        drawn = setup(seed)
        for name, tensor in tensors(build()).items():
            compare(program, name, drawn[name], tensor.numpy())
    drawn = setup(np.random.default_rng(0))
    for leaf in leaves:
        array = drawn[".".join(leaf.path)]
        assert array.shape == leaf.shape
        assert str(array.dtype) == leaf.dtype
    return text


def compare(program: InitProgram, name: str, ours: Array, theirs: Array) -> None:
    assert isinstance(ours, np.ndarray)
    made_of = [
        program.nodes[n] for n in reach(program.nodes, [program.leaves[name].node])
    ]
    kinds = {n.kind for n in made_of if isinstance(n, Draw)}
    kinds |= {n.op for n in made_of if isinstance(n, Call)}
    if kinds <= {"uniform", "bernoulli", "integers", "permutation"}:
        np.testing.assert_array_equal(ours, theirs, strict=True, err_msg=name)
        return
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    scale = float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0))
    places = 4 if "linalg_qr" not in kinds else 100  # it grows with the condition
    eps = float(np.finfo(theirs.dtype).eps) if theirs.dtype.kind in "fc" else 0.0
    np.testing.assert_allclose(
        ours, theirs, rtol=0, atol=places * eps * scale, err_msg=name
    )


# ---- layers and nets ----


LAYERS: dict[str, Build] = {
    "linear": lambda: nn.Linear(5, 4),
    "no bias": lambda: nn.Linear(4, 4, bias=False),
    "conv1d": lambda: nn.Conv1d(4, 6, 3, groups=2),
    "conv2d": lambda: nn.Conv2d(3, 5, (2, 3)),
    "conv3d": lambda: nn.Conv3d(1, 2, 2, bias=False),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 3, groups=2),
    "embedding": lambda: nn.Embedding(9, 4, padding_idx=3),
    "few embeddings": lambda: nn.Embedding(3, 3, padding_idx=0),
    "bag": lambda: nn.EmbeddingBag(7, 5),
    "lstm": lambda: nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
    "gru": lambda: nn.GRU(3, 5, bias=False),
    "rnn cell": lambda: nn.RNNCell(3, 4),
    "attention": lambda: nn.MultiheadAttention(6, 2, add_bias_kv=True),
    "attention, own dims": lambda: nn.MultiheadAttention(6, 2, kdim=3, vdim=5),
    "encoder layer": lambda: nn.TransformerEncoderLayer(8, 2, 12),
    "decoder layer": lambda: nn.TransformerDecoderLayer(8, 2, 12, bias=False),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "layer norm": lambda: nn.LayerNorm((3, 4)),
    "instance norm": lambda: nn.InstanceNorm1d(3, 1e-5, 0.1, True, True),
    "rms norm": lambda: nn.RMSNorm(4),
    "prelu": lambda: nn.PReLU(3),
    "bilinear": lambda: nn.Bilinear(3, 4, 5),
    "softmax": lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4]),
    "double": lambda: nn.Linear(5, 4, dtype=torch.float64),
    "half": lambda: nn.Linear(5, 4).half(),
    "nothing": lambda: nn.ReLU(),
}  # fmt: skip

FILLS: dict[str, Callable[[Tensor], object]] = {
    "uniform": lambda t: init.uniform_(t, -0.3, 0.2),
    "normal": lambda t: init.normal_(t, 0.1, 0.02),
    "constant": lambda t: init.constant_(t, 0.3),
    "ones": init.ones_,
    "zeros": init.zeros_,
    "truncated": lambda t: init.trunc_normal_(t, std=0.02),
    "really truncated": init.trunc_normal_,
    "scaled": lambda t: t.data.mul_(0.5),
    "a part": lambda t: t.data[0:1].fill_(2.0),
    "half of it": lambda t: t.data[::2].normal_(),
}
MATRICES: dict[str, Callable[[Tensor], object]] = {
    "xavier uniform": lambda t: init.xavier_uniform_(t, init.calculate_gain("tanh")),
    "xavier normal": init.xavier_normal_,
    "kaiming uniform": lambda t: init.kaiming_uniform_(t, a=0.1),
    "kaiming normal": lambda t: init.kaiming_normal_(t, mode="fan_out"),
    "orthogonal": lambda t: init.orthogonal_(t, gain=1.5),
}  # fmt: skip


class Net(nn.Module):
    """Layers, and how some of their parameters are filled anew: `plan` decides."""

    def __init__(self, plan: list[tuple[str, list[str | None], bool]]) -> None:
        super().__init__()
        for number, (layer, fills, twice) in enumerate(plan):
            module = LAYERS[layer]()
            self.add_module(f"{layer.split()[0]}{number}", module)
            for parameter, fill in zip(module.parameters(), fills, strict=False):
                if fill in MATRICES and parameter.dim() > 1:
                    MATRICES[fill](parameter)
                elif fill in FILLS:
                    FILLS[fill](parameter)
            if twice:
                self.add_module(f"copy{number}", copy.deepcopy(module))


FILL = st.sampled_from([None, None, None, *FILLS, *MATRICES])
PLAN = st.lists(
    st.tuples(
        st.sampled_from([name for name in LAYERS if name not in ("double", "half")]),
        st.lists(FILL, max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(PLAN)
def test_random_nets(plan: list[tuple[str, list[str | None], bool]]) -> None:
    check(lambda: Net(plan), seeds=(3,))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_alone_and_in_a_row(layer: str) -> None:
    check(LAYERS[layer], seeds=(1,))
    text = check(lambda: nn.Sequential(*[LAYERS[layer]() for _ in range(12)]), (2,))
    assert len(text.lines) < 30


@pytest.mark.parametrize("fill", [*FILLS, *MATRICES])
@pytest.mark.parametrize("shape", [(3, 3), (40, 5), (4, 6, 3)])
def test_every_fill(fill: str, shape: tuple[int, ...]) -> None:
    class Filled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(shape))
            self.v = nn.Parameter(torch.ones(shape))
            {**FILLS, **MATRICES}[fill](self.w)
            {**FILLS, **MATRICES}[fill](self.v)

    check(Filled)


def test_float64_models() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        check(
            lambda: nn.Sequential(
                *[f() for name, f in LAYERS.items() if name not in ("half",)]
            )
        )
        check(lambda: Net([("linear", [fill], False) for fill in MATRICES]))
    finally:
        torch.set_default_dtype(torch.float32)


class Odd(nn.Module):
    """What torch.nn doesn't do itself but models do."""

    def __init__(self) -> None:
        super().__init__()

        def parameter(name: str, value: Tensor) -> None:
            setattr(self, name, nn.Parameter(value))

        parameter("sparse", init.sparse_(torch.empty(6, 9), 0.4))
        parameter("dirac", init.dirac_(torch.empty(8, 9, 3, 3)))
        parameter("eye", init.eye_(torch.empty(3, 4)))
        parameter("complex_", torch.randn(5, 4, dtype=torch.complex64))
        parameter("complex_uniform", torch.rand(2, 2, dtype=torch.complex64))
        parameter("slice_", torch.randn(4, 6)[:, ::2])
        parameter("few", torch.randn(3))
        parameter("few_more", torch.randn(5) * 2 + 1)
        parameter("mask", (torch.rand(4, 4) < 0.3).float())
        parameter("coin", torch.empty(3, 3).bernoulli_(0.4))
        parameter("waiting", torch.empty(7).exponential_(2.0))
        parameter("digits", torch.randint(0, 9, (3,)).float())
        parameter("shifted", torch.normal(torch.arange(20.0), torch.ones(20)))
        parameter("number", torch.randn(()))
        parameter("constant", torch.ones([]) * math.log(1 / 0.07))
        parameter("transposed", torch.empty(4, 40).t().normal_())
        parameter("turned", torch.randn(4, 8).t().contiguous())
        parameter("dropped", nn.functional.dropout(torch.ones(4, 4), 0.5))
        parameter("joined", torch.cat([torch.randn(2, 4), torch.zeros(1, 4)]))
        parameter("unit", nn.functional.normalize(torch.randn(4, 8), dim=-1))
        self.table = nn.Embedding(5, 3)
        with torch.no_grad():
            self.table.weight[2] = 0
            parameter("copied", self.table.weight.clone())
            self.table.weight[1] = 3
        self.register_buffer("order", torch.randperm(9))
        self.register_buffer("big", torch.randint(0, 2**40, (3,)))
        self.register_buffer("causal", torch.ones(5, 5).tril().bool().view(1, 1, 5, 5))
        self.register_buffer("hidden", torch.full((3, 3), -math.inf).triu(1))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1))
        self.register_buffer("transient", torch.ones(3) * 2, persistent=False)
        self.register_buffer("position", self.positions(50, 8))
        self.last = nn.Parameter(torch.rand(3))

    @staticmethod
    def positions(length: int, size: int) -> Tensor:
        pe = torch.zeros(1, length, size)
        position = torch.arange(length).unsqueeze(1).float()
        scale = torch.exp(torch.arange(0, size, 2).float() * (-math.log(1e4) / size))
        pe[0, :, 0::2] = torch.sin(position * scale)
        pe[0, :, 1::2] = torch.cos(position * scale)
        return pe


def test_odd_constructors() -> None:
    text, program, leaves = text_of(Odd)
    assert not text.stored
    setup = run(text, leaves)
    for seed in (0, 9):
        torch.manual_seed(seed)
        for name, tensor in tensors(Odd()).items():
            if name == "position":  # exp differs by a last place, then times 50
                np.testing.assert_allclose(setup(seed)[name], tensor, atol=1e-5)
            else:
                compare(program, name, setup(seed)[name], tensor.numpy())


def test_parametrizations() -> None:
    p = nn.utils.parametrizations

    def build() -> nn.Module:
        layers = (p.weight_norm(nn.Linear(3, 4)), p.spectral_norm(nn.Linear(3, 4)))
        return nn.Sequential(*layers, nn.Linear(2, 2))

    assert len(check(build).lines) < 60


# ---- the text ----


def test_a_plain_net_is_one_line() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2 = nn.Linear(256, 120), nn.Linear(120, 10)

    text = check(Net)
    assert "\n".join(text.lines) == (
        "def setup(rng: int | np.random.Generator) -> tuple[Params, State]:\n"
        '    """Draw as the constructor does; an int repeats '
        'torch.manual_seed(rng)."""\n'
        "    bits = np.random.RandomState(rng % 2**32) "
        "if isinstance(rng, int) else rng\n"
        "    shapes = _shapes()\n"
        "    w = draw_affine(bits, shapes, "
        "[n for n, s in shapes.items() if len(s) > 1])\n"
        "    return from_state_dict(w)"
    )
    assert text.helpers == {"draw_affine"}


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 32), nn.Linear(32, 8)


class GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(20, 8), nn.Embedding(10, 8)
        self.h = nn.ModuleList(Block() for _ in range(5))
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.wte.weight
        self.apply(self.fill)
        for name, p in self.named_parameters():
            if name.endswith(("proj.weight", "down.weight")):
                init.normal_(p, std=0.02 / math.sqrt(10))

    @staticmethod
    def fill(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            init.zeros_(module.bias)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *[
                nn.Sequential(nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4))
                for _ in range(6)
            ]
        )
        self.fc = nn.Linear(4, 3)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


@pytest.mark.parametrize(
    "build, most",
    [
        (GPT, 20),
        (ResNet, 17),
        (lambda: nn.Transformer(8, 2, 3, 3, 16), 27),
        (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 6), 26),
        (lambda: nn.Sequential(*[nn.MultiheadAttention(8, 2) for _ in range(6)]), 17),
        (lambda: nn.Sequential(nn.Embedding(30, 8), nn.LSTM(8, 16, 2)), 10),
    ],
)
def test_deep_nets_stay_short(build: Build, most: int) -> None:
    assert len(check(build, seeds=(4,)).lines) <= most


def test_words_that_nothing_follows_are_not_drawn() -> None:
    def build() -> nn.Module:
        layer = nn.Linear(4, 4)
        init.ones_(layer.weight)
        init.zeros_(layer.bias)
        return layer

    text = check(build)
    assert "bits" not in "\n".join(text.lines)


def test_names_are_data() -> None:
    names = [
        'a"b',
        "a'b",
        "{x}",
        "\\",
        "a\nb",
        "ü\u2028",
        "\ud800",
        'f"{1/0}"',
        "# fmt",
    ]

    def build() -> nn.Module:
        model = nn.Module()
        for name in names:
            model.add_module(name, nn.Sequential(nn.Linear(2, 3), nn.PReLU()))
            model.add_module(f"{name}0", nn.Embedding(20, 2))
            model.add_module(f"{name}1", nn.Embedding(30, 2))
        return model

    text = check(build)
    tree = ast.parse("\n".join(text.lines))
    assert len(tree.body) == 1


def test_stored_leaves_come_from_the_weights_file() -> None:
    def build() -> nn.Module:
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model.register_buffer("made", torch.from_numpy(np.arange(99.0)))
        return model

    text, _, leaves = text_of(build, keep=["1.weight"])
    assert text.stored.keys() == {"1.weight", "made"}
    torch.manual_seed(6)
    expected = {name: t.numpy() for name, t in tensors(build()).items()}
    stored = {name: expected[name] for name in text.stored}
    drawn = run(text, leaves, stored)(6)
    for name, array in expected.items():
        np.testing.assert_array_equal(drawn[name], array, strict=True)


def test_ops_without_a_row_are_stored() -> None:
    def build() -> nn.Module:
        model = nn.Linear(3, 3)
        model.weight.data = torch.linalg.pinv(model.weight.data)
        return model

    text, _, _ = text_of(build)
    assert text.stored.keys() == {"weight"}
    assert "computed by" in text.stored["weight"]


def test_a_seed_for_dropout() -> None:
    text, _, _ = text_of(
        lambda: nn.Linear(2, 2), result="from_state_dict(w, seed=seed)", seeded=True
    )
    assert text.lines[-2:] == (
        "    seed = rng if isinstance(rng, int) else int(rng.integers(2**63))",
        "    return from_state_dict(w, seed=seed)",
    )


def test_the_text_does_not_depend_on_the_seed() -> None:
    texts = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        random.seed(seed)
        model, program = trace_initial(GPT)
        leaves = [
            Leaf(tuple(n.split(".")), "ps", "float32", tuple(t.shape))
            for n, t in tensors(model).items()
        ]
        texts.add(setup_text(program, leaves).lines)
    assert len(texts) == 1


def test_selections_are_exact() -> None:
    shapes = {"a.w": (2, 3), "a.b": (2,), "b.w": (3,), "b.b": (3, 4)}
    for names in (["a.w", "b.b"], ["a.w", "b.w"], ["a.b"], list(shapes)):
        condition = select(names, shapes, "n", "s")
        assert condition is not None
        met = [n for n, s in shapes.items() if not condition or eval(condition)]
        assert met == names
    assert select(["b.b", "a.w"], shapes, "n", "s") is None


def test_models_that_were_converted_after_their_constructor() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(20, 3), nn.BatchNorm1d(3)).half()

    torch.manual_seed(0)
    model, program = trace_initial(build)
    leaves = [
        Leaf(tuple(n.split(".")), "ps", str(t.float().numpy().dtype), tuple(t.shape))
        for n, t in tensors(model).items()
        if t.is_floating_point()
    ]
    text = setup_text(program, leaves)
    assert not text.stored
    torch.manual_seed(8)
    expected, drawn = tensors(build()), run(text, leaves)(8)
    for leaf in leaves:
        name = ".".join(leaf.path)
        np.testing.assert_array_equal(drawn[name], expected[name].float(), strict=True)
    lost = trace_initial(lambda: build().bfloat16())[1]
    assert "bfloat16" in setup_text(lost, leaves).stored["0.weight"]
