"""NamedTuple classes for the trees, one per distinct structure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from luxgen.ir.tree import Absent, Flag, Tree, field_names
from luxgen.ir.values import Leaf
from luxgen.targets.numpy.helpers import helper_names

Child = Tree | Leaf | Flag | Absent


@dataclass
class ClassText:
    """One NamedTuple: its name, docstring lines and (field, annotation) pairs."""

    name: str
    doc: str
    fields: list[tuple[str, str]]


@dataclass
class Classes:
    """Names of all nodes' classes in one tree ("ps" or "st"), and their definitions."""

    kind: str
    names: dict[Tree, str] = field(default_factory=dict)
    defined: list[ClassText] = field(default_factory=list)
    by_signature: dict[object, str] = field(default_factory=dict)

    def add(self, tree: Tree, taken: set[str], name: str = "", doc: str = "") -> str:
        """Name `tree`'s class and its children's; define each new one."""
        for child in tree.children.values():
            if isinstance(child, Absent):
                child = child.like
            if isinstance(child, Tree):
                self.add(child, taken)
        if tree.sequence:
            return self.annotation(tree)
        if tree.kind:
            self.names[tree] = tree.kind
            return tree.kind
        key = (name, signature(tree))
        if key not in self.by_signature:
            chosen = _unused(name or self._wanted(tree), taken)
            self.by_signature[key] = chosen
            fields = field_names(dict(tree.children))
            pairs = [(fields[c], self.annotation(v)) for c, v in tree.children.items()]
            self.defined.append(ClassText(chosen, doc, pairs))
        self.names[tree] = self.by_signature[key]
        return self.names[tree]

    def annotation(self, child: Child) -> str:
        """The type of a field as the module writes it."""
        if isinstance(child, Absent):
            return self.annotation(child.like)
        if isinstance(child, Flag):
            return "bool = True"
        if isinstance(child, Leaf):
            return "Array"
        if child.optional:
            return f"{self._required(child)} | None"
        return self._required(child)

    def _required(self, child: Tree) -> str:
        if not child.sequence:
            always = child.kind == "AlwaysDropoutState"  # what dropout returns
            return "DropoutState" if always else self.names[child]
        places = [
            self.annotation(child.children[str(k)])
            if str(k) in child.children
            else "None"
            for k in range(child.length)
        ]
        if len(places) > 1 and len(set(places)) == 1:
            return f"tuple[{places[0]}, ...]"
        return f"tuple[{', '.join(places) or '()'}]"

    def _wanted(self, tree: Tree) -> str:
        fields = tuple(tree.children)
        if self.kind == "ps" and fields == ("weight", "bias"):
            return "Affine"
        if self.kind == "ps" and fields == ("weight",):
            return "Weight"
        layer = re.sub(
            r"[^0-9A-Za-z_]", "_", tree.layer.encode("ascii", "replace").decode()
        )
        layer = layer.lstrip("_0123456789") or "Layer"
        return (
            layer[0].upper() + layer[1:] + ("Params" if self.kind == "ps" else "State")
        )


def signature(child: Child) -> object:
    """Equal for nodes that are instances of one class."""
    if isinstance(child, Absent):
        return signature(child.like)
    if isinstance(child, Flag):
        return "flag"
    if isinstance(child, Leaf):
        return "leaf"
    parts = tuple((n, signature(c)) for n, c in child.children.items())
    layer = child.layer if len(parts) != 0 and not _standard(child) else ""
    return (child.sequence, child.length, child.kind, child.optional, layer, parts)


def _standard(tree: Tree) -> bool:
    return set(tree.children) <= {"weight", "bias"}


def _unused(name: str, taken: set[str]) -> str:
    base, count = name, 1
    while name in taken or name in helper_names():
        count += 1
        name = f"{base}{count}"
    taken.add(name)
    return name
