"""How errors are shown, and that files are replaced whole or not at all."""

import os
import pickle
import stat
from pathlib import Path

import pytest

from luxgen.errors import InputError, Site, UnsupportedError, printable
from luxgen.files import open_atomic, write_atomic


def site(source: str, start: int, end: int) -> Site:
    return Site("model.py", 3, source, start, end, "no rule for foo", "use bar")


@pytest.mark.parametrize(
    ("source", "start", "end", "carets"),
    [
        ("    y = foo(x)", 8, 14, "    ^^^^^^"),
        ("y = foo(x)", 4, 99, "    ^^^^^^"),
        ("    y = foo(x)", 0, 1, "^"),
        ("y = foo(x)", 50, 60, "         ^"),
        ("y = foo(x)", 4, 4, "    ^"),
        ("\ty =\tfoo(x)", 5, 11, "   \t^^^^^^"),
        ("'漢' + foo(x)", 6, 12, "       ^^^^^^"),
    ],
)
def test_caret(source: str, start: int, end: int, carets: str) -> None:
    lines = str(site(source, start, end)).splitlines()
    assert lines == [
        "model.py:3: no rule for foo",
        f"    {source.strip()}",
        f"    {carets}",
        "    -> use bar",
    ]


def test_site_without_source_or_suggestion() -> None:
    assert str(Site("model.py", 0, "", 0, 0, "why", "")) == "model.py: why"


def test_every_site_is_listed_once() -> None:
    first, second = site("foo(x)", 0, 3), site("foo(y)", 0, 3)
    error = UnsupportedError([first, second, first])
    assert error.sites == (first, second)
    assert str(error).startswith("2 places can't be translated:\nmodel.py:3: no rule")
    assert str(error).count("^^^") == 2
    assert pickle.loads(pickle.dumps(error)).sites == error.sites


def test_printable() -> None:
    assert printable("é 漢 🙂\n\tok") == "é 漢 🙂\n\tok"
    assert printable("\x1b[2J\u202e\r\ud800") == "\\x1b[2J\\u202e\\r\\ud800"
    assert "\x1b" not in str(site("x = '\x1b[2J'", 0, 1))


def test_write_atomic(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o750)
    write_atomic(str(path), b"\x00")
    assert path.read_bytes() == b"\x00"
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "real" / "a.txt")
    write_atomic(link, "x")
    assert link.is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "x"


def test_pipe_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(path, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_failure_inside_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")
    with pytest.raises(KeyboardInterrupt), open_atomic(path) as handle:
        handle.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", [".", "gone/a", "a.txt/b", "b" * 500, "nul\0"])
def test_cant_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(InputError, match="can't write"):
        write_atomic(f"{tmp_path}/{name}", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
