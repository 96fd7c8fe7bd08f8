"""The helpers of luxgen/ops, parsed once per process."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import libcst as cst

from luxgen.targets.numpy.helpers import helper_module, helper_names
from luxgen.targets.numpy.specialise_calls import Parameter, parameters_of
from luxgen.targets.numpy.specialise_facts import Fact, annotated

# Defined by the generated module itself.
GIVEN_BY_MODULE = frozenset({"Array"})


@dataclass(frozen=True)
class Helper:
    """A function of luxgen/ops; `expression` is its body if that is one `return`."""

    name: str
    node: cst.FunctionDef
    parameters: tuple[Parameter, ...]
    expression: cst.BaseExpression | None


class Helpers(Mapping[str, Helper]):
    """The functions of luxgen/ops by name; each file is parsed when first needed."""

    def __contains__(self, name: object) -> bool:
        return name in _function_names()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(_function_names()))

    def __len__(self) -> int:
        return len(_function_names())

    def __getitem__(self, name: str) -> Helper:
        if name not in _function_names():
            raise KeyError(name)
        return _helper(name)


class Returns(Mapping[str, Fact]):
    """What is known of the helpers' results, and of other functions by `known`."""

    def __init__(
        self, known: Mapping[str, Fact], helpers: Mapping[str, Helper]
    ) -> None:
        self.known, self.helpers = known, helpers

    def __getitem__(self, name: str) -> Fact:
        if name in self.known:
            return self.known[name]
        return annotated(returned(self.helpers[name].node))

    def __iter__(self) -> Iterator[str]:
        return iter({*self.known, *self.helpers})

    def __len__(self) -> int:
        return len({*self.known, *self.helpers})


HELPERS = Helpers()


@cache
def _function_names() -> frozenset[str]:
    names = helper_names() - GIVEN_BY_MODULE
    return frozenset(
        n for n in names if inspect.isfunction(getattr(helper_module(n), n))
    )


@cache
def _helper(name: str) -> Helper:
    node = _parsed(helper_module(name))[0][name]
    assert isinstance(node, cst.FunctionDef)
    return helper_of(node)


def helper_of(node: cst.FunctionDef) -> Helper:
    body = list(node.body.body)
    if body and is_docstring(body[0]):
        body = body[1:]
    expression = None
    if len(body) == 1 and isinstance(body[0], cst.SimpleStatementLine):
        last = body[0].body[-1]
        if len(body[0].body) == 1 and isinstance(last, cst.Return):
            expression = last.value
    return Helper(node.name.value, node, parameters_of(node), expression)


@cache
def definition(name: str) -> str:
    """Source of a class or constant of luxgen/ops."""
    return source(_parsed(helper_module(name))[0][name])


def origin(owner: str, name: str) -> tuple[str, str] | None:
    """Where the file that defines `owner` imports `name` from: (module, name in it)."""
    return _parsed(helper_module(owner))[1].get(name)


def source(node: cst.BaseStatement) -> str:
    """Text of a top-level statement, with the comments right above it."""
    lines = [line for line in getattr(node, "leading_lines", ()) if line.comment]
    text = cst.Module([]).code_for_node(node.with_changes(leading_lines=lines))
    return text.strip("\n")


def is_docstring(statement: cst.CSTNode) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    first = statement.body[0]
    return isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString)


def returned(node: cst.FunctionDef) -> cst.BaseExpression | None:
    return None if node.returns is None else node.returns.annotation


@cache
def _parsed(
    module: ModuleType,
) -> tuple[dict[str, cst.BaseStatement], dict[str, tuple[str, str]]]:
    """Top-level statements by the name they define; imported names."""
    statements: dict[str, cst.BaseStatement] = {}
    imported: dict[str, tuple[str, str]] = {}
    for node in cst.parse_module(inspect.getsource(module)).body:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            statements[node.name.value] = node
        elif isinstance(node, cst.SimpleStatementLine):
            for part in node.body:
                imported |= _imports(part)
                if (name := _assigned(part)) is not None:
                    statements[name] = node
    return statements, imported


def _assigned(node: cst.BaseSmallStatement) -> str | None:
    if isinstance(node, cst.AnnAssign) and isinstance(node.target, cst.Name):
        return node.target.value
    if isinstance(node, cst.Assign) and isinstance(node.targets[0].target, cst.Name):
        return node.targets[0].target.value
    return None


def _imports(node: cst.BaseSmallStatement) -> dict[str, tuple[str, str]]:
    """Name -> (module, name in it, or "" for the module itself)."""
    if isinstance(node, cst.Import):
        names = {a.evaluated_alias or a.evaluated_name: a for a in node.names}
        return {name: (a.evaluated_name, "") for name, a in names.items()}
    if isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar):
        assert node.module is not None
        module = cst.Module([]).code_for_node(node.module)
        return {a.evaluated_name: (module, a.evaluated_name) for a in node.names}
    return {}
