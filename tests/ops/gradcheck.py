"""Check one op's VJP row: run it as NumPy text, compare with torch.autograd."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from luxgen.frontends.bind import bind, dtype_name
from luxgen.ir.program import Op
from luxgen.ir.values import Arg, Dim, Leaf, Value, atoms, map_arg
from luxgen.passes.vjp import vjps
from luxgen.passes.vjp.row import Row
from luxgen.passes.vjp.terms import Tape, Term, settled
from luxgen.targets.numpy.expression import substitute
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op as View
from tests.ops.opcheck import compare, evaluate


class Interpreter:
    """Evaluates ops of the IR by the NumPy rules; values live in `arrays`."""

    def __init__(self) -> None:
        self.arrays: dict[Value, Any] = {}
        self.texts: list[str] = []

    def run(self, op: Op) -> None:
        view = View(op.name, dict(op.args), op.outs, op.overload)
        text = template(view)
        scope: dict[str, Any] = {}

        def show(item: Any) -> ast.expr:
            if isinstance(item, Dim):
                names = {f"_{k}": a for k, a in enumerate(item.args)}
                return substitute(item.text, names, show)
            name = f"v{len(scope)}"
            scope[name] = self.arrays[item]
            return ast.Name(name)

        shown = ast.unparse(substitute(text, view.args, show))
        self.texts.append(shown)
        self._bind(op.result, evaluate(shown, scope))

    def _bind(self, result: Arg, found: Any) -> None:
        if isinstance(result, Value):
            self.arrays[result] = found
        elif isinstance(result, (tuple, list)):
            for part, item in zip(result, found, strict=True):
                self._bind(part, item)


def check_vjp(func: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Compare our gradients of `func` with torch's, for random cotangents.

    Tensors with `requires_grad` get gradients. Returns the backward's text.
    """
    call = bind(func, args, kwargs)
    interpreter = Interpreter()
    values: dict[int, Value] = {}

    def visit(item: Any) -> Any:
        if isinstance(item, torch.dtype):
            return dtype_name(item)
        if not isinstance(item, torch.Tensor):
            return item
        if id(item) not in values:
            value = Value(dtype_name(item.dtype), tuple(item.shape), tuple(item.shape))
            values[id(item)] = value
            interpreter.arrays[value] = (
                item.detach().resolve_conj().resolve_neg().numpy().copy()
            )
        return values[id(item)]

    bound = {name: map_arg(visit, value) for name, value in call.args.items()}
    leaves = [t for t in atoms((args, kwargs)) if isinstance(t, torch.Tensor)]
    wanted = [t for t in dict.fromkeys(leaves) if t.requires_grad]
    out = func(*args, **kwargs)
    flat = [t for t in _tensors(out)]
    result = map_arg(
        lambda t: (
            Value(dtype_name(t.dtype), tuple(t.shape), tuple(t.shape))
            if isinstance(t, torch.Tensor)
            else t
        ),
        tuple(out) if isinstance(out, (tuple, list)) else out,
    )
    op = Op(call.name, bound, result, call.overload)
    cotangents = [torch.randn_like(t) if t.requires_grad else None for t in flat]
    given = []
    tape = Tape()
    for value, cotangent in zip(op.outs, cotangents, strict=True):
        if cotangent is None:
            given.append(None)
            continue
        d = Value(value.dtype, value.shape, value.witness)
        interpreter.arrays[d] = cotangent.resolve_conj().numpy()
        given.append(Term(d, tape))
    contributions: dict[Value, list[Term]] = {}
    for name, terms in vjps()[op.name](Row(op, tuple(given), tape)).items():
        pairs = zip(_flat(bound[name]), _flat(terms), strict=True)
        for value, term in pairs:
            tensor = isinstance(value, (Value, Leaf))
            if tensor and term is not None and np.dtype(value.dtype).kind in "fc":
                found = settled(term, Term(value, tape))
                contributions.setdefault(value, []).append(found)
    interpreter.run(op)
    before = {v: np.array(a) for v, a in interpreter.arrays.items() if v in values.values()}
    for item in tape.items:
        assert isinstance(item, Op)
        interpreter.run(item)
    for value, array in before.items():
        np.testing.assert_array_equal(interpreter.arrays[value], array)
    text = "\n".join(interpreter.texts)
    low = _autograd(func, args, kwargs, wanted, cotangents)
    doubled, double_wanted, high_cotangents = _doubled((args, kwargs), wanted, cotangents)
    high = _autograd(func, *doubled, double_wanted, high_cotangents)
    for tensor, a, b in zip(wanted, low, high, strict=True):
        value = values[id(tensor)]
        terms = contributions.get(value, [])
        if a is None:
            assert not terms or not any(np.any(interpreter.arrays[t.arg]) for t in terms)
            continue
        zeros = np.zeros(tuple(tensor.shape), dtype_name(tensor.dtype))
        ours = sum((interpreter.arrays[t.arg] for t in terms), start=zeros)
        assert all(
            np.asarray(interpreter.arrays[t.arg]).shape == zeros.shape for t in terms
        ), text
        compare(ours, a, b, text)
    return text


def _flat(item: Any) -> list[Any]:
    if isinstance(item, (tuple, list)):
        return [x for part in item for x in _flat(part)]
    return [item]


def _tensors(out: Any) -> list[torch.Tensor]:
    return [t for t in _flat(out) if isinstance(t, torch.Tensor)]


def _autograd(func: Any, args: Any, kwargs: Any, wanted: Any, cotangents: Any) -> Any:
    out = [t for t in _tensors(func(*args, **kwargs))]
    pairs = [(t, c) for t, c in zip(out, cotangents, strict=True) if c is not None]
    return torch.autograd.grad(
        [t for t, _ in pairs], wanted, [c for _, c in pairs], allow_unused=True
    )


def _doubled(call: Any, wanted: Any, cotangents: Any) -> Any:
    known: dict[int, torch.Tensor] = {}

    def visit(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            if id(item) not in known:
                wide = item.detach()
                if item.dtype == torch.float32:
                    wide = wide.double()
                elif item.dtype == torch.complex64:
                    wide = wide.to(torch.complex128)
                known[id(item)] = wide.clone().requires_grad_(item.requires_grad)
            return known[id(item)]
        return torch.float64 if item is torch.float32 else item

    doubled = map_arg(visit, call)
    widened = [visit(c).detach() if c is not None else None for c in cotangents]
    return doubled, [known[id(t)] for t in wanted], widened
