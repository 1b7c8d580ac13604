"""An Entra group: everybody in it is on call, all the time."""

from __future__ import annotations

from datetime import datetime

from services.oncall.accounts import Accounts
from services.oncall.duty import Duty


class GroupSource:
    """Fulfils `Source`; members of groups in the group count too."""

    def __init__(self, name: str, group_id: str, accounts: Accounts) -> None:
        self.name = name
        self._group_id = group_id
        self._accounts = accounts

    async def on_duty(self, at: datetime) -> Duty:
        found = await self._accounts.in_group(self._group_id)
        return Duty(people=found.people, unknown=found.unknown)
