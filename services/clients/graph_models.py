"""
What Microsoft Graph says, in our words. Times are aware, in UTC; None means that Graph did not say.

Words such as risk levels and states are open sets that Microsoft adds to, so they stay text, spelled as they came.
Source of all field names: Microsoft's metadata of Graph v1.0, 2026-08-20.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, AliasPath, BeforeValidator, Field, SecretStr

from services.cases import Subject, Value
from services.clients.reading import (
    Id,
    MaybeFlag,
    MaybeMoment,
    MaybeNumber,
    MaybeText,
    MaybeWhole,
    Name,
    SmtpAddresses,
    Texts,
    Wire,
)


def _field(*names: str, default: Any = None) -> Any:
    """A field that Graph knows under one of these names; a slash leads into an object."""
    paths = [AliasPath(*name.split("/")) for name in names]
    return Field(default=default, validation_alias=AliasChoices(*paths))


def _must_have(name: str) -> Any:
    return Field(validation_alias=name)


class DirectoryUser(Wire):
    """A user of the directory."""

    oid: Id = _must_have("id")
    upn: Id = _must_have("userPrincipalName")
    display_name: Name = _field("displayName", default="")
    mail: MaybeText = _field("mail")
    #: Every mail address of the mailbox, the primary one included.
    aliases: SmtpAddresses = _field("proxyAddresses", default=())
    #: Addresses elsewhere that somebody noted down, the user perhaps; they prove nothing about who somebody is.
    other_mails: Texts = _field("otherMails", default=())
    account_enabled: MaybeFlag = _field("accountEnabled")
    #: "Member" or "Guest".
    user_type: MaybeText = _field("userType")
    #: Mastered on-premises; null and False both mean that it is not.
    is_synced: Annotated[bool, BeforeValidator(lambda value: value is True)] = _field(
        "onPremisesSyncEnabled", default=False
    )
    password_changed_at: MaybeMoment = _field("lastPasswordChangeDateTime")
    #: Sign-ins before this moment are void; what "revoke sessions" sets.
    sessions_valid_from: MaybeMoment = _field("signInSessionsValidFromDateTime")
    job_title: MaybeText = _field("jobTitle")
    department: MaybeText = _field("department")
    created_at: MaybeMoment = _field("createdDateTime")

    @property
    def is_guest(self) -> bool:
        return (self.user_type or "").casefold() == "guest" or "#ext#" in self.upn.casefold()

    @property
    def addresses(self) -> frozenset[str]:
        """Every name under which this mailbox sends or receives, casefolded."""
        return frozenset(name.casefold() for name in (self.upn, self.mail, *self.aliases) if name)

    def subject(self) -> Subject:
        """This user as the account that a case is about."""
        shared = self.model_dump(include=set(Subject.model_fields) - {"user_oid", "is_guest"})
        return Subject(user_oid=self.oid, is_guest=self.is_guest, **shared)


class RiskyUser(Wire):
    """What Entra ID Protection makes of a user."""

    user_oid: Id = _must_have("id")
    upn: MaybeText = _field("userPrincipalName")
    #: low, medium, high, hidden (not licensed to see it), none.
    risk_level: MaybeText = _field("riskLevel")
    #: none, confirmedSafe, remediated, dismissed, atRisk, confirmedCompromised.
    risk_state: MaybeText = _field("riskState")
    risk_detail: MaybeText = _field("riskDetail")
    updated_at: MaybeMoment = _field("riskLastUpdatedDateTime")
    is_deleted: MaybeFlag = _field("isDeleted")
    is_processing: MaybeFlag = _field("isProcessing")


class RiskDetection(Wire):
    """One thing that Entra ID Protection noticed."""

    detection_id: Id = _must_have("id")
    #: riskEventType, an open set: unfamiliarFeatures, anonymizedIPAddress, ...
    kind: MaybeText = _field("riskEventType")
    risk_level: MaybeText = _field("riskLevel")
    risk_state: MaybeText = _field("riskState")
    risk_detail: MaybeText = _field("riskDetail")
    source: MaybeText = _field("source")
    activity: MaybeText = _field("activity")
    ip_address: MaybeText = _field("ipAddress")
    city: MaybeText = _field("location/city")
    country: MaybeText = _field("location/countryOrRegion")
    at: MaybeMoment = _field("activityDateTime")
    detected_at: MaybeMoment = _field("detectedDateTime")
    #: What came as a string of JSON with keys and values, such as userAgent.
    info: dict[str, str] = Field(default_factory=dict)


class SignIn(Wire):
    """One sign-in, tried or done."""

    sign_in_id: Id = _must_have("id")
    at: MaybeMoment = _field("createdDateTime")
    user_oid: MaybeText = _field("userId")
    upn: MaybeText = _field("userPrincipalName")
    app_id: MaybeText = _field("appId")
    app_name: MaybeText = _field("appDisplayName")
    resource_name: MaybeText = _field("resourceDisplayName")
    ip_address: MaybeText = _field("ipAddress")
    city: MaybeText = _field("location/city")
    state: MaybeText = _field("location/state")
    #: Two letters, usually.
    country: MaybeText = _field("location/countryOrRegion")
    #: Degrees; null for addresses that nobody can place.
    latitude: MaybeNumber = _field("location/geoCoordinates/latitude")
    longitude: MaybeNumber = _field("location/geoCoordinates/longitude")
    #: Browser, Mobile Apps and Desktop clients, or a legacy protocol such as IMAP4 or Authenticated SMTP.
    client_app: MaybeText = _field("clientAppUsed")
    user_agent: MaybeText = _field("userAgent")
    browser: MaybeText = _field("deviceDetail/browser")
    operating_system: MaybeText = _field("deviceDetail/operatingSystem")
    device_name: MaybeText = _field("deviceDetail/displayName")
    is_managed: MaybeFlag = _field("deviceDetail/isManaged")
    is_compliant: MaybeFlag = _field("deviceDetail/isCompliant")
    #: 0 is success.
    error_code: MaybeWhole = _field("status/errorCode")
    failure_reason: MaybeText = _field("status/failureReason")
    ca_status: MaybeText = _field("conditionalAccessStatus")
    #: "hidden" when the tenant has no Entra ID P2.
    risk_level: MaybeText = _field("riskLevelDuringSignIn")
    risk_level_aggregated: MaybeText = _field("riskLevelAggregated")
    risk_state: MaybeText = _field("riskState")
    risk_detail: MaybeText = _field("riskDetail")
    risk_events: Texts = _field("riskEventTypes_v2", "riskEventTypes", default=())
    is_interactive: MaybeFlag = _field("isInteractive")

    @property
    def succeeded(self) -> bool | None:
        return None if self.error_code is None else self.error_code == 0

    @property
    def risk_hidden(self) -> bool:
        """Whether Graph holds the risk back for want of a licence, which says nothing about the risk."""
        return "hidden" in ((self.risk_level or "").casefold(), (self.risk_level_aggregated or "").casefold())


class MailRule(Wire):
    """A visible rule of the Inbox, as Graph shows it. Folders are ids here, not names."""

    rule_id: Id = _must_have("id")
    name: Name = _field("displayName", default="")
    sequence: MaybeWhole = _field("sequence")
    enabled: MaybeFlag = _field("isEnabled")
    read_only: MaybeFlag = _field("isReadOnly")
    has_error: MaybeFlag = _field("hasError")
    forward_to: tuple[str, ...] = ()
    forward_as_attachment_to: tuple[str, ...] = ()
    redirect_to: tuple[str, ...] = ()
    move_to_folder_id: MaybeText = None
    copy_to_folder_id: MaybeText = None
    delete: MaybeFlag = None
    permanent_delete: MaybeFlag = None
    mark_as_read: MaybeFlag = None
    stop_processing: MaybeFlag = None
    #: As Graph names them, such as subjectContains: ["invoice"]; those that are null or empty are left out.
    conditions: dict[str, Any] = Field(default_factory=dict)
    exceptions: dict[str, Any] = Field(default_factory=dict)

    @property
    def forwards_to(self) -> tuple[str, ...]:
        """Every address that mail goes out to."""
        return (*self.forward_to, *self.forward_as_attachment_to, *self.redirect_to)


class OAuthGrant(Wire):
    """What an app may do in the name of one person, or of everybody."""

    grant_id: Id = _must_have("id")
    #: Object id of the app's service principal, which is not its app id.
    client_sp_oid: Id = _must_have("clientId")
    #: "Principal" (one person) or "AllPrincipals" (an admin said yes for everybody).
    consent_type: MaybeText = _field("consentType")
    principal_oid: MaybeText = _field("principalId")
    resource_sp_oid: MaybeText = _field("resourceId")
    scopes: Annotated[tuple[str, ...], BeforeValidator(lambda value: _split_scopes(value))] = _field(
        "scope", default=()
    )

    @property
    def for_everyone(self) -> bool:
        return (self.consent_type or "").casefold() == "allprincipals"


def _split_scopes(value: Any) -> Any:
    """Graph sends scopes as one text, sometimes with a space in front."""
    return tuple(value.split()) if isinstance(value, str) else () if value is None else value


class ServicePrincipal(Wire):
    """An app as it is known in this tenant. Its names were chosen by whoever made it."""

    sp_oid: Id = _must_have("id")
    app_id: MaybeText = _field("appId")
    name: Name = _field("displayName", default="")
    publisher_name: MaybeText = _field("publisherName")
    #: Name that Microsoft has verified; None when it has verified nothing.
    verified_publisher: MaybeText = _field("verifiedPublisher/displayName")
    #: Tenant that the app comes from.
    owner_tenant_id: MaybeText = _field("appOwnerOrganizationId")
    created_at: MaybeMoment = _field("createdDateTime")
    account_enabled: MaybeFlag = _field("accountEnabled")


class AppAssignment(Wire):
    """That the user was given an app, which is how apps show that nobody needed to consent to."""

    assignment_id: Id = _must_have("id")
    app_name: Name = _field("resourceDisplayName", default="")
    #: Object id of the app's service principal.
    app_sp_oid: MaybeText = _field("resourceId")
    principal_oid: MaybeText = _field("principalId")
    #: "User", or "Group" when it came through a group.
    principal_type: MaybeText = _field("principalType")
    #: All zeros is the default access.
    app_role_id: MaybeText = _field("appRoleId")
    created_at: MaybeMoment = _field("createdDateTime", "creationTimestamp")


class RegisteredDevice(Wire):
    """A device that the user has registered in the directory."""

    device_oid: Id = _must_have("id")
    name: Name = _field("displayName", default="")
    operating_system: MaybeText = _field("operatingSystem")
    registered_at: MaybeMoment = _field("registrationDateTime", "createdDateTime")
    #: Workplace (registered), AzureAd (joined), ServerAd (hybrid).
    trust_type: MaybeText = _field("trustType")
    is_managed: MaybeFlag = _field("isManaged")
    is_compliant: MaybeFlag = _field("isCompliant")
    enabled: MaybeFlag = _field("accountEnabled")


class AuditRecord(Wire):
    """One entry of the unified audit log."""

    record_id: Id = _must_have("id")
    at: MaybeMoment = _field("createdDateTime")
    #: HardDelete, New-InboxRule, Add-MailboxPermission, ...
    operation: Name = _field("operation", default="")
    service: MaybeText = _field("service")
    user_upn: MaybeText = _field("userPrincipalName", "userId")
    ip_address: MaybeText = _field("clientIp")
    object_id: MaybeText = _field("objectId")
    #: The whole entry, in the form of its kind.
    data: dict[str, Any] = Field(default_factory=dict)


class AuditSearch(Wire):
    """A search of the unified audit log, which runs by itself."""

    search_id: Id = _must_have("id")
    #: notStarted, running, succeeded, failed, cancelled.
    status: Name = _field("status", default="")
    #: Whether Microsoft left records out because there were too many.
    is_cut_off: MaybeFlag = _field("isRecordCountLimitExceeded")


class MailItem(Wire):
    """A message in a folder of a mailbox, without its body."""

    item_id: Id = _must_have("id")
    #: As in the message trace, with its angle brackets.
    internet_message_id: MaybeText = _field("internetMessageId")
    subject: MaybeText = _field("subject")
    sent_at: MaybeMoment = _field("sentDateTime")
    received_at: MaybeMoment = _field("receivedDateTime")
    sender_address: MaybeText = _field("from/emailAddress/address")
    recipients: tuple[str, ...] = ()


class AuthMethod(Wire):
    """One way for the user to prove who they are."""

    method_id: Id = _must_have("id")
    #: password, phone, microsoftAuthenticator, fido2, ...; the whole type for one that follows no pattern.
    kind: Annotated[str, BeforeValidator(lambda value: _method_kind(value))] = _field(
        "@odata.type", "odata.type", default="unknown"
    )
    #: Graph has two spellings for this, and for some kinds none.
    created_at: MaybeMoment = _field("createdDateTime", "creationDateTime")
    #: What tells it from others of its kind: a device, a phone number, an address.
    label: MaybeText = None


def _method_kind(value: Any) -> Any:
    """`#microsoft.graph.phoneAuthenticationMethod` -> `phone`."""
    if not isinstance(value, str):
        return value
    name = value.removeprefix("#").removeprefix("microsoft.graph.")
    return re.sub(r"AuthenticationMethod$", "", name) or "unknown"


class AccessPass(Value):
    """A Temporary Access Pass. Show it once, to the approver, and store it nowhere."""

    value: SecretStr
    #: None when Microsoft did not say.
    valid_until: datetime | None = None


class MfaRegistration(Wire):
    """A row of the report on who has registered for multi-factor authentication."""

    user_oid: Id = _must_have("id")
    upn: MaybeText = _field("userPrincipalName")
    is_mfa_registered: MaybeFlag = _field("isMfaRegistered")
    is_mfa_capable: MaybeFlag = _field("isMfaCapable")
    is_passwordless_capable: MaybeFlag = _field("isPasswordlessCapable")
    is_admin: MaybeFlag = _field("isAdmin")
    methods: Texts = _field("methodsRegistered", default=())
    updated_at: MaybeMoment = _field("lastUpdatedDateTime")


class CaPolicy(Wire):
    """A conditional access policy, as far as it says who must do what."""

    policy_id: Id = _must_have("id")
    name: Name = _field("displayName", default="")
    #: enabled, disabled, enabledForReportingButNotEnforced.
    state: MaybeText = _field("state")
    include_users: Texts = _field("conditions/users/includeUsers", default=())
    exclude_users: Texts = _field("conditions/users/excludeUsers", default=())
    include_groups: Texts = _field("conditions/users/includeGroups", default=())
    exclude_groups: Texts = _field("conditions/users/excludeGroups", default=())
    include_roles: Texts = _field("conditions/users/includeRoles", default=())
    exclude_roles: Texts = _field("conditions/users/excludeRoles", default=())
    include_applications: Texts = _field("conditions/applications/includeApplications", default=())
    exclude_applications: Texts = _field("conditions/applications/excludeApplications", default=())
    client_app_types: Texts = _field("conditions/clientAppTypes", default=())
    user_risk_levels: Texts = _field("conditions/userRiskLevels", default=())
    sign_in_risk_levels: Texts = _field("conditions/signInRiskLevels", default=())
    #: block, mfa, compliantDevice, ...
    grant_controls: Texts = _field("grantControls/builtInControls", default=())
    grant_operator: MaybeText = _field("grantControls/operator")
    authentication_strength: MaybeText = _field("grantControls/authenticationStrength/displayName")
    #: What else must be so before it applies, by Graph's names: locations, platforms, devices, ...
    narrowed_by: tuple[str, ...] = ()

    @property
    def enforced(self) -> bool:
        return (self.state or "").casefold() == "enabled"

    @property
    def report_only(self) -> bool:
        return (self.state or "").casefold() == "enabledforreportingbutnotenforced"

    @property
    def requires_mfa(self) -> bool:
        """Whether a second factor is among what it asks for; with the operator OR, another control may stand in."""
        return "mfa" in self._controls or self.authentication_strength is not None

    @property
    def blocks(self) -> bool:
        return "block" in self._controls

    @property
    def blocks_legacy(self) -> bool:
        """
        Whether it shuts out the clients that know no second factor: "other" covers IMAP, POP and SMTP, and
        exchangeActiveSync is a kind of its own.
        """
        kinds = {kind.casefold() for kind in self.client_app_types}
        return self.blocks and ("all" in kinds or {"other", "exchangeactivesync"} <= kinds)

    @property
    def exceptions(self) -> int:
        """How many people, groups, roles and apps it leaves out."""
        left_out = (self.exclude_users, self.exclude_groups, self.exclude_roles, self.exclude_applications)
        return sum(map(len, left_out))

    @property
    def for_everyone(self) -> bool:
        """Whether it includes all users; exclusions are a matter of their own."""
        return "all" in {name.casefold() for name in self.include_users}

    @property
    def _controls(self) -> frozenset[str]:
        return frozenset(control.casefold() for control in self.grant_controls)


class Domain(Wire):
    """A domain of the tenant."""

    name: Id = _must_have("id")
    #: Managed, or Federated when somebody else's service checks the passwords.
    authentication: MaybeText = _field("authenticationType")
    is_verified: MaybeFlag = _field("isVerified")


class ScoredControl(Wire):
    """The score of one control."""

    name: Id = _must_have("controlName")
    category: MaybeText = _field("controlCategory")
    score: MaybeNumber = _field("score")
    description: MaybeText = _field("description")


class SecureScore(Wire):
    """The latest Microsoft Secure Score."""

    at: MaybeMoment = _field("createdDateTime")
    current: MaybeNumber = _field("currentScore")
    maximum: MaybeNumber = _field("maxScore")
    controls: tuple[ScoredControl, ...] = ()


class SecureScoreControl(Wire):
    """What a control of the secure score is about."""

    control_id: Id = _must_have("id")
    title: Name = _field("title", default="")
    service: MaybeText = _field("service")
    category: MaybeText = _field("controlCategory")
    max_score: MaybeNumber = _field("maxScore")
    rank: MaybeWhole = _field("rank")
    deprecated: MaybeFlag = _field("deprecated")
    remediation: MaybeText = _field("remediation")
    action_url: MaybeText = _field("actionUrl")
    user_impact: MaybeText = _field("userImpact")
    #: State that an admin last gave it, such as Default, Ignored or ThirdParty.
    state: MaybeText = None


class DirectoryRole(Wire):
    """An admin role that the user holds directly."""

    assignment_id: Id = _must_have("id")
    #: Id of the role's definition; the same in every tenant for Microsoft's own roles.
    role_id: Id = _must_have("roleDefinitionId")
    role_name: MaybeText = _field("roleDefinition/displayName")
    #: "/" is the whole directory.
    scope: MaybeText = _field("directoryScopeId", "appScopeId")


class AuditChange(Wire):
    """One property that was changed; values are spelled as JSON by Graph."""

    name: MaybeText = _field("displayName")
    old: MaybeText = _field("oldValue")
    new: MaybeText = _field("newValue")


class AuditTarget(Wire):
    """What an audited activity was done to."""

    oid: MaybeText = _field("id")
    name: MaybeText = _field("displayName")
    upn: MaybeText = _field("userPrincipalName")
    kind: MaybeText = _field("type", "Type")
    changes: tuple[AuditChange, ...] = ()


class AuditEvent(Wire):
    """One entry of the directory's audit log."""

    audit_id: Id = _must_have("id")
    at: MaybeMoment = _field("activityDateTime")
    #: Such as "Update user", "Reset user password", "Consent to application".
    activity: Name = _field("activityDisplayName", default="")
    category: MaybeText = _field("category")
    result: MaybeText = _field("result")
    result_reason: MaybeText = _field("resultReason")
    by_oid: MaybeText = _field("initiatedBy/user/id")
    by_upn: MaybeText = _field("initiatedBy/user/userPrincipalName")
    by_app: MaybeText = _field("initiatedBy/app/displayName")
    by_ip: MaybeText = _field("initiatedBy/user/ipAddress")
    targets: tuple[AuditTarget, ...] = ()
    details: dict[str, str] = Field(default_factory=dict)


class AppSecret(Wire):
    """A client secret of an app registration."""

    key_id: MaybeText = _field("keyId")
    name: MaybeText = _field("displayName")
    #: The first three characters of the secret.
    hint: MaybeText = _field("hint")
    ends_at: MaybeMoment = _field("endDateTime")


class AlertUser(Value):
    """Somebody whom an alert is about."""

    oid: str | None = None
    upn: str | None = None
    address: str | None = None


class SecurityAlert(Wire):
    """An alert of Microsoft Defender."""

    alert_id: Id = _must_have("id")
    title: Name = _field("title", default="")
    #: unknown, new, inProgress, resolved.
    status: MaybeText = _field("status")
    severity: MaybeText = _field("severity")
    service_source: MaybeText = _field("serviceSource")
    #: What somebody made of it: unknown, falsePositive, truePositive, informationalExpectedActivity.
    classification: MaybeText = _field("classification")
    #: Such as compromisedAccount, phishing, confirmedUserActivity.
    determination: MaybeText = _field("determination")
    created_at: MaybeMoment = _field("createdDateTime")
    updated_at: MaybeMoment = _field("lastUpdateDateTime")
    web_url: MaybeText = _field("alertWebUrl")
    users: tuple[AlertUser, ...] = ()


class TraceEvent(Wire):
    """One thing that happened to a message on its way to one recipient."""

    at: MaybeMoment = _field("dateTime")
    #: Receive, Submit, Deliver, Fail, Defer, ...
    event: MaybeText = _field("event")
    #: In words; of a failure also the answer of the server that refused the message.
    description: MaybeText = _field("description")
    #: XML, with what else is known.
    data: MaybeText = _field("data")


class MessageTrace(Wire):
    """One message to one recipient, as the transport saw it."""

    #: The same for all recipients of a message.
    trace_id: MaybeText = _field("id")
    message_id: MaybeText = _field("messageId")
    sender_address: MaybeText = _field("senderAddress")
    recipient_address: MaybeText = _field("recipientAddress")
    subject: MaybeText = _field("subject")
    received_at: MaybeMoment = _field("receivedDateTime")
    size_bytes: MaybeWhole = _field("size")
    from_ip: MaybeText = _field("fromIP")
    #: delivered, failed, ...; Graph spells it with and without a capital.
    status: MaybeText = _field("status")
