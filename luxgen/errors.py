"""What luxgen raises, and how a place in the user's source is shown."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

# Control and format characters (among them ANSI escapes and bidirectional
# overrides) and stray surrogates; line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class LuxgenError(Exception):
    """Base of all errors that luxgen raises on purpose."""


class InputError(LuxgenError):
    """Bad usage, file or input; the message says what to add."""


class VerificationError(LuxgenError):
    """The generated module and torch differ; `report` says where, if known."""

    def __init__(self, message: str, report: object | None = None) -> None:
        super().__init__(message)
        self.report = report


class StaleError(LuxgenError):
    """A generated file no longer belongs to its source."""


@dataclass(frozen=True)
class Site:
    """One place in the user's source that can't be translated.

    `source` is the line as written; columns count its characters from 0, the
    end excluded. An unknown line is "" and line number 0.
    """

    file: str
    line: int
    source: str
    column_start: int
    column_end: int
    reason: str
    suggestion: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        lines = [f"{place}: {self.reason}"]
        if self.source.strip():
            lines += self._excerpt()
        if self.suggestion:
            lines.append(f"    -> {self.suggestion}")
        return printable("\n".join(lines))

    def _excerpt(self) -> list[str]:
        """The source line and, below it, carets under the columns meant."""
        source = printable(self.source.rstrip())
        if source != self.source.rstrip():  # escapes would shift the columns
            return [f"    {source.lstrip()}"]
        indent = len(source) - len(source.lstrip())
        start = min(max(self.column_start, indent), len(source) - 1)
        end = min(max(self.column_end, start + 1), len(source))
        blank = "".join(_blank(char) for char in source[indent:start])
        carets = "^" * sum(len(_blank(char)) for char in source[start:end])
        return [f"    {source[indent:]}", f"    {blank}{carets}"]


class UnsupportedError(LuxgenError):
    """The model does what luxgen can't translate; `sites` holds every place."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self.sites: tuple[Site, ...] = tuple(dict.fromkeys(sites))
        super().__init__(self.sites)

    def __str__(self) -> str:
        count = len(self.sites)
        places = "1 place" if count == 1 else f"{count} places"
        return "\n".join([f"{places} can't be translated:", *map(str, self.sites)])


def printable(text: str) -> str:
    """Escape what could drive a terminal or hide text, but newlines and tabs."""
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _UNPRINTABLE and char not in "\n\t"
        else char
        for char in text
    )


def _blank(char: str) -> str:
    """White space as wide as `char` in a terminal."""
    if char == "\t":
        return "\t"
    if unicodedata.combining(char):
        return ""
    return "  " if unicodedata.east_asian_width(char) in "WF" else " "
