"""Write golden/: `python -m tests.golden.update [CASE ...]`; torch is asked first."""

from __future__ import annotations

import io
import os
import sys

import numpy as np

from luxgen.files import write_atomic
from tests.golden.cases import (
    NAMES,
    TRAINED,
    case,
    generate,
    generate_trained,
    torch_io,
)


def main(names: list[str]) -> int:
    """Regenerate the cases named, or all; nothing is written that torch refuses."""
    if os.environ.get("CI"):
        print("golden files are never written in CI", file=sys.stderr)
        return 2
    for name in names or NAMES:
        this = case(name)
        made = generate(this)  # raises VerificationError before anything is written
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **torch_io(this))
        write_atomic(this.folder / "io.npz", buffer.getvalue())
        write_atomic(this.folder / "program.txt", made.program)
        write_atomic(this.module, made.source)
        if name in TRAINED:
            write_atomic(this.trained, generate_trained(this).source)
        for extra in sorted(
            {p.name for p in this.folder.iterdir()} - this.files - {"__pycache__"}
        ):
            print(f"{name}: {extra} belongs to no case; remove it", file=sys.stderr)
        print(f"{name}: {len(made.source.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
