"""Least squares: forward and VJP row against torch."""

import pytest
import torch

from luxgen.targets.numpy.rules.op import Refused
from tests.ops.gradcheck import check_vjp, t
from tests.ops.opcheck import check, lowered


@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (5, 3), (2, 5, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelss", "gelsd"])
def test_lstsq(shape: tuple[int, ...], dtype: torch.dtype, driver: str) -> None:
    torch.manual_seed(0)
    a, b = t(*shape, dtype=dtype), t(*shape[:-1], 2, dtype=dtype)
    check(torch.linalg.lstsq, a, b, driver=driver)
    check_vjp(torch.linalg.lstsq, a, b, driver=driver)


def test_lstsq_of_vectors_is_refused() -> None:
    with pytest.raises(Refused, match="vectors"):
        lowered(torch.linalg.lstsq, (torch.randn(2, 3, 3), torch.randn(2, 3)), {})
