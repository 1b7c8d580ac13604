"""
The two pages of a fresh sign-in: `GET /step-up/<state>` sends the browser to Entra, `GET /step-up/callback` takes it
back.

They need no token: the state in the address is one. Nothing that comes with a request is shown or logged.
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from cards.language import Words, best_language
from services.cases import Text, say
from services.errors import SignInRefused
from services.sign_in import SIGN_IN_CALLBACK, STATE_LIVES
from services.step_up import Returned, StepUps, cookie_of

log = structlog.get_logger()

PATH = "/step-up"
#: The pages are plain text with a headline: nothing may be loaded, run, framed or kept.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
#: Reasons that are nobody's fault and may be gone the next time.
_PASSING = frozenset({"unavailable"})


def sign_in_address(public_url: str, state: str) -> str:
    """What the button on the card opens."""
    return f"{public_url}{PATH}/{state}"


class StepUpPages:
    """`public_url` is where browsers reach the bot, without a slash at its end."""

    def __init__(self, step_ups: StepUps, *, public_url: str, language: str) -> None:
        self._step_ups = step_ups
        self._language = language
        self._is_secure = public_url.lower().startswith("https://")
        self._cookie_path = f"{urlsplit(public_url).path}{PATH}"

    def add_routes(self, application: web.Application) -> None:
        # Something that only wants the headers must not use a sign-in up.
        application.router.add_get(SIGN_IN_CALLBACK, self.callback, allow_head=False)
        application.router.add_get(f"{PATH}/{{state}}", self.start, allow_head=False)

    async def start(self, request: web.Request) -> web.Response:
        """On to Entra, with a secret that this browser keeps until it comes back."""
        state = request.match_info["state"]
        try:
            begun = await self._step_ups.begin(state)
        except SignInRefused as refused:
            return self._refusal(request, refused)
        response = web.Response(status=302, headers={**_HEADERS, "Location": begun.address})
        response.set_cookie(
            begun.cookie,
            begun.secret,
            max_age=int(STATE_LIVES.total_seconds()),
            path=self._cookie_path,
            httponly=True,
            secure=self._is_secure,
            samesite="Lax",  # Entra sends the browser back by a link, which a stricter cookie would not go along with
        )
        return response

    async def callback(self, request: web.Request) -> web.Response:
        """The proof, or why there is none."""
        query = request.query
        state = query.get("state", "")
        cookie = cookie_of(state)
        returned = Returned(state, request.cookies.get(cookie, ""), query.get("code", ""), query.get("error", ""))
        try:
            proven = await self._step_ups.finish(returned)
        except SignInRefused as refused:
            response = self._refusal(request, refused)
        else:
            log.info("sign_in_proven", case_id=proven.case_id, user_oid=proven.by.user_oid)
            who = say("step_up.done.body", who=proven.by.name, case_id=proven.case_id)
            response = _page(200, proven.language, say("step_up.done.title"), who, say("step_up.done.next"))
        response.del_cookie(cookie, path=self._cookie_path)
        return response

    def _refusal(self, request: web.Request, refused: SignInRefused) -> web.Response:
        log.info("sign_in_refused", reason=refused.reason)
        language = refused.params.get("language")
        known = language if isinstance(language, str) else _browser_language(request, self._language)
        status = 503 if refused.reason in _PASSING else 400
        return _page(
            status, known, say("step_up.refused.title"), say(f"step_up.refused.{refused.reason}"), say("step_up.again")
        )


def _browser_language(request: web.Request, otherwise: str) -> str:
    """The language that the browser likes best, for somebody of whom nothing else is known."""
    first = request.headers.get("Accept-Language", "").partition(",")[0].partition(";")[0].strip()
    return best_language(first or None, otherwise)


def _page(status: int, language: str, title: Text, *lines: Text) -> web.Response:
    words = Words(language)
    headline = escape(words.plain(title))
    body = "".join(f"<p>{escape(words.plain(line))}</p>" for line in lines)
    html = (
        f'<!doctype html><html lang="{escape(words.language)}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{headline}</title></head>'
        f"<body><main><h1>{headline}</h1>{body}</main></body></html>"
    )
    return web.Response(status=status, text=html, content_type="text/html", charset="utf-8", headers=_HEADERS)
