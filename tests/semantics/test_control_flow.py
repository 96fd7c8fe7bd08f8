"""Control flow end to end: sizes and modes in Python, data in Python refused."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import luxgen
from tests.semantics.agree import agree, refused

LIMIT = 3.0
TABLE = torch.arange(4.0)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# -- sizes in Python --------------------------------------------------------------


class Attention(nn.Module):
    """Sizes in every way that people write them."""

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        assert C % self.heads == 0, f"{C} channels do not divide by {self.heads}"
        q, k, v = self.qkv(x).split(C, dim=2)
        q = q.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        k = k.view(B, T, self.heads, -1).transpose(1, 2)
        v = v.reshape(x.size(0), T, self.heads, v.shape[-1] // self.heads).permute(0, 2, 1, 3)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
        mask = torch.tril(torch.ones(T, T, dtype=torch.bool))
        scores = scores.masked_fill(~mask[None, None, :T, :T], float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(B, T, C))


class Positions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(64, 4)
        self.register_buffer("sines", torch.randn(1, 64, 4))

    def forward(self, x: Tensor) -> Tensor:
        T = x.size(1)
        if T > 64:
            raise ValueError(f"at most 64 steps, not {T}")
        x = x + self.table(torch.arange(T, device=x.device)) + self.sines[:, : x.shape[1]]
        x = x * x.shape[-1] ** 0.5 / len(x) + x.numel() / x.shape[0]
        steps = torch.arange(0, T, 2).float() / max(T - 1, 1)
        return x[:, ::2] + steps[None, :, None] + min(T, 100) + int(T / 2) + round(T / 3)


class Heads(nn.Module):
    """A loop over heads, slices that grow, a comprehension."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 3) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        step = x.shape[-1] // len(self.layers)
        parts = [
            layer(x[..., i * step : (i + 1) * step]) for i, layer in enumerate(self.layers)
        ]
        out = parts[0]
        for part in parts[1:]:
            out = torch.cat([out, part], dim=-1)
        return out / len(parts)


class Pads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        H, W = x.shape[-2:]
        x = F.pad(x, (0, W % 2, 0, H % 2))
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        return x.mean(dim=list(range(1, x.dim() - 1))) * (H * W)


class Chunked(nn.Module):
    """Python lists, zip, enumerate, starred, conditional expressions, a lambda."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = lambda a, b: a * torch.sigmoid(b)
        self.scale = functools.partial(torch.mul, other=2.0)

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = x.chunk(4, dim=1)
        total = first
        for k, (a, b) in enumerate(zip(rest, rest[1:], strict=False)):
            total = self.gate(total, a) + (b if k % 2 else -b)
        return self.scale(total) if total.dim() == 2 else total


@pytest.mark.parametrize(
    ("model", "shape"),
    [(Attention, (2, 6, 8)), (Positions, (2, 6, 4)), (Heads, (3, 4)), (Pads, (3, 2, 5, 7)),
     (Chunked, (3, 8))],
)  # fmt: skip
def test_sizes_in_python(model: type[nn.Module], shape: tuple[int, ...]) -> None:
    agree(model(), torch.randn(*shape), batches=(5, 1))


@pytest.mark.parametrize("model", [Attention, Positions])
def test_length_stays_free(model: type[nn.Module]) -> None:
    width = 8 if model is Attention else 4
    agree(model(), torch.randn(2, 6, width), others=((torch.randn(3, 13, width),),))


def test_guard_on_a_size_is_checked() -> None:
    made = luxgen.transpile(Positions(), (torch.randn(2, 6, 4),))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    with pytest.raises(ValueError):
        module.apply(np.zeros((2, 65, 4), np.float32), ps, st)


class BySize(nn.Module):
    """Another way for short inputs: only the traced way is there."""

    def __init__(self) -> None:
        super().__init__()
        self.short, self.long = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.short(x) if x.shape[1] < 4 else self.long(x).tanh()


def test_branch_on_a_size_is_checked() -> None:
    made = agree(BySize(), torch.randn(2, 6, 4))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    with pytest.raises(ValueError):
        module.apply(np.zeros((2, 3, 4), np.float32), ps, st)


# -- loops over time --------------------------------------------------------------


class OverTime(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.size(0), 4)
        outs = []
        for t in range(x.size(1)):
            h = self.cell(x[:, t], h)
            outs.append(h)
        return torch.stack(outs, dim=1)


def test_loop_over_time_is_fixed_and_checked() -> None:
    made = agree(OverTime(), torch.randn(2, 5, 3), batches=(4, 1))
    assert any("T" in line or "1" in line for line in made.report.fixed), made.report.fixed
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    with pytest.raises(ValueError, match="x"):
        module.apply(np.zeros((2, 6, 3), np.float32), ps, st)


def test_loop_over_the_batch_is_fixed_and_checked() -> None:
    class OverBatch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.fc(row) * k for k, row in enumerate(x)])

    made = agree(OverBatch(), torch.randn(3, 3), batches=())
    assert made.report.fixed
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    with pytest.raises(ValueError, match="x"):
        module.apply(np.zeros((4, 3), np.float32), ps, st)


# -- modes ------------------------------------------------------------------------


class Auxiliary(nn.Module):
    """Another structure in training, as GoogLeNet returns it."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.aux = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        h = torch.relu(self.body(x))
        if self.training:
            return self.head(h), self.aux(h)
        return self.head(h)


class Frozen(nn.Module):
    """Frozen BatchNorm while the rest trains."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm, self.other = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4)

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.norm(self.fc(x)))


class Modes(nn.Module):
    """Branches on the mode, some with names that both sides set."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            left, right = self.a(x), x
            self.steps += 1
        else:
            left, right = x, self.b(x)
        x = left + right
        if not self.training:
            left, right = right, left
        y = self.a(x) * (2.0 if self.training else 3.0)
        if self.training:
            y = y + left.mean(0)
        return y, right


class Swapped(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b = x + 1, x * 2
        c = a * b
        if self.training:
            a, b = b, a
        return a, b, c


class OneForBoth(nn.Module):
    """In training one value for two names, in testing two."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            a = b = x.exp()
        else:
            a, b = x.sin(), x.cos()
        return a + 1, b * 2


class ChildModes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Modes() for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)[0].tanh()
        return x


class AuxiliaryChild(nn.Module):
    """A child whose structure depends on the mode, taken apart by its parent."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Auxiliary()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            y, aux = self.child(x)
            return y + 0.3 * aux
        return self.child(x)


class SkippedChild(nn.Module):
    """Layers that only one of the modes calls."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.child = nn.BatchNorm1d(4), Modes()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.child(self.norm(x))[0]
        y = self.norm(x)
        return y * 2


@pytest.mark.parametrize(
    "model",
    [Auxiliary, Frozen, Modes, Swapped, OneForBoth, ChildModes, AuxiliaryChild, SkippedChild],
)
def test_modes(model: type[nn.Module]) -> None:
    agree(model(), torch.randn(3, 4))


def test_partly_frozen_by_the_state() -> None:
    """`training` is a field of each layer's state."""
    model = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    made = luxgen.transpile(model, (torch.randn(3, 4),))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    st = module.trainmode(st)
    st = (st[0]._replace(training=False), st[1]) if type(st) is tuple else st._replace(
        **{st._fields[0]: st[0]._replace(training=False)}
    )  # fmt: skip
    x = torch.randn(5, 4)
    ours, new = module.apply(x.numpy(), ps, st)
    model.train()
    model[0].eval()
    with torch.no_grad():
        np.testing.assert_allclose(ours, model(x).numpy(), rtol=1e-5, atol=1e-6)
    held = module.state_dict(ps, new)
    np.testing.assert_array_equal(held["0.running_mean"], np.zeros(4))
    np.testing.assert_allclose(held["1.running_mean"], model[1].running_mean, rtol=1e-5, atol=1e-7)


# -- Python around forward --------------------------------------------------------


def helper(x: Tensor, *, power: float = 2.0) -> Tensor:
    return x.abs() ** power + LIMIT


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def features(self, x: Tensor) -> Tensor:
        return torch.relu(self.fc(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x) + 1


class Inherits(Base):
    def features(self, x: Tensor) -> Tensor:
        return helper(super().features(x)) * TABLE


class CallsSuper(Inherits):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = super().forward(x)
        return y.detach() + x

    @property
    def width(self) -> int:
        return self.fc.out_features


class Closure(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        table = torch.randn(4)
        self.fc = nn.Linear(4, 4)

        def activation(x: Tensor) -> Tensor:
            return torch.tanh(x) * scale + table

        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.fc(x))


class Dispatch(nn.Module):
    """isinstance, dictionaries of functions, getattr, a generator, try."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.ReLU(), nn.LayerNorm(4)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                x = layer(x) + x
            else:
                x = layer(x)
        name = "gelu" if x.dim() == 2 else "relu"
        total = sum(getattr(F, name)(part) for part in (x, -x))
        try:
            return {"gelu": torch.sin}[name](total)
        except KeyError:
            return total


@pytest.mark.parametrize(
    "make", [Inherits, CallsSuper, lambda: Closure(0.5), Dispatch], ids=str
)
def test_python_around(make: Any) -> None:
    agree(make(), torch.randn(3, 4))


def test_patched_forward() -> None:
    """A forward put on the instance is the one that counts."""

    def forward(x: Tensor) -> Tensor:
        return model.fc(x) * 3

    model = Base()
    model.forward = forward
    agree(model, torch.randn(3, 4), batches=())


def test_patched_child() -> None:
    model = nn.Sequential(Base(), nn.Linear(4, 2))
    inner = model[1].forward
    model[1].forward = lambda x: inner(x) - 1
    made = luxgen.transpile(model, (torch.randn(3, 4),))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    x = torch.randn(5, 4)
    with torch.no_grad():
        np.testing.assert_allclose(
            module.apply(x.numpy(), ps, st)[0], model(x).numpy(), rtol=1e-5, atol=1e-6
        )


class Shares(nn.Module):
    """Holds a module that is registered elsewhere, with state of its own."""

    def __init__(self, other: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.others = [other]

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.others[0](x))


class Sharing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.one, self.two = Shares(self.encoder), Shares(self.encoder[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x)) + self.encoder(x)


class Escapes(nn.Module):
    """A child leaves a tensor in an attribute that its parent reads."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Leaves() for _ in range(2)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.layers:
            x = layer(x)
        return x, sum(layer.loss for layer in self.layers)


class Leaves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.loss: Any = None

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        self.loss = (y**2).mean()
        return y.tanh()


class SizesOut(nn.Module):
    """A child returns sizes beside a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = Patches()

    def forward(self, x: Tensor) -> Tensor:
        tokens, h, w = self.embed(x)
        return tokens.transpose(1, 2).reshape(x.shape[0], -1, h, w) * (h * w)


class Patches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, 2, 2, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        x = self.proj(x)
        _, _, H, W = x.shape
        return x.flatten(2).transpose(1, 2), H, W


def test_shared_modules() -> None:
    agree(Sharing(), torch.randn(6, 4), batches=(3,))


def test_values_that_escape() -> None:
    agree(Escapes(), torch.randn(3, 4))


def test_sizes_from_a_child() -> None:
    agree(SizesOut(), torch.randn(2, 1, 6, 8), others=((torch.randn(3, 1, 10, 8),),))


def test_sizes_given_to_a_child() -> None:
    class Takes(nn.Module):
        def forward(self, x: Tensor, h: int, w: int, flag: bool = True) -> Tensor:
            return x.reshape(x.shape[0], h, w).softmax(-1) * (h + w) if flag else x

    class Gives(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = Takes()

        def forward(self, x: Tensor) -> Tensor:
            h, w = x.shape[-2:]
            return self.child(x.flatten(1), h, w) + self.child(x.flatten(1), h=h, w=w)

    agree(Gives(), torch.randn(2, 6, 8), others=((torch.randn(3, 5, 9),),))


# -- data in Python: refused, every place -----------------------------------------


class Data(nn.Module):
    """Python that looks at the data, in many ways; each line is a place."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:  # place: if
            x = x + 1
        n = int(x.abs().sum())  # place: int
        y = x * x.mean().item()  # place: item
        if bool((x > 9).any()):  # place: bool
            y = y * 2
        z = float(x.max())  # place: float
        rows = x.tolist()  # place: tolist
        k = x.argmax().item() % 4  # place: argmax
        w = x.detach().numpy().sum()  # place: numpy
        return y + n + z + rows[0][0] + k + float(w)


def test_every_place_is_listed() -> None:
    sites = refused(Data(), torch.randn(3, 4))
    with open(__file__) as file:
        lines = file.read().splitlines()
    wanted = {k for k, line in enumerate(lines, 1) if "# place: " in line and "find" not in line}
    wanted -= {k for k in wanted if "lines" in lines[k - 1]}
    assert {s.line for s in sites} >= wanted, str(luxgen.UnsupportedError(sites))
    for site in sites:
        assert site.file.endswith("test_control_flow.py")
        assert site.source == lines[site.line - 1]
        shown = str(site).splitlines()
        assert shown[1].strip() == site.source.strip() and "^" in shown[2]
        assert site.suggestion


class UntilSmall(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        error = x.abs().max()
        while error > 0.1:
            x = x * 0.5
            error = x.abs().max()
        return x


class InList(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return x * 2 if n in [1, 2] else x


class AsIndex(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return x[:, : int(n)] if n.item() else x


class AsRange(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        for _ in range(n):
            x = x * 2
        return x


class Formats(nn.Module):
    """A tensor's value only in a message: that steers nothing."""

    def forward(self, x: Tensor) -> Tensor:
        assert torch.isfinite(x).all(), f"not finite: {x}"
        if (x > 1e9).any():
            raise ValueError(f"too large: {x.max()}")
        assert x.shape[1] == 4
        return x * 2


@pytest.mark.parametrize("model", [UntilSmall])
def test_while_on_data_is_refused(model: type[nn.Module]) -> None:
    sites = refused(model(), torch.randn(3, 4) + 2)
    assert any("error > 0.1" in s.source for s in sites)


@pytest.mark.parametrize("model", [InList, AsIndex, AsRange])
def test_data_as_a_python_number_is_refused(model: type[nn.Module]) -> None:
    refused(model(), torch.randn(3, 4), torch.tensor(2))


def test_assertions_steer_nothing() -> None:
    agree(Formats(), torch.randn(3, 4))


def test_distributions() -> None:
    """torch.distributions checks its arguments, which steers nothing."""

    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.log_std = nn.Linear(4, 2), nn.Parameter(torch.zeros(2))

        def forward(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            normal = torch.distributions.Normal(self.mean(x), self.log_std.exp())
            return normal.log_prob(action).sum(-1), normal.entropy().sum(-1), normal.mean

    agree(Policy(), torch.randn(3, 4), torch.randn(3, 2))


def test_random_python_is_refused() -> None:
    import random

    class Drops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if self.training and random.random() < 0.5:
                return x
            return x * 2

    sites = refused(Drops(), torch.randn(3, 4))
    assert "random" in str(sites[0])


def test_random_numpy_is_refused() -> None:
    class Drops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float(np.random.rand())

    assert "random" in str(refused(Drops(), torch.randn(3, 4))[0])


def test_constant_tensors_may_steer() -> None:
    """A buffer's or a constant's values are the same at every call."""

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sizes = torch.tensor([1, 3])

        def forward(self, x: Tensor) -> Tensor:
            a, b = x.split(self.sizes.tolist(), dim=1)
            if torch.arange(4).sum() > 3:
                a = a * 2
            return torch.cat([b, a], 1)

    agree(Fixed(), torch.randn(3, 4))


def test_buffer_read_by_python_is_refused() -> None:
    """A buffer may be another one in another state."""

    class ReadsBuffer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("level", torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if self.level > 1 else x

    refused(ReadsBuffer(), torch.randn(3, 4))


def test_exception_of_the_model_is_its_own() -> None:
    class Raises(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("always")

    with pytest.raises(Exception, match="always"):
        luxgen.transpile(Raises(), (torch.randn(3, 4),))


def test_custom_autograd_function() -> None:
    """Its forward is what counts."""

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2 + 1

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad

    class Uses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Double.apply(x) + x

    agree(Uses(), torch.randn(3, 4))


def test_checkpoint() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Base()

        def forward(self, x: Tensor) -> Tensor:
            return torch.utils.checkpoint.checkpoint(self.block, x, use_reentrant=False)

    agree(Checkpointed(), torch.randn(3, 4))


def test_scripted_function() -> None:
    @torch.jit.ignore
    def inner(x: Tensor) -> Tensor:
        return x + 1

    class Uses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return inner(x) * 2

    agree(Uses(), torch.randn(3, 4))


def test_vmap_or_refusal() -> None:
    class Maps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.vmap(lambda row: (row * row).sum())(x)

    try:
        agree(Maps(), torch.randn(3, 4))
    except luxgen.UnsupportedError as error:
        assert error.sites
