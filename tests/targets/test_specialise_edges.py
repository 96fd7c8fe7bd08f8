"""Specialisation of functions written for the purpose: what stays, and its traps."""

from __future__ import annotations

import textwrap
from typing import Any

import libcst as cst
import pytest

from luxgen.targets.numpy.specialise_library import Helper, helper_of, source
from luxgen.targets.numpy.specialise_program import Program


def parsed(helpers: str) -> dict[str, Helper]:
    nodes = cst.parse_module(textwrap.dedent(helpers)).body
    functions = [n for n in nodes if isinstance(n, cst.FunctionDef)]
    return {n.name.value: helper_of(n) for n in functions}


def cut(
    helpers: str, text: str, whole: tuple[str, ...] = (), **splats: int
) -> dict[str, str]:
    """The helpers' text by name, cut down to the calls in `text`."""
    program = Program(textwrap.dedent(text), parsed(helpers), whole, splats)
    return {name: source(node) for name, node in program.run().items()}


def one(helper: str, text: str, **splats: int) -> str:
    return next(iter(cut(helper, text, **splats).values()))


def same_text(made: str, wanted: str) -> None:
    assert made == textwrap.dedent(wanted).strip("\n")


BIAS = """
    def f(x: Array, weight: Array, bias: Array | None = None) -> Array:
        y = x @ weight
        return y if bias is None else y + bias
    """


def test_float_arithmetic_with_arrays_stays() -> None:
    helper = "def f(x: Array, *, alpha: float = 1.0) -> Array:\n    return alpha * x\n"
    assert "return 1.0 * x" in one(
        helper, "def a(x: Array) -> Array:\n    return f(x)\n"
    )


def test_text_as_written_is_never_simplified() -> None:
    helper = """
        def f(x: Array, *, o: int = 0) -> Array:
            a, scale = 1.5, 2
            n = 2**20 * 1 + 0
            if True:
                n = n + 0
            return a * x + scale + n + o
        """
    made = one(helper, "def a(x: Array) -> Array:\n    return f(x)\n")
    assert "a, scale = 1.5, 2" in made
    assert "n = 2**20 * 1 + 0" in made
    assert "return a * x + scale + n + 0" in made


# Functions whose specialised form must give what the whole one gives. `o` is absent,
# so it is 0; `a` is None; what these become is what goes wrong if flow is ignored.
TRAPS = {
    "assigned in a branch": """
        if x > 1:
            o = x
        return o + 1
        """,
    "assigned in a loop": """
        for i in range(3):
            x += o
            o = o + i
        return x
        """,
    "augmented": """
        o += x
        o *= 2
        return o
        """,
    "augmented in a loop": """
        for _ in range(x):
            o += 1
        return o
        """,
    "filled in": """
        if a is None:
            a = x * 2
        return a + o
        """,
    "filled in by one branch": """
        if x > 1:
            a = 3
        return 0 if a is None else a
        """,
    "closure before a change": """
        add = lambda z: z + o
        o = x
        return add(1)
        """,
    "closure over a copy": """
        v = o if a is None else x
        w = x if a is None else o
        add = lambda z: z + v + w
        x = 7
        return add(1)
        """,
    "inner function before a change": """
        def add(z: int) -> int:
            return z + o
        o = 5
        return add(x)
        """,
    "nonlocal": """
        def bump() -> None:
            nonlocal o
            o += 1
        bump()
        return o + x
        """,
    "lazy generator": """
        many = (z + o for z in range(3))
        o = 10
        return sum(many)
        """,
    "copy, then its source changes": """
        v = x if a is None else o
        x = x + 1
        return v * 10 + x
        """,
    "copy in a loop": """
        total = 0
        for i in range(3):
            v = i if a is None else o
            i = i + 5
            total = total * 100 + v + i
        return total
        """,
    "swap": """
        u, v = (x, 1) if a is None else (1, x)
        u, v = v, u
        return u * 10 + v
        """,
    "swap with a constant": """
        o, x = x, o
        return o * 10 + x
        """,
    "augmented copy": """
        v = x if a is None else o
        v += 1
        return v * 10 + x
        """,
    "while": """
        while o < 3:
            o = o + 1
            x = x + o
        return x
        """,
    "break": """
        for i in range(5):
            if i > x:
                break
            o = i
        return o
        """,
    "after a return": """
        if a is None:
            return x + o
        return o
        """,
    "try": """
        try:
            o = x
            o = 1 // (x - 1)
        except ZeroDivisionError:
            o = o + 100
        return o
        """,
    "with": """
        with suppress(ZeroDivisionError):
            o = 4
            o = 1 // (x - 1)
        return o
        """,
    "walrus": """
        y = (o := x + 1) + o
        return y + o
        """,
    "comprehension's own variable": """
        return [o for o in range(x)][-1:] + [o]
        """,
    "list that grows": """
        found = []
        for i in range(x):
            found.append(None if i else 1)
        return [part is None for part in found]
        """,
    "starred list": """
        parts = []
        parts.append(x)
        return max(*parts, o)
        """,
    "dead store with an effect": """
        seen = []
        v = seen.append(x) if a is None else o
        return seen
        """,
    "string in an f-string": """
        return f"{s}-{o}-{x}"
        """,
    "match": """
        match x:
            case 1:
                o = 9
            case _:
                pass
        return o
        """,
    "deleted": """
        o = x
        del o
        o = 3
        return o
        """,
}


@pytest.mark.parametrize("name", TRAPS)
def test_traps(name: str) -> None:
    body = textwrap.indent(textwrap.dedent(TRAPS[name]), "    ")
    whole = f"def f(x: int, a: int | None = None, *, o: int = 0, s: str = 'q'):\n{body}"
    text = "def apply(x):\n    return f(x)\n"
    made = "\n".join(cut(whole, text).values())
    assert "o: int = 0, s" not in made.splitlines()[0]
    for x in (1, 2, 4):
        assert run(made + "\n" + text, x) == run(whole + text, x)


def run(code: str, x: int) -> Any:
    scope: dict[str, Any] = {}
    exec(f"from contextlib import suppress\n{code}", scope)
    return scope["apply"](x)


def test_a_parameter_that_goes_but_is_assigned_starts_as_a_variable() -> None:
    helper = """
        def f(x: int, *, dim: int | None = None) -> int:
            \"\"\"Doc.\"\"\"
            if x > 1:
                dim = x
            return 0 if dim is None else dim
        """
    same_text(
        one(helper, "def apply(x: int) -> int:\n    return f(x)\n"),
        '''
        def f(x: int) -> int:
            """Doc."""
            dim: int | None = None
            if x > 1:
                dim = x
            return 0 if dim is None else dim
        ''',
    )


def test_options_are_followed_into_other_helpers() -> None:
    helpers = """
        def outer(x: Array, *, axis: int = -1, keep: bool = False) -> Array:
            return inner(x, axis, keep, mode="sum", keepdim=keep)

        def inner(
            x: Array,
            axis: int,
            keep: bool,
            *,
            mode: str = "mean",
            keepdim: bool = False,
        ) -> Array:
            y = x.sum(axis) if mode == "sum" else x.mean(axis)
            if keepdim:
                return y
            return y[0] if keep else y
        """
    made = cut(helpers, "def apply(x: Array) -> Array:\n    return outer(x, axis=1)\n")
    same_text(
        made["outer"],
        """
        def outer(x: Array, *, axis: int = -1) -> Array:
            return inner(x, axis, mode="sum")
        """,
    )
    same_text(
        made["inner"],
        """
        def inner(x: Array, axis: int, *, mode: Literal['sum']) -> Array:
            y = x.sum(axis)
            return y
        """,
    )


def test_helpers_whose_last_call_is_pruned_go() -> None:
    helpers = """
        def f(x: Array, *, exact: bool = False) -> Array:
            return slow(x) if exact else x

        def slow(x: Array) -> Array:
            return x
        """
    assert list(cut(helpers, "def a(x: Array) -> Array:\n    return f(x)\n")) == ["f"]


def test_whole_helpers_keep_their_signature() -> None:
    made = cut(BIAS, "def apply() -> None:\n    pass\n", whole=("f",))
    assert "bias: Array | None = None" in made["f"]
    made = cut(
        BIAS, "def apply(x: Array) -> Array:\n    return f(x, x)\n", whole=("f",)
    )
    assert "bias: Array | None = None" in made["f"]


def test_recursive_helpers_stay_whole() -> None:
    helpers = """
        def f(n: int, *, o: int = 0) -> int:
            return o if n == 0 else f(n - 1, o=o + 1)
        """
    made = one(helpers, "def apply(n: int) -> int:\n    return f(n)\n")
    assert "o: int = 0" in made
    code = f"{made}\ndef apply(n: int) -> int:\n    return f(n)\n"
    assert run(code, 5) == 5


def test_order_is_by_first_use_and_callers_come_first() -> None:
    helpers = """
        def a(x: int) -> int:
            return c(x) + d(x)
        def b(x: int) -> int:
            return d(x)
        def c(x: int) -> int:
            return e(x)
        def d(x: int) -> int:
            return x + 1
        def e(x: int) -> int:
            return d(x)
        """
    made = cut(helpers, "def apply(x: int) -> int:\n    return d(x) + b(x) + a(x)\n")
    assert list(made) == ["b", "a", "c", "e", "d"]


def test_declarations_survive_their_branch() -> None:
    helper = """
        def f(x: Array, *, wide: bool = False) -> Array:
            if wide:
                y: Array = np.ones(2)
            else:
                y = np.zeros(2)
            return y
        """
    made = one(helper, "def apply(x: Array) -> Array:\n    return f(x)\n")
    same_text(
        made, "def f(x: Array) -> Array:\n    y: Array = np.zeros(2)\n    return y"
    )


def test_values_unpacked_but_not_read_are_blanked() -> None:
    helper = """
        def f(x: Array, *, wide: bool = False) -> int:
            n, c, w = x.shape
            for i, k in zip(x, x):
                n += k * (i if wide else 1)
            return n + c + (w if wide else 0)
        """
    same_text(
        one(helper, "def apply(x: Array) -> int:\n    return f(x)\n"),
        """
        def f(x: Array) -> int:
            n, c, _ = x.shape
            for _, k in zip(x, x):
                n += k * 1
            return n + c + 0
        """,
    )


def test_comments_stay_with_what_stays() -> None:
    helper = """
        import math

        # why f is there
        def f(x: Array, *, wide: bool = False) -> Array:
            # above the test
            if not wide:  # beside the test
                # above the statement
                x = x + 1  # beside the statement
            if wide:  # goes
                x = x + 2  # goes too
            return x
        """
    same_text(
        one(helper, "def apply(x: Array) -> Array:\n    return f(x)\n"),
        """
        # why f is there
        def f(x: Array) -> Array:
            # above the test
            # beside the test
            # above the statement
            x = x + 1  # beside the statement
            return x
        """,
    )


def test_docstrings_lose_clauses_about_what_went() -> None:
    helper = '''
        def f(x: Array, *, dims: int = 1, eps_value: float = 0.1) -> Array:
            """Normalise over the last axis, or the last `dims` ones.

            With `dims` 0 nothing happens. Stable; eps_value is added.
            """
            return x[dims] + eps_value
        '''
    made = one(helper, "def apply(x: Array) -> Array:\n    return f(x)\n")
    assert "dims" not in made
    assert "eps_value" not in made
    assert "Normalise over the last axis." in made
    assert "Stable." in made
