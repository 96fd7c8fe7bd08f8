"""A program as the text of one standalone NumPy module."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import jinja2

from luxgen.ir.initial import InitProgram
from luxgen.ir.program import Program, items_in
from luxgen.ir.tree import Flag, Tree, leaves_of
from luxgen.ir.values import Arg, Either, Leaf, Structure, Value
from luxgen.targets.numpy.body import Probe
from luxgen.targets.numpy.classes import Classes, ClassText
from luxgen.targets.numpy.format import ruff_format
from luxgen.targets.numpy.functions import (
    RESERVED,
    Naming,
    argument_type,
    fixed_inputs,
    function_text,
    name_functions,
    result_classes,
)
from luxgen.targets.numpy.naming import safe
from luxgen.targets.numpy.setup_text import SetupText, setup_text
from luxgen.targets.numpy.sizes import described, shape_of
from luxgen.targets.numpy.specialise import helper_texts
from luxgen.targets.numpy.summary import table
from luxgen.targets.numpy.training import Training, training
from luxgen.targets.numpy.tree_text import SEEDED, Builder
from luxgen.templates_path import template_dir


@dataclass(frozen=True)
class Header:
    """What the header says of the source: a relative path, a digest, a command."""

    source: str
    command: str
    verified: bool = True


def module_text(
    program: Program,
    header: Header,
    init: InitProgram,
    probe: Probe | None = None,
    *,
    loss: str | None = None,
) -> str:
    """The whole module, formatted; `probe` wraps op expressions (verification only).

    With a `loss` it has the training section too.
    """
    taken: set[str] = set()
    ps, st = Classes("ps"), Classes("st")
    ps.add(program.ps, taken, "Params", _params_doc(program))
    st.add(program.st, taken, "State", _state_doc(program))
    results, structures = result_classes(program, taken)
    naming = Naming({"ps": ps.names, "st": st.names}, results)
    name_functions(program, taken)
    functions = [
        function_text(program, f, naming, probe) for f in reversed(program.functions)
    ]
    vjps = [function_text(program, f, naming) for f in reversed(program.vjps)]
    params, state = Builder("ps", ps), Builder("st", st)
    params_text, state_text = (
        params.expression(program.ps),
        state.expression(program.st),
    )
    builders = [
        *params.functions,
        *params.affine_functions(),
        *state.functions,
        *state.affine_functions(),
    ]
    builders = list(dict.fromkeys(builders))
    seeded = any(n.kind in SEEDED for n in _nodes(program.st))
    leaves = [*leaves_of(program.ps), *leaves_of(program.st)]
    saved = [leaf for leaf in leaves if _dotted(leaf) not in program.unsaved]
    unsaved = [leaf for leaf in leaves if _dotted(leaf) in program.unsaved]
    seed = ", seed=seed" if seeded else ""
    tied = " | {n: w[first] for n, first in TIED.items()}" if program.tied else ""
    result = f"from_state_dict(w{tied}{seed})"
    setup = setup_text(init, saved, result=result, seeded=seeded)
    outside = tuple(_dotted(leaf) for leaf in unsaved)
    others = "w" if not setup.stored else f"{{n: w[n] for n in {outside!r}}}"
    made = _outside_text(init, unsaved, others)  # `_stored()` holds all of them
    stored = {**setup.stored, **made.stored}
    constants = _constants(made.lines) if unsaved else []
    section = None if loss is None else _training(program, loss, vjps[0])
    uses = "" if section is None else section.uses
    needed = "\n".join([*functions, *vjps, uses, *setup.lines, *constants])
    helpers = helper_texts(needed, extra=_state_kinds(program), splats=naming.splats)
    view: dict[str, Any] = {
        "source": header.source,
        "command": header.command,
        "unverified": not header.verified,
        "inputs_comment": _inputs_comment(program),
        "title": _title(program),
        "usage": _usage(program),
        "table": table(program),
        "fixed_sizes": bool(fixed_inputs(program)),
        "num_parameters": sum(_size(leaf) for leaf in leaves_of(program.ps)),
        "mixed_parameters": len({leaf.dtype for leaf in leaves_of(program.ps)}) > 1,
        "inputs": repr(_inputs(program)),
        "outputs": repr(_outputs(program.main.result, program)),
        "tied": repr(program.tied) if program.tied else "",
        "classes": [
            *ps.defined,
            *st.defined,
            *(_result_class(s, naming) for s in structures),
        ],
        "state_classes": helpers.classes,
        "functions": functions,
        "vjps": vjps,
        "training": section,
        "frozen": repr(program.frozen) if program.frozen else "",
        "params": params_text,
        "state": state_text,
        "builders": builders,
        "seeded": seeded,
        "modes": _has_modes(program.st),
        "setup": "\n".join(setup.lines),
        "constants": "\n".join(constants),
        "stored": repr(tuple(sorted(stored))) if stored else "",
        "seeds": sum(n.kind in SEEDED for n in _nodes(program.st)),
        "state_leaves": next(leaves_of(program.st), None) is not None,
        "helpers": [*helpers.constants, *helpers.functions],
        "imports": _imports(helpers.imports),
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_dir() / "numpy"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    text = environment.get_template("module.py.j2").render(view)
    text = ruff_format(text)
    digest = hashlib.sha256(_body(text).encode()).hexdigest()[:12]
    return text.replace("@BODY@", digest, 1)


def _training(program: Program, loss: str, vjp: str) -> Training:
    """The training section; InputError where the loss doesn't fit the model."""
    required = [p for p in program.main.params if p.required]
    inputs = [(safe(p.name, RESERVED), argument_type(p.arg)) for p in required]
    result = program.main.result
    output = None
    if isinstance(result, Value) and result.dtype.startswith("float"):
        output = tuple(shape_of(result, program.frees))
    lazy = "inputs: bool = True" in vjp
    return training(loss, inputs, output, lazy=lazy)


def stored_leaves(program: Program, init: InitProgram) -> dict[str, str]:
    """Leaves whose initial value no code makes again, and why: kept with the weights."""
    leaves = [*leaves_of(program.ps), *leaves_of(program.st)]
    unsaved = [leaf for leaf in leaves if _dotted(leaf) in program.unsaved]
    return {
        **setup_text(init, leaves).stored,
        **_outside_text(init, unsaved, "w").stored,
    }


def _outside_text(init: InitProgram, unsaved: list[Leaf], result: str) -> SetupText:
    """Buffers outside state_dict as code; those that are drawn have no seed: kept."""
    made = setup_text(init, unsaved, result=result)
    if any("bits" in line for line in made.lines):
        names = [_dotted(leaf) for leaf in unsaved]
        made = setup_text(init, unsaved, keep=names, result=result)
    return made


def _dotted(leaf: Leaf) -> str:
    return ".".join(leaf.path)


def _constants(lines: tuple[str, ...]) -> list[str]:
    """The text of `setup` for buffers outside state_dict, as a function of its own."""
    body = [line for line in lines[2:] if "bits = " not in line]
    doc = '    """Buffers that state_dict leaves out, as the constructor makes them."""'
    return ["def _constants() -> dict[str, Array]:", doc, *body]


def _body(text: str) -> str:
    """The text below the header's comments: what the digest covers."""
    return text[text.index('"""') :]


def _size(leaf: Leaf) -> int:
    total = 1
    for n in leaf.shape:
        total *= n
    return total


def _nodes(tree: Tree) -> list[Tree]:
    below = [
        n for c in tree.children.values() if isinstance(c, Tree) for n in _nodes(c)
    ]
    return [tree, *below]


def _state_kinds(program: Program) -> list[str]:
    return sorted({n.kind for n in _nodes(program.st) if n.kind})


def _has_modes(st: Tree) -> bool:
    flags = any(isinstance(c, Flag) for n in _nodes(st) for c in n.children.values())
    return flags or any(n.kind == "DropoutState" for n in _nodes(st))


def _inputs(program: Program) -> dict[str, Any]:
    return {p.name: _spec(p.arg, program) for p in program.main.params}


def _spec(arg: Arg, program: Program) -> Any:
    if isinstance(arg, Either):
        return _spec(arg.testing, program)
    if isinstance(arg, (Value, Leaf)):
        sizes = tuple(
            int(s) if s.isdigit() else s for s in shape_of(arg, program.frees)
        )
        return (arg.dtype, sizes)
    if isinstance(arg, (tuple, list)):
        return type(arg)(_spec(a, program) for a in arg)
    if isinstance(arg, dict):
        return {k: _spec(v, program) for k, v in arg.items()}
    if isinstance(arg, Structure):
        return {k: _spec(v, program) for k, v in arg.fields}
    return arg if isinstance(arg, (bool, int, float, str)) else None


def _outputs(result: Arg, program: Program) -> Any:
    return _spec(result, program)


def _inputs_comment(program: Program) -> str:
    parts = []
    for param in program.main.params:
        dtype = getattr(param.arg, "dtype", "")
        parts.append(
            f"{param.name} {dtype} {described(param.arg, program.frees)}".replace(
                "  ", " "
            )
        )
    return "; ".join(parts)[:200]


def _title(program: Program) -> str:
    """The class's own first line of documentation, if it is one sentence."""
    first = program.main.doc.strip().splitlines()[:1]
    text = f"{program.name} in NumPy; parameters `ps` and state `st` are passed explicitly."
    if first and len(first[0]) <= 60 and first[0].isascii() and first[0].isprintable():
        said = first[0].rstrip(".").replace("\\", "/").replace('"', "'")
        text = f"{program.name} in NumPy: {said}."
    return text if len(text) <= 85 else f"{program.name} in NumPy."


def _usage(program: Program) -> list[str]:
    names = ", ".join(p.name for p in program.main.params if p.required)
    left = ", ".join(
        f"{p.name} {described(p.arg, program.frees)}"
        for p in program.main.params
        if p.required
    )
    arrow = f"  # {left} -> {described(program.main.result, program.frees)}"
    call = f"y, st = apply({names}, ps, st)"
    lines = [f"{call}{arrow}" if len(call + arrow) <= 88 else call]
    if _has_modes(program.st):
        lines.append(f"y, _ = apply({names}, ps, testmode(st))  # inference")
    return [line.replace("\\", "/").replace('"', "'") for line in lines]


def _params_doc(program: Program) -> str:
    leaf = next(leaves_of(program.ps), None)
    if leaf is None:
        return "Empty: the model has no parameters."
    return ""


def _state_doc(program: Program) -> str:
    if not program.st.children:
        return "Empty: no buffers, dropout or carry."
    return ""


def _result_class(structure: Structure, naming: Naming) -> ClassText:
    from luxgen.targets.numpy.functions import _type_of

    fields = [(k, _type_of(v, naming)) for k, v in structure.fields]
    name = naming.results[tuple(k for k, _ in structure.fields)]
    return ClassText(name, "What forward returns.", fields)


def _imports(extra: dict[str, set[str]]) -> list[str]:
    """Everything a module may need; the formatter drops what it doesn't."""
    lines = [
        "import json",
        "import math",
        "from pathlib import Path",
        "from collections.abc import Callable, Iterator, Mapping",
        "from itertools import repeat",
        "from math import prod",
        "from typing import Any, NamedTuple, TypeAlias",
        "",
        "import numpy as np",
        "from numpy.lib.stride_tricks import sliding_window_view",
        "from numpy.typing import ArrayLike, NDArray",
    ]
    for module, names in sorted(extra.items()):
        kept = sorted(n for n in names if n)
        line = f"from {module} import {', '.join(kept)}" if kept else f"import {module}"
        if line not in lines:
            lines.append(line)
    return lines


__all__ = ["Header", "items_in", "module_text"]
