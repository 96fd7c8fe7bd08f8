"""Input specs, their order of precedence, and inference where it is certain."""

from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from luxgen.errors import InputError
from luxgen.frontends.input_spec import DTYPES
from luxgen.frontends.inputs import (
    Inputs,
    InputSpec,
    example,
    free_dims,
    parse_input,
    resolve_inputs,
)
from luxgen.frontends.instance import load

torch.set_num_threads(1)


def resolve(folder: Path, init: str, forward: str, *flags: str, more: str = "") -> Any:
    """`resolve_inputs` for a class Net with these constructor and forward lines."""
    lines = [
        "import torch",
        "import torch.nn.functional as F",
        "from torch import nn",
        "class Net(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        indent(dedent(init).strip(), " " * 8),
        indent(dedent(forward).strip(), " " * 4),
        dedent(more),
    ]
    (folder / "model.py").write_text("\n".join(lines) + "\n")
    loaded = load(str(folder / "model.py"))
    return resolve_inputs(loaded, loaded.build(), list(flags), loaded.config)


def shown(inputs: Inputs) -> list[str]:
    assert inputs.specs is not None
    return [str(spec) for spec in inputs.specs]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (
            "x: float32[batch, 1, 28, 28]",
            InputSpec("x", "float32", ("batch", 1, 28, 28)),
        ),
        (" x:torch.int64 [ n ,] ", InputSpec("x", "int64", ("n",))),
        ("t: float32[]", InputSpec("t", "float32", ())),
        ("ids: int64[b, t] < 100", InputSpec("ids", "int64", ("b", "t"), 100)),
        ("mask: bool[b, 0]", InputSpec("mask", "bool", ("b", 0))),
    ],
)
def test_parse(text: str, spec: InputSpec) -> None:
    assert parse_input(text) == spec
    assert parse_input(str(spec)) == spec


@settings(deadline=None)  # the machine may be busy
@given(
    st.builds(
        InputSpec,
        st.sampled_from(["x", "input_ids", "größe"]),
        st.sampled_from(DTYPES),
        st.lists(
            st.one_of(st.integers(0, 99), st.sampled_from(["n", "t2"])), max_size=4
        ).map(tuple),
    )
)
def test_parse_inverts_str(spec: InputSpec) -> None:
    assert parse_input(str(spec)) == spec


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=30))
def test_parse_never_fails_otherwise(text: str) -> None:
    try:
        spec = parse_input(text)
    except InputError:
        return
    assert spec.name.isidentifier()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("float32[batch]", "can't read the input"),
        ("x: float32(batch, 3)", "unknown dtype"),
        ("x: float32", r'lacks its shape; write it as "x: float32\[batch, 8\]'),
        ("x: float[batch]", "did you mean float32"),
        ("x: flaot32[batch]", "did you mean float32"),
        ("x: string[batch]", "it may be float32, float64"),
        ("x: float32[batch, -1]", "the dim '-1' .* neither a size nor a name"),
        ("x: float32[batch, ?]", "neither a size nor a name"),
        ("x: float32[batch,, 3]", "neither a size nor a name"),
        ("x: float32[2*batch]", "must be a Python name, not '2\\*batch'"),
        ("x: float32[class]", "must be a Python name"),
        ("lambda: float32[batch]", "must be a Python name, not 'lambda'"),
        ("x y: float32[batch]", "must be a Python name"),
        ('"; import os #: float32[batch]', "must be a Python name"),
        ("x: float32[batch] < 3", "only an integer input takes a bound"),
        ("x: int64[batch] < 0", "whole number, at least 1"),
        ("x: int8[batch] < 300", "whole number, at least 1"),
        ("x: int64[batch] < many", "whole number, at least 1"),
    ],
)
def test_parse_error(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_input(text)


def test_look_alike_is_normalised_as_python_does() -> None:
    assert parse_input("ｘ: float32[n]").name == "x"


def test_example() -> None:
    specs = [
        parse_input(t) for t in ("x: float64[n, 2]", "i: int32[n] < 5", "b: bool[n]")
    ]
    specs += [parse_input("c: complex64[n]"), parse_input("s: float32[]")]
    assert free_dims(specs) == ["n"]
    values = example(specs, {"n": 50}, seed=1)
    assert [str(v.dtype) for v in values] == [f"torch.{s.dtype}" for s in specs]
    assert [tuple(v.shape) for v in values] == [(50, 2), (50,), (50,), (50,), ()]
    assert set(values[1].tolist()) == {0, 1, 2, 3, 4}
    assert set(values[2].tolist()) == {True, False}
    again = example(specs, {"n": 50}, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(values, again, strict=True))
    assert not torch.equal(values[0], example(specs, {"n": 50}, seed=2)[0])
    with pytest.raises(InputError, match="free dims n"):
        example(specs, {}, seed=0)


LINEAR = "self.fc = nn.Linear(3, 2)"
CALL = "def forward(self, x): return self.fc(x)"
EXAMPLE = "def example_inputs(): return torch.ones(4, 3)"


def test_precedence(tmp_path: Path) -> None:
    inputs = resolve(tmp_path, LINEAR, CALL)
    assert shown(inputs) == ["x: float32[batch, 3]"]
    assert inputs.origin == "inferred: fc is Linear"

    inputs = resolve(tmp_path, LINEAR, CALL, more=EXAMPLE)
    assert inputs.specs is None
    assert inputs.origin.startswith("example_inputs() in ")
    assert torch.equal(inputs.args[0], torch.ones(4, 3))

    (tmp_path / "pyproject.toml").write_text(
        '[tool.luxgen.models.net]\ninputs = ["x: float32[time, 3]"]\n'
    )
    inputs = resolve(tmp_path, LINEAR, CALL, more=EXAMPLE)
    assert shown(inputs) == ["x: float32[time, 3]"]
    assert "pyproject.toml" in inputs.origin

    inputs = resolve(tmp_path, LINEAR, CALL, "x: float32[n, 3]", more=EXAMPLE)
    assert shown(inputs) == ["x: float32[n, 3]"]
    assert inputs.origin == "--input"
    assert inputs.sizes == {"n": inputs.args[0].shape[0]}


def test_flags_follow_forward(tmp_path: Path) -> None:
    forward = "def forward(self, x, y, scale=None, *, bias=None): return self.fc(x) + y"
    inputs = resolve(
        tmp_path,
        LINEAR,
        forward,
        *("bias: float32[2]", "y: float32[n, 2]", "x: float32[n, 3]"),
    )
    assert [spec.name for spec in inputs.specs] == ["x", "y", "bias"]
    assert [tuple(value.shape) for value in inputs.args] == [(11, 3), (11, 2)]
    assert list(inputs.kwargs) == ["bias"]


def test_flags_of_variadic_forwards(tmp_path: Path) -> None:
    flags = ("a: float32[n, 3]", "b: float32[n, 2]")
    forward = "def forward(self, *inputs): return self.fc(inputs[0]) + inputs[1]"
    inputs = resolve(tmp_path, LINEAR, forward, *flags)
    assert len(inputs.args) == 2 and not inputs.kwargs
    forward = "def forward(self, **inputs): return self.fc(inputs['a']) + inputs['b']"
    inputs = resolve(tmp_path, LINEAR, forward, *flags)
    assert not inputs.args and list(inputs.kwargs) == ["a", "b"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("z: float32[n, 3]",), "Net.forward has no argument z; it has x, y"),
        (("x: float32[n, 3]",), 'needs more inputs; add --input "y: float32'),
        (("x: float32[n, 3]",) * 2, "--input x is given more than once"),
        (
            ("x: float32[n, 4]", "y: float32[n, 2]"),
            r'(?s)run on --input "x: float32\[n, 4\]".*n=11.*model\.py:8: RuntimeError',
        ),
    ],
)
def test_flags_that_dont_fit(
    tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    forward = "def forward(self, x, y): return self.fc(x) + y"
    with pytest.raises(InputError, match=message):
        resolve(tmp_path, LINEAR, forward, *flags)


def test_integers_are_valid_for_every_embedding(tmp_path: Path) -> None:
    init = "self.a = nn.Embedding(50, 2)\nself.b = nn.Embedding(7, 2)"
    forward = "def forward(self, i, j): return self.a(i) + self.b(j)"
    inputs = resolve(tmp_path, init, forward, "i: int64[n]", "j: int64[n] < 3")
    assert shown(inputs) == ["i: int64[n] < 7", "j: int64[n] < 3"]


def test_sizes_that_run_are_found(tmp_path: Path) -> None:
    init = "self.conv = nn.Conv2d(1, 2, 3, padding=1)"
    forward = """
    def forward(self, x):
        assert x.shape[2] % 16 == 0 and x.shape[3] % 16 == 0
        return self.conv(x)
    """
    inputs = resolve(tmp_path, init, forward, "x: float32[n, 1, h, w]")
    assert inputs.sizes["h"] % 16 == 0 and inputs.sizes["h"] != inputs.sizes["w"]


@pytest.mark.parametrize(
    ("value", "args", "kwargs"),
    [
        ("(torch.ones(2, 3), torch.ones(2))", 2, []),
        ("torch.ones(2, 3), torch.ones(2), [torch.ones(2)]", 2, ["extra"]),
        ("{'y': torch.ones(2), 'x': torch.ones(2, 3)}", 2, []),
        ("{'y': torch.ones(2), 'x': torch.ones(2, 3), 'extra': {}}", 2, ["extra"]),
    ],
)
def test_example_inputs(
    tmp_path: Path, value: str, args: int, kwargs: list[str]
) -> None:
    forward = "def forward(self, x, y, extra=None): return self.fc(x) + y[:, None]"
    more = f"def example_inputs(): return {value}"
    inputs = resolve(tmp_path, LINEAR, forward, more=more)
    assert len(inputs.args) == args
    assert list(inputs.kwargs) == kwargs
    assert tuple(inputs.args[0].shape) == (2, 3)


def test_example_inputs_are_the_same_each_time(tmp_path: Path) -> None:
    more = "def example_inputs(): return torch.randn(4, 3)"
    state = torch.get_rng_state()
    first = resolve(tmp_path, LINEAR, CALL, more=more)
    assert torch.equal(torch.get_rng_state(), state) is False  # the constructor's draws
    second = resolve(tmp_path, LINEAR, CALL, more=more)
    assert torch.equal(first.args[0], second.args[0])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("None", "returned None"),
        (
            "{'image': torch.ones(2, 3)}",
            r"doesn't fit Net.forward.*return \(\{...\},\)",
        ),
        ("(torch.ones(2, 3), 1)", "doesn't fit Net.forward"),
        (
            "torch.ones(2, 4)",
            r"(?s)doesn't run on example_inputs.*model\.py:8: Runtime",
        ),
        ("1 / 0", r"model\.py:9: ZeroDivisionError"),
    ],
)
def test_bad_example_inputs(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(tmp_path, LINEAR, CALL, more=f"def example_inputs(): return {value}")


LENET = """
self.conv1 = nn.Conv2d(1, 6, 5)
self.conv2 = nn.Conv2d(6, 16, 5)
self.fc = nn.Linear(256, 10)
"""
LENET_FORWARD = """
def forward(self, x):
    x = F.max_pool2d(F.relu(self.conv1(x / 255)), 2)
    x = F.max_pool2d(F.relu(self.conv2(x)), 2)
    return self.fc(x.{flatten})
"""
CERTAIN = {
    "linear": (LINEAR, CALL, "x: float32[batch, 3]"),
    "sequential": (
        "self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())",
        "def forward(self, x): return self.net(x)",
        "x: float32[batch, 3]",
    ),
    "optional": (LINEAR, CALL.replace("x)", "x, y=None)", 1), "x: float32[batch, 3]"),
    "lenet": (
        LENET,
        LENET_FORWARD.format(flatten="flatten(1)"),
        "x: float32[batch, 1, 28, 28]",
    ),
    "lenet by view": (
        LENET,
        LENET_FORWARD.format(flatten="view(-1, 256)"),
        "x: float32[batch, 1, 28, 28]",
    ),
    "conv1d": (
        "self.conv = nn.Conv1d(4, 3, 3)\nself.fc = nn.Linear(3 * 98, 2)",
        "def forward(self, x): return self.fc(self.conv(x).flatten(1))",
        "x: float32[batch, 4, 100]",
    ),
    "embedding": (
        "self.emb = nn.Embedding(9, 4)\nself.fc = nn.Linear(4, 9)",
        "def forward(self, ids): return self.fc(self.emb(ids).mean(1))",
        "ids: int64[batch, length] < 9",
    ),
    "positions": (
        "self.emb = nn.Embedding(9, 4)\nself.pos = nn.Embedding(8, 4)",
        "def forward(self, i): return self.emb(i) + self.pos(torch.arange(i.size(1)))",
        "i: int64[batch, length] < 8",
    ),
    "fixed context": (
        "self.emb = nn.Embedding(9, 4)\nself.fc = nn.Linear(20, 9)",
        "def forward(self, ids): return self.fc(self.emb(ids).flatten(1))",
        "ids: int64[batch, 5] < 9",
    ),
    "tagger": (
        "self.emb = nn.Embedding(9, 4)\nself.rnn = nn.LSTM(4, 4)",
        "def forward(self, ids): return self.rnn(self.emb(ids))[0]",
        "ids: int64[length, batch] < 9",
    ),
    "gru": (
        "self.rnn = nn.GRU(4, 5, batch_first=True)",
        "def forward(self, x): return self.rnn(x)",
        "x: float32[batch, length, 4]",
    ),
    "lstm, length first": (
        "self.rnn = nn.LSTM(4, 5)\nself.fc = nn.Linear(5, 2)",
        "def forward(self, x): return self.fc(self.rnn(x)[0][-1])",
        "x: float32[length, batch, 4]",
    ),
    "cell": (
        "self.cell = nn.GRUCell(4, 5)",
        "def forward(self, x): return self.cell(x)",
        "x: float32[batch, 4]",
    ),
    "noise": (
        LINEAR,
        "def forward(self, x): return self.fc(x) + torch.randn(x.size(0), 2)",
        "x: float32[batch, 3]",
    ),
}


@pytest.mark.parametrize("case", CERTAIN)
def test_inferred(tmp_path: Path, case: str) -> None:
    init, forward, spec = CERTAIN[case]
    inputs = resolve(tmp_path, init, forward)
    assert shown(inputs) == [spec]
    assert inputs.origin.startswith("inferred: ")


UNCERTAIN = {
    "flattened first": (
        "self.fc = nn.Linear(784, 2)",
        "def forward(self, x): return self.fc(x.flatten(1))",
        'reshapes it.*--input "x: float32[batch, 784]"',
    ),
    "any image size": (
        "self.conv = nn.Conv2d(3, 4, 3)",
        "def forward(self, x): return self.conv(x).mean((2, 3))",
        'any size.*--input "x: float32[batch, 3, height, width]"',
    ),
    "several image sizes": (
        "self.conv = nn.Conv2d(1, 4, 3, 2, padding=1)\nself.fc = nn.Linear(100, 2)",
        "def forward(self, x): return self.fc(self.conv(x).flatten(1))",
        'any size from 9 to 10 fits.*--input "x: float32[batch, 1, 10, 10]"',
    ),
    "transposed": (
        "self.conv = nn.Conv1d(3, 4, 1)",
        "def forward(self, x): return self.conv(x.transpose(1, 2)).amax(2)",
        'no first layer tells them; add\n    --input "x: DTYPE[batch, ...]"',
    ),
    "rows mixed": (
        LINEAR,
        "def forward(self, x): return self.fc(x).softmax(0)",
        "isn't independent row by row",
    ),
    "attention over rows": (
        "self.fc = nn.Linear(3, 4)\n"
        "self.enc = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)",
        "def forward(self, x): return self.enc(self.fc(x))",
        'row by row; add\n    --input "x: float32[batch, length, 3]"',
    ),
    "two inputs": (
        LINEAR,
        "def forward(self, obs, h): return self.fc(obs) + h",
        '2 required inputs.*--input "obs: DTYPE[batch, ...]" --input "h: DTYPE',
    ),
    "no layer": (
        "self.w = nn.Parameter(torch.ones(3))",
        "def forward(self, x): return x * self.w",
        "def example_inputs():",
    ),
}


@pytest.mark.parametrize("case", UNCERTAIN)
def test_not_inferred(tmp_path: Path, case: str) -> None:
    import re

    init, forward, message = UNCERTAIN[case]
    pattern = re.escape(message).replace(r"\.\*", ".*")
    with pytest.raises(InputError, match="(?s)" + pattern) as caught:
        resolve(tmp_path, init, forward)
    assert "model.py" in str(caught.value)


def test_resolving_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        dedent("""
        import torch
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 2)
                self.register_buffer("calls", torch.zeros(()))
                self.cache = None
            def forward(self, x):
                self.calls += 1
                self.cache = x.mul_(2)
                return self.fc(x)
        def example_inputs():
            return torch.ones(2, 3)
        """)
    )
    loaded = load(str(tmp_path / "model.py"))
    model = loaded.build()
    state = torch.get_rng_state()
    inputs = resolve_inputs(loaded, model, [], {})
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and model.calls == 0 and model.cache is None
    assert torch.equal(inputs.args[0], torch.ones(2, 3))


def test_model_that_cant_be_copied(tmp_path: Path) -> None:
    init = "self.fc = nn.Linear(3, 2)\nself.scale = self.fc.weight.sum()"
    forward = "def forward(self, x): return self.fc(x) * self.scale"
    inputs = resolve(tmp_path, init, forward)
    assert shown(inputs) == ["x: float32[batch, 3]"]


def test_parameters_are_not_copied() -> None:
    from luxgen.frontends.trial import Trial

    model = nn.Linear(3, 2)
    trial = Trial(model, lambda: model, Path("model.py"))
    assert trial.model.weight is model.weight
    assert isinstance(trial.run([torch.ones(1, 3)]), Tensor)
