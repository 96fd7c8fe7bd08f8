"""What a trace records: a tree of module calls with ops in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from luxgen.errors import Site
from luxgen.ir.program import Branch, Guard, Op, Write
from luxgen.ir.values import Arg


@dataclass(eq=False)
class Scope:
    """One call of a module that gets a function of its own.

    `names` are the local variables that held a value or a number, first one first;
    `required` the arguments without a default in forward's signature; `given` what
    the caller passes for an argument where that isn't the argument's own value;
    `entered` counts the calls before.
    """

    path: tuple[str, ...]
    class_name: str
    call: int
    args: dict[str, Arg] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    items: list[Record] = field(default_factory=list)
    result: Arg = None
    doc: str = ""
    names: dict[Any, list[str]] = field(default_factory=dict)
    given: dict[str, Arg] = field(default_factory=dict)
    entered: int = 0
    graded: bool = True  # gradients were recorded where it began
    stops: bool = False  # called under torch.no_grad by one that isn't


INLINE_CONSTANT = 16  # constants of up to this many elements are written as literals

Unseen = tuple[Any, Site]  # a tensor and where it is used
UNSEEN = "a tensor is used here that luxgen didn't see being computed"
WAY_OUT = (
    "compute it with torch functions: no TorchScript, torch.autograd.grad, DLPack, "
    "C++ extension or legacy constructor"
)
Record = Op | Write | Guard | Branch | Scope


@dataclass(eq=False)
class Trace:
    """A whole run: the root call, and every place that can't be translated.

    `changed` are attributes that the run changed, by module path and name; `unseen`
    tensors that no op of the run made, and the places that use them; `ungraded` places
    whose gradients aren't those of what they compute.
    """

    root: Scope
    sites: list[Site]
    constants: dict[tuple[str, ...], Any]
    changed: list[tuple[str, str]] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)
    ungraded: list[Site] = field(default_factory=list)
