"""
What the bot must be allowed to do, as data: what each permission is for and what stops working without it.

Read by `app.py doctor`, and the README's table is made from it: `python -m services.permissions` prints it.
Sources: Microsoft's permission reference for Graph, 2026-08-07, for the least permission of each call; "App-only
authentication in Exchange Online PowerShell", 2026-03-11, for Exchange.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

GRAPH = "Microsoft Graph"
EXCHANGE = "Office 365 Exchange Online"


@dataclass(frozen=True)
class Permission:
    """One application permission; all of them need an administrator's consent."""

    name: str
    what_for: str
    #: What stops working while it is missing, as a sentence.
    without_it: str
    #: Whether an account cannot be unblocked without it, or a compromised one cannot be contained.
    essential: bool = False
    #: Wider permissions that do as well.
    or_instead: tuple[str, ...] = ()
    resource: str = GRAPH

    def is_among(self, granted: Collection[str]) -> bool:
        """Whether this permission, or a wider one, is among the granted ones."""
        return any(name in granted for name in (self.name, *self.or_instead))


#: Needed only where the settings name Teams Shifts.
SHIFTS_PERMISSION = "Schedule.Read.All"
_ALL_OF_DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")

GRAPH_PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        "User.Read.All",
        "finding the account; knowing who asks and who approves",
        "Nobody is recognised, so nobody may do anything.",
        essential=True,
        or_instead=("User.ReadWrite.All", *_ALL_OF_DIRECTORY),
    ),
    Permission(
        "User.RevokeSessions.All",
        "ending all sessions of a compromised account",
        "A compromised account cannot be contained, so it stays blocked.",
        essential=True,
        or_instead=("User.ReadWrite.All",),
    ),
    Permission(
        "User-PasswordProfile.ReadWrite.All",
        "resetting the password of a compromised account (not of one with an admin role: a person with a higher role "
        "must do that)",
        "A compromised account cannot be contained, so it stays blocked.",
        essential=True,
    ),
    Permission(
        "MailboxSettings.ReadWrite",
        "reading inbox rules and switching off bad ones",
        "Rules that forward or hide mail cannot be switched off, so a compromised account with such rules stays "
        "blocked.",
        essential=True,
    ),
    Permission(
        "DelegatedPermissionGrant.ReadWrite.All",
        "taking away the consent that an attacker gave to an app",
        "A compromised account with such a consent cannot be contained, so it stays blocked.",
        essential=True,
    ),
    Permission(
        "User.EnableDisableAccount.All",
        "blocking sign-in while the account is looked into, if the approver ticks it",
        "Sign-in stays open until sessions are ended and the password is reset; a person must block it.",
        or_instead=("User.ReadWrite.All",),
    ),
    Permission(
        "UserAuthenticationMethod.ReadWrite.All",
        "removing sign-in methods that an attacker registered; a Temporary Access Pass for the owner",
        "The attacker's methods stay until a person removes them, and the owner gets in by other ways.",
    ),
    Permission(
        "RoleManagement.ReadWrite.Directory",
        "taking away admin roles that the account got lately, and giving them back",
        "Admin roles stay until a person takes them away.",
    ),
    Permission(
        "AppRoleAssignment.ReadWrite.All",
        "taking away apps that were given to the account, and giving them back",
        "Such apps stay until a person takes them away.",
    ),
    Permission(
        "IdentityRiskyUser.ReadWrite.All",
        "telling Microsoft that the account is compromised (Entra ID P2)",
        "Microsoft's own protection does not learn of it.",
    ),
    Permission(
        "Directory.Read.All",
        "reading which apps and devices belong to the account, and which domains are federated",
        "Apps and devices cannot be read, so the verdict is less complete, and taking an app away cannot be proven.",
        or_instead=("Directory.ReadWrite.All",),
    ),
    Permission(
        "Application.Read.All",
        "naming the apps behind the consents, and their publishers; when our own client secret ends",
        "Suspicious apps cannot be told from others, and nobody is warned before the client secret ends.",
        or_instead=("Application.ReadWrite.All", *_ALL_OF_DIRECTORY),
    ),
    Permission(
        "GroupMember.Read.All",
        "groups in requesters, approvers, admins, approvals and oncall",
        "A group in these settings counts as nobody.",
        or_instead=("Group.Read.All", "Group.ReadWrite.All", *_ALL_OF_DIRECTORY),
    ),
    Permission(
        "AuditLog.Read.All",
        "sign-ins (Entra ID P1), recent changes to the account, registration for multifactor authentication",
        "Sign-ins and changes cannot be read, so the verdict is less complete.",
    ),
    Permission(
        "AuditLogsQuery-Exchange.Read.All",
        "what was done in the mailbox: deleted messages, rules, rights of others",
        "These changes cannot be read, so the verdict is less complete.",
        or_instead=("AuditLogsQuery.Read.All",),
    ),
    Permission(
        "ExchangeMessageTrace.Read.All",
        "what the account has sent, by the message trace; whether mail flows again after the unblock; the early "
        "warning",
        "What was sent cannot be read, so the verdict is less complete, nobody learns that mail flows, and nobody is "
        "warned early.",
    ),
    Permission(
        "Mail.ReadBasic.All",
        "subjects and recipients in Sent Items and Deleted Items, never the text of a message",
        "These folders cannot be read, so the verdict is less complete.",
        or_instead=("Mail.Read", "Mail.ReadWrite"),
    ),
    Permission(
        "SecurityAlert.Read.All",
        "alerts of Microsoft Defender about the account, and about anybody whose mail it suspects",
        "Alerts cannot be read, so the verdict is less complete, and what Defender suspects goes unnoticed.",
        or_instead=("SecurityAlert.ReadWrite.All",),
    ),
    Permission(
        "IdentityRiskyUser.Read.All",
        "the risk that Microsoft sees in the account, and whose mail the early warning counts (Entra ID P2)",
        "The risk state cannot be read: the verdict is less complete, and the own risk of approvers goes unchecked.",
        or_instead=("IdentityRiskyUser.ReadWrite.All",),
    ),
    Permission(
        "IdentityRiskEvent.Read.All",
        "what that risk is made of (Entra ID P2)",
        "Risk detections cannot be read, so the verdict is less complete.",
        or_instead=("IdentityRiskEvent.ReadWrite.All",),
    ),
    Permission(
        "UserAuthenticationMethod.Read.All",
        "sign-in methods that were added lately",
        "A method that an attacker added goes unseen, so the verdict is less complete.",
        or_instead=("UserAuthenticationMethod.ReadWrite.All",),
    ),
    Permission(
        "RoleManagement.Read.Directory",
        "saying that an account holds an admin role, or may activate one, for protected.admins too",
        "When Microsoft refuses to change an administrator, the bot cannot say that this is the reason; with "
        "protected.admins every account counts as one.",
        or_instead=("RoleManagement.ReadWrite.Directory",),
    ),
    Permission(
        "Policy.Read.All",
        "security defaults and Conditional Access, for the prevention list",
        "These points of the prevention list stay unknown.",
    ),
    Permission(
        "SecurityEvents.Read.All",
        "Secure Score, for the prevention list and its picture",
        "This point of the prevention list stays unknown, and its picture empty.",
        or_instead=("SecurityEvents.ReadWrite.All",),
    ),
    Permission(
        SHIFTS_PERMISSION,
        "who is on shift, only when oncall names Teams Shifts as a source",
        "Nobody learns from Teams Shifts who is on call, so the next source is asked.",
        or_instead=("Schedule.ReadWrite.All",),
    ),
)

EXCHANGE_PERMISSION = Permission(
    "Exchange.ManageAsApp",
    "everything in Exchange: the restricted list, unblocking, hidden inbox rules, forwarding, outbound policies",
    "Nothing can be unblocked.",
    essential=True,
    resource=EXCHANGE,
)
#: Not a permission but a role, which the permission is worth nothing without.
EXCHANGE_ROLE = Permission(
    "Exchange Administrator",
    "which cmdlets the app may run; instead of this Entra role, a role group of Exchange will do that holds the "
    "cmdlets Get-/Remove-BlockedSenderAddress, Get-/Remove-BlockedConnector, Get-InboundConnector, "
    "Get-/Disable-/Enable-InboxRule, Get-/Set-Mailbox, Get-/Set-CASMailbox, Get-/Add-/Remove-MailboxPermission, "
    "Get-/Add-/Remove-RecipientPermission, Get-/Add-/Set-/Remove-MailboxFolderPermission, "
    "Get-MailboxAuditBypassAssociation, Get-MailboxFolderStatistics, Get-MobileDeviceStatistics, "
    "Get-MailboxMessageConfiguration, Get-/Set-HostedOutboundSpamFilterPolicy, Get-HostedOutboundSpamFilterRule, "
    "Get-AdminAuditLogConfig, Get-/Set-OrganizationConfig, Get-TransportConfig",
    "Nothing can be unblocked. A reading role is not enough: it cannot even list inbox rules.",
    essential=True,
    resource="Entra role of the app",
)


def as_markdown() -> str:
    """The table for the README."""
    rows = [*GRAPH_PERMISSIONS, EXCHANGE_PERMISSION, EXCHANGE_ROLE]
    head = "| permission | of | what it is for | without it |\n| --- | --- | --- | --- |\n"
    return head + "".join(f"| `{p.name}` | {p.resource} | {p.what_for} | {p.without_it} |\n" for p in rows)


if __name__ == "__main__":
    print(as_markdown(), end="")
