"""
The peer: an echo bot on the bot SDK's CloudAdapter with its default wiring.

botbuilder-integration-aiohttp is no requirement of ours, so the few lines that it puts around the adapter are here.
Where it stumbles (it serialises the answer to an invoke twice, so that a click becomes a 500), ours here does not: the
peer is measured as it would be after that was mended. Two more things are in its favour: MSAL is spared the question to
the public cloud whether it knows this login server (it must not be asked from here), and the parts have one setting
each for the login and the keys of the loopback tenant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from botbuilder.core import ActivityHandler, CloudAdapterBase, InvokeResponse, TurnContext
from botbuilder.schema import Activity
from botframework.connector.auth import BotFrameworkAuthenticationFactory, PasswordServiceClientCredentialFactory
from botframework.connector.auth.microsoft_app_credentials import MicrosoftAppCredentials
from msal import ConfidentialClientApplication

from tests.benchmarks.echo import CARD_ANSWER


class Credentials(MicrosoftAppCredentials):
    """The SDK's own, with an MSAL client that stays on this machine. As in the SDK, one is made for every turn."""

    def get_access_token(self, force_refresh: bool = False) -> str:
        if self.app is None:
            self.app = ConfidentialClientApplication(
                client_id=self.microsoft_app_id,
                client_credential=self.microsoft_app_password,
                authority=self.oauth_endpoint,
                instance_discovery=False,
            )
        return super().get_access_token(force_refresh)


class CredentialFactory(PasswordServiceClientCredentialFactory):
    """Makes these credentials, one for every turn as the SDK's own does."""

    async def create_credentials(
        self, app_id: str, oauth_scope: str, login_endpoint: str, validate_authority: bool
    ) -> Credentials:
        credentials = Credentials(app_id, self.password, self.tenant_id, oauth_scope)
        credentials.oauth_endpoint = login_endpoint
        return credentials


class Echo(ActivityHandler):
    """Says what it hears; answers a click with a card."""

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await turn_context.send_activity(turn_context.activity.text)

    async def on_invoke_activity(self, turn_context: TurnContext) -> InvokeResponse:
        return InvokeResponse(status=200, body=CARD_ANSWER)


@asynccontextmanager
async def handler(settings: dict[str, str]) -> AsyncIterator[Callable[[web.Request], Awaitable[web.Response]]]:
    """The handler of POST /api/messages."""
    authentication = BotFrameworkAuthenticationFactory.create(
        to_channel_from_bot_login_url=f"{settings['login_url']}/{settings['tenant_id']}",
        to_channel_from_bot_oauth_scope="https://api.botframework.com",
        to_bot_from_channel_token_issuer="https://api.botframework.com",
        oauth_url=settings["login_url"],
        to_bot_from_channel_open_id_metadata_url=settings["bot_openid_url"],
        to_bot_from_emulator_open_id_metadata_url=settings["bot_openid_url"],
        credential_factory=CredentialFactory(settings["app_id"], settings["app_secret"], settings["tenant_id"]),
    )
    adapter, echo = CloudAdapterBase(authentication), Echo()

    async def handle(request: web.Request) -> web.Response:
        activity = Activity().deserialize(await request.json())
        authorization = request.headers.get("Authorization", "")
        outcome = await adapter.process_activity(authorization, activity, echo.on_turn)
        if outcome:
            return web.json_response(outcome.body, status=outcome.status)
        return web.Response(status=201)

    yield handle
