"""Record a constructor's aten calls as nodes: draws, fills, writes, pure ops."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from luxgen.frontends.initial_storage import Memory, Place, dtype_name, place
from luxgen.frontends.initial_storage import memory_order as order_of
from luxgen.frontends.initial_stream import (
    VARIABLE,
    Position,
    by_rejection,
    cannot_truncate,
    describe,
    draw,
    normal_kind,
)
from luxgen.ir.initial import (
    Arg,
    Call,
    Draw,
    Fill,
    Permute,
    Pick,
    Read,
    Ref,
    Scalar,
    Span,
    operands,
)

# The value that fills the result: a number, None for none, or an argument's name.
_FILLS: dict[str, Scalar | None | str] = {
    "empty": None, "empty_like": None, "empty_strided": None, "new_empty": None,
    "new_empty_strided": None, "zeros": 0, "zeros_like": 0, "new_zeros": 0, "ones": 1,
    "ones_like": 1, "new_ones": 1, "full": "fill_value", "full_like": "fill_value",
    "new_full": "fill_value", "scalar_tensor": "s",
}  # fmt: skip

# Uniform operands give a uniform result.
_ELEMENTWISE = {
    "add", "sub", "rsub", "mul", "div", "pow", "neg", "abs", "exp", "log", "log1p",
    "expm1", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "tanh", "sigmoid", "erfinv",
    "_to_copy", "clamp", "clamp_min", "clamp_max", "eq", "ne", "lt", "le", "gt", "ge",
    "floor", "ceil", "round", "logical_not", "bitwise_not", "maximum", "minimum",
}  # fmt: skip

_LIFTS = {"lift", "lift_fresh"}

_COPIES = {"clone", "lift_fresh_copy", "alias_copy", "detach_copy", "contiguous"}

# In place, but only on the tensor's own view: its new place tells all.
_VIEWS = {"set_", "t_", "transpose_", "squeeze_", "unsqueeze_", "detach_",
          "as_strided_", "swapaxes_", "swapdims_"}  # fmt: skip

# Python reads values, which may steer what follows.
_PEEKS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero"}

_IRRELEVANT = {"layout", "device", "pin_memory", "memory_format", "generator",
               "non_blocking", "out", "implicit"}  # fmt: skip

DEFAULT_GENERATORS = (None, torch.default_generator)


class Recorder(TorchDispatchMode):
    """Between enter and exit, every aten call becomes nodes in `memory`.

    `draws` lists the draws and the memory each filled; `steered` says that Python
    read a drawn value.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.memory = Memory()
        self.draws: list[tuple[int, Place]] = []
        self.steered = False
        self.paused = False
        self._random: set[int] = set()  # nodes that depend on draws ...
        self._looked = 0  # ... among the first so many
        self._stands = Position.now()
        self._spare: bool | None = False  # a normal kept back, after a fresh seed
        self._lost = ""  # why draws can't be placed in the stream any more

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, which takes seconds

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        schema, name = func._schema, func.overloadpacket.__name__
        bound = {a.name: v for a, v in zip(schema.arguments, args, strict=False)}
        bound |= kwargs
        if name in _LIFTS:
            self.memory.lift(bound["self"])
        values = {k: self._value(v) for k, v in bound.items() if k not in _IRRELEVANT}
        if torch.Tag.nondeterministic_seeded in func.tags:
            before = self._enter()
            out = func(*args, **kwargs)
            self._seeded(name, func._overloadname, bound, values, out, before)
            return out
        if name in _PEEKS and any(map(self._is_random, values.values())):
            self.steered = True
        out = func(*args, **kwargs)
        written = [
            tensor
            for a in schema.arguments
            if a.alias_info and a.alias_info.is_write and a.name in bound
            for tensor in _tensors(bound[a.name])
        ]
        known = func.namespace == "aten"
        if known and len(written) == 1:
            self._in_place(name, values, written[0])
        else:
            for tensor in written:
                self.memory.spoil(tensor, f"changed in place by {name}")
        self._results(name, values, out, known and not written)
        return out

    # ---- draws ----

    @contextmanager
    def truncation(
        self, tensor: torch.Tensor, mean: float, std: float, low: float, high: float
    ) -> Iterator[None]:
        """What runs inside is `trunc_normal_` on `tensor`, recorded as one draw."""
        self.memory.read(tensor)
        before, self.paused = self._enter(), True
        try:
            yield
        finally:
            self.paused = False
        shape = tuple(tensor.shape[d] for d in order_of(tensor))
        kind = normal_kind(shape, tensor.is_contiguous())
        dtype = dtype_name(tensor.dtype)
        stated = draw(kind, (mean, std), shape, dtype, before.spare)
        if dtype not in ("float32", "float64") or not by_rejection(
            mean, std, low, high
        ):
            self._unknown("trunc_normal_", [tensor], before)
            return
        if not cannot_truncate(stated, low, high):
            args = (kind, mean, std, low, high)
            stated = Draw("truncated", args, shape, dtype, None)
        self._store(tensor, self._record(stated, tensor))

    def _enter(self) -> Position:
        """The stream's position before a draw, which must be the last draw's end."""
        now = Position.now()
        if now != self._stands and not self._lost:
            self._lost = "the constructor seeds torch's generator, or draws unseen"
        return now

    def _seeded(
        self,
        name: str,
        overload: str,
        bound: Mapping[str, Any],
        values: dict[str, Arg],
        out: Any,
        before: Position,
    ) -> None:
        outs = list(dict.fromkeys(_tensors(out)))
        own = bound.get("generator") not in DEFAULT_GENERATORS
        if own or any(t.device.type != "cpu" for t in outs):
            reason = "drawn by a generator of its own" if own else "not on the CPU"
            for tensor in outs:
                self._store(tensor, self.memory.opaque(reason, tensor))
            return
        stated = None
        if len(outs) == 1:
            numbers = {k: self._plain(v) for k, v in values.items()}
            stated = self._bernoulli(name, overload, numbers, outs[0]) or describe(
                name, overload, numbers, outs[0], before.spare
            )
        after = Position.now()
        if stated is None or after.next != before.after(stated.words or 0):
            self._unknown(name, outs, before)
            return
        value = self._record(stated, outs[0])
        if name == "normal" and overload != "float_float":
            for op, by in (("mul", values["std"]), ("add", values["mean"])):
                value = self._call(op, {"self": value, "other": by}, outs[0])
        self._store(outs[0], value)

    def _bernoulli(
        self, name: str, overload: str, args: Mapping[str, Arg], out: torch.Tensor
    ) -> Draw | None:
        """A draw whose probabilities are a tensor: one word each if it is float32."""
        p = args.get("self" if overload == "default" else "p")
        if not name.startswith("bernoulli") or not isinstance(p, (Ref, float)):
            return None
        if overload in ("float", "p") or not out.is_contiguous():
            return None
        double = isinstance(p, Ref) and self.memory.nodes[p.node].dtype == "float64"
        return draw("bernoulli", (p, double), tuple(out.shape), "float32", False)

    def _record(self, stated: Draw, tensor: torch.Tensor) -> Ref:
        """The draw as a node, then its values in `tensor`'s own dtype and dims."""
        self._stands, memory = Position.now(), self.memory
        if self._lost:
            return memory.opaque(self._lost, tensor)
        node = memory.fresh(self._after_seed(stated))
        self.draws.append((node.node, place(tensor)))
        shape, dtype = stated.shape, dtype_name(tensor.dtype)
        if tensor.is_complex():
            shape = shape[:-1]
            pair = (("self", node),)
            node = memory.add(Call("view_as_complex", pair, 0, shape, dtype))
        elif dtype != stated.dtype:
            cast = (("self", node), ("dtype", dtype))
            node = memory.add(Call("_to_copy", cast, 0, shape, dtype))
        order = order_of(tensor)
        return memory.view(node, Permute(tuple(map(order.index, range(len(order))))))

    def _after_seed(self, stated: Draw) -> Draw:
        """The draw with the words it takes in a stream that starts with a seed."""
        count = math.prod(stated.shape)
        if stated.kind == "truncated" and "few_normals" in stated.args:
            self._spare = None if count % 2 or self._spare is None else self._spare
        if stated.kind != "few_normals" or not count:
            return stated
        if self._spare is None:
            return replace(stated, words=None)
        pairs = (count - self._spare + 1) // 2
        self._spare = bool(self._spare + 2 * pairs - count)
        return replace(stated, words=4 * pairs)

    def _unknown(
        self, name: str, outs: Sequence[torch.Tensor], before: Position
    ) -> None:
        """A draw without a row: skipped in the stream, its values not retraced."""
        after = Position.now()
        words = None if name in VARIABLE else before.words_to(after)
        if not self._lost and (words is None or before.spare != after.spare):
            self._lost = f"drawn after {name}, whose end in the stream isn't known"
        elif words and not self._lost:
            self.memory.fresh(Draw("unknown", (name,), (), "float32", words))
        self._stands = after
        for tensor in outs:
            self._store(tensor, self.memory.opaque(f"drawn by {name}", tensor))

    def _store(self, tensor: torch.Tensor, value: Ref) -> None:
        if self.memory.knows(tensor):
            self.memory.write(tensor, value)
        else:
            self.memory.hold(tensor, value)

    def _is_random(self, value: Arg) -> bool:
        nodes = self.memory.nodes
        for number in range(self._looked, len(nodes)):
            drawn = isinstance(nodes[number], Draw)
            if drawn or not self._random.isdisjoint(operands(nodes[number])):
                self._random.add(number)
        self._looked = len(nodes)
        return isinstance(value, Ref) and value.node in self._random

    # ---- everything else ----

    def _value(self, arg: Any) -> Arg:
        """An argument as data: tensors by node, dtypes by name."""
        if isinstance(arg, torch.Tensor):
            return self.memory.read(arg)
        if isinstance(arg, (list, tuple)):
            return tuple(self._value(item) for item in arg)
        if isinstance(arg, torch.dtype):
            return dtype_name(arg)
        if arg is None or isinstance(arg, (bool, int, float, complex, str)):
            return arg
        return str(arg)

    def _plain(self, value: Arg) -> Arg:
        """A number where the node holds nothing else."""
        if isinstance(value, Ref):
            node = self.memory.nodes[value.node]
            if isinstance(node, Fill) and node.value is not None:
                return node.value
        return value

    def _results(self, name: str, values: dict[str, Arg], out: Any, pure: bool) -> None:
        """Name what is new in an op's result; views and inputs are known already."""
        for output, tensor in enumerate(_tensors(out)):
            if self.memory.knows(tensor):
                continue
            if pure:
                value = self._result(name, values, tensor, output)
            else:
                value = self.memory.opaque(f"made by {name}", tensor)
            self.memory.hold(tensor, value)

    def _result(
        self, name: str, values: dict[str, Arg], out: torch.Tensor, output: int = 0
    ) -> Ref:
        memory, shape, dtype = self.memory, tuple(out.shape), dtype_name(out.dtype)
        if name in _FILLS:
            fill = _FILLS[name]
            value = self._plain(values[fill]) if isinstance(fill, str) else fill
            if isinstance(value, Ref):
                return memory.spread(value, shape)
            return memory.add(Fill(_number(value, dtype), shape, dtype))
        if name in _COPIES:
            copied: Ref = values["self"]
            return copied
        if name == "index":
            pick = self._pick(values["self"], values["indices"])
            if pick is None:
                return memory.opaque("indexed by a mask", out)
            return memory.add(Read(values["self"], (pick,), shape, dtype))
        return self._call(name, values, out, output)

    def _call(
        self, name: str, values: Mapping[str, Arg], out: torch.Tensor, output: int = 0
    ) -> Ref:
        memory, shape, dtype = self.memory, tuple(out.shape), dtype_name(out.dtype)
        same = self._identity(name, values, shape, dtype)
        if same is not None:
            return same
        nodes = [memory.nodes[v.node] for v in values.values() if isinstance(v, Ref)]
        uniform = nodes and all(isinstance(n, Fill) for n in nodes)
        if name in _ELEMENTWISE and uniform and out.numel():
            value = out.detach().reshape(-1)[0].item()
            return memory.add(Fill(_number(value, dtype), shape, dtype))
        args = tuple((k, v) for k, v in values.items() if v is not None)
        return memory.add(Call(name, args, output, shape, dtype))

    def _identity(
        self, name: str, values: Mapping[str, Arg], shape: tuple[int, ...], dtype: str
    ) -> Ref | None:
        """The operand that an op leaves as it is: x * 1, x + 0, a cast to its dtype."""
        neutral = {"mul": 1, "div": 1, "add": 0, "sub": 0, "_to_copy": None}
        if name not in neutral or values.get("rounding_mode"):
            return None
        ref: Ref = values["self"]
        if not isinstance(ref, Ref):
            return None
        node = self.memory.nodes[ref.node]
        other = self._plain(values.get("other"))
        same = not isinstance(other, Ref) and other == neutral[name]
        return ref if same and (node.shape, node.dtype) == (shape, dtype) else None

    def _pick(self, base: Ref, indices: tuple[Ref | None, ...]) -> Pick | None:
        nodes = self.memory.nodes
        shape = nodes[base.node].shape
        if any(i and nodes[i.node].dtype in ("bool", "uint8") for i in indices):
            return None
        spans = (Span(0, n, 1) for n in shape)
        pairs = zip(indices, spans, strict=False)
        return Pick(tuple(span if i is None else i for i, span in pairs))

    def _in_place(
        self, name: str, values: dict[str, Arg], target: torch.Tensor
    ) -> None:
        memory, dtype = self.memory, dtype_name(target.dtype)
        if name in _VIEWS:
            return
        if name.startswith("resize"):
            memory.spoil(target, f"changed in place by {name}")
        elif name in ("fill_", "zero_"):
            value = self._plain(values.get("value", 0))
            memory.write(
                target, value if isinstance(value, Ref) else _number(value, dtype)
            )
        elif name == "copy_":
            source: Ref = values["src"]
            if memory.nodes[source.node].dtype != dtype:
                source = self._cast(source, dtype)
            memory.write(target, source)
        elif name == "index_put_":
            pick = self._pick(values["self"], values["indices"])
            if pick is None or values.get("accumulate"):
                memory.spoil(target, "indexed by a mask, or added to by index")
            else:
                memory.write_at(target, (pick,), self._plain(values["values"]))
        else:
            memory.write(target, self._result(name.removesuffix("_"), values, target))

    def _cast(self, source: Ref, dtype: str) -> Ref:
        node = self.memory.nodes[source.node]
        if isinstance(node, Fill):
            number = None if node.value is None else _number(node.value, dtype)
            return self.memory.add(Fill(number, node.shape, dtype))
        cast = (("self", source), ("dtype", dtype))
        return self.memory.add(Call("_to_copy", cast, 0, node.shape, dtype))


def _tensors(out: Any) -> Iterator[torch.Tensor]:
    if isinstance(out, torch.Tensor):
        yield out
    elif isinstance(out, (list, tuple)):
        for item in out:
            yield from _tensors(item)


def _number(value: Any, dtype: str) -> Any:
    """A Python number as a tensor of this dtype would hold it."""
    if value is None:
        return None
    return torch.tensor(value, dtype=getattr(torch, dtype)).item()
