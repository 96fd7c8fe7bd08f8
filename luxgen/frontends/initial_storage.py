"""Which value each piece of memory holds while a constructor runs.

A storage is described by one array in memory order, its base; every tensor on it is
a view whose place follows from offset, sizes and strides alone, however it was made
(`nn.Parameter(t)`, `t.data`, `p.data = t`, `set_`, ties).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from luxgen.ir.initial import (
    Call,
    Fill,
    Literal,
    Node,
    Opaque,
    Path,
    Permute,
    Pick,
    Read,
    Ref,
    Reshape,
    Scalar,
    Span,
    Spread,
    Step,
    Write,
)

_BYTES = "bytes"

LITERAL_MAX = 64  # numbers that may be printed for a tensor made outside the trace


@dataclass
class _Slot:
    """A storage: `base` is its content, as an array of `dtype` in memory order."""

    alive: StorageWeakRef  # keeps the address from being used again
    base: Ref
    dtype: torch.dtype


class Memory:
    """The nodes made so far, and the content of every storage in terms of them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Node, Ref] = {}
        self._slots: dict[int, _Slot] = {}

    def add(self, node: Node) -> Ref:
        """The node's number; a pure value that is already known isn't made again."""
        known = self._known.get(node)
        return self.fresh(node) if known is None else known

    def fresh(self, node: Node) -> Ref:
        ref = Ref(len(self.nodes))
        self.nodes.append(node)
        self._known.setdefault(node, ref)
        return ref

    def opaque(self, reason: str, like: torch.Tensor) -> Ref:
        return self.fresh(Opaque(reason, tuple(like.shape), dtype_name(like.dtype)))

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the memory of `tensor` was seen before."""
        storage = _storage(tensor)
        return storage is not None and storage._cdata in self._slots

    def hold(self, tensor: torch.Tensor, value: Ref) -> None:
        """`tensor` is new memory that holds `value`."""
        storage = _storage(tensor)
        if storage is None:
            return
        order = memory_order(tensor)
        if _dense(tensor, order):
            base = self.view(value, Permute(order))
        else:
            base = self.opaque("its memory has gaps or overlaps", tensor)
        self._slots[storage._cdata] = _Slot(StorageWeakRef(storage), base, tensor.dtype)

    def read(self, tensor: torch.Tensor) -> Ref:
        """The value of `tensor` now; memory never seen before is captured."""
        storage = _storage(tensor)
        if storage is None or tensor.device.type != "cpu":
            return self.opaque(f"on device {tensor.device.type}", tensor)
        slot = self._slots.get(storage._cdata)
        if slot is None:
            self._capture(tensor)
            return self.read(tensor)
        if tensor.dtype != slot.dtype:
            return self._reinterpreted(slot, tensor)
        path = self._path(slot, tensor)
        if path is None:
            return self.opaque("a view of memory that isn't a plain slice", tensor)
        written = self.nodes[slot.base.node]
        if isinstance(written, Write) and written.path == path:
            value = written.value
            if isinstance(value, Ref):
                if self.nodes[value.node].shape == tuple(tensor.shape):
                    return value
            else:
                return self.add(Fill(value, tuple(tensor.shape), written.dtype))
        return self.view(slot.base, *path)

    def write(self, tensor: torch.Tensor, value: Ref | Scalar) -> None:
        """`tensor` was overwritten by `value`, which broadcasts to its shape."""
        storage = _storage(tensor)
        if storage is None or tensor.numel() == 0:
            return
        self.read(tensor)  # captures memory that was made outside
        slot = self._slots[storage._cdata]
        base = self.nodes[slot.base.node]
        order = memory_order(tensor)
        if tensor.dtype == slot.dtype and tensor.numel() == math.prod(base.shape):
            slot.base = self._whole(tensor, value, order, base.shape)
            return
        self.write_at(tensor, (), value)

    def write_at(self, tensor: torch.Tensor, path: Path, value: Ref | Scalar) -> None:
        """Write through a view of `tensor` that is `path`."""
        storage = _storage(tensor)
        if storage is None or tensor.numel() == 0:
            return
        self.read(tensor)
        slot = self._slots[storage._cdata]
        base = self.nodes[slot.base.node]
        place = self._path(slot, tensor)
        if place is None:
            reason = "written through a view that isn't a plain slice"
            slot.base = self.fresh(Opaque(reason, base.shape, base.dtype))
            return
        whole = place + path
        if isinstance(base, Write) and base.path == whole:
            if base.value == value and type(base.value) is type(value):
                return
            slot_base = base.base  # all of the last write is written over
        else:
            slot_base = slot.base
        slot.base = self.add(Write(slot_base, whole, value, base.shape, base.dtype))

    def spoil(self, tensor: torch.Tensor, reason: str) -> None:
        """The whole storage of `tensor` now holds what can't be retraced."""
        storage = _storage(tensor)
        if storage is None:
            return
        slot = self._slots.get(storage._cdata)
        if slot is None:
            self.hold(tensor, self.opaque(reason, tensor))
            return
        base = self.nodes[slot.base.node]
        slot.base = self.fresh(Opaque(reason, base.shape, base.dtype))

    def view(self, value: Ref, *path: Step) -> Ref:
        """`value` seen through `path`, simplified."""
        for step in path:
            value = self._step(value, step)
        return value

    def spread(self, value: Ref, shape: tuple[int, ...]) -> Ref:
        node = self.nodes[value.node]
        if node.shape == shape:
            return value
        if isinstance(node, Fill):
            return self.add(Fill(node.value, shape, node.dtype))
        return self.view(value, Spread(shape))

    def _step(self, value: Ref, step: Step) -> Ref:
        node = self.nodes[value.node]
        shape = _shape_after(node.shape, step)
        if isinstance(node, Fill) and not isinstance(step, Permute):
            return self.add(Fill(node.value, shape, node.dtype))
        if isinstance(step, Permute):
            if step.dims == tuple(range(len(node.shape))):
                return value
            if isinstance(node, Fill):
                return self.add(Fill(node.value, shape, node.dtype))
            if isinstance(node, Read) and isinstance(node.path[-1], Permute):
                before = node.path[-1].dims
                fused = Permute(tuple(before[d] for d in step.dims))
                return self.view(self._without_last(node), fused)
        elif isinstance(step, (Reshape, Spread)) and shape == node.shape:
            return value
        if isinstance(node, Read):
            if isinstance(step, Reshape) and isinstance(node.path[-1], Reshape):
                return self.view(self._without_last(node), step)
            read = Read(node.base, (*node.path, step), shape, node.dtype)
        else:
            read = Read(value, (step,), shape, node.dtype)
        return self.add(read)

    def _without_last(self, node: Read) -> Ref:
        if len(node.path) == 1:
            return node.base
        return self.view(node.base, *node.path[:-1])

    def _whole(
        self,
        tensor: torch.Tensor,
        value: Ref | Scalar,
        order: tuple[int, ...],
        shape: tuple[int, ...],
    ) -> Ref:
        if not isinstance(value, Ref):
            return self.add(Fill(value, shape, dtype_name(tensor.dtype)))
        spread = self.spread(value, tuple(tensor.shape))
        return self.view(spread, Permute(order), Reshape(shape))

    def lift(self, tensor: torch.Tensor) -> None:
        """`tensor` was made from Python numbers or a NumPy array just now."""
        if self.knows(tensor):
            return
        shape, dtype = tuple(tensor.shape), dtype_name(tensor.dtype)
        small = 0 < tensor.numel() <= LITERAL_MAX and dtype != "bfloat16"
        if not small or not tensor.is_contiguous() or tensor.storage_offset():
            self._capture(tensor)
            return
        values = tuple(tensor.detach().reshape(-1).tolist())
        alike = len(set(values)) == 1  # False for NaN
        node = Fill(values[0], shape, dtype) if alike else Literal(values, shape, dtype)
        self.hold(tensor, self.add(node))

    def _capture(self, tensor: torch.Tensor) -> None:
        """Start to follow memory that was there before, or is filled by others."""
        storage = tensor.untyped_storage()
        count = storage.nbytes() // max(tensor.element_size(), 1)
        reason = "made outside of torch, or before the model"
        base = self.fresh(Opaque(reason, (count,), dtype_name(tensor.dtype)))
        slot = _Slot(StorageWeakRef(storage), base, tensor.dtype)
        self._slots[storage._cdata] = slot

    def _reinterpreted(self, slot: _Slot, tensor: torch.Tensor) -> Ref:
        """A storage's bytes, as `copy.deepcopy` of a buffer copies them, and back."""
        base = self.nodes[slot.base.node]
        if isinstance(base, Call) and base.op == _BYTES:
            slot.base, slot.dtype = base.args[0][1], tensor.dtype
            if self.nodes[slot.base.node].dtype == dtype_name(tensor.dtype):
                return self.read(tensor)
        size = tensor.untyped_storage().nbytes()
        if tensor.dtype == torch.uint8 and tuple(tensor.shape) == (size,):
            args = (("self", slot.base),)
            return self.add(Call(_BYTES, args, 0, (size,), "uint8"))
        return self.opaque("its memory was read as another dtype", tensor)

    def _path(self, slot: _Slot, tensor: torch.Tensor) -> Path | None:
        if tensor.dtype != slot.dtype:
            return None
        shape = self.nodes[slot.base.node].shape
        return locate(
            shape, int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride()
        )


def locate(
    base: tuple[int, ...], offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> Path | None:
    """Steps from an array of shape `base` in memory order to the strided view.

    All steps but Spread give NumPy views of a contiguous array. None: no such steps.
    Example: base (4, 6), offset 2, size (4,), stride (6,) -> x[:, 2].
    """
    if math.prod(size) == 0 or math.prod(base) == 0:
        return None if math.prod(base) else (Reshape(size),)
    whole, plain = math.prod(base), _contiguous(size)
    stride = tuple(
        p if n == 1 else s for n, s, p in zip(size, stride, plain, strict=True)
    )
    splits = [base, *((math.prod(base[:k]), math.prod(base[k:])) for k in _cuts(base))]
    for shape in [*splits, (whole,)]:
        steps = _strided(shape, offset, size, stride)
        if steps is not None:
            return (*(() if shape == base else (Reshape(shape),)), *steps)
    order = sorted(range(len(size)), key=lambda d: -stride[d])
    sizes, count = tuple(size[d] for d in order), math.prod(size)
    sorted_stride = tuple(stride[d] for d in order)
    if offset == 0 and count == whole and sorted_stride == _contiguous(sizes):
        back = tuple(order.index(d) for d in range(len(size)))
        return (Reshape(sizes), Permute(back))
    if stride == _contiguous(size) and offset + count <= whole:
        flat = () if base == (whole,) else (Reshape((whole,)),)
        return (*flat, Pick((Span(offset, offset + count, 1),)), Reshape(size))
    return None


def _cuts(base: tuple[int, ...]) -> range:
    return range(1, len(base))


def _strided(
    base: tuple[int, ...], offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> Path | None:
    """The steps by index, transposition and broadcasting alone."""
    if size == base and offset == 0 and stride == _contiguous(size):
        return ()
    if math.prod(size) == math.prod(base) and stride == _contiguous(size):
        return (Reshape(size),) if offset == 0 else None
    steps = _contiguous(base)
    whole = ((n, s) for n, s in zip(base, steps, strict=True))
    pairs = zip(whole, size, stride, strict=False)
    if (
        offset == 0
        and len(base) == len(size)
        and all((n == 1 and t == 0) or (n, s) == (m, t) for (n, s), m, t in pairs)
    ):
        return (Spread(size),)
    start, rest = [], offset
    for step in steps:
        start.append(rest // step)
        rest %= step
    taken: dict[int, int] = {}  # base dim -> dim of the view
    for dim in sorted(range(len(size)), key=lambda d: -stride[d]):
        if size[dim] == 1 or stride[dim] == 0:
            continue
        for axis, step in enumerate(steps):
            last = start[axis] + (size[dim] - 1) * (stride[dim] // step)
            if axis not in taken and stride[dim] % step == 0 and last < base[axis]:
                taken[axis] = dim
                break
        else:
            return None
    if len(base) == len(size):
        taken |= {d: d for d in range(len(size)) if size[d] == 1 and d not in taken}
    return _index(base, start, taken, size, stride, steps)


def _index(
    base: tuple[int, ...],
    start: list[int],
    taken: dict[int, int],
    size: tuple[int, ...],
    stride: tuple[int, ...],
    steps: tuple[int, ...],
) -> Path:
    index: list[int | Span | Ref | None] = []
    for axis, first in enumerate(start):
        if axis in taken:
            count = size[taken[axis]]
            step = stride[taken[axis]] // steps[axis] if count > 1 else 1
            stop = first + (count - 1) * step + 1
            full = step > 1 and stop + step > base[axis]
            index.append(Span(first, base[axis] if full else stop, step))
        else:
            index.append(first)
    order = list(taken[axis] for axis in sorted(taken))
    ones = [dim for dim in range(len(size)) if dim not in order]
    index += [None] * len(ones)
    order += ones
    path: list[Step] = []
    if tuple(index) != tuple(Span(0, n, 1) for n in base):
        path.append(Pick(tuple(index)))
    dims = tuple(order.index(dim) for dim in range(len(size)))
    if dims != tuple(range(len(size))):
        path.append(Permute(dims))
    if any(size[dim] > 1 for dim in ones):
        path.append(Spread(size))
    return tuple(path)


def _contiguous(size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(size[k + 1 :]) for k in range(len(size)))


def memory_order(tensor: torch.Tensor) -> tuple[int, ...]:
    """The dims from the largest stride to the smallest."""
    if tensor.is_contiguous():
        return tuple(range(tensor.dim()))
    stride = tensor.stride()
    return tuple(sorted(range(tensor.dim()), key=lambda d: -stride[d]))


def _dense(tensor: torch.Tensor, order: tuple[int, ...]) -> bool:
    size = tuple(tensor.shape[d] for d in order)
    stride = tuple(tensor.stride(d) for d in order)
    expected = _contiguous(size)
    same = all(s == e or n == 1 for s, e, n in zip(stride, expected, size, strict=True))
    return tensor.storage_offset() == 0 and (same or tensor.numel() == 0)


def _shape_after(shape: tuple[int, ...], step: Step) -> tuple[int, ...]:
    if isinstance(step, (Reshape, Spread)):
        return step.shape
    if isinstance(step, Permute):
        return tuple(shape[d] for d in step.dims)
    sizes: list[int] = []
    for item in step.items:
        if item is None:
            sizes.append(1)
        elif isinstance(item, Span):
            sizes.append(len(range(*item)))
    return tuple(sizes)


def _storage(tensor: torch.Tensor) -> torch.UntypedStorage | None:
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # sparse, nested: no storage
        return None


Place = tuple[Any, ...]


def place(tensor: torch.Tensor) -> Place:
    """Equal for two tensors that are the same view of the same memory."""
    storage = _storage(tensor)
    address = None if storage is None else storage._cdata
    return address, tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def dtype_name(dtype: torch.dtype) -> str:
    """NumPy's name of a torch dtype ("bfloat16" has no NumPy type)."""
    return str(dtype).removeprefix("torch.")
