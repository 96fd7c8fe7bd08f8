"""The error function in float32 and float64, by approximations of our own.

artanh(erf(x)) / x is a smooth function of x * x. Its minimax rational approximations
up to ERF_END were fitted in 90 digits (Lawson's iteration), weighted by what reaches
erf: relative errors before rounding 3.3e-9 (float32) and 1.1e-17 (float64). No
coefficient is negative, so nothing cancels, and tanh saturates at exactly 1.
"""

import numpy as np

from luxgen.ops.types import Array

# End of the interval; numerator and denominator in x * x, highest power first.
ERF_FLOAT32 = (
    3.95,
    (0.0021782857, 0.04264659436, 0.2798069016, 1.128379171),
    (0.0003249252076, 0.02368995387, 0.1568926424, 1.0),
)
ERF_FLOAT64 = (
    5.95,
    (4.6760001357641764e-10, 6.4485505567406956e-8, 2.287869848401296e-6)
    + (4.5868055134731276e-5, 0.00062635465948313633, 0.0060259947454341281)
    + (0.041579472065305035, 0.20135924310101027, 0.63541914655164742)
    + (1.1283791670955126,),
    (2.868580646556954e-11, 1.381184772683546e-8, 8.0469797991528975e-7)
    + (1.9068896048268904e-5, 0.00030289272915002789, 0.0032686679394928005)
    + (0.025105135492137947, 0.13564152536404727, 0.47204570837722927)
    + (1.0,),
)


def erf(x: Array) -> Array:
    """Error function as tanh(x * p(x^2) / q(x^2)), within 4 ulp."""
    end, p, q = ERF_FLOAT32 if x.dtype == np.float32 else ERF_FLOAT64
    s = np.clip(x, -end, end) ** 2  # beyond the end tanh gives 1
    y: Array = x * horner(s, p)
    y /= horner(s, q)
    y = np.tanh(y)
    return y


def horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Polynomial in x, highest power first."""
    y: Array = coefficients[0] * x + coefficients[1]
    for c in coefficients[2:]:
        y *= x
        y += c
    return y
