"""Scopes of a trace -> functions with parameters, captures and relative paths.

scope block(x) { linear(x, h.0.fc.weight) }      a call in GPT's scope
->  function block(ps, x) { linear(x, ps.fc.weight) };  call block at ("h", "0")
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from luxgen.frontends.records import Scope
from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Guard,
    Item,
    Op,
    Param,
    Path,
    Pull,
    Unwind,
    Write,
    args_of,
    items_in,
    outs_of,
)
from luxgen.ir.values import Arg, Dim, Leaf, Node, Structure, Value, atoms, map_arg
from luxgen.passes.escapes import made_inside


def to_function(scope: Scope) -> Function:
    """The function for `scope` and, as its calls' callees, for all scopes below."""
    return _function(scope, {})[0]


def _function(scope: Scope, own: dict[Any, Value]) -> tuple[Function, list[Arg]]:
    """A function and what its caller passes; `own` maps those to values inside."""
    sizes: dict[Any, Value] = {}
    body = _flat([_item(item, scope.path, sizes) for item in scope.items])
    params, passed = [], []
    unused = dict(own)
    for name, arg in scope.args.items():
        if any(isinstance(a, (Value, Leaf)) for a in atoms(arg)):
            inside = map_arg(lambda a: _inside(a, own, unused), arg)
            params.append(Param(name, inside, name in scope.required))
            passed.append(scope.given.get(name, arg))
    function = Function(
        scope.class_name, scope.path, params, body, scope.result, scope.names,
        doc=scope.doc, call=scope.call,
    )  # fmt: skip
    _substitute(function, own | sizes)
    _resolve_sizes(function)
    passed += _capture(function)
    _relative(function)
    return function, passed


def _inside(arg: Arg, own: dict[Any, Value], unused: dict[Any, Value]) -> Arg:
    """What a parameter is called inside; one passed twice is read from the first."""
    if not _is_traced(arg) or arg not in own:
        return arg
    if arg in unused:
        return unused.pop(arg)
    return Value(arg.dtype, own[arg].shape, own[arg].witness)


def _is_traced(arg: Any) -> bool:
    return isinstance(arg, (Value, Leaf, Dim))


def _substitute(function: Function, own: dict[Any, Value]) -> None:
    """Read what was given, or returned by a callee, from its value in `function`."""
    if not own:
        return
    for outer, value in own.items():
        if isinstance(outer, Dim) and outer in function.names:
            function.names.setdefault(value, []).extend(function.names.pop(outer))
    rewrite(function, lambda a: _substituted(a, own))


def _substituted(arg: Arg, own: dict[Any, Value]) -> Arg:
    if not _is_traced(arg):
        return arg
    if arg in own:
        value = own[arg]
        if isinstance(arg, Dim):
            return Dim("_0", (value,), arg.value, arg.witness)
        return value
    if isinstance(arg, Dim):
        args = tuple(map_arg(lambda a: _substituted(a, own), a) for a in arg.args)
        return replace(arg, args=args)
    return arg


def _own_values(scope: Scope) -> dict[Any, Value]:
    """A value of the callee's own for each value, leaf and free size it is given."""
    own: dict[Any, Value] = {}
    for arg in scope.args.values():
        for atom in _parts(arg):
            if isinstance(atom, Dim) and not atom.fixed:
                own.setdefault(atom, Value(atom.dtype))
            elif isinstance(atom, (Value, Leaf)):
                own.setdefault(atom, Value(atom.dtype, atom.shape, atom.witness))
    return own


def _parts(arg: Arg) -> list[Any]:
    """The atoms of `arg` without what its Dims are made of."""
    found: list[Any] = []
    map_arg(found.append, arg)
    return found


def _item(record: Any, path: Path, sizes: dict[Any, Value]) -> Any:
    """A step of a function; `sizes` gathers the sizes that its calls return."""
    if not isinstance(record, Scope):
        if isinstance(record, Branch):
            record.training = _flat([_item(i, path, sizes) for i in record.training])
            record.testing = _flat([_item(i, path, sizes) for i in record.testing])
        return record
    if record.path[: len(path)] != path or record.path == path or _reaches_out(record):
        return _inlined(record, path, sizes)
    result, inside = record.result, set(made_inside(record))
    function, passed = _function(record, _own_values(record))
    made = {v for i in function.body for v in outs_of(i)}
    results = _results(result, made, inside, sizes)
    return Call(function, record.path, passed, results, stops=record.stops)


def _results(
    result: Arg, made: set[Value], inside: set[Value], sizes: dict[Any, Value]
) -> Arg:
    """What the caller gets: each value once, placeholders for what it has already."""
    seen: set[Value] = set()

    def visit(arg: Arg) -> Arg:
        if isinstance(arg, Value) and arg in made and arg not in seen:
            seen.add(arg)
            return arg
        if isinstance(arg, (Value, Leaf)):
            return Value(arg.dtype, arg.shape, arg.witness)
        if isinstance(arg, Dim):
            value = Value(arg.dtype)
            if not arg.fixed and any(a in inside for a in atoms(arg)):
                sizes.setdefault(arg, value)
            return value
        return arg

    return map_arg(visit, result)


def _reaches_out(scope: Scope) -> bool:
    """It reads or changes the state of a module that isn't its own, as a whole."""
    depth = len(scope.path)

    def outside(path: Path | None) -> bool:
        return path is not None and path[:depth] != scope.path

    for item in _below(scope.items):
        if isinstance(item, Op):
            nodes = [a.path for a in args_of(item) if isinstance(a, Node)]
            if any(outside(path) for path in (item.state, *nodes)):
                return True
        elif (
            isinstance(item, Write)
            and outside(item.path)
            or isinstance(item, Branch)
            and outside(item.outer)
        ):
            return True
    return False


def _below(items: list[Any]) -> Iterator[Any]:
    for item in items:
        yield item
        if isinstance(item, Scope):
            yield from _below(item.items)
        elif isinstance(item, Branch):
            yield from _below([*item.training, *item.testing])


def _inlined(scope: Scope, path: Path, sizes: dict[Any, Value]) -> list[Any]:
    """A module that lives elsewhere in the tree: its steps, at their own paths."""
    for item in _below(scope.items) if scope.stops else ():
        if isinstance(item, (Op, Scope)):
            item.stops = True
    return _flat([_item(i, path, sizes) for i in scope.items])


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
                size = (
                    value.shape[axis],
                    value.witness[axis] if value.witness else None,
                )
                for own in given:
                    for k, n in enumerate(own.shape):
                        if (n, own.witness[k] if own.witness else None) == size:
                            return replace(arg, text=f"_0.shape[{k}]", args=(own,))
                if arg.fixed:
                    return arg.value
        return replace(arg, args=new)

    rewrite(function, visit)


def rewrite(function: Function, visit: Any) -> None:
    """Apply `visit` to every atom that the function and its pullback read."""
    rewrite_items(function.body, visit)
    function.result = map_arg(visit, function.result)
    if (pullback := function.pullback) is not None:
        rewrite_items(pullback.body, visit)
        pullback.of = [visit(v) for v in pullback.of]
        pullback.results = map_arg(visit, pullback.results)
        pullback.ps = pullback.ps and map_arg(visit, pullback.ps)
    function.names = {_name_key(k, visit): v for k, v in function.names.items()}


def rewrite_items(items: list[Item], visit: Any) -> None:
    """Apply `visit` to every atom that the items read, those inside others included."""
    for item in items_in(items):
        _rewrite_item(item, visit)


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
    elif isinstance(item, Pull):
        item.pullback, item.given = visit(item.pullback), map_arg(visit, item.given)
    else:
        item.carried = [
            (inside, map_arg(visit, first), map_arg(visit, last), result)
            for inside, first, last, result in item.carried
        ]
        if isinstance(item, Unwind):
            item.tape = visit(item.tape)
            item.leaves = {p: map_arg(visit, d) for p, d in item.leaves.items()}


def _capture(function: Function) -> list[Arg]:
    """Values and leaves from outside become parameters of their own."""
    inside = _defined(function)
    captured: dict[Any, Value] = {}
    used = [a for item in items_in(function.body) for a in args_of(item)]
    used += list(atoms(function.result))
    for atom in used:
        outside = isinstance(atom, Value) and atom not in inside
        foreign = (
            isinstance(atom, Leaf) and atom.path[: len(function.path)] != function.path
        )
        if (outside or foreign) and atom not in captured:
            captured[atom] = Value(atom.dtype, atom.shape, atom.witness)
    if captured:
        taken = {p.name for p in function.params}
        for k, (atom, value) in enumerate(captured.items()):
            name = atom.path[-1] if isinstance(atom, Leaf) else f"captured_{k}"
            name = f"captured_{k}" if name in taken else name
            taken.add(name)
            function.params.append(Param(name, value))
        _substitute(function, captured)
    return list(captured)


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
