"""Names of local variables: one name holds values of one type."""

from __future__ import annotations

from luxgen.ir.values import Value
from luxgen.targets.numpy.naming import Names


def test_arrays_share_a_name_one_after_the_other() -> None:
    names = Names(())
    assert names.give(Value("float32"), ["h"], (0, 2)) == "h"
    assert names.give(Value("float32"), ["h"], (1, 3)) == "h1"
    assert names.give(Value("float32"), ["h"], (2, 4)) == "h"


def test_what_a_forward_pass_saves_has_a_name_of_its_own() -> None:
    names = Names(())
    assert names.give(Value("float32"), ["h"], (0, 2)) == "h"
    assert names.give(Value("opaque"), ["h"], (3, 4)) == "h1"
    assert names.give(Value("float32"), ["h1"], (5, 6)) == "h2"
    assert names.give(Value("tree"), ["h1", "t"], (7, 8)) == "t"
