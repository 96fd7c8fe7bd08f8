"""Put a constructor's draws and values in order, as statements that fill `w`."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from luxgen.ir.initial import (
    Call,
    Draw,
    Fill,
    InitProgram,
    Node,
    Read,
    Ref,
    Scalar,
    Write,
    operands,
)
from luxgen.ir.initial import reach as reached
from luxgen.ir.values import Leaf
from luxgen.targets.numpy.setup_draws import Recipe, affine_bound, recipes
from luxgen.targets.numpy.setup_expressions import (
    expression,
    filled,
    is_array,
    obstacle,
    path_expression,
    shortest,
    template,
)
from luxgen.targets.numpy.setup_fold import (
    For,
    Line,
    Name,
    Names,
    Number,
    Numbers,
    Part,
    Shape,
    Stmt,
    Var,
    names_in,
    numbered,
)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Step:
    """A statement of the stream, in all its spellings, best first.

    `leaf` is what it fills by `draw` alone. One that is `unused` is spelled as an
    assignment if the leaf is drawn anew later on, and else as a bare call; it is
    `skippable` if all that it does is to take words from the stream.
    """

    spellings: tuple[Stmt, ...]
    draw: Draw | None = None
    leaf: str = ""
    unused: bool = False
    skippable: bool = False


@dataclass
class Plan:
    """What `setup` does: fill, then compute, then draw in the stream's order."""

    fills: dict[Fill, list[str]] = field(default_factory=dict)
    constants: list[Stmt] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    copies: list[For] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)


def make_plan(
    init: InitProgram, leaves: Iterable[Leaf], keep: Collection[str] = ()
) -> Plan:
    """Order `init` for these leaves; those in `keep` aren't retraced."""
    planner = _Planner(init, {".".join(leaf.path): leaf for leaf in leaves}, keep)
    planner.find_copies()
    planner.decide()
    planner.name_temporaries()
    planner.write()
    return planner.plan


class _Planner:
    """Which nodes get statements of their own, and the statements."""

    def __init__(
        self, init: InitProgram, leaves: Mapping[str, Leaf], keep: Collection[str]
    ) -> None:
        self.nodes, self.init = init.nodes, init
        self.shapes = {name: leaf.shape for name, leaf in leaves.items()}
        self.plan = Plan()
        self.targets: dict[int, list[str]] = {}
        self.values: dict[str, int] = {}
        for name, leaf in leaves.items():
            reason = self._obstacle(name, keep)
            if reason:
                self.plan.stored[name] = reason
            else:
                self.values[name] = self._cast(init.leaves[name].node, leaf.dtype)
                self.targets.setdefault(self.values[name], []).append(name)
        self.live = sorted(reached(self.nodes, list(self.targets)))
        self.users: dict[int, list[int]] = {number: [] for number in self.live}
        for number in self.live:
            for operand in dict.fromkeys(operands(self.nodes[number])):
                self.users[operand].append(number)
        draws = (n for n, node in enumerate(self.nodes) if isinstance(node, Draw))
        self.stream = list(draws)
        self.random: set[int] = set()
        self.named: set[int] = set()
        self.temporaries: dict[int, str] = {}
        self.marks: list[str] = []  # the leaves that placeholders stand for
        self.leaf = ""  # the leaf that the current statement fills

    def _obstacle(self, name: str, keep: Collection[str]) -> str:
        if name in keep:
            return "kept on request"
        if name not in self.init.leaves:
            return self.init.stored.get(name, "the constructor doesn't make it")
        value = self.init.leaves[name].node
        if self.nodes[value].shape != self.shapes[name]:
            return "its shape isn't the constructor's"
        for number in sorted(reached(self.nodes, [value])):
            reason = obstacle(self.nodes[number])
            if reason:
                return reason
        return ""

    def find_copies(self) -> None:
        """Layers that are copies of the first one in all they hold: drawn just once."""
        for names in list(self.targets.values()):
            found = numbered([Name((name,)) for name in names], 1)
            if found is None:
                continue
            numbers, name = found
            prefix, var, rest = (*name.pieces, "", "")[:3]
            if not (isinstance(prefix, str) and isinstance(var, Var)) or var.offset:
                continue
            if isinstance(rest, str) and rest.startswith("."):
                self._copies(prefix, numbers)

    def _copies(self, prefix: str, numbers: Numbers) -> None:
        assert isinstance(numbers.start, int) and isinstance(numbers.stop, int)
        first, *others = (
            {n.removeprefix(start): n for n in self.shapes if n.startswith(start)}
            for start in (
                f"{prefix}{i}."
                for i in range(numbers.start, numbers.stop, numbers.step)
            )
        )
        if any(other.keys() != first.keys() for other in others):
            return
        made = {name: node for node, names in self.targets.items() for name in names}
        for rest, name in first.items():
            if any(made.get(name, -1) != made.get(o[rest], -2) for o in others):
                return
        for rest, name in first.items():
            if not isinstance(self.nodes[made[name]], Fill):
                again = {other[rest] for other in others}
                kept = [n for n in self.targets[made[name]] if n not in again]
                self.targets[made[name]] = kept
        source = Name((f"{prefix}{numbers.start}.",))
        to = Name((prefix, Var(1), "."))
        line: Line = (
            *("w |= {n.replace(", source, ", ", to, ", 1): w[n] for n in shapes if "),
            *("n.startswith(", source, ")}"),
        )
        later = replace(numbers, start=numbers.start + numbers.step)
        self.plan.copies.append(For(1, later, (Stmt((line,)),)))

    def _cast(self, number: int, dtype: str) -> int:
        """The value in the leaf's dtype, if the model was converted afterwards."""
        node = self.nodes[number]
        if node.dtype == dtype:
            return number
        if isinstance(node, Fill):
            self.nodes += (Fill(node.value, node.shape, dtype),)
        else:
            args = (("self", Ref(number)), ("dtype", dtype))
            self.nodes += (Call("_to_copy", args, 0, node.shape, dtype),)
        return len(self.nodes) - 1

    def decide(self) -> None:
        """Print a value inside its only user if no other draw comes between."""
        inside: dict[int, int] = {}  # value -> the draw that would be printed in it
        for number in self.live:
            node = self.nodes[number]
            waiting = [n for n in operands(node) if n in inside]
            waiting = list(dict.fromkeys(waiting))
            if isinstance(node, Draw):
                self.random.add(number)
                self.named.update(waiting)
                inside[number] = number
            else:
                self._wait(number, waiting, inside)
            if self._own_statement(number):
                self.named.add(number)
                inside.pop(number, None)

    def _wait(self, number: int, waiting: list[int], inside: dict[int, int]) -> None:
        if any(n in self.random for n in operands(self.nodes[number])):
            self.random.add(number)
        for operand in waiting:
            first = bisect_left(self.stream, inside[operand] + 1)
            between = first < len(self.stream) and self.stream[first] < number
            if between or len(waiting) > 1:
                self.named.add(operand)
            else:
                inside[number] = inside[operand]

    def _own_statement(self, number: int) -> bool:
        node, users = self.nodes[number], self.users[number]
        if isinstance(node, Fill):
            return False
        if number in self.targets or isinstance(node, Write):
            return True
        if any(self._writes(user, number) for user in users):
            return True
        cheap = isinstance(node, Read) and number not in self.random
        return len(users) > 1 and not cheap

    def _writes(self, user: int, base: int) -> bool:
        node = self.nodes[user]
        return isinstance(node, Write) and node.base.node == base

    # ---- statements ----

    def write(self) -> None:
        for number in sorted({*self.live, *self.stream}):
            node = self.nodes[number]
            if number not in self.users:
                assert isinstance(node, Draw)
                self._unused(number, node)
            elif isinstance(node, Fill) and number in self.targets:
                self.plan.fills.setdefault(node, []).extend(self.targets[number])
            elif number in self.named:
                self._statement(number, node)

    def _statement(self, number: int, node: Node) -> None:
        place, leaf = self._place(number)
        self.leaf = leaf
        if isinstance(node, Write):
            lines = self._write_lines(number, node, place)
            rest = self._others(number, place)
            self._emit(number, (Stmt((*lines, *rest)),), None)
        elif isinstance(node, Draw):
            self._draw(number, node, place, leaf)
        else:
            value = expression(node, self.nodes, self._show)
            if self._grows(number) and not is_array(node):
                value = template("x.copy()", x=value)
            if leaf and not node.shape:  # NumPy scalars aren't arrays
                value = template("np.array(x)", x=value)
            self._emit(number, (Stmt(self._assign(number, place, value)),), None)

    def _emit(
        self, number: int, spellings: tuple[Stmt, ...], draw: Draw | None
    ) -> None:
        if number in self.random:
            alone = draw is not None and len(self.targets.get(number, ())) < 2
            leaf = self.leaf if alone else ""
            self.plan.steps.append(Step(spellings, draw, leaf))
        else:
            self.plan.constants += spellings

    def _draw(self, number: int, node: Draw, place: str, leaf: str) -> None:
        spellings = []
        for recipe in self._recipes(node, leaf):
            value = template(recipe.text)
            if leaf and not node.shape:  # NumPy scalars aren't arrays
                value = template("np.array(x)", x=value)
            lines = self._assign(number, place, value)
            k = [self._line(f"k = {recipe.k}")] if recipe.k else []
            spellings.append(Stmt((*k, *lines)))
        self._emit(number, tuple(spellings), node)

    def _unused(self, number: int, node: Draw) -> None:
        """Pass over its words, or draw into a leaf that is drawn anew later."""
        spellings: list[Stmt] = []
        leaf = next(
            (
                name
                for name in self.init.drawn_into.get(number, ())
                if self._replaced(name, number) and self.shapes[name] == node.shape
            ),
            "",
        )
        if leaf:
            for recipe in self._recipes(node, leaf):
                k = [self._line(f"k = {recipe.k}")] if recipe.k else []
                line = self._line(f"w[{self._mark(leaf)}] = {recipe.text}")
                spellings.append(Stmt((*k, line)))
        elif node.kind != "unknown":
            plain = next(r for r in self._recipes(node, "") if not r.k)
            spellings.append(Stmt((self._line(plain.text),)))
        self.plan.steps.append(Step(tuple(spellings), node, leaf, unused=True))

    def _replaced(self, name: str, number: int) -> bool:
        """Whether a later statement of the stream gives the leaf a whole new value."""
        if name not in self.shapes or name in self.plan.stored:
            return False
        made = self.random.intersection(reached(self.nodes, [self.values[name]]))
        return bool(made) and min(made) > number

    def _recipes(self, node: Draw, leaf: str) -> list[Recipe]:
        alone = bool(leaf) and len(self.targets[self.values[leaf]]) == 1
        mine = alone and self.shapes[leaf] == node.shape
        text = f"shapes[{self._mark(leaf)}]" if mine else repr(node.shape)

        def show(ref: Ref) -> str:
            return ast.unparse(self._show(ref.node))

        return recipes(node, text, node.shape if mine else None, show)

    def _assign(self, number: int, place: str, value: ast.expr) -> tuple[Line, ...]:
        text, others = ast.unparse(value), self.targets.get(number, [])
        if self._grows(number) or len(others) < 2:
            return (self._line(f"{place} = {text}"),)
        names = Names(tuple(Name((name,)) for name in others))
        return (("w |= dict.fromkeys(", names, ", ", *self._line(text), ")"),)

    def _write_lines(self, number: int, node: Write, place: str) -> list[Line]:
        base, lines = self.nodes[node.base.node], []
        held = self._place(node.base.node)[0] if node.base.node in self.named else ""
        if isinstance(base, Fill):
            empty = Fill(base.value or 0, base.shape, base.dtype)
            shape = ast.parse(self._shape_text(base), mode="eval").body
            lines.append(self._line(f"{place} = {ast.unparse(filled(empty, shape))}"))
        elif held != place:
            lines.append(self._line(f"{place} = {held}.copy()"))
        variable = ast.parse(place, mode="eval").body
        target = path_expression(variable, base.shape, node.path, self._show)
        if not isinstance(target, ast.Subscript):
            target = template("x[...]", x=target)
        written: Scalar | Ref | None = node.value
        if isinstance(written, Ref):
            filling = self.nodes[written.node]
            written = filling.value if isinstance(filling, Fill) else written
        if isinstance(written, Ref):
            value = ast.unparse(self._show(written.node))
        else:
            value = ast.unparse(template("x", x=shortest(written or 0, node.dtype)))
        return [*lines, self._line(f"{ast.unparse(target)} = {value}")]

    def _others(self, number: int, place: str) -> list[Line]:
        """Give the value of a finished chain of writes to the other leaves too."""
        if not isinstance(self.nodes[number], Write):
            return []
        others = tuple(Name((n,)) for n in self.targets.get(number, [])[1:])
        if len(others) < 2:
            return [("w[", name, "] = ", *self._line(place)) for name in others]
        return [("w |= dict.fromkeys(", Names(others), ", ", *self._line(place), ")")]

    # ---- names ----

    def _place(self, number: int) -> tuple[str, str]:
        """Where a named value is kept, and the leaf if it is one."""
        while self._grows(number):
            number = self.users[number][-1]
        leaf = self._becomes(number)
        if leaf:
            return f"w[{self._mark(leaf)}]", leaf
        return self.temporaries[number], ""

    def _becomes(self, number: int) -> str:
        """The leaf that a value is made into, on a path that takes in no other draw."""
        first, shape = number, self.nodes[number].shape
        while number not in self.targets:
            users = self.users[number]
            if first not in self.random or len(users) != 1:
                return ""
            drawn = self.random.intersection(operands(self.nodes[users[0]]))
            if drawn != {number} or isinstance(self.nodes[users[0]], Draw):
                return ""
            number = users[0]
        leaf = self.targets[number][0]
        alone = number == first or len(self.targets[number]) == 1
        return leaf if alone and self.shapes[leaf] == shape else ""

    def name_temporaries(self) -> None:
        """t0, t1 ...: a name is used again once no statement needs its value."""
        ends: dict[str, float] = {}
        for number in sorted(self.named):
            last = number
            while self._grows(last):
                last = self.users[last][-1]
            if self._becomes(last) or last in self.temporaries:
                continue
            end = max((self._last_use(user) for user in self.users[last]), default=last)
            if not self.random.issuperset({last}) and any(
                self._is_late(user) for user in self.users[last]
            ):
                end = float("inf")  # constants come first, and this one is kept
            names = (f"t{k}" for k in range(len(ends) + 1))
            name = next(n for n in names if ends.get(n, -1) < number)
            ends[name] = end
            self.temporaries[last] = name

    def _last_use(self, number: int) -> float:
        """The last statement in which a value is printed."""
        if number in self.named or not self.users[number]:
            return number
        return max(self._last_use(user) for user in self.users[number])

    def _is_late(self, number: int) -> bool:
        return number in self.random or (
            number not in self.named and any(map(self._is_late, self.users[number]))
        )

    def _grows(self, number: int) -> bool:
        """Whether its array is only there to be written into by the next value."""
        users = self.users[number]
        if not users or number in self.targets or isinstance(self.nodes[number], Fill):
            return False
        return self._writes(users[-1], number) and self._only(number, users[-1])

    def _only(self, number: int, statement: int) -> bool:
        """Whether all that reads it is printed inside this statement."""
        return all(
            user == statement
            or (
                user not in self.named
                and user not in self.targets
                and self._only(user, statement)
            )
            for user in self.users[number]
        )

    def _show(self, number: int) -> ast.expr:
        if number in self.named:
            return ast.parse(self._place(number)[0], mode="eval").body
        node = self.nodes[number]
        if isinstance(node, Draw):
            best = self._recipes(node, self.leaf)
            plain = next((r for r in best if not r.k), best[-1])
            return template(plain.text)
        if isinstance(node, Fill):
            shape = ast.parse(self._shape_text(node), mode="eval").body
            return filled(Fill(node.value or 0, node.shape, node.dtype), shape)
        return expression(node, self.nodes, self._show)

    def _shape_text(self, node: Fill) -> str:
        mine = self.leaf and self.shapes[self.leaf] == node.shape
        return f"shapes[{self._mark(self.leaf)}]" if mine else repr(node.shape)

    def _mark(self, leaf: str) -> str:
        """A placeholder, so that names never pass through a parser."""
        if leaf not in self.marks:
            self.marks.append(leaf)
        return f"_leaf_{self.marks.index(leaf)}_"

    def _line(self, text: str) -> Line:
        """Text with placeholders and numbers taken out as parts."""
        plain = re.sub(r"\*\* \((-[\d.]+)\)", r"** \1", ast.unparse(ast.parse(text)))
        plain = re.sub(r"(?<![\w.])(\d+) \*\* (?=-?[\d.])", r"\1**", plain)
        return tuple(_parts(plain, self.marks))


_TOKEN = re.compile(
    r"shapes\[_leaf_(\d+)_\]|_leaf_(\d+)_"
    r"|(?<![\w.])(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w.])"
)


def _parts(text: str, marks: list[str]) -> Iterable[Part]:
    at = 0
    for match in _TOKEN.finditer(text):
        if match.start() > at:
            yield text[at : match.start()]
        shape, leaf, number = match.groups()
        if shape is not None:
            yield Shape(Name((marks[int(shape)],)))
        elif leaf is not None:
            yield Name((marks[int(leaf)],))
        else:
            yield Number(float(number) if set(number) & set(".e") else int(number))
        at = match.end()
    if at < len(text):
        yield text[at:]


def merged(steps: Iterable[Step]) -> list[Step]:
    """Writes of constants into a leaf joined to its draw just before, as one recipe."""
    out: list[Step] = []
    for step in steps:
        before = out[-1] if out else Step(())
        extra = step.spellings[0].lines if step.spellings else ()
        draws = any("draw_" in p for line in extra for p in line if isinstance(p, str))
        about = {name for line in extra for part in line for name in names_in(part)}
        if (
            before.leaf
            and not before.unused
            and step.draw is None
            and not draws
            and about == {Name((before.leaf,))}
        ):
            longer = (Stmt((*s.lines, *extra)) for s in before.spellings)
            out[-1] = replace(before, spellings=tuple(longer))
        else:
            out.append(step)
    return out


def is_affine_weight(step: Step, shapes: Shapes) -> bool:
    name = step.leaf
    if step.draw is None or not (name == "weight" or name.endswith(".weight")):
        return False
    shape = shapes[name]
    return len(shape) > 1 and affine_bound(step.draw, shape)
