"""What a rolled loop must keep of each iteration for its way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luxgen.ir.program import Branch, Cotangents, Item, Loop, args_of, items_in, outs_of
from luxgen.ir.values import Arg, Dim, Value, map_arg
from luxgen.passes.functions import rewrite_items


def captured(
    loop: Loop,
    body: list[Item],
    leaves: Cotangents,
    carried: list[tuple[Value, Arg, Arg, Value]],
) -> tuple[list[Arg], list[Value]]:
    """Values of the loop's body that its way back reads, and what they are there.

    Rewrites `body`, `leaves` and `carried` to read the values given back by the tape.
    """
    inside = {v for i in items_in(loop.body) for v in outs_of(i)}
    inside |= {value for value, *_ in loop.carried}
    read = [a for i in items_in(body) for a in args_of(i)]
    read += [a for _, _, after, _ in carried for a in _values(after)]
    read += [a for d in leaves.values() for a in _values(d)]
    needed = dict.fromkeys(a for a in read if isinstance(a, Value) and a in inside)
    if not needed:
        return [], []
    again = {v: Value(v.dtype, v.shape, v.witness, v.names) for v in needed}

    def visit(arg: Arg) -> Arg:
        if isinstance(arg, Dim):
            return replace(arg, args=tuple(map_arg(visit, a) for a in arg.args))
        return again.get(arg, arg) if isinstance(arg, Value) else arg

    rewrite_items(body, visit)
    for path, d in leaves.items():
        leaves[path] = map_arg(visit, d)
    carried[:] = [(i, b, map_arg(visit, after), r) for i, b, after, r in carried]
    in_branch = _made_in_branches(loop.body)
    saved = [in_branch(v) for v in needed]
    return saved, list(again.values())


def _values(arg: Arg) -> list[Any]:
    found: list[Any] = []
    map_arg(found.append, arg)
    return found


def _made_in_branches(items: list[Item]) -> Any:
    """A function that makes a value of one side of a branch one of the whole loop."""
    branches = [i for i in items if isinstance(i, Branch)]

    def outside(value: Value) -> Value:
        for branch in branches:
            for k, side in enumerate((branch.training, branch.testing)):
                if any(value in outs_of(i) for i in items_in(side)):
                    joined = Value(value.dtype, value.shape, value.witness)
                    sides = (value, None) if k == 0 else (None, value)
                    branch.joins.append((joined, *sides))
                    return joined
        return value

    return outside
