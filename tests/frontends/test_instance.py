"""The model is found, imported and built, and refusals say what to do."""

import os
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

from luxgen.errors import InputError
from luxgen.frontends.instance import Loaded, load

HEADER = "import torch\nfrom torch import nn\n"
NET = """
class Net(nn.Module):
    def __init__(self, hidden=4):
        super().__init__()
        self.fc = nn.Linear(3, hidden)
    def forward(self, x):
        return self.fc(x)
"""


def write(folder: Path, text: str, name: str = "model.py") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + dedent(text))
    return str(path)


def names(loaded: Loaded) -> tuple[str, str]:
    return loaded.symbol, loaded.name


def test_single_class(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, NET))
    assert names(loaded) == ("Net", "Net")
    model = loaded.build()
    assert isinstance(model, loaded.namespace.Net)
    assert model.fc.out_features == 4
    assert loaded.build() is not model
    assert loaded.path == tmp_path / "model.py"
    assert loaded.source_text == (tmp_path / "model.py").read_text()


@pytest.mark.parametrize(
    "uses",
    [
        "class Top(nn.Module):\n"
        "    def __init__(self): super().__init__(); self.b = Net()\n"
        "    def forward(self, x): return self.b(x)",
        "class Top(Net): pass",
        "def block(): return Net()\n"
        "class Top(nn.Module):\n"
        "    def __init__(self): super().__init__(); self.b = block()\n"
        "    def forward(self, x): return self.b(x)",
        "BLOCKS = {'net': Net}\n"
        "class Top(nn.Module):\n"
        "    def __init__(self): super().__init__(); self.b = BLOCKS['net']()\n"
        "    def forward(self, x): return self.b(x)",
        "if torch.__version__:\n"
        "    class Top(nn.Module):\n"
        "        def __init__(self): super().__init__(); self.b = Net()\n"
        "        def forward(self, x): return self.b(x)",
    ],
    ids=["attribute", "inheritance", "function", "table", "conditional"],
)
def test_the_class_no_other_uses(tmp_path: Path, uses: str) -> None:
    text = NET + "\n" + uses + "\nNet2 = Top\ndef make(): return Top()\n"
    assert load(write(tmp_path, text)).symbol == "Top"


def test_class_without_forward_is_no_candidate(tmp_path: Path) -> None:
    text = NET + "\nclass Base(nn.Module):\n    pass\n"
    assert load(write(tmp_path, text)).symbol == "Net"


def test_several_candidates_are_listed(tmp_path: Path) -> None:
    text = NET + NET.replace("Net", "Other")
    with pytest.raises(InputError) as caught:
        load(write(tmp_path, text))
    assert "model.py:Net" in str(caught.value)
    assert "model.py:Other" in str(caught.value)
    assert load(write(tmp_path, text) + ":Other").symbol == "Other"


def test_classes_that_use_each_other_are_listed(tmp_path: Path) -> None:
    text = """
    class A(nn.Module):
        def forward(self, x): return B()(x)
    class B(nn.Module):
        def forward(self, x): return A()(x)
    """
    with pytest.raises(InputError, match=r"(?s)model\.py:A.*model\.py:B"):
        load(write(tmp_path, text))


def test_factory(tmp_path: Path) -> None:
    text = NET + "\ndef make_model(width=5):\n    return Net(hidden=width)\n"
    target = write(tmp_path, text) + ":make_model"
    assert names(load(target)) == ("make_model", "Net")
    model = load(target, "width=7").build()
    assert model.fc.out_features == 7  # type: ignore[union-attr]


def test_factory_of_a_container_is_called_after_itself(tmp_path: Path) -> None:
    text = "def make_tiny_net():\n    return nn.Sequential(nn.Linear(2, 2))\n"
    assert load(write(tmp_path, text) + ":make_tiny_net").name == "TinyNet"


def test_factory_that_returns_no_module(tmp_path: Path) -> None:
    target = write(tmp_path, "def make():\n    return 3\n") + ":make"
    with pytest.raises(InputError, match="make returned int, not an nn.Module"):
        load(target).build()


def test_instance(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, NET + "\nnet = Net(6)\n") + ":net")
    assert loaded.name == "Net"
    assert loaded.build() is not loaded.namespace.net
    with pytest.raises(InputError, match="takes none"):
        load(str(tmp_path / "model.py") + ":net", "hidden=3")


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("Missing", "defines no Missing; it has Net"),
        ("Config", "not an nn.Module"),
        ("SIZE", "neither an nn.Module class nor a function"),
    ],
)
def test_wrong_name(tmp_path: Path, symbol: str, message: str) -> None:
    target = write(tmp_path, NET + "\nSIZE = 3\nclass Config: pass\n")
    with pytest.raises(InputError, match=message):
        load(f"{target}:{symbol}")


def test_no_module_names_what_could_be_meant(tmp_path: Path) -> None:
    text = (
        "def make_model():\n    return nn.Linear(1, 1)\ndef needs(x):\n    return x\n"
    )
    with pytest.raises(InputError) as caught:
        load(write(tmp_path, text))
    assert "defines no nn.Module class" in str(caught.value)
    assert "model.py:make_model" in str(caught.value)
    assert "model.py:needs" not in str(caught.value)


def test_init(tmp_path: Path) -> None:
    model = load(write(tmp_path, NET), "hidden=8").build()
    assert model.fc.out_features == 8  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("hiden=8", "did you mean hidden"),
        ("8", "must be keyword arguments"),
        ("**{'hidden': 8}", "must be keyword arguments"),
        ("hidden=", "can't be read"),
        ("hidden=int('8')", "isn't a literal"),
        ("hidden=__import__('os').system('touch owned')", "isn't a literal"),
        ("hidden=1) + __import__('os').system('touch owned'", "keyword arguments"),
        ("hidden=1)(x=2", "must be keyword arguments"),
        ("hidden=1, hidden=2", "gives hidden twice"),
        ("hidden=" + "[" * 5000, "can't be read"),
        ("hidden=1\0", "can't be read"),
    ],
)
def test_bad_init(
    tmp_path: Path, init: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        load(write(tmp_path, NET), init)
    assert not (tmp_path / "owned").exists()


def test_literals_of_all_kinds(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, a, /, b=None, *, c=(), **rest):
            super().__init__()
            self.values = (a, b, c, rest)
        def forward(self, x):
            return x
    """
    loaded = load(write(tmp_path, text), "a=-1.5, c=[(1, 'x')], other={'k': True}")
    model = loaded.build()
    assert model.values == (-1.5, None, [(1, "x")], {"other": {"k": True}})


def test_constructor_that_needs_arguments(tmp_path: Path) -> None:
    text = NET.replace("hidden=4", "hidden: int, *, depth, width=2")
    with pytest.raises(InputError) as caught:
        load(write(tmp_path, text))
    assert "Net can't be built without hidden (int), depth" in str(caught.value)
    assert '--init "hidden=..., depth=..."' in str(caught.value)


CONFIG = """
from dataclasses import dataclass
@dataclass
class Config:
    hidden: int = 5
    bias: bool = True
class Net(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.fc = nn.Linear(3, config.hidden, config.bias)
    def forward(self, x):
        return self.fc(x)
"""


@pytest.mark.parametrize("optional", [False, True])
def test_dataclass_config(tmp_path: Path, optional: bool) -> None:
    text = CONFIG
    if optional:
        text = text.replace("config: Config)", "config: Config | None = None)")
        text = text.replace(
            "        self.fc",
            "        config = config or Config()\n" + " " * 8 + "self.fc",
        )
    target = write(tmp_path, text)
    model = load(target).build()
    assert model.fc.out_features == 5  # type: ignore[union-attr]
    model = load(target, "hidden=9, bias=False").build()
    assert (model.fc.out_features, model.fc.bias) == (9, None)  # type: ignore[union-attr]
    with pytest.raises(InputError, match="no argument hiden"):
        load(target, "hiden=9")


def test_dataclass_config_that_needs_values(tmp_path: Path) -> None:
    target = write(tmp_path, CONFIG.replace("hidden: int = 5", "hidden: int"))
    with pytest.raises(InputError, match='Config, which needs hidden; add --init "hid'):
        load(target)
    assert load(target, "hidden=2").build().fc.out_features == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Net(nn.Module:\n", r"model\.py isn't valid Python: line 3"),
        ("x = undefined_name\n", r"model\.py:3: NameError: .*\n    x = undefined_name"),
        ("import not_a_package_xyz\n", r"(?s)model\.py:3: ModuleNot.*-> install"),
        ("import sys\nsys.exit(4)\n", r"model\.py:4: SystemExit: 4"),
        (
            "def f():\n    return torch.ones(2) @ torch.ones(3)\nf()\n",
            r"model\.py:4: Ru",
        ),
    ],
    ids=["syntax", "name", "import", "exit", "torch"],
)
def test_file_that_fails(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(write(tmp_path, text))


def test_constructor_that_fails(tmp_path: Path) -> None:
    text = NET.replace("super().__init__()", "super().__init__(); 1 / 0")
    with pytest.raises(InputError, match=r"model\.py:6: ZeroDivisionError"):
        load(write(tmp_path, text)).build()


@pytest.mark.parametrize(
    "data",
    [b"\x80\x04\x95 pickled \x00", b"\xff\xfe\x00x", b"x = '\x00'", b"(" * 100_000],
    ids=["pickle", "utf16", "null", "nested"],
)
def test_not_python(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.py"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"model\.py isn't valid Python"):
        load(str(path))


def test_missing_and_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing.py doesn't exist"):
        load(str(tmp_path / "nothing.py"))
    with pytest.raises(InputError, match="is a directory"):
        load(str(tmp_path))
    with pytest.raises(InputError, match="names no model"):
        load("model.py:")


def test_generated_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("# Code generated by luxgen (format 1). DO NOT EDIT.\n")
    with pytest.raises(InputError, match="was generated by luxgen"):
        load(str(path))


def test_encoding_cookie_and_odd_file_name(tmp_path: Path) -> None:
    path = tmp_path / "my model-v1.2.py"
    text = "# -*- coding: latin-1 -*-\n" + HEADER + "NAME = 'é'\n" + NET
    path.write_bytes(text.encode("latin-1"))
    loaded = load(str(path))
    assert loaded.namespace.NAME == "é"
    assert loaded.name == "Net"


def test_siblings(tmp_path: Path) -> None:
    """Absolute and relative imports find this project's files, not another's."""
    for project, size in (("a", 2), ("b", 3)):
        write(tmp_path / project, f"SIZE = {size}\n", "layers_of_test.py")
        write(tmp_path / project, "def double(n): return 2 * n\n", "helper_of_test.py")
        target = write(
            tmp_path / project,
            "from layers_of_test import SIZE\nfrom .helper_of_test import double\n"
            + NET.replace("hidden=4", "hidden=double(SIZE)"),
        )
        model = load(target).build()
        assert model.fc.out_features == 2 * size  # type: ignore[union-attr]
    assert os.fspath(tmp_path / "b") not in sys.path


def test_package(tmp_path: Path) -> None:
    write(tmp_path / "pkg", "from .nets.model import Net\n", "__init__.py")
    write(tmp_path / "pkg" / "nets", "", "__init__.py")
    write(tmp_path / "pkg", "WIDTH = 6\n", "sizes.py")
    target = write(
        tmp_path / "pkg" / "nets",
        "from ..sizes import WIDTH\n" + NET.replace("hidden=4", "hidden=WIDTH"),
    )
    assert load(target).build().fc.out_features == 6  # type: ignore[union-attr]


def test_sibling_imported_late(tmp_path: Path) -> None:
    write(tmp_path, "SIZE = 2\n", "late_of_test.py")
    text = NET.replace("super()", "from late_of_test import SIZE; super()")
    assert isinstance(load(write(tmp_path, text)).build(), nn.Module)


def test_edited_within_a_second(tmp_path: Path) -> None:
    target = write(tmp_path, NET)
    stamp = os.stat(target)
    assert load(target).build().fc.out_features == 4  # type: ignore[union-attr]
    write(tmp_path, NET.replace("hidden=4", "hidden=5"))
    os.utime(target, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert load(target).build().fc.out_features == 5  # type: ignore[union-attr]
    assert not (tmp_path / "__pycache__").exists()


def test_command_line_is_hidden_from_the_file(tmp_path: Path) -> None:
    text = "import argparse\nargparse.ArgumentParser().parse_args()\n" + NET
    before = sys.argv
    assert load(write(tmp_path, text)).name == "Net"
    assert sys.argv is before


def test_module_can_be_pickled_and_printed(tmp_path: Path) -> None:
    import pickle

    loaded = load(write(tmp_path, CONFIG))
    config = pickle.loads(pickle.dumps(loaded.namespace.Config(3)))
    assert config == loaded.namespace.Config(3)


def test_same_seed_same_weights(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, NET))
    torch.manual_seed(3)
    first = loaded.build().state_dict()
    torch.manual_seed(3)
    torch.testing.assert_close(loaded.build().state_dict(), first, rtol=0, atol=0)


def test_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write(tmp_path / "nets", NET)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.luxgen.models.net]\ninit = 'hidden=9'\n"
        "[tool.luxgen.models.tiny]\nsource = 'nets/tiny.py:Net'\ninit = {hidden = 2}\n"
    )
    write(tmp_path / "nets", NET, "tiny.py")
    assert load(target).build().fc.out_features == 9  # type: ignore[union-attr]
    assert load(target, "hidden=3").build().fc.out_features == 3  # type: ignore[union-attr]
    monkeypatch.chdir(tmp_path)
    assert load("tiny").symbol == "Net"
    assert load("tiny").build().fc.out_features == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            "[tool.luxgen.models.net]\nintit = 'a'",
            "unknown key 'intit'; did you mean 'in",
        ),
        ("[tool.luxgen.models.net]\ninputs = 'x'", "inputs has the wrong type"),
        ("[tool.luxgen.models.net]\ninputs = [1]", "inputs must hold strings"),
        ("[tool.luxgen.models]\nnet = 1", "must be a table"),
        ("[tool]\nluxgen = 1", "luxgen must be a table"),
        ("[tool", "can't read .*pyproject.toml"),
    ],
)
def test_bad_config(tmp_path: Path, toml: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(toml)
    with pytest.raises(InputError, match=message):
        load(write(tmp_path, NET))
