"""What templates/numpy/training.py.j2 prints: the loss, its gradient, optimisers."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from luxgen.errors import InputError
from luxgen.ops import optimiser

# --loss NAME: what the mean is of. Each has a helper `NAME_and_gradient`.
LOSSES = {
    "cross_entropy": "cross entropy",
    "mse": "squared error",
    "l1": "absolute error",
    "smooth_l1": "smooth l1 loss",
    "bce_with_logits": "binary cross entropy with logits",
    "nll": "negative log-likelihood",
    "huber": "Huber loss",
}
OF_CLASSES = ("cross_entropy", "nll")
NONE = "none"  # the model returns its loss
_DOC = 88 - len('    """"""')


@dataclass(frozen=True)
class Training:
    """The template's fields, all text.

    `parameters`, `batch` and `example` are names with types, types alone, and names
    alone of what `value_and_grad` takes before `ps`; `call` is what `vjp` takes;
    `gradient` is empty for --loss none, `lazy` an option that tells the pullback to
    leave the inputs' cotangents out, where it has one.
    """

    parameters: str
    batch: str
    example: str
    call: str
    gradient: str
    doc: str
    optimisers: str
    lazy: str = ""

    @property
    def uses(self) -> str:
        """Code that calls the helpers that the section needs, and no others."""
        if not self.gradient:
            return ""
        head = f"def value_and_grad({self.parameters}) -> Any:"
        return f"{head}\n    y = vjp({self.call})\n    return {self.gradient}\n"


def training(
    loss: str,
    inputs: Sequence[tuple[str, str]],
    output: tuple[str, ...] | None,
    *,
    lazy: bool = False,
) -> Training:
    """The section for `loss`, of a model with these required (name, type) inputs.

    `output` are the sizes of what the model returns, numbers where they are fixed, or
    None unless that is one tensor of floats. InputError where the loss doesn't fit it.
    """
    output = _checked(loss, output)
    names = [name for name, _ in inputs]
    taken, gradient = list(inputs), ""
    doc = "The model's own loss, and its gradient by ps."
    if loss != NONE:
        target = "target"
        while target in names:
            target += "_"
        taken.append((target, "Array"))
        gradient = f"{loss}_and_gradient(y, {target}{_dim_option(loss, output)})"
        sizes = f" {_target_sizes(loss, output)}"
        doc = f"Mean {LOSSES[loss]} at {target}{sizes}, and its gradient by ps."
        doc = doc if len(doc) <= _DOC else doc.replace(sizes, "")
    return Training(
        parameters=", ".join(f"{name}: {kind}" for name, kind in taken),
        batch=", ".join(kind for _, kind in taken) or "()",
        example=", ".join(name for name, _ in taken) + "," * (len(taken) == 1),
        call=", ".join(names),
        gradient=gradient,
        doc=doc,
        optimisers=optimisers_text(),
        lazy=", inputs=False" if lazy else "",
    )


def _dim_option(loss: str, output: tuple[str, ...]) -> str:
    return ", dim=-1" if loss in OF_CLASSES and class_dim(output) > 1 else ""


def _target_sizes(loss: str, output: tuple[str, ...]) -> str:
    if loss in OF_CLASSES:
        dim = class_dim(output)
        output = (*output[:dim], *output[dim + 1 :])
    return f"({', '.join(output)}{',' if len(output) == 1 else ''})"


def class_dim(output: tuple[str, ...]) -> int:
    """torch's dim 1; the last one where dim 1 is free: a length, not classes."""
    if len(output) > 2 and not output[1].isdigit() and output[-1].isdigit():
        return len(output) - 1
    return min(1, len(output) - 1)


def _checked(loss: str, output: tuple[str, ...] | None) -> tuple[str, ...]:
    if loss != NONE and loss not in LOSSES:
        raise InputError(f"no loss {loss!r}; there are {', '.join([*LOSSES, NONE])}")
    if output is None:
        raise InputError(
            f"loss {loss!r} needs a model that returns one tensor of floats; wrap it "
            "in one that does, or use vjp, which takes a cotangent for every result"
        )
    if loss == NONE and output:
        raise InputError(
            "loss 'none' takes the model's result for the loss: it must be one number, "
            f"not of sizes ({', '.join(output)})"
        )
    if loss in OF_CLASSES and not output:
        raise InputError(f"loss {loss!r} needs classes; the model returns one number")
    return output


@cache
def optimisers_text() -> str:
    """luxgen/ops/optimiser.py below its imports."""
    text = inspect.getsource(optimiser)
    imports = [
        n for n in ast.parse(text).body if isinstance(n, (ast.Import, ast.ImportFrom))
    ]
    last = max(n.end_lineno or 0 for n in imports)
    return "\n".join(text.splitlines()[last:]).strip()


__all__ = ["LOSSES", "NONE", "Training", "class_dim", "optimisers_text", "training"]
