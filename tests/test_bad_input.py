"""Bad and hostile input ends in a clear error or safe text, and leaves no trace."""

import ast
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch

import luxgen
from luxgen.cli.main import main
from luxgen.errors import printable

torch.set_num_threads(1)

MODEL = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
    def forward(self, x):
        return self.fc(x)
"""
HOSTILE = [
    '"; import os #',
    '"""\nimport os\n"""',
    "'''\\",
    "__class__",
    "__init__",
    "np",
    "lambda",
    "None",
    "ps",
    "x",
    "ｎｐ",  # full width; Python reads it as np
    "nр",  # the second letter is Cyrillic
    "\x1b[31mred",
    "\u202eevil",
    "a b",
    "weight/1",
    "{name}",
    "{{ 7 * 7 }}",
    "%s",
    "0",
    "é",
    "../../etc/passwd",
    "a" * 300,
]

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `luxgen transpile`: its exit status and stderr."""

    def call(*args: str) -> tuple[int, str]:
        status = main(["transpile", *args])
        return status, capsys.readouterr().err

    return call


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"__pycache__"}


@pytest.mark.parametrize(
    ("text", "args", "message"),
    [
        ("this isn't Python", (), "model.py isn't valid Python: line 1"),
        ("\0", (), "model.py isn't valid Python"),
        ("x = 1", (), "model.py defines no nn.Module class"),
        (MODEL + MODEL.replace("Net", "Other"), (), "model.py:Other"),
        (MODEL.replace("self):", "self, hidden):"), (), '--init "hidden=..."'),
        (MODEL, ("--init", "hidden=3"), "Net has no argument hidden"),
        (MODEL, ("--input", "x: float32[batch, 4]"), "doesn't run on --input"),
        (MODEL, ("--input", "x float32"), "can't read the input 'x float32'"),
        ("import nothing_like_this", (), "model.py:1: ModuleNotFoundError"),
        (MODEL.replace("self.fc(x)", "1 / 0"), (), "the inputs of Net aren't known"),
    ],
)
def test_model_file(
    run: Run, folder: Path, text: str, args: tuple[str, ...], message: str
) -> None:
    (folder / "model.py").write_text(text)
    status, err = run("model.py", *args)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert files(folder) == {"model.py"}


class Payload:
    """Touches the file `owned` where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("owned",)


def _write(name: str, arrays: dict[str, Any]) -> None:
    np.savez(name, **arrays)


GOOD = {"fc.weight": np.ones((2, 3), np.float32), "fc.bias": np.ones(2, np.float32)}
BAD_WEIGHTS: dict[str, tuple[str, Callable[[], object], str]] = {
    "missing": ("gone.npz", lambda: None, "gone.npz doesn't exist"),
    "truncated": (
        "w.pt",
        lambda: Path("w.pt").write_bytes(b"PK\x03\x04" + bytes(50)),
        "truncated or not a .pt file",
    ),
    "wrong type": (
        "w.safetensors",
        lambda: Path("w.safetensors").write_bytes(b"PK\x03\x04" + bytes(50)),
        "truncated or not a .safetensors file",
    ),
    "unknown type": ("w.h5", lambda: Path("w.h5").touch(), "isn't a weights file"),
    "pickled": (
        "w.pt",
        lambda: torch.save(Payload(), "w.pt"),
        "holds pickled Python objects",
    ),
    "pickled array": (
        "w.npz",
        lambda: np.savez("w.npz", a=np.array([Payload()], dtype=object)),
        "holds pickled Python objects",
    ),
    "plain pickle": (
        "w.pth",
        lambda: Path("w.pth").write_bytes(pickle.dumps(Payload())),
        "w.pth",
    ),
    "shape": (
        "w.npz",
        lambda: _write("w.npz", GOOD | {"fc.bias": np.ones(3, np.float32)}),
        "shape of 'fc.bias': the model's is (2,), the file's (3,)",
    ),
    "dtype": (
        "w.npz",
        lambda: _write("w.npz", GOOD | {"fc.bias": np.ones(2, np.int64)}),
        "dtype of 'fc.bias': the model's is float32, the file's int64",
    ),
    "missing name": (
        "w.npz",
        lambda: _write("w.npz", {"fc.bias": GOOD["fc.bias"]}),
        "missing: 'fc.weight'",
    ),
    "hostile name": (
        "w.pt",
        lambda: torch.save({'"; import os #\x1b[2J': torch.ones(1)}, "w.pt"),
        "unexpected: '\"; import os #\\x1b[2J'",
    ),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_weights(run: Run, folder: Path, case: str) -> None:
    name, make, message = BAD_WEIGHTS[case]
    make()
    before = files(folder)
    status, err = run("model.py", "--weights", name)
    assert status == 2
    assert message in err
    assert "Traceback" not in err and "\x1b" not in err
    assert files(folder) == before
    assert "owned" not in before


@pytest.mark.parametrize(
    "output", ["model.py/net.py", "gone/net.py", ".", "model.py", "net\0.py"]
)
def test_output(run: Run, folder: Path, output: str) -> None:
    status, err = run("model.py", "-o", output)
    assert status == 2
    assert "Traceback" not in err
    assert files(folder) == {"model.py"}
    assert (folder / "model.py").read_text() == MODEL


def test_failed_write_leaves_the_old_file(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("model.py")[0] == 0
    before = (folder / "net.py").read_bytes()
    (folder / "model.py").write_text(MODEL.replace("3, 2", "3, 5"))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    status, err = run("model.py")
    assert status == 2
    assert "can't write" in err and "No space left on device" in err
    assert (folder / "net.py").read_bytes() == before
    assert not [name for name in files(folder) if name.startswith(".luxgen")]


def imports(source: str) -> set[str]:
    """The top-level packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


# Of the standard library, anything but what a hostile name here asks for.
ALLOWED = (sys.stdlib_module_names | {"numpy"}) - {"os"}


class Hostile(torch.nn.Module):
    """Uses every hostile name for a layer, a parameter and a buffer at once."""

    def __init__(self) -> None:
        super().__init__()
        for name in HOSTILE:
            name = name.replace(".", "")
            if hasattr(self, name):
                continue  # torch itself refuses dots and existing attributes
            layer = torch.nn.Linear(3, 3)
            layer.register_parameter(name, torch.nn.Parameter(torch.randn(3)))
            layer.register_buffer("b" + name, torch.randn(3))
            self.add_module(name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name, layer in self.named_children():
            own = layer.get_parameter(name) * layer.get_buffer("b" + name)
            x = torch.tanh(layer(x) + own)
        return x


def test_hostile_names_of_layers_parameters_and_buffers() -> None:
    """The generated text is sound, and state_dict keeps each name exactly."""
    torch.manual_seed(0)
    model = Hostile().eval()
    x = torch.randn(11, 3)
    generated = luxgen.transpile(model, (x,))
    assert imports(generated.source) <= ALLOWED
    assert printable(generated.source) == generated.source
    module = generated.load()
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    ps, st = module.from_state_dict(weights)
    back = module.state_dict(ps, st)
    assert set(back) == set(weights)
    assert all(np.array_equal(back[key], weights[key]) for key in weights)
    y, _ = module.apply(x.numpy(), ps, st)
    np.testing.assert_allclose(y, model(x).detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        '"""\n__import__("os").mkdir("owned")\n"""',
        'x\n__import__("os").mkdir("owned")',
        "'\\",
        "\x1b[31mred",
        "np",
    ],
)
def test_hostile_class_name_of_a_live_module(folder: Path, name: str) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.fc(x)
            return y

    for forged in ({"__qualname__": name}, {"__module__": name}, {}):
        model = type(name, (Net,), dict(forged))()
        source = luxgen.transpile(model, (torch.randn(11, 3),)).source
        assert imports(source) <= ALLOWED
        assert printable(source) == source
    assert files(folder) == {"model.py"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_class_name(run: Run, folder: Path, name: str) -> None:
    (folder / "model.py").write_text(
        MODEL
        + dedent(f"""
        def make():
            model = Net()
            model.__class__ = type({name!a}, (Net,), {{}})
            return model
        """)
    )
    status, err = run("model.py:make")
    assert status == 0, err
    assert "\x1b" not in err and "\u202e" not in err
    written = files(folder) - {"model.py"}
    (module,) = {file for file in written if file.endswith(".py")}
    assert module.removesuffix(".py").isidentifier() and module.isascii()
    source = (folder / module).read_text()
    assert imports(source) <= ALLOWED
    assert printable(source) == source


def test_hostile_file_name(run: Run, folder: Path) -> None:
    name = '"; import os #\x1b[31m .py'
    (folder / name).write_text(MODEL)
    status, err = run(name)
    assert status == 0, err
    assert "\x1b" not in err
    assert imports((folder / "net.py").read_text()) <= ALLOWED
