"""`charts`: the pictures of a case, with the newest Secure Score in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.cases import Actor, Case, Pictures
from services.investigation.pictures import Scores, scores_after


class Readers(Protocol):
    """Fulfilled by `Casework`."""

    async def case_for(self, who: Actor, case_id: str) -> Case: ...


@dataclass(frozen=True)
class ShowCharts:
    by: Actor
    case_id: str


class Charts:
    """Shows what an account's mail, sign-ins and score looked like."""

    def __init__(self, readers: Readers, scores: Scores) -> None:
        self._readers = readers
        self._scores = scores

    async def show_charts(self, order: ShowCharts) -> Case:
        """
        The case with its pictures; they have the score of today too, as far as it can be read. Nothing is stored.

        A case of which nothing was drawn yet has no pictures. Raises NotAllowed, CaseNotFound.
        """
        case = await self._readers.case_for(order.by, order.case_id)
        if case.pictures is None:
            return case
        pictures: Pictures = await scores_after(case.pictures, self._scores)
        return case.model_copy(update={"pictures": pictures})
