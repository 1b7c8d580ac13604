"""Ids of cases: short enough to be read out over the telephone."""

from __future__ import annotations

import hashlib
import secrets

#: Letters and digits that cannot be taken for one another when somebody reads an id out.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_LENGTH = 6
_CODE_LENGTH = 3


def new_case_id() -> str:
    """A new id such as "K4P7Z9"."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def code_of(prompt_id: str) -> str:
    """What tells one question of a case from the others when it is typed, such as "3FX"; always the same."""
    digest = hashlib.sha256(prompt_id.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:_CODE_LENGTH])
