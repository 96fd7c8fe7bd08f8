"""The entry point: runs a command and turns what it raises into an exit status."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from luxgen.cli import transpile
from luxgen.cli.options import parser
from luxgen.errors import (
    LuxgenError,
    UnsupportedError,
    VerificationError,
    printable,
)

OK, DIFFERS, REFUSED, INTERRUPTED = 0, 1, 2, 130

_COMMANDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "transpile": transpile.run,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` and return its exit status."""
    args = parser().parse_args(argv)
    try:
        return _run(args)
    except KeyboardInterrupt:
        print("\nluxgen: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout went away
        # The interpreter flushes stdout once more at its end, which would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED


def _run(args: argparse.Namespace) -> int:
    try:
        result, status = _COMMANDS[args.command](args), OK
    except BrokenPipeError:
        raise
    except Exception as error:
        status = DIFFERS if isinstance(error, VerificationError) else REFUSED
        _complain(error, args)
        result = {"ok": False, "error": _described(error)}
    if args.json:
        print(json.dumps(result, default=str), flush=True)
    return status


def _complain(error: Exception, args: argparse.Namespace) -> None:
    """Print an error on stderr; its traceback only if asked for."""
    if args.verbose:
        traceback.print_exception(error)
    report = getattr(error, "report", None)
    if report is not None and not args.quiet:
        print(*report.lines(), sep="\n", file=sys.stderr)
    print(f"luxgen: error: {_message(error)}", file=sys.stderr)


def _message(error: Exception) -> str:
    if isinstance(error, LuxgenError):
        return printable(str(error))
    return printable(
        f"internal error, please report it: {type(error).__name__}: {error}\n"
        f"(-v prints the traceback)"
    )


def _described(error: Exception) -> dict[str, Any]:
    """The error as --json prints it."""
    described: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": _message(error),
    }
    if isinstance(error, UnsupportedError):
        described["sites"] = [asdict(site) for site in error.sites]
    report = getattr(error, "report", None)
    if report is not None:
        described["report"] = report.as_dict()
    return described
