"""Inputs and results end to end: containers, options, shadowing names."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.semantics.agree import agree


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def x(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (3, 4)))


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
    def forward(self, pair: tuple[torch.Tensor, list[torch.Tensor]]) -> torch.Tensor:
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


# -- other kinds of arguments -----------------------------------------------------


class Numbers(nn.Module):
    def forward(
        self, x: torch.Tensor, scale: float, n: int = 2, mode: str = "a"
    ) -> torch.Tensor:
        return x * scale * n if mode == "a" else x


def test_numbers_keep_the_examples_values_and_are_reported() -> None:
    made = agree(Numbers(), x(), 0.5)
    assert list(made.load().INPUTS) == ["x"]
    assert made.report.fixed == ["scale: 0.5, as in the example call"]
    made = agree(Numbers(), x(), 0.5, n=3, mode="a")
    assert len(made.report.fixed) == 3


def test_lists_of_tensors() -> None:
    class Joins(nn.Module):
        def forward(self, parts: list[torch.Tensor]) -> torch.Tensor:
            return torch.cat(list(parts), 1).sum(1)

    agree(Joins(), [x(), x()])
    agree(Joins(), (x(), x(), x()))


class IntegerKeys(nn.Module):
    def forward(self, data: dict[int, torch.Tensor]) -> dict[Any, torch.Tensor]:
        return {0: data[1] + 1, "b": data[2]}


def test_integer_keys() -> None:
    class Passes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = IntegerKeys()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.child({1: x, 2: x * 2})
            return out[0] * out["b"]

    agree(IntegerKeys(), {1: x(), 2: x()})
    agree(Passes(), x())


def test_numbers_and_truths_as_tensors() -> None:
    class Chooses(nn.Module):
        def forward(
            self, x: torch.Tensor, t: torch.Tensor, b: torch.Tensor
        ) -> torch.Tensor:
            return torch.where(b, x * t, x)

    agree(Chooses(), x(), torch.tensor(2.0), torch.tensor(True))


def test_one_tensor_for_two_arguments() -> None:
    class Multiplies(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a * b

    same = x()
    agree(Multiplies(), same, same)


def test_only_keywords() -> None:
    class Keywords(nn.Module):
        def forward(
            self, *, query: torch.Tensor, key: torch.Tensor | None = None
        ) -> torch.Tensor:
            return query if key is None else query @ key.t()

    agree(Keywords(), query=x())
    agree(Keywords(), query=x(), key=x())


def test_local_names_that_shadow() -> None:
    class Shadows(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            softmax = F.softmax(x, -1)
            linear = softmax * 2
            np = linear + 1
            list = np * 2  # noqa: A001
            st = list + 1
            ps = st * 2
            float32 = ps + 1
            for len in range(2):  # noqa: A001
                st = st + F.softmax(st, -1) * len
            return softmax, linear, np, list, st, ps, float32

    agree(Shadows(), x())
