"""Ids of cases: short enough to be read out over the telephone."""

from __future__ import annotations

import secrets

#: Letters and digits that cannot be taken for one another when somebody reads an id out.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_LENGTH = 6


def new_case_id() -> str:
    """A new id such as "K4P7Z9"."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
