"""The error tree: every error has its text and survives being stored."""

from __future__ import annotations

import pickle

import pytest

from cards.language import Words
from services import errors
from services.errors import BotError


def every_error(kind: type[BotError] = BotError) -> list[type[BotError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in every_error(child))]


def example(kind: type[BotError]) -> BotError:
    if issubclass(kind, (errors.NotAllowed, errors.BadOwner, errors.SignInRefused)):
        return kind("guest", who="x")
    if issubclass(kind, errors.SettingsError):
        return kind(("port", "is taken"))
    return kind("graph") if issubclass(kind, errors.ServiceError) else kind(case_id="C1")


OURS = [kind for kind in every_error() if kind.__module__ == "services.errors"]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_an_error_survives_being_stored(kind: type[BotError]) -> None:
    """
    DBOS stores what steps raise; what comes back is the same error with the same parameters.
    """
    error = example(kind)

    again = pickle.loads(pickle.dumps(error))

    assert (kind, str(error), vars(error)) == (type(again), str(again), vars(again))


@pytest.mark.parametrize("language", ["en", "sv"])
@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_text_in_every_language(kind: type[BotError], language: str) -> None:
    """
    No error reaches a person as a key.
    """
    assert Words(language, strict=True).t(kind.key)
