"""The command line's options; this file must not import torch."""

import argparse

import luxgen

TARGETS = ("numpy",)
LOSSES = (
    "cross_entropy", "mse", "l1", "smooth_l1", "bce_with_logits", "nll", "huber", "none",
)  # fmt: skip

_DESCRIPTION = "Turn PyTorch models into standalone, readable, verified modules."
_TRANSPILE = """\
Find the nn.Module in a Python file, trace it and write one NumPy module that
computes the same, verified against torch.

  luxgen transpile model.py
  luxgen transpile model.py:LeNet5 --weights lenet5.pt -o build/lenet5.py
  luxgen transpile model.py --init "hidden=64" --input "x: float32[batch, 8]"

The inputs are those of --input, else of [tool.luxgen.models.NAME] in the nearest
pyproject.toml, else of example_inputs() in the file; otherwise they are inferred
from the first layer where only one answer is possible."""
_EXIT = """\
exit status: 0 done; 1 the module differs from torch; 2 wrong usage, bad input or a
model that can't be translated; 130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    top = argparse.ArgumentParser("luxgen", description=_DESCRIPTION)
    top.add_argument("--version", action="version", version=luxgen.__version__)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_transpile(
        commands.add_parser(
            "transpile",
            help="write a NumPy module that computes what a torch model does",
            description=_TRANSPILE,
            epilog=_EXIT,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    return top


def _add_transpile(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "model",
        metavar="MODEL",
        help="model.py, model.py:CLASS, model.py:FUNCTION that returns the model, or "
        "the name of a table with `source` in pyproject.toml",
    )
    add(
        "--init",
        metavar="ARGS",
        help='constructor arguments, as Python literals: "hidden=64, layers=2"',
    )
    add(
        "--input",
        action="append",
        default=[],
        dest="inputs",
        metavar="SPEC",
        help='an input of forward, repeatable: "x: float32[batch, 1, 28, 28]"; names '
        'are free dims, and "ids: int64[batch, time] < 100" bounds integers',
    )
    add("-o", "--output", metavar="FILE", help="the file to write, - for stdout")
    add("--name", help="the module's name, by default the class's")
    add(
        "--weights",
        metavar="FILE",
        help="a trained state_dict: .safetensors, .npz, .pt or .pth",
    )
    add("--target", choices=TARGETS, help="what to write (default: numpy)")
    add(
        "--grad",
        action="store_true",
        help="write vjp too: the result, the state and a pullback",
    )
    add(
        "--loss",
        choices=LOSSES,
        help="write value_and_grad, optimisers and train_step too, for this loss; "
        "none: the model returns its loss",
    )
    add("--no-weights", action="store_true", help="write no weights file")
    add("--no-verify", action="store_true", help="skip the comparison with torch")
    amount = command.add_mutually_exclusive_group()
    amount.add_argument("-q", "--quiet", action="store_true", help="print only errors")
    amount.add_argument(
        "-v", "--verbose", action="store_true", help="print timings and tracebacks"
    )
    add("--json", action="store_true", help="print one JSON object on stdout")
