"""Specialisation of functions written for the purpose: exact text, and its traps."""

from __future__ import annotations

import textwrap

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


OPTION = """
    def f(
        x: Array,
        bias: Array | None = None,
        *,
        stride: int = 1,
        mode: str = "a",
    ) -> Array:
        \"\"\"Scale x.\"\"\"
        if stride != 1:  # steps
            x = x[::stride]
        if mode == "b":
            x = x + 1
        elif mode == "c":
            x = x + 2
        else:
            x = x + 3  # default
        y = x * 2
        return y if bias is None else y + bias
    """


def test_options_that_no_call_passes_go() -> None:
    made = one(OPTION, "def apply(x: Array) -> Array:\n    return f(x)\n")
    same_text(
        made,
        '''
        def f(x: Array) -> Array:
            """Scale x."""
            x = x + 3  # default
            return x * 2
        ''',
    )


def test_options_that_some_call_passes_stay_as_they_are() -> None:
    text = """
        def apply(x: Array, b: Array) -> Array:
            return f(x, b, stride=2) + f(x, b, stride=3)
        """
    same_text(
        one(OPTION, text),
        '''
        def f(x: Array, bias: Array, *, stride: int = 1) -> Array:
            """Scale x."""
            if stride != 1:  # steps
                x = x[::stride]
            x = x + 3  # default
            y = x * 2
            return y + bias
        ''',
    )


def test_strings_that_all_calls_name_decide_branches() -> None:
    made = one(OPTION, 'def apply(x: Array) -> Array:\n    return f(x, mode="c")\n')
    same_text(
        made,
        '''
        def f(x: Array, *, mode: Literal['c']) -> Array:
            """Scale x."""
            x = x + 2
            return x * 2
        ''',
    )
    text = """
        def apply(x: Array) -> Array:
            return f(x, mode="b") + f(x, mode="c")
        """
    made = one(OPTION, text)
    assert "mode: Literal['b', 'c'])" in made
    assert "x + 3" not in made


BIAS = """
    def f(x: Array, weight: Array, bias: Array | None = None) -> Array:
        y = x @ weight
        return y if bias is None else y + bias
    """


@pytest.mark.parametrize(
    ("call", "signature"),
    [
        ("f(x, w)", "x: Array, weight: Array"),
        ("f(x, w, w)", "x: Array, weight: Array, bias: Array"),
        ("f(x, weight=w, bias=w)", "x: Array, weight: Array, bias: Array"),
        ("f(x, w, m)", "x: Array, weight: Array, bias: Array | None = None"),
        ("f(x, w, None)", "x: Array, weight: Array, bias: Array | None = None"),
        ("f(x, w) + f(x, w, w)", "x: Array, weight: Array, bias: Array | None = None"),
        ("f(x, *ps.two)", "x: Array, weight: Array, bias: Array"),
        ("f(x, *ps.one)", "x: Array, weight: Array"),
        ("f(x, *ps.list[0])", "x: Array, weight: Array, bias: Array"),
        ("f(x, *ps.many)", "x: Array, weight: Array, bias: Array | None = None"),
        ("f(x, w, **options)", "x: Array, weight: Array, bias: Array | None = None"),
        ("f(x, w, ps.fc.bias)", "x: Array, weight: Array, bias: Array"),
        ("f(x, w, ps_i.bias)", "x: Array, weight: Array, bias: Array"),
        ("g(f, x)", "x: Array, weight: Array, bias: Array | None = None"),
    ],
)
def test_what_calls_may_pass(call: str, signature: str) -> None:
    text = f"""
        def apply(x: Array, w: Array, m: Array | None, ps: Params) -> Array:
            return {call}
        """
    told = {"ps.two": 2, "ps.one": 1, "ps.list[0]": 2}
    made = one(BIAS, text, **told)
    assert made.startswith(f"def f({signature}) -> Array:")
    tests = {"bias: Array | None = None": 1, "bias: Array": 0}
    wanted = next((n for s, n in tests.items() if signature.endswith(s)), 0)
    assert made.count("is None") == wanted


def test_splats_may_be_told_by_function() -> None:
    text = """
        def a(x: Array, ps: A) -> Array:
            return f(x, *ps.fc)
        def b(x: Array, ps: B) -> Array:
            return f(x, *ps.fc)
        """
    helpers = parsed(BIAS)
    for fields, wanted in ((1, "bias: Array | None = None)"), (2, "bias: Array)")):
        told = {"a: ps.fc": 2, "b: ps.fc": fields}
        made = Program(textwrap.dedent(text), helpers, (), told).run()
        assert wanted in source(made["f"])


def test_nodes_passed_whole_are_as_long_as_told() -> None:
    helpers = (
        BIAS
        + """
    def layer(x: Array, ps: Any) -> Array:
        if ps is None:
            return f(x, x)
        return f(x, *ps)
    """
    )
    text = "def apply(x: Array, ps: P) -> Array:\n    return layer(x, ps.fc)\n"
    made = cut(helpers, text, **{"ps.fc": 2})
    same_text(
        made["layer"], "def layer(x: Array, ps: Any) -> Array:\n    return f(x, *ps)"
    )
    assert "bias: Array)" in made["f"]


def test_branches_tell_what_a_variable_is() -> None:
    text = """
        def apply(x: Array, m: Array | None) -> Array:
            if m is None:
                return x
            return f(x, x, m)
        """
    assert "bias: Array)" in one(BIAS, text)


def test_shadowed_names_are_no_helpers() -> None:
    text = """
        def apply(x: Array) -> Array:
            f = x
            return g(x) + sum(pair for pair in f)
        def g(x: Array) -> Array:
            return x
        """
    helpers = BIAS + "\n    def pair(x: int) -> int:\n        return x\n    "
    assert cut(helpers, text) == {}


PAIR = """
    def pool(
        x: Array, size: int | tuple[int, ...], *, step: int | tuple[int, ...] = 1
    ) -> Array:
        kh, kw = pair(size, 2)
        if step != 1:
            sh, sw = pair(step, 2)
            x = x[::sh, ::sw]
        n = (x.shape[0] - kh) // 1 + 1
        return x[: n + kh, : kw * 2]

    def pair(value: int | tuple[int, ...], n: int) -> tuple[int, ...]:
        \"\"\"One value per axis.\"\"\"
        return (value,) * n if isinstance(value, int) else value
    """


def test_calls_of_one_line_helpers_that_come_to_names_go() -> None:
    made = cut(PAIR, "def apply(x: Array) -> Array:\n    return pool(x, 3, step=2)\n")
    assert list(made) == ["pool"]
    same_text(
        made["pool"],
        """
        def pool(x: Array, size: int, *, step: int = 1) -> Array:
            if step != 1:
                x = x[::step, ::step]
            n = x.shape[0] - size + 1
            return x[: n + size, : size * 2]
        """,
    )
    text = "def apply(x: Array) -> Array:\n    return pool(x, (3, 2), step=(2, 1))\n"
    made = cut(PAIR, text)
    same_text(
        made["pool"],
        """
        def pool(x: Array, size: tuple[int, ...], *, step: tuple[int, ...]) -> Array:
            kh, kw = size
            sh, sw = step
            x = x[::sh, ::sw]
            n = (x.shape[0] - kh) // 1 + 1
            return x[: n + kh, : kw * 2]
        """,
    )


def test_mixed_kinds_keep_the_helper() -> None:
    text = "def apply(x: Array) -> Array:\n    return pool(x, 3) + pool(x, (3, 2))\n"
    made = cut(PAIR, text)
    assert "size: int | tuple[int, ...]" in made["pool"]
    assert "kh, kw = pair(size, 2)" in made["pool"]
    assert "if isinstance(value, int) else value" in made["pair"]


def test_short_name_for_what_stands_often() -> None:
    helpers = (
        PAIR
        + """
    def f(x: Array, kernel_size: int | tuple[int, ...], *, stride: Any = None) -> int:
        kh, kw = pair(kernel_size, 2)
        s = kernel_size if stride is None else stride
        return kh * kh + kh - kw * kw + kw + s
    """
    )
    made = cut(helpers, "def apply(x: Array) -> int:\n    return f(x, 3)\n")
    same_text(
        made["f"],
        """
        def f(x: Array, kernel_size: int) -> int:
            k = kernel_size
            return k * k + k - k * k + k + k
        """,
    )


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("n + o", "n"),
        ("o + n", "n"),
        ("n - o", "n"),
        ("n * i", "n"),
        ("i * n", "n"),
        ("n // i", "n"),
        ("n - 2 * o", "n"),
        ("n * o", "0"),
        ("n * (n - o)", "n * n"),
        ("(n - i) + 1", "n"),
        ("n - i + 2", "n + 1"),
        ("o - n", "0 - n"),
        ("x[o:n:i]", "x[:n]"),
        ("x[..., ::i]", "x"),
        ("i * x", "1 * x"),
        ("x + o", "x + 0"),
        ("x * q", "x * 1.0"),
        ("1 - h", "0.5"),
        ("1 - t", "1 - 0.7"),
        ("max(-o, 0)", "0"),
        ("2 ** m", "2 ** -1"),
        ("m ** 2", "(-1) ** 2"),
        ("-m", "1"),
        ("-p[0]", "-(1, 2)[0]"),
        ("i.real", "(1).real"),
        ("not o", "True"),
        ("n if o else x", "x"),
        ("o or n", "n"),
        ("i and n", "n"),
        ("o and f(n)", "0"),
        ("n and (n > 1 or o > 1)", "n and (n > 1 or False)"),
        ("n if n and (n > 1 or o > 1) else x", "n if n and n > 1 else x"),
        ("n or o", "n or 0"),
        ("0 < h <= 1", "True"),
        ("i == 1.0", "True"),
        ("o is None", "False"),
        ("i is True", "1 is True"),
        ("n == o", "n == 0"),
        ("o == n", "n == 0"),
        ("z == 'a'", "True"),
        ("z in ('b', 'c')", "False"),
        ("f'{n}{i}'", "f'{n}{1}'"),
        ("isinstance(i, int)", "True"),
        ("isinstance(p, int)", "False"),
        ("p != 0", "True"),
        ("[n + o for _ in x]", "[n for _ in x]"),
        ("[o for o in x]", "[o for o in x]"),
        ("lambda o: o + i", "lambda o: o + 1"),
        ("x.o", "x.o"),
        ("f(o=o)", "f(o=0)"),
        ("len(p)", "2"),
    ],
)
def test_expressions(written: str, wanted: str) -> None:
    options = "o=0, i=1, m=-1, q=1.0, h=0.5, t=0.7, z='a', p=(1, 2)"
    helper = f"def e(x: Array, n: int, *, {options}) -> Any:\n    return {written}\n"
    made = one(helper, "def apply(x: Array) -> Any:\n    return e(x, 2)\n")
    assert made.splitlines()[-1] == f"    return {wanted}"
