"""Check one op's VJP row: run it as NumPy text, compare with torch.autograd."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from luxgen.frontends.bind import bind, dtype_name
from luxgen.ir.program import Op
from luxgen.ir.values import Arg, Dim, Leaf, Node, Value, atoms, map_arg
from luxgen.passes.autodiff_prune import prune_block
from luxgen.passes.vjp import vjps
from luxgen.passes.vjp.row import Row
from luxgen.passes.vjp.terms import Tape, Term, settled
from luxgen.targets.numpy.expression import substitute
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op as View
from tests.ops.opcheck import compare, evaluate


def t(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Random numbers that ask for gradients."""
    return torch.randn(shape, dtype=dtype, requires_grad=True)


def c(*shape: int) -> torch.Tensor:
    """Random complex numbers that ask for gradients."""
    return t(*shape, dtype=torch.complex64)


def of(*values: Any) -> torch.Tensor:
    """These numbers, which ask for gradients."""
    return torch.tensor(values, requires_grad=True)


class Weights(tuple[torch.Tensor, ...]):
    """All parameters of a layer as one argument: a Node in the IR."""


class Interpreter:
    """Evaluates ops of the IR by the NumPy rules; values live in `arrays`."""

    def __init__(self, state: Any = None) -> None:
        self.arrays: dict[Any, Any] = {}
        self.texts: list[str] = []
        self.state = state

    def run(self, op: Op) -> None:
        view = View(op.name, dict(op.args), op.outs, op.overload)
        stateful = op.state is not None
        text = template(view, stateful=stateful)
        scope: dict[str, Any] = {"state": self.state} if stateful else {}

        def show(item: Any) -> ast.expr:
            if isinstance(item, Dim):
                names = {f"_{k}": a for k, a in enumerate(item.args)}
                return substitute(item.text, names, show)
            name = f"v{len(scope)}"
            scope[name] = self.arrays[item]
            return ast.Name(name)

        shown = ast.unparse(substitute(text, view.args, show))
        self.texts.append(shown)
        found = evaluate(shown, scope)
        self._bind(op.result, found[0] if stateful else found)

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
    op = Op(call.name, call.args, None, call.overload)
    return _check(op, lambda a, k: func(*a, **k), (args, kwargs))


def check_stateful(
    name: str, args: dict[str, Any], state: Any, reference: Callable[..., Any]
) -> str:
    """check_vjp of the op `name` that reads `state`.

    `reference(**args)` computes it by torch, with the numbers that `state` draws.
    """
    op = Op(name, args, None, state=("layer",))
    return _check(op, lambda a, k: reference(**k), ((), args), state)


def check_layer(name: str, args: dict[str, Any], reference: Callable[..., Any]) -> str:
    """check_vjp of the op `name` that a layer is; `reference(**args)` computes it."""
    return _check(Op(name, args, None), lambda a, k: reference(**k), ((), args))


def _check(
    op: Op, func: Callable[[Any, Any], Any], call: tuple[Any, Any], state: Any = None
) -> str:
    args, kwargs = call
    interpreter = Interpreter(state)
    values: dict[int, Value] = {}
    held: dict[Node, Weights] = {}

    def visit(item: Any) -> Any:
        if isinstance(item, torch.dtype):
            return dtype_name(item)
        if isinstance(item, Weights):
            node = Node(("layer",), "ps", tuple(
                Leaf(("layer", str(k)), "ps", dtype_name(t.dtype), tuple(t.shape))
                for k, t in enumerate(item)
            ))  # fmt: skip
            held[node] = item
            interpreter.arrays[node] = tuple(t.detach().numpy().copy() for t in item)
            return node
        if not isinstance(item, torch.Tensor):
            return item
        if id(item) not in values:
            value = Value(dtype_name(item.dtype), tuple(item.shape), tuple(item.shape))
            values[id(item)] = value
            interpreter.arrays[value] = (
                item.detach().resolve_conj().resolve_neg().numpy().copy()
            )
        return values[id(item)]

    bound = {name: map_arg(visit, value) for name, value in op.args.items()}
    leaves = [t for t in atoms((args, kwargs)) if isinstance(t, torch.Tensor)]
    wanted = [t for t in dict.fromkeys(leaves) if t.requires_grad]
    out = func(args, kwargs)
    flat = [t for t in _tensors(out)]
    result = map_arg(
        lambda t: (
            Value(dtype_name(t.dtype), tuple(t.shape), tuple(t.shape))
            if isinstance(t, torch.Tensor)
            else t
        ),
        tuple(out) if isinstance(out, (tuple, list)) else out,
    )
    op.args, op.result = bound, result
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
    trees: dict[Node, Term] = {}
    for name, terms in vjps()[op.name](Row(op, tuple(given), tape)).items():
        pairs = zip(_flat(bound[name]), _flat(terms), strict=True)
        for value, term in pairs:
            if isinstance(value, Node) and term is not None:
                trees.setdefault(value, term)
            tensor = isinstance(value, (Value, Leaf))
            if tensor and term is not None and np.dtype(value.dtype).kind in "fc":
                fitted = settled(term, Term(value, tape))
                contributions.setdefault(value, []).append(fitted)
    needed = {id(t) for t in wanted}
    read = [t.arg for key, v in values.items() if key in needed
            for t in contributions.get(v, [])]  # fmt: skip
    prune_block(tape.items, [read, [t.arg for t in trees.values()]])
    interpreter.run(op)
    before = {
        v: np.array(a) for v, a in interpreter.arrays.items() if v in values.values()
    }
    for item in tape.items:
        assert isinstance(item, Op)
        interpreter.run(item)
    for value, array in before.items():
        np.testing.assert_array_equal(interpreter.arrays[value], array)
    for node, tensors in held.items():
        for array, tensor in zip(interpreter.arrays[node], tensors, strict=True):
            np.testing.assert_array_equal(array, tensor.detach().numpy())
    text = "\n".join(interpreter.texts)
    low = _autograd(func, args, kwargs, wanted, cotangents)
    doubled, double_wanted, high_cotangents = _doubled(
        (args, kwargs), wanted, cotangents
    )
    high = _autograd(func, *doubled, double_wanted, high_cotangents)
    found: dict[int, list[Any]] = {}
    for key, value in values.items():
        if key in needed:
            terms = contributions.get(value, [])
            found[key] = [interpreter.arrays[t.arg] for t in terms]
    for node, term in trees.items():
        pairs = zip(held[node], interpreter.arrays[term.arg], strict=True)
        found |= {id(tensor): [array] for tensor, array in pairs}
    for tensor, a, b in zip(wanted, low, high, strict=True):
        arrays = found[id(tensor)]
        if a is None:
            assert not any(np.any(array) for array in arrays), text
            continue
        zeros = np.zeros(tuple(tensor.shape), dtype_name(tensor.dtype))
        assert all(np.asarray(array).shape == zeros.shape for array in arrays), text
        compare(sum(arrays, start=zeros), a, b, text)
    return text


def _flat(item: Any) -> list[Any]:
    if isinstance(item, (tuple, list)):
        return [x for part in item for x in _flat(part)]
    return [item]


def _tensors(out: Any) -> list[torch.Tensor]:
    return [t for t in _flat(out) if isinstance(t, torch.Tensor)]


def _autograd(func: Any, args: Any, kwargs: Any, wanted: Any, cotangents: Any) -> Any:
    out = _tensors(func(args, kwargs))
    pairs = [(t, c) for t, c in zip(out, cotangents, strict=True) if c is not None]
    return torch.autograd.grad(
        [t for t, _ in pairs], wanted, [c for _, c in pairs], allow_unused=True
    )


def _doubled(call: Any, wanted: Any, cotangents: Any) -> Any:
    known: dict[int, torch.Tensor] = {}

    def visit(item: Any) -> Any:
        if isinstance(item, Weights):
            return Weights(visit(t) for t in item)
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
