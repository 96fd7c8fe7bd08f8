"""Literals, and statements broken inside their brackets where they are too wide."""

from __future__ import annotations

from collections.abc import Iterator

WIDTH = 88


def quote(text: str) -> str:
    """A Python string literal in double quotes."""
    return f'"{escape(text)}"'


def escape(text: str) -> str:
    """What stands between the double quotes."""
    own = {'"': '\\"', "'": "'"}
    return "".join(own.get(char) or repr(char)[1:-1] for char in text)


def wrap(text: str, indent: int) -> list[str]:
    """The statement as lines; strings are never broken.

    Example: f(a, b) -> ["f(", "    a, b", ")"] where it is too wide.
    """
    if indent + len(text) <= WIDTH:
        return [" " * indent + text]
    split = _widest_brackets(text)
    if split is None:
        return [" " * indent + text]
    head, body, tail = split
    start = 0
    for start in _breaks(body):
        pass
    last = body[start:].strip()
    if last[0] == "[" and last[-1] == "]" and indent + len(head) + start + 2 <= WIDTH:
        head, body, tail = f"{head}{body[:start]} [".strip(), last[1:-1], f"]{tail}"
        head = head.replace("( [", "([")
    inner = wrap_body(body, indent + 4)
    return [" " * indent + head, *inner, " " * indent + tail]


def wrap_body(text: str, indent: int) -> list[str]:
    """What is in brackets: filled with items, or broken before `for` and `if`."""
    if indent + len(text) <= WIDTH:
        return [" " * indent + text]
    breaks = list(_breaks(text))
    pieces, start = [], 0
    for at in breaks:
        pieces.append(text[start:at].strip())
        start = at
    pieces.append(text[start:].strip())
    lines: list[str] = []
    for piece in pieces:
        if lines and indent + len(lines[-1]) + 1 + len(piece) <= WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    if len(lines) == 1:
        return wrap(text, indent)
    return [line for piece in lines for line in wrap(piece, indent)]


def _widest_brackets(text: str) -> tuple[str, str, str] | None:
    """The text around and inside the outermost brackets that hold most."""
    opened, found = 0, None
    for at, char, depth in _scan(text):
        if char in "([{" and depth == 1:
            opened = at
        elif char in ")]}" and depth == 0 and at > opened + 1:
            if found is None or at - opened - 1 >= len(found[1]):
                found = (text[: opened + 1], text[opened + 1 : at], text[at:])
    return found


def _breaks(text: str) -> Iterator[int]:
    """Where items end, and where `for` and `if` begin, outside of brackets."""
    for at, char, depth in _scan(text):
        if depth:
            continue
        if char == ",":
            yield at + 1
        elif char == " " and text.startswith((" for ", " if "), at):
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
