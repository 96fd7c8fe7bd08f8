"""The wheel and the editable install both work away from the checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import luxgen

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("luxgen", "templates")
FILES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
# Dependencies come from where the tests run; luxgen itself must not.
SITE_PACKAGES = sysconfig.get_path("purelib")
MODEL = """
from torch import nn
class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
    def forward(self, x):
        return self.fc(x)
"""


def clean_environment() -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return environment | {"OMP_NUM_THREADS": "1"}


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the build reads, so that it leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in SHIPPED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, copy)
    return copy


def build(kind: str, source: Path, target: Path) -> Path:
    """Build by the backend that pyproject.toml names, without fetching anything."""
    code = (
        "import sys; from setuptools import build_meta as backend; "
        f"print('BUILT', backend.build_{kind}(sys.argv[1]))"
    )
    out = run(sys.executable, "-c", code, target, cwd=source)
    built = re.search(r"^BUILT (.+)$", out, re.M)
    assert built is not None
    return target / built[1]


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("dist"))


def environment(folder: Path) -> Path:
    """A new environment that sees the dependencies; returns its bin folder."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # Not by a .pth file: this one would run an editable luxgen's as well.
    hook = f"import sys\nsys.path.append({SITE_PACKAGES!r})\n"
    (site / "sitecustomize.py").write_text(hook)
    ruff = Path(sysconfig.get_path("scripts"), "ruff")  # it looks for itself there
    (folder / "bin" / "ruff").symlink_to(ruff)
    return folder / "bin"


def install(binaries: Path, *what: str | Path) -> None:
    """Install as a user does, but with nothing to fetch."""
    pip = (sys.executable, "-m", "pip", "--python", binaries / "python", "install")
    flags = ("--no-deps", "--no-index", "--no-build-isolation", "--quiet")
    run(*pip, *flags, *what, cwd=binaries.parent)


def transpile(binaries: Path, folder: Path) -> Path:
    """Run the installed command; return the folder of its templates."""
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    run(binaries / "luxgen", "transpile", "model.py", cwd=folder)
    script = (
        "import numpy as np, tiny\n"
        "ps, st = tiny.setup(0)\n"
        "assert tiny.apply(np.ones((5, 3), np.float32), ps, st)[0].shape == (5, 2)"
    )
    run(binaries / "python", "-c", script, cwd=folder)
    show = "from luxgen.templates_path import template_dir; print(template_dir())"
    return Path(run(binaries / "python", "-c", show, cwd=folder).strip())


def test_wheel_holds_the_package_alone(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {
        f"luxgen/_templates/{path.relative_to(ROOT / 'templates').as_posix()}"
        for path in (ROOT / "templates").rglob("*.j2")
    }
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "luxgen").rglob("*.py")}
    info = f"luxgen-{luxgen.__version__}.dist-info"
    assert templates and templates <= names
    assert modules <= names
    assert {"luxgen/py.typed", f"{info}/licenses/LICENSE"} <= names
    rest = {name for name in names if not name.startswith(("luxgen/", f"{info}/"))}
    assert rest == set()


def test_metadata(wheel: Path) -> None:
    info = f"luxgen-{luxgen.__version__}.dist-info"
    text = zipfile.ZipFile(wheel).read(f"{info}/METADATA").decode()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Requires-Python: {project['requires-python']}\n" in text
    for name in re.findall(r"^[a-z0-9]+", "\n".join(project["dependencies"]), re.M):
        assert re.search(rf"^Requires-Dist: {name}[<>=]", text, re.M), name
    scripts = zipfile.ZipFile(wheel).read(f"{info}/entry_points.txt").decode()
    assert "luxgen = luxgen.cli.main:main" in scripts


def test_wheel_from_the_sdist_is_the_same(
    checkout: Path, wheel: Path, tmp_path: Path
) -> None:
    sdist = build("sdist", checkout, tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / sdist.name.removesuffix(".tar.gz")
    again = build("wheel", source, tmp_path)
    names = zipfile.ZipFile(again).namelist()
    assert sorted(names) == sorted(zipfile.ZipFile(wheel).namelist())


def test_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    binaries = environment(tmp_path / "env")
    install(binaries, wheel)
    templates = transpile(binaries, tmp_path / "work")
    assert templates.is_relative_to(tmp_path / "env")
    assert templates.parts[-2:] == ("luxgen", "_templates")


def test_editable_install(checkout: Path, tmp_path: Path) -> None:
    binaries = environment(tmp_path / "env")
    install(binaries, "-e", checkout)
    assert transpile(binaries, tmp_path / "work") == checkout / "templates"
    assert not (checkout / "luxgen" / "_templates").exists()
