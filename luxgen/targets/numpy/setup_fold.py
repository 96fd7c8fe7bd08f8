"""Fold the statements of `setup`: runs of one recipe, and loops over numbered names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

LONGEST = 64  # statements in the body of a loop that is looked for


@dataclass(frozen=True, slots=True)
class Var:
    """A loop's variable, by the height of the loop, plus a constant.

    A loop over rows has one for each column.
    """

    height: int
    offset: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Name:
    """A leaf's name, in pieces: text, and variables of loops around it."""

    pieces: tuple[str | Var, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a leaf."""

    name: Name


@dataclass(frozen=True, slots=True)
class Names:
    """Several names, in order."""

    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Number:
    value: int | float | Var


Part = str | Name | Shape | Names | Number
Line = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Stmt:
    """Lines about one leaf, or about several.

    `batch`: two in a row are one with the Names of both.
    """

    lines: tuple[Line, ...]
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Many:
    """One recipe for several leaves; in its lines Name(()) stands for each."""

    lines: tuple[Line, ...]
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A range, whose bounds may follow a loop around it."""

    start: int | Var
    stop: int | Var
    step: int


@dataclass(frozen=True, slots=True)
class For:
    """A loop over numbers, or over rows of names, parts of names and numbers."""

    height: int
    values: Numbers | Rows
    body: tuple[Block, ...]


Rows = tuple[tuple[str | int | float, ...], ...]
Block = Stmt | Many | For
Hole = Name | int | float | Var
Token = str | int | float | Var
EACH = Name(())


def key(stmt: Stmt) -> object | None:
    """The recipe: the lines with the leaf's name taken out, if it is just one."""
    name = primary(stmt.lines)
    return None if name is None or stmt.batch else substitute(stmt.lines, name, EACH)


def primary(lines: Iterable[Line]) -> Name | None:
    """The one leaf that the lines are about."""
    names = {name for line in lines for part in line for name in names_in(part)}
    return names.pop() if len(names) == 1 else None


def substitute(lines: tuple[Line, ...], old: Name, new: Name) -> tuple[Line, ...]:
    def part(p: Part) -> Part:
        if isinstance(p, Shape):
            return Shape(new) if p.name == old else p
        return new if p == old else p

    return tuple(tuple(part(p) for p in line) for line in lines)


def names_in(part: Part) -> Iterator[Name]:
    """The names that a part of a line holds."""
    if isinstance(part, Name):
        yield part
    elif isinstance(part, Shape):
        yield part.name
    elif isinstance(part, Names):
        yield from part.names


# ---- runs ----


def group(blocks: Sequence[Block]) -> list[Block]:
    """Join neighbours that follow one recipe; inside loops too."""
    out: list[Block] = []
    for block in blocks:
        if isinstance(block, For):
            block = replace(block, body=tuple(group(block.body)))
        joined = _join(out[-1], block) if out else None
        if joined is None:
            out.append(block)
        else:
            out[-1] = joined
    return out


def _join(a: Block, b: Block) -> Block | None:
    if not isinstance(b, Stmt) or isinstance(a, For):
        return None
    if isinstance(a, Stmt) and a.batch and b.batch:
        return _joined_batches(a, b)
    recipe = key(b)
    name = primary(b.lines)
    if recipe is None or name is None:
        return None
    if isinstance(a, Many):
        same = a.lines == recipe and name not in a.names
        return replace(a, names=(*a.names, name)) if same else None
    first = primary(a.lines)
    if first is None or first == name or key(a) != recipe:
        return None
    return Many(substitute(b.lines, name, EACH), (first, name))


def _joined_batches(a: Stmt, b: Stmt) -> Stmt | None:
    """Two batches as one, if they differ in their names only."""
    (one,), (two,) = a.lines, b.lines
    blank = Names(())
    if [blank if isinstance(p, Names) else p for p in one] != [
        blank if isinstance(p, Names) else p for p in two
    ]:
        return None
    names = tuple(n for p in (*one, *two) if isinstance(p, Names) for n in p.names)
    line = tuple(Names(names) if isinstance(p, Names) else p for p in one)
    return Stmt((line,), batch=True)


# ---- loops ----


def roll(blocks: Sequence[Block]) -> list[Block]:
    """Turn repetitions into loops, the one that saves most first."""
    out = list(blocks)
    while True:
        found = _best(out)
        if found is None:
            return out
        start, period, count, loop = found
        out[start : start + period * count] = [loop]


def _best(blocks: list[Block]) -> tuple[int, int, int, For] | None:
    skeletons = [skeleton(block) for block in blocks]
    table: dict[object, int] = {}
    ids = [table.setdefault(s, len(table)) for s in skeletons]
    sizes = [_size(block) for block in blocks]
    found = [list(holes(block)) for block in blocks]
    best: tuple[int, int, int, For] | None = None
    saved = 0
    for period in range(1, min(LONGEST, len(blocks) // 2) + 1):
        start = 0
        while start + 2 * period <= len(ids):
            first = blocks[start]
            if period == 1 and isinstance(first, Stmt) and first.batch:
                start += 1  # `group` joins these
                continue
            count = _repeats(ids, start, period)
            gain = (count - 1) * sum(sizes[start : start + period]) - 1
            if count < 2 or gain <= saved:
                start += 1
                continue
            ends = range(start, start + (count + 1) * period, period)
            rolled = _loop(
                [blocks[a:b] for a, b in pairwise(ends)],
                [list(chain(*found[a:b])) for a, b in pairwise(ends)],
            )
            if rolled is not None:
                count, loop = rolled
                gain = (count - 1) * sum(sizes[start : start + period]) - 1
                if gain > saved:
                    best, saved = (start, period, count, loop), gain
            start += 1
    return best


def _repeats(ids: list[int], start: int, period: int) -> int:
    count = 1
    first = ids[start : start + period]
    while ids[start + count * period : start + (count + 1) * period] == first:
        count += 1
    return count


def _size(block: Block) -> int:
    if isinstance(block, Stmt):
        return len(block.lines)
    if isinstance(block, Many):
        return len(block.lines) + 1
    return 1 + sum(map(_size, block.body))


def _loop(turns: list[list[Block]], rows: list[list[Hole]]) -> tuple[int, For] | None:
    """The longest loop that these turns begin with; `rows` are their holes."""
    loop = _unify(turns[0], rows)
    if loop is not None:
        return len(turns), loop
    found = None
    for count in range(2, len(turns)):
        loop = _unify(turns[0], rows[:count])
        if loop is None:
            break
        found = count, loop
    return found


def _unify(first: list[Block], rows: list[list[Hole]]) -> For | None:
    """A loop whose turns have these holes, and else are like the first."""
    height = 1 + max(_height(block) for block in first)
    if all(row == rows[0] for row in rows):
        return For(height, Numbers(0, len(rows), 1), tuple(first))
    columns = list(zip(*rows, strict=True))
    for unify in (_numbered, _worded):
        unified = unify(columns, height)
        if unified is not None:
            values, filled = unified
            source = iter(filled)
            body = tuple(refill(block, source) for block in first)
            return For(height, values, body)
    return None


Unified = tuple[Numbers | Rows, list[Hole]]


def _numbered(columns: list[tuple[Hole, ...]], height: int) -> Unified | None:
    """All that changes is a number that grows by the same step everywhere."""
    numbers: range | None = None
    out: list[Hole] = []
    for column in columns:
        tokens = [_tokens(hole) for hole in column]
        if any(len(t) != len(tokens[0]) for t in tokens):
            return None
        pieces: list[Token] = []
        for seen in zip(*tokens, strict=True):
            if all(s == seen[0] and type(s) is type(seen[0]) for s in seen):
                pieces.append(seen[0])
                continue
            if not all(isinstance(s, int) for s in seen):
                return None
            values = [s for s in seen if isinstance(s, int)]
            step = values[1] - values[0]
            turns = range(values[0], values[0] + step * len(values), step or 1)
            if step <= 0 or list(turns) != values:
                return None
            numbers = numbers or turns
            if numbers.step != step:
                return None
            pieces.append(Var(height, values[0] - numbers.start))
        out.append(_untokened(column[0], pieces))
    if numbers is None:
        return None
    return Numbers(numbers.start, numbers.stop, numbers.step), out


def numbered(names: Sequence[Name], height: int) -> tuple[Numbers, Name] | None:
    """Names that differ in a growing number only, as one name with a variable."""
    found = _numbered([tuple(names)], height) if len(names) > 1 else None
    if found is None or not isinstance(found[0], Numbers):
        return None
    name = found[1][0]
    return (found[0], name) if isinstance(name, Name) else None


def _worded(columns: list[tuple[Hole, ...]], height: int) -> Unified | None:
    """What changes is one part of the names, and at most two numbers."""
    found: dict[tuple[Hole, ...], Changes] = {}
    seen: list[tuple[str | int | float, ...]] = []
    for column in dict.fromkeys(columns):
        if all(hole == column[0] for hole in column):
            continue
        changes = _changes(column)
        if changes is None:
            return None
        found[column] = changes
        if changes[1] not in seen:
            seen.append(changes[1])
        words = sum(isinstance(values[0], str) for values in seen)
        if words > 1 or len(seen) > words + 2:
            return None
    seen.sort(key=lambda values: not isinstance(values[0], str))
    out: list[Hole] = []
    for column in columns:
        if column not in found:
            out.append(column[0])
            continue
        head, middle, tail = found[column]
        var = Var(height, column=seen.index(middle))
        named = isinstance(column[0], Name)
        pieces = tuple(p for p in (head, var, tail) if p != "")
        out.append(Name(pieces) if named else var)
    return tuple(zip(*seen, strict=True)), out


Changes = tuple[str, tuple[str | int | float, ...], str]


def _changes(column: tuple[Hole, ...]) -> Changes | None:
    """What the names begin with, the parts that differ, what they end with."""
    numbers = [hole for hole in column if isinstance(hole, (int, float))]
    if len(numbers) == len(column):
        return "", tuple(numbers), ""
    texts = [text for text in map(_text, column) if text is not None]
    if len(texts) < len(column):
        return None
    head, tail = _common(texts)
    middle = tuple(text[len(head) : len(text) - len(tail)] for text in texts)
    if "" in middle or len(set(middle)) < len(middle):
        return None
    return head, middle, tail


def _text(hole: Hole) -> str | None:
    if isinstance(hole, Name) and all(isinstance(p, str) for p in hole.pieces):
        return "".join(str(p) for p in hole.pieces)
    return None


def _common(texts: Sequence[str]) -> tuple[str, str]:
    """The beginning and the end that all names share, in whole parts."""
    split = [re.split(r"(?<=\.)|(?=\.)", text) for text in texts]
    shortest = min(map(len, split))
    head = 0
    while head < shortest - 1 and len({s[head] for s in split}) == 1:
        head += 1
    tail = 0
    while tail < shortest - head - 1 and len({s[-1 - tail] for s in split}) == 1:
        tail += 1
    first = split[0]
    return "".join(first[:head]), "".join(first[len(first) - tail :])


def _tokens(hole: Hole) -> list[Token]:
    """A name's text and numbers; numbers with leading zeros are text."""
    if not isinstance(hole, Name):
        return [hole]
    out: list[Token] = []
    for piece in hole.pieces:
        if isinstance(piece, Var):
            out.append(piece)
            continue
        for token in re.split(r"(\d+)", piece):
            plain = token.isascii() and token.isdigit() and str(int(token)) == token
            out.append(int(token) if plain else token)
    return out


def _untokened(like: Hole, tokens: Sequence[Token]) -> Hole:
    if not isinstance(like, Name):
        token = tokens[0]
        assert not isinstance(token, str)
        return token
    pieces: list[str | Var] = []
    for token in tokens:
        if isinstance(token, Var):
            pieces.append(token)
        elif pieces and isinstance(pieces[-1], str):
            pieces[-1] += str(token)
        elif token != "":
            pieces.append(str(token))
    return Name(tuple(p for p in pieces if p != ""))


# ---- what differs between two turns of a loop ----


def skeleton(block: Block) -> object:
    """All of a block but its holes."""
    if isinstance(block, Stmt):
        return "stmt", block.batch, tuple(map(_line_skeleton, block.lines))
    if isinstance(block, Many):
        return "many", tuple(map(_line_skeleton, block.lines)), len(block.names)
    kind = block.values.step if isinstance(block.values, Numbers) else block.values
    return "for", block.height, kind, tuple(map(skeleton, block.body))


def _line_skeleton(line: Line) -> object:
    return tuple(
        part
        if isinstance(part, str) or part == EACH or part == Shape(EACH)
        else (type(part).__name__, len(part.names) if isinstance(part, Names) else 0)
        for part in line
    )


def holes(block: Block) -> Iterator[Hole]:
    """What may differ, in order: names and numbers."""
    if isinstance(block, For):
        if isinstance(block.values, Numbers):
            yield block.values.start
            yield block.values.stop
        for inner in block.body:
            yield from holes(inner)
        return
    for line in block.lines:
        for part in line:
            if isinstance(part, Number):
                yield part.value
            elif not isinstance(part, str):
                yield from (n for n in names_in(part) if n != EACH)
    if isinstance(block, Many):
        yield from block.names


def refill(block: Block, source: Iterator[Hole]) -> Block:
    """The block with other holes."""
    if isinstance(block, For):
        values = block.values
        if isinstance(values, Numbers):
            values = Numbers(_bound(source), _bound(source), values.step)
        body = tuple(refill(inner, source) for inner in block.body)
        return replace(block, values=values, body=body)
    lines = tuple(
        tuple(_refill_part(part, source) for part in line) for line in block.lines
    )
    if isinstance(block, Many):
        return Many(lines, tuple(_name(source) for _ in block.names))
    return replace(block, lines=lines)


def _refill_part(part: Part, source: Iterator[Hole]) -> Part:
    if isinstance(part, str) or part == EACH or part == Shape(EACH):
        return part
    if isinstance(part, Number):
        return Number(_number(source))
    if isinstance(part, Shape):
        return Shape(_name(source))
    if isinstance(part, Names):
        return Names(tuple(_name(source) for _ in part.names))
    return _name(source)


def _name(source: Iterator[Hole]) -> Name:
    name = next(source)
    assert isinstance(name, Name)
    return name


def _number(source: Iterator[Hole]) -> int | float | Var:
    number = next(source)
    assert not isinstance(number, Name)
    return number


def _bound(source: Iterator[Hole]) -> int | Var:
    number = next(source)
    assert isinstance(number, (int, Var))
    return number


def _height(block: Block) -> int:
    return block.height if isinstance(block, For) else 0
