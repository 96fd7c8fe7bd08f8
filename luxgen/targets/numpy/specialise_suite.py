"""Blocks of statements: what they bind, and their layout when some are taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import libcst as cst

from luxgen.targets.numpy.specialise_nodes import children, walk

B = TypeVar("B", bound=cst.CSTNode)  # with a body

Statements = list[cst.BaseStatement]


def statements(suite: cst.BaseSuite) -> Sequence[cst.BaseStatement]:
    if isinstance(suite, cst.IndentedBlock):
        return suite.body
    assert isinstance(suite, cst.SimpleStatementSuite)
    return [cst.SimpleStatementLine(suite.body)]


def with_block(node: B, body: Statements) -> B:
    """The compound statement with another body; the same node if it is the same."""
    old: cst.BaseSuite = node.body  # type: ignore[attr-defined]
    suite = with_statements(old, body)
    return node if suite is old else node.with_changes(body=suite)


def with_statements(suite: cst.BaseSuite, body: Statements) -> cst.BaseSuite:
    old = statements(suite)
    if len(old) == len(body) and all(a is b for a, b in zip(old, body, strict=True)):
        return suite
    body = body or [cst.SimpleStatementLine([cst.Pass()])]
    if isinstance(suite, cst.IndentedBlock):
        return suite.with_changes(body=body)
    return cst.IndentedBlock(body)


def line_of(
    node: cst.SimpleStatementLine, small: Sequence[cst.BaseSmallStatement]
) -> cst.SimpleStatementLine:
    """The line with other statements in it, its comments kept."""
    pairs = zip(small, node.body, strict=False)
    if len(small) == len(node.body) and all(a is b for a, b in pairs):
        return node
    plain = cst.MaybeSentinel.DEFAULT
    return node.with_changes(body=[s.with_changes(semicolon=plain) for s in small])


def spliced(node: cst.If, suite: cst.BaseSuite | None, body: Statements) -> Statements:
    """`body` where `node` stood, with the comments above it and beside its colon."""
    if not body:
        return []
    lines = [*node.leading_lines]
    if isinstance(suite, cst.IndentedBlock) and suite.header.comment is not None:
        lines.append(cst.EmptyLine(comment=suite.header.comment))
    first: Any = body[0]
    lines += first.leading_lines
    return [first.with_changes(leading_lines=lines), *body[1:]]


def targets(node: cst.CSTNode) -> list[str]:
    """Names that the assignment target binds."""
    if isinstance(node, cst.Name):
        return [node.value]
    if isinstance(node, (cst.Subscript, cst.Attribute)):
        return []
    return [name for child in children(node) for name in targets(child)]


# Nodes that bind names, and the field that holds the target.
_BINDING: dict[type[cst.CSTNode], str] = {
    cst.AnnAssign: "target",
    cst.AsName: "name",
    cst.AssignTarget: "target",
    cst.AugAssign: "target",
    cst.CompFor: "target",
    cst.Del: "target",
    cst.For: "target",
    cst.NamedExpr: "target",
}


def bindings(node: cst.CSTNode) -> Counter[str]:
    """How often each name is bound in `node`, in the scope that `node` is in."""
    found: Counter[str] = Counter()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if kind in (cst.FunctionDef, cst.ClassDef):
            found[part.name.value] += 1  # type: ignore[attr-defined]
        elif kind is not cst.Lambda:
            declared = kind is cst.AnnAssign and part.value is None  # type: ignore[attr-defined]
            if kind in _BINDING and kind is not cst.CompFor and not declared:
                found.update(targets(getattr(part, _BINDING[kind])))
            waiting += children(part)
    return found


def reads(node: cst.CSTNode) -> set[str]:
    """Names that `node` reads; `x += 1` reads x."""
    found: set[str] = set()
    waiting = [(node, False)]
    while waiting:
        part, stored = waiting.pop()
        kind = type(part)
        if kind is cst.Name:
            if not stored:
                found.add(part.value)  # type: ignore[attr-defined]
            continue
        target = getattr(part, _BINDING[kind]) if kind in _BINDING else None
        label = _LABELS.get(kind)
        name = getattr(part, label) if label else None
        stored = stored and kind not in (cst.Subscript, cst.Attribute)
        for child in children(part):
            if child is name:
                continue
            written = child is target and kind is not cst.AugAssign
            waiting.append((child, stored or written))
    return found


# Fields that hold a name which is no variable.
_LABELS: dict[type[cst.CSTNode], str] = {
    cst.Arg: "keyword",
    cst.Attribute: "attr",
    cst.FunctionDef: "name",
    cst.Param: "name",
}


def occurrences(node: cst.CSTNode) -> Counter[str]:
    """How often each name stands anywhere in `node`."""
    return Counter(n.value for n in walk(node) if isinstance(n, cst.Name))


def augmented(node: cst.CSTNode) -> set[str]:
    """Variables changed by `+=` and the like, perhaps in place."""
    found = (n.target for n in walk(node) if isinstance(n, cst.AugAssign))
    return {t.value for t in found if isinstance(t, cst.Name)}


def shared(node: cst.CSTNode) -> set[str]:
    """Variables that functions inside may assign."""
    declared = (n for n in walk(node) if isinstance(n, (cst.Global, cst.Nonlocal)))
    return {item.name.value for n in declared for item in n.names}


def parameter_names(node: cst.FunctionDef) -> list[str]:
    """All of them, `*args` and `**kwargs` too."""
    p = node.params
    stars = [s for s in (p.star_arg, p.star_kwarg) if isinstance(s, cst.Param)]
    plain = [*p.posonly_params, *p.params, *p.kwonly_params]
    return [q.name.value for q in (*plain, *stars)]
