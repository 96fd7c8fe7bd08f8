"""The library: a live module or a model's file -> a generated, verified module."""

from __future__ import annotations

import ast
import copy
import hashlib
import os
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from luxgen.errors import (
    InputError,
    LuxgenError,
    UnsupportedError,
    VerificationError,
    printable,
)
from luxgen.file_names import identifier
from luxgen.files import write_atomic
from luxgen.frontends.build import Built, build
from luxgen.frontends.half import in_float32
from luxgen.frontends.initial import trace_initial
from luxgen.frontends.inputs import Inputs
from luxgen.frontends.instance import Loaded
from luxgen.frontends.lazy import called_once, require_initialised
from luxgen.frontends.running import plain_attributes
from luxgen.frontends.sites import site_on
from luxgen.frontends.structure import tensors_in
from luxgen.frontends.weights import load_into, write_safetensors
from luxgen.ir.initial import InitProgram
from luxgen.ir.printer import program_text
from luxgen.targets.numpy.module import Header, module_text, stored_leaves
from luxgen.targets.numpy.refusals import refusals
from luxgen.targets.numpy.rules import has_rule
from luxgen.targets.numpy.rules.op import Refused
from luxgen.verify.recorder import probe
from luxgen.verify.reference import to_numpy, to_view
from luxgen.verify.report import Report
from luxgen.verify.verify import load, verify

Array = np.ndarray[Any, Any]
Progress = Callable[[str], None]


@dataclass
class Generated:
    """A generated module: its text, the weights beside it and what was verified."""

    source: str
    weights: dict[str, Array]
    name: str
    report: Report = field(default_factory=Report)
    stored: dict[str, str] = field(default_factory=dict)
    program: str = ""
    _verify: Callable[[], Report] | None = None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the module and, if any, `<stem>.safetensors` beside it, atomically."""
        path = Path(path)
        if self.weights:
            write_safetensors(path.with_suffix(".safetensors"), self.weights)
        write_atomic(path, self.source)

    def load(self) -> types.ModuleType:
        """Execute the text as a module; no file is needed."""
        return load(self.source, f"luxgen_{self.name}", weights=self.weights)

    def verify(self) -> Report:
        """Compare with torch again: both modes, two sizes, every layer."""
        if self._verify is None:
            raise LuxgenError("this module was generated without its torch model")
        return self._verify()


def transpile(
    model: nn.Module | str | os.PathLike[str],
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "numpy",
    grad: bool = False,
    loss: str | None = None,
    name: str | None = None,
    check: bool = True,
) -> Generated:
    """Translate a live module, called as `model(*args, **kwargs)`, or a model's file.

    Example inputs should have a batch of at least 2. Sizes that the model's own code
    leaves free stay free. Raises UnsupportedError with every place that can't be
    translated, VerificationError where the result would differ from torch.
    """
    if isinstance(model, (str, os.PathLike)):
        return _from_path(os.fspath(model), target, name, check, grad, loss)
    _known_target(target)
    if isinstance(args, torch.Tensor):
        args = (args,)
    require_initialised(model)
    live, args, kwargs = in_float32(model, tuple(args), dict(kwargs or {}))
    with torch.random.fork_rng(devices=[]):
        _, init = trace_initial(lambda: _drawn_anew(live))
    called = identifier(name or type(live).__name__)
    made = _Job(live, args, dict(kwargs or {}), called, init)
    made.grad, made.loss = grad, loss
    made.header = _live_header(live)
    generated = made.run(check, lambda _: None)
    generated.weights = {n: np.array(w) for n, w in generated.weights.items()}
    return generated


def transpile_file(
    loaded: Loaded,
    inputs: Inputs,
    *,
    target: str = "numpy",
    name: str | None = None,
    weights: Mapping[str, Array] | None = None,
    verify: bool = True,
    keep_weights: bool = True,
    grad: bool = False,
    loss: str | None = None,
    progress: Progress = lambda _: None,
) -> Generated:
    """Translate the model of a file, with `setup` traced from its constructor."""
    _known_target(target)
    progress("tracing the constructor")
    build_model = called_once(loaded.build, inputs.args, inputs.kwargs)
    model, init = trace_initial(build_model)
    if weights is not None:
        load_into(model, dict(weights))
    model, args, kwargs = in_float32(model, inputs.args, inputs.kwargs)
    job = _Job(model, args, kwargs, name or loaded.name, init)
    job.asked = _asked(inputs)
    job.grad, job.loss = grad, loss
    options = f" --loss {loss}" if loss else " --grad" if grad else ""
    job.header = _file_header(loaded, verify, options)
    made = job.run(verify, progress)
    if weights is None:  # random: setup makes them again, but for what it can't
        made.weights = {n: w for n, w in made.weights.items() if n in made.stored}
    if not keep_weights:
        made.weights = {}
    return made


def _from_path(
    path: str,
    target: str,
    name: str | None,
    check: bool,
    grad: bool,
    loss: str | None,
) -> Generated:
    from luxgen.frontends.inputs import resolve_inputs
    from luxgen.frontends.instance import load as load_model

    loaded = load_model(path)
    inputs = resolve_inputs(loaded, loaded.build(), [], loaded.config)
    return transpile_file(
        loaded, inputs, target=target, name=name, verify=check, grad=grad, loss=loss
    )


def _known_target(target: str) -> None:
    if target != "numpy":
        raise InputError(f"unknown target {target!r}; the one there is: 'numpy'")


@dataclass
class _Job:
    """One translation, step by step."""

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    name: str
    init: InitProgram
    asked: dict[tuple[int, int], str] | None = None
    grad: bool = False
    loss: str | None = None
    header: Header = field(default_factory=lambda: Header("", "luxgen transpile"))

    def run(self, check: bool, progress: Progress) -> Generated:
        """Trace, print, verify; VerificationError where torch disagrees."""
        progress("tracing")
        built = build(
            self.model, self.args, self.kwargs, names=self.asked, has_rule=has_rule,
            gradients=self.grad or self.loss is not None,
        )  # fmt: skip
        built.program.name = self.name
        sites = [site_on(*refusal) for refusal in refusals(built.program)]
        if sites:
            raise UnsupportedError(sites)
        progress("writing the module")
        text = self.text(built)
        weights = self.weights(built)
        stored = stored_leaves(built.program, self.init)
        program = program_text(built.program)
        made = Generated(text, weights, self.name, stored=stored, program=program)
        made._verify = lambda: self.check(built, text, weights)
        if check:
            progress("verifying against torch")
            made.report = made._verify()
            if not made.report.passed:
                raise VerificationError(_wrong(made.report), made.report)
        made.report.fixed += built.fixed
        if self.loss is not None and built.program.frozen:
            names = ", ".join(map(printable, built.program.frozen))
            made.report.notes.append(f"train_step leaves as they are: {names}")
        made.report.notes += [
            f"kept with the weights: {n} ({why})" for n, why in stored.items()
        ]
        return made

    def text(self, built: Built, probed: bool = False) -> str:
        """The module; UnsupportedError where a function can't be printed."""
        watch = probe if probed else None
        try:
            return module_text(
                built.program, self.header, self.init, watch, loss=self.loss
            )
        except Refused as error:
            site = site_on(("", 0), error.reason, error.suggestion)
            raise UnsupportedError([site]) from None

    def weights(self, built: Built) -> dict[str, Array]:
        """state_dict, and constants that no code makes again."""
        saved = self.model.state_dict().items()  # may hold other objects as well
        held = {n: to_view(t) for n, t in saved if isinstance(t, torch.Tensor)}
        stored = {".".join(p): to_numpy(t) for p, t in built.constants.items()}
        kept = stored_leaves(built.program, self.init)
        unsaved = {
            n: to_numpy(t) for n, t in self.model.named_buffers()
            if n in kept
        }  # fmt: skip
        return {**held, **unsaved, **stored}

    def check(self, built: Built, text: str, weights: dict[str, Array]) -> Report:
        return verify(
            self.model, text, self.text(built, probed=True), self.args, self.kwargs,
            built.free, weights,
        )  # fmt: skip


def _wrong(report: Report) -> str:
    row = report.first_wrong
    assert row is not None
    where = f"{row.module} ({row.layer})" if row.layer else row.module
    return f"the module differs from torch, first in {where}: {row.reason}"


def _asked(inputs: Inputs) -> dict[tuple[int, int], str] | None:
    """Free sizes by (tensor, axis), as the input specs name them."""
    if inputs.specs is None:
        return None
    return {
        (k, axis): size
        for k, spec in enumerate(inputs.specs)
        for axis, size in enumerate(spec.shape)
        if isinstance(size, str)
    }


def _drawn_anew(model: nn.Module) -> nn.Module:
    """A copy whose layers draw their parameters again, in order: what setup repeats."""
    computed = (
        t
        for m in model.modules()
        for t in tensors_in(plain_attributes(m))
        if not t.is_leaf  # deepcopy refuses it, as old weight_norm's weight
    )
    # buffers too: a deepcopy of theirs goes by bytes, which no trace follows
    held = (*computed, *model.buffers())
    fresh = copy.deepcopy(model, {id(t): t.detach().clone() for t in held})
    for module in fresh.modules():
        for method in ("reset_parameters", "_reset_parameters"):
            reset = getattr(module, method, None)
            if callable(reset):
                reset()
    return fresh


def _live_header(model: nn.Module) -> Header:
    """Where a live model's class is from: names that may hold anything, on one line."""
    shown = f"{type(model).__module__}.{type(model).__qualname__}"
    shown = printable(" ".join(shown.split())[:_SHOWN_NAME])
    return Header(shown, "luxgen.transpile")


_SHOWN_NAME = 200


def _file_header(loaded: Loaded, verified: bool, options: str) -> Header:
    path = loaded.path.resolve()
    root = next(
        (p for p in path.parents if (p / "pyproject.toml").is_file()), path.parent
    )
    shown = path.relative_to(root).as_posix()
    digest = hashlib.sha256(_syntax(loaded.source_text).encode()).hexdigest()[:12]
    source = f"{shown}::{loaded.symbol} (ast {digest})"
    return Header(source, f"luxgen transpile {shown}{options}", verified)


def _syntax(source: str) -> str:
    """The syntax tree without comments, layout and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(
            node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        ):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)
