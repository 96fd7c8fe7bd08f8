"""Statements and docstring of a specialised helper: additions and omissions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import libcst as cst

from luxgen.targets.numpy.specialise_library import is_docstring


def with_first(node: cst.FunctionDef, line: cst.SimpleStatementLine) -> cst.FunctionDef:
    """The function with one more statement, right after its docstring."""
    body = list(node.body.body)
    at = 1 if body and is_docstring(body[0]) else 0
    block = node.body.with_changes(body=[*body[:at], line, *body[at:]])
    return node.with_changes(body=block)


def without_mentions(node: cst.FunctionDef, gone: Iterable[str]) -> cst.FunctionDef:
    """The docstring without clauses and sentences about options that are gone."""
    names = "|".join(rf"\b{name}\b" if "_" in name else f"`{name}`" for name in gone)
    first = node.body.body[0]
    if not names or not isinstance(first, cst.SimpleStatementLine):
        return node
    if not is_docstring(first) or not isinstance(first.body[0], cst.Expr):
        return node
    old = first.body[0].value
    assert isinstance(old, cst.SimpleString)
    text = _without(old.raw_value, re.compile(names))
    if text == old.raw_value:
        return node
    string = old.with_changes(value=f"{old.prefix}{old.quote}{text}{old.quote}")
    line = first.with_changes(body=[first.body[0].with_changes(value=string)])
    return node.with_changes(
        body=node.body.with_changes(body=[line, *node.body.body[1:]])
    )


def _without(text: str, mention: re.Pattern[str]) -> str:
    """The first clause stays whatever it mentions: it says what the function does."""
    sentences = re.split(r"(?<=\.)(?=\s)", text)
    kept: list[str] = []
    for sentence in sentences:
        clauses = re.split(r"(?<=[,;:])(?=\s)", sentence)
        if not mention.search(sentence) or (not kept and mention.search(clauses[0])):
            kept.append(sentence)
        elif not mention.search(clauses[0]):
            kept.append(_joined([c for c in clauses if not mention.search(c)]))
    result = "".join(kept).rstrip()
    return result if "\n" not in result else result + _tail(text)


def _joined(clauses: Sequence[str]) -> str:
    return re.sub(r"[,;:]$", "", "".join(clauses)).rstrip(".") + "."


def _tail(text: str) -> str:
    """The indentation of the closing quotes of a docstring of several lines."""
    return text[len(text.rstrip()) :]
