"""One real run of a model, recorded at the level of torch functions and modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from luxgen.errors import Site, UnsupportedError
from luxgen.frontends import names
from luxgen.frontends.assertions import only_asserts
from luxgen.frontends.bind import Call, Unbound, bind, canonical, dtype_name
from luxgen.frontends.carried import attributes_of, changed
from luxgen.frontends.decompose import HasRule, every_rule, taken_apart
from luxgen.frontends.fractional import with_samples
from luxgen.frontends.grad_mode import CUSTOM, REVIVED, GradMode, followed_grad_mode
from luxgen.frontends.module_calls import ModuleCalls
from luxgen.frontends.noted_returns import noted_returns
from luxgen.frontends.random_state import give_state
from luxgen.frontends.records import (
    INLINE_CONSTANT,
    UNSEEN,
    WAY_OUT,
    Scope,
    Trace,
    Unseen,
)
from luxgen.frontends.running import (
    following_mode,
    intercepted_calls,
    quiet,
    unchanged,
    unvalidated,
)
from luxgen.frontends.shadow import (
    Compared,
    ShadowFloat,
    ShadowInt,
    guards_to,
    shadow,
    size_of,
)
from luxgen.frontends.shims import shimmed_builtins
from luxgen.frontends.sites import site_at, site_on
from luxgen.frontends.storage import PARENT, CannotWrite, Storage
from luxgen.frontends.structure import tensors_in, to_arg
from luxgen.frontends.vocabulary import METADATA, RANDOM, SHAPES
from luxgen.ir.program import Guard, Line, Op
from luxgen.ir.values import Arg, Leaf, Node, Value, map_arg


class Tracer(ModuleCalls, TorchFunctionMode):
    """Records one forward of `model`; use `trace`."""

    def __init__(self, model: nn.Module, has_rule: HasRule) -> None:
        super().__init__()
        self.model, self.has_rule = model, has_rule
        self.sites: list[Site] = []
        self.unseen: list[Unseen] = []
        self.ungraded: list[Site] = []
        self.grad_mode = GradMode()
        self.constants: dict[tuple[str, ...], torch.Tensor] = {}
        self.storage = Storage(self._emit)
        self.stack: list[Scope] = []
        self.fixed_values: set[Value | Leaf] = (
            set()
        )  # don't depend on inputs or weights
        self.calls: dict[int, int] = {}
        self.paths = {
            id(m): tuple(n.split(".") if n else ()) for n, m in model.named_modules()
        }
        self.modules = {
            path: m for m in model.modules() if (path := self.paths[id(m)]) is not None
        }
        self.buffers: dict[int, tuple[str, ...]] = {}
        self.held_buffers: dict[tuple[str, ...], Leaf] = {}
        self.tied_buffers: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.settled: dict[tuple[str, ...], Arg] = {}
        self.settled_at: dict[tuple[str, ...], int] = {}
        self.clock = 0  # counts the calls of modules that have a scope
        self.dirty: dict[tuple[str, ...], torch.Tensor | None] = {}
        self.follows = following_mode(model)
        self.owner = ""
        self.returning: Line | None = None  # the root's forward, when it's over
        self.root: Scope
        self._hold_leaves()

    def _hold_leaves(self) -> None:
        for kind, named in (
            ("ps", self.model.named_parameters()),
            ("st", self.model.named_buffers()),
        ):
            for name, tensor in named:
                path = tuple(name.split("."))
                leaf = Leaf(path, kind, dtype_name(tensor.dtype), tuple(tensor.shape))
                self.storage.hold(tensor, leaf)
                if kind == "st":
                    self.buffers[id(tensor)] = path
                    self.held_buffers[path] = leaf
        for name, tensor in self.model.named_buffers(remove_duplicate=False):
            first = self.buffers[id(tensor)]
            if first != tuple(name.split(".")):
                self.tied_buffers[tuple(name.split("."))] = first

    # -- values -------------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        return self.stack[-1]

    def arg(self, item: Any) -> Arg:
        """A tensor's current value, a shadow number's expression, or a constant."""
        if isinstance(item, torch.Tensor):
            if not self.storage.knows(item):
                self._hold_constant(item)
            try:
                value = self.storage.current(item)
                return self._entered_leaf(item, value) or value
            except CannotWrite as error:
                self._refuse(str(error), "read it before the write, or copy it")
                return self.storage.peek(item)
        if isinstance(item, (ShadowInt, ShadowFloat)):
            return item.dim
        if isinstance(item, torch.dtype):
            return dtype_name(item)
        return item

    def _entered_leaf(self, tensor: torch.Tensor, value: Arg) -> Leaf | None:
        """A buffer written before the current call of its owner is the call's state."""
        path = self.buffers.get(id(tensor))
        if path is None or self.settled.get(path) is not value:
            return None
        owner = next(s for s in reversed(self.stack) if path[: len(s.path)] == s.path)
        return (
            self.held_buffers[path] if owner.entered > self.settled_at[path] else None
        )

    def _hold_constant(self, tensor: torch.Tensor) -> None:
        """A tensor that no recorded op made: a literal, or a leaf kept with the weights."""
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            self._refuse("torch.func transforms its function", "write out what it does")
            raise UnsupportedError(self.sites)
        site = site_at(names.user_frame(), UNSEEN, WAY_OUT)
        if self.returning is not None:
            site = site_on(self.returning, UNSEEN, WAY_OUT)
        self.unseen.append((tensor, site))
        dtype = dtype_name(tensor.dtype)
        if tensor.numel() <= INLINE_CONSTANT and not tensor.is_complex():
            value = Value(dtype, tuple(tensor.shape))
            args = {"data": tensor.detach().tolist(), "dtype": dtype}
            self._record(Op("tensor", args, value))
            self.storage.hold(tensor, value)
            return
        path = self._attribute_path(tensor)
        self.constants[path] = tensor.detach().clone()
        leaf = Leaf(path, "st", dtype, tuple(tensor.shape))
        self.fixed_values.add(leaf)
        self.storage.hold(tensor, leaf)

    def _attribute_path(self, tensor: torch.Tensor) -> tuple[str, ...]:
        for module in self.model.modules():
            for name, held in vars(module).items():
                if held is tensor:
                    return (*self.paths[id(module)], name)
        return ("constants", str(len(self.constants)))

    def _result(self, out: Any) -> Arg:
        """The structure of an op's result with a new Value for each tensor."""

        def leaf(item: Any) -> Any:
            if isinstance(item, torch.Tensor):
                return Value(dtype_name(item.dtype), tuple(item.shape))
            return item

        if isinstance(out, tuple) and hasattr(out, "_fields"):
            out = tuple(out)  # torch.return_types: values and indices
        return to_arg(out, leaf)

    def _record(self, record: Op) -> None:
        frame = names.user_frame()
        record.line = names.line_of(frame)
        record.owner = record.owner or self.owner
        record.stops = self.scope.graded and not self.grad_mode.on
        if self.grad_mode.on and not self.scope.graded:
            self.ungrade(*REVIVED)
        if frame is not None:
            self._note_names(frame)
        if record.state is None and self._is_fixed(record.args):
            self.fixed_values |= set(record.outs)
        self.scope.items.append(record)

    def _is_fixed(self, args: dict[str, Arg]) -> bool:
        """No tensor but constants; sizes may steer Python, the witness watches them."""
        parts: list[Any] = []
        map_arg(parts.append, args)
        traced = [a for a in parts if isinstance(a, (Value, Leaf, Node))]
        return all(a in self.fixed_values for a in traced)

    def _note_names(self, frame: FrameType) -> None:
        """Which values the user's local variables hold at this moment."""
        noted = self.scope.names
        for name, held in frame.f_locals.items():
            pairs = [(name, held)]
            if type(held) is tuple and len(held) <= 4:
                pairs = [(f"{name}_{k}", item) for k, item in enumerate(held)]
            for label, item in pairs:
                key: Any = None
                if isinstance(item, torch.Tensor):
                    key = self.storage.peek(item)
                elif isinstance(item, (ShadowInt, ShadowFloat)):
                    key = item.dim
                if key is not None and label not in noted.setdefault(key, []):
                    noted[key].append(label)

    def note_return(self, frame: FrameType) -> None:
        """A user's function returns: no later op would see its local names."""
        if self.stack:
            with quiet():
                self._note_names(frame)

    def ungrade(self, reason: str, suggestion: str) -> None:
        """A place that can be computed, but not differentiated."""
        self.ungraded.append(site_at(names.user_frame(), reason, suggestion))

    def refuse_in_forward(self, reason: str, suggestion: str) -> None:
        if self.stack:
            self._refuse(reason, suggestion)

    def _emit(self, name: str, args: dict[str, Any], like: torch.Tensor) -> Value:
        """An op that functionalisation adds: its result looks like `like`."""
        value = Value(dtype_name(like.dtype), tuple(like.shape))
        self._record(Op(name, args, value))
        return value

    # -- torch functions ----------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        with guards_to(None):
            name, _ = canonical(func)
            if name in SHAPES:
                return self._shape(name, func, args, kwargs)
            if name in METADATA:
                return func(*args, **kwargs)
            return self._op(name, func, args, kwargs)

    def _shape(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        out = func(*args, **kwargs)
        tensor = args[0]
        if not self.storage.knows(tensor):
            return out
        value = self.storage.current(tensor)
        if not isinstance(value, Value) or id(tensor) in self.buffers:
            return out  # a parameter's sizes are constants
        if name in ("numel", "nelement"):
            return shadow(out, "_0.size", value)
        if name == "__len__":
            return out  # `len()` insists on a plain int; shimmed for user code
        if name == "stride":
            return out
        if isinstance(out, torch.Size):
            return torch.Size([size_of(value, k) for k in range(len(out))])
        axis = args[1] if len(args) > 1 else kwargs["dim"]
        return size_of(value, int(axis) % tensor.dim())

    def _size(self, tensor: torch.Tensor, axis: int) -> Any:
        return self._shape("size", torch.Tensor.size, (tensor, axis), {})

    def _drawn(self, size: tuple[int, ...], dtype: torch.dtype) -> Any:
        return self._op("rand", torch.rand, size, {"dtype": dtype})

    def _op(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        kwargs = with_samples(name, args, kwargs, self._size, self._drawn)
        try:
            call = bind(func, args, kwargs)
        except Unbound as error:
            out = func(*args, **kwargs)
            self._refuse(str(error), "use a supported call form")
            self._hold_unknown(out)
            return out
        if self.has_rule(call.name) or call.name in RANDOM:
            return self._run(call, func, args, kwargs)
        return self._apart(call, func, args, kwargs)

    def _apart(
        self,
        call: Call,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Record the ATen ops of a call without a rule, or, failing that, itself."""
        before = {k: to_arg(v, self.arg) for k, v in call.args.items()}
        sources = list(tensors_in(list(call.args.values())))
        start = len(self.scope.items)
        with taken_apart(self.has_rule, self._run) as parts:
            out = func(*args, **kwargs)
        made = list(tensors_in(out))
        if not made and not call.inplace:
            del self.scope.items[start:]
            if sources:
                self._data(call.name, sources, out)
        elif parts.missing or not all(self.storage.knows(t) for t in made):
            del self.scope.items[start:]
            if call.inplace:
                self._write(call, before, sources[0])
            else:
                self._add(call, before, out, sources)
        return out

    def _run(
        self,
        call: Call,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Run one call that stays whole and record it."""
        if call.name.endswith("dropout") and call.args.get("p") == 0.0:
            return func(*args, **kwargs)  # torch gives back its input
        sources = list(tensors_in(list(call.args.values())))
        if not sources and any(isinstance(a, np.ndarray) for a in call.args.values()):
            return func(*args, **kwargs)  # a constant, held where it's used
        before = {k: to_arg(v, self.arg) for k, v in call.args.items()}
        out = func(*args, **kwargs)
        if not isinstance(out, torch.Tensor) and not any(True for _ in tensors_in(out)):
            if call.inplace and sources:
                self._write(call, before, sources[0])
            elif sources:
                self._data(call.name, sources, out)
            return out
        if call.inplace or any(out is t for t in (kwargs.get("out"),) if t is not None):
            target = kwargs.get("out")
            self._write(call, before, sources[0] if target is None else target)
            return out
        if isinstance(out, torch.Tensor) and any(out is t for t in sources):
            if call.name not in RANDOM:
                return out  # nothing happened: contiguous(), to(same dtype) ...
            out = out.view_as(out)
        self._add(call, before, out, sources)
        return out

    def _add(
        self, call: Call, args: dict[str, Any], out: Any, sources: list[torch.Tensor]
    ) -> None:
        record = Op(call.name, args, self._result(out), call.overload)
        if call.name in ("as_strided", "as_strided_copy") and _is_whole(sources[0]):
            args["contiguous"] = True  # its memory is its elements, row by row
        self._with_state(record)
        self._record(record)
        if call.name in ("batch_norm", "instance_norm"):
            self._update_statistics(call, args)
        tensors = list(tensors_in(out))
        for k, (tensor, value) in enumerate(zip(tensors, record.outs, strict=True)):
            parent = next((s for s in sources if self.storage.shares(s, tensor)), None)
            if parent is None:
                self.storage.hold(tensor, value)
                continue
            source = self.arg(parent)
            view = {key: (PARENT if v is source else v) for key, v in args.items()}
            several = not isinstance(out, torch.Tensor)
            self.storage.hold(tensor, value, parent, (call.name, view, k), several)

    def _with_state(self, record: Op) -> None:
        taken = vars(self.modules[self.scope.path])["_modules"]
        give_state(record, self.scope, taken)

    def _update_statistics(self, call: Call, args: dict[str, Any]) -> None:
        """A norm in training replaces the running statistics it was given."""
        mean, var = call.args.get("running_mean"), call.args.get("running_var")
        by_batch = call.name == "batch_norm"
        option, default = ("training", False) if by_batch else ("use_input_stats", True)
        if not call.args.get(option, default) or mean is None or var is None:
            return
        keep = ("input", "running_mean", "running_var", "momentum")
        outs = [Value(dtype_name(t.dtype), tuple(t.shape)) for t in (mean, var)]
        record = Op(
            f"{call.name}_update", {k: args[k] for k in keep if k in args}, tuple(outs)
        )
        self._record(record)
        for tensor, value in zip((mean, var), outs, strict=True):
            self._assign(tensor, value)

    def _write(self, call: Call, args: dict[str, Any], target: torch.Tensor) -> None:
        """`target` was changed in place: give it the value of the pure op."""
        value = Value(dtype_name(target.dtype), tuple(target.shape))
        record = Op(call.name, args, value, call.overload)
        self._with_state(record)
        self._record(record)
        self._assign(target, value)

    def _assign(self, target: torch.Tensor, value: Value) -> None:
        try:
            self.storage.write(target, value)
        except CannotWrite as error:
            self._refuse(str(error), "write to the tensor itself, or build a new one")
        base = self.storage.base(target)
        path = self.buffers.get(id(base))
        if path is not None:
            self.dirty[path] = base
        elif isinstance(base, nn.Parameter):
            self._refuse("a parameter is changed in forward", "make it a buffer")

    def _data(self, name: str, sources: list[torch.Tensor], out: Any) -> None:
        """Python looked at a tensor's data: fine for constants and assertions only."""
        values = [self.arg(t) for t in sources]
        if all(v in self.fixed_values for v in values):
            return
        if only_asserts(names.user_frame()) or only_asserts(names.calling_frame()):
            return
        self._refuse(
            f"{name} makes Python depend on the data ({out!r:.40} in this run)",
            "use torch.where or another op instead of a Python value or branch",
        )

    def _hold_unknown(self, out: Any) -> None:
        for tensor in tensors_in(out):
            if not self.storage.knows(tensor):
                self.storage.hold(
                    tensor, Value(dtype_name(tensor.dtype), tuple(tensor.shape))
                )

    def _refuse(self, reason: str, suggestion: str) -> None:
        self.sites.append(site_at(names.user_frame(), reason, suggestion))

    def guard(self, guard: Compared) -> None:
        frame = names.user_frame()
        direct = sys._getframe(3).f_code.co_filename
        if names.is_user_code(direct) and self.stack:
            line = names.line_of(frame)
            self.scope.items.append(Guard(guard.dim, guard.outcome, line))


def _is_whole(tensor: torch.Tensor) -> bool:
    """Its memory holds its elements in order, and no others."""
    held = tensor.untyped_storage().nbytes() // tensor.element_size()
    return tensor.is_contiguous() and held == tensor.numel()


def trace(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    training: bool,
    has_rule: HasRule = every_rule,
) -> Trace:
    """Run `model` once, for real, in the given mode; nothing of it is changed.

    Calls whose op has no rule are recorded as the ATen ops they are made of.
    """
    with unchanged(model), torch.no_grad(), ExitStack() as stack:
        tracer = Tracer(model, has_rule)
        model.train(training)
        before = attributes_of(model)
        for tensor in tensors_in((args, kwargs)):
            if not tracer.storage.knows(tensor):
                value = Value(dtype_name(tensor.dtype), tuple(tensor.shape))
                tracer.storage.hold(tensor, value)
        stack.enter_context(intercepted_calls(tracer.call_module))
        stack.enter_context(shimmed_builtins())
        stack.enter_context(unvalidated())
        stack.enter_context(guards_to(tracer.guard))
        followed = followed_grad_mode(lambda: tracer.ungrade(*CUSTOM))
        tracer.grad_mode = stack.enter_context(followed)
        stack.enter_context(tracer)
        stack.enter_context(noted_returns(tracer.note_return, tracer.refuse_in_forward))
        model(*args, **kwargs)
        stack.close()
        left = changed(model, before)
    return Trace(
        tracer.root,
        tracer.sites,
        tracer.constants,
        left,
        tracer.unseen,
        tracer.ungraded,
    )
