"""Every specialised helper gives bit for bit what the whole one gives, and is clean."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luxgen.targets.numpy.format import ruff_format
from luxgen.targets.numpy.helpers import helper_function, helper_names
from luxgen.targets.numpy.specialise import helper_texts
from luxgen.targets.numpy.specialise_library import HELPERS

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, np.float32)


VALUES: dict[str, Any] = {
    "x2": normal(5, 6),
    "x3": normal(2, 4, 11),
    "x4": normal(2, 4, 9, 8),
    "x5": normal(1, 2, 6, 5, 6),
    "z": np.abs(normal(4, 5)) + np.float32(0.1),
    "seq": normal(7, 2, 3),
    "batch": normal(2, 7, 3),
    "heads": normal(2, 4, 5, 6),
    "embed": normal(2, 5, 12),
    "w": normal(6, 6),
    "v": normal(6),
    "c": normal(4),
    "k1": normal(6, 4, 3),
    "k2": normal(6, 4, 3, 3),
    "k2g": normal(8, 2, 3, 3),
    "k2d": normal(4, 1, 3, 3),
    "k3": normal(3, 2, 2, 3, 2),
    "k2t": normal(4, 3, 3, 3),
    "b6": normal(6),
    "b8": normal(8),
    "mask": RNG.random((5, 5)) < 0.7,
    "added": normal(5, 5),
    "classes": RNG.integers(0, 6, 5),
    "index": RNG.integers(0, 5, (3, 6)),
    "lstm_ps": (normal(16, 3), normal(16, 4), normal(16), normal(16)),
    "lstm_plain": (normal(16, 3), normal(16, 4)),
    "lstm_hx": (normal(1, 2, 4), normal(1, 2, 4)),
    "stack_ps": tuple(normal(*s) for s in ((16, 3), (16, 4), (16, 4), (16, 4))),
    "gru_ps": (normal(12, 3), normal(12, 4), normal(12), normal(12)),
    "rnn_ps": (normal(4, 3), normal(4, 4), normal(4), normal(4)),
    "in_w": normal(36, 12),
    "in_b": normal(36),
    "out_w": normal(12, 12),
    "out_b": normal(12),
    "wave": normal(2, 64),
    "grid": normal(2, 3, 4, 2),
    "affine": (normal(4), normal(4)),
}

# Expressions of VALUES and helpers; several calls share what a module would share.
CALLS = [
    "conv1d(x3, k1)",
    "conv1d(x3, k1, b6, stride=2, padding=1)",
    "conv2d(x4, k2)",
    "conv2d(x4, k2, b6)",
    "conv2d(x4, k2, stride=2, padding=1)",
    "conv2d(x4, k2, b6, stride=(2, 1), padding=(0, 1))",
    "conv2d(x4, k2, b6, dilation=2)",
    "(conv2d(x4, k2), conv2d(x4, k2, b6, padding=1), conv2d(x4, k2, padding=(1, 2)))",
    "conv3d(x5, k3)",
    "conv3d(x5, k3, padding=1, stride=2)",
    "grouped_conv(x4, k2g)",
    "grouped_conv(x4, k2d, c, padding=1, stride=2)",
    "conv_transpose(x4, k2t)",
    "conv_transpose(x4, k2t, stride=2, padding=1, output_padding=1)",
    "unfold(x4, 3)",
    "unfold(x4, (2, 3), stride=2, padding=1)",
    "fold(unfold(x4, 3), (9, 8), 3)",
    "max_pool1d(x3, 2)",
    "max_pool2d(x4, 2)",
    "max_pool2d(x4, (2, 3))",
    "max_pool2d(x4, 3, stride=2, padding=1)",
    "max_pool2d(x4, 2, ceil_mode=True)",
    "max_pool3d(x5, 2)",
    "max_pool3d(x5, 2, stride=1, padding=1)",
    "max_pool_with_indices(x4, (2, 2))",
    "avg_pool1d(x3, 3, stride=2)",
    "avg_pool2d(x4, 2)",
    "avg_pool2d(x4, 3, stride=2, padding=1)",
    "avg_pool2d(x4, 3, stride=2, padding=1, count_include_pad=False)",
    "avg_pool2d(x4, 3, stride=2, ceil_mode=True)",
    "avg_pool2d(x4, 2, divisor_override=3)",
    "avg_pool3d(x5, 2)",
    "adaptive_avg_pool(x4, (3, None))",
    "adaptive_max_pool(x4, (3, 5))",
    "relu(x4)",
    "leaky_relu(x4)",
    "leaky_relu(x4, negative_slope=-0.5)",
    "elu(x4)",
    "elu(x4, alpha=0.5)",
    "gelu(x4)",
    "gelu(x4, approximate='tanh')",
    "(gelu(x4), gelu(x4, approximate='tanh'))",
    "softplus(x4)",
    "softplus(x4, beta=2.0, threshold=3.0)",
    "softmax(x4, 1)",
    "log_softmax(x4, -1)",
    "logsumexp(x4, 1)",
    "logsumexp(x4, (1, 2), keepdim=True)",
    "glu(x4, dim=1)",
    "layer_norm(x2)",
    "layer_norm(x2, v)",
    "layer_norm(x2, v, v, eps=1e-3)",
    "layer_norm(x2, w[:5], dims=2)",
    "rms_norm(x2)",
    "rms_norm(x2, v, eps=1e-6)",
    "group_norm(x4, 2)",
    "group_norm(x4, 2, c, c)",
    "instance_norm(x4)",
    "batch_norm(x4, c, c * c)",
    "batch_norm(x4, c, c * c, c, c, eps=0.1)",
    "batch_norm_layer(x4, affine, BatchNormState(c, c * c, np.array(0)))",
    "batch_norm_layer(x4, affine, BatchNormState(c, c * c, np.array(0), False))",
    "batch_norm_layer(x4, affine, BatchNormState(c, c * c, np.array(4)), momentum=None)",
    "dropout(x4, DropoutState(3))",
    "dropout(x4, DropoutState(3), p=0.1)",
    "dropout(x4, DropoutState(3, 2, False), p=0.1)",
    "feature_dropout(x4, DropoutState(3))",
    "alpha_dropout(x4, DropoutState(3), p=0.2)",
    "linear(x2, w)",
    "linear(x2, w, v)",
    "(linear(x2, w, v), linear(x2, w))",
    "embedding_bag(index, x2)",
    "embedding_bag(index, x2, mode='max', padding_idx=1)",
    "scaled_dot_product_attention(heads, heads, heads)",
    "scaled_dot_product_attention(heads, heads, heads, is_causal=True)",
    "scaled_dot_product_attention(heads, heads, heads, mask)",
    "scaled_dot_product_attention(heads, heads, heads, added, scale=0.3)",
    "scaled_dot_product_attention(heads, heads[:, :2], heads[:, :2], enable_gqa=True)",
    "multi_head_attention(embed, embed, embed, in_w, out_w, num_heads=3)",
    "multi_head_attention(embed, embed, embed, in_w, out_w, in_b, out_b, num_heads=3,"
    " batch_first=True, need_weights=False)",
    "lstm(seq, lstm_ps)",
    "lstm(seq, lstm_ps, lstm_hx)",
    "lstm(batch, lstm_plain, bias=False, batch_first=True)",
    "stacked_lstm(seq, stack_ps, num_layers=2, bias=False)",
    "stacked_lstm(seq, (*lstm_ps, *lstm_ps), num_layers=1, bidirectional=True)",
    "gru(seq, gru_ps)",
    "gru(batch, gru_ps, batch_first=True)",
    "rnn(seq, rnn_ps)",
    "rnn(seq, rnn_ps, nonlinearity='relu')",
    "lstm_cell(seq[0], lstm_hx[0][0], lstm_hx[1][0], lstm_ps)",
    "cross_entropy(x2, classes)",
    "cross_entropy(x2, classes, v * v, reduction='sum')",
    "cross_entropy(x2, classes, label_smoothing=0.1, reduction='none')",
    "(cross_entropy(x2, classes), nll_loss(x2, classes, reduction='sum'))",
    "mse_loss(x2, x2 * 2)",
    "mse_loss(x2, x2 * 2, reduction='none')",
    "smooth_l1_loss(x2, x2 * 2, beta=0.5)",
    "binary_cross_entropy_with_logits(x2, x2 > 0)",
    "binary_cross_entropy_with_logits(x2, x2 > 0, x2 * x2, v * v)",
    "kl_div(x2, x2 * x2, reduction='batchmean')",
    "interpolate_nearest(x4, (4, 5))",
    "interpolate_linear(x4, (4, 5))",
    "interpolate_linear(x4, (12, 15), align_corners=True)",
    "interpolate_cubic(x4, (12, 15))",
    "grid_sample(x4, grid)",
    "grid_sample(x4, grid, mode='nearest', padding_mode='border')",
    "grid_sample(x4, grid, mode='bicubic', padding_mode='reflection',"
    " align_corners=True)",
    "stft(wave, 16)",
    "stft(wave, 16, 4, window=np.hanning(16).astype('f'), normalized=True)",
    "istft(stft(wave, 16), 16)",
    "argsort(x2)",
    "sort(x2, 0, descending=True)",
    "median(x2, 1)",
    "kthvalue(x2, 2, keepdim=True)",
    "mode(x2)",
    "diag_embed(x2)",
    "diag_embed(x2, offset=-1)",
    "flatten(x4, 1)",
    "flatten(x4, 1, end_dim=2)",
    "scatter_reduce(x2, 0, index, x2, 'mean')",
    "scatter_reduce(x2, 0, index, x2, 'amax', include_self=False)",
    "index_add(x2, 0, classes[:2] % 5, x2[:2])",
    "trapezoid(x2)",
    "vector_norm(x4, 2, (1, 2))",
    "solve_triangular(w, w, upper=True)",
    "pinv(x2)",
    "einsum('ab,bc->ac', x2, w)",
    "logit(z / 9)",
    "logit(z / 9, eps=0.1)",
    "lgamma(z)",
    "erfinv(z / 9)",
    "i0(z)",
    "draw_normal(np.random.RandomState(0), (5, 5))",
    "draw_normal(np.random.RandomState(0), (5, 5), std=0.02, double=True)",
    "draw_uniform(np.random.RandomState(0), (3,), -1.0, 1.0)",
    "draw_integers(np.random.RandomState(0), (3,), 0, 9)",
    "gumbel_softmax(x2, NoiseState(1), hard=True)",
    "multinomial(z, NoiseState(1), num_samples=2)",
]


def names(call: str) -> list[str]:
    return [n for n in VALUES if re.search(rf"\b{n}\b", call)]


def program(call: str) -> str:
    """A model's function that makes the call."""
    annotated = (f"{n}: {kind(VALUES[n])}" for n in names(call))
    return f"def apply({', '.join(annotated)}) -> Any:\n    return {call}\n"


def together(calls: Sequence[str]) -> str:
    parts = (program(c).replace("apply", f"f{k}") for k, c in enumerate(calls))
    return "".join(parts)


def kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "Array"
    return f"tuple[{', '.join('Array' for _ in value)}]"


def module(call: str) -> str:
    text = program(call)
    made = helper_texts(text, splats={"affine": 2})
    needed = {"typing": {"Any", "TypeAlias"}, "numpy.typing": {"NDArray"}}
    for origin, found in made.imports.items():
        needed.setdefault(origin, set()).update(found)
    lines = [
        f"from {m} import {', '.join(sorted(n))}"
        for m, n in needed.items()
        if "" not in n
    ]
    lines += [f"import {m}" for m, n in needed.items() if "" in n]
    head = ["import numpy as np", *sorted(lines), "Array: TypeAlias = NDArray[Any]"]
    parts = [*head, *made.constants, *made.classes, text, *made.functions]
    return ruff_format("\n\n".join(parts) + "\n")


@pytest.mark.parametrize("call", CALLS)
def test_specialised_gives_the_same_bits(call: str) -> None:
    scope: dict[str, Any] = {}
    exec(module(call), scope)
    full = {n: helper_function(n) for n in helper_names()} | {"np": np, "Any": Any}
    exec(f"from __future__ import annotations\n{program(call)}", full)
    args = [VALUES[n] for n in names(call)]
    assert bits(scope["apply"](*args)) == bits(full["apply"](*args))


def bits(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (tuple, list)):
        return [bits(v) for v in value]
    return type(value).__name__, repr(value)


def test_every_call_form_is_clean(tmp_path: Path) -> None:
    """mypy --strict and ruff over one module per call."""
    for k, call in enumerate(CALLS):
        (tmp_path / f"m{k}.py").write_text(module(call))
    rules = "--select=E,F,I,B,UP,SIM"
    ruff = run("ruff", "check", "--isolated", "--no-cache", rules, "-q", str(tmp_path))
    assert ruff == ""
    cache = Path(__file__).parents[2] / ".mypy_cache"
    options = ("--strict", "--no-error-summary", f"--cache-dir={cache}")
    assert run("mypy", *options, str(tmp_path)) == ""


def run(tool: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", tool, *args], capture_output=True, text=True
    )
    return done.stdout + done.stderr


def least(name: str) -> str:
    """A function that calls the helper with nothing but what it must be given."""
    parameters = [p for p in HELPERS[name].parameters if p.default is None]
    args = (f"{p.name}={p.name}" if p.keyword_only else p.name for p in parameters)
    taken = ", ".join(p.name for p in parameters)
    return f"def apply({taken}):\n    return {name}({', '.join(args)})\n"


@pytest.mark.parametrize("name", sorted(HELPERS))
def test_no_option_is_left_that_no_call_passes(name: str) -> None:
    made = helper_texts(least(name))
    compile("\n".join(made.functions), name, "exec")
    head = made.functions[0].partition(") ->")[0]
    gone = [p.name for p in HELPERS[name].parameters if p.default is not None]
    assert not [n for n in gone if re.search(rf"\b{n}:", head)]


def test_texts_depend_on_nothing_but_the_calls() -> None:
    text = together(CALLS)
    code = (
        "import sys; from luxgen.targets.numpy.specialise import helper_texts;"
        "made = helper_texts(sys.stdin.read(), extra=['NoiseState', 'DropoutState']);"
        "print(made.classes, made.constants, made.functions,"
        " {m: sorted(n) for m, n in sorted(made.imports.items())})"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_classes_and_constants_come_along() -> None:
    made = helper_texts(
        "def f(x: Array) -> Array:\n    return gelu(x)\n", extra=["DropoutState"]
    )
    assert made.classes[0].startswith("class DropoutState(NamedTuple):")
    assert "# (seed, step)" in made.classes[0]
    assert made.constants[0].startswith("# End of the interval")
    assert {"NamedTuple"} == made.imports["typing"]
    assert made.functions[0].startswith("def gelu(x: Array) -> Array:")


def test_extra_functions_stay_whole() -> None:
    made = helper_texts("", extra=["conv2d"])
    assert "bias: Array | None = None" in made.functions[0]
    assert "stride: int | tuple[int, ...] = 1" in made.functions[0]


def test_a_typical_module_takes_a_moment() -> None:
    text = "".join(
        program(c).replace("apply", f"f{k}") for k, c in enumerate(CALLS[:40])
    )
    helper_texts(text)  # parses luxgen/ops
    start = time.process_time()
    helper_texts(text)
    assert time.process_time() - start < 1.5
