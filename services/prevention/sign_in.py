"""
Who gets in, and how: what was read of Entra, judged. Pure.

Nothing is in place that was not seen to be so. A conditional access policy counts when it is enforced, for everybody or
for the people in question, whatever the place, the device or the risk.
Sources: "conditionalAccessPolicy resource type", 2025; "Security defaults in Microsoft Entra ID", 2025.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.cases import PreventionItem, PreventionState, UnknownReason, say
from services.clients.graph_models import AuthMethod, CaPolicy, Domain, MfaRegistration, SignIn
from services.errors import ServiceError
from services.investigation.unreadable import reason_of, why
from services.prevention.items import in_place, judged, not_in_place, unknown, unread, unsaid

#: How many Global Administrators there should be. Source: "Best practices for Microsoft Entra roles", 2025 (fewer than
#: five); one alone can lock the tenant out.
FEWEST_ADMINS, MOST_ADMINS = 2, 4
#: Id of the role in every tenant. Source: "Microsoft Entra built-in roles", 2025.
GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
#: Apps that no policy may leave out: all of Office 365, and Exchange Online.
_MAIL_APPS = frozenset({"office365", "00000002-0000-0ff1-ce00-000000000000"})
#: Ways to sign in that are a second factor, and those that are none: a Temporary Access Pass ends within hours. Source:
#: "authenticationMethod resource type", 2024.
_SECOND_FACTORS = frozenset(
    {
        "external",
        "fido2",
        "hardwareOath",
        "microsoftAuthenticator",
        "passwordlessMicrosoftAuthenticator",
        "phone",
        "platformCredential",
        "softwareOath",
        "windowsHelloForBusiness",
    }
)
_NO_SECOND_FACTORS = frozenset({"password", "email", "qrCodePin", "temporaryAccessPass"})
#: How many names are told.
_NAMED = 5


@dataclass(frozen=True)
class SignInRules:
    """What is asked of everybody who signs in; an error stands for what could not be read."""

    defaults_on: bool | ServiceError
    #: A tenant with security defaults on has none that are enforced.
    policies: tuple[CaPolicy, ...] | ServiceError

    def judged(self, item_id: str, judge: Callable[[Sequence[CaPolicy]], PreventionItem]) -> PreventionItem:
        """
        An item that security defaults or a policy can put in place: either is proof; open only when both were read.
        """
        if self.defaults_on is True:
            return in_place(item_id, "defaults")
        if isinstance(self.policies, ServiceError):
            return self._without_policies(item_id, self.policies)
        found = judge(self.policies)
        if isinstance(self.defaults_on, ServiceError) and found.state is not PreventionState.OK:
            return unread(item_id, self.defaults_on)
        return found

    def _without_policies(self, item_id: str, error: ServiceError) -> PreventionItem:
        if isinstance(self.defaults_on, ServiceError):
            return unread(item_id, error)
        return unknown(item_id, reason_of(error), say("prevention.defaults_off", why=why(error)))


# --- the account -----------------------------------------------------------------------------------------------------


def user_mfa(methods: Sequence[AuthMethod]) -> PreventionItem:
    """Whether a second factor is among the account's methods. Source: "List methods", 2024."""
    kinds = {method.kind for method in methods}
    if kinds & _SECOND_FACTORS:
        return in_place("user_mfa")
    return not_in_place("user_mfa") if kinds <= _NO_SECOND_FACTORS else unsaid("user_mfa")


def user_roles(roles: Sequence[str]) -> PreventionItem:
    """An account for everyday mail should hold no admin role. Source: "Best practices for Microsoft Entra roles"."""
    return not_in_place("user_roles", roles=list(roles)) if roles else in_place("user_roles")


# --- everybody -------------------------------------------------------------------------------------------------------


def mfa_everyone(rules: SignInRules) -> PreventionItem:
    """A second factor for everybody."""
    return rules.judged("mfa_everyone", lambda policies: _by_policy("mfa_everyone", policies, _asks_everybody))


def legacy_auth(rules: SignInRules) -> PreventionItem:
    """
    Whether clients that know no second factor are shut out for everybody.

    Source: "Block legacy authentication with Conditional Access", 2025; security defaults do it too.
    """
    return rules.judged("legacy_auth", lambda policies: _by_policy("legacy_auth", policies, _blocks_legacy))


def legacy_auth_by_use(found: PreventionItem, sign_ins: Sequence[SignIn]) -> PreventionItem:
    """The same when nothing is known to block such clients, and these sign-ins show that they get in."""
    if not sign_ins or found.state is PreventionState.OK:
        return found
    clients = sorted({sign_in.client_app or "?" for sign_in in sign_ins})
    return not_in_place("legacy_auth", "used", n=len(sign_ins), clients=clients)


def conditional_access(rules: SignInRules) -> PreventionItem:
    """Whether anything at all is asked of sign-ins. A policy that includes nobody asks nothing."""

    def judge(policies: Sequence[CaPolicy]) -> PreventionItem:
        n = sum(policy.enforced and _concerns_somebody(policy) for policy in policies)
        return in_place("conditional_access", n=n) if n else not_in_place("conditional_access")

    return rules.judged("conditional_access", judge)


def identity_protection(policies: Sequence[CaPolicy], scored: bool) -> PreventionItem:
    """
    Whether risk that Microsoft sees has consequences for everybody.

    `scored`: the Secure Score counts both risk policies as done, which is how the older ones show that Graph does not
    list. Source: "Configure and enable risk policies", 2025.
    """
    by_risk = any(policy.enforced and _acts_on_risk(policy) for policy in policies)
    return judged("identity_protection", by_risk or scored)


# --- administrators --------------------------------------------------------------------------------------------------


def admin_mfa(rules: SignInRules, admins: Sequence[MfaRegistration] | ServiceError) -> PreventionItem:
    """
    Whether every administrator is asked for a second factor and has registered one.

    The tenant always has an administrator, so an empty report says nothing.
    Source: "List userRegistrationDetails", 2025.
    """
    asked = rules.judged("admin_mfa", lambda policies: _by_policy("admin_mfa", policies, _asks_admins))
    if isinstance(admins, ServiceError):
        if asked.state is not PreventionState.OK:
            return asked
        return unknown("admin_mfa", reason_of(admins), say("prevention.admin_mfa.asked", why=why(admins)))
    without = [admin.upn or admin.user_oid for admin in admins if admin.is_mfa_registered is False]
    if without:
        return not_in_place("admin_mfa", "without", n=len(without), names=without[:_NAMED])
    all_said = bool(admins) and all(admin.is_mfa_registered is not None for admin in admins)
    if asked.state is PreventionState.OK and not all_said:
        return unsaid("admin_mfa")
    return asked


def few_admins(holders: Sequence[str]) -> PreventionItem:
    """
    Two to four Global Administrators. A group or an app that holds the role counts as one.

    None at all means that they hold it through PIM or not at this moment, of which nothing can be said.
    """
    n = len(set(holders))
    if not n:
        return unknown("few_admins", UnknownReason.NOT_APPLICABLE, say("prevention.few_admins.none_seen"))
    if FEWEST_ADMINS <= n <= MOST_ADMINS:
        return in_place("few_admins", n=n)
    return not_in_place("few_admins", "one" if n < FEWEST_ADMINS else "open", n=n)


def federated_accounts(is_synced: bool, domains: Sequence[Domain]) -> PreventionItem:
    """
    In place when Entra alone keeps the passwords; how strong another directory is, only a person can tell. Every tenant
    has a domain, so an empty list says nothing.

    Source: "Security roadmap", 2018-10-08; "domain resource type", 2025.
    """
    if not domains or any(domain.authentication is None for domain in domains):
        return unsaid("federated_accounts")
    federated = [d.name for d in domains if (d.authentication or "").casefold() != "managed"]
    if not is_synced and not federated:
        return in_place("federated_accounts")
    told = {"domains": federated[:_NAMED]} if federated else {}
    how = "federated" if federated else "synced"
    found = not_in_place("federated_accounts", how, **told)
    return found.model_copy(update={"state": PreventionState.TODO})


# --- what a policy does ----------------------------------------------------------------------------------------------


def _by_policy(item_id: str, policies: Sequence[CaPolicy], fits: Callable[[CaPolicy], bool]) -> PreventionItem:
    """Proven by the enforced policy that fits with the fewest exceptions; one that only reports proves nothing."""
    fitting = sorted((policy for policy in policies if fits(policy)), key=lambda policy: policy.exceptions)
    enforced = next((policy for policy in fitting if policy.enforced), None)
    if enforced is not None:
        how = "policy_with_exceptions" if enforced.exceptions else "policy"
        return in_place(item_id, how, policy=enforced.name, n=enforced.exceptions)
    reporting = next((policy for policy in fitting if policy.report_only), None)
    return not_in_place(item_id, "report_only", policy=reporting.name) if reporting else not_in_place(item_id)


def _asks_everybody(policy: CaPolicy) -> bool:
    return policy.for_everyone and _asks(policy)


def _asks_admins(policy: CaPolicy) -> bool:
    """Everybody, or at least the Global Administrators."""
    roles = {role.casefold() for role in policy.include_roles} - {role.casefold() for role in policy.exclude_roles}
    return _asks(policy) and (policy.for_everyone or GLOBAL_ADMINISTRATOR in roles)


def _asks(policy: CaPolicy) -> bool:
    """A second factor for every app and from every client, whatever the risk; and nothing else will do instead."""
    clients = {kind.casefold() for kind in policy.client_app_types}
    any_client = not clients or "all" in clients or {"browser", "mobileappsanddesktopclients"} <= clients
    alternatives = len(policy.grant_controls) > 1 and (policy.grant_operator or "").casefold() != "and"
    return policy.requires_mfa and not alternatives and any_client and _always(policy)


def _blocks_legacy(policy: CaPolicy) -> bool:
    return policy.blocks_legacy and policy.for_everyone and _always(policy)


def _always(policy: CaPolicy) -> bool:
    """For every app that has mail, under every condition."""
    by_risk = policy.user_risk_levels or policy.sign_in_risk_levels
    return _for_mail(policy) and not by_risk and not policy.narrowed_by


def _for_mail(policy: CaPolicy) -> bool:
    apps, left_out = _folded(policy.include_applications), _folded(policy.exclude_applications)
    return "all" in apps and not left_out & _MAIL_APPS


def _acts_on_risk(policy: CaPolicy) -> bool:
    acts = bool(policy.grant_controls) or policy.authentication_strength is not None
    by_risk = bool(policy.user_risk_levels or policy.sign_in_risk_levels)
    return acts and by_risk and policy.for_everyone and _for_mail(policy)


def _concerns_somebody(policy: CaPolicy) -> bool:
    people = _folded((*policy.include_users, *policy.include_groups, *policy.include_roles)) - {"none"}
    return bool(people) and _folded(policy.include_applications) != {"none"}


def _folded(names: Sequence[str]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)
