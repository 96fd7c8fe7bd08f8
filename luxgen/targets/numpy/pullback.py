"""The text of functions that return a pullback: the nested function, its steps."""

from __future__ import annotations

import ast
from typing import Any

from luxgen.ir.program import (
    Cotangents,
    Item,
    Loop,
    Op,
    Path,
    Pull,
    Unwind,
)
from luxgen.ir.tree import Tree, leaves_of
from luxgen.ir.values import Arg, Leaf, Node, Structure, Value
from luxgen.targets.numpy.body import Body
from luxgen.targets.numpy.loop_reads import kinds_read
from luxgen.targets.numpy.naming import safe

# Ops worth not doing where nobody asks for the inputs' cotangents.
COSTLY = frozenset({
    "matmul", *(f"conv{n}d_input_backward" for n in (1, 2, 3)),
    *(f"conv_transpose{n}d_input_backward" for n in (1, 2, 3)),
})  # fmt: skip


class VjpBody(Body):
    """Writes the body of a function with a pullback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.complete: dict[Path, ast.expr] = {}  # gradients of children, by name
        self.lazy = self._lazy()
        for value in self.lazy:
            self._name_apart(value)

    def _name_apart(self, value: Value) -> None:
        """A variable of its own for what may be None."""
        chosen, root = self.schedule.names.chosen, self.schedule.groups.find(value)
        name = chosen.get(root)
        if name and any(n == name and v is not root for v, n in chosen.items()):
            chosen[root] = self._fresh(name)

    @property
    def is_main(self) -> bool:
        """The model's own function, whose pullback is what users call."""
        return self.function.name == "vjp"

    def _lazy(self) -> set[Value]:
        """Last steps of the model's way back to its inputs: training doesn't need them."""
        pullback = self.function.pullback
        assert pullback is not None
        if not self.is_main:
            return set()
        results = (v for v in pullback.results if isinstance(v, Value))
        makers = {v: self.schedule.maker.get(v) for v in results}
        return {
            v
            for v, maker in makers.items()
            if isinstance(maker, Op)
            and maker.result is v
            and maker.name in COSTLY
            and len(self.schedule.uses.get(v, [])) == 1
        }

    def compute(self, item: Any) -> ast.expr:
        expression = super().compute(item)
        if isinstance(item.result, Value) and item.result in self.lazy:
            return ast.IfExp(ast.Name("inputs"), expression, ast.Constant(None))
        return expression

    def op(self, op: Op) -> ast.expr:
        if op.name == "grown":
            return self._gradient(op.args["tree"].path, op.args["leaves"])
        if op.name == "as_node":
            return self._node(op.args["tree"], self.arg(op.args["leaves"]))
        return super().op(op)

    def _node(self, node: Node, leaves: ast.expr) -> ast.expr:
        """A plain tuple of cotangents as the class of `node`."""
        tree = self.access.tree("ps", node.path)
        name = self.class_names.get(tree)
        if name is None:
            return leaves
        return ast.Call(ast.Name(name), [ast.Starred(leaves, ast.Load())], [])

    # -- steps --------------------------------------------------------------------

    def keep(self, loop: Loop) -> None:
        if loop.tape is None:
            return
        kept = [ast.unparse(self.arg(a)) for a in loop.saved]
        one = kept[0] if len(kept) == 1 else f"({', '.join(kept)})"
        self.line(f"{self.schedule.name(loop.tape)}.append({one})")

    def items(self, items: list[Item]) -> None:
        """Write `items`; in a pullback also the gradients that are then complete."""
        pullback = self.function.pullback
        if pullback is None or items is not pullback.body:
            super().items(items)
            return
        for item in items:
            super().items([item])
            self._emit_ready(
                self.schedule.end.get(id(item)) or self.schedule.position[id(item)]
            )

    def _emit_ready(self, position: int) -> None:
        """`d_fc1 = Affine(...)`: a child of `ps` whose cotangents are all known."""
        pullback = self.function.pullback
        assert pullback is not None
        due = [p for p in self.schedule.ready if p <= position]
        for child in [c for p in due for c in self.schedule.ready.pop(p)]:
            if not child:
                continue
            tree = self._gradient(child, _below(pullback.ps or {}, child[0]))
            if _is_short(tree):
                self.complete[child] = tree
                continue
            name = self._fresh(f"d_{safe(child[0], ())}")
            self.line(f"{name} = {ast.unparse(tree)}")
            self.complete[child] = ast.Name(name)

    def backward(self, item: Pull | Unwind) -> None:
        if isinstance(item, Pull):
            self._pull(item)
        else:
            self._unwind(item)

    def _pull(self, pull: Pull) -> None:
        targets = [self._target(v) for v in pull.results]
        if pull.tree is not None:
            targets.append(self._target(pull.tree))
        given = ", ".join(ast.unparse(self.arg(a)) for a in pull.given)
        called = f"{ast.unparse(self.arg(pull.pullback))}({given})"
        self.line(f"{', '.join(targets)} = {called}" if targets else called)

    def _unwind(self, unwind: Unwind) -> None:
        loop, star = unwind.loop, (*unwind.loop.path, "*")
        self._assign_all([(i, self.arg(first)) for i, first, _, _ in unwind.carried])
        collected = None
        if unwind.trees is not None and self._is_used(unwind.trees):
            collected = self.schedule.name(unwind.trees)
            self.line(f"{collected} = []")
        columns, variables = self._unwound_columns(unwind)
        heads = ", ".join(variables)
        if len(columns) == 1:
            self.line(f"for {heads} in {columns[0]}:")
        else:
            self.line(f"for {heads} in zip({', '.join(columns)}, strict=True):")
        self.indent += 1
        before = dict(self.access.firsts)
        self.access.firsts[loop.path] = loop.start
        self.items(unwind.body)
        if collected is not None:
            tree = ast.unparse(self._gradient(star, unwind.leaves))
            self.line(f"{collected}.append({tree})")
        self._assign_all([(r, self.arg(last)) for _, _, last, r in unwind.carried])
        self.indent -= 1
        self.access.firsts = before
        for key in [k for k in self.access.aliases if k[1] == star]:
            del self.access.aliases[key]

    def _unwound_columns(self, unwind: Unwind) -> tuple[list[str], list[str]]:
        """What the way back iterates over, and its variables."""
        loop, star = unwind.loop, (*unwind.loop.path, "*")
        columns, variables = [], []
        if unwind.saved:
            names = [self.schedule.name(v) or "_" for v in unwind.saved]
            columns.append(f"reversed({ast.unparse(self.arg(unwind.tape))})")
            variables.append(names[0] if len(names) == 1 else f"({', '.join(names)})")
        reads = kinds_read(unwind, star) & {"ps"}
        if reads or self._builds_zeros(unwind, star):
            tree = self.access.tree("ps", loop.path)
            assert isinstance(tree, Tree)
            column = ast.unparse(self.access.expression("ps", loop.path))
            if loop.start or loop.stop != tree.length:
                column = f"{column}[{loop.start}:{loop.stop}]"
            columns.append(f"reversed({column})")
            variables.append(self._fresh("ps_i"))
            self.access.aliases[("ps", star)] = variables[-1]
        options: list[str] = []
        self._option_columns(unwind.body, options, variables)
        columns += [f"reversed({text})" for text in options]
        if not columns:
            columns.append(f"range({loop.stop - loop.start})")
            variables.append("_")
        return columns, variables

    def _builds_zeros(self, unwind: Unwind, star: Path) -> bool:
        """Some leaf of the element has no cotangent: its zeros need the element."""
        if not unwind.leaves:
            return False
        self.access.firsts[unwind.loop.path] = unwind.loop.start
        return any(
            True for _ in self._without(self.access.tree("ps", star), (), unwind.leaves)
        )

    def _without(self, tree: Any, path: Path, found: Cotangents) -> list[Path]:
        """Leaves below `tree` that `found` says nothing of."""
        if path in found:
            return []
        if isinstance(tree, Leaf):
            return [path]
        children = tree.children if isinstance(tree, Tree) else {}
        return [
            p for n, c in children.items() for p in self._without(c, (*path, n), found)
        ]

    # -- gradients of leaves --------------------------------------------------------

    def _gradient(self, path: Path, found: Cotangents) -> ast.expr:
        """The cotangent of the node at `path`, from those of what is below it."""
        if path in self.complete:
            return self.complete[path]
        if () in found:
            return self.arg(found[()])
        tree = self.access.tree("ps", path)
        if not found or not isinstance(tree, Tree):
            return self._no_gradient(path, tree)
        if tree.sequence:
            return self._sequence_gradient(path, tree, found)
        spread = next((p for p in found if ":" in p[0]), None)
        if spread is not None and len(found) == 1 and _covers(spread[0], tree):
            gathered = ast.Starred(self.arg(found[spread]), ast.Load())
            return ast.Call(ast.Name(self.class_names[tree]), [gathered], [])
        parts = [self._child_gradient(path, n, found) for n in tree.children]
        return ast.Call(ast.Name(self.class_names[tree]), parts, [])

    def _child_gradient(self, path: Path, name: str, found: Cotangents) -> ast.expr:
        """Of one child, on its own or an element of what a loop gathered."""
        for key, d in found.items():
            low, _, high = key[0].partition(":")
            if high and name.isdigit() and int(low) <= int(name) < int(high):
                place = ast.Constant(int(name) - int(low))
                return ast.Subscript(self.arg(d), place, ast.Load())
        return self._gradient((*path, name), _below(found, name))

    def _no_gradient(self, path: Path, tree: Any) -> ast.expr:
        if isinstance(tree, Leaf):
            zeros = ast.parse("np.zeros_like(leaf)", mode="eval").body
        elif isinstance(tree, Tree) and any(True for _ in leaves_of(tree)):
            zeros = ast.parse("zeros_of(leaf)", mode="eval").body
        else:
            return self.access.expression("ps", path)
        assert isinstance(zeros, ast.Call)
        zeros.args = [self.access.expression("ps", path)]
        return zeros

    def _sequence_gradient(self, path: Path, tree: Tree, found: Cotangents) -> ast.expr:
        """A tuple: ranges that loops gathered, and single elements."""
        ranges = {p[0]: d for p, d in found.items() if ":" in p[0]}
        starts = {int(name.split(":")[0]): name for name in ranges}
        places: list[ast.expr] = []
        k = 0
        while k < tree.length:
            if k in starts:
                name = starts[k]
                stop = int(name.split(":")[1])
                gathered = self.arg(ranges[name])
                if k == 0 and stop == tree.length:
                    return gathered
                places.append(ast.Starred(gathered, ast.Load()))
                k = stop
                continue
            below = _below(found, str(k))
            if str(k) in tree.children:
                places.append(self._gradient((*path, str(k)), below))
            else:
                places.append(ast.Constant(None))
            k += 1
        return ast.Tuple(places, ast.Load())

    # -- the nested function --------------------------------------------------------

    def _return(self) -> None:
        pullback = self.function.pullback
        assert pullback is not None
        if self.is_main and not isinstance(self.function.result, Value):
            self.line(f"def pullback(dy: Any{self._inputs()}) -> {self._kinds()}:")
            self.indent += 1
            self._take_apart(self.function.result)
        else:
            names = [self.schedule.name(v) or "_" for v in pullback.params]
            given = ", ".join(f"{n}: Array" for n in names)
            self.line(f"def pullback({given}{self._inputs()}) -> {self._kinds()}:")
            self.indent += 1
        self.shapes = lambda _: ""  # a cotangent has its value's
        self._emit_ready(self.schedule.middle)
        self.items(pullback.body)
        outs = self._outs()
        one = self.is_main and len(outs) == 1  # still a tuple
        self.line(f"return ({outs[0]},)" if one else f"return {', '.join(outs)}")
        self.indent -= 1
        self._return_with_pullback()

    def _kinds(self) -> str:
        """The type of what the pullback returns."""
        pullback = self.function.pullback
        assert pullback is not None
        found = dict(zip(pullback.outs, pullback.results, strict=True))
        if not self.is_main:
            kinds = ["Array" for _ in pullback.results]
        else:
            required = (p.arg for p in self.function.params if p.required)
            kinds = [self._kind(arg, found) for arg in required]
        if self.is_main or pullback.ps:
            kinds.append(self.class_names.get(self.access.tree("ps", ()), "Any"))
        alone = len(kinds) == 1 and not self.is_main
        return kinds[0] if alone else f"tuple[{', '.join(kinds)}]"

    def _kind(self, arg: Arg, found: dict[Value, Arg]) -> str:
        if not isinstance(arg, Value):
            return "Any"
        d = found.get(arg)
        if d is None:
            return "None"
        return "Array | None" if d in self.lazy else "Array"

    def _inputs(self) -> str:
        return ", *, inputs: bool = True" if self.lazy else ""

    def _take_apart(self, result: Arg) -> None:
        """The cotangents in `dy`, which has the structure of the result."""
        pullback = self.function.pullback
        assert pullback is not None
        known = dict(zip(pullback.of, pullback.params, strict=True))

        def visit(arg: Arg, text: str) -> None:
            if isinstance(arg, Value):
                d = known.get(arg)
                if d is not None and self._is_used(d):
                    self.line(f"{self.schedule.name(d)} = {text}")
            elif isinstance(arg, Structure):
                for k, (_, inner) in enumerate(arg.fields):
                    visit(inner, f"{text}[{k}]")
            elif isinstance(arg, (tuple, list)):
                for k, inner in enumerate(arg):
                    visit(inner, f"{text}[{k}]")
            elif isinstance(arg, dict):
                for key, inner in arg.items():
                    visit(inner, f"{text}[{key!r}]")

        visit(result, "dy")

    def _outs(self) -> list[str]:
        """What the pullback returns: cotangents of the arguments, then of `ps`."""
        pullback = self.function.pullback
        assert pullback is not None
        found = dict(zip(pullback.outs, pullback.results, strict=True))
        texts = []
        if self.is_main:
            for param in self.function.params:
                if param.required:
                    texts.append(ast.unparse(self._cotangent(param.arg, found)))
        else:
            texts = [ast.unparse(self.arg(d)) for d in pullback.results]
        if self.is_main or pullback.ps:
            texts.append(ast.unparse(self._gradient((), pullback.ps or {})))
        return texts

    def _cotangent(self, arg: Arg, found: dict[Value, Arg]) -> ast.expr:
        if isinstance(arg, Value):
            return self.arg(found.get(arg))
        if isinstance(arg, (tuple, list)):
            parts = [self._cotangent(a, found) for a in arg]
            return ast.Tuple(parts, ast.Load())
        if isinstance(arg, dict):
            keys: list[ast.expr | None] = [ast.Constant(k) for k in arg]
            return ast.Dict(keys, [self._cotangent(a, found) for a in arg.values()])
        if isinstance(arg, Structure):
            return ast.Tuple(
                [self._cotangent(a, found) for _, a in arg.fields], ast.Load()
            )
        return ast.Constant(None)

    def _return_with_pullback(self) -> None:
        result = ast.unparse(self.result(self.function.result))
        state = ""
        if self.function.updates or self.is_main:
            state = f", {ast.unparse(self._rebuilt(()))}"
        self.line(f"return {result}{state}, pullback")


def _covers(span: str, tree: Tree) -> bool:
    """Whether a range of children is all there are."""
    low, high = span.split(":")
    return list(tree.children) == [str(k) for k in range(int(low), int(high))]


def _is_short(tree: ast.expr) -> bool:
    """A name, or one made a tuple or a class of its own: no line of its own."""
    if not isinstance(tree, ast.Call):
        return isinstance(tree, ast.Name)
    spread = [a for a in tree.args if isinstance(a, ast.Starred)]
    return ast.unparse(tree.func) == "tuple" or bool(spread)


def _below(found: Cotangents, name: str) -> Cotangents:
    """The cotangents below child `name`."""
    return {p[1:]: d for p, d in found.items() if p[:1] == (name,)}
