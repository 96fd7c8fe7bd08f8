"""Which values get a variable, which are written where they are used, and names."""

from __future__ import annotations

from collections.abc import Iterator

from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Item,
    Loop,
    Op,
    Path,
    Pullback,
    Unwind,
    args_of,
    items_in,
    outs_of,
)
from luxgen.ir.values import Arg, Value, atoms
from luxgen.targets.numpy.naming import Groups, Names

DEEPEST = 3  # ops nested in one expression beyond what the source itself names


class Schedule:
    """Names and nesting for one function's body.

    Every item gets a position in program order; a value lives from the position that
    defines it to the last that reads it, where an op written inside its reader reads
    its own arguments there, and whatever a loop reads lives to the loop's end.
    """

    def __init__(self, function: Function, reserved: frozenset[str]) -> None:
        self.function = function
        self.position: dict[int, int] = {}
        self.end: dict[int, int] = {}
        self.uses: dict[Value, list[tuple[int, int]]] = {}  # value -> (position, block)
        self.defined: dict[Value, tuple[int, int]] = {}
        self.maker: dict[Value, Item] = {}
        self.inlined: set[int] = set()
        self.groups = Groups()
        self.ready: dict[int, list[Path]] = {}  # children of ps with all cotangents
        self._walk()
        self._choose_inlined()
        self._walk()  # again: what is written inside its reader reads there
        self._couple(function.body)
        if function.pullback is not None:
            self._couple(function.pullback.body)
        self.names = Names(reserved)
        self._name()

    # -- positions ----------------------------------------------------------------

    def _walk(self) -> None:
        self._clock = 0
        self.uses.clear()
        self._number(self.function.body, 0)
        self._clock += 1
        self.middle = self._clock
        if self.function.pullback is not None:
            self._number_pullback(self.function.pullback)
        self._clock += 1
        self.finish = self._clock
        self._use(self.function.result, self.finish, 0)
        self._hold_captured()

    def _number_pullback(self, pullback: Pullback) -> None:
        block = id(pullback)
        for value in pullback.params:
            self.defined[value] = (self._clock, block)
        self._number(pullback.body, block)
        self._clock += 1
        self._use(pullback.results, self._clock, block)
        self.ready = {}
        children: dict[Path, list[Arg]] = {}
        for path, d in (pullback.ps or {}).items():
            if len(path) < 2 or ":" in path[1]:  # written where they are returned
                self._use(d, self._clock, block)
            else:
                children.setdefault(path[:1], []).append(d)
        for child, found in children.items():
            made = [self._made(v) for v in found if isinstance(v, Value)]
            at = max([*made, self.middle])
            self.ready.setdefault(at, []).append(child)
            self._use(found, at + 1, block)

    def _hold_captured(self) -> None:
        """What a pullback reads of its function's values stays as it is to the end."""
        for value, uses in self.uses.items():
            outside = self.defined.get(value, (0, 0))[0] < self.middle
            if outside and any(self.middle < p < self.finish for p, _ in uses):
                uses.append((self.finish + 1, -1))

    def _number(self, items: list[Item], block: int) -> None:
        for item in items:
            self._clock += 1
            self.position[id(item)] = self._clock
            if isinstance(item, (Branch, Loop, Unwind)):
                self._number_block(item, block)
                continue
            if id(item) not in self.inlined:
                for arg in args_of(item):
                    self._use(arg, self._clock, block)
            for value in outs_of(item):
                self.defined[value] = (self._clock, block)
                self.maker[value] = item

    def _number_block(self, item: Branch | Loop | Unwind, block: int) -> None:
        start = self._clock
        if isinstance(item, (Loop, Unwind)):
            if isinstance(item, Unwind):
                self._use(item.tape, start, block)
                for value in item.saved:
                    self.defined[value] = (start, id(item))
            for inside, before, _, _ in item.carried:
                self._use(before, start, block)
                self.defined[inside] = (start, id(item))
            self._number(item.body, id(item))
            self._clock += 1
            kept = item.saved if isinstance(item, Loop) else [*item.leaves.values()]
            self._use(kept, self._clock, id(item))
            for _, _, after, _ in item.carried:
                self._use(after, self._clock, id(item))
            self._stretch(item, start)
        else:
            self._number(item.training, id(item))
            self._clock += 1
            for _, training, _ in item.joins:
                self._use(training, self._clock, id(item))
            self._number(item.testing, id(item) + 1)
            self._clock += 1
            for _, _, testing in item.joins:
                self._use(testing, self._clock, id(item) + 1)
        self.end[id(item)] = self._clock
        for value in outs_of(item):
            gathered = value.dtype in ("tape", "tree") and not isinstance(item, Branch)
            self.defined[value] = (start if gathered else self._clock, block)

    def _stretch(self, loop: Loop | Unwind, start: int) -> None:
        """What a loop reads from outside lives until the loop ends."""
        for value, uses in self.uses.items():
            outside = self.defined.get(value, (0, 0))[0] < start
            if outside and any(p > start for p, _ in uses):
                uses.append((self._clock, id(loop)))

    def _use(self, arg: Arg, position: int, block: int) -> None:
        for atom in atoms(arg):
            if not isinstance(atom, Value):
                continue
            self.uses.setdefault(atom, []).append((position, block))
            maker = self.maker.get(atom)
            if maker is not None and id(maker) in self.inlined:
                for inner in args_of(maker):
                    self._use(inner, position, block)

    # -- nesting ------------------------------------------------------------------

    def _choose_inlined(self) -> None:
        """From the last op back: unnamed, read once, in the same block."""
        depth: dict[int, int] = {}
        readers = self._readers()
        for value, item in reversed(list(self.maker.items())):
            if not isinstance(item, (Op, Call)) or not isinstance(item.result, Value):
                continue
            uses = self.uses.get(value, [])
            single = len(uses) == 1 and uses[0][1] == self.defined[value][1]
            named = bool(self.function.names.get(value))
            reader = readers.get(value)
            nesting = depth.get(id(reader), 0) + 1
            if single and not named and not self.is_line(item) and nesting <= DEEPEST:
                self.inlined.add(id(item))
                depth[id(item)] = nesting

    def _readers(self) -> dict[Value, Item]:
        return {
            arg: item
            for item in self._items()
            for arg in args_of(item)
            if isinstance(arg, Value)
        }

    def _items(self) -> Iterator[Item]:
        yield from items_in(self.function.body)
        if self.function.pullback is not None:
            yield from items_in(self.function.pullback.body)

    @staticmethod
    def keeps_state(item: Item) -> bool:
        if isinstance(item, Op):
            return item.state is not None
        return isinstance(item, Call) and item.function.updates

    @classmethod
    def is_line(cls, item: Item) -> bool:
        """A step that gives more than its result: never inside an expression."""
        return cls.keeps_state(item) or (
            isinstance(item, Call) and item.pullback is not None
        )

    # -- variables ----------------------------------------------------------------

    def _couple(self, items: list[Item]) -> None:
        """Carried and joined values share a variable with their sources if they can."""
        for item in items:
            if isinstance(item, (Loop, Unwind)):
                for inside, before, after, result in item.carried:
                    self.groups.join(result, inside)
                    if (
                        isinstance(after, Value)
                        and self._only_read(after, self.end[id(item)])
                        and self._only_read(inside, self._made(after))
                    ):
                        self.groups.join(result, after)
                    start = self.position[id(item)]
                    if isinstance(before, Value) and self._only_read(before, start):
                        self.groups.join(result, before)
                self._couple(item.body)
            elif isinstance(item, Branch):
                sides = [side for _, *both in item.joins for side in both]
                for value, *both in item.joins:
                    for side in both:
                        if not isinstance(side, Value) or side not in self.maker:
                            continue
                        inner = self.defined[side][0] > self.position[id(item)]
                        if inner and sides.count(side) == 1:
                            self.groups.join(value, side)
                self._couple(item.training)
                self._couple(item.testing)

    def _made(self, value: Value) -> int:
        return self.defined.get(value, (0, 0))[0]

    def _only_read(self, value: Value, position: int) -> bool:
        """`value` isn't read after `position`, and isn't written inside an expression."""
        maker = self.maker.get(value)
        if maker is not None and id(maker) in self.inlined:
            return False
        return all(p <= position for p, _ in self.uses.get(value, []))

    def _name(self) -> None:
        members: dict[Value, list[Value]] = {}
        values = [
            a
            for p in self.function.params
            for a in atoms(p.arg)
            if isinstance(a, Value)
        ]
        params = set(values)
        for value in self.defined:
            maker = self.maker.get(value)
            if maker is None or id(maker) not in self.inlined:
                values.append(value)
        for value in values:
            members.setdefault(self.groups.find(value), []).append(value)
        order = sorted(members.items(), key=lambda m: self._span(m[1])[0])
        for root, group in order:
            low, high = self._span(group)
            if any(v in params for v in group):
                own = [
                    p.name
                    for p in self.function.params
                    if any(p.arg is v for v in group)
                ]
                if not own:
                    continue  # inside a container: read from it
                wanted = own
            else:
                wanted = self._wanted(group)
            self.names.give(root, wanted, (low, high))

    def _span(self, group: list[Value]) -> tuple[int, int]:
        lows = [self.defined.get(v, (0, 0))[0] for v in group]
        highs = [p for v in group for p, _ in self.uses.get(v, [])]
        return min(lows), max([*highs, *(n + 1 for n in lows)])

    def _wanted(self, group: list[Value]) -> list[str]:
        """The source's names; else the name of what the value was made from."""
        wanted = [n for v in group for n in self.function.names.get(v, [])]
        if self.function.pullback is not None:
            like = self.function.pullback.like
            primal = (like[v] for v in group if isinstance(like.get(v), Value))
            chosen = (self.names.chosen.get(self.groups.find(v)) for v in primal)
            named = [f"d_{name}" for name in chosen if name] + wanted
            if named and named[0].startswith("d_"):
                return named
            if any(self.defined.get(v, (0, 0))[0] > self.middle for v in group):
                return [*wanted, "d", "d_x", "d_y"]
        if wanted and any(v.dtype in ("pullback", "tape", "opaque") for v in group):
            return wanted
        if not wanted:
            for value in group:
                maker = self.maker.get(value)
                read = args_of(maker) if maker is not None else iter(())
                first = next((a for a in read if isinstance(a, Value)), None)
                name = first and self.names.chosen.get(self.groups.find(first))
                wanted += [name] if name else []
        if wanted and all(v.dtype == "opaque" for v in group):
            return wanted
        return [*wanted, "x", "y", "z"]

    def name(self, value: Value) -> str | None:
        return self.names.chosen.get(self.groups.find(value))
