"""Scopes of a trace -> functions with parameters, captures and relative paths.

    scope block(x) { linear(x, h.0.fc.weight) }      a call in GPT's scope
    ->  function block(ps, x) { linear(x, ps.fc.weight) };  call block at ("h", "0")
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luxgen.frontends.records import Record, Scope
from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Guard,
    Item,
    Op,
    Param,
    Path,
    Write,
    args_of,
    items_in,
    outs_of,
)
from luxgen.ir.values import Arg, Dim, Leaf, Node, Structure, Value, atoms, map_arg


def to_function(scope: Scope) -> Function:
    """The function for `scope` and, as its calls' callees, for all scopes below."""
    body = [_item(item, scope.path) for item in scope.items]
    body = _flat(body)
    params = [
        Param(name, arg, name in scope.required)
        for name, arg in scope.args.items()
        if any(isinstance(a, (Value, Leaf)) for a in atoms(arg))
    ]
    function = Function(
        scope.class_name, scope.path, params, body, scope.result, scope.names,
        doc=scope.doc, call=scope.call,
    )  # fmt: skip
    _resolve_sizes(function)
    _capture(function)
    _relative(function)
    return function


def _item(record: Record, path: Path) -> Any:
    if not isinstance(record, Scope):
        if isinstance(record, Branch):
            record.training = _flat([_item(i, path) for i in record.training])
            record.testing = _flat([_item(i, path) for i in record.testing])
        return record
    if record.path[: len(path)] != path or record.path == path:
        return _inlined(record, path)
    function = to_function(record)
    args = [record.given.get(p.name, p.arg) for p in function.params]
    return Call(function, record.path, args, function.result)


def _inlined(scope: Scope, path: Path) -> list[Any]:
    """A module that lives elsewhere in the tree: its steps, at their own paths."""
    return _flat([_item(i, path) for i in scope.items])


def _flat(items: list[Any]) -> list[Any]:
    return [i for item in items for i in (item if isinstance(item, list) else [item])]


def _defined(function: Function) -> set[Value]:
    inside = {v for item in items_in(function.body) for v in outs_of(item)}
    return inside | {
        a for p in function.params for a in atoms(p.arg) if isinstance(a, Value)
    }


def _resolve_sizes(function: Function) -> None:
    """Sizes of values that live outside: read them from a parameter instead."""
    inside = _defined(function)
    given = [a for p in function.params for a in atoms(p.arg) if isinstance(a, Value)]

    def visit(arg: Arg) -> Arg:
        if not isinstance(arg, Dim):
            return arg
        new = tuple(map_arg(visit, a) for a in arg.args)
        if arg.text.startswith("_0.shape[") and isinstance(new[0], Value):
            value = new[0]
            axis = int(arg.text[len("_0.shape[") : -1])
            if value not in inside:
                size = (value.shape[axis], value.witness[axis] if value.witness else None)
                for own in given:
                    for k, n in enumerate(own.shape):
                        if (n, own.witness[k] if own.witness else None) == size:
                            return replace(arg, text=f"_0.shape[{k}]", args=(own,))
                if arg.fixed:
                    return arg.value
        return replace(arg, args=new)

    rewrite(function, visit)


def rewrite(function: Function, visit: Any) -> None:
    """Apply `visit` to every atom that the function's items and result read."""
    for item in items_in(function.body):
        _rewrite_item(item, visit)
    function.result = map_arg(visit, function.result)
    function.names = {_name_key(k, visit): v for k, v in function.names.items()}


def _name_key(key: Any, visit: Any) -> Any:
    return visit(key) if isinstance(key, (Dim, Value)) else key


def _rewrite_item(item: Item, visit: Any) -> None:
    if isinstance(item, Op):
        item.args = {k: map_arg(visit, v) for k, v in item.args.items()}
    elif isinstance(item, Call):
        item.args = [map_arg(visit, v) for v in item.args]
    elif isinstance(item, Write):
        item.value = map_arg(visit, item.value)
    elif isinstance(item, Guard):
        seen = visit(item.condition)
        item.condition = seen if isinstance(seen, Dim) else Dim("_0", (seen,), seen)
    elif isinstance(item, Branch):
        item.joins = [
            (value, map_arg(visit, a), map_arg(visit, b)) for value, a, b in item.joins
        ]


def _capture(function: Function) -> None:
    """Values and leaves from outside become parameters of their own."""
    inside = _defined(function)
    captured: dict[Any, Value] = {}
    used = [a for item in items_in(function.body) for a in args_of(item)]
    used += list(atoms(function.result))
    for atom in used:
        outside = isinstance(atom, Value) and atom not in inside
        foreign = isinstance(atom, Leaf) and atom.path[: len(function.path)] != function.path
        if (outside or foreign) and atom not in captured:
            stand_in = atom if isinstance(atom, Value) else Value(atom.dtype, atom.shape, atom.shape)
            captured[atom] = stand_in
            name = atom.path[-1] if isinstance(atom, Leaf) else "captured"
            function.names.setdefault(stand_in, [name])
    if not captured:
        return
    function.params += [Param(f"captured_{k}", a) for k, a in enumerate(captured)]
    rewrite(function, lambda a: captured.get(a, a) if isinstance(a, (Value, Leaf)) else a)


def _relative(function: Function) -> None:
    """Paths below the function's own module."""
    depth = len(function.path)

    def visit(arg: Arg) -> Arg:
        if isinstance(arg, Leaf):
            return replace(arg, path=arg.path[depth:])
        if isinstance(arg, Node):
            leaves = tuple(visit(a) for a in arg.leaves)
            return replace(arg, path=arg.path[depth:], leaves=leaves)
        if isinstance(arg, Dim):
            return replace(arg, args=tuple(map_arg(visit, a) for a in arg.args))
        return arg

    rewrite(function, visit)
    for item in items_in(function.body):
        if isinstance(item, (Call, Write)):
            item.path = item.path[depth:]
        elif isinstance(item, Op):
            item.owner = ".".join(item.owner.split(".")[depth:])
            item.state = None if item.state is None else item.state[depth:]
        elif isinstance(item, Branch):
            item.outer = item.outer[depth:]


__all__ = ["Structure", "rewrite", "to_function"]
