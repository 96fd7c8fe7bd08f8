"""Print the folded statements of `setup`, at most 88 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from luxgen.targets.numpy.setup_fold import (
    EACH,
    Block,
    For,
    Line,
    Many,
    Name,
    Names,
    Number,
    Numbers,
    Part,
    Shape,
    Stmt,
    Var,
    holes,
    numbered,
)
from luxgen.targets.numpy.setup_mixed import Mixed
from luxgen.targets.numpy.setup_select import select
from luxgen.targets.numpy.setup_wrap import WIDTH, escape, quote, wrap

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Scope:
    """Where a block stands: its indent, the loops around it, what names `EACH`."""

    shapes: Shapes
    indent: int = 4
    loops: Mapping[int, Sequence[str]] = field(default_factory=dict)
    each_shape: str = "shapes[name]"

    def deeper(self, **changes: object) -> Scope:
        return replace(self, indent=self.indent + 4, **changes)  # type: ignore[arg-type]


def render(blocks: Iterable[Block | Mixed], scope: Scope) -> list[str]:
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Mixed):
            lines += _mixed(block, scope)
        elif isinstance(block, Stmt):
            lines += _statements(block.lines, scope)
        elif isinstance(block, Many):
            lines += _many(block, scope)
        else:
            lines += _for(block, scope)
    return lines


_OWN = -1  # the height of a comprehension's variable


def _for(block: For, scope: Scope) -> list[str]:
    depth = len(scope.loops)
    if isinstance(block.values, Numbers):
        used = any(_uses(inner, block.height) for inner in block.body)
        names = [_letter(scope) if used else "_"]
        source = _range(block.values, scope)
    else:
        names = _column_names(block.values[0], depth)
        rows = [_tuple(map(_item, row)) for row in block.values]
        source = _tuple(rows)
    inner = scope.deeper(loops={**scope.loops, block.height: names})
    head = wrap(f"for {', '.join(names)} in {source}:", scope.indent)
    return head + render(block.body, inner)


def _uses(block: Block, height: int) -> bool:
    """Whether the variable of the loop of this height is in the block."""
    found = (
        hole.pieces if isinstance(hole, Name) else (hole,) for hole in holes(block)
    )
    return any(isinstance(p, Var) and p.height == height for ps in found for p in ps)


def _letter(scope: Scope) -> str:
    """A variable for numbers that no loop around uses."""
    used = {name for names in scope.loops.values() for name in names}
    return next(letter for letter in "ijklmopqrstuvwxyz" if letter not in used)


def _column_names(row: Sequence[str | int | float], depth: int) -> list[str]:
    """Names for the columns of a loop's rows: `part` for text, `n`, `m` for numbers."""
    numbers = iter(("n", "m"))
    names = ["part" if isinstance(item, str) else next(numbers) for item in row]
    return [f"{name}{depth}" if depth else name for name in names]


def _item(value: str | int | float) -> str:
    return quote(value) if isinstance(value, str) else _digits(value)


def _tuple(items: Iterable[str]) -> str:
    """Several items in brackets, or the only one bare."""
    texts = list(items)
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def _range(numbers: Numbers, scope: Scope) -> str:
    start, stop = (_number(n, scope) for n in (numbers.start, numbers.stop))
    bounds = [start, stop] if start != "0" or numbers.step != 1 else [stop]
    step = [str(numbers.step)] if numbers.step != 1 else []
    return f"range({', '.join(bounds + step)})"


def _many(block: Many, scope: Scope) -> list[str]:
    """As statements one by one, as a loop over the names or over a selection."""
    each = [line for n in block.names for line in _statements(_of(block, n), scope)]
    cut = _constant(block.lines)
    once, lines = _statements(block.lines[:cut], scope), block.lines[cut:]
    choices = [each, once + _listed(lines, block.names, scope)]
    for head, condition, tail in _described(block.names, scope.shapes, "name", "shape"):
        text = list(once)
        text += _listed(lines, head, scope) if head else []
        text += _selected(lines, condition, scope)
        text += _listed(lines, tail, scope) if tail else []
        choices.append(text)
    return min(choices, key=cost)


def _listed(lines: Sequence[Line], names: Sequence[Name], scope: Scope) -> list[str]:
    if len(names) == 1:
        return _statements(_of(Many(tuple(lines), ()), names[0]), scope)
    source = ", ".join(_name(name, scope) for name in names)
    head = wrap(f"for name in ({source}):", scope.indent)
    return head + _statements(lines, scope.deeper())


def _selected(lines: Sequence[Line], condition: str, scope: Scope) -> list[str]:
    uses = any(part == Shape(EACH) for line in lines for part in line)
    shaped = uses or "shape" in condition
    each = "name, shape in shapes.items()" if shaped else "name in shapes"
    out = wrap(f"for {each}:", scope.indent)
    body = scope.deeper(each_shape="shape" if shaped else scope.each_shape)
    if condition:
        out += wrap(f"if {condition}:", body.indent)
        body = body.deeper()
    return out + _statements(lines, body)


def _mixed(block: Mixed, scope: Scope) -> list[str]:
    """A loop over all leaves, with a branch for each recipe."""
    parts = [p for _, lines in block.cases for line in lines for p in line]
    shaped = Shape(EACH) in parts or any("shape" in test for test, _ in block.cases)
    each = "name, shape in shapes.items()" if shaped else "name in shapes"
    out = wrap(f"for {each}:", scope.indent)
    branch = scope.deeper(each_shape="shape")
    for word, (condition, lines) in zip(
        ("if", *["elif"] * len(block.cases)), block.cases, strict=False
    ):
        if not condition:
            out += wrap("else:", branch.indent)
        else:
            out += wrap(f"{word} {condition}:", branch.indent)
        out += _statements(lines, branch.deeper())
    return out


Described = tuple[Sequence[Name], str, Sequence[Name]]


def _described(
    names: Sequence[Name], shapes: Shapes, name: str, shape: str
) -> Iterator[Described]:
    """Ways to give all names but a few at the ends by a condition."""
    plain = _plain(names)
    if plain is None:
        return
    for ends in range(min(2 * _ENDS, len(names) - 3) + 1):
        for head in range(max(0, ends - _ENDS), min(ends, _ENDS) + 1):
            stop = len(names) - (ends - head)
            condition = select(plain[head:stop], shapes, name, shape)
            if condition is not None:
                yield names[:head], condition, names[stop:]
                return


_ENDS = 3  # names listed before or after a condition


def _constant(lines: Sequence[Line]) -> int:
    """How many of the first lines give numbers that are the same for all leaves."""
    count = 0
    for line in lines:
        if line[0] != "k = " or any(not isinstance(p, (str, Number)) for p in line):
            break
        count += 1
    return count


def _of(block: Many, name: Name) -> tuple[Line, ...]:
    def part(p: Part) -> Part:
        return name if p == EACH else Shape(name) if p == Shape(EACH) else p

    return tuple(tuple(part(p) for p in line) for line in block.lines)


def _plain(names: Sequence[Name]) -> list[str] | None:
    """The names as text, where no loop's variable is in them."""
    if any(isinstance(p, Var) for name in names for p in name.pieces):
        return None
    return ["".join(str(p) for p in name.pieces) for name in names]


def _statements(lines: Sequence[Line], scope: Scope) -> list[str]:
    """The lines as they are, or with the leaf's shape or name in a variable."""
    shapes = {part for line in lines for part in line if isinstance(part, Shape)}
    choices = [_lines(lines, scope)]
    if len(shapes) == 1:
        (shape,) = shapes
        named: dict[Part, str] = {shape: "shape"}
        if _part(shape, scope) != "shape":
            choices.append(_with("shape", shape, named, lines, scope))
        if shape.name != EACH and any(shape.name in line for line in lines):
            named = {shape: "shapes[name]", shape.name: "name"}
            choices.append(_with("name", shape.name, named, lines, scope))
    return min(choices, key=cost)


def _with(
    variable: str,
    value: Part,
    named: Mapping[Part, str],
    lines: Sequence[Line],
    scope: Scope,
) -> list[str]:
    replaced = [tuple(named.get(part, part) for part in line) for line in lines]
    return _lines([(f"{variable} = ", value), *replaced], scope)


def cost(lines: list[str]) -> int:
    """Their number; too wide ones and broken subscripts count as more."""
    wide = sum(len(line) > WIDTH for line in lines)
    return len(lines) + 10 * wide + 2 * sum(line.endswith("w[") for line in lines)


def _lines(lines: Iterable[Line], scope: Scope) -> list[str]:
    out: list[str] = []
    for line in lines:
        choices = [wrap(text, scope.indent) for text in _texts(line, scope)]
        best: list[str] = min(choices, key=cost)
        out += best
    return out


def _texts(line: Line, scope: Scope) -> Iterator[str]:
    """The line with its Names listed; then, with them described."""
    lists = next((part for part in line if isinstance(part, Names)), None)
    spellings = [""] if lists is None else _spellings(lists, scope)
    for spelling in spellings:
        yield "".join(
            spelling if isinstance(part, Names) else _part(part, scope) for part in line
        )


def _spellings(names: Names, scope: Scope) -> list[str]:
    listed = ", ".join(_name(name, scope) for name in names.names)
    out = [f"[{listed}]"]
    loop = numbered(names.names, _OWN)
    if loop is not None:
        values, name = loop
        var = _letter(scope)
        inner = replace(scope, loops={**scope.loops, _OWN: [var]})
        out.append(f"[{_name(name, inner)} for {var} in {_range(values, scope)}]")
    for head, condition, tail in _described(names.names, scope.shapes, "n", "s"):
        source = "n, s in shapes.items()" if "(s)" in condition else "n in shapes"
        chosen = f"[n for {source} if {condition}]" if condition else "shapes"
        if head or tail:
            parts = [_name(name, scope) for name in head]
            parts += [f"*{chosen}", *(_name(name, scope) for name in tail)]
            chosen = f"[{', '.join(parts)}]"
        out.append(chosen)
    return out


def _part(part: Part, scope: Scope) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Number):
        return _number(part.value, scope)
    if isinstance(part, Shape):
        if part.name == EACH:
            return scope.each_shape
        return f"shapes[{_name(part.name, scope)}]"
    assert isinstance(part, Name)
    return _name(part, scope)


def _number(value: int | float | Var, scope: Scope) -> str:
    return _var(value, scope) if isinstance(value, Var) else _digits(value)


def _digits(value: int | float) -> str:
    return f"{value:_}" if type(value) is int and value >= 100_000 else repr(value)


def _var(var: Var, scope: Scope) -> str:
    name = scope.loops[var.height][var.column]
    if not var.offset:
        return name
    return f"{name} {'+' if var.offset > 0 else '-'} {abs(var.offset)}"


def _name(name: Name, scope: Scope) -> str:
    if name == EACH:
        return "name"
    if all(isinstance(p, str) for p in name.pieces):
        return quote("".join(str(p) for p in name.pieces))
    if len(name.pieces) == 1 and isinstance(name.pieces[0], Var):
        var = _var(name.pieces[0], scope)
        if var.startswith("part"):
            return var
    text = "".join(
        f"{{{_var(p, scope)}}}"
        if isinstance(p, Var)
        else escape(p).replace("{", "{{").replace("}", "}}")
        for p in name.pieces
    )
    return f'f"{text}"'
