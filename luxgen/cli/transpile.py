"""`luxgen transpile`: from a model's file to a verified module."""

import argparse
import contextlib
import keyword
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from luxgen.cli.progress import Progress
from luxgen.errors import InputError


@dataclass(frozen=True)
class _Settings:
    """What the flags say, else the model's table in pyproject.toml, else defaults."""

    output: str | None
    name: str | None
    weights: str | None
    target: str
    verify: bool
    keep_weights: bool
    grad: bool
    loss: str | None


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Run the command; return what --json prints. Raises LuxgenError."""
    if args.json and args.output == "-":
        raise InputError("--json and -o - both print on stdout; leave one out")
    progress = Progress(sys.stderr, quiet=args.quiet, verbose=args.verbose)
    stdout = sys.stdout
    # What the user's code prints mustn't mix with the module or the JSON object.
    with progress, contextlib.redirect_stdout(sys.stderr):
        progress("importing torch")
        import torch  # timed on its own, for it takes longest

        torch.manual_seed(0)  # the same table of errors at every run
        return _transpile(args, progress, stdout)


def _transpile(
    args: argparse.Namespace, progress: Progress, stdout: TextIO
) -> dict[str, Any]:
    from luxgen.cli.output import output_path, weights_path, write_stdout
    from luxgen.frontends.inputs import free_dims, resolve_inputs
    from luxgen.frontends.instance import load
    from luxgen.frontends.source_file import display_path
    from luxgen.frontends.weights import read_weights

    progress(f"loading {args.model}")
    loaded = load(args.model, args.init)
    settings = _settings(args, loaded.config)
    name = settings.name or loaded.name
    path = output_path(settings.output, loaded.path, name, settings.target)
    weights = None
    if settings.weights is not None:
        progress(f"reading {settings.weights}")
        weights = read_weights(settings.weights)
    progress(f"building {loaded.name} and its inputs")
    inputs = resolve_inputs(loaded, loaded.build(), args.inputs, loaded.config)
    if args.verbose:
        progress.end()
        _print(f"inputs: {inputs.origin}", *map(str, inputs.specs or ()))
    from luxgen import api  # here, so that bad input is refused without the wait

    generated = api.transpile_file(
        loaded,
        inputs,
        target=settings.target,
        name=settings.name,
        weights=weights,
        verify=settings.verify,
        keep_weights=settings.keep_weights,
        grad=settings.grad,
        loss=settings.loss,
        progress=progress,
    )
    progress.end()
    report = generated.report.as_dict()
    if not args.quiet:
        _print(*generated.report.lines())
    files = []
    if path is None:
        write_stdout(stdout, generated.source)
        if generated.weights and not args.quiet:
            _print("the weights are not written with -o -")
    else:
        files = [path]
        if settings.keep_weights and generated.weights:
            files.append(weights_path(path))
        generated.write(path)
        if not args.quiet:
            _print("wrote " + ", ".join(display_path(file) for file in files))
    specs = inputs.specs
    known = None if specs is None else free_dims(specs)
    return {
        "ok": True,
        "model": loaded.name,
        "source": display_path(loaded.path),
        "target": settings.target,
        "files": [os.fspath(file) for file in files],
        "inputs": None if specs is None else [str(spec) for spec in specs],
        "inputs_from": inputs.origin,
        "free_dims": report.get("free_dims", known),
        "report": report,
    }


def _settings(args: argparse.Namespace, config: Mapping[str, Any]) -> _Settings:
    settings = _Settings(
        output=args.output or config.get("output"),
        name=args.name if args.name is not None else config.get("name"),
        weights=args.weights or config.get("weights"),
        target=args.target or config.get("target", "numpy"),
        verify=not args.no_verify and config.get("verify", True),
        keep_weights=not args.no_weights,
        grad=args.grad or config.get("grad", False),
        loss=args.loss or config.get("loss"),
    )
    name = settings.name
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise InputError(f"--name {name!r} isn't a Python name")
    from luxgen.cli.options import TARGETS

    if settings.target not in TARGETS:
        raise InputError(f"unknown target {settings.target!r}; it may be {TARGETS}")
    if settings.weights is not None and not Path(settings.weights).exists():
        raise InputError(f"the weights file {settings.weights} doesn't exist")
    return settings


def _print(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
