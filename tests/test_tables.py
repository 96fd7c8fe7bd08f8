"""The tables of ops agree with each other; missing rows are named."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil

import pytest

from luxgen.frontends.leaves import LEAVES
from luxgen.frontends.vocabulary import RANDOM, RANDOM_OPTION
from luxgen.passes.fold import LIFTABLE, SIZES_MATTER
from luxgen.passes.vjp import vjps
from luxgen.targets.numpy import rules as rule_tables
from luxgen.targets.numpy.helpers import helper_names
from luxgen.targets.numpy.rules import rules

EVERY = {**rules("RULES"), **rules("STATEFUL")}


def test_random_ops_have_a_rule_with_state() -> None:
    missing = {*RANDOM, *RANDOM_OPTION} - rules("STATEFUL").keys() - {"poisson", "binomial",
        "standard_gamma", "cauchy", "log_normal", "geometric", "gumbel_softmax"}  # fmt: skip
    assert not missing


def test_leaf_layers_have_rules() -> None:
    names = set()
    for leaf in LEAVES.values():
        for cell in leaf.__closure__ or ():
            if isinstance(cell.cell_contents, str):
                names.add(cell.cell_contents)
    assert len(names) > 10
    assert not names - EVERY.keys()


def test_lifted_constants_belong_to_ops() -> None:
    assert not LIFTABLE.keys() - EVERY.keys()


@pytest.mark.parametrize("name", sorted(EVERY))
def test_rule_texts_name_known_things(name: str) -> None:
    """A literal template is an expression over arguments, np, math and helpers."""
    rule = EVERY[name]
    if not isinstance(rule, str):
        assert callable(rule)
        return
    calls = [n.func.id for n in ast.walk(ast.parse(rule, mode="eval"))
             if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]  # fmt: skip
    unknown = (
        set(calls)
        - helper_names()
        - {"len", "tuple", "list", "int", "float", "abs", "range", "bool"}
    )
    assert not unknown


def test_rules_that_ask_sizes_are_listed() -> None:
    """Functions fold only where such rules would print the same text."""
    asking = set()
    for name, rule in rules("RULES").items():
        if callable(rule) and ".shape(" in inspect.getsource(rule):
            asking.add(name)
    assert asking and not asking - SIZES_MATTER


INTEGER_RESULTS = frozenset(
    [
        "all",
        "allclose",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "argwhere",
        "bincount",
        "bitwise_and",
        "bitwise_left_shift",
        "bitwise_not",
        "bitwise_or",
        "bitwise_right_shift",
        "bitwise_xor",
        "bool",
        "bucketize",
        "byte",
        "char",
        "count_nonzero",
        "eq",
        "equal",
        "gcd",
        "ge",
        "gt",
        "int",
        "is_nonzero",
        "isclose",
        "isfinite",
        "isin",
        "isinf",
        "isnan",
        "isneginf",
        "isposinf",
        "isreal",
        "lcm",
        "le",
        "linalg_matrix_rank",
        "logical_and",
        "logical_not",
        "logical_or",
        "logical_xor",
        "long",
        "lt",
        "ne",
        "nonzero",
        "nonzero_static",
        "one_hot",
        "searchsorted",
        "short",
        "signbit",
        "tril_indices",
        "triu_indices",
        "unravel_index",
    ]
)
TORCH_HAS_NO_DERIVATIVE = (
    "bessel_", "chebyshev_", "hermite_", "laguerre_", "legendre_", "modified_bessel_",
    "native_channel_shuffle", "nextafter", "scaled_modified_", "shifted_chebyshev_",
    "spherical_bessel_", "spmm",
)  # fmt: skip


def test_differentiable_ops_have_a_vjp() -> None:
    """Every rule but those of gradients themselves; the missing rows are named."""
    own = set()
    for module in pkgutil.iter_modules(rule_tables.__path__):
        if module.name.endswith("backward"):
            table = importlib.import_module(f"{rule_tables.__name__}.{module.name}")
            own |= {*table.RULES, *getattr(table, "STATEFUL", {})}
    missing = EVERY.keys() - vjps().keys() - own - INTEGER_RESULTS
    plain = {name.removeprefix("special_") for name in missing}
    assert not {n for n in plain if not n.startswith(TORCH_HAS_NO_DERIVATIVE)}


def test_vjps_belong_to_ops() -> None:
    assert not vjps().keys() - EVERY.keys()
