"""VJP rows of matrix products."""

from __future__ import annotations

from collections.abc import Iterable

from luxgen.ir.values import Value
from luxgen.passes.vjp.linear import summed_product
from luxgen.passes.vjp.row import Cotangents, NoGradient, Row, Vjp
from luxgen.passes.vjp.terms import Shape, Term


def product(first: str, second: str) -> Vjp:
    """a @ b for two arguments of these names, of any ranks."""

    def row(g: Row) -> Cotangents:
        a, b = factors(g.d, g[first], g[second])
        return {first: a, second: b}

    return row


def factors(d: Term, a: Term, b: Term) -> tuple[Term, Term]:
    """Cotangents of a and b, up to broadcast dims, given that of a @ b."""
    a, b = a.conj(), b.conj()
    if a.ndim == 1 and b.ndim == 1:
        return d * b, d * a
    if b.ndim == 1:
        return d.unsqueeze(-1) * b, summed_product(d.unsqueeze(-1), a).squeeze(0)
    if a.ndim == 1:
        if b.ndim == 2:
            return b @ d, summed_product(a, d)
        d = d.unsqueeze(-1)
        return (b @ d).squeeze(-1), a.unsqueeze(-1) * d.transpose()
    of_a = d @ b.transpose()
    if b.ndim == 2:  # one product instead of a sum over the batch
        return of_a, summed_product(a, d)
    return of_a, a.transpose() @ d


def added(first: str, second: str) -> Vjp:
    """beta * input + alpha * (a @ b); with batches summed too, as addbmm does."""

    def row(g: Row) -> Cotangents:
        a, b = factors(scaled(g, "alpha"), g[first], g[second])
        return {"input": scaled(g, "beta"), first: a, second: b}

    return row


def scaled(g: Row, name: str) -> Term:
    """d times the factor `name`, if it's given."""
    if not g.has(name):
        return g.d
    value = g.arg(name)
    return g.d * (value.conjugate() if isinstance(value, complex) else g[name])


def outer(first: str, second: str) -> Vjp:
    """The product of each element of one vector with each of the other."""

    def row(g: Row) -> Cotangents:
        d = scaled(g, "alpha")
        found = {
            first: d @ g[second].conj(),
            second: d.transpose() @ g[first].conj(),
        }
        return found | ({"input": scaled(g, "beta")} if first == "vec1" else {})

    return row


def vdot(g: Row) -> Cotangents:
    """sum(conj(input) * other)."""
    return {"input": g.d.conj() * g["other"], "other": g.d * g["input"]}


def inner(g: Row) -> Cotangents:
    """Sums over the last dims; a number multiplies."""
    a, b = g["input"].conj(), g["other"].conj()
    if not a.ndim or not b.ndim:
        return {"input": g.d * b, "other": g.d * a}
    lead = range(a.ndim - 1)
    of_a = contract(g.d, b, range(a.ndim - 1, g.d.ndim), range(b.ndim - 1))
    return {"input": of_a, "other": contract(g.d, a, lead, lead)}


def contract(a: Term, b: Term, a_dims: Iterable[int], b_dims: Iterable[int]) -> Term:
    """Sum a times b over pairs of dims: the rest of a's, then the rest of b's."""
    dims = tuple(a_dims), tuple(b_dims)

    def sizes(a: Shape, b: Shape) -> Shape:
        pairs = zip((a, b), dims, strict=True)
        return tuple(n for s, gone in pairs for k, n in enumerate(s) if k not in gone)

    return a.tape.op(
        "tensordot", like=a, shape=sizes(a.shape, b.shape),
        witness=sizes(a.witness, b.witness), a=a, b=b, dims=dims,
    )  # fmt: skip


def tensordot(g: Row) -> Cotangents:
    a, b = g["a"], g["b"]
    dims = g.const("dims", 2)
    if isinstance(dims, int):
        pairs = list(zip(range(a.ndim - dims, a.ndim), range(dims), strict=True))
    elif len(dims) == 2 and isinstance(dims[0], (tuple, list)):
        pairs = [(i % a.ndim, k % b.ndim) for i, k in zip(*dims, strict=True)]
    else:
        raise NoGradient("tensordot with these dims", "give dims of a and dims of b")
    count = a.ndim - len(pairs)  # of a's dims in d
    swapped = [(k, i) for i, k in pairs]
    first, second = summed_alone(a, b, pairs), summed_alone(b, a, swapped)
    of_a = one_factor(g.d, range(count, g.d.ndim), second.conj(), pairs, a.ndim)
    of_b = one_factor(g.d, range(count), first.conj(), swapped, b.ndim)
    return {
        "a": of_a if first is a else of_a.expand_as(a),
        "b": of_b if second is b else of_b.expand_as(b),
    }


def summed_alone(x: Term, other: Term, pairs: list[tuple[int, int]]) -> Term:
    """x summed over those dims that the other, of size 1 there, is broadcast along."""
    dims = tuple(i for i, k in pairs if other.shape[k] == 1 != x.shape[i])
    return x.sum(dims, keepdim=True) if dims else x


def one_factor(
    d: Term, gone: Iterable[int], other: Term, pairs: list[tuple[int, int]], ndim: int
) -> Term:
    """The cotangent of a factor of `ndim` dims, in `pairs` with those of the other."""
    partner = {k: i for i, k in pairs}
    free = [k for k in range(other.ndim) if k not in partner]
    own = [k for k in range(ndim) if k not in partner.values()]
    found = contract(d, other, gone, free)
    order = own + [partner[k] for k in sorted(partner)]  # the dim that each is
    if order == sorted(order):
        return found
    return found.permute(tuple(order.index(k) for k in range(ndim)))


def chain(name: str) -> Vjp:
    """a @ b @ c ...: from the left to the right, and back."""

    def row(g: Row) -> Cotangents:
        given = g.op.args[name]
        if len(given) == 1 and isinstance(given[0], (tuple, list)):
            given = given[0]
        terms = [Term(arg, g.tape) for arg in given]
        products: list[Term] = []  # of the factors to the left of each but the first
        for term in terms[:-1]:
            products.append(products[-1] @ term if products else term)
        d, found = g.d, []
        for left, term in zip(reversed(products), reversed(terms[1:]), strict=True):
            d, of_term = factors(d, left, term)
            found.append(of_term)
        return {name: (d, *reversed(found))}

    return row


def kron(g: Row) -> Cotangents:
    a, b = g["input"], g["other"]
    results = tuple(Value(g.d.dtype, t.shape, t.witness) for t in (a, b))
    args = {"d": g.d, "input": a.conj(), "other": b.conj()}
    of_a, of_b = g.tape.emit("kron_backward", args, results)
    return {"input": of_a, "other": of_b}


VJP: dict[str, Vjp] = {
    "matmul": product("input", "other"),
    "mm": product("input", "mat2"),
    "bmm": product("input", "mat2"),
    "mv": product("input", "vec"),
    "dot": product("input", "tensor"),
    "vdot": vdot,
    "inner": inner,
    "outer": outer("input", "vec2"),
    "ger": outer("input", "vec2"),
    "addmm": added("mat1", "mat2"),
    "addmv": added("mat", "vec"),
    "addr": outer("vec1", "vec2"),
    "addbmm": added("batch1", "batch2"),
    "baddbmm": added("batch1", "batch2"),
    "tensordot": tensordot,
    "chain_matmul": chain("matrices"),
    "linalg_multi_dot": chain("tensors"),
    "kron": kron,
}
