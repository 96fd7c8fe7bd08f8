"""Literals, and statements broken inside their brackets where they are too wide.

The layout is that of Black and `ruff format`, but for long lists of names: these are
filled, several to a line, and marked to be left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

WIDTH = 88
LISTED = 3  # more names than these are filled

_PLAIN = re.compile(r"[\w./:+ -]*", re.ASCII)
_STRING = re.compile(r'\*?f?"(?:[^"\\]|\\.)*"')
_SKIP = "  # fmt: skip"
_SPACED = {f"{operator} " for operator in "+-*/@<"}


def quote(text: str) -> str:
    """A Python string literal in double quotes."""
    return f'"{escape(text)}"'


def escape(text: str) -> str:
    """What stands between the double quotes."""
    if _PLAIN.fullmatch(text):
        return text
    own = {'"': '\\"', "'": "'"}
    return "".join(own.get(char) or repr(char)[1:-1] for char in text)


def wrap(text: str, indent: int) -> list[str]:
    """The statement as lines; strings are never broken.

    Example: f(a, b) -> ["f(", "    a, b", ")"] where it is too wide.
    """
    lines = _wrapped(text, indent)
    if any(line.endswith(_SKIP) for line in lines):
        lines = [line.removesuffix(_SKIP) for line in lines]
        lines[-1] += _SKIP
    return lines


def _wrapped(text: str, indent: int, *, inside: bool = False) -> list[str]:
    """The lines; `inside` of brackets, arithmetic may be broken anywhere."""
    if indent + len(text) <= WIDTH:
        return [" " * indent + text]
    split = _widest_brackets(text)
    if split is None:
        return [" " * indent + text]
    lines = _split(*split, indent)
    if max(map(len, lines)) <= WIDTH + len(_SKIP):
        return lines
    terms = _pieces(text, _operators)
    if inside and len(terms) > 1:
        return [line for term in terms for line in _wrapped(term, indent, inside=True)]
    target, equals, value = text.partition(" = ")
    if equals:
        terms = _pieces(value, _operators)
        inner = [x for term in terms for x in _wrapped(term, indent + 4, inside=True)]
        other = [f"{' ' * indent}{target} = (", *inner, f"{' ' * indent})"]
        if max(map(len, other)) < max(map(len, lines)):
            return other
    return lines


def _split(head: str, body: str, tail: str, indent: int) -> list[str]:
    """The brackets' ends on lines of their own, what is inside between them."""
    names = _pieces(body, _commas)
    if len(names) > LISTED and all(_STRING.match(name) for name in names):
        inner = _filled(names, indent + 4)
        if len(inner) > 1:
            return [" " * indent + head, *inner, " " * indent + tail + _SKIP]
    if names[-1][0] == "[" and names[-1][-1] == "]":  # opens on the call's first line
        opening = f"{head}{' '.join([*names[:-1], '['])}"
        last = _split(opening, names[-1][1:-1], f"]{tail}", indent)
        if last[-1].endswith(_SKIP) and len(last[0]) <= WIDTH:
            return last
    return [" " * indent + head, *_inside(body, indent + 4), " " * indent + tail]


def _filled(names: list[str], indent: int) -> list[str]:
    lines: list[str] = []
    for name in names:
        if lines and len(lines[-1]) + 1 + len(name) <= WIDTH:
            lines[-1] += f" {name}"
        else:
            lines.append(" " * indent + name)
    return lines


def _inside(text: str, indent: int) -> list[str]:
    """What is in brackets: one item or clause to a line, if it is too wide."""
    if indent + len(text) <= WIDTH:
        return [" " * indent + text]
    clauses = _pieces(text, _clauses)
    items = _pieces(text, _commas)
    if len(clauses) > 1:
        items = clauses
    elif len(items) > 1:
        items = [f"{item.removesuffix(',')}," for item in items]
    else:
        items = _pieces(text, _operators)
    return [line for item in items for line in _wrapped(item, indent, inside=True)]


def _pieces(text: str, breaks: Callable[[str], Iterator[int]]) -> list[str]:
    places = pairwise([0, *breaks(text), len(text)])
    found = [text[start:end].strip() for start, end in places]
    return [piece for piece in found if piece] or [text]


def _widest_brackets(text: str) -> tuple[str, str, str] | None:
    """The text around and inside the outermost brackets that hold most."""
    opened = 0
    found: tuple[str, str, str] | None = None
    for at, char, depth in _scan(text):
        if char in "([{" and depth == 1:
            opened = at
        elif char in ")]}" and depth == 0:
            width = at - opened - 1
            if width and (found is None or width >= len(found[1])):
                found = (text[: opened + 1], text[opened + 1 : at], text[at:])
    return found


def _commas(text: str) -> Iterator[int]:
    """Where items end, outside of brackets."""
    for at, char, depth in _scan(text):
        if not depth and char == ",":
            yield at + 1


def _clauses(text: str) -> Iterator[int]:
    """Where `for` and `if` of a comprehension begin."""
    for at, char, depth in _scan(text):
        if not depth and char == " " and text.startswith((" for ", " if ", " or "), at):
            yield at


def _operators(text: str) -> Iterator[int]:
    """Where arithmetic can be broken: before an operator."""
    for at, char, depth in _scan(text):
        if not depth and char == " " and text[at + 1 : at + 3] in _SPACED:
            yield at


def _scan(text: str) -> Iterator[tuple[int, str, int]]:
    """Each character outside of strings, with the depth of brackets after it."""
    depth, at = 0, 0
    while at < len(text):
        char = text[at]
        if char == '"':
            at += 1
            while text[at] != '"':
                at += 2 if text[at] == "\\" else 1
        else:
            depth += (char in "([{") - (char in ")]}")
            yield at, char, depth
        at += 1
