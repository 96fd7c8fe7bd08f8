"""The table in a module's docstring: fields, source layers, shapes, parameters."""

from __future__ import annotations

from luxgen.ir.program import Call, Function, Loop, Op, Program, items_in
from luxgen.ir.tree import Tree, field_names, leaves_of
from luxgen.ir.values import Leaf, Value
from luxgen.targets.numpy.sizes import shape_text

WIDEST = 44  # columns for how torch prints a layer


def table(program: Program) -> list[str]:
    """One row a child of the model, then the total.

    field  source layer     output shape  parameters
    fc1    Linear(256, 84)  (N, 84)           21,588
    """
    shapes = _shapes(program)
    counts = {n: _count(program.ps, n) for n, _ in program.layers}
    state = {n: _count(program.st, n) for n, _ in program.layers}
    names = field_names(dict(program.layers))
    rows: list[tuple[str, ...]] = [
        ("field", "source layer", "output shape", "parameters", "state")
    ]
    for name, text in program.layers:
        own = _plain(text)
        own = own if len(own) <= WIDEST else own[: WIDEST - 3] + "..."
        held = [
            f"{counts[name]:,}" if counts[name] else "",
            f"{state[name]:,}" if state[name] else "",
        ]
        if name in shapes or any(held):
            rows.append((names[name], own, shapes.get(name, ""), *held))
    rows.append(("", "", "total", f"{sum(map(_size, leaves_of(program.ps))):,}", ""))
    total = sum(map(_size, leaves_of(program.st)))
    rows[-1] = (*rows[-1][:4], f"{total:,}" if total else "")
    columns = 5 if any(state.values()) else 4
    widths = [max(len(row[k]) for row in rows) for k in range(columns)]
    lines = []
    for row in rows:
        cells = [f"{c:<{w}}" for c, w in zip(row[:2], widths[:2], strict=True)]
        right = row is rows[-1]
        cells.append(f"{row[2]:>{widths[2]}}" if right else f"{row[2]:<{widths[2]}}")
        cells += [f"{c:>{w}}" for c, w in zip(row[3:columns], widths[3:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _plain(text: str) -> str:
    """Text of a model in a docstring: nothing that could end it."""
    text = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return text.replace("\\", "/").replace('"', "'")


def _size(leaf: Leaf) -> int:
    total = 1
    for n in leaf.shape:
        total *= n
    return total


def _count(tree: Tree, name: str) -> int:
    child = tree.children.get(name)
    return sum(map(_size, leaves_of(child))) if isinstance(child, Tree) else 0


def _shapes(program: Program) -> dict[str, str]:
    """The last result of each child of the model, if it is one tensor."""
    found: dict[str, str] = {}
    main: Function = program.main
    for item in items_in(main.body):
        if isinstance(item, Loop):
            if len(item.carried) == 1 and item.path:
                found[item.path[0]] = shape_text(item.carried[0][3], program.frees)
        elif isinstance(item, Call) and item.path and isinstance(item.result, Value):
            found.setdefault(item.path[0], "")
            found[item.path[0]] = shape_text(item.result, program.frees)
        elif isinstance(item, Op) and item.closes and isinstance(item.result, Value):
            found[item.owner.split(".")[0]] = shape_text(item.result, program.frees)
    return {name: text for name, text in found.items() if "?" not in text}
