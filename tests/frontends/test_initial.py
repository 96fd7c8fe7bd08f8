"""What the trace of a constructor records, and what it says it can't repeat."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from luxgen.frontends.initial import trace_initial
from luxgen.frontends.initial_storage import locate
from luxgen.ir.initial import (
    Call,
    Draw,
    Fill,
    InitProgram,
    Node,
    Permute,
    Pick,
    Read,
    Ref,
    Reshape,
    Spread,
    Write,
)


class Built(nn.Module):
    """A module whose constructor is the function given."""

    def __init__(self, fill: Callable[[nn.Module], None]) -> None:
        super().__init__()
        fill(self)


def traced(fill: Callable[[nn.Module], None], seed: int = 0) -> InitProgram:
    torch.manual_seed(seed)
    return trace_initial(lambda: Built(fill))[1]


def node(program: InitProgram, name: str) -> Node:
    return program.nodes[program.leaves[name].node]


def words(program: InitProgram) -> int:
    return sum(n.words or 0 for n in program.nodes if isinstance(n, Draw))


def test_draws_in_order_and_where_they_end() -> None:
    program = trace_initial(lambda: nn.Sequential(nn.Linear(3, 2), nn.Embedding(9, 2)))[
        1
    ]
    draws = [n for n in program.nodes if isinstance(n, Draw)]
    assert [d.kind for d in draws] == ["uniform", "uniform", "normal"]
    assert [d.shape for d in draws] == [(2, 3), (2,), (9, 2)]
    assert [d.words for d in draws] == [6, 2, 18 + 16]
    assert node(program, "0.weight") is draws[0]
    assert node(program, "1.weight") is draws[2]
    assert not program.stored


def test_writes_into_a_part() -> None:
    program = trace_initial(lambda: nn.Embedding(5, 4, padding_idx=2))[1]
    write = node(program, "weight")
    assert isinstance(write, Write)
    assert write.value == 0
    assert isinstance(program.nodes[write.base.node], Draw)


def test_fills_ties_copies_and_views_of_one_memory() -> None:
    def fill(m: nn.Module) -> None:
        m.a = nn.Linear(4, 4, bias=False)
        m.b = nn.Linear(4, 4, bias=False)
        m.b.weight = m.a.weight
        m.c = copy.deepcopy(m.a)
        m.t = nn.Parameter(m.a.weight.detach().t())
        m.register_buffer("one", torch.zeros(3) + 1, persistent=False)

    program = traced(fill)
    assert program.leaves["a.weight"] == program.leaves["b.weight"]
    assert program.leaves["a.weight"] == program.leaves["c.weight"]
    view = node(program, "t")
    assert isinstance(view, Read) and view.path == (Permute((1, 0)),)
    assert node(program, "one") == Fill(1.0, (3,), "float32")


def test_draws_that_are_replaced_stay_in_the_stream() -> None:
    def fill(m: nn.Module) -> None:
        m.a = nn.Linear(4, 3)
        nn.init.zeros_(m.a.bias)
        nn.init.normal_(m.a.weight)

    program = traced(fill)
    assert words(program) == 12 + 3 + 4 * 6  # 12 normals take the path of few
    assert isinstance(node(program, "a.bias"), Fill)
    first = next(n for n, x in enumerate(program.nodes) if isinstance(x, Draw))
    assert program.drawn_into[first] == ("a.weight",)


def test_truncation_out_of_reach_is_a_plain_normal() -> None:
    def fill(m: nn.Module) -> None:
        m.a = nn.Parameter(nn.init.trunc_normal_(torch.empty(20), std=0.02))
        m.b = nn.Parameter(nn.init.trunc_normal_(torch.empty(20)))

    program = traced(fill)
    a, b = node(program, "a"), node(program, "b")
    assert isinstance(a, Draw) and (a.kind, a.words) == ("normal", 36)
    assert isinstance(b, Draw) and (b.kind, b.words) == ("truncated", None)


def test_python_and_numpy_random_numbers_are_stored() -> None:
    def fill(m: nn.Module) -> None:
        m.a = nn.Parameter(torch.full((2,), random.random()))
        m.b = nn.Parameter(torch.from_numpy(np.random.randn(2, 2)).float())
        m.c = nn.Parameter(torch.rand(3))
        m.d = nn.Parameter(torch.ones(3))

    program = traced(fill)
    assert program.stored.keys() == {"a", "b"}
    assert all("Python" in reason for reason in program.stored.values())


def test_seeded_python_randomness_can_be_repeated() -> None:
    def fill(m: nn.Module) -> None:
        random.seed(7)
        m.a = nn.Parameter(torch.full((2,), random.random()))

    assert not traced(fill).stored


def test_python_that_reads_drawn_values() -> None:
    def fill(m: nn.Module) -> None:
        first = torch.rand(4)
        m.a = nn.Parameter(first / first.max().item())
        m.b = nn.Parameter(torch.rand(4))
        assert not torch.isnan(first).any()

    before = torch.random.get_rng_state()
    program = traced(fill)
    assert program.stored.keys() == {"a"}
    assert not torch.equal(torch.random.get_rng_state(), before)


def test_the_caller_s_stream_goes_on_as_without_the_trace() -> None:
    def fill(m: nn.Module) -> None:
        m.a = nn.Parameter(torch.full((2,), torch.rand(()).item()))

    torch.manual_seed(4)
    Built(fill)
    expected = torch.rand(3)
    traced(fill, seed=4)
    assert torch.equal(torch.rand(3), expected)


def test_generators_of_its_own_and_seeds_inside_are_stored() -> None:
    def own(m: nn.Module) -> None:
        generator = torch.Generator().manual_seed(3)
        m.a = nn.Parameter(torch.randn(3, generator=generator))
        m.b = nn.Parameter(torch.rand(3))

    def seeds(m: nn.Module) -> None:
        m.a = nn.Parameter(torch.rand(3))
        torch.manual_seed(1)
        m.b = nn.Parameter(torch.rand(3))

    assert traced(own).stored == {"a": "drawn by a generator of its own"}
    assert traced(seeds).stored.keys() == {"b"}


def test_unknown_draws_are_passed_over() -> None:
    def fill(m: nn.Module) -> None:
        m.a = nn.Parameter(torch.multinomial(torch.ones(2000), 1500).float())
        m.b = nn.Parameter(torch.rand(3))

    program = traced(fill)
    assert program.stored == {"a": "drawn by multinomial"}
    assert words(program) == 2 * 2000 + 3

    def lost(m: nn.Module) -> None:
        m.a = nn.Parameter(torch.rand(3))
        torch.poisson(torch.ones(3))
        m.b = nn.Parameter(torch.rand(3))

    assert traced(lost).stored.keys() == {"b"}


def test_what_was_never_written_or_made_elsewhere_is_stored() -> None:
    table = torch.arange(100.0).sin()

    def fill(m: nn.Module) -> None:
        m.a = nn.Parameter(torch.empty(3))
        m.b = nn.Parameter(table)
        m.c = nn.Parameter(torch.tensor([0.5, 0.25]))
        m.lazy = nn.LazyLinear(3)

    program = traced(fill)
    assert program.stored.keys() == {"a", "b", "lazy.weight", "lazy.bias"}


def test_swapped_data_and_in_place_ops_on_parameters() -> None:
    def fill(m: nn.Module) -> None:
        m.a = nn.Linear(4, 4)
        m.a.weight.data = torch.eye(4)
        m.a.bias.data.mul_(2).add_(1)

    program = traced(fill)
    weight, bias = node(program, "a.weight"), node(program, "a.bias")
    assert isinstance(weight, Call) and weight.op == "eye"
    assert isinstance(bias, Call) and bias.op == "add"


def test_a_constructor_that_runs_a_forward() -> None:
    def fill(m: nn.Module) -> None:
        m.net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
        with torch.no_grad():
            m.head = nn.Linear(m.net(torch.rand(1, 1, 8, 8)).numel(), 2)

    program = traced(fill)
    assert (
        program.stored.keys()
        == {
            "net.1.running_mean",
            "net.1.running_var",
            "net.1.num_batches_tracked",
        }
        - program.leaves.keys()
    )
    assert {"net.0.weight", "head.weight", "head.bias"} <= program.leaves.keys()


def test_no_weights_are_kept() -> None:
    def build() -> nn.Module:
        model = nn.Sequential(*[nn.Linear(500, 500) for _ in range(4)])
        for layer in model:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight)
        return model

    model, program = trace_initial(build)
    held = [StorageWeakRef(p.untyped_storage()) for p in model.parameters()]
    del model
    assert all(storage.expired() for storage in held)
    assert len(program.nodes) < 50


def test_places_of_views() -> None:
    x = torch.arange(2 * 3 * 4).reshape(2, 3, 4)
    views = [
        x,
        x[1],
        x[:, 1],
        x[..., 1::2],
        x[:, :, 2:3],
        x.transpose(0, 2),
        x[1].t(),
        x.reshape(6, 4)[1:5:2],
        x.reshape(-1)[5:17],
        x.reshape(-1)[5:17].reshape(3, 4),
        x[0, 0, :1].expand(5),
        x[:, :1].expand(2, 3, 4),
        x.reshape(-1)[::5],
        x.view(2, 3, 2, 2).permute(2, 0, 3, 1),
        x[:, None, 1, :, None],
        x[0, 0, 0],
        x.unfold(2, 2, 2),
    ]
    for view in views:
        path = locate(
            tuple(x.shape), int(view.storage_offset()), tuple(view.shape), view.stride()
        )
        assert path is not None
        array = x.numpy()
        for step in path:
            if isinstance(step, Reshape):
                array = array.reshape(step.shape)
            elif isinstance(step, Permute):
                array = array.transpose(step.dims)
            elif isinstance(step, Spread):
                array = np.broadcast_to(array, step.shape)
            else:
                assert isinstance(step, Pick)
                index = tuple(
                    i if i is None or isinstance(i, (int, Ref)) else slice(*i)
                    for i in step.items
                )
                array = array[index]
        np.testing.assert_array_equal(array, view.numpy())
        assert array.ndim == 0 or np.shares_memory(array, x.numpy())


def test_overlapping_views_have_no_place() -> None:
    x = torch.arange(10.0)
    view = x.as_strided((4, 3), (2, 1))
    assert locate((10,), 0, tuple(view.shape), view.stride()) is None
