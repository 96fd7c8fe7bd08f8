"""Run a generated module's text and note what each layer returned."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

from luxgen.ir.program import Call, Item, Op


def probe(item: Item, expression: ast.expr) -> ast.expr:
    """Wrap an op or call so that the recorder sees its result.

    `conv2d(x, ...)` -> `probe_("conv1", conv2d(x, ...))`;
    `block(x, ps)` -> `call_("layer1", block, x, ps)`.
    """
    if isinstance(item, Call):
        assert isinstance(expression, ast.Call)
        path = ast.Constant(".".join(item.path))
        args = [path, expression.func, *expression.args]
        return ast.Call(ast.Name("call_"), args, expression.keywords)
    assert isinstance(item, Op)
    if item.name in _INNER and item.state is not None:
        always = ast.Constant(item.kind.startswith("Always"))
        off = _Off().visit(expression)
        expression = ast.Call(ast.Name("inner_"), [always, off], [])
    elif item.state is not None and item.kind != "BatchNormState":
        name = ast.Constant(item.name)
        expression = ast.Call(ast.Name("random_"), [name, expression], [])
    if not item.closes:
        return expression
    owner = ast.Constant(item.owner)
    return ast.Call(ast.Name("probe_"), [owner, expression], [])


Drawn = tuple[str, Any, Any]  # an op's name, its result, the state after it

# Dropout inside these can't be handed to torch: it is off while comparing.
_INNER = frozenset(
    {"lstm", "gru", "rnn", "multi_head_attention", "scaled_dot_product_attention"}
)


class _Off(ast.NodeTransformer):
    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        if node.arg in ("dropout", "dropout_p", "p"):
            return ast.keyword(node.arg, ast.Constant(0.0))
        return node


class Recorder:
    """Results by module path in the order of calls, and the random values drawn."""

    def __init__(self) -> None:
        self.results: list[tuple[str, Any]] = []
        self.random: list[Drawn] = []
        self.inner: set[bool] = set()  # inner dropout: does it ignore the mode?
        self._stack: list[tuple[str, dict[str, int]]] = [("", {})]

    def names(self) -> dict[str, Callable[..., Any]]:
        return {
            "probe_": self.probe,
            "call_": self.call,
            "random_": self.draw,
            "inner_": self.within,
        }

    def within(self, always: bool, value: Any) -> Any:
        """Note that dropout inside an op was switched off for the comparison."""
        self.inner.add(always)
        return value

    def _path(self, relative: str) -> str:
        """The absolute path; "*" is how often this place was reached in this call."""
        base, counts = self._stack[-1]
        if "*" in relative:
            index = counts.get(relative, 0)
            counts[relative] = index + 1
            relative = relative.replace("*", str(index), 1)
        return f"{base}.{relative}".strip(".")

    def probe(self, owner: str, value: Any) -> Any:
        self.results.append((self._path(owner), _result(value)))
        return value

    def call(
        self, path: str, function: Callable[..., Any], *args: Any, **kw: Any
    ) -> Any:
        absolute = self._path(path)
        self._stack.append((absolute, {}))
        value = function(*args, **kw)
        self._stack.pop()
        self.results.append((absolute, _result(value)))
        return value

    def draw(self, name: str, value: Any) -> Any:
        if getattr(value[1], "training", True):  # else it drew nothing
            self.random.append((name, *value))
        return value


def _result(value: Any) -> Any:
    """What the layer returned, without the state after it."""
    if isinstance(value, tuple) and len(value) == 2 and _is_state(value[1]):
        return value[0]
    return value


def _is_state(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def arrays_in(value: Any) -> list[Any]:
    """Every array in nested results, in order."""
    if isinstance(value, (np.ndarray, np.generic)):
        return [np.asarray(value)]
    if isinstance(value, (tuple, list)):
        return [a for item in value for a in arrays_in(item)]
    if isinstance(value, dict):
        return [a for item in value.values() for a in arrays_in(item)]
    return []
