"""What the tracer does when the model calls a module: a scope, one op, or neither."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from luxgen.errors import Site, UnsupportedError
from luxgen.frontends import leaves
from luxgen.frontends.carried import where_set
from luxgen.frontends.forward_arguments import forward_arguments
from luxgen.frontends.grad_mode import GradMode
from luxgen.frontends.records import Scope
from luxgen.frontends.running import quiet
from luxgen.frontends.sites import site_on
from luxgen.frontends.storage import Storage
from luxgen.frontends.structure import tensors_in, to_arg
from luxgen.ir.program import Line, Op, Write
from luxgen.ir.values import Arg, Leaf, Node, Value


class ModuleCalls:
    """The part of the tracer that follows calls of modules."""

    model: nn.Module
    sites: list[Site]
    storage: Storage
    stack: list[Scope]
    calls: dict[int, int]
    paths: dict[int, tuple[str, ...]]
    buffers: dict[int, tuple[str, ...]]
    modules: dict[tuple[str, ...], nn.Module]
    held_buffers: dict[tuple[str, ...], Leaf]  # as they are before the call
    tied_buffers: dict[tuple[str, ...], tuple[str, ...]]  # to the first name
    settled: dict[tuple[str, ...], Arg]  # as the last write left them
    settled_at: dict[tuple[str, ...], int]  # after how many calls
    clock: int
    grad_mode: GradMode
    fixed_values: set[Value | Leaf]
    dirty: dict[tuple[str, ...], torch.Tensor | None]
    follows: set[int]
    owner: str
    returning: Line | None
    root: Scope
    scope: Any
    arg: Callable[[Any], Arg]
    _result: Callable[[Any], Arg]
    _record: Callable[[Op], None]
    _refuse: Callable[[str, str], None]

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
        self.clock += 1
        scope = Scope(path, type(module).__name__, count, doc=_doc(module))
        scope.entered = self.clock
        scope.graded = self.grad_mode.on
        scope.stops = bool(self.stack) and self.scope.graded and not scope.graded
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
                if scope is self.root:
                    self.returning = _first_line(module)
                scope.result = to_arg(out, self.arg)
                if scope is self.root:
                    self._settle_all()
                self._settle(scope)
        finally:
            self.stack.pop()
            self.owner = before
        return out

    def _rebound_buffers(
        self, module: nn.Module, path: tuple[str, ...], before: dict[str, Any]
    ) -> None:
        for name, tensor in module._buffers.items():
            own = (*path, name)
            if tensor is not before.get(name) and own in self.held_buffers:
                self.dirty[own] = tensor
                self.buffers[id(tensor)] = own

    def _settle(self, scope: Scope) -> None:
        """Buffers written during this call that it, or a module below it, owns."""
        for path in [p for p in self.dirty if p[: len(scope.path)] == scope.path]:
            tensor = self.dirty.pop(path)
            value = None if tensor is None else self.arg(tensor)
            held = self.held_buffers[path]
            if _kind(value) != _kind(held):
                self._refuse_buffer(path, "is of another shape or dtype after a call")
                continue
            self.settled[path], self.settled_at[path] = value, self.clock
            scope.items.append(Write(path, value))

    def _settle_all(self) -> None:
        """At the end of the model: what another module than its owner put in place."""
        for path, module in self.modules.items():
            for name, tensor in module._buffers.items():
                own = (*path, name)
                value = None if tensor is None else self.arg(tensor)
                if own in self.held_buffers:
                    if value is not self.settled.get(own, self.held_buffers[own]):
                        self.dirty[own] = tensor
                elif own in self.tied_buffers:
                    if value is not self._value_of(self.tied_buffers[own]):
                        self._refuse_buffer(self.tied_buffers[own], _UNTIED)
                elif value is not None and value not in self.fixed_values:
                    self._refuse_buffer(own, "is there only after a call")

    def _value_of(self, path: tuple[str, ...]) -> Arg:
        tensor = self.modules[path[:-1]]._buffers[path[-1]]
        return None if tensor is None else self.arg(tensor)

    def _refuse_buffer(self, path: tuple[str, ...], reason: str) -> None:
        line = where_set(type(self.modules[path[:-1]]), path[-1])
        advice = "give it its final shape and dtype in __init__"
        site = site_on(line, f"the buffer {'.'.join(path)} {reason}", advice)
        self.sites.append(site)


_UNTIED = "is one with another buffer before the call, and no longer after it"


def _kind(value: Any) -> Any:
    return None if value is None else (value.dtype, tuple(value.shape))


def _first_line(module: nn.Module) -> Line:
    code = getattr(module.forward, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)


def _doc(module: nn.Module) -> str:
    doc = type(module).__dict__.get("__doc__")
    return inspect.cleandoc(doc) if doc else ""
