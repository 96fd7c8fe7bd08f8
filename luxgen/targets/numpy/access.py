"""How leaves of `ps` and `st` are written: `ps.layers[0].fc.weight`."""

from __future__ import annotations

import ast

from luxgen.ir.program import Path
from luxgen.ir.tree import Absent, Tree, field_names


class Access:
    """Expressions for paths below one function's module, in its two trees."""

    def __init__(self, trees: dict[str, Tree | None]) -> None:
        self.trees = trees
        self.aliases: dict[tuple[str, Path], str] = {}  # loop variables
        self.firsts: dict[Path, int] = {}  # where the loop over a container starts
        self.by_text: dict[str, list[str]] = {}  # fields of every node written so far

    def expression(self, kind: str, path: Path) -> ast.expr:
        """`path` in tree `kind` ("ps" or "st"), through loop variables if in one."""
        for length in range(len(path), -1, -1):
            alias = self.aliases.get((kind, path[:length]))
            if alias is not None:
                return self.within(ast.Name(alias), kind, path, length)
        return self.within(ast.Name(kind), kind, path, 0)

    def within(self, base: ast.expr, kind: str, path: Path, start: int) -> ast.expr:
        """`path` read from `base`, which is what is at its first `start` names."""
        here = self.tree(kind, path[:start])
        for depth, name in enumerate(path[start:], start):
            if isinstance(here, Absent):
                here = here.like
            if isinstance(here, Tree) and here.sequence:
                base = ast.Subscript(base, ast.Constant(int(name)), ast.Load())
            else:
                children = here.children if isinstance(here, Tree) else {name: None}
                names = field_names(dict(children))
                self.by_text[ast.unparse(base)] = list(names.values())
                base = ast.Attribute(base, names[name], ast.Load())
            here = self._child(here, path[:depth], name)
        return base

    def tree(self, kind: str, path: Path) -> Tree | object:
        here: object = self.trees[kind]
        for depth, name in enumerate(path):
            here = self._child(here, path[:depth], name)
        return here

    def fields(self, kind: str, path: Path) -> list[str]:
        """Identifiers of the children of the node at `path`."""
        here = self.tree(kind, path)
        assert isinstance(here, Tree)
        return list(field_names(dict(here.children)).values())

    def _child(self, here: object, path: Path, name: str) -> object:
        if isinstance(here, Absent):  # what this instance lacks, as others have it
            here = here.like
        if not isinstance(here, Tree):
            return None
        if name == "*":  # any element that a rolled loop is over: they are alike
            name = str(self.firsts.get(path, next(iter(here.children), "")))
        return here.children.get(name)
