"""Annotations that mypy --strict asks for: `y: Array = np.tanh(a + b)`."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from luxgen.targets.numpy.static_types import Known, Static, static
from luxgen.targets.numpy.syntax import Line

_ARRAY_RESULT = ") -> Array:"


def annotated(lines: list[Line], parameters: Iterable[str], result: str) -> list[Line]:
    """A function's body; a nested function's variables are its own."""
    lines = list(lines)
    _annotate(lines, range(len(lines)), dict.fromkeys(parameters), {}, result)
    return lines


def _annotate(
    lines: list[Line],
    places: Iterable[int],
    parameters: Iterable[str],
    outer: Known,
    result: str,
) -> None:
    known = dict(outer)
    declared: dict[str, int | None] = dict.fromkeys(parameters)  # at which line
    nested: list[int] = []
    for k in places:
        if nested and lines[k][0] > lines[nested[0]][0]:
            nested.append(k)
            continue
        if lines[k][1].startswith("def "):
            nested = [k]
            continue
        _line(lines, k, declared, known, result)
    if nested:
        head = ast.parse(f"{lines[nested[0]][1]} ...").body[0]
        assert isinstance(head, ast.FunctionDef)
        own = [a.arg for a in (*head.args.args, *head.args.kwonlyargs)]
        inner = {n: s for n, s in known.items() if n not in own}
        kind = "Array" if lines[nested[0]][1].endswith(_ARRAY_RESULT) else ""
        _annotate(lines, nested[1:], own, inner, kind)


def _line(
    lines: list[Line],
    k: int,
    declared: dict[str, int | None],
    known: Known,
    result: str,
) -> None:
    text = lines[k][1]
    if text.endswith(":"):  # of a block: `for x, y in zip(...):`
        text = f"{text} ..." if not text.startswith(("else", "elif")) else "..."
    statement = ast.parse(text).body[0]
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        value = static(statement.value, known)
        if isinstance(target, ast.Name):
            _assigned(lines, k, target.id, value, declared, known)
            return
        if value.any:
            names = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
            known |= {n: value for n in names if n not in declared}
            declared.update(dict.fromkeys(n for n in names if n not in declared))
            return
        statement = ast.Expr(target)
    if isinstance(statement, ast.Return) and result == "Array" and statement.value:
        _returned(lines, k, statement.value, declared, known)
        return
    for node in ast.walk(statement):
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Store):
            continue
        if node.id not in declared:
            declared[node.id] = None
            known.pop(node.id, None)


def _assigned(
    lines: list[Line],
    k: int,
    name: str,
    value: Static,
    declared: dict[str, int | None],
    known: Known,
) -> None:
    if name not in declared:
        declared[name] = k
        known[name] = value
    elif known.get(name, Static()).clashes(value):
        _declare(lines, name, declared, known)


def _declare(
    lines: list[Line], name: str, declared: dict[str, int | None], known: Known
) -> None:
    """`x = ` as `x: Array = ` where it is first assigned."""
    place = declared[name]
    known.pop(name, None)
    if place is not None:
        indent, text = lines[place]
        lines[place] = (indent, text.replace(f"{name} = ", f"{name}: Array = ", 1))
        declared[name] = None


def _returned(
    lines: list[Line],
    k: int,
    value: ast.expr,
    declared: dict[str, int | None],
    known: Known,
) -> None:
    if not static(value, known).any:
        return
    if isinstance(value, ast.Name) and declared.get(value.id) is not None:
        _declare(lines, value.id, declared, known)
        return
    indent, text = lines[k]
    taken = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} | declared.keys()
    name = next(n for n in ("y", "z", *(f"y{i}" for i in range(99))) if n not in taken)
    lines[k] = (indent, f"{name}: Array = {text.removeprefix('return ')}")
    lines.insert(k + 1, (indent, f"return {name}"))


__all__ = ["annotated"]
