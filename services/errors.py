"""
Everything that can go wrong, as one tree. This module imports nothing of ours.

BotError
  x UserError             the person can do something about it; shown on a card
    + NotAllowed          who asked may not do this
    + AlreadyDecided      somebody was first; the answer is the current card
    + PromptOutdated      the card that was pressed no longer says what is true
    + CaseNotFound        no case, or none that is open, for what was named
    + AlertNotFound       no alert for what was named
    + AlertOver           what the alert is about is over, or is nothing that could be started
    + NoOpenAlert         there is no open alert about what was named
    + SeveralAlerts       what was named fits alerts about several things
    + BadDuration         a time that is none, or is too long
    + WrongState          the case is not where this order makes sense
    + BadInput            a command or a card field that cannot be understood
      + CheckedByBot      a prevention item that was ticked although the bot reads it
    + RemindedLately      the approvers were reminded a moment ago
    + NoOpenQuestion      a case was to be decided that asks nothing
    + SeveralQuestions    a case was to be decided by text that asks more than one thing
    + NothingToUndo       nothing was changed that could be put back
    + NothingToFix        the setting is already as it should be
    + BadOwner            a prevention item cannot be given to whoever was named
    + BadDate             a date that is none, or is over
    + StepUpNeeded        this approval counts only after a fresh sign-in (case_id, prompt_id)
    + SignInRefused       a sign-in in the browser that proves nothing
    + NotHere             something for one person's eyes was asked for where others read along
  x ServiceError          somebody else's system; retried or shown as "could not be read", never raw
    + Throttled           asked to wait (retry_after_s, None when the service did not say)
    + Unavailable         no answer, a 5xx or a broken connection; it may have happened or not
    + PermissionMissing   our app lacks a permission or a role
    + LicenceMissing      the tenant has not bought the feature
    + NotFound            the thing does not exist there
    + Rejected            the service understood and said no
    + BrokenAnswer        an answer that we cannot read
  x SettingsError         at start-up only; names the setting
  x PlanChanged           the stored plan is not the one that was approved; nothing of it runs
  x StoreError            the database
    + StaleVersion        the row has moved on since it was read
    + AuditBroken         the audit chain does not hold
"""

from __future__ import annotations


class BotError(Exception):
    """The root. `key` names a text; the words are chosen when it is shown, in the reader's language."""

    key = "error.unexpected"

    def __init__(self, **params: object) -> None:
        super().__init__(self.key, params)
        self.params = params

    def __reduce__(self) -> tuple[object, ...]:
        """Errors survive being stored by DBOS, whatever arguments their class takes."""
        return _restored, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"{self.key} ({details})" if details else self.key


def _restored(kind: type[BotError], arguments: tuple[object, ...], fields: dict[str, object]) -> BotError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(fields)
    return error


class UserError(BotError):
    """The person who asked can do something about it."""

    key = "error.user"


class NotAllowed(UserError):
    """Who asked may not do this. `reason` is one of the keys `refusal.*` without the prefix."""

    key = "error.not_allowed"

    def __init__(self, reason: str, **params: object) -> None:
        super().__init__(reason=reason, **params)
        self.reason = reason


class AlreadyDecided(UserError):
    """The prompt was decided before; the current card says by whom."""

    key = "error.already_decided"


class PromptOutdated(UserError):
    """The card that was pressed belongs to a prompt that was replaced, cancelled or has expired."""

    key = "error.prompt_outdated"


class CaseNotFound(UserError):
    """There is no case for what was named."""

    key = "error.case_not_found"


class AlertNotFound(UserError):
    """There is no alert for what was named."""

    key = "error.alert_not_found"


class AlertOver(UserError):
    """What the alert is about is over, or there is nothing that could be started about it."""

    key = "error.alert_over"


class NoOpenAlert(UserError):
    """There is no open alert about what was named (`query`)."""

    key = "error.no_open_alert"


class SeveralAlerts(UserError):
    """What was named (`query`) fits alerts about several things (`names`)."""

    key = "error.several_alerts"


class BadDuration(UserError):
    """A time to put an alert off for that is none, or is too long (`hours`)."""

    key = "error.bad_duration"


class WrongState(UserError):
    """The case is in a state in which this order makes no sense."""

    key = "error.wrong_state"


class BadInput(UserError):
    """A command or a field of a card that cannot be understood."""

    key = "error.bad_input"


class CheckedByBot(BadInput):
    """A prevention item that the bot reads itself, so that nobody's word can settle it."""

    key = "error.checked_by_bot"


class RemindedLately(UserError):
    """The approvers were reminded a moment ago; more often would only teach them to look away."""

    key = "error.reminded_lately"


class NoOpenQuestion(UserError):
    """The case asks nothing of anybody."""

    key = "error.no_open_question"


class SeveralQuestions(UserError):
    """The case asks several things, so a text does not say which one is answered."""

    key = "error.several_questions"


class NothingToUndo(UserError):
    """The case has changed nothing that could be put back, or has put it back already."""

    key = "error.nothing_to_undo"


class NothingToFix(UserError):
    """The setting is already as it should be, so there is nothing to change."""

    key = "error.nothing_to_fix"


class BadOwner(UserError):
    """A prevention item cannot be given to this person. `reason` is a key `bad_owner.*` without the prefix."""

    key = "error.bad_owner"

    def __init__(self, reason: str, **params: object) -> None:
        super().__init__(reason=reason, **params)
        self.reason = reason


class BadDate(UserError):
    """What was given as a date is none, or is over."""

    key = "error.bad_date"


class NotHere(UserError):
    """Something that is for one person's eyes was asked for where others may read along."""

    key = "error.not_here"


class StepUpNeeded(UserError):
    """The approval counts only when its approver has signed in lately. `case_id` and `prompt_id` say for what."""

    key = "error.step_up_needed"


class SignInRefused(UserError):
    """
    A sign-in in the browser that proves nothing. `reason` is one of the keys `step_up.refused.*` without the prefix,
    `what` a word for our records, `language` that of the person as far as it is known.
    """

    key = "error.sign_in_refused"

    def __init__(self, reason: str, **params: object) -> None:
        super().__init__(reason=reason, **params)
        self.reason = reason


class PlanChanged(BotError):
    """The stored plan is not the one that somebody has approved, so nothing of it may run."""

    key = "error.plan_changed"


class ServiceError(BotError):
    """Somebody else's system. `service` is one of graph, exchange, entra, teams, pagerduty, opsgenie."""

    key = "error.service"

    def __init__(self, service: str, **params: object) -> None:
        super().__init__(service=service, **params)
        self.service = service


class Throttled(ServiceError):
    """Asked to wait. `retry_after_s` is None when the service did not say for how long."""

    key = "error.throttled"

    def __init__(self, service: str, retry_after_s: float | None = None, **params: object) -> None:
        super().__init__(service, retry_after_s=retry_after_s, **params)
        self.retry_after_s = retry_after_s


class Unavailable(ServiceError):
    """No answer, a 5xx or a broken connection: the call may have happened or not."""

    key = "error.unavailable"


class PermissionMissing(ServiceError):
    """The app lacks a permission or a role, or the target is above what the app may change."""

    key = "error.permission_missing"


class LicenceMissing(ServiceError):
    """The tenant has no licence for this feature: not readable, which is no good news and no fault."""

    key = "error.licence_missing"


class NotFound(ServiceError):
    """The thing does not exist there."""

    key = "error.not_found"


class Rejected(ServiceError):
    """The service understood and said no. `code` is its own word for it, `detail` a sentence without server names."""

    key = "error.rejected"

    def __init__(self, service: str, code: str = "", detail: str = "", **params: object) -> None:
        super().__init__(service, code=code, detail=detail, **params)
        self.code = code
        self.detail = detail


class BrokenAnswer(ServiceError):
    """An answer that is not what the service documents: broken JSON, a missing field."""

    key = "error.broken_answer"


class SettingsError(BotError):
    """Settings that cannot be used: one (name, sentence) for each, names as in `unblock.toml`."""

    key = "error.settings"

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__(problems=problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(f"{setting}: {problem}" for setting, problem in self.problems)


class StoreError(BotError):
    """The database could not do what was asked."""

    key = "error.store"


class StaleVersion(StoreError):
    """The row has moved on since it was read; read it again and decide anew."""

    key = "error.stale_version"


class AuditBroken(StoreError):
    """An entry of the audit trail was changed, removed or put in. `seq` is the first one that does not hold."""

    key = "error.audit_broken"
