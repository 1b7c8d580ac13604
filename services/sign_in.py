"""The noun of a stronger identity: an approver who is asked to sign in again for one prompt, and the proof of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.cases import Actor, Value

#: Where Entra sends the browser back to, below `public_url`.
SIGN_IN_CALLBACK = "/step-up/callback"
#: How long one may take from the click to the end of the sign-in.
STATE_LIVES = timedelta(minutes=5)
#: Longer than any proof can count: the policy lets a sign-in be a week old at most.
SIGN_INS_KEPT = timedelta(days=8)


class SignIn(Value):
    """One time that somebody is asked; it counts for this person and this prompt alone."""

    #: SHA-256 of the one-time state that goes through the browser.
    state_hash: str
    case_id: str
    prompt_id: str
    by: Actor
    #: How long ago they may have signed in, in seconds.
    max_age_s: float
    #: In which language the browser speaks with them.
    language: str
    asked_at: datetime
    #: When they last signed in, as Entra says; None until that is proven.
    signed_in_at: datetime | None = None

    @property
    def expires_at(self) -> datetime:
        """Until when the browser may come back."""
        return self.asked_at + STATE_LIVES

    @property
    def counts_until(self) -> datetime | None:
        """When the proof is over; None while there is none."""
        return self.signed_in_at + timedelta(seconds=self.max_age_s) if self.signed_in_at is not None else None

    def counts(self, now: datetime) -> bool:
        """Whether there is a proof, and it is fresh enough."""
        return self.counts_until is not None and now < self.counts_until
