"""Reads the user's Python files, imports them and says what went wrong in them."""

import ast
import importlib
import importlib.util
import io
import itertools
import linecache
import os
import re
import sys
import tokenize
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from luxgen.errors import InputError, LuxgenError, printable

_LUXGEN = Path(__file__).resolve().parents[1]
_MESSAGE_LINES = 12
_package_numbers = itertools.count(1)
_siblings: set[str] = set()  # modules that the imported files took from beside them


@dataclass(frozen=True)
class SourceFile:
    """A Python file that parses; `path` is absolute."""

    path: Path
    text: str
    tree: ast.Module


def split_target(target: str) -> tuple[str, str | None]:
    """ "model.py:LeNet5" -> ("model.py", "LeNet5"); without a name, None."""
    path, colon, symbol = target.rpartition(":")
    if not colon or "/" in symbol or "\\" in symbol or symbol.endswith(".py"):
        return target, None
    if not path or not symbol:
        raise InputError(f"{target!r} names no model; write it as model.py:LeNet5")
    return path, symbol


def read_source(path: Path) -> SourceFile:
    """Read and parse `path`; raise InputError if it isn't a Python file."""
    shown = display_path(path)
    if path.is_dir():
        raise InputError(f"{shown} is a directory; name the file that holds the model")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{shown} doesn't exist") from error
    except OSError as error:
        raise InputError(f"can't read {shown}: {error.strerror or error}") from error
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = io.TextIOWrapper(io.BytesIO(data), encoding).read()
        return SourceFile(path.absolute(), text, ast.parse(data, shown))
    except SyntaxError as error:
        raise InputError(f"{shown} isn't valid Python: {_syntax(error)}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{shown} isn't valid Python: {error}") from error


def import_source(source: SourceFile) -> ModuleType:
    """Run the file as a module of a package made for it, and return the module.

    The package's folder is the file's, or the one above the regular packages that
    hold the file, so that relative imports work and equal names in two projects
    don't meet. Raises InputError with file and line for whatever the file raises.
    """
    with user_code(source.path), _arguments(source.path), _fresh_siblings(source.path):
        root, parents = _package_root(source.path)
        package = f"_luxgen_model_{next(_package_numbers)}"
        top = ModuleType(package)
        top.__path__ = [os.fspath(root)]
        sys.modules[package] = top
        for parent in parents:
            package = f"{package}.{parent}"
            importlib.import_module(package)
        name = f"{package}.{_leaf_name(source.path)}"
        if name in sys.modules:  # a parent package's __init__ imported it
            return sys.modules[name]
        return _execute(source, name)


@contextmanager
def user_code(path: Path) -> Iterator[None]:
    """Run code of the user's file with its folder on sys.path.

    What it raises becomes an InputError that names the file and line; what luxgen's
    own code raises below it stays as it is.
    """
    folder = os.fspath(path.parent)
    sys.path.insert(0, folder)
    try:
        yield
    except LuxgenError:
        raise
    except (Exception, SystemExit) as error:
        if _raised_by_luxgen(error):
            raise
        raise InputError(blame(error, path.parent)) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def blame(error: BaseException, folder: Path) -> str:
    """`model.py:12: ValueError: message` and the line, for the user's own frame."""
    if isinstance(error, SyntaxError) and error.filename:
        shown = display_path(Path(error.filename))
        return f"{shown} isn't valid Python: {_syntax(error)}"
    what = "\n".join(
        "".join(traceback.format_exception_only(error))
        .strip()
        .splitlines()[:_MESSAGE_LINES]
    )
    if isinstance(error, ModuleNotFoundError) and error.name:
        what += "\n    -> install what provides it in luxgen's environment"
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [
        place
        for place in frames
        if Path(place[0]).is_relative_to(folder) and "site-packages" not in place[0]
    ]
    if not own:
        return printable(what)
    filename, line = own[-1]
    source = linecache.getline(filename, line).strip()
    shown = f"{display_path(Path(filename))}:{line}: {what}"
    return printable(f"{shown}\n    {source}" if source else shown)


def display_path(path: Path) -> str:
    """`path` relative to the working directory if it is below it, safe to print."""
    absolute = path.absolute()
    try:
        return printable(os.fspath(absolute.relative_to(Path.cwd())))
    except (ValueError, OSError):
        return printable(os.fspath(path))


def _raised_by_luxgen(error: BaseException) -> bool:
    """Whether the innermost frame is luxgen's, below a frame that isn't."""
    files = [f.f_code.co_filename for f, _ in traceback.walk_tb(error.__traceback__)]
    return bool(files[1:]) and Path(files[-1]).is_relative_to(_LUXGEN)


def _syntax(error: SyntaxError) -> str:
    place = f"line {error.lineno}: " if error.lineno else ""
    source = f"\n    {error.text.strip()}" if error.text else ""
    return printable(f"{place}{error.msg}{source}")


def _execute(source: SourceFile, name: str) -> ModuleType:
    # Compiled here, not by the import system: its cache is keyed on the file's time
    # in whole seconds and would serve the old code of a file edited within one.
    spec = importlib.util.spec_from_file_location(name, source.path)
    if spec is None:  # a suffix that isn't Python's
        spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = os.fspath(source.path)
    sys.modules[name] = module
    linecache.checkcache(module.__file__)
    try:
        code = compile(source.tree, module.__file__, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _package_root(path: Path) -> tuple[Path, list[str]]:
    """The folder above the regular packages that hold `path`, and their names."""
    root = path.parent
    parents: list[str] = []
    while (root / "__init__.py").is_file() and "." not in root.name:
        parents.insert(0, root.name)
        root = root.parent
    return root, parents


def _leaf_name(path: Path) -> str:
    if path.stem.isidentifier():
        return path.stem
    return "model_" + re.sub(r"\W", "_", path.stem)


@contextmanager
def _arguments(path: Path) -> Iterator[None]:
    """Hide luxgen's command line from a file that parses its own on import."""
    before, sys.argv = sys.argv, [os.fspath(path)]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _fresh_siblings(path: Path) -> Iterator[None]:
    """Forget what earlier files imported from beside them, and note what this one does.

    Otherwise `import layers` would find the layers.py of another project.
    """
    for name in _siblings:
        sys.modules.pop(name, None)
    _siblings.clear()
    importlib.invalidate_caches()
    before = {name.partition(".")[0] for name in sys.modules}
    try:
        yield
    finally:
        tops = {name.partition(".")[0] for name in sys.modules} - before
        tops = {top for top in tops if _beside(sys.modules.get(top), path.parent)}
        _siblings.update(n for n in sys.modules if n.partition(".")[0] in tops)


def _beside(module: ModuleType | None, folder: Path) -> bool:
    """Whether a top-level module is a file or package directly in `folder`."""
    for place in getattr(module, "__path__", None) or [getattr(module, "__file__", "")]:
        if place and Path(place).parent == folder:
            return True
    return False
