"""
Who and where: the people, the team, its two channels and everybody's chat with the bot, with ids as Teams writes them.

Ids come from the tenant's and the people's own ids by hashing, so that a sandbox started again knows them still.
"""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

TEAM_NAME = "Contoso IT"
GENERAL = "General"
APPROVALS = "Approvals"
BOT_NAME = "Unblock"


@dataclass(frozen=True)
class Person:
    """Somebody of the tenant, as far as Teams shows them to a bot."""

    #: Entra object id; the same for every bot.
    object_id: str
    name: str
    user_principal_name: str
    mail: str = ""
    given_name: str = ""
    surname: str = ""
    is_guest: bool = False


@dataclass(frozen=True)
class Place:
    """One conversation: a person's own chat with the bot, or a channel of the team."""

    conversation_id: str
    #: "personal" or "channel", as in `conversation.conversationType`.
    kind: str
    name: str = ""
    #: Whose chat it is; nobody for a channel.
    person: Person | None = None


class NotThere(LookupError):
    """No such person or conversation."""


def hashed_id(*parts: str, length: int) -> str:
    """The same `length` letters and digits for the same parts, as unreadable as Teams' own ids."""
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=").replace("-", "x").replace("_", "y")[:length]


def base_conversation_id(conversation_id: str) -> str:
    """The channel of a thread id (`19:..@thread.tacv2;messageid=N`); any other id unchanged."""
    return conversation_id.split(";", 1)[0]


def thread_root_id(conversation_id: str) -> str | None:
    """The activity id of the post a thread hangs on, or None if the id names no thread."""
    _, separator, root = conversation_id.partition(";messageid=")
    return root if separator else None


def thread_conversation_id(channel_id: str, root_activity_id: str) -> str:
    """The conversation id of one thread of a channel."""
    return f"{channel_id};messageid={root_activity_id}"


@dataclass
class Directory:
    """People, team and conversations of the sandbox; people are read afresh at every question, so nobody is stale."""

    tenant_id: str
    app_id: str
    list_people: Callable[[], Iterable[Person]]
    team_id: str = field(init=False)
    approvals_id: str = field(init=False)
    #: Entra id of the group behind the team.
    team_group_id: str = field(init=False)
    #: Conversations that the bot was taken out of.
    removed_from: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.team_id = self._channel_id(GENERAL)
        self.approvals_id = self._channel_id(APPROVALS)
        self.team_group_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.tenant_id}/{TEAM_NAME}"))

    @property
    def general_id(self) -> str:
        """The General channel; Teams gives it the id of its team ("Bot conversation events", Microsoft Teams docs)."""
        return self.team_id

    @property
    def bot_account(self) -> dict[str, str]:
        """The bot as a `ChannelAccount`."""
        return {"id": f"28:{self.app_id}", "name": BOT_NAME}

    def people(self) -> list[Person]:
        """Everybody, in the tenant's order."""
        return list(self.list_people())

    def person(self, reference: str) -> Person:
        """
        The person meant by an object id, a Teams user id (`29:..`), a UPN, or a first name in any case.

        Raises: NotThere, also if two people share the first name.
        """
        wanted = reference.casefold()
        people = self.people()
        exact = [one for one in people if wanted in self._names(one)]
        by_first_name = [one for one in people if one.given_name.casefold() == wanted]
        for found in (exact, by_first_name):
            if len(found) == 1:
                return found[0]
        raise NotThere(f"Nobody here is called {reference!r}, or more than one person is")

    def user_id(self, person: Person) -> str:
        """The id by which this bot, and no other, knows the person (`29:..`)."""
        return "29:1" + hashed_id(self.app_id, person.object_id, length=43)

    def place(self, reference: str, *, seen_by: Person | None = None) -> Place:
        """
        The conversation meant by an id (a thread's means its channel), "personal", "approvals" or "general".

        "personal" needs `seen_by`. Raises: NotThere.
        """
        if reference == "personal" and seen_by is not None:
            return self.personal_chat(seen_by)
        wanted = base_conversation_id(reference)
        for place in [*self.channels(), *(self.personal_chat(one) for one in self.people())]:
            if wanted in {place.conversation_id, place.name.casefold() or None}:
                return place
        raise NotThere(f"No conversation {reference!r} here")

    def channels(self) -> list[Place]:
        """The two channels of the team, General first."""
        return [Place(self.team_id, "channel", GENERAL), Place(self.approvals_id, "channel", APPROVALS)]

    def personal_chat(self, person: Person) -> Place:
        """The chat of one person with the bot."""
        return Place("a:1" + hashed_id("chat", self.app_id, person.object_id, length=43), "personal", person=person)

    def members(self, place: Place) -> list[Person]:
        """Who is in a conversation: its owner, or everybody for a channel."""
        return [place.person] if place.person else self.people()

    def conversation_account(self, place: Place, conversation_id: str | None = None) -> dict[str, object]:
        """The `conversation` of an activity; `conversation_id` may name a thread of the place."""
        account: dict[str, object] = {
            "conversationType": place.kind,
            "tenantId": self.tenant_id,
            "id": conversation_id or place.conversation_id,
        }
        if place.kind == "channel":
            account["isGroup"] = True
        return account

    def channel_data(self, place: Place) -> dict[str, object]:
        """Teams' own part of an activity: tenant always, team and channel in a channel."""
        data: dict[str, object] = {"tenant": {"id": self.tenant_id}}
        if place.kind == "channel":
            data["team"] = {"id": self.team_id, "name": TEAM_NAME, "aadGroupId": self.team_group_id}
            data["channel"] = {"id": place.conversation_id}
            data["teamsChannelId"] = place.conversation_id
            data["teamsTeamId"] = self.team_id
        return data

    def user_account(self, person: Person) -> dict[str, str]:
        """The person as the sender of an activity."""
        return {"id": self.user_id(person), "name": person.name, "aadObjectId": person.object_id}

    def member_account(self, person: Person, *, object_id_key: str = "aadObjectId") -> dict[str, str]:
        """The person as a `TeamsChannelAccount`; the unpaged list names the object id `objectId` instead."""
        return {
            "id": self.user_id(person),
            object_id_key: person.object_id,
            "name": person.name,
            "givenName": person.given_name,
            "surname": person.surname,
            "email": person.mail,
            "userPrincipalName": person.user_principal_name,
            "tenantId": self.tenant_id,
            "userRole": "guest" if person.is_guest else "user",
        }

    def _channel_id(self, name: str) -> str:
        return f"19:{hashed_id(self.tenant_id, TEAM_NAME, name, length=43)}1@thread.tacv2"

    def _names(self, person: Person) -> set[str]:
        names = {person.object_id, self.user_id(person), person.user_principal_name, person.mail}
        return {name.casefold() for name in names if name}
