"""Matrix products and einsum: values and text against torch."""

from __future__ import annotations

import pytest
import torch
from torch import tensor

from luxgen.targets.numpy.rules.op import Refused
from tests.ops.opcheck import check

torch.set_num_threads(1)


def reals(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


A, B, V, W = reals(3, 4), reals(4, 5, seed=1), reals(4, seed=2), reals(3, seed=3)
N, MORE = torch.arange(12).reshape(3, 4), torch.arange(20).reshape(4, 5)


def test_products() -> None:
    for left, right in (
        (A, B),
        (V, B),
        (A, V),
        (V, V),
        (reals(2, 3, 4), B),
        (reals(2, 3, 4), V),
        (reals(2, 1, 3, 4), reals(5, 4, 6)),
        (V, reals(2, 4, 3)),
        (N, MORE),
        (A[:0], B),
        (A[:, :0], B[:0]),
    ):
        check(torch.matmul, left, right)
    assert check(torch.Tensor.__matmul__, A, B) == "v0 @ v1"
    check(torch.Tensor.__rmatmul__, B, A)
    check(torch.Tensor.mm, A, B)
    check(torch.bmm, reals(2, 3, 4), reals(2, 4, 5))
    check(torch.mv, A, V)
    check(torch.dot, V, V)
    check(torch.dot, N[0], N[1])
    check(torch.vdot, torch.complex(V, V), torch.complex(V, -V))
    check(torch.inner, reals(2, 3, 4), reals(5, 4))
    check(torch.inner, V, tensor(2.0))
    check(torch.outer, V, W)
    check(torch.chain_matmul, A, B, reals(5, 2))


@pytest.mark.parametrize("options", [{}, {"beta": 0.5, "alpha": 2}, {"beta": 0}])
def test_added_products(options: dict[str, float]) -> None:
    check(torch.addmm, reals(3, 5), A, B, **options)
    check(torch.addmv, W, A, V, **options)
    check(torch.addr, reals(4, 3), V, W, **options)
    check(torch.addbmm, reals(3, 5), reals(2, 3, 4), reals(2, 4, 5), **options)
    check(torch.baddbmm, reals(2, 3, 5), reals(2, 3, 4), reals(2, 4, 5), **options)
    check(torch.addmm, torch.ones(3, 5).long(), N, MORE, **options)


def test_addmm_broadcasts_its_input() -> None:
    check(torch.addmm, reals(5), A, B)
    nothing = torch.full((3, 5), float("nan"))
    check(torch.addmm, nothing, A, B, beta=0)  # what beta 0 leaves out isn't read


EINSUMS = [
    ("v0 @ v1", "ij,jk->ik", (3, 4), (4, 5)),
    ("v0 @ v1.T", "ij,kj->ik", (3, 4), (5, 4)),
    ("(v0 @ v1).T", "ij,jk->ki", (3, 4), (4, 5)),
    ("v0 @ v1", "bnd,de->bne", (2, 3, 4), (4, 5)),
    ("v0 @ v1.swapaxes(-2, -1)", "bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    (
        "v0.transpose(0, 2, 1, 3) @ v1.transpose(0, 2, 3, 1)",
        "bqhd,bkhd->bhqk",
        (2, 4, 3, 5),
        (2, 6, 3, 5),
    ),
    (
        "(v0 @ v1.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)",
        "bhqk,bkhd->bqhd",
        (2, 3, 4, 6),
        (2, 6, 3, 5),
    ),
    ("v0[:, None] * v1", "i,j->ij", (3,), (4,)),
    ("v0 * v1", "ij,ij->ij", (3, 4), (3, 4)),
    ("v0 * v1", "bij,j->bij", (2, 3, 4), (4,)),
    ("v0[:, None] * v1.T", "i,ji->ij", (3,), (4, 3)),
    ("np.einsum('ij->ji', v0)", "ij->ji", (3, 4)),
    ("np.einsum('ii->i', v0)", "ii->i", (4, 4)),
    ("np.einsum('ij->', v0)", "ij->", (3, 4)),
]
GENERAL = [
    ("oc,bchw->bohw", (5, 3), (2, 3, 4, 6)),
    ("ijk,ljk->il", (2, 3, 4), (5, 3, 4)),
    ("bhwc,hkc->bhwk", (2, 3, 4, 5), (3, 6, 5)),
    ("bij,bij->b", (2, 3, 4), (2, 3, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("i,i->", (4,), (4,)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("...ij,jk->...ik", (2, 5, 3), (3, 4)),
    ("...i,...i->...", (2, 3, 4), (3, 4)),
    ("b ... d, d -> b ...", (2, 3, 5, 4), (4,)),
    ("ii,ij->j", (3, 3), (3, 4)),
    ("ijk,kl->il", (2, 3, 4), (4, 5)),
    ("nctw,vw->nctv", (2, 3, 4, 5), (6, 5)),
    ("bn,anm,bm->ba", (2, 3), (4, 3, 5), (2, 5)),
    ("abc,cd,abd->ab", (2, 3, 4), (4, 5), (2, 3, 5)),
    ("i,j,k->ijk", (2,), (3,), (4,)),
    ("kij,kjl->kil", (2, 3, 4), (2, 4, 5)),
    ("bik,bkj->bji", (2, 3, 4), (2, 4, 5)),
    ("ab,cd->acbd", (2, 3), (4, 5)),
    ("b,bij->bij", (2,), (2, 3, 4)),
    ("...->...", (2, 3)),
    ("bhij,bjhd->bihd", (0, 3, 4, 5), (0, 5, 3, 6)),
    ("bnij,bnj->bni", (2, 3, 4, 5), (2, 3, 5)),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[1])
def test_einsum_text(case: tuple[str, str, *tuple[tuple[int, ...], ...]]) -> None:
    text, equation, *shapes = case
    operands = [reals(*s, seed=k) for k, s in enumerate(shapes)]
    assert check(torch.einsum, equation, *operands) == text


@pytest.mark.parametrize("case", GENERAL, ids=lambda c: c[0])
def test_einsum(case: tuple[str, *tuple[tuple[int, ...], ...]]) -> None:
    equation, *shapes = case
    operands = [reals(*s, seed=k) for k, s in enumerate(shapes)]
    check(torch.einsum, equation, *operands)
    check(torch.einsum, equation, operands)


def test_einsum_refused() -> None:
    with pytest.raises(Refused, match="broadcasts"):
        check(torch.einsum, "ij,ij->ij", reals(1, 4), reals(3, 4))


def test_tensordot() -> None:
    check(torch.tensordot, reals(2, 3, 4), reals(3, 4, 5))
    check(torch.tensordot, A, B, dims=1)
    check(torch.tensordot, reals(2, 3, 4), reals(4, 2), dims=([0, 2], [1, 0]))
    check(torch.tensordot, V, W, 0)
    check(torch.tensordot, reals(1, 3), reals(2, 3), ([0], [0]))
