"""One real run of a model, recorded at the level of torch functions and modules."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from luxgen.errors import Site, UnsupportedError
from luxgen.frontends import leaves, names
from luxgen.frontends.assertions import only_asserts
from luxgen.frontends.bind import Call, Unbound, bind, canonical, dtype_name
from luxgen.frontends.carried import attributes_of, changed
from luxgen.frontends.decompose import HasRule, every_rule, taken_apart
from luxgen.frontends.forward_arguments import forward_arguments
from luxgen.frontends.noted_returns import noted_returns
from luxgen.frontends.random_state import give_state
from luxgen.frontends.records import INLINE_CONSTANT, Scope, Trace, Unseen
from luxgen.frontends.running import (
    following_mode,
    intercepted_calls,
    plain_attributes,
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
from luxgen.frontends.sites import site_at
from luxgen.frontends.storage import PARENT, CannotWrite, Storage
from luxgen.frontends.structure import tensors_in, to_arg
from luxgen.frontends.vocabulary import METADATA, RANDOM, SHAPES
from luxgen.ir.program import Guard, Op, Write
from luxgen.ir.values import Arg, Leaf, Node, Value


class Tracer(TorchFunctionMode):
    """Records one forward of `model`; use `trace`."""

    def __init__(self, model: nn.Module, has_rule: HasRule) -> None:
        super().__init__()
        self.model, self.has_rule = model, has_rule
        self.sites: list[Site] = []
        self.unseen: list[Unseen] = []
        self.constants: dict[tuple[str, ...], torch.Tensor] = {}
        self.storage = Storage(self._emit)
        self.stack: list[Scope] = []
        self.fixed_values: set[Value] = set()  # don't depend on inputs or weights
        self.calls: dict[int, int] = {}
        self.paths = {
            id(m): tuple(n.split(".") if n else ()) for n, m in model.named_modules()
        }
        self.modules = {path: m for m in model.modules() if (path := self.paths[id(m)]) is not None}
        self.buffers: dict[int, tuple[str, ...]] = {}
        self.dirty: dict[tuple[str, ...], torch.Tensor] = {}
        self.follows = following_mode(model)
        self.owner = ""
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
                return self.storage.current(item)
            except CannotWrite as error:
                self._refuse(str(error), "read it before the write, or copy it")
                return self.storage.peek(item)
        if isinstance(item, (ShadowInt, ShadowFloat)):
            return item.dim
        if isinstance(item, torch.dtype):
            return dtype_name(item)
        return item

    def _hold_constant(self, tensor: torch.Tensor) -> None:
        """A tensor that no recorded op made: a literal, or a leaf kept with the weights."""
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            self._refuse("torch.func transforms its function", "write out what it does")
            raise UnsupportedError(self.sites)
        self.unseen.append((tensor, names.line_of(names.user_frame())))
        dtype = dtype_name(tensor.dtype)
        if tensor.numel() <= INLINE_CONSTANT and not tensor.is_complex():
            value = Value(dtype, tuple(tensor.shape))
            args = {"data": tensor.detach().tolist(), "dtype": dtype}
            self._record(Op("tensor", args, value))
            self.fixed_values.add(value)
            self.storage.hold(tensor, value)
            return
        path = self._attribute_path(tensor)
        self.constants[path] = tensor.detach().clone()
        leaf = Leaf(path, "st", dtype, tuple(tensor.shape))
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
        if frame is not None:
            self._note_names(frame)
        self.scope.items.append(record)

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
        if not isinstance(value, Value):
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

    def _op(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
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
        before = {k: to_arg(v, self.arg) for k, v in call.args.items()}
        sources = list(tensors_in(list(call.args.values())))
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
        self._with_state(record)
        self._record(record)
        if call.name == "batch_norm":
            self._update_statistics(call, args)
        tensors = list(tensors_in(out))
        fixed = record.state is None and all(self.arg(s) in self.fixed_values for s in sources)
        for k, (tensor, value) in enumerate(zip(tensors, record.outs, strict=True)):
            if fixed:
                self.fixed_values.add(value)
            parent = next((s for s in sources if self.storage.shares(s, tensor)), None)
            if parent is None:
                self.storage.hold(tensor, value)
                continue
            source = self.storage.current(parent)
            view = {key: (PARENT if v is source else v) for key, v in args.items()}
            several = not isinstance(out, torch.Tensor)
            self.storage.hold(tensor, value, parent, (call.name, view, k), several)

    def _with_state(self, record: Op) -> None:
        taken = vars(self.modules[self.scope.path])["_modules"]
        give_state(record, self.scope, taken)

    def _update_statistics(self, call: Call, args: dict[str, Any]) -> None:
        """F.batch_norm in training replaces the running statistics it was given."""
        mean, var = call.args.get("running_mean"), call.args.get("running_var")
        if not call.args.get("training") or mean is None or var is None:
            return
        keep = ("input", "running_mean", "running_var", "momentum")
        outs = [Value(dtype_name(t.dtype), tuple(t.shape)) for t in (mean, var)]
        record = Op(
            "batch_norm_update", {k: args[k] for k in keep if k in args}, tuple(outs)
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

    # -- modules ------------------------------------------------------------------

    def call_module(
        self,
        original: Callable[..., Any],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if isinstance(module, torch.jit.ScriptModule):
            self._refuse("a TorchScript module", "use the module that was scripted")
            raise UnsupportedError(self.sites)
        if id(module) not in self.paths:
            return original(module, *args, **kwargs)
        path = self.paths[id(module)]
        if not self.stack:
            return self._scope(path, self._root_body(original), module, args, kwargs)
        return self._called(path, original, module, args, kwargs)

    def _root_body(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The root has a scope even where it is itself a leaf or a container."""

        def body(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if leaves.leaf_of(module) or leaves.is_transparent(module):
                return self._called((), original, module, args, kwargs)
            return original(module, *args, **kwargs)

        return body

    def _called(
        self,
        path: tuple[str, ...],
        original: Callable[..., Any],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        leaf = leaves.leaf_of(module)
        if leaf is not None:
            return self._inside_hooks(leaf, path, original, module, args, kwargs)
        through = leaves.is_transparent(module)
        return self._through(path, original, module, args, kwargs, through)

    def _inside_hooks(
        self,
        leaf: Callable[..., leaves.Bound | None],
        path: tuple[str, ...],
        original: Callable[..., Any],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Hooks are traced as they run; the forward between them is one op."""
        forward = module.forward

        def leaf_forward(*args: Any, **kwargs: Any) -> Any:
            bound = self._bound_leaf(leaf, module, args, kwargs)
            if bound is None:
                return forward(*args, **kwargs)
            weights = leaves.weights_of(module)  # parametrizations run here
            with quiet():
                return self._leaf(bound, path, forward, weights, args, kwargs)

        through = leaves.is_transparent(module)
        vars(module)["forward"] = leaf_forward
        try:
            return self._through(path, original, module, args, kwargs, through)
        finally:
            del vars(module)["forward"]

    def _bound_leaf(
        self,
        leaf: Callable[..., leaves.Bound | None],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> leaves.Bound | None:
        try:
            with quiet():
                bound = leaf(module, *args, **kwargs)
            if bound is not None and bound[2] and id(module) not in self.follows:
                return leaves.frozen(bound, module.training)
        except leaves.Unleafable as error:
            self._refuse(*error.args)
            return None
        return bound

    def _through(
        self,
        path: tuple[str, ...],
        original: Callable[..., Any],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        transparent: bool,
    ) -> Any:
        if transparent:
            before, self.owner = self.owner, ".".join(path)
            try:
                out = original(module, *args, **kwargs)
                with quiet():
                    self._close(out)
                return out
            finally:
                self.owner = before
        return self._scope(path, original, module, args, kwargs)

    def _close(self, out: Any) -> None:
        """Mark the op whose result is what the current layer returned."""
        last = self.scope.items[-1] if self.scope.items else None
        if (
            isinstance(last, Op)
            and last.owner == self.owner
            and isinstance(out, torch.Tensor)
        ):
            last.closes = self.storage.peek(out) is last.result

    def _leaf(
        self,
        bound: leaves.Bound,
        path: tuple[str, ...],
        forward: Callable[..., Any],
        parameters: list[torch.Tensor],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        name, given, kind = bound
        mine = [self.arg(p) for p in parameters]
        whole = all(isinstance(leaf, Leaf) and leaf.path[:-1] == path for leaf in mine)
        weights: Any = Node(path, "ps", tuple(mine)) if whole else tuple(mine)
        bound_args = {
            k: weights if v is leaves.Weights else to_arg(v, self.arg)
            for k, v in given.items()
        }
        out = forward(*args, **kwargs)
        if isinstance(out, torch.Tensor) and any(
            out is t for t in tensors_in((args, kwargs))
        ):
            out = out.view_as(out)
        record = Op(
            name, bound_args, self._result(out), owner=".".join(path), closes=True
        )
        if kind:
            record.kind, record.state = kind, path
        self._record(record)
        for tensor, value in zip(tensors_in(out), record.outs, strict=True):
            self.storage.hold(tensor, value)
        return out

    def _scope(
        self,
        path: tuple[str, ...],
        original: Callable[..., Any],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        count = self.calls.get(id(module), 0)
        self.calls[id(module)] = count + 1
        scope = Scope(path, type(module).__name__, count, doc=_doc(module))
        with quiet():
            bound = forward_arguments(module, args, kwargs, self.arg)
            scope.args, scope.required = bound
        if not self.stack:
            self.root = scope
        before, self.owner = self.owner, ".".join(path)
        buffers = dict(module._buffers)
        if self.stack:
            self.scope.items.append(scope)
        self.stack.append(scope)
        try:
            out = original(module, *args, **kwargs)
            with quiet():
                self._rebound_buffers(module, path, buffers)
                scope.result = to_arg(out, self.arg)
                self._settle(scope)
        finally:
            self.stack.pop()
            self.owner = before
        return out

    def _rebound_buffers(
        self, module: nn.Module, path: tuple[str, ...], before: dict[str, Any]
    ) -> None:
        for name, tensor in module._buffers.items():
            if tensor is not before.get(name) and tensor is not None:
                self.dirty[(*path, name)] = tensor
                self.buffers[id(tensor)] = (*path, name)

    def _settle(self, scope: Scope) -> None:
        """Buffers written during this call that it, or a module below it, owns."""
        for path in [p for p in self.dirty if p[: len(scope.path)] == scope.path]:
            tensor = self.dirty.pop(path)
            scope.items.append(Write(path, self.arg(tensor)))

    def guard(self, guard: Compared) -> None:
        frame = names.user_frame()
        direct = sys._getframe(3).f_code.co_filename
        if names.is_user_code(direct) and self.stack:
            line = names.line_of(frame)
            self.scope.items.append(Guard(guard.dim, guard.outcome, line))


def _doc(module: nn.Module) -> str:
    doc = type(module).__dict__.get("__doc__")
    return inspect.cleandoc(doc) if doc else ""


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
        stack.enter_context(tracer)
        stack.enter_context(noted_returns(tracer.note_return))
        model(*args, **kwargs)
        stack.close()
        left = changed(model, before)
    return Trace(
        tracer.root, tracer.sites, tracer.constants, left, tracer.unseen
    )
