"""The training section over a hand-written vjp: ten steps beside torch."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import jinja2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luxgen.cli import options as cli_options
from luxgen.errors import InputError
from luxgen.targets.numpy.format import ruff_format
from luxgen.targets.numpy.specialise import helper_texts
from luxgen.targets.numpy.training import (
    LOSSES,
    NONE,
    Training,
    optimisers_text,
    training,
)
from luxgen.templates_path import template_dir
from tests.ops.opcheck import compare

STEPS = 10

# An MLP as luxgen writes it, its vjp by hand; `shape` ends in the loss for `none`.
MODEL = """
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


class Affine(NamedTuple):
    weight: Array
    bias: Array


class Params(NamedTuple):
    net: tuple[Affine, None, Affine]


class State(NamedTuple):
    calls: int


def vjp(x: Array, ps: Params, st: State) -> tuple[Array, State, Callable[..., Any]]:
    first, _, second = ps.net
    h = np.tanh(x @ first.weight.T + first.bias)
    y: Array = h @ second.weight.T + second.bias

    def pullback(d_y: Array) -> Any:
        d_second = Affine(d_y.T @ h, d_y.sum(axis=0))
        d_h = d_y @ second.weight * (1 - h * h)
        d_first = Affine(d_h.T @ x, d_h.sum(axis=0))
        return d_h @ first.weight, Params((d_first, None, d_second))

    return y, State(st.calls + 1), pullback
"""

# The same where the model returns its loss, the mean square.
OWN_LOSS = MODEL.replace("def vjp", "def logits_vjp") + '''

def vjp(x: Array, ps: Params, st: State) -> tuple[Array, State, Callable[..., Any]]:
    y, st, y_pullback = logits_vjp(x, ps, st)

    def pullback(d_loss: Array) -> Any:
        return y_pullback(d_loss * (2 / y.size) * y)

    return np.square(y).mean(), st, pullback
'''  # fmt: skip


def module(text: str, made: Training) -> types.ModuleType:
    """`text` with the training section below it, as a module."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_dir() / "numpy"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    section = environment.get_template("training.py.j2").render(
        training=made, frozen=""
    )
    helpers = helper_texts(made.uses)
    source = "\n\n".join([text, section, *helpers.constants, *helpers.functions])
    name = "tests_training_module"
    new = types.ModuleType(name)
    sys.modules[name] = new
    exec(compile(ruff_format(source), f"<{name}>", "exec"), new.__dict__)
    return new


def torch_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))


def arrays_of(text: types.ModuleType, model: nn.Sequential) -> Any:
    def affine(layer: Any) -> Any:
        weights = (layer.weight, layer.bias)
        return text.Affine(*(w.detach().numpy().copy() for w in weights))

    return text.Params((affine(model[0]), None, affine(model[2])))


def leaves(tree: Any) -> Iterator[np.ndarray]:
    if isinstance(tree, tuple):
        for part in tree:
            yield from leaves(part)
    elif tree is not None:
        yield tree


TARGETS: dict[str, Callable[[Tensor], Tensor]] = {
    "cross_entropy": lambda y: y.argmax(dim=1),
    "nll": lambda y: y.argmin(dim=1),
    "bce_with_logits": lambda y: (y > 0).to(y.dtype),
}
F_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "none": lambda y, _: y.square().mean(),
}
OPTIMIZERS: list[tuple[str, dict[str, Any], type[torch.optim.Optimizer]]] = [
    ("sgd", {"lr": 0.3}, torch.optim.SGD),
    ("momentum", {"lr": 0.1, "momentum": 0.8}, torch.optim.SGD),
    ("adam", {"lr": 0.02}, torch.optim.Adam),
    ("adamw", {"lr": 0.02, "weight_decay": 0.1}, torch.optim.AdamW),
]


def batches(loss: str) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    seen = [(torch.randn(12, 6), torch.randn(12, 4)) for _ in range(STEPS)]
    return [(x, TARGETS.get(loss, lambda y: y)(y)) for x, y in seen]


def torch_curve(
    loss: str, kind: type[torch.optim.Optimizer], options: dict[str, Any], *, wide: bool
) -> list[Tensor]:
    """Losses of ten steps, then the parameters."""
    model = torch_model()
    dtype = torch.float64 if wide else torch.float32
    model = model.to(dtype)
    optimizer = kind(model.parameters(), **options)
    found = []
    for x, target in batches(loss):
        if target.is_floating_point():
            target = target.to(dtype)
        value = F_LOSSES[loss](model(x.to(dtype)), target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        found.append(value.detach())
    return [*found, *(p.detach() for p in model.parameters())]


@pytest.mark.parametrize("name, options, kind", OPTIMIZERS)
@pytest.mark.parametrize("loss", [*LOSSES, "none"])
def test_ten_steps_follow_torch(
    loss: str, name: str, options: dict[str, Any], kind: type[torch.optim.Optimizer]
) -> None:
    output = () if loss == "none" else ("batch", "4")
    made = training(loss, [("x", "Array")], output)
    text = module(OWN_LOSS if loss == "none" else MODEL, made)
    ps, st = arrays_of(text, torch_model()), text.State(0)
    first = [leaf.copy() for leaf in leaves(ps)]
    start = ps
    init = {"sgd": lambda _: (), "momentum": text.momentum_init}.get(
        name, text.adam_init
    )
    opt_state, losses = init(ps), []
    for x, target in batches(loss):
        given = (x.numpy(),) if loss == "none" else (x.numpy(), target.numpy())
        value, ps, st, opt_state = text.train_step(
            ps, st, opt_state, given, optimizer=getattr(text, name), **options
        )
        losses.append(value)
    assert st == text.State(STEPS)
    for old, kept in zip(first, leaves(start), strict=True):
        np.testing.assert_array_equal(old, kept)
    low = torch_curve(loss, kind, options, wide=False)
    high = torch_curve(loss, kind, options, wide=True)
    compare([*losses, *leaves(ps)], low, high, f"{loss}, {name}")


def test_value_and_grad_is_that_of_autograd() -> None:
    text = module(MODEL, training("cross_entropy", [("x", "Array")], ("batch", "4")))
    model, (x, target) = torch_model(), batches("cross_entropy")[0]
    ps = arrays_of(text, model)
    (loss, st), d_ps = text.value_and_grad(x.numpy(), target.numpy(), ps, text.State(3))
    assert st == text.State(4) and isinstance(d_ps, text.Params)
    found = []
    for m, a in ((model, x), (torch_model().double(), x.double())):
        value = F.cross_entropy(m(a), target)
        found.append([value, *torch.autograd.grad(value, list(m.parameters()))])
    compare([loss, *leaves(d_ps)], *found)


def test_adam_is_the_default() -> None:
    text = module(MODEL, training("mse", [("x", "Array")], ("batch", "4")))
    ps, (x, target) = arrays_of(text, torch_model()), batches("mse")[0]
    batch = (x.numpy(), target.numpy())
    plain = text.train_step(ps, text.State(0), text.adam_init(ps), batch)
    named = text.train_step(
        ps, text.State(0), text.adam_init(ps), batch, optimizer=text.adam, lr=1e-3
    )
    for a, b in zip(leaves(plain), leaves(named), strict=True):
        np.testing.assert_array_equal(a, b)


def test_classes_of_a_sequence_are_on_its_last_dim() -> None:
    """A free dim 1 is a length; torch itself would need (N, C, T)."""
    made = training("cross_entropy", [("idx", "Array")], ("N", "T", "96"))
    assert made.gradient == "cross_entropy_and_gradient(y, target, dim=-1)"
    assert "target (N, T)," in made.doc
    image = training("cross_entropy", [("x", "Array")], ("N", "21", "H", "W"))
    assert image.gradient == "cross_entropy_and_gradient(y, target)"
    assert "target (N, H, W)," in image.doc


def test_an_input_called_target() -> None:
    made = training("mse", [("target", "Array"), ("y", "Array")], ("N",))
    assert made.parameters == "target: Array, y: Array, target_: Array"
    assert made.gradient == "mse_and_gradient(y, target_)"


@pytest.mark.parametrize(
    "loss, output, message",
    [
        ("hinge", ("N",), "no loss 'hinge'; there are cross_entropy, mse,"),
        ("mse", None, "one tensor of floats; wrap it"),
        ("none", ("N", "3"), r"one number, not of sizes \(N, 3\)"),
        ("cross_entropy", (), "needs classes"),
    ],
)
def test_losses_that_do_not_fit(
    loss: str, output: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        training(loss, [("x", "Array")], output)


def test_optimisers_stand_alone() -> None:
    """Nothing in the section but what it and every module define."""
    text = optimisers_text()
    assert "import" not in text and text.startswith("def sgd(")
    names: dict[str, Any] = {}
    exec(
        "from collections.abc import Callable\nfrom typing import Any, NamedTuple\n"
        f"import numpy as np\nArray = np.ndarray\n{text}",
        names,
    )
    ps, _ = names["adamw"](
        (np.ones(2),), (np.ones(2),), names["adam_init"]((np.ones(2),))
    )
    assert (ps[0] < 1).all()


def test_the_command_line_knows_every_loss() -> None:
    assert {*LOSSES, NONE} == set(cli_options.LOSSES)
