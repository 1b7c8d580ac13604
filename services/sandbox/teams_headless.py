"""
Teams without a window: routes under `/_sandbox/teams/` to read the conversations and to speak and click as anybody.

Plain http on loopback, no token: whoever can reach it can act as anybody in the sandbox, which is its purpose.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from services.sandbox.teams_cards import Button, find_button, refresh_button
from services.sandbox.teams_directory import (
    Directory,
    NotThere,
    Person,
    Place,
    base_conversation_id,
    thread_conversation_id,
    thread_root_id,
)
from services.sandbox.teams_history import BOT, Activity, History, Message, iso_time
from services.sandbox.teams_inbound import BotDoor, BotReply, Composer, announce_installation
from services.sandbox.teams_limits import Fault, Faults, RateLimits
from services.sandbox.teams_windows import Windows

PREFIX = "/_sandbox/teams"
#: The people in whose chats the app is installed at the start.
INSTALLED_FOR = ("alex", "megan")


class BadOrder(ValueError):
    """The control request cannot be carried out; the message says why."""


class Headless:
    """The people's side of Teams, driven by requests."""

    def __init__(
        self,
        directory: Directory,
        history: History,
        windows: Windows,
        composer: Composer,
        door: BotDoor,
        limits: RateLimits,
        faults: Faults,
    ) -> None:
        self._directory, self._history, self._windows = directory, history, windows
        self._composer, self._door, self._limits, self._faults = composer, door, limits, faults

    def routes(self) -> list[web.RouteDef]:
        """All routes, for the http application."""
        return [
            web.get(f"{PREFIX}/conversations", self._list_conversations),
            web.get(f"{PREFIX}/conversations/{{conversation}}/activities", _answering(self._list_activities)),
            web.post(f"{PREFIX}/say", _answering(self._say)),
            web.post(f"{PREFIX}/click", _answering(self._click)),
            web.post(f"{PREFIX}/install", _answering(self._install)),
            web.post(f"{PREFIX}/remove", _answering(self._remove)),
            web.post(f"{PREFIX}/faults", _answering(self._order_fault)),
            web.delete(f"{PREFIX}/faults", _answering(self._clear_faults)),
            web.post(f"{PREFIX}/limits", _answering(self._switch_limits)),
        ]

    async def say(
        self,
        person: Person,
        place: Place,
        text: str,
        *,
        thread: str | None = None,
        locale: str = "en-US",
        changes: Activity | None = None,
    ) -> tuple[Activity, BotReply]:
        """
        Type a message as somebody; in a channel it begins a new thread unless `thread` names a root activity id.

        `changes` is laid over the activity on its way to the bot, for what should not come from Teams but might.
        """
        activity = self._composer.message(person, place, place.conversation_id, text, locale)
        if place.kind == "channel":
            root = thread or activity["id"]
            activity["conversation"]["id"] = thread_conversation_id(place.conversation_id, root)
        message = self._history.add(
            activity["conversation"]["id"], person.object_id, activity, activity_id=activity["id"]
        )
        await self._windows.show(message)
        return activity, await self._door.deliver(_changed(activity, changes))

    async def install(self) -> int:
        """Tell the bot that it is installed; how many of the events it took."""
        people = [self._directory.person(name) for name in INSTALLED_FOR]
        return await announce_installation(self._directory, self._composer, self._door, people)

    async def _list_conversations(self, _request: web.Request) -> web.Response:
        places = [*self._directory.channels(), *map(self._directory.personal_chat, self._directory.people())]
        return web.json_response({"value": [self._place_as_json(place) for place in places]})

    def _place_as_json(self, place: Place) -> dict[str, Any]:
        return {
            "id": place.conversation_id,
            "kind": place.kind,
            "name": place.name or (place.person.name if place.person else ""),
            "object_id": place.person.object_id if place.person else None,
            "messages": len(self._history.within(place.conversation_id)),
        }

    async def _list_activities(self, request: web.Request, _order: dict[str, Any]) -> dict[str, Any]:
        """`{conversation}`: an id (a channel's id means all its threads), approvals, general, or a person."""
        wanted = request.match_info["conversation"]
        try:
            conversation_id = self._directory.place(wanted).conversation_id
        except NotThere:
            conversation_id = self._directory.personal_chat(self._directory.person(wanted)).conversation_id
        in_thread = wanted if thread_root_id(wanted) else conversation_id
        return {"value": [message.as_json() for message in self._history.within(in_thread)]}

    async def _say(self, _request: web.Request, order: dict[str, Any]) -> dict[str, Any]:
        person = self._directory.person(_needed(order, "as"))
        wanted = order.get("conversation", "personal")
        place = self._directory.place(wanted, seen_by=person)
        thread = order.get("thread") or thread_root_id(wanted)
        locale = order.get("locale", "en-US")
        activity, reply = await self.say(
            person, place, _needed(order, "text"), thread=thread, locale=locale, changes=order.get("changes")
        )
        place_of_it = {"activity_id": activity["id"], "conversation_id": activity["conversation"]["id"]}
        return reply.as_json() | place_of_it

    async def _click(self, _request: web.Request, order: dict[str, Any]) -> dict[str, Any]:
        """
        Press a button: `as`, `verb`, and `activity_id` or `conversation` (then the newest card there with that verb).

        Options: `inputs`, `submit` (the Action.Submit fallback), `refresh` (the card's own refresh instead of a verb),
        `locale`, `repeat` deliveries (same ids as Teams' first repeat, or `new_ids`), `at_once` instead of one by one,
        `changes` laid over the activity.
        """
        person = self._directory.person(_needed(order, "as"))
        message = self._message_wanted(person, order)
        activity = _changed(self._pressed(person, message, order), order.get("changes"))
        replies = await self._deliver_repeatedly(activity, order)
        if activity["type"] == "invoke":
            message.remember_reply(person.object_id, replies[-1].body)
        return replies[-1].as_json() | {
            "activity_id": message.activity_id,
            "conversation_id": message.conversation_id,
            "deliveries": [reply.as_json() for reply in replies],
        }

    def _message_wanted(self, person: Person, order: dict[str, Any]) -> Message:
        if order.get("activity_id"):
            message = self._history.by_id(order["activity_id"])
            if message is None:
                raise BadOrder(f"No message {order['activity_id']}")
            return message
        place = self._directory.place(order.get("conversation", "personal"), seen_by=person)
        for message in self._history.newest_first():
            here = base_conversation_id(message.conversation_id) == place.conversation_id
            if here and message.sender == BOT and not message.deleted and self._button(person, message, order):
                return message
        raise BadOrder(f"No card in this conversation has the verb {order.get('verb')!r}")

    def _button(self, person: Person, message: Message, order: dict[str, Any]) -> Button | None:
        """The button in the viewer's own view, else in the base card: an old view can still be on somebody's screen."""
        if order.get("refresh"):
            return refresh_button(message.card)
        verb = _needed(order, "verb")
        return find_button(message.card_for(person.object_id), verb) or find_button(message.card, verb)

    def _pressed(self, person: Person, message: Message, order: dict[str, Any]) -> Activity:
        button = self._button(person, message, order)
        if button is None:
            raise BadOrder(f"The card has no button with the verb {order.get('verb')!r}")
        place = self._directory.place(message.conversation_id)
        inputs, locale = order.get("inputs") or {}, order.get("locale", "en-US")
        if not order.get("submit"):
            trigger = "automatic" if order.get("refresh") else "manual"
            return self._composer.invoke(person, place, message, button.execute(inputs), trigger, locale)
        value = button.submit(inputs)
        if value is None:
            raise BadOrder("The button has no Action.Submit to fall back to")
        return self._composer.submit(person, place, message, value, locale)

    async def _deliver_repeatedly(self, activity: Activity, order: dict[str, Any]) -> list[BotReply]:
        copies = [dict(activity) for _ in range(int(order.get("repeat", 1)))]
        if order.get("new_ids"):
            for number, repeated in enumerate(copies):
                repeated |= {"id": f"{activity['id']}-{number}", "timestamp": iso_time(self._history.now())}
        if order.get("at_once"):
            return list(await asyncio.gather(*map(self._door.deliver, copies)))
        return [await self._door.deliver(repeated) for repeated in copies]

    async def _install(self, _request: web.Request, _order: dict[str, Any]) -> dict[str, Any]:
        return {"accepted": await self.install()}

    async def _order_fault(self, _request: web.Request, order: dict[str, Any]) -> dict[str, Any]:
        self._faults.order(Fault.from_json(order))
        return {"ordered": True}

    async def _remove(self, _request: web.Request, order: dict[str, Any]) -> dict[str, Any]:
        """
        Take the bot out of a `conversation`, or put it back with `back`; it is told so unless `silently` is true, as
        when the event gets lost. With `deleted` it is the channel that is gone, and not the bot from the team.
        """
        place, installer = self._directory.place(_needed(order, "conversation")), self._directory.people()[0]
        back = bool(order.get("back", False))
        change = self._directory.removed_from.discard if back else self._directory.removed_from.add
        change(place.conversation_id)
        if order.get("silently"):
            return {"told": 0}
        activities = self._composer.installation(installer, place, "add" if back else "remove")
        if order.get("deleted"):
            activities = [self._composer.channel_deleted(installer, place)]
        replies = [await self._door.deliver(one) for one in activities]
        return {"told": sum(reply.status < 300 for reply in replies)}

    async def _clear_faults(self, _request: web.Request, _order: dict[str, Any]) -> dict[str, Any]:
        self._faults.clear()
        return {"ordered": False}

    async def _switch_limits(self, _request: web.Request, order: dict[str, Any]) -> dict[str, Any]:
        self._limits.enabled = bool(_needed(order, "enabled"))
        return {"enabled": self._limits.enabled}


Carry = Callable[[web.Request, dict[str, Any]], Awaitable[dict[str, Any]]]


def _answering(carry_out: Carry) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that reads an order and answers as JSON; what cannot be done is a 400 or 404 that says why."""

    async def handle(request: web.Request) -> web.Response:
        try:
            order = await request.json() if request.can_read_body else {}
            return web.json_response(await carry_out(request, order))
        except NotThere as missing:
            return web.json_response({"error": str(missing)}, status=404)
        except (BadOrder, KeyError, json.JSONDecodeError) as fault:
            return web.json_response({"error": str(fault)}, status=400)

    return handle


def _changed(activity: Activity, changes: Activity | None) -> Activity:
    """The activity with `changes` laid over it, object by object; None takes a field away."""
    result = dict(activity)
    for key, value in (changes or {}).items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _changed(result[key], value)
        else:
            result[key] = value
    return result


def _needed(order: dict[str, Any], key: str) -> Any:
    if key not in order:
        raise BadOrder(f"{key!r} is missing")
    return order[key]
