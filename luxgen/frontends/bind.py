"""Bind a torch call to a canonical op name and torch's own argument names.

Builtins are bound by their aten schemas, Python functions by their signature;
`torch.softmax`, `Tensor.softmax` and `F.softmax` all become "softmax".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.overrides import resolve_name

OPERATORS = {
    "__add__": "add", "__iadd__": "add_", "__sub__": "sub", "__isub__": "sub_",
    "__mul__": "mul", "__imul__": "mul_", "__truediv__": "div", "__itruediv__": "div_",
    "__idiv__": "div_", "__div__": "div", "__floordiv__": "floor_divide",
    "__ifloordiv__": "floor_divide_", "__mod__": "remainder", "__imod__": "remainder_",
    "__pow__": "pow", "__ipow__": "pow_", "__matmul__": "matmul", "__imatmul__": "matmul_",
    "__neg__": "neg", "__pos__": "positive", "__abs__": "abs", "__invert__": "bitwise_not",
    "__and__": "bitwise_and", "__iand__": "bitwise_and_", "__or__": "bitwise_or",
    "__ior__": "bitwise_or_", "__xor__": "bitwise_xor", "__ixor__": "bitwise_xor_",
    "__lshift__": "bitwise_left_shift", "__rshift__": "bitwise_right_shift",
    "__ilshift__": "bitwise_left_shift_", "__irshift__": "bitwise_right_shift_",
    "__eq__": "eq", "__ne__": "ne", "__lt__": "lt", "__le__": "le", "__gt__": "gt",
    "__ge__": "ge", "__getitem__": "getitem", "__setitem__": "setitem_",
}  # fmt: skip
REVERSED = {
    "__radd__": "add", "__rsub__": "sub", "__rmul__": "mul", "__rdiv__": "div",
    "__rtruediv__": "div", "__rfloordiv__": "floor_divide", "__rmod__": "remainder",
    "__rpow__": "pow", "__rmatmul__": "matmul", "__rand__": "bitwise_and",
    "__ror__": "bitwise_or", "__rxor__": "bitwise_xor",
    "__rlshift__": "bitwise_left_shift", "__rrshift__": "bitwise_right_shift",
}  # fmt: skip
ALIASES = {
    "multiply": "mul", "subtract": "sub", "divide": "div", "true_divide": "div",
    "clip": "clamp", "absolute": "abs", "negative": "neg", "concat": "cat",
    "concatenate": "cat", "swapaxes": "transpose", "swapdims": "transpose",
    "moveaxis": "movedim", "greater": "gt", "greater_equal": "ge", "less": "lt",
    "less_equal": "le", "not_equal": "ne", "arccos": "acos", "arcsin": "asin",
    "arctan": "atan", "arctan2": "atan2", "arccosh": "acosh", "arcsinh": "asinh",
    "arctanh": "atanh", "fix": "trunc", "row_stack": "vstack",
    "special_expit": "sigmoid", "special_softmax": "softmax",
    "special_log_softmax": "log_softmax", "special_logsumexp": "logsumexp",
    "special_exp2": "exp2", "special_expm1": "expm1", "special_log1p": "log1p",
    "special_round": "round", "special_sinc": "sinc", "special_erf": "erf",
    "special_erfc": "erfc", "special_erfinv": "erfinv", "special_logit": "logit",
    "special_xlogy": "xlogy", "special_digamma": "digamma", "special_psi": "digamma",
    "special_gammaln": "lgamma", "special_i0": "i0", "_softmax": "softmax",
    "linalg_matmul": "matmul", "_shape_as_tensor": "shape_as_tensor",
    "spmm": "mm",
}  # fmt: skip
# Calls that have no aten schema of their own name, or one that doesn't fit.
SIGNATURES = {
    "getitem": "input, index",
    "setitem_": "input, index, value",
    "type": "input, dtype=None, non_blocking=False",
    "float": "input, memory_format=None", "double": "input, memory_format=None", "half": "input, memory_format=None", "bfloat16": "input, memory_format=None",
    "long": "input, memory_format=None", "int": "input, memory_format=None", "short": "input, memory_format=None", "char": "input, memory_format=None",
    "byte": "input, memory_format=None", "bool": "input, memory_format=None", "cfloat": "input, memory_format=None", "cdouble": "input, memory_format=None",
    "cpu": "input", "cuda": "input, device=None",
    "tensor": "data, dtype=None", "as_tensor": "data, dtype=None",
    "asarray": "data, dtype=None", "from_numpy": "data",
    "new_tensor": "input, data, dtype=None",
    "T": "input", "mT": "input", "H": "input", "mH": "input", "real": "input",
    "imag": "input", "data": "input", "positive": "input",
    "unique": "input, sorted=True, return_inverse=False, return_counts=False, dim=None",
    "nonzero": "input, as_tuple=False",
    "type_as": "input, other", "view_as": "input, other",
    "einsum": "equation, *operands", "meshgrid": "*tensors, indexing='ij'",
    "broadcast_tensors": "*tensors", "block_diag": "*tensors",
    "cartesian_prod": "*tensors", "atleast_1d": "*tensors", "atleast_2d": "*tensors",
    "atleast_3d": "*tensors", "chain_matmul": "*matrices",
    "broadcast_shapes": "*shapes",
    "lu": "A, pivot=True, get_infos=False",
    "softmax": "input, dim=None, _stacklevel=3, dtype=None",
    "log_softmax": "input, dim=None, _stacklevel=3, dtype=None",
    "max_pool1d": "input, kernel_size, stride=None, padding=0, dilation=1, "
    "ceil_mode=False, return_indices=False",
    "max_pool2d": "input, kernel_size, stride=None, padding=0, dilation=1, "
    "ceil_mode=False, return_indices=False",
    "max_pool3d": "input, kernel_size, stride=None, padding=0, dilation=1, "
    "ceil_mode=False, return_indices=False",
    "adaptive_max_pool1d": "input, output_size, return_indices=False",
    "adaptive_max_pool2d": "input, output_size, return_indices=False",
    "adaptive_max_pool3d": "input, output_size, return_indices=False",
    **{
        f"fractional_max_pool{nd}d{form}": "input, kernel_size, output_size=None, "
        "output_ratio=None, return_indices=False, _random_samples=None"
        for nd in (2, 3)
        for form in ("", "_with_indices")
    },
}  # fmt: skip
# Arguments that say where and how a tensor lives: NumPy has one place.
DTYPE_FREE = {
    "device", "layout", "pin_memory", "memory_format", "non_blocking", "copy",
    "requires_grad", "names", "_stacklevel", "out",
}  # fmt: skip
VARIADIC = {
    "view", "reshape", "permute", "expand", "repeat", "tile", "flip", "new_zeros",
    "new_ones", "new_empty", "new_full", "zeros", "ones", "empty", "rand", "randn",
    "movedim", "broadcast_to", "sum_to_size", "sum", "mean", "squeeze", "unflatten", "tensordot",
}  # fmt: skip


# Methods whose self is the schema's second argument: x.where(condition, y).
_SELF_SECOND = (torch.Tensor.where, torch.Tensor.polygamma)


class Unbound(Exception):
    """The call fits no signature known for it."""


@dataclass(frozen=True)
class Call:
    """`name` with torch's argument names; arguments equal to defaults are left out."""

    name: str
    args: dict[str, Any]
    inplace: bool = False
    overload: str = ""


@cache
def canonical(func: Callable[..., Any]) -> tuple[str, bool]:
    """Op name of a torch callable and whether its two first arguments swap."""
    own = getattr(func, "__name__", "")
    if isinstance(func, torch._ops.OpOverload):  # torch.ops.aten.add.Tensor
        own = func._schema.name.rpartition("::")[2]
        return ALIASES.get(own, own), False
    if own.startswith(("linalg_", "fft_")) and own != "linalg_matmul":
        return own, False  # torch.linalg.norm isn't torch.norm
    full = resolve_name(func) or f"{func.__module__}.{own}"
    parts = full.split(".")
    name = parts[-2] if parts[-1] in ("__get__", "__set__") else parts[-1]
    if name in REVERSED:
        return REVERSED[name], True
    name = OPERATORS.get(name, name)
    base = name.removesuffix("_") if _in_place(name) else name
    base = ALIASES.get(base, base)
    return (base + "_" if _in_place(name) else base), False


def _in_place(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__")


def bind(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Call:
    """Bind one call; raises Unbound where no signature fits."""
    name, swapped = canonical(func)
    args = tuple(_from_python(a) for a in args)
    if isinstance(kwargs.get("dtype"), type):
        kwargs = kwargs | {"dtype": _from_python(kwargs["dtype"])}
    if swapped:
        args = (args[1], args[0], *args[2:])
    if func in _SELF_SECOND:
        args = (args[1], args[0], *args[2:])
    inplace = _in_place(name) or kwargs.get("inplace") is True
    bound, overload = _arguments(func, name, args, kwargs)
    if bound.pop("inplace", False):
        inplace = True
    bound = {k: v for k, v in bound.items() if k not in DTYPE_FREE}
    base = name.removesuffix("_") if _in_place(name) else name
    if base.endswith("dropout") and "train" in bound:  # torch.dropout's own name for it
        bound["training"] = bound.pop("train")
    return Call(base, {k: _plain(v) for k, v in bound.items()}, inplace, overload)


_PYTHON_DTYPES = {
    int: torch.int64, float: torch.float64, bool: torch.bool,
    complex: torch.complex128,
}  # fmt: skip


def _from_python(value: Any) -> Any:
    """NumPy's numbers and Python's types as torch itself takes them."""
    if isinstance(value, np.generic):
        return value.item()
    return _PYTHON_DTYPES.get(value, value) if isinstance(value, type) else value


def _arguments(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    if name in SIGNATURES:
        return _by_signature(_literal(SIGNATURES[name]), args, kwargs), ""
    signature = _python_signature(func)
    if signature is not None:
        kinds = {p.kind for p in signature.parameters.values()}
        if inspect.Parameter.VAR_POSITIONAL not in kinds:
            return _by_signature(signature, args, kwargs), ""
    schemas = _schemas(name)
    for schema in schemas:
        bound = _by_schema(schema, name, args, kwargs)
        if bound is not None:
            return bound, str(schema.overload_name)
    if signature is not None:
        return _by_signature(signature, args, kwargs), ""
    if not schemas and not kwargs and len(args) == 1:
        return {"input": args[0]}, ""
    raise Unbound(f"no signature of {name} fits this call")


@cache
def _python_signature(func: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(func) if inspect.isfunction(func) else None
    except ValueError:  # a Python wrapper around a builtin, e.g. Tensor.__pow__
        return None


@cache
def _literal(text: str) -> inspect.Signature:
    scope: dict[str, Any] = {}
    exec(f"def f({text}): ...", scope)  # text is a literal of the table above
    return inspect.signature(scope["f"])


@cache
def _schemas(name: str) -> tuple[Any, ...]:
    found = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    if not found:  # torch.special's functions come without their prefix
        found = torch._C._jit_get_schemas_for_operator(f"aten::special_{name}")
    if not found and name.endswith("_"):
        found = torch._C._jit_get_schemas_for_operator(f"aten::{name[:-1]}")
    usable = [
        s for s in found
        if not any(a.is_out for a in s.arguments)
        and not any("Dimname" in str(a.type) for a in s.arguments)
    ]  # fmt: skip
    # Scalar overloads last: a Python number also fits nothing else.
    return tuple(usable)


def _by_signature(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    known = signature.parameters
    kwargs = {k: v for k, v in kwargs.items() if k in known or k not in DTYPE_FREE}
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise Unbound(str(error)) from None
    result: dict[str, Any] = {}
    for name, value in bound.items():
        default = signature.parameters[name].default
        if not _equal(value, default):
            result["input" if name == "self" else name] = value
    return result


def _by_schema(
    schema: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    formals = list(schema.arguments)
    positional = [a for a in formals if not a.kwarg_only]
    actual = list(args)
    base = name.removesuffix("_")
    if base in VARIADIC:
        actual = _collapse(positional, actual)
    if len(actual) > len(positional):
        return None
    given = {a.name: v for a, v in zip(positional, actual, strict=False)}
    names = {a.name for a in formals}
    for key, value in kwargs.items():
        key = "self" if key == "input" and "self" in names else key
        key = _RENAMED.get(key, key) if key not in names else key
        if key in DTYPE_FREE and key not in names:
            continue
        if key not in names or key in given:
            return None
        given[key] = value
    result: dict[str, Any] = {}
    for formal in formals:
        if formal.name not in given:
            if not formal.has_default_value():
                return None
            continue
        value = given[formal.name]
        if not _fits(value, formal.type):
            return None
        if not (formal.has_default_value() and _equal(value, formal.default_value)):
            result["input" if formal.name == "self" else formal.name] = value
    return result


_RENAMED = {"axis": "dim", "keepdims": "keepdim", "other": "other", "x": "self"}


def _collapse(positional: list[Any], actual: list[Any]) -> list[Any]:
    """`view(2, 3)` -> `view((2, 3))`: trailing ints fill one int-list argument."""
    for k, formal in enumerate(positional):
        text = str(formal.type)
        if "List[int]" in text or "SymInt[]" in text:
            rest = actual[k:]
            if len(rest) > 1 and all(_is_int(v) for v in rest):
                return [*actual[:k], tuple(rest)]
            break
    return actual


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fits(value: Any, kind: Any) -> bool:
    text = kind.annotation_str
    if text.startswith("Optional["):
        if value is None:
            return True
        text = text[len("Optional[") : -1]
    return _fits_text(value, text)


def _fits_text(value: Any, text: str) -> bool:
    if text.startswith("List[Optional[Tensor]"):
        return isinstance(value, (list, tuple))
    if text.startswith("List["):
        inner = text[5:-1]
        if isinstance(value, (list, tuple)):
            return all(_fits_text(v, inner) for v in value)
        return inner in ("int", "float") and _fits_text(value, inner)
    if text == "Tensor":
        return isinstance(value, torch.Tensor)
    if text == "int":
        return _is_int(value) or isinstance(
            value, torch.dtype | torch.layout | torch.memory_format
        )
    if text == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if text in (
        "number",
        "Scalar",
        "Union[int, float, complex]",
        "Union[complex, float, int]",
    ):
        return isinstance(value, (bool, int, float, complex))
    if text == "bool":
        return isinstance(value, bool)
    if text == "str":
        return isinstance(value, str)
    if text in ("Device", "torch.device", "device"):
        return isinstance(value, (torch.device, str))
    return not isinstance(value, (torch.Tensor, tuple, list))


def _equal(value: Any, default: Any) -> bool:
    held = (torch.Tensor, np.ndarray)
    if isinstance(value, held) or isinstance(default, held):
        return False
    if isinstance(value, tuple) and isinstance(default, list):
        default = tuple(default)
    return (type(value) is type(default) or value is None) and bool(value == default)


def _plain(value: Any) -> Any:
    """torch.Size, dtypes and other torch constants as plain Python ones."""
    if isinstance(value, torch.dtype):
        return dtype_name(value)
    if isinstance(value, torch.Size):
        return tuple(value)
    if type(value) in (tuple, list):
        return type(value)(_plain(v) for v in value)
    return value


def dtype_name(dtype: torch.dtype) -> str:
    """NumPy's name: torch.float32 -> "float32", torch.bool -> "bool"."""
    return str(dtype).removeprefix("torch.")
