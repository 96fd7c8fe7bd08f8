"""Leaves in their own order, drawn by several recipes: a loop that decides by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from luxgen.targets.numpy.setup_fold import (
    EACH,
    Block,
    For,
    Line,
    Many,
    Name,
    Names,
    key,
    primary,
    substitute,
)
from luxgen.targets.numpy.setup_select import select
from luxgen.targets.numpy.setup_wrap import quote

Shapes = Mapping[str, tuple[int, ...]]
Lines = tuple[Line, ...]

MOST = 4  # recipes in one loop
TRIES = 6  # ends of a run that are tried


@dataclass(frozen=True, slots=True)
class Mixed:
    """For each leaf, in order, the lines of the first condition that it meets."""

    cases: tuple[tuple[str, Lines], ...]


def mix(blocks: Sequence[Block], shapes: Shapes) -> list[Block | Mixed]:
    """Replace runs of blocks by such loops, where there are conditions for them."""
    out: list[Block | Mixed] = []
    at = 0
    while at < len(blocks):
        last = _run(blocks, at, shapes)
        found = None
        for end in range(last, max(at + 2, last - TRIES), -1):
            found = _mixed(blocks[at:end], shapes)
            if found is not None:
                break
        if found is None:
            out.append(blocks[at])
            at += 1
        else:
            out.append(found)
            at = end
    return out


def _items(block: Block) -> list[tuple[str, Lines]] | None:
    """The leaves that a block draws, in order, each with its recipe."""
    if isinstance(block, For):
        return None
    names: Sequence[Name]
    if isinstance(block, Many):
        names, lines = block.names, block.lines
    elif block.batch:
        lists = [part for part in block.lines[0] if isinstance(part, Names)]
        names = lists[0].names
        lines = (tuple(_single(block.lines[0])),)
    else:
        name = primary(block.lines)
        if name is None or key(block) is None:
            return None
        names, lines = (name,), substitute(block.lines, name, EACH)
    texts = [_text(name) for name in names]
    return [(text, lines) for text in texts if text is not None]


def _single(line: Line) -> Iterator[str | Name]:
    for part in line:
        if isinstance(part, Names):
            yield from ("[", EACH, "]")
        else:
            assert isinstance(part, str)
            yield part


def _text(name: Name) -> str | None:
    plain = all(isinstance(piece, str) for piece in name.pieces)
    return "".join(map(str, name.pieces)) if plain else None


def _run(blocks: Sequence[Block], start: int, shapes: Shapes) -> int:
    """The end of the blocks from `start` on whose leaves are in the leaves' order."""
    place = {name: k for k, name in enumerate(shapes)}
    last, end, recipes = -1, start, set()
    for block in blocks[start:]:
        items = _items(block)
        if items is None:
            break
        places = [place.get(name, -1) for name, _ in items]
        recipes |= {lines for _, lines in items}
        if sorted({*places, last}) != [last, *places] or len(recipes) > MOST:
            break
        last, end = places[-1], end + 1
    return end


def _mixed(blocks: Sequence[Block], shapes: Shapes) -> Mixed | None:
    classes: dict[Lines, list[str]] = {}
    for block in blocks:
        for name, lines in _items(block) or ():
            classes.setdefault(lines, []).append(name)
    if len(classes) < 2:
        return None
    cases: list[tuple[str, Lines]] = []
    done: set[str] = set()
    for lines, names in sorted(classes.items(), key=lambda item: len(item[1])):
        condition = _condition(names, done, shapes)
        if condition is None:
            return None
        cases.append((condition, lines))
        done.update(names)
    return Mixed(tuple(cases))


def _condition(names: list[str], done: set[str], shapes: Shapes) -> str | None:
    """What these leaves meet, and no others but those done before."""
    if len(names) == 1:
        return f"name == {quote(names[0])}"
    wide = [name for name in shapes if name in done or name in set(names)]
    conditions = [
        condition
        for wanted in (names, wide)
        if (condition := select(wanted, shapes, "name", "shape")) is not None
    ]
    return min(conditions, key=len, default=None)
