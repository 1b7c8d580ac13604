"""
From the bot to people: the Bot Connector API under `/teams/v3/`, as strict as Teams about tokens, ids, size and pace.

Sources: "Send proactive messages", "Send and receive messages in Teams", "Optimize your bot with rate limiting"
(Microsoft Teams documentation), "Bot Connector API reference" (Azure AI Bot Service documentation).
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.sandbox.access import TokenCheck, TokenRefused
from services.sandbox.journal import Entry, Journal
from services.sandbox.teams_directory import (
    TEAM_NAME,
    Directory,
    NotThere,
    Person,
    Place,
    base_conversation_id,
    thread_conversation_id,
    thread_root_id,
)
from services.sandbox.teams_history import BOT, Activity, History, Message
from services.sandbox.teams_limits import MAX_MESSAGE_BYTES, Faults, RateLimits, Refusal
from services.sandbox.teams_windows import Windows

CONNECTOR_AUDIENCE = "https://api.botframework.com"
PAGE_SIZE = 50
#: Under this prefix of the https origin the connector answers; with it the origin is the `serviceUrl`.
PREFIX = "/teams"


@dataclass
class Answer:
    """What an operation answers; None means no body."""

    status: int
    body: Any = None

    def response(self) -> web.Response:
        """The answer as HTTP."""
        if self.body is None:
            return web.Response(status=self.status)
        return web.json_response(self.body, status=self.status)


Operation = Callable[[web.Request, Activity], Awaitable[Answer]]


class Connector:
    """The connector of one tenant with one bot."""

    def __init__(
        self,
        directory: Directory,
        history: History,
        windows: Windows,
        limits: RateLimits,
        faults: Faults,
        tokens: TokenCheck,
        journal: Journal,
    ) -> None:
        self._directory, self._history, self._windows = directory, history, windows
        self._limits, self._faults, self._tokens, self._journal = limits, faults, tokens, journal

    def routes(self) -> list[web.RouteDef]:
        """All routes, for the https application."""
        conversation = f"{PREFIX}/v3/conversations/{{conversation_id}}"
        activity = f"{conversation}/activities/{{activity_id}}"
        return [
            web.post(f"{PREFIX}/v3/conversations", self._guard("create", self._create)),
            web.post(f"{conversation}/activities", self._guard("post", self._post)),
            web.post(activity, self._guard("post", self._post)),
            web.put(activity, self._guard("put", self._put)),
            web.delete(activity, self._guard("delete", self._delete)),
            web.get(f"{activity}/members", self._guard("read", self._list_members)),
            web.get(f"{conversation}/members", self._guard("read", self._list_members)),
            web.get(f"{conversation}/pagedmembers", self._guard("read", self._page_members)),
            web.get(f"{conversation}/members/{{member_id}}", self._guard("read", self._member)),
            web.get(f"{PREFIX}/v3/teams/{{conversation_id}}", self._guard("read", self._team)),
            web.get(f"{PREFIX}/v3/teams/{{conversation_id}}/conversations", self._guard("read", self._channels)),
        ]

    def _guard(self, name: str, operation: Operation) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            response = await self._answer(name, operation, request)
            entry = Entry(self._history.now(), "teams", request.method, request.path_qs, response.status)
            self._journal.add(entry)
            return response

        return handle

    async def _answer(self, name: str, operation: Operation, request: web.Request) -> web.Response:
        if not self._is_the_bot(request.headers.get("Authorization")):
            body = {"message": "Authorization has been denied for this request."}
            return web.json_response(body, status=401, headers={"WWW-Authenticate": "Bearer"})
        try:
            return (await self._run(name, operation, request)).response()
        except Refusal as refusal:
            return refusal.response()

    def _is_the_bot(self, authorization: str | None) -> bool:
        """Whether the token is one that the sandbox's login gave to this bot for the connector, not expired."""
        try:
            claims = self._tokens.claims(authorization, (CONNECTOR_AUDIENCE,))
        except TokenRefused:
            return False
        return claims.get("appid") == self._directory.app_id

    async def _run(self, name: str, operation: Operation, request: web.Request) -> Answer:
        body = await _read_body(request)
        conversation_id = request.match_info.get("conversation_id") or _channel_wanted(body) or "personal"
        fault = await self._faults.take(name, conversation_id)
        if fault and not fault.lost_answer:
            raise fault.refusal()
        self._limits.check(name, conversation_id)
        if base_conversation_id(conversation_id) in self._directory.removed_from:
            raise Refusal("BotNotInConversationRoster", "The bot is not part of the conversation roster.")
        answer = await operation(request, body)
        if fault:
            raise fault.refusal()
        return answer

    async def _create(self, _request: web.Request, body: Activity) -> Answer:
        channel_id = _channel_wanted(body)
        if channel_id:
            return await self._create_thread(self._channel(channel_id), body.get("activity") or {})
        return await self._open_personal_chat(body)

    async def _create_thread(self, place: Place, activity: Activity) -> Answer:
        message = (await self._add(place, place.conversation_id, activity))[-1]
        return Answer(201, {"id": message.conversation_id, "activityId": message.activity_id})

    async def _open_personal_chat(self, body: Activity) -> Answer:
        tenant_id = body.get("tenantId") or _dig(body, "channelData", "tenant", "id")
        if tenant_id != self._directory.tenant_id:
            raise Refusal("BadArgument", "tenantId is missing or not the tenant of the bot")
        place = self._directory.personal_chat(self._member_wanted(body))
        answer: dict[str, str] = {"id": place.conversation_id}
        if body.get("activity"):
            answer["activityId"] = (await self._add(place, place.conversation_id, body["activity"]))[-1].activity_id
        return Answer(201, answer)

    def _member_wanted(self, body: Activity) -> Person:
        members = body.get("members") or []
        if len(members) != 1:
            raise Refusal("BadArgument", "Exactly one member is needed for a personal chat")
        person = self._find_person(str(members[0].get("id")))
        if person is None:
            raise Refusal("BotNotInConversationRoster", "The bot is not installed in the user's personal scope")
        return person

    async def _post(self, request: web.Request, activity: Activity) -> Answer:
        place, conversation_id = self._conversation(request)
        if activity.get("type") == "typing":
            await self._windows.show_typing(conversation_id)
            return Answer(202)
        messages = await self._add(place, conversation_id, activity)
        # Two messages came of one activity, so there is no one id to tell ("Send and receive messages in Teams").
        return Answer(201, {"id": messages[0].activity_id}) if len(messages) == 1 else Answer(202)

    async def _add(self, place: Place, conversation_id: str, activity: Activity) -> list[Message]:
        messages = [self._add_one(place, conversation_id, part) for part in _split(activity)]
        for message in messages:
            await self._windows.show(message)
        return messages

    def _add_one(self, place: Place, conversation_id: str, activity: Activity) -> Message:
        activity_id = self._history.new_activity_id()
        if place.kind == "channel" and thread_root_id(conversation_id) is None:
            conversation_id = thread_conversation_id(place.conversation_id, activity_id)
        return self._history.add(conversation_id, BOT, activity, activity_id=activity_id)

    async def _put(self, request: web.Request, activity: Activity) -> Answer:
        message = self._own_message(request)
        if len(_split(activity)) > 1:
            raise Refusal("BadSyntax", "Activity resulted into multiple skype activities")
        message.edit(activity, self._history.now())
        await self._windows.update(message)
        return Answer(200, {"id": message.activity_id})

    async def _delete(self, request: web.Request, _body: Activity) -> Answer:
        message = self._own_message(request)
        message.deleted = True
        await self._windows.update(message)
        return Answer(200)

    async def _list_members(self, request: web.Request, _body: Activity) -> Answer:
        members = self._directory.members(self._conversation(request)[0])
        return Answer(200, [self._directory.member_account(one, object_id_key="objectId") for one in members])

    async def _page_members(self, request: web.Request, _body: Activity) -> Answer:
        members = self._directory.members(self._conversation(request)[0])
        start = _whole_number(request.query.get("continuationToken"), 0, "Failed to decrypt members continuationToken")
        size = max(PAGE_SIZE, _whole_number(request.query.get("pageSize"), PAGE_SIZE, "Invalid pagesize provided"))
        page: dict[str, Any] = {
            "members": [self._directory.member_account(one) for one in members[start : start + size]],
            "totalCount": len(members),
        }
        if start + size < len(members):
            page["continuationToken"] = str(start + size)
        return Answer(200, page)

    async def _member(self, request: web.Request, _body: Activity) -> Answer:
        place, _ = self._conversation(request)
        person = self._find_person(request.match_info["member_id"])
        if person is None or person not in self._directory.members(place):
            raise Refusal("MemberNotFoundInConversation", "Member not found in conversation")
        return Answer(200, self._directory.member_account(person))

    async def _team(self, request: web.Request, _body: Activity) -> Answer:
        self._channel(request.match_info["conversation_id"])
        team = {
            "id": self._directory.team_id,
            "name": TEAM_NAME,
            "aadGroupId": self._directory.team_group_id,
            "tenantId": self._directory.tenant_id,
            "type": "standard",
            "channelCount": len(self._directory.channels()),
            "memberCount": len(self._directory.people()),
        }
        return Answer(200, team)

    async def _channels(self, request: web.Request, _body: Activity) -> Answer:
        self._channel(request.match_info["conversation_id"])
        # Teams gives General no name in this list.
        general, *others = self._directory.channels()
        channels = [{"id": general.conversation_id, "channelType": "standard"}]
        channels += [{"id": one.conversation_id, "name": one.name, "channelType": "standard"} for one in others]
        return Answer(200, {"conversations": channels})

    def _conversation(self, request: web.Request) -> tuple[Place, str]:
        """The place and the id asked for, which may be a thread that exists. Raises: Refusal."""
        conversation_id = request.match_info["conversation_id"]
        place = self._channel_or_chat(conversation_id)
        root = thread_root_id(conversation_id)
        if root is not None and self._history.find(conversation_id, root) is None:
            raise Refusal("ConversationNotFound", "Conversation not found.")
        return place, conversation_id

    def _channel_or_chat(self, conversation_id: str) -> Place:
        try:
            place = self._directory.place(conversation_id)
        except NotThere as nowhere:
            raise Refusal("ConversationNotFound", "Conversation not found.") from nowhere
        if place.conversation_id != base_conversation_id(conversation_id):
            raise Refusal("ConversationNotFound", "Conversation not found.")
        return place

    def _channel(self, conversation_id: str) -> Place:
        place = self._channel_or_chat(conversation_id)
        if place.kind != "channel":
            raise Refusal("BadArgument", "Cannot find team or channel with provided id")
        return place

    def _own_message(self, request: web.Request) -> Message:
        """The bot's message that an edit or deletion names. Raises: Refusal."""
        conversation_id = request.match_info["conversation_id"]
        self._channel_or_chat(conversation_id)
        message = self._history.find(conversation_id, request.match_info["activity_id"])
        if message is None:
            raise Refusal("ActivityNotFoundInConversation", "Message does not exist in the thread.")
        if message.sender != BOT:
            raise Refusal("NotEnoughPermissions", "Not enough permissions to perform this operation")
        return message

    def _find_person(self, member_id: str) -> Person | None:
        """By Teams user id or Entra object id, nothing else."""
        people = self._directory.people()
        return next((one for one in people if member_id in {one.object_id, self._directory.user_id(one)}), None)


async def _read_body(request: web.Request) -> Activity:
    """The JSON object of a request, {} if it has no body. Raises: Refusal (too big, or not an object)."""
    text = await request.text()
    if len(text.encode("utf-16-le")) > MAX_MESSAGE_BYTES:
        raise Refusal("MessageSizeTooBig", "Message size too large.")
    try:
        body = json.loads(text) if text else {}
    except json.JSONDecodeError as fault:
        raise Refusal("BadSyntax", "Bad format of the request body") from fault
    if not isinstance(body, dict):
        raise Refusal("BadSyntax", "An object was expected")
    return body


def _split(activity: Activity) -> list[Activity]:
    """The messages Teams makes of one activity: text beside a card becomes a message of its own. Raises: Refusal."""
    text, attachments = activity.get("text"), activity.get("attachments")
    if not text and not attachments:
        raise Refusal("BadSyntax", "Activity must include non empty 'text' field or at least 1 attachment")
    if not (text and attachments):
        return [activity]
    only_text = {key: value for key, value in activity.items() if key != "attachments"}
    only_card = {key: value for key, value in activity.items() if key not in {"text", "textFormat"}}
    return [only_text, only_card]


def _channel_wanted(body: Activity) -> str | None:
    """The channel in which a new conversation is to begin, None for a personal chat."""
    return _dig(body, "channelData", "channel", "id")


def _dig(body: Any, *keys: str) -> Any:
    for key in keys:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def _whole_number(text: str | None, default: int, refusal: str) -> int:
    if not text:
        return default
    if not text.isdecimal():
        raise Refusal("BadArgument", refusal)
    return int(text)
