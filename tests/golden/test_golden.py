"""golden/ is what luxgen writes, what torch computes, and clean Python."""

from __future__ import annotations

import ast
import difflib
import json
import os
import subprocess
import sys
import types
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luxgen.verify.compare import compare
from tests.golden.cases import (
    NAMES,
    ROOT,
    SEED,
    TRAINED,
    UPDATE,
    Case,
    case,
    generate,
    generate_trained,
    seeded_model,
)

LINES = {"gpt": (1.6, 120), "resnet": (1.6, 120)}  # per line of model.py, plus


@cache
def cached_case(name: str) -> Case:
    return case(name)


@cache
def generated(name: str) -> Any:
    """Of a case, or with "+" its module with gradients."""
    if name.endswith("+"):
        return generate_trained(cached_case(name[:-1]))
    return generate(cached_case(name))


def module_of(path: Path) -> types.ModuleType:
    module = types.ModuleType(f"golden_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return module


def test_all_twelve_are_there() -> None:
    assert set(NAMES) == {
        "mlp", "lenet5", "resnet", "vae", "gpt", "transformer", "lstm_lm",
        "gru_policy", "unet", "wavenet", "mixture", "pointnet",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_folder_is_complete_and_has_no_orphan(name: str) -> None:
    here = {p.name for p in (ROOT / name).iterdir() if p.name != "__pycache__"}
    assert here == cached_case(name).files, (
        f"run {UPDATE} {name}, or remove what is left over"
    )


@pytest.mark.parametrize("name", NAMES)
def test_bytes(name: str) -> None:
    """Regenerated, with verification, the text is the committed one."""
    made, this = generated(name), cached_case(name)
    for path, text in (
        (this.module, made.source),
        (this.folder / "program.txt", made.program),
    ):
        old = path.read_text()
        diff = "".join(
            difflib.unified_diff(
                old.splitlines(True),
                text.splitlines(True),
                str(path),
                "regenerated",
                n=1,
            )
        )
        assert old == text, f"{diff[:4000]}\nto accept: {UPDATE} {name}"


@pytest.mark.parametrize("name", sorted(TRAINED))
def test_bytes_with_gradients(name: str) -> None:
    """The same of the module with gradients, which are torch.autograd's."""
    this = cached_case(name)
    made = generated(f"{name}+")
    rows = {row.module: row for row in made.report.rows}
    assert made.report.passed and rows["(gradients)"].passed
    text, old = made.source, this.trained.read_text()
    assert old == text, f"to accept: {UPDATE} {name}"


@pytest.mark.parametrize("name", NAMES)
def test_verified(name: str) -> None:
    report = generated(name).report
    assert report.passed and len(report.runs) == 4, report.lines()


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_torch_wrote(name: str) -> None:
    """setup(seed) and apply of the committed file against io.npz."""
    this = cached_case(name)
    module = module_of(this.module)
    with np.load(this.folder / "io.npz", allow_pickle=False) as io:
        arrays = dict(io)
    ps, st = module.setup(SEED)
    st = module.testmode(st) if hasattr(module, "testmode") else st
    inputs = iter([arrays[f"input_{k}"] for k in range(len(arrays))
                   if f"input_{k}" in arrays])  # fmt: skip
    args = _filled(module.INPUTS, inputs)
    y, _ = module.apply(*args, ps, st)
    results = _arrays(y)
    assert len(results) == sum(k.startswith("output_") for k in arrays)
    for k, ours in enumerate(results):
        found = compare(ours, arrays[f"output_{k}"], arrays[f"exact_{k}"])
        # the weights themselves may differ from torch's by an ulp (normals)
        assert found.ours <= 2 * found.torch + 1e-5, f"{name} output {k}: {found}"


def _filled(spec: Any, inputs: Any) -> list[Any]:
    def fill(item: Any) -> Any:
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            return next(inputs)
        if isinstance(item, (tuple, list)):
            return type(item)(fill(i) for i in item)
        return {k: fill(v) for k, v in item.items()}

    return [fill(item) for item in spec.values()]


def _arrays(value: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(value, (tuple, list)):
        return [a for item in value for a in _arrays(item)]
    if isinstance(value, dict):
        return [a for item in value.values() for a in _arrays(item)]
    return [np.asarray(value)]


@pytest.mark.parametrize("seed", [SEED, 0, 2**31])
@pytest.mark.parametrize("name", NAMES)
def test_setup_repeats_torch(name: str, seed: int) -> None:
    """Uniforms and constants bit for bit, normals within two ulps of the largest.

    Buffers that exp, sin and cos made follow the math library: 32 ulps.
    """
    import torch

    this = cached_case(name)
    torch.manual_seed(seed)
    model = this.loaded.build()
    want = {k: v.numpy() for k, v in model.state_dict().items()}
    drawn = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    module = module_of(this.module)
    got = module.state_dict(*module.setup(seed))
    assert got.keys() == want.keys()
    for key, array in want.items():
        assert got[key].dtype == array.dtype and got[key].shape == array.shape, key
        if np.issubdtype(array.dtype, np.floating) and array.size:
            ulps = 2 if key in drawn else 32
            limit = ulps * np.spacing(np.abs(array).max())
            assert np.abs(got[key] - array).max() <= limit, key
        else:
            np.testing.assert_array_equal(got[key], array, key)


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_loads_back_into_torch(name: str) -> None:
    import torch

    this = cached_case(name)
    module = module_of(this.module)
    model = seeded_model(this)
    held = module.state_dict(*module.setup(7))
    model.load_state_dict(
        {k: torch.from_numpy(np.array(v)) for k, v in held.items()}, strict=True
    )
    again = module.state_dict(*module.from_state_dict(held))
    for key, array in held.items():
        np.testing.assert_array_equal(again[key], array)
    ps, _ = module.setup(7)
    vector = module.ravel(ps)
    assert vector.shape == (module.NUM_PARAMETERS,)
    np.testing.assert_array_equal(module.ravel(module.unravel(vector)), vector)


@pytest.mark.parametrize("name", NAMES)
def test_imports_only_numpy_and_the_standard_library(name: str) -> None:
    for path in cached_case(name).modules:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
        names += [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)]
        roots = {name.split(".")[0] for name in names}
        assert roots - {"numpy"} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", sorted(LINES))
def test_about_as_long_as_the_source(name: str) -> None:
    this = cached_case(name)
    factor, more = LINES[name]
    source = len(this.loaded.source_text.splitlines())
    lines = len(this.module.read_text().splitlines())
    assert lines <= factor * source + more, f"{lines} lines for {source}"


def test_clean_python() -> None:
    """ruff (format and lint) and mypy --strict over every generated module."""
    modules = [str(p) for name in NAMES for p in cached_case(name).modules]
    for command in (
        ["ruff", "format", "--check", "--isolated", "--line-length=88", *modules],
        [
            "ruff",
            "check",
            "--isolated",
            "--select=E,F,I,B,UP,SIM",
            "--ignore=E501",
            *modules,
        ],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for module in modules:
        command = [
            "mypy",
            "--strict",
            "--python-version=3.11",
            "--no-incremental",
            module,
        ]
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("seed", ["0", "1"])
def test_same_bytes_under_any_hash_seed(seed: str, tmp_path: Path) -> None:
    script = (
        "import json, sys, hashlib\n"
        "from tests.golden.cases import NAMES, TRAINED, case, generate, generate_trained\n"
        "made = {n: generate(case(n), check=False) for n in NAMES}\n"
        "made |= {n + '+': generate_trained(case(n), check=False) for n in TRAINED}\n"
        "texts = {n: [g.source.split('NOT VERIFIED')[0][:60], g.program, g.source.split('\"\"\"', 1)[1]]"
        " for n, g in made.items()}\n"
        "print(json.dumps({n: hashlib.sha256(repr(t).encode()).hexdigest() for n, t in texts.items()}))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment,
        cwd=ROOT.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    import hashlib

    for name in [*NAMES, *(f"{n}+" for n in TRAINED)]:
        made = generated(name)
        text = [made.source[:60], made.program, made.source.split('"""', 1)[1]]
        assert found[name] == hashlib.sha256(repr(text).encode()).hexdigest(), name
