"""The functions that build `ps` and `st` from leaves: `_params(leaf)`, `_state(leaf)`."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field

from luxgen.ir.tree import Absent, Flag, Tree, field_names, leaves_of
from luxgen.ir.values import Leaf
from luxgen.targets.numpy.classes import Classes
from luxgen.targets.numpy.naming import snake

Part = tuple[str, str]  # ("text", "h.") or ("name", "i")
Dims = dict[Leaf, tuple[str, ...]]
_LETTERS = ("n", "m", "k", "p", "q", "r", "s", "t")
_INDICES = tuple("ijkl") + tuple(f"i{k}" for k in range(2, 100))  # by nesting
SEEDED = ("DropoutState", "AlwaysDropoutState", "NoiseState")


@dataclass
class Builder:
    """Texts for one tree; `functions` are the helpers it found worth writing."""

    kind: str
    classes: Classes
    functions: list[str] = field(default_factory=list)
    aliases: dict[tuple[str, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sized: dict[str, tuple[str, list[int]]] = {}
        self._affine: set[str] = set()

    def expression(self, tree: Tree) -> str:
        """The whole tree, helpers written on the way."""
        members: dict[str, list[Tree]] = {}
        for node in _nodes(tree):
            if not node.sequence and node is not tree and node.kind not in SEEDED:
                members.setdefault(self.classes.names[node], []).append(node)
        for name, nodes in members.items():
            if _places(tree, nodes) > 1 and not self._is_standard(nodes[0]):
                self._function(name, nodes)
        return self._node(tree, [], _literal(tree))

    def _function(self, name: str, nodes: list[Tree]) -> None:
        """One function for all nodes of a class; sizes that differ are parameters."""
        full = max(nodes, key=lambda n: len(list(leaves_of(n))))
        choices = [
            c for c, v in full.children.items() if isinstance(v, Tree) and v.optional
        ]
        common = [_required_leaves(n) for n in nodes]
        ranks = {tuple(len(leaf.shape) for leaf in leaves) for leaves in common}
        if len(ranks) > 1:
            return
        rows = [[d for leaf in leaves for d in leaf.shape] for leaves in common]
        columns = list(zip(*rows, strict=True))
        names: dict[tuple[int, ...], str] = {}
        for column in columns:
            if len(set(column)) > 1 and column not in names:
                if len(names) == len(_LETTERS):
                    return
                names[column] = _LETTERS[len(names)]
        dims: Dims = {}
        at = 0
        for leaf in _required_leaves(full):
            own = columns[at : at + len(leaf.shape)]
            dims[leaf] = tuple(names.get(c, str(c[0])) for c in own)
            at += len(leaf.shape)
        extra = _optional_dims(nodes, full, names)
        if extra is None:
            return
        dims |= extra
        function = "_" + snake(name)
        body = self._construct(full, [("name", "name")], dims, asked=True)
        sizes = "".join(f", {n}: int" for n in names.values())
        seeds = ", seeds: Iterator[int]" if self._draws(full) else ""
        fields = field_names(dict(full.children))
        sizes += seeds + "".join(f", {fields[c]}: bool = False" for c in choices)
        self.functions.append(
            f"def {function}(leaf: Leaf, name: str{sizes}) -> {name}:\n"
            f"    return {body}"
        )
        self._sized[name] = (function, [columns.index(c) for c in names])

    def _node(self, tree: Tree, prefix: list[Part], dims: Dims) -> str:
        if tree.sequence:
            return self._sequence(tree, prefix, dims)
        if tree.kind in SEEDED:
            return f"{tree.kind}(next(seeds))"
        name = self.classes.names[tree]
        if prefix and self._is_affine(tree, dims):
            self._affine.add(name)
            weight = dims[_leaf(tree, "weight")]
            return f"_{snake(name)}(leaf, {_name(prefix)}, {', '.join(weight)})"
        if name in self._sized and prefix:
            function, positions = self._sized[name]
            flat = [d for leaf in _required_leaves(tree) for d in dims[leaf]]
            sizes = "".join(f", {flat[k]}" for k in positions)
            seeds = ", seeds" if self._draws(tree) else ""
            fields = field_names(dict(tree.children))
            seeds += "".join(
                f", {fields[c]}=True" for c, v in tree.children.items()
                if isinstance(v, Tree) and v.optional
            )  # fmt: skip
            return f"{function}(leaf, {_name(prefix)}{sizes}{seeds})"
        return self._construct(tree, prefix, dims)

    def _construct(
        self, tree: Tree, prefix: list[Part], dims: Dims, asked: bool = False
    ) -> str:
        fields = field_names(dict(tree.children))
        parts = []
        for child, node in tree.children.items():
            if isinstance(node, Flag):
                continue
            if isinstance(node, Absent):
                parts.append(f"{fields[child]}=None")
                continue
            inner = [*prefix, ("text", f".{child}" if prefix else child)]
            if isinstance(node, Leaf):
                text = self._leaf(node, inner, dims)
            else:
                text = self._node(node, inner, dims)
                if asked and node.optional:
                    text = f"{text} if {fields[child]} else None"
            positional = tree.kind or self._is_standard(tree)
            parts.append(text if positional else f"{fields[child]}={text}")
        return f"{self.classes.names[tree]}({', '.join(parts)})"

    def _leaf(self, leaf: Leaf, name: list[Part], dims: Dims) -> str:
        sizes = "".join(f", {d}" for d in dims[leaf])
        dtype = "" if leaf.dtype == "float32" else f", dtype={leaf.dtype!r}"
        return f"leaf({_name(name)}{sizes}{dtype})"

    def _sequence(self, tree: Tree, prefix: list[Part], dims: Dims) -> str:
        def place(k: int, index: list[Part]) -> str:
            child = tree.children.get(str(k))
            if child is None:
                return "None"
            inner = [*prefix, ("text", "."), *index] if prefix else index
            if isinstance(child, Leaf):
                return self._leaf(child, inner, dims)
            assert isinstance(child, Tree)
            return self._node(child, inner, dims)

        outer = sum(kind == "name" and text in _INDICES for kind, text in prefix)
        variable = _INDICES[outer]
        folded = {place(k, [("name", variable)]) for k in range(tree.length)}
        if tree.length > 1 and len(folded) == 1 and "None" not in folded:
            return f"tuple({folded.pop()} for {variable} in range({tree.length}))"
        places = [place(k, [("text", str(k))]) for k in range(tree.length)]
        return f"({', '.join(places)}{',' if len(places) == 1 else ''})"

    @staticmethod
    def _is_standard(tree: Tree) -> bool:
        return set(tree.children) <= {"weight", "bias"} and not tree.kind

    def _is_affine(self, tree: Tree, dims: Dims) -> bool:
        """weight (n, ...) and bias (n,), both float32: written `_affine(leaf, name, n)`."""
        if tuple(tree.children) != ("weight", "bias") or tree.kind:
            return False
        weight, bias = _leaf(tree, "weight"), _leaf(tree, "bias")
        if {weight.dtype, bias.dtype} != {"float32"} or not dims[weight]:
            return False
        return dims[bias] == dims[weight][:1]

    def _draws(self, tree: Tree) -> bool:
        return any(n.kind in SEEDED for n in _nodes(tree))

    def affine_functions(self) -> list[str]:
        return [
            f"def _{snake(name)}(leaf: Leaf, name: str, *shape: int) -> {name}:\n"
            f'    return {name}(leaf(f"{{name}}.weight", *shape), '
            f'leaf(f"{{name}}.bias", shape[0]))'
            for name in sorted(self._affine)
        ]


def _required_leaves(tree: Tree) -> list[Leaf]:
    """The leaves that every instance of the node's class has."""
    return [
        leaf
        for child in tree.children.values()
        if not (isinstance(child, Tree) and child.optional)
        for leaf in leaves_of(child)
    ]


def _optional_dims(
    nodes: list[Tree], full: Tree, names: dict[tuple[int, ...], str]
) -> Dims | None:
    """Sizes of optional children by the parameters that the others gave rise to."""
    having = [n for n in nodes if len(list(leaves_of(n))) == len(list(leaves_of(full)))]
    keep = [nodes.index(n) for n in having]
    known = {tuple(column[k] for k in keep): name for column, name in names.items()}
    required = set(_required_leaves(full))
    extra = [
        [leaf for leaf in leaves_of(n) if leaf not in set(_required_leaves(n))]
        for n in having
    ]
    dims: Dims = {}
    for row in zip(*extra, strict=True):
        if len({len(leaf.shape) for leaf in row}) > 1:
            return None
        texts = []
        for column in zip(*(leaf.shape for leaf in row), strict=True):
            if column in known and len(set(column)) > 1:
                texts.append(known[column])
            elif len(set(column)) == 1:
                texts.append(str(column[0]))
            else:
                return None
        own = extra[having.index(full)][len(dims)]
        assert own not in required
        dims[own] = tuple(texts)
    return dims


def _places(tree: Tree, nodes: list[Tree]) -> int:
    """In how many places of the printed text the nodes stand: indices don't count."""
    wanted = {node.path for node in nodes}
    return len({tuple("*" if p.isdigit() else p for p in path) for path in wanted})


def _leaf(tree: Tree, name: str) -> Leaf:
    leaf = tree.children[name]
    assert isinstance(leaf, Leaf)
    return leaf


def _literal(tree: Tree) -> Dims:
    return {leaf: tuple(str(d) for d in leaf.shape) for leaf in leaves_of(tree)}


def _nodes(tree: Tree) -> list[Tree]:
    """All nodes, children before parents."""
    below = [
        n for c in tree.children.values() if isinstance(c, Tree) for n in _nodes(c)
    ]
    return [*below, tree]


def _name(parts: list[Part]) -> str:
    """A leaf's name as a literal or, with variables in it, as an f-string."""
    if all(kind == "text" for kind, _ in parts):
        return repr("".join(text for _, text in parts))
    if len(parts) == 1:
        return parts[0][1]
    values: list[ast.expr] = []
    for kind, text in parts:
        if kind == "name":
            values.append(ast.FormattedValue(ast.Name(text), -1))
        elif values and isinstance(values[-1], ast.Constant):
            values[-1] = ast.Constant(str(values[-1].value) + text)
        else:
            values.append(ast.Constant(text))
    return ast.unparse(ast.JoinedStr(values))


__all__ = ["Builder", "Counter"]
