"""The golden cases: what each folder holds, and how its files are made by torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from luxgen import api
from luxgen.file_names import module_stem
from luxgen.frontends.dims import tensors_of
from luxgen.frontends.inputs import Inputs, resolve_inputs
from luxgen.frontends.instance import Loaded, load
from luxgen.frontends.structure import tensors_in
from luxgen.verify.reference import run_torch, to_numpy

ROOT = Path(__file__).resolve().parents[2] / "golden"
NAMES = sorted(p.name for p in ROOT.iterdir() if p.is_dir())
SEED = 1234
# Cases that have a second module, with gradients: the options it is made with.
TRAINED: dict[str, dict[str, Any]] = {
    "gpt": {"loss": "cross_entropy"},
    "gru_policy": {"grad": True},
    "lenet5": {"loss": "cross_entropy"},
    "lstm_lm": {"grad": True},
    "mlp": {"loss": "cross_entropy"},
    "resnet": {"loss": "cross_entropy"},
    "vae": {"grad": True},
}
UPDATE = "python -m tests.golden.update"


@dataclass(frozen=True)
class Case:
    """One folder of golden/, its model and inputs."""

    name: str
    loaded: Loaded
    inputs: Inputs

    @property
    def folder(self) -> Path:
        return ROOT / self.name

    @property
    def module(self) -> Path:
        stem = module_stem(self.loaded.name, "numpy", self.loaded.path.stem)
        return self.folder / f"{stem}.py"

    @property
    def trained(self) -> Path:
        return self.module.with_stem(f"{self.module.stem}_train")

    @property
    def files(self) -> set[str]:
        more = {self.trained.name} if self.name in TRAINED else set()
        return {"model.py", self.module.name, "io.npz", "program.txt"} | more

    @property
    def modules(self) -> list[Path]:
        return [self.module, *([self.trained] if self.name in TRAINED else [])]


def case(name: str) -> Case:
    """The case `name`; its random inputs are the same in every process."""
    torch.manual_seed(SEED)
    loaded = load(str(ROOT / name / "model.py"))
    torch.manual_seed(SEED)
    return Case(name, loaded, resolve_inputs(loaded, loaded.build(), [], loaded.config))


def generate(this: Case, *, check: bool = True) -> api.Generated:
    """The module as `luxgen transpile golden/<case>/model.py` makes it."""
    return api.transpile_file(this.loaded, this.inputs, verify=check)


def generate_trained(this: Case, *, check: bool = True) -> api.Generated:
    """The same with `--grad` or `--loss`."""
    options = TRAINED[this.name]
    return api.transpile_file(this.loaded, this.inputs, verify=check, **options)


def seeded_model(this: Case) -> torch.nn.Module:
    torch.manual_seed(SEED)
    return this.loaded.build()


def torch_io(this: Case) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs and eval results of the seeded model, in float32 and in float64."""
    model = seeded_model(this)
    args, kwargs = this.inputs.args, this.inputs.kwargs
    arrays = {f"input_{k}": to_numpy(t) for k, t in enumerate(tensors_of(args, kwargs))}
    for label, double in (("output", False), ("exact", True)):
        structure, _, _ = run_torch(
            model, args, kwargs, training=False, drawn=[], double=double
        )
        for k, array in enumerate(flat(structure)):
            arrays[f"{label}_{k}"] = array
    return arrays


def flat(structure: Any) -> list[Any]:
    """Arrays of a nested result in order."""
    from luxgen.verify.verify import _flat

    return _flat(structure)


__all__ = ["NAMES", "ROOT", "SEED", "UPDATE", "Case", "case", "generate", "tensors_in"]
