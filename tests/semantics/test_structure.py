"""Structure end to end: names, tied and repeated modules, inputs, outputs, buffers."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import luxgen
from luxgen.errors import InputError
from tests.semantics.agree import agree, refused


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def x(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (3, 4)))


# -- tied and repeated ------------------------------------------------------------


class TiedParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.embed(ids)))


class TiedModule(nn.Module):
    """One module under two names, used under both."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.again = self.first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.again(torch.relu(self.first(x)))


class TiedBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        table = torch.arange(4.0)
        self.register_buffer("a", table)
        self.register_buffer("b", table)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.a += 1
        return x * self.b


class TwiceCalled(nn.Module):
    """Norm and dropout keep their state from the first call to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(self.block(x) * 2)


class Block(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.fc = nn.Linear(n, n)
        self.norm = nn.BatchNorm1d(n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.fc(x)))


class LeafTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.norm(x) * 3 + 1)


def test_tied_parameter_is_one_leaf() -> None:
    made = agree(TiedParameter(), torch.randint(7, (3, 5)))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    assert module.ravel(ps).size == 28
    held = module.state_dict(ps, st)
    assert held["head.weight"] is held["embed.weight"]


def test_tied_module() -> None:
    made = agree(TiedModule(), x())
    assert made.load().NUM_PARAMETERS == 4 * 4 + 4 + 8


def test_tied_buffer() -> None:
    agree(TiedBuffer(), x())


@pytest.mark.parametrize("model", [TwiceCalled, LeafTwice])
def test_called_twice(model: type[nn.Module]) -> None:
    agree(model(), x(6, 4), batches=(3,))


def test_dropout_called_twice_draws_two_masks() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.drop(x), self.drop(x)

    made = luxgen.transpile(Twice(), torch.ones(4, 50))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    (a, b), after = module.apply(np.ones((4, 50), np.float32), ps, st)
    assert (a != b).any()
    (c, _), _ = module.apply(np.ones((4, 50), np.float32), ps, after)
    assert (a != c).any() and (b != c).any()


# -- containers and names ---------------------------------------------------------


class OddDict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        keys = ("conv-1", "0", "class", "a b", "count", "_fields", "é", "x")
        self.parts = nn.ModuleDict({k: nn.Linear(4, 4) for k in keys})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts.values():
            x = x + part(x).tanh()
        return x


class Colliding(nn.Module):
    """Names that become the same identifier if spelled carelessly."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {k: nn.Linear(4, 4) for k in ("a-b", "a_b", "a b", "_a_b", "1", "n1", "_1")}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts.values():
            x = part(x).tanh()
        return x


class Lists(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.scales = nn.ParameterList([nn.Parameter(torch.randn(4)) for _ in range(3)])
        self.shifts = nn.ParameterDict({"in": torch.randn(4), "weight-1": torch.randn(4)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.shifts["in"]
        for layer, scale in zip(self.layers, self.scales, strict=True):
            x = torch.relu(layer(x)) * scale
        return x - self.shifts["weight-1"]


class Mixed(nn.Module):
    """A ModuleList with places that differ or hold nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4), nn.Identity(), nn.LayerNorm(4)]
        )
        self.backwards = nn.ModuleList([nn.Linear(4, 4) for _ in range(4)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        for layer in reversed(self.backwards):
            x = layer(x).tanh()
        for layer in self.backwards[1:3]:
            x = layer(x).tanh()
        return x + self.backwards[-1](x)


class NamedSequential(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential()
        self.net.add_module("first", nn.Linear(4, 4))
        self.net.add_module("lambda", nn.BatchNorm1d(4))
        self.net.add_module("7", nn.Linear(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class OddNames(nn.Module):
    """Parameters and buffers with names that Python or the module use themselves."""

    NAMES = ("0", "class", "lambda", "None", "np", "x", "count", "_fields", "index",
             "ps", "st", "def", "self", "_replace", "__x", "setup", "training_")  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        for name in self.NAMES:
            self.register_parameter(name, nn.Parameter(torch.randn(4)))
        self.register_buffer("seed", torch.randn(4))
        self.register_buffer("True", torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.NAMES:
            x = (x + self._parameters[name]) * 1.5
        return x * self.seed + self._buffers["True"]


class DottedParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ParameterDict({"weight": torch.randn(4)})
        self.weight = nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight + self.inner["weight"]


class ReadsTraining(nn.Module):
    """A buffer and a parameter beside a mode flag."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4))
        self.register_buffer("offset", torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale if self.training else x + self.offset


@pytest.mark.parametrize(
    "model", [OddDict, Colliding, Lists, Mixed, OddNames, DottedParameter, ReadsTraining]
)
def test_names_and_containers(model: type[nn.Module]) -> None:
    made = agree(model(), x())
    assert {*made.weights} >= {*model().state_dict()}


def test_named_sequential() -> None:
    agree(NamedSequential(), x())


def test_helper_named_class() -> None:
    """A user's class may be called as a helper, a NamedTuple or a builtin is."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(x, self.w) + 1

    class Apply(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = Linear()
            self.true = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.softmax(self.true(self.linear(x)), -1)

    class Softmax(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.apply_ = Apply()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.apply_(x) + F.gelu(x)

    class Params(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.softmax = Softmax()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.softmax(x)

    class State(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.params = Params()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.params(x))

    agree(State(), x())


def make_block(scale: float) -> nn.Module:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.w * scale if scale > 2 else x * self.w + scale

    return Block()


def test_classes_of_one_name() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = make_block(2.0), make_block(3.0), make_block(3.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(self.b(self.a(x)))

    agree(Two(), x())


# -- arguments --------------------------------------------------------------------


class Arguments(nn.Module):
    """Arguments that shadow what the module uses, one of them infinite."""

    def forward(
        self,
        inf: torch.Tensor,
        np: torch.Tensor,
        ps: torch.Tensor,
        st: torch.Tensor,
        apply: torch.Tensor,
        nan: torch.Tensor,
        softmax: torch.Tensor,
        math: torch.Tensor,
        lambda_: torch.Tensor,
    ) -> torch.Tensor:
        scores = (inf + np * ps - st).masked_fill(apply > 0, float("-inf"))
        scores = scores + nan * softmax * math + lambda_
        return F.softmax(torch.cat([scores, torch.zeros_like(scores)], 1), dim=-1)


def test_arguments_that_shadow() -> None:
    agree(Arguments(), *(x() for _ in range(9)))


class Point(NamedTuple):
    mean: torch.Tensor
    std: torch.Tensor


@dataclasses.dataclass
class Sample:
    mean: torch.Tensor
    std: torch.Tensor | None = None
    note: torch.Tensor | None = None


class FromDict(nn.Module):
    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return batch["mean"] * batch["a b"].exp()


class FromTuple(nn.Module):
    def forward(
        self, pair: tuple[torch.Tensor, list[torch.Tensor]]
    ) -> torch.Tensor:
        mean, (first, second) = pair
        return mean + first * second


class FromRecord(nn.Module):
    def forward(self, point: Any) -> torch.Tensor:
        return point.mean + point.std.exp()


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = FromDict()

    def forward(self, data: dict[str, Any]) -> torch.Tensor:
        return self.inner({"mean": data["x"], "a b": data["pairs"][0][1]})


def test_dict_input() -> None:
    agree(FromDict(), {"mean": x(), "a b": x()})


def test_tuple_input() -> None:
    agree(FromTuple(), (x(), [x(), x()]))


@pytest.mark.parametrize("record", [Point, Sample])
def test_record_input(record: Any) -> None:
    agree(FromRecord(), record(x(), x()))


def test_nested_input() -> None:
    agree(Nested(), {"x": x(), "pairs": [(x(), x())]})


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None = None,
        *,
        scale: torch.Tensor | None = None,
        flag: bool = False,
    ) -> torch.Tensor:
        y = self.fc(x)
        if mask is not None:
            y = y.masked_fill(mask, 0.0)
        if scale is not None:
            y = y * scale
        return -y if flag else y


def test_optional_input_left_out() -> None:
    made = agree(Optional(), x())
    assert list(made.load().INPUTS) == ["x"]


def test_optional_inputs_by_keyword() -> None:
    mask = torch.rand(3, 4) > 0.5
    agree(Optional(), x(), mask)
    agree(Optional(), x(), mask=mask, scale=x(), flag=True)
    agree(Optional(), x(), None, scale=x())


class Variadic(nn.Module):
    def forward(self, *parts: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        return torch.cat([*parts, *named.values()], dim=-1)


def test_variadic_inputs() -> None:
    agree(Variadic(), x(), x())
    agree(Variadic(), x(), left=x(), right=x())


class PassesNone(nn.Module):
    """A child that gets None for an optional argument."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Optional()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.child(x, None) + self.child(x, x > 0, scale=x)


def test_children_with_options() -> None:
    agree(PassesNone(), x())


# -- outputs ----------------------------------------------------------------------


class Outputs(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.randn(4))
        self.register_buffer("table", torch.randn(4))

    def forward(self, x: torch.Tensor) -> Any:
        y = x * self.weight
        return {
            "tuple": lambda: (y, x + 1),
            "single": lambda: (y,),
            "list": lambda: [y, x + 1],
            "dict": lambda: {"y": y, "class": x + 1, "a b": y - 1},
            "nested": lambda: (y, {"inner": [x + 1, (y - 1,)]}),
            "record": lambda: Point(y, x + 1),
            "dataclass": lambda: Sample(y, note=x + 1),
            "records": lambda: {"a": Point(y, x + 1), "b": [Sample(y)]},
            "input": lambda: (x, y),
            "input alone": lambda: x,
            "parameter": lambda: (y, self.weight),
            "buffer": lambda: (y, self.table),
            "constant": lambda: (y, torch.ones(2), 3, "label", None, True, 2.5),
            "same twice": lambda: (y, y),
            "empty": lambda: (y, (), [], {}),
            "size": lambda: (y, x.shape[0], x.shape),
            "none": lambda: {"y": y, "cache": None},
        }[self.kind]()


KINDS = (
    "tuple", "single", "list", "dict", "nested", "record", "dataclass", "records",
    "input", "input alone", "parameter", "buffer", "constant", "same twice", "empty",
    "size", "none",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_outputs(kind: str) -> None:
    agree(Outputs(kind), x())


class ChildOutputs(nn.Module):
    """A child that returns a record, a dict and its input."""

    def __init__(self) -> None:
        super().__init__()
        self.record, self.dict, self.input = (
            Outputs("dataclass"), Outputs("dict"), Outputs("input"),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        sample, named, (same, y) = self.record(x), self.dict(x), self.input(x)
        return sample.mean + sample.note, named["class"] * named["a b"], same, y


def test_outputs_of_children() -> None:
    agree(ChildOutputs(), x())


# -- buffers ----------------------------------------------------------------------


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return x * self.count


class Average(nn.Module):
    """An exponential average in training, used in testing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return x - self.mean


class Rebound(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(4))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + self.last
        self.last = y.mean(0)
        self.steps = self.steps + 1
        return y * self.last


class Written(nn.Module):
    """A buffer written by index, by slice and through a view."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("queue", torch.zeros(6, 4))
        self.register_buffer("at", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.queue[1:3] = x[:2]
        self.queue[-1] += x[0]
        self.queue.t()[0].mul_(0.5)
        self.at.fill_(3)
        return x @ self.queue.t() + self.at


class Transient(nn.Module):
    """Buffers that aren't persistent: one constant, one written."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(4.0).exp(), persistent=False)
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.register_buffer("kept", torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        return x * self.table * self.kept + self.seen


class PlainAttribute(nn.Module):
    """A tensor that is neither parameter nor buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.randn(4)
        self.large = torch.randn(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.table) @ self.large.t()


class ChildBuffer(nn.Module):
    """The parent writes its child's buffer, the child called before and after."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Average()
        self.counter = Counter()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.child(x)
        self.child.mean += 1
        self.counter.count *= 2
        return self.child(y) + self.counter(x)


class BufferInLoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Average() for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x) * 1.5
        return x


@pytest.mark.parametrize(
    "model",
    [Counter, Average, Rebound, Written, Transient, PlainAttribute, ChildBuffer, BufferInLoop],
)
def test_buffers(model: type[nn.Module]) -> None:
    agree(model(), x())


def test_transient_buffers_are_not_in_state_dict() -> None:
    made = luxgen.transpile(Transient(), x())
    module = made.load()
    ps, st = module.from_state_dict({"kept": np.ones(4, np.float32)})
    assert list(module.state_dict(ps, st)) == ["kept"]


def test_carried_attribute_is_refused() -> None:
    """State that isn't a buffer would be lost between calls."""

    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = torch.zeros(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.memory = self.memory + x.mean(0)
            return x + self.memory

    sites = refused(Remembers(), x())
    assert "memory" in str(sites[0])


def test_carried_attribute_written_in_place_is_refused() -> None:
    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = torch.zeros(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.memory += x.mean(0)
            return x + self.memory

    refused(Remembers(), x())


def test_parameter_written_in_forward_is_refused() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                self.weight.mul_(0.9)
            return x * self.weight

    sites = refused(Writes(), x())
    assert "parameter" in sites[0].reason


# -- hooks, parametrizations, lazy modules ----------------------------------------


def doubled(module: nn.Module, args: Any, out: torch.Tensor) -> torch.Tensor:
    return out * 2


def shifted(module: nn.Module, args: Any) -> tuple[torch.Tensor]:
    return (args[0] + 1,)


class Hooked(nn.Module):
    def __init__(self, child: nn.Module) -> None:
        super().__init__()
        self.child = child

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.child(x) + 1


@pytest.mark.parametrize(
    "child", [lambda: nn.Linear(4, 4), lambda: nn.BatchNorm1d(4), lambda: Block(4)]
)
def test_hooks_count(child: Any) -> None:
    model = Hooked(child())
    model.child.register_forward_hook(doubled)
    model.child.register_forward_pre_hook(shifted)
    agree(model, x())


def test_hook_on_the_model_itself() -> None:
    model = Hooked(nn.Linear(4, 4))
    model.register_forward_hook(doubled)
    model.register_forward_pre_hook(shifted)
    agree(model, x())


def test_weight_norm() -> None:
    agree(Hooked(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))), x())
    agree(Hooked(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4), dim=1)), x())


def test_old_weight_norm() -> None:
    with pytest.warns(FutureWarning), torch.no_grad():
        layer = nn.utils.weight_norm(nn.Linear(4, 4))
    agree(Hooked(layer), x())


def test_spectral_norm() -> None:
    """One step of the power iteration in training, none in testing."""
    agree(Hooked(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))), x())


def test_orthogonal() -> None:
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(4, 4), "weight", "cayley")
    agree(Hooked(layer), x())


def test_own_parametrization() -> None:
    class Symmetric(nn.Module):
        def forward(self, w: torch.Tensor) -> torch.Tensor:
            return w.triu() + w.triu(1).transpose(-1, -2)

    layer = nn.Linear(4, 4)
    nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    agree(Hooked(layer), x())


def test_initialised_lazy_module() -> None:
    model = Hooked(nn.LazyLinear(4))
    model(x())
    agree(model, x())


def test_lazy_module_without_a_first_call_is_refused() -> None:
    with pytest.raises(InputError, match="child.weight belongs to a lazy layer"):
        luxgen.transpile(Hooked(nn.LazyLinear(4)), (x(),))


def test_packed_sequence_is_refused() -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(4, 3, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(
                x, torch.tensor([5, 4, 3]), batch_first=True
            )
            out, h = self.rnn(packed)
            return h

    sites = refused(Packs(), x(3, 5, 4))
    assert any("PackedSequence" in s.reason for s in sites)


# -- dtypes -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_parameters_compute_in_float32(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).to(dtype)
    made = luxgen.transpile(model, x().to(dtype))
    module = made.load()
    ps, st = module.from_state_dict(made.weights)
    data = x().to(dtype)
    ours, _ = module.apply(data.float().numpy(), ps, st)
    assert ours.dtype == np.float32
    wide = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    wide.load_state_dict(model.state_dict())
    with torch.no_grad():
        np.testing.assert_allclose(ours, wide(data.float()).numpy(), rtol=2e-6, atol=1e-6)


def test_float64_model() -> None:
    agree(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU()).double(), x().double())


class ComplexLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.complex64))
        self.bias = nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = x.to(torch.complex64) @ self.weight
        return z, z.abs() + self.bias + z.real * z.imag + torch.angle(z)


def test_complex_parameters() -> None:
    agree(ComplexLayer(), x())
    agree(ComplexLayer(), torch.randn(3, 4, dtype=torch.complex64))


def test_spectral_convolution() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 3, 5, dtype=torch.cfloat))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = torch.fft.rfft(x)
            out = torch.zeros(x.shape[0], 3, z.size(-1), dtype=torch.cfloat)
            out[:, :, :5] = torch.einsum("bix,iox->box", z[:, :, :5], self.weight)
            return torch.fft.irfft(out, n=x.size(-1))

    agree(Spectral(), x(3, 2, 16))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.int16, torch.uint8])
def test_integer_inputs(dtype: torch.dtype) -> None:
    class Integers(nn.Module):
        def forward(self, n: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return n * 3 - 7, n // 3, n % 3, n / 2, n * 0.5, n + n.float(), n.sum(), n > 2

    agree(Integers(), torch.arange(12, dtype=dtype).reshape(3, 4))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_indices(dtype: torch.dtype) -> None:
    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(9, 4, padding_idx=0)
            self.table = nn.Parameter(torch.randn(9, 4))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.embed(ids) + self.table[ids.long()]

    agree(Looks(), torch.randint(9, (3, 5)).to(dtype))
