"""Files written whole or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from luxgen.errors import InputError


def write_atomic(path: str | Path, data: str | bytes) -> None:
    """Write `data` (text as UTF-8) to `path`; raise InputError where it can't be."""
    content = data.encode() if isinstance(data, str) else data
    with open_atomic(path) as handle:
        handle.write(content)


@contextmanager
def open_atomic(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place when the block ends well.

    Links are followed and permissions kept. Devices and pipes are written to
    directly: to replace them would destroy them.
    """
    require_writable(path)
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode if target.exists() else 0
        if mode and not stat.S_ISREG(mode):
            with target.open("wb") as handle:
                yield handle
            return
        with _replacing(target, stat.S_IMODE(mode) or 0o666 & ~_umask()) as handle:
            yield handle
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror or error}") from error


def require_writable(path: str | Path) -> None:
    """Raise InputError if it is already known that `path` can't be written."""
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise InputError(f"can't write {path}: it is a directory")
        if not target.parent.is_dir():
            raise InputError(
                f"can't write {path}: the directory {target.parent} doesn't exist"
            )
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise InputError(f"can't write {path}: permission denied")
    except (OSError, ValueError) as error:  # too long, or holding a null character
        raise InputError(f"can't write {path!r}: {error}") from error


@contextmanager
def _replacing(target: Path, permissions: int) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".luxgen-")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
        os.chmod(name, permissions)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
