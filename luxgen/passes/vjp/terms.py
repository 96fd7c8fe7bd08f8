"""Terms: what VJP rows compute with; every operation on one is an op of the IR.

`d * (1 - y * y)` in a row records `mul(y, y)`, `sub(1, .)`, `mul(d, .)` on the tape.
Shapes and dtypes follow from the operands', in both traces at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from luxgen.ir.program import Item, Line, Op
from luxgen.ir.values import Arg, Dim, Leaf, Node, Option, Value, map_arg

Shape = tuple[int, ...]
OPAQUE = "opaque"  # dtype of a value that only its op's backward understands


@dataclass
class Tape:
    """The ops recorded so far, all at the source line of the op they differentiate."""

    items: list[Item] = field(default_factory=list)
    line: Line = ("", 0)
    spread: dict[Value, Term] = field(default_factory=dict)  # expand_as: result, input

    def term(self, arg: Arg) -> Term:
        return arg if isinstance(arg, Term) else Term(arg, self)

    def emit(self, name: str, args: dict[str, Any], result: Arg) -> Any:
        """Record op `name`; its result as Terms, in the structure of `result`."""
        plain = {k: map_arg(_plain, v) for k, v in args.items()}
        self.items.append(Op(name, plain, result, line=self.line))
        return map_arg(lambda a: Term(a, self) if isinstance(a, Value) else a, result)

    def op(
        self,
        name: str,
        like: Any = None,
        *,
        dtype: str | None = None,
        shape: Shape | None = None,
        witness: Shape | None = None,
        **args: Any,
    ) -> Term:
        """Record an op of one tensor that looks like `like`, or as the options say."""
        if like is not None:
            like = self.term(like)
            dtype = dtype or like.dtype
            if shape is None:
                shape, witness = like.shape, like.witness
        assert dtype is not None and shape is not None
        out = Value(dtype, shape, shape if witness is None else witness)
        term: Term = self.emit(name, args, out)
        return term

    def elementwise(self, name: str, *, dtype: str | None = None, **args: Any) -> Term:
        """Record an op whose result has its operands' common shape and dtype."""
        terms = [
            t for t in (self.term(a) for a in args.values()) if t.is_tensor or t.is_size
        ]
        tensors = [t for t in terms if t.is_tensor]
        shape = np.broadcast_shapes(*(t.shape for t in tensors))
        witness = np.broadcast_shapes(*(t.witness for t in tensors))
        args = self._unspread(args, (shape, witness))
        numbers = [_plain(a) for a in args.values()]
        dtype = dtype or common_dtype([t.dtype for t in tensors], numbers)
        return self.op(name, dtype=dtype, shape=shape, witness=witness, **args)

    def _unspread(
        self, args: dict[str, Any], sizes: tuple[Shape, Shape]
    ) -> dict[str, Any]:
        """Operands as they were before expand_as, where the op broadcasts them anyway."""
        kept = dict(args)
        for name, arg in args.items():
            narrow = self.spread.get(arg.arg) if isinstance(arg, Term) else None
            if narrow is None:
                continue
            rest = [
                t for t in map(self.term, {**kept, name: 0}.values()) if t.is_tensor
            ]
            both = [*rest, narrow]
            shape = np.broadcast_shapes(*(t.shape for t in both))
            witness = np.broadcast_shapes(*(t.witness for t in both))
            decides = any(t.ndim and t.dtype == narrow.dtype for t in both)
            if (shape, witness) == sizes and decides:
                kept[name] = narrow
        return kept


def _plain(item: Any) -> Any:
    return item.arg if isinstance(item, Term) else item


def common_dtype(dtypes: list[str], operands: list[Any]) -> str:
    """torch's dtype of tensors with `dtypes` and the Python numbers in `operands`."""
    kinds = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    best = dtypes[0]
    for dtype in dtypes[1:]:
        a, b = kinds[np.dtype(best).kind], kinds[np.dtype(dtype).kind]
        if {a, b} == {2, 3} or a == b:
            best = str(np.promote_types(best, dtype))
        elif b > a:
            best = dtype
    here = kinds[np.dtype(best).kind]
    if any(isinstance(o, complex) for o in operands) and here < 3:
        return "complex128" if best == "float64" else "complex64"
    return (
        "float32" if any(isinstance(o, float) for o in operands) and here < 2 else best
    )


@dataclass(frozen=True, eq=False)
class Term:
    """A tensor, size or number in a VJP row."""

    arg: Any  # Value | Leaf | Node | Dim | Option | number
    tape: Tape

    # -- what it is ---------------------------------------------------------------

    @property
    def is_tensor(self) -> bool:
        return isinstance(self.arg, (Value, Leaf)) and self.arg.dtype not in (
            "int",
            "float",
        )

    @property
    def is_size(self) -> bool:
        return isinstance(self.arg, (Dim, Value)) and not self.is_tensor

    @property
    def dtype(self) -> str:
        if isinstance(self.arg, (Value, Leaf, Dim)):
            return self.arg.dtype
        value = self.arg.value if isinstance(self.arg, Option) else self.arg
        return type(value).__name__

    @property
    def is_float(self) -> bool:
        return self.dtype.startswith(("float", "complex", "bfloat"))

    @property
    def is_complex(self) -> bool:
        return self.dtype.startswith("complex")

    @property
    def shape(self) -> Shape:
        """Sizes seen in the first trace: for decisions about ranks and ones only."""
        return self.arg.shape if isinstance(self.arg, (Value, Leaf)) else ()

    @property
    def witness(self) -> Shape:
        """Sizes seen in the second trace."""
        if not isinstance(self.arg, (Value, Leaf)):
            return ()
        return self.arg.witness or self.arg.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def size(self, dim: int) -> Term:
        """One size as a number of the generated code: `x.shape[dim]`."""
        dim %= self.ndim
        value, witness = self.shape[dim], self.witness[dim]
        if isinstance(self.arg, Leaf):
            return Term(value, self.tape)
        return Term(Dim(f"_0.shape[{dim}]", (self.arg,), value, witness), self.tape)

    @property
    def numel(self) -> Term:
        """How many elements, as a number of the generated code: `x.size`."""
        value, witness = int(np.prod(self.shape)), int(np.prod(self.witness))
        if isinstance(self.arg, Leaf):
            return Term(value, self.tape)
        return Term(Dim("_0.size", (self.arg,), value, witness), self.tape)

    # -- arithmetic ---------------------------------------------------------------

    def _binary(self, name: str, other: Any, *, swap: bool = False) -> Term:
        first, second = (other, self) if swap else (self, other)
        if not self.is_tensor and not self.tape.term(other).is_tensor:
            return self._of_numbers(name, first, second)
        return self.tape.elementwise(name, input=first, other=second)

    def _of_numbers(self, name: str, first: Any, second: Any) -> Term:
        symbol, compute = _NUMBERS[name]
        args = tuple(_plain(a) for a in (first, second))
        values = [a.value if isinstance(a, (Dim, Option)) else a for a in args]
        if not any(isinstance(a, (Dim, Value, Option)) for a in args):
            return Term(compute(*values), self.tape)
        seen = [
            a.witness if isinstance(a, Dim) and a.witness is not None else v
            for a, v in zip(args, values, strict=True)
        ]
        dim = Dim(f"_0 {symbol} _1", args, compute(*values), compute(*seen))
        return Term(dim, self.tape)

    def __add__(self, other: Any) -> Term:
        return self._binary("add", other)

    def __radd__(self, other: Any) -> Term:
        return self._binary("add", other, swap=True)

    def __sub__(self, other: Any) -> Term:
        return self._binary("sub", other)

    def __rsub__(self, other: Any) -> Term:
        return self._binary("sub", other, swap=True)

    def __mul__(self, other: Any) -> Term:
        return self._binary("mul", other)

    def __rmul__(self, other: Any) -> Term:
        return self._binary("mul", other, swap=True)

    def __truediv__(self, other: Any) -> Term:
        return self._binary("div", other)

    def __rtruediv__(self, other: Any) -> Term:
        return self._binary("div", other, swap=True)

    def __pow__(self, other: Any) -> Term:
        return self.tape.elementwise("pow", input=self, exponent=other)

    def __neg__(self) -> Term:
        return self.unary("neg") if self.is_tensor else self * -1

    def unary(self, name: str, **args: Any) -> Term:
        """An elementwise op of this tensor alone: `x.unary("exp")`."""
        return self.tape.op(name, like=self, input=self, **args)

    def _compare(self, name: str, other: Any) -> Term:
        return self.tape.elementwise(name, dtype="bool", input=self, other=other)

    def eq(self, other: Any) -> Term:
        return self._compare("eq", other)

    def ne(self, other: Any) -> Term:
        return self._compare("ne", other)

    def __lt__(self, other: Any) -> Term:
        return self._compare("lt", other)

    def __le__(self, other: Any) -> Term:
        return self._compare("le", other)

    def __gt__(self, other: Any) -> Term:
        return self._compare("gt", other)

    def __ge__(self, other: Any) -> Term:
        return self._compare("ge", other)

    def __and__(self, other: Any) -> Term:
        return self._compare("logical_and", other)

    def __or__(self, other: Any) -> Term:
        return self._compare("logical_or", other)

    def __invert__(self) -> Term:
        return self.tape.op("logical_not", like=self, dtype="bool", input=self)

    def where(self, yes: Any, no: Any) -> Term:
        """`yes` where this condition holds, else `no`."""
        terms = [self.tape.term(a) for a in (yes, no)]
        numbers = [t.arg for t in terms]
        dtype = common_dtype([t.dtype for t in terms if t.is_tensor], numbers)
        return self.tape.elementwise(
            "where", dtype=dtype, condition=self, input=yes, other=no
        )

    def conj(self) -> Term:
        """The complex conjugate; a real tensor itself."""
        if isinstance(self.arg, complex):
            return Term(self.arg.conjugate(), self.tape)
        return self.unary("conj") if self.is_complex else self

    def part(self, name: str) -> Term:
        """The real part ("real"), imaginary part ("imag") or magnitude ("abs")."""
        real = {"complex64": "float32", "complex128": "float64"}
        dtype = real.get(self.dtype, self.dtype)
        return self.tape.op(name, like=self, dtype=dtype, input=self)

    # -- shapes -------------------------------------------------------------------

    def both(self, sizes: Callable[[Shape], Shape]) -> dict[str, Any]:
        """The options `shape` and `witness` for an op that changes them by `sizes`."""
        return {"shape": sizes(self.shape), "witness": sizes(self.witness)}

    def to(self, dtype: str) -> Term:
        if dtype == self.dtype:
            return self
        term = self
        if self.is_complex and not dtype.startswith("complex"):
            real = "float64" if self.dtype == "complex128" else "float32"
            term = self.tape.op("real", like=self, dtype=real, input=self)
            if real == dtype:
                return term
        return self.tape.op("to", like=term, dtype=dtype, input=term)

    def reshape_as(self, like: Any) -> Term:
        """This tensor's elements in the shape of `like`."""
        like = self.tape.term(like)
        if like.ndim == self.ndim and like.ndim <= 1:
            return self
        return self.tape.op(
            "reshape_as", like=self, shape=like.shape, witness=like.witness,
            input=self, other=like,
        )  # fmt: skip

    def expand_as(self, like: Any) -> Term:
        """This tensor broadcast to the shape of `like`."""
        like = self.tape.term(like)
        wide = self.tape.op(
            "expand_as", like=self, shape=like.shape, witness=like.witness,
            input=self, other=like,
        )  # fmt: skip
        self.tape.spread[wide.arg] = self
        return wide

    def unsqueeze(self, dim: int) -> Term:
        dim %= self.ndim + 1
        shapes = self.both(lambda s: (*s[:dim], 1, *s[dim:]))
        return self.tape.op("unsqueeze", like=self, **shapes, input=self, dim=dim)

    def squeeze(self, dim: int) -> Term:
        """Without the dim `dim`, whose size is 1."""
        dim %= self.ndim
        shapes = self.both(lambda s: (*s[:dim], *s[dim + 1 :]))
        return self.tape.op("squeeze", like=self, **shapes, input=self, dim=dim)

    def transpose(self, dim0: int = -2, dim1: int = -1) -> Term:
        order = list(range(self.ndim))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        shapes = self.both(lambda s: tuple(s[k] for k in order))
        return self.tape.op(
            "transpose", like=self, **shapes, input=self, dim0=dim0, dim1=dim1
        )

    def permute(self, dims: tuple[int, ...]) -> Term:
        shapes = self.both(lambda s: tuple(s[k] for k in dims))
        return self.tape.op("permute", like=self, **shapes, input=self, dims=dims)

    def sum(
        self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False
    ) -> Term:
        return self.reduce("sum", dim, keepdim)

    def mean(
        self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False
    ) -> Term:
        return self.reduce("mean", dim, keepdim)

    def reduce(
        self, name: str, dim: int | tuple[int, ...] | None, keepdim: bool = False
    ) -> Term:
        """A reduction `name` over `dim` (all dims if None)."""
        given = range(self.ndim) if dim is None else dim
        dims = {given % self.ndim} if isinstance(given, int) else set()
        if not isinstance(given, int):
            dims = {d % self.ndim for d in given}

        def sizes(shape: Shape) -> Shape:
            kept = [1 if k in dims else n for k, n in enumerate(shape)]
            return tuple(n for k, n in enumerate(kept) if keepdim or k not in dims)

        args: dict[str, Any] = {"input": self}
        if dim is not None:
            args["dim"] = dim
        if keepdim:
            args["keepdim"] = True
        return self.tape.op(name, like=self, **self.both(sizes), **args)

    def __matmul__(self, other: Term) -> Term:
        """The matrix product, of vectors too: `np.matmul`'s rules."""

        def sizes(a: Shape, b: Shape) -> Shape:
            batch = np.broadcast_shapes(a[:-2], b[:-2])
            return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))

        return self.tape.op(
            "matmul", like=self, shape=sizes(self.shape, other.shape),
            witness=sizes(self.witness, other.witness), input=self, other=other,
        )  # fmt: skip

    def zeros_like(self) -> Term:
        return self.tape.op("zeros_like", like=self, input=self)


def settled(d: Term, like: Term) -> Term:
    """`d` as a cotangent of `like`: summed where it was broadcast, in its dtype."""
    if d.shape != like.shape or d.witness != like.witness:
        d = d.tape.op("unbroadcast", like=like, dtype=d.dtype, input=d, other=like)
    return d.to(like.dtype)


_NUMBERS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "add": ("+", lambda a, b: a + b),
    "sub": ("-", lambda a, b: a - b),
    "mul": ("*", lambda a, b: a * b),
    "div": ("/", lambda a, b: a / b),
}

__all__ = ["OPAQUE", "Node", "Tape", "Term", "settled"]
