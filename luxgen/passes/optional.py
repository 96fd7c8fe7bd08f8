"""Modules of one class with and without a child: one function that asks for the child.

block0(x) {y = f(x); return y + x};  block1(x) {y = f(x); d = down(x); return y + d}
->  block(x) {y = f(x); if down is there: d = down(x) else: d = x; return y + d}
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Guard,
    Item,
    Op,
    Path,
    Present,
    Write,
    args_of,
    items_in,
    outs_of,
)
from luxgen.ir.tree import Absent, Tree
from luxgen.ir.values import Arg, Dim, Leaf, Node, Value, atoms, map_arg
from luxgen.passes.activity import parts
from luxgen.passes.fold import LIFTABLE
from luxgen.passes.pipeline import callees_first


def unify_optional(main: Function, ps: Tree, st: Tree) -> None:
    """Give both kinds of instance the same body, with a branch on the child's presence."""
    groups: dict[str, list[Function]] = {}
    for function in callees_first(main):
        groups.setdefault(function.class_name, []).append(function)
    for functions in groups.values():
        shapes = {f: _children(f, ps, st) for f in functions}
        kinds = list(dict.fromkeys(shapes.values()))
        if len(kinds) == 2:
            small, large = sorted(kinds, key=len)
            extra = {name for _, name in large - small}
            if small < large and len(extra) == 1:
                with_child = [f for f in functions if shapes[f] == large]
                without = [f for f in functions if shapes[f] == small]
                _unify(with_child, without, extra.pop(), ps, st)


def _children(function: Function, ps: Tree, st: Tree) -> frozenset[tuple[str, str]]:
    found = set()
    for kind, tree in (("ps", ps), ("st", st)):
        node = _at(tree, function.path)
        if node is not None:
            found |= {(kind, name) for name in node.children}
    return frozenset(found)


def _at(tree: Tree, path: Path) -> Tree | None:
    try:
        node = tree.at(path)
    except KeyError:
        return None
    return node if isinstance(node, Tree) and not node.sequence else None


def _unify(
    with_child: list[Function], without: list[Function], child: str, ps: Tree, st: Tree
) -> None:
    model = with_child[0]
    plans = [_Plan.make(model, f, child) for f in without]
    own = [_Plan.make(f, without[0], child) for f in with_child]
    if any(plan is None for plan in (*plans, *own)):
        return
    kinds = tuple(k for k, t in (("ps", ps), ("st", st)) if _has(t, model.path, child))
    present = Present((child,), kinds)
    changes = [p.changes(present) for p in (*plans, *own) if p is not None]
    if any(change is None for change in changes):
        return
    for k, change in enumerate(changes):
        assert change is not None
        base, full = change
        if k < len(plans):
            base()
        else:
            full()
    for function in with_child:
        function.complete = True
    for tree in (ps, st):
        if _has(tree, model.path, child):
            source = _at(tree, model.path)
            assert source is not None
            _mark_optional(tree, source, with_child, without, child)


def _has(tree: Tree, path: Path, child: str) -> bool:
    node = _at(tree, path)
    return node is not None and child in node.children


def _mark_optional(
    tree: Tree,
    source: Tree,
    with_child: list[Function],
    without: list[Function],
    child: str,
) -> None:
    like = source.children[child]
    assert isinstance(like, Tree)
    for function in with_child:
        node = _at(tree, function.path)
        assert node is not None
        inner = node.children[child]
        assert isinstance(inner, Tree)
        inner.optional = True
    for function in without:
        node = _at(tree, function.path)
        if node is not None:
            held: dict[str, Any] = {**node.children, child: Absent(like)}
            node.children = {n: held[n] for n in source.children if n in held}


class _Plan:
    """How a body with the child (`full`) relates to one without it (`base`)."""

    def __init__(self, full: Function, base: Function, start: int, stop: int) -> None:
        self.full, self.base, self.start, self.stop = full, base, start, stop
        self.twins: dict[Value, Value] = {}  # of base -> of full
        self.region = {v for i in full.body[start:stop] for v in outs_of(i)}

    @staticmethod
    def make(full: Function, base: Function, child: str) -> _Plan | None:
        """Aligned if the full body is the base body with one run of steps put in."""
        if [p.name for p in full.params] != [p.name for p in base.params]:
            return None
        keys = [_key(i) for i in full.body], [_key(i) for i in base.body]
        codes = SequenceMatcher(None, *keys, autojunk=False).get_opcodes()
        odd = [c for c in codes if c[0] != "equal"]
        if len(odd) != 1 or odd[0][0] != "delete":
            return None
        _, start, stop, _, _ = odd[0]
        if not any(_is_below(i, child) for i in full.body[start:stop]):
            return None
        return _Plan(full, base, start, stop)

    def changes(self, present: Present) -> tuple[Any, Any] | None:
        """Two actions: give the base, or the full function, its branch."""
        for own, other in zip(self.full.params, self.base.params, strict=True):
            if not self._twin(own.arg, other.arg):
                return None
        pairs: list[tuple[Value, Value]] = []  # (made by the region, of base)
        rest = zip(
            [*self.full.body[: self.start], *self.full.body[self.stop :]],
            self.base.body,
            strict=True,
        )
        for a, b in rest:
            if not self._item(a, b, pairs):
                return None
        if not self._arg(self.full.result, self.base.result, pairs):
            return None
        return (lambda: self._into_base(present, pairs)), (
            lambda: self._into_full(present, pairs)
        )

    def _twin(self, a: Arg, b: Arg) -> bool:
        left = [v for v in atoms(a) if isinstance(v, Value)]
        right = [v for v in atoms(b) if isinstance(v, Value)]
        self.twins |= dict(zip(right, left, strict=False))
        return len(left) == len(right)

    def _item(self, a: Item, b: Item, pairs: list[tuple[Value, Value]]) -> bool:
        if isinstance(a, Op) and isinstance(b, Op):
            lift = LIFTABLE.get(a.name, {})
            names = (a.args.keys() | b.args.keys()) - lift.keys()
            return all(
                self._arg(a.args.get(n), b.args.get(n), pairs) for n in sorted(names)
            ) and self._twin(a.result, b.result)
        if isinstance(a, Call) and isinstance(b, Call):
            fit = len(a.args) == len(b.args) and a.path == b.path
            return (
                fit
                and self._arg(a.args, b.args, pairs)
                and self._twin(a.result, b.result)
            )
        if isinstance(a, Write) and isinstance(b, Write):
            return a.path == b.path and self._arg(a.value, b.value, pairs)
        return False

    def _arg(self, a: Arg, b: Arg, pairs: list[tuple[Value, Value]]) -> bool:
        if isinstance(a, Value) and isinstance(b, Value):
            if self.twins.get(b) is a:
                return True
            if a in self.region and b in self.twins and (a, b) not in pairs:
                pairs.append((a, b))
            return (a, b) in pairs
        if isinstance(a, (Leaf, Node)) and type(a) is type(b):
            return bool(a.path == b.path and a.kind == b.kind)
        if isinstance(a, Dim) and isinstance(b, Dim):
            return a.text == b.text and self._arg(a.args, b.args, pairs)
        if isinstance(a, (tuple, list)) and type(a) is type(b):
            return len(a) == len(b) and all(
                self._arg(x, y, pairs) for x, y in zip(a, b, strict=True)
            )
        if isinstance(a, slice) and isinstance(b, slice):
            ours, theirs = (a.start, a.stop, a.step), (b.start, b.stop, b.step)
            return self._arg(ours, theirs, pairs)
        return type(a) is type(b) and bool(a == b)

    def _into_full(self, present: Present, pairs: list[tuple[Value, Value]]) -> None:
        full = self.full
        region = full.body[self.start : self.stop]
        joined = {a: Value(a.dtype, a.shape, a.witness) for a, _ in pairs}
        joins = [(joined[a], a, self.twins[b]) for a, b in pairs]
        for a, _ in pairs:
            full.names[joined[a]] = list(full.names.get(a, []))
        branch = Branch(region, [], joins, condition=present)
        tail = full.body[self.stop :]
        _substitute(full, tail, joined)
        full.body = [*full.body[: self.start], branch, *tail]

    def _into_base(self, present: Present, pairs: list[tuple[Value, Value]]) -> None:
        """The region's steps copied, with the base's own values for what they read."""
        back: dict[Value, Value] = {a: b for b, a in self.twins.items()}
        names = self.base.names
        region = [
            _copied(i, back, names, self.full.names)
            for i in self.full.body[self.start : self.stop]
        ]
        joined = {b: Value(b.dtype, b.shape, b.witness) for _, b in pairs}
        joins = [(joined[b], back[a], b) for a, b in pairs]
        for a, b in pairs:
            names[joined[b]] = list(self.full.names.get(a, []))
        head, tail = self.base.body[: self.start], self.base.body[self.start :]
        _substitute(self.base, tail, joined, only=pairs, plan=self)
        branch = Branch(region, [], joins, condition=present)
        self.base.body = [*head, branch, *tail]

    def places(self, pairs: list[tuple[Value, Value]]) -> set[tuple[int, str]]:
        """Where in the tail the full body reads the region's values."""
        made = {a for a, _ in pairs}
        return {
            (k, name)
            for k, item in enumerate(self.full.body[self.stop :])
            for name, arg in _named_args(item)
            if any(isinstance(v, Value) and v in made for v in atoms(arg))
        }


def _named_args(item: Item) -> list[tuple[str, Arg]]:
    if isinstance(item, Op):
        return list(item.args.items())
    if isinstance(item, Call):
        return [(str(k), a) for k, a in enumerate(item.args)]
    return [("value", item.value)] if isinstance(item, Write) else []


def _substitute(
    function: Function,
    tail: list[Item],
    joined: dict[Value, Value],
    only: list[tuple[Value, Value]] | None = None,
    plan: _Plan | None = None,
) -> None:
    """Read the joined values in the tail; in the base only where the full body does."""
    places = None if plan is None or only is None else plan.places(only)

    def visit(arg: Arg) -> Arg:
        return joined.get(arg, arg) if isinstance(arg, Value) else arg

    for k, item in enumerate(tail):
        for name, arg in _named_args(item):
            if places is not None and (k, name) not in places:
                continue
            if isinstance(item, Op):
                item.args[name] = map_arg(visit, arg)
            elif isinstance(item, Call):
                item.args[int(name)] = map_arg(visit, arg)
            elif isinstance(item, Write):
                item.value = map_arg(visit, arg)
    if plan is None or only is None:
        function.result = map_arg(visit, function.result)
        return
    made = {a for a, _ in only}
    joining = iter([a in made for a in parts(plan.full.result)])
    function.result = map_arg(
        lambda arg: visit(arg) if next(joining) else arg, function.result
    )


def _copied(
    item: Item,
    back: dict[Value, Value],
    names: dict[Any, list[str]],
    source: dict[Any, list[str]],
) -> Item:
    def read(arg: Arg) -> Arg:
        if isinstance(arg, Dim):
            return Dim(
                arg.text,
                tuple(map_arg(read, a) for a in arg.args),
                arg.value,
                arg.witness,
            )
        return back.get(arg, arg) if isinstance(arg, Value) else arg

    def made(arg: Arg) -> Arg:
        if isinstance(arg, Value):
            back[arg] = Value(arg.dtype, arg.shape, arg.witness)
            names[back[arg]] = list(source.get(arg, []))
            return back[arg]
        return arg

    if isinstance(item, Op):
        args = {k: map_arg(read, v) for k, v in item.args.items()}
        return Op(item.name, args, map_arg(made, item.result), item.overload, item.state,
                  item.kind, item.owner, item.closes, item.line)  # fmt: skip
    assert isinstance(item, Call)
    args_ = [map_arg(read, a) for a in item.args]
    return Call(
        item.function, item.path, args_, map_arg(made, item.result), {}, item.line
    )


def _key(item: Item) -> Any:
    if isinstance(item, Op):
        leaves = tuple(a.path for a in args_of(item) if isinstance(a, (Leaf, Node)))
        return "op", item.name, item.kind, item.state, leaves, item.line
    if isinstance(item, Call):
        return "call", item.path, item.function.class_name
    return (type(item).__name__, getattr(item, "path", None))


def _is_below(item: Item, child: str) -> bool:
    paths = [a.path for a in args_of(item) if isinstance(a, (Leaf, Node))]
    paths += [item.path] if isinstance(item, Call) else []
    return any(p[:1] == (child,) for p in paths)


__all__ = ["Guard", "items_in", "unify_optional"]
