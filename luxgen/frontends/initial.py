"""Trace a model's constructor: every draw and fill, and the leaf in which it ends."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from luxgen.frontends.initial_ops import DEFAULT_GENERATORS, Recorder
from luxgen.frontends.initial_storage import Place, place
from luxgen.ir.initial import (
    Draw,
    Fill,
    InitProgram,
    Node,
    Opaque,
    Ref,
    operands,
    reach,
)


def trace_initial(build: Callable[[], nn.Module]) -> tuple[nn.Module, InitProgram]:
    """Run a constructor and record how each parameter and buffer got its value.

    The stream goes on from where torch's default generator stands: seed it before,
    not in `build`. Only how a value is drawn is kept, not the value. Where Python or
    NumPy drew random numbers, or Python read a drawn value, a second run under
    another seed tells apart what can't be repeated.
    """
    before = _python_random()
    model, recorder = _run(build)
    program = _program(recorder, model)
    if recorder.steered or _python_random() != before:
        state = torch.random.get_rng_state()
        try:
            torch.manual_seed(torch.initial_seed() ^ 1)
            model_2, recorder_2 = _run(build)
        finally:
            torch.random.set_rng_state(state)
        program = _agreed(program, _program(recorder_2, model_2))
    return model, program


def _run(build: Callable[[], nn.Module]) -> tuple[nn.Module, Recorder]:
    recorder = Recorder()
    with _whole_truncations(recorder), recorder:
        model = build()
    return model, recorder


def _python_random() -> bytes:
    return pickle.dumps((random.getstate(), np.random.get_state()))


@contextmanager
def _whole_truncations(recorder: Recorder) -> Iterator[None]:
    """Have `trunc_normal_` recorded as one draw where it redraws by rejection."""
    module: Any = nn.init
    inner = module._no_grad_trunc_normal_
    if "erfinv_" in inner.__code__.co_names:  # older torch: by the inverse function
        yield
        return

    def truncated(
        tensor: torch.Tensor,
        mean: float,
        std: float,
        a: float,
        b: float,
        generator: torch.Generator | None = None,
    ) -> Any:
        if recorder.paused or generator not in DEFAULT_GENERATORS:
            return inner(tensor, mean, std, a, b, generator)
        with recorder.truncation(tensor, mean, std, a, b):
            return inner(tensor, mean, std, a, b, generator)

    module._no_grad_trunc_normal_ = truncated
    try:
        yield
    finally:
        module._no_grad_trunc_normal_ = inner


def _program(recorder: Recorder, model: nn.Module) -> InitProgram:
    """What was recorded, as the finished model's leaves hold it."""
    leaves: dict[str, Ref] = {}
    stored: dict[str, str] = {}
    places: dict[Place, list[str]] = {}
    named = [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]
    for name, tensor in named:
        if is_lazy(tensor):
            stored[name] = "it belongs to a lazy layer and has no shape yet"
            continue
        leaves[name] = recorder.memory.read(tensor.detach())
        places.setdefault(place(tensor), []).append(name)
    nodes = tuple(recorder.memory.nodes)
    for name, ref in list(leaves.items()):
        reason = _obstacle(nodes, ref)
        if reason:
            stored[name] = reason
            del leaves[name]
    drawn = {n: tuple(places[p]) for n, p in recorder.draws if p in places}
    return InitProgram(nodes, leaves, stored, drawn)


def _obstacle(nodes: tuple[Node, ...], ref: Ref) -> str:
    """Why the value can't be retraced; "" if it can."""
    for number in sorted(reach(nodes, [ref.node])):
        node = nodes[number]
        if isinstance(node, Opaque):
            return node.reason
    last = nodes[ref.node]
    if isinstance(last, Fill) and last.value is None and 0 not in last.shape:
        return "its memory was never written"
    return ""


def _agreed(first: InitProgram, second: InitProgram) -> InitProgram:
    """`first` without the leaves that got their value in another way in `second`."""
    table: dict[Any, int] = {}
    ones, twos = (_numbered(program, table) for program in (first, second))
    leaves, stored = {}, dict(first.stored)
    for name, ref in first.leaves.items():
        other = second.leaves.get(name)
        if other is not None and ones[ref.node] == twos[other.node]:
            leaves[name] = ref
        else:
            stored[name] = (
                "it depends on Python's or NumPy's random numbers, or on a drawn value "
                "that Python read"
            )
    return InitProgram(first.nodes, leaves, stored, first.drawn_into)


def _numbered(program: InitProgram, table: dict[Any, int]) -> list[int]:
    """A number for each node: equal where what is computed, and from what, is."""
    numbers: list[int] = []
    variable = words = 0  # place in the stream
    for node in program.nodes:
        key: Any = (node, tuple(numbers[n] for n in operands(node)))
        if isinstance(node, Draw):
            key = (*key, variable, words)
            if node.words is None:
                variable, words = variable + 1, 0
            else:
                words += node.words
        else:
            key = (_renumbered(node), key[1])
        numbers.append(table.setdefault(key, len(table)))
    return numbers


def _renumbered(node: Node) -> Any:
    """The node with its operands' numbers taken out."""
    fields = [getattr(node, name) for name in node.__dataclass_fields__]
    return type(node).__name__, _blank(tuple(fields))


def _blank(arg: Any) -> Any:
    if isinstance(arg, Ref):
        return Ref
    if isinstance(arg, tuple):
        return type(arg).__name__, *(_blank(item) for item in arg)
    return type(arg).__name__, repr(arg)
