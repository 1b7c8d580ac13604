"""What a labelled case is: an account, the truth about it, and a sentence that says what is going on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.labelled.account import Account
from tests.labelled.held_out import HELD_OUT

Build = Callable[[], Account]


class Label(StrEnum):
    """The truth, which no investigation gets to see."""

    COMPROMISED = "compromised"
    HONEST = "honest"


@dataclass(frozen=True)
class Story:
    """One labelled account; `build` makes it anew."""

    name: str
    label: Label
    what_happened: str
    build: Build

    @property
    def is_held_out(self) -> bool:
        """Whether numbers must not be tuned to it."""
        return self.name in HELD_OUT


class Stories(list[Story]):
    """Stories of one label. As a decorator it takes a function in: its name, and its docstring as the sentence."""

    def __init__(self, label: Label) -> None:
        super().__init__()
        self._label = label

    def __call__(self, build: Build) -> Build:
        self.append(Story(build.__name__, self._label, " ".join((build.__doc__ or "").split()), build))
        return build
