"""The golden modules on the oldest NumPy they promise, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.golden.cases import NAMES, SEED, TRAINED, case

OLDEST = "1.26.4"
_SCRIPT = """
import importlib.util, json, sys
import numpy as np
assert np.__version__ == sys.argv[1] and "torch" not in sys.modules
worst = {}
trained = json.loads(sys.argv[4])
for name, path, io_path in json.loads(sys.argv[2]):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    io = np.load(io_path)
    inputs = iter(io[k] for k in io.files if k.startswith("input_"))
    def fill(item):
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            return next(inputs)
        if isinstance(item, (tuple, list)):
            return type(item)(fill(i) for i in item)
        return {k: fill(v) for k, v in item.items()}
    args = [fill(v) for v in module.INPUTS.values()]
    def flat(y):
        if isinstance(y, dict):
            y = list(y.values())
        if isinstance(y, (tuple, list)):
            return [a for item in y for a in flat(item)]
        return [np.asarray(y)]
    for mode in ("testmode", "trainmode"):
        ps, st = module.setup(int(sys.argv[3]))
        st = getattr(module, mode)(st) if hasattr(module, mode) else st
        results = flat(module.apply(*args, ps, st)[0])
        for k, array in enumerate(results):
            want = io[f"output_{k}"]
            assert array.dtype == want.dtype and array.shape == want.shape, (name, mode, k)
            if mode == "testmode":
                scale = max(np.abs(want).max(), 1e-6)
                worst[name] = max(worst.get(name, 0), float(np.abs(array - want).max() / scale))
    if name in trained:
        spec = importlib.util.spec_from_file_location(name + "_train", trained[name])
        module = importlib.util.module_from_spec(spec)
        sys.modules[name + "_train"] = module
        spec.loader.exec_module(module)
        ps, st = module.setup(int(sys.argv[3]))
        y, st, pullback = module.vjp(*args, ps, st)
        dy = tuple(map(np.ones_like, y)) if isinstance(y, tuple) else np.ones_like(y)
        if name == "lstm_lm":
            dy = (np.ones_like(y[0]), tuple(map(np.ones_like, y[1])))
        *dxs, dps = pullback(dy)
        for d in (*module.leaves(tuple(dxs)), *module.leaves(dps)):
            assert d is None or d.dtype == np.float32 and np.isfinite(d).all(), name
print(json.dumps(worst))
"""


def test_oldest_numpy(tmp_path: Path) -> None:
    """Same dtypes, shapes and results as torch wrote, under NumPy 1.26."""
    target = tmp_path / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(target),
    ]
    subprocess.run([*pip, f"numpy=={OLDEST}"], check=True)
    trained = {n: str(case(n).trained) for n in TRAINED}
    cases = [
        (name, str(case(name).module), str(case(name).folder / "io.npz"))
        for name in NAMES
    ]
    done = subprocess.run(
        [sys.executable, "-S", "-c", _SCRIPT, OLDEST, json.dumps(cases), str(SEED),
         json.dumps(trained)],
        capture_output=True, text=True, env={"PYTHONPATH": str(target)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    worst = json.loads(done.stdout)
    assert worst.keys() == set(NAMES)
    assert all(np.isfinite(v) and v < 1e-4 for v in worst.values()), worst
