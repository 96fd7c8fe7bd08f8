"""The helpers that a generated module needs, cut down to the calls that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from luxgen.targets.numpy.specialise_library import HELPERS, source
from luxgen.targets.numpy.specialise_parts import parts_of
from luxgen.targets.numpy.specialise_program import Program


@dataclass
class HelperTexts:
    """Source of what a module copies from luxgen/ops, callers before callees.

    `imports` maps modules to names, "" standing for the module itself; NumPy as `np`
    and the alias `Array` are the module's own.
    """

    classes: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    imports: dict[str, set[str]] = field(default_factory=dict)


def helper_texts(
    text: str, *, extra: Iterable[str] = (), splats: Mapping[str, int] | None = None
) -> HelperTexts:
    """Helpers that `text`, the functions of a module, uses, and those of `extra`.

    Each is specialised to the calls in `text` and in the other helpers kept: an option
    that none passes gives way to its default, and what can't happen any more goes.
    Helpers of `extra` stay whole. `splats` says how many fields a node of `ps` or `st`
    has, by its text or by "function: text", where calls pass it as `*ps.fc` or whole;
    of others any number is assumed.
    """
    wanted = tuple(dict.fromkeys(extra))
    whole = [name for name in wanted if name in HELPERS]
    made = Program(text, HELPERS, whole, splats or {}).run()
    functions = {name: source(node) for name, node in made.items()}
    return HelperTexts(*parts_of(text, wanted, functions))
