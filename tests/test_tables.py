"""The tables of ops agree with each other; missing rows are named."""

from __future__ import annotations

import ast
import inspect

import pytest

from luxgen.frontends.leaves import LEAVES
from luxgen.frontends.vocabulary import RANDOM, RANDOM_OPTION
from luxgen.passes.fold import LIFTABLE, SIZES_MATTER
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
