"""Facts of expressions."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from luxgen.targets.numpy.specialise_facts import (
    ARRAYS,
    GIVEN,
    INT,
    INTEGRAL,
    UNKNOWN,
    Env,
    Fact,
    join,
    of_kind,
    refined,
    value_fact,
)
from luxgen.targets.numpy.specialise_nodes import display, dotted, literal

_ARRAY_FUNCTIONS = frozenset({
    "abs", "add", "arange", "array", "asarray", "broadcast_to", "clip", "concatenate",
    "cumsum", "empty", "empty_like", "exp", "expand_dims", "expm1", "full", "full_like",
    "log", "log1p", "matmul", "maximum", "minimum", "moveaxis", "ones", "ones_like",
    "pad", "reduce", "repeat", "sliding_window_view", "sqrt", "square", "stack",
    "swapaxes", "take_along_axis", "tanh", "tensordot", "transpose", "where", "zeros",
    "zeros_like",
})  # fmt: skip
_ARRAY_METHODS = frozenset({
    "astype", "copy", "cumsum", "max", "mean", "min", "prod", "ravel", "repeat",
    "reshape", "squeeze", "sum", "swapaxes", "take", "transpose", "var", "std",
})  # fmt: skip
_BUILTINS: dict[str, Fact] = {
    "bool": of_kind("bool"),
    "float": of_kind("float"),
    "int": of_kind("int"),
    "len": of_kind("int"),
    "list": of_kind("list"),
    "range": Fact(frozenset({"other"}), INT),
    "slice": of_kind("other"),
    "str": of_kind("str"),
    "tuple": of_kind("tuple"),
    "zip": of_kind("other"),
}
_ATTRIBUTES: dict[str, Fact] = {
    "T": of_kind("array"),
    "dtype": of_kind("other"),
    "imag": of_kind("array"),
    "mT": of_kind("array"),
    "ndim": of_kind("int"),
    "real": of_kind("array"),
    "shape": Fact(frozenset({"tuple"}), INT),
    "size": of_kind("int"),
}
_INT_OPERATORS = (cst.Add, cst.Subtract, cst.Multiply, cst.FloorDivide, cst.Modulo,
                  cst.LeftShift, cst.RightShift)  # fmt: skip


class Facts:
    """Facts of expressions; `returns` knows the results of functions by name."""

    def __init__(self, returns: Mapping[str, Fact], *, program: bool = False) -> None:
        self.returns = returns
        self.program = program  # text of the model: `ps` and `st` are its trees

    def of(self, node: cst.BaseExpression, env: Env) -> Fact:
        constant = literal(node)
        if constant is not None:
            return value_fact(constant.value)
        if isinstance(node, cst.Name):
            return env.get(node.value, UNKNOWN)
        if isinstance(node, cst.Tuple):
            parts = display(node)
            if parts is None:
                return of_kind("tuple")
            items = frozenset[str]().union(*(self.of(p, env).kinds for p in parts))
            return Fact(frozenset({"tuple"}), items, length=len(parts))
        if isinstance(node, cst.Attribute):
            return self._attribute(node)
        if isinstance(node, cst.Subscript):
            return self._subscript(node, env)
        if isinstance(node, cst.BinaryOperation):
            return self._arithmetic(node, env)
        if isinstance(node, cst.UnaryOperation):
            if isinstance(node.operator, cst.Not):
                return of_kind("bool")
            return Fact(self.of(node.expression, env).kinds & GIVEN or GIVEN)
        if isinstance(node, cst.BooleanOperation):
            left, right = self.of(node.left, env), self.of(node.right, env)
            if isinstance(node.operator, cst.Or):  # None isn't what `or` gives back
                left = Fact(left.kinds - {"none"}, left.items, values=left.values)
            return join(left, right).known()
        if isinstance(node, cst.IfExp):
            yes, no = refined(node.test, True, env), refined(node.test, False, env)
            return join(self.of(node.body, yes), self.of(node.orelse, no)).known()
        if isinstance(node, cst.Call):
            return self._call(node, env)
        if isinstance(node, (cst.List, cst.ListComp)):  # elements may be added
            return of_kind("list")
        if isinstance(node, (cst.Await, cst.NamedExpr, cst.Yield)):
            return UNKNOWN
        return Fact(GIVEN)

    def _attribute(self, node: cst.Attribute) -> Fact:
        known = _ATTRIBUTES.get(node.attr.value)
        if known is not None:
            return known
        path = dotted(node)
        if self.program and path and path[0].split("_")[0] in ("ps", "st"):
            return Fact(GIVEN)  # leaves and nodes of the model's own trees
        return UNKNOWN

    def _subscript(self, node: cst.Subscript, env: Env) -> Fact:
        whole = self.of(node.value, env)
        if whole.kinds <= ARRAYS:
            return Fact(ARRAYS)
        if whole.kinds <= {"tuple", "list"} and len(node.slice) == 1:
            index = node.slice[0].slice
            if isinstance(index, cst.Slice):
                return Fact(whole.kinds, whole.items)
            if isinstance(index, cst.Index):
                whole_number = self.of(index.value, env).kinds <= INTEGRAL
                return Fact(whole.items) if whole_number else UNKNOWN
        return UNKNOWN

    def _arithmetic(self, node: cst.BinaryOperation, env: Env) -> Fact:
        left, right = self.of(node.left, env).kinds, self.of(node.right, env).kinds
        if left <= INTEGRAL and right <= INTEGRAL:
            return Fact(INT if isinstance(node.operator, _INT_OPERATORS) else GIVEN)
        whole = INTEGRAL | {"int_array"}
        closed = isinstance(node.operator, _INT_OPERATORS)
        if closed and left <= whole and right <= whole:
            return of_kind("int_array")
        if left <= ARRAYS or right <= ARRAYS:
            return of_kind("array")
        return Fact(GIVEN)

    def _call(self, node: cst.Call, env: Env) -> Fact:
        path = dotted(node.func)
        if len(path) == 1 and path[0] not in env:
            return self.returns.get(path[0]) or _BUILTINS.get(path[0], UNKNOWN)
        if path and path[0] in ("np", "math") and path[0] not in env:
            counts = (self.of(a.value, env).kinds <= INTEGRAL for a in node.args)
            if path == ["np", "arange"] and all(counts):
                return of_kind("int_array")
            return Fact(ARRAYS if path[-1] in _ARRAY_FUNCTIONS else GIVEN)
        method = node.func
        if isinstance(method, cst.Attribute) and method.attr.value in _ARRAY_METHODS:
            array = self.of(method.value, env).kinds <= ARRAYS
            return Fact(ARRAYS if array else GIVEN)
        if path == ["sliding_window_view"]:
            return of_kind("array")
        return UNKNOWN
