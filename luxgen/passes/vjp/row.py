"""What a VJP row sees of the op it differentiates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from luxgen.ir.program import Op
from luxgen.ir.values import Arg, Dim, Leaf, Option, Value
from luxgen.passes.vjp.terms import OPAQUE, Tape, Term


class NoGradient(Exception):
    """An op that has no VJP: the reason, and what to do instead."""

    def __init__(self, reason: str, suggestion: str = "") -> None:
        super().__init__(reason)
        self.reason, self.suggestion = reason, suggestion


@dataclass
class Row:
    """One op to differentiate: its arguments, results and their cotangents.

    A row is a function of this that returns, by argument name, the cotangent of each
    tensor argument: a Term, None for none, or a tuple for an argument that is a tuple.
    The pass sums a cotangent over the dims that the argument was broadcast along and
    gives it the argument's dtype; arguments of integer dtype are ignored.
    """

    op: Op
    given: tuple[Term | None, ...]  # cotangents of op.outs; None where there is none
    tape: Tape

    @property
    def d(self) -> Term:
        """The cotangent of the op's first result (zeros if it has none)."""
        return self.d_of(0)

    def d_of(self, k: int) -> Term:
        """The cotangent of result `k` as a tensor: zeros where none flows back."""
        found = self.given[k]
        return self.outs[k].zeros_like() if found is None else found

    @property
    def out(self) -> Term:
        return self.outs[0]

    @property
    def outs(self) -> tuple[Term, ...]:
        return tuple(Term(v, self.tape) for v in self.op.outs)

    def __getitem__(self, name: str) -> Term:
        """The argument `name`: a tensor, size, number or (`ps.gru`) node."""
        return Term(self.op.args[name], self.tape)

    def has(self, name: str) -> bool:
        return self.op.args.get(name) is not None

    def is_tensor(self, name: str) -> bool:
        return isinstance(self.op.args.get(name), (Value, Leaf))

    def arg(self, name: str, default: Any = None) -> Arg:
        """The argument as the op has it, to be handed on to another op."""
        return self.op.args.get(name, default)

    def const(self, name: str, default: Any = None) -> Any:
        """The Python constant given as `name`; refused if it is a traced value."""
        value = self.op.args.get(name, default)
        if isinstance(value, Dim) and value.fixed:
            return value.value
        if isinstance(value, (Value, Leaf, Dim, Option)):
            raise NoGradient(f"{self.op.name}: {name} must be a constant for gradients")
        return value

    def others(self, *names: str) -> dict[str, Arg]:
        """The op's arguments without those in `names`."""
        return {k: v for k, v in self.op.args.items() if k not in names}

    def save(self, variant: str) -> Term:
        """Turn the forward op into `variant`, which returns (result, saved).

        `saved` is whatever `variant` wants its backward op to get: an opaque value.
        For an op with state the text is ((result, saved), new state).
        """
        saved = Value(OPAQUE)
        self.op.name = variant
        self.op.result = (self.op.result, saved)
        return Term(saved, self.tape)

    def save_parts(self, variant: str, *names: str) -> dict[str, Term]:
        """Like `save` for a variant that saves a tuple: its elements by name."""
        parts = {name: Value(OPAQUE, names=(name,)) for name in names}
        self.op.name = variant
        self.op.result = (self.op.result, tuple(parts.values()))
        return {name: Term(value, self.tape) for name, value in parts.items()}


Cotangents = dict[str, Any]
Vjp = Callable[[Row], Cotangents]

__all__ = ["Cotangents", "NoGradient", "Row", "Vjp"]
