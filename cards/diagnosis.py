"""
Why mail does not leave, as a card: what it is on top, then who can lift it and when, then what shows it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cards.views import Button, CausePart, DiagnosisView, Form, Tone
from services.cases import Cause, CauseKind, Certainty, Diagnosis, Lifter, Subject, Text, say

#: How much evidence is shown for one cause, and for how many causes.
MAX_EVIDENCE = 10
MAX_CAUSES = 4
#: How many connectors have a button.
MAX_CONNECTORS = 3

#: Ids of connectors are GUIDs; whatever else stands there is no title for a button.
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

_TONES: Mapping[Lifter, Tone] = {
    Lifter.ADMIN: Tone.ATTENTION,
    Lifter.MICROSOFT: Tone.ATTENTION,
    Lifter.TIME: Tone.WARNING,
    Lifter.SETTING: Tone.WARNING,
    # Not green: that nothing was found is no proof that nothing is there.
    Lifter.NOBODY: Tone.NEUTRAL,
}


def diagnosis(found: Diagnosis, subject: Subject | None = None) -> DiagnosisView:
    """The answer to `why`; without a subject it is about the report alone."""
    first = found.causes[0]
    return DiagnosisView(
        headline=_what(first),
        tone=_TONES[first.lifter] if first.certainty is Certainty.SEEN else Tone.WARNING,
        about=_about(subject),
        causes=tuple(_part(cause, subject, with_label=cause is not first) for cause in found.causes[:MAX_CAUSES]),
        unread=found.unread,
        unread_title=say("diagnosis.unread_title"),
        form=_form(found, subject),
    )


def cause_lines(found: Diagnosis) -> tuple[Text, ...]:
    """The same in a few lines for the facts of a checklist: each cause with who can lift it, and what was not read."""
    lines = [say("diagnosis.line", what=_what(cause), lift=_lift(cause)) for cause in found.causes[:MAX_CAUSES]]
    unread = [say("diagnosis.unread_among", items=list(found.unread))] if found.unread else []
    return (*lines, *unread)


def _about(subject: Subject | None) -> Text:
    if subject is None:
        return say("diagnosis.about_report")
    return say("diagnosis.about", name=subject.display_name or subject.upn, upn=subject.upn)


def _part(cause: Cause, subject: Subject | None, *, with_label: bool) -> CausePart:
    """The headline says already what the first one is. Of a code that is no block, what it is about comes first."""
    next_step, *evidence = (_next(cause, subject), *cause.evidence)
    if cause.kind is CauseKind.OTHER and cause.lifter is not Lifter.MICROSOFT and evidence:
        next_step, *evidence = evidence
    return CausePart(
        label=_what(cause) if with_label else None,
        lift=_lift(cause),
        since=say("diagnosis.since", at=cause.since) if cause.since else None,
        next_step=next_step,
        evidence=tuple(evidence[:MAX_EVIDENCE]),
    )


def _what(cause: Cause) -> Text:
    """What it is. Of a code that is told from its number alone, whether Microsoft has to lift it."""
    if cause.kind is CauseKind.OTHER:
        banned = ".banned" if cause.lifter is Lifter.MICROSOFT else ""
        return say(f"cause.other{banned}", code=cause.code)
    return say(f"cause.{cause.kind.value}.{cause.certainty.value}")


def _lift(cause: Cause) -> Text:
    """Who can lift it, and when it ends."""
    if cause.ends_at is not None:
        return say("lifter.time.at", at=cause.ends_at)
    if cause.kind is CauseKind.NONE and cause.certainty is not Certainty.SEEN:
        return say("lifter.nobody.unsure")
    usually = "time.soon" if cause.lifter is Lifter.TIME else cause.lifter.value
    return say(f"lifter.{_LIFTED.get((cause.lifter, cause.kind), usually)}")


#: Where it is said in another way than for other kinds: what ends by itself does so when enough mail is longer ago than
#: 24 hours, or some time after an unblock.
_LIFTED: Mapping[tuple[Lifter, CauseKind], str] = {
    (Lifter.ADMIN, CauseKind.CONNECTOR): "admin.connector",
    (Lifter.SETTING, CauseKind.OTHER): "setting.other",
    (Lifter.NOBODY, CauseKind.OTHER): "nobody.other",
    (Lifter.TIME, CauseKind.RECIPIENT_RATE): "time.window",
    (Lifter.TIME, CauseKind.TENANT_LIMIT): "time.window",
    (Lifter.TIME, CauseKind.RESTRICTED): "time.unblocked",
    (Lifter.TIME, CauseKind.CONNECTOR): "time.unblocked",
}


def _next(cause: Cause, subject: Subject | None) -> Text:
    """What to do now."""
    return say(_next_key(cause, subject), account=subject.upn if subject else say("diagnosis.any_account"))


def _next_key(cause: Cause, subject: Subject | None) -> str:
    if cause.kind is CauseKind.OTHER:
        return "cause.other.banned.next"
    if cause.kind is CauseKind.RESTRICTED and cause.certainty is Certainty.POSSIBLE:
        return "cause.restricted.possible.next"
    if cause.kind is CauseKind.RESTRICTED and subject is not None:
        return "cause.restricted.start.next"
    if cause.kind is CauseKind.CONNECTOR and cause.lifter is Lifter.TIME:
        return "cause.connector.gone.next"
    return f"cause.{cause.kind.value}.next"


def _form(found: Diagnosis, subject: Subject | None) -> Form | None:
    """What the bot can do about it: the whole job for an account on the list, an approval for a connector."""
    buttons: list[Button] = []
    listed = (c.kind is CauseKind.RESTRICTED and c.lifter is Lifter.ADMIN for c in found.causes)
    if subject is not None and any(listed):
        buttons.append(Button("start", say("button.start"), {"query": subject.upn}, "positive"))
    connectors = [name for cause in found.causes for name in cause.connectors if _ID.fullmatch(name)][:MAX_CONNECTORS]
    for connector in connectors:
        named = say("button.unblock_connector", connector=connector)
        title = named if len(connectors) > 1 else say("button.unblock_the_connector")
        buttons.append(Button("unblock_connector", title, {"connector": connector}))
    return Form(buttons=tuple(buttons)) if buttons else None
