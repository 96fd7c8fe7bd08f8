"""Which value a tensor holds now: in-place ops and views made pure.

Every in-place write gives the written tensor a new value; the tensors it is a view
of get theirs by writing the piece back into a copy, and other views of the same
memory are read again from their parent when next used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from luxgen.ir.values import Arg

Emit = Callable[..., Any]  # emit(name, args, example tensor) -> Arg


class CannotWrite(Exception):
    """A write through a view that has no known inverse."""


@dataclass
class _Held:
    tensor: torch.Tensor  # kept alive: ids must not be reused
    value: Arg
    version: int
    parent: torch.Tensor | None = None
    view: tuple[str, dict[str, Any], int] | None = None  # op, arguments, which output
    several: bool = False  # the op gave more than one result


class Storage:
    """The current value of every tensor of a trace."""

    def __init__(self, emit: Emit) -> None:
        self._held: dict[int, _Held] = {}
        self._versions: dict[int, int] = {}
        self._emit = emit

    def knows(self, tensor: torch.Tensor) -> bool:
        return id(tensor) in self._held

    def hold(
        self,
        tensor: torch.Tensor,
        value: Arg,
        parent: torch.Tensor | None = None,
        view: tuple[str, dict[str, Any], int] | None = None,
        several: bool = False,
    ) -> None:
        """`tensor` has `value`; it views `parent` by `view` if these are given."""
        self._held[id(tensor)] = _Held(
            tensor, value, self._version(tensor), parent, view, several
        )

    def current(self, tensor: torch.Tensor) -> Arg:
        """The value of `tensor` now; a stale view is read from its parent again."""
        held = self._held[id(tensor)]
        if held.parent is None or held.version == self._version(tensor):
            return held.value
        assert held.view is not None
        name, args, output = held.view
        source = self.current(held.parent)
        if held.several:
            index = _index_of(held, name, args, output)
            if index is None:
                raise CannotWrite(
                    f"a result of {name}, read after its input was written"
                )
            name, args = "getitem", {"input": _PARENT, "index": index}
        fresh = {k: (source if v is _PARENT else v) for k, v in args.items()}
        held.value = self._emit(name, fresh, tensor)
        held.version = self._version(tensor)
        return held.value

    def peek(self, tensor: torch.Tensor) -> Arg:
        """The value last seen for `tensor`, or None; emits nothing."""
        held = self._held.get(id(tensor))
        return None if held is None else held.value

    def base(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor at the end of the chain of views."""
        held = self._held[id(tensor)]
        return tensor if held.parent is None else self.base(held.parent)

    def write(self, tensor: torch.Tensor, value: Arg) -> None:
        """`tensor` was overwritten in place by `value`."""
        held = self._held[id(tensor)]
        if held.parent is not None:
            before = self.current(held.parent)
            whole = self._put_back(held, before, value)
            self.write(held.parent, whole)
        else:
            self._versions[_key(tensor)] = self._version(tensor) + 1
        held.value, held.version = value, self._version(tensor)

    def shares(self, a: torch.Tensor, b: torch.Tensor) -> bool:
        return _key(a) == _key(b)

    def _version(self, tensor: torch.Tensor) -> int:
        return self._versions.get(_key(tensor), 0)

    def _put_back(self, held: _Held, before: Arg, value: Arg) -> Arg:
        assert held.view is not None and held.parent is not None
        name, args, output = held.view
        if name in ("detach", "alias", "data", "contiguous"):
            return value
        if "dtype" in args:
            raise CannotWrite("an in-place write through a view as another dtype")
        index = _index_of(held, name, args, output)
        if index is not None:
            put = {"input": before, "index": index, "value": value}
            return self._emit("setitem", put, held.parent)
        if name in _SAME_ELEMENTS:
            if held.tensor.shape == held.parent.shape:
                return value
            same = {"input": value, "other": before}
            return self._emit("reshape_as", same, held.parent)
        if name == "transpose" or name in ("T", "t", "mT"):
            back = {k: (value if v is _PARENT else v) for k, v in args.items()}
            return self._emit(name, back, held.parent)
        if name == "permute":
            dims = [d % held.tensor.dim() for d in args["dims"]]
            order = tuple(sorted(range(len(dims)), key=dims.__getitem__))
            return self._emit("permute", {"input": value, "dims": order}, held.parent)
        if name == "movedim":
            ends = {"source": args["destination"], "destination": args["source"]}
            return self._emit("movedim", {"input": value, **ends}, held.parent)
        if name == "diagonal":
            back = {"input": before, "src": value} | {
                k: v for k, v in args.items() if v is not _PARENT
            }
            return self._emit("diagonal_scatter", back, held.parent)
        raise CannotWrite(f"an in-place write through a view made by {name}")


class _Parent:
    """Stands for the parent's value in a view's recorded arguments."""


_PARENT: Any = _Parent()
PARENT = _PARENT


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


_SAME_ELEMENTS = (
    "view", "view_as", "reshape", "reshape_as", "flatten", "ravel", "unflatten",
    "squeeze", "unsqueeze", "atleast_1d", "atleast_2d", "atleast_3d",
)  # fmt: skip
_PIECES = (
    "narrow", "chunk", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit",
    "dsplit", "unsafe_chunk", "unsafe_split",
)  # fmt: skip


def _index_of(held: _Held, name: str, args: dict[str, Any], output: int) -> Any:
    """The basic index that reads this view from its parent, if there is one."""
    parent = held.parent
    assert parent is not None
    if name == "getitem":
        return args["index"]
    dim = args.get("dim", 0)
    dim = dim % parent.dim() if isinstance(dim, int) and parent.dim() else 0
    lead = (slice(None),) * dim
    if name == "select":
        return (*lead, args["index"])
    if name == "unbind":
        return (*lead, output)
    if name == "slice":
        return (*lead, slice(args.get("start"), args.get("end"), args.get("step")))
    if name in _PIECES:
        return _piece(held.tensor, parent)
    return None


def _piece(view: torch.Tensor, parent: torch.Tensor) -> Any:
    """A run of entries along the one axis in which a view is shorter than its parent."""
    axes = [k for k, n in enumerate(parent.shape) if view.shape[k] != n]
    if not axes:
        return (Ellipsis,)
    (axis,) = axes
    offset = view.storage_offset() - parent.storage_offset()
    start = offset // parent.stride(axis) if view.numel() else 0
    return (*(slice(None),) * axis, slice(start, start + view.shape[axis]))
