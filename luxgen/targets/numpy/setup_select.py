"""Describe a set of leaves by a condition on names and shapes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product

from luxgen.targets.numpy.setup_wrap import quote

Shapes = Mapping[str, tuple[int, ...]]
Test = tuple[str, frozenset[str]]
"""A condition's text, and the leaves that meet it."""


def select(names: Sequence[str], shapes: Shapes, name: str, shape: str) -> str | None:
    """A condition that just these leaves meet, if they are in the leaves' order.

    "" if they are all leaves; None if there is no short condition.
    """
    return _select(tuple(names), tuple(shapes.items()), name, shape)


@lru_cache(maxsize=4096)
def _select(
    names: tuple[str, ...],
    items: tuple[tuple[str, tuple[int, ...]], ...],
    name: str,
    shape: str,
) -> str | None:
    shapes = dict(items)
    wanted = frozenset(names)
    if len(wanted) < len(names) or [n for n in shapes if n in wanted] != list(names):
        return None
    if len(names) == len(shapes):
        return ""
    found: list[str] = []
    for tests in product(
        _ranks(wanted, shapes, shape),
        _ends(names, shapes, name),
        _starts(names, shapes, name),
    ):
        chosen = [test for test in tests if test is not None]
        if chosen and frozenset.intersection(*(t[1] for t in chosen)) == wanted:
            found.append(" and ".join(test[0] for test in chosen))
    return min(found, key=_cost, default=None)


def cover(names: Sequence[str], shapes: Shapes, name: str, shape: str) -> str | None:
    """A condition that just these leaves meet, made of up to five of less each."""
    missing: dict[str, None] = dict.fromkeys(names)
    conditions: list[str] = []
    ends = [
        test
        for parts in (1, 2, 3, 4)
        for tail in dict.fromkeys(".".join(n.split(".")[-parts:]) for n in names)
        for test in _ends([tail], shapes, name)
    ]
    tests = [
        [test for test in pair if test is not None]
        for pair in product(_ranks(frozenset(names), shapes, shape), ends)
    ]
    met = [(t, frozenset.intersection(*(s for _, s in t))) for t in tests if t]
    exact = [(t, found) for t, found in met if found <= missing.keys()]
    while missing and exact and len(conditions) < 5:
        best, found = max(
            exact, key=lambda item: (len(item[1] & missing.keys()), -len(item[0]))
        )
        if not found & missing.keys():
            break
        conditions.append(" and ".join(text for text, _ in best))
        missing = dict.fromkeys(n for n in missing if n not in found)
    if missing:
        return None
    suffixes = [re.fullmatch(rf"{name}\.endswith\((\".*\")\)", c) for c in conditions]
    if len(suffixes) > 1 and all(suffixes):
        return f"{name}.endswith(({', '.join(m[1] for m in suffixes if m)}))"
    return " or ".join(conditions)


def _cost(condition: str) -> int:
    """Its length, and something for conditions that say little to a reader."""
    vague = re.search(r"\) > [^1]|\) == 0", condition)
    return len(condition) + (20 if vague else 0)


def _ranks(wanted: frozenset[str], shapes: Shapes, shape: str) -> Iterator[Test | None]:
    yield None
    ranks = {len(shapes[n]) for n in wanted}
    yield (
        f"len({shape}) > {min(ranks) - 1}",
        frozenset(n for n, s in shapes.items() if len(s) >= min(ranks)),
    )
    if len(ranks) == 1:
        (rank,) = ranks
        same = frozenset(n for n, s in shapes.items() if len(s) == rank)
        yield f"len({shape}) == {rank}", same


def _ends(names: Sequence[str], shapes: Shapes, name: str) -> Iterator[Test | None]:
    yield None
    shared = os.path.commonprefix([n[::-1] for n in names])[::-1]
    endings: list[tuple[str, ...]] = [
        (re.sub(r"^.*?(?=[._])", "", shared, count=1, flags=re.S),),
        (shared,),
    ]
    for parts in (1, 2, 3):
        tails = dict.fromkeys(".".join(n.split(".")[-parts:]) for n in names)
        endings.append(tuple(tails))
    for tails_ in dict.fromkeys(endings):
        if len(tails_) <= 4 and all(tails_):
            text = ", ".join(map(quote, tails_))
            text = text if len(tails_) == 1 else f"({text})"
            meets = frozenset(n for n in shapes if n.endswith(tails_))
            yield f"{name}.endswith({text})", meets


def _starts(names: Sequence[str], shapes: Shapes, name: str) -> Iterator[Test | None]:
    yield None
    heads = [os.path.commonprefix(list(names)).rpartition(".")[0]]
    tops = dict.fromkeys(n.split(".")[0] for n in names)
    for starts in ((f"{heads[0]}.",) if heads[0] else (), tuple(f"{t}." for t in tops)):
        if starts and len(starts) <= 3:
            text = ", ".join(map(quote, starts))
            text = text if len(starts) == 1 else f"({text})"
            meets = frozenset(n for n in shapes if n.startswith(starts))
            yield f"{name}.startswith({text})", meets
