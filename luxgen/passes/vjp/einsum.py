"""VJP row of einsum: each operand's cotangent is an einsum of the others and d."""

from __future__ import annotations

from typing import Any

from luxgen.ir.einsum import explicit
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Term


def einsum(g: Row) -> Cotangents:
    equation = g.const("equation")
    if not isinstance(equation, str):
        raise NoGradient("einsum with sublists", "write the equation as a string")
    given = g.op.args["operands"]
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    operands = [Term(arg, g.tape) for arg in given]
    terms, output = explicit(equation, [t.ndim for t in operands])
    found = []
    for k, (x, labels) in enumerate(zip(operands, terms, strict=True)):
        others = [t.conj() for n, t in enumerate(operands) if n != k]
        names = [output, *(t for n, t in enumerate(terms) if n != k)]
        found.append(of_operand(g.d, names, others, x, labels))
    return {"operands": tuple(found)}


def of_operand(
    d: Term, names: list[str], others: list[Term], x: Term, labels: str
) -> Term:
    """The cotangent of x; `names` are the labels of d and of the others."""
    unique = "".join(dict.fromkeys(labels))
    kept = "".join(s for s in unique if any(s in name for name in names))
    d = contracted([d, *others], names, kept)
    for place, label in enumerate(unique):
        if label not in kept:  # summed alone: the same for all of it
            d = d.unsqueeze(place)
    if unique != labels:
        return d.tape.op("diagonals_backward", like=x, d=d, input=x, labels=labels)
    return d if kept == labels else d.expand_as(x)


def contracted(terms: list[Term], names: list[str], output: str) -> Term:
    """einsum of the terms; one term in order is itself."""
    if names == [output]:
        return terms[0]
    sizes: dict[str, Any] = {}
    for term, name in zip(terms, names, strict=True):
        sizes |= zip(name, zip(term.shape, term.witness, strict=True), strict=True)
    first = terms[0]
    return first.tape.op(
        "einsum", like=first, shape=tuple(sizes[s][0] for s in output),
        witness=tuple(sizes[s][1] for s in output),
        equation=f"{','.join(names)}->{output}", operands=tuple(terms),
    )  # fmt: skip


VJP: dict[str, Vjp] = {"einsum": einsum}
