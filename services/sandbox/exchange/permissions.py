"""Who else may open a mailbox, send as it, or read one of its folders."""

from services.sandbox.exchange.core import CmdletCall, CmdletError, Cmdlets, Row, object_not_found
from services.sandbox.exchange.recipients import calendar_name
from services.sandbox.state import Mailbox, Person

cmdlets = Cmdlets()
BINDING = "System.Management.Automation.ParameterBindingException"
ENTRY_EXISTS = "Microsoft.Exchange.Management.StoreTasks.UserAlreadyExistsInPermissionEntryException"
NO_ENTRY = "Microsoft.Exchange.Management.StoreTasks.UserNotFoundInPermissionEntryException"
UNKNOWN_USER = "Microsoft.Exchange.Management.StoreTasks.InvalidExternalUserIdException"
#: Stand for everybody in the organisation, and for everybody else.
NOBODY_IN_PARTICULAR = ("default", "anonymous")


@cmdlets.add("Get-MailboxPermission", "Identity", "User", "ResultSize")
def get_mailbox_permission(call: CmdletCall) -> list[Row]:
    """Who may open a mailbox; the owner's own entry included."""
    person, mailbox = call.mailbox()
    return [
        {
            "Identity": person.oid,
            "User": user,
            "AccessRights": rights,
            "IsInherited": user.startswith("NT AUTHORITY"),
            "Deny": denied,
            "InheritanceType": "All",
        }
        for user, rights, denied in mailbox.permissions
        if call.text("User").lower() in ("", user.lower())
    ]


@cmdlets.add("Add-MailboxPermission", "Identity", "User", "AccessRights", "AutoMapping", "InheritanceType")
def add_mailbox_permission(call: CmdletCall) -> list[Row]:
    """Let somebody open a mailbox. Who may already do so is a warning."""
    person, mailbox = call.mailbox()
    user, rights = _trustee(call, "User"), _rights(call)
    held = [right for name, held, denied in mailbox.permissions if name == user and not denied for right in held]
    if set(rights) <= set(held):
        call.warnings.append(f'The appropriate access control entry is already present in "{person.upn}" for {user}.')
        return []
    mailbox.permissions.append((user, [right for right in rights if right not in held], False))
    call.tenant.changed("mailbox permission added", f"{person.upn}: {user}")
    return []


@cmdlets.add("Remove-MailboxPermission", "Identity", "User", "AccessRights", "InheritanceType")
def remove_mailbox_permission(call: CmdletCall) -> list[Row]:
    """Stop somebody from opening a mailbox. Who may not do so anyway is a warning."""
    person, mailbox = call.mailbox()
    user, rights = _trustee(call, "User"), set(_rights(call))
    kept = []
    for name, held, denied in mailbox.permissions:
        left = [right for right in held if right not in rights] if name == user and not denied else held
        kept += [(name, left, denied)] if left else []
    if kept == mailbox.permissions:
        text = f"Can't remove the access control entry on the object {person.oid} for account {user}: it isn't present."
        call.warnings.append(text)
        return []
    mailbox.permissions = kept
    call.tenant.changed("mailbox permission removed", f"{person.upn}: {user}")
    return []


def _trustee(call: CmdletCall, name: str) -> str:
    wanted = call.required(name)
    recipient = call.tenant.recipient(wanted) or call.tenant.person(wanted)
    if recipient is None:
        raise object_not_found(wanted)
    return recipient.upn


def _rights(call: CmdletCall) -> list[str]:
    rights = call.get("AccessRights")
    if not rights:
        raise CmdletError(BINDING, "AccessRights is missing.")
    return [str(right) for right in rights] if isinstance(rights, list) else [str(rights)]


@cmdlets.add("Get-RecipientPermission", "Identity", "Trustee", "AccessRights", "ResultSize")
def get_recipient_permission(call: CmdletCall) -> list[Row]:
    """Who may send as a mailbox."""
    person, mailbox = call.mailbox()
    return [
        {
            "Identity": person.oid,
            "Trustee": trustee,
            "AccessControlType": "Allow",
            "AccessRights": ["SendAs"],
            "IsInherited": False,
            "InheritanceType": "None",
        }
        for trustee in mailbox.send_as
        if call.text("Trustee").lower() in ("", trustee.lower())
    ]


@cmdlets.add("Add-RecipientPermission", "Identity", "Trustee", "AccessRights")
def add_recipient_permission(call: CmdletCall) -> list[Row]:
    """Let somebody send as a mailbox. Who may already do so is a warning."""
    person, mailbox = call.mailbox()
    trustee = _sending_trustee(call)
    if trustee in mailbox.send_as:
        text = f'The appropriate access control entry is already present on the object "{person.oid}" for {trustee}.'
        call.warnings.append(text)
        return []
    mailbox.send_as.append(trustee)
    call.tenant.changed("send-as permission added", f"{person.upn}: {trustee}")
    return []


@cmdlets.add("Remove-RecipientPermission", "Identity", "Trustee", "AccessRights")
def remove_recipient_permission(call: CmdletCall) -> list[Row]:
    """Stop somebody from sending as a mailbox. Who may not do so anyway is a warning."""
    person, mailbox = call.mailbox()
    trustee = _sending_trustee(call)
    if trustee not in mailbox.send_as:
        text = f"Can't remove the access control entry on the object {person.oid} for account {trustee}: "
        call.warnings.append(f"{text}it isn't present.")
        return []
    mailbox.send_as.remove(trustee)
    call.tenant.changed("send-as permission removed", f"{person.upn}: {trustee}")
    return []


def _sending_trustee(call: CmdletCall) -> str:
    if [right.lower() for right in _rights(call)] != ["sendas"]:
        raise CmdletError(BINDING, "Cannot process argument transformation on parameter 'AccessRights'.")
    return _trustee(call, "Trustee")


@cmdlets.add("Get-MailboxFolderPermission", "Identity", "User", "ResultSize")
def get_folder_permission(call: CmdletCall) -> list[Row]:
    r"""Who may open a folder, given as `mailbox:\folder` in the language of the mailbox; no folder is the root."""
    person, mailbox, key, name = _folder(call)
    return [
        {
            "Identity": f"{person.oid}:\\{name}",
            "FolderName": name or "Top of Information Store",
            "User": user,
            "AccessRights": rights,
            "SharingPermissionFlags": None,
            "IsValid": True,
        }
        for user, rights in _entries(mailbox, key)
        if call.text("User").lower() in ("", user.lower())
    ]


@cmdlets.add("Add-MailboxFolderPermission", "Identity", "User", "AccessRights", "SharingPermissionFlags")
def add_folder_permission(call: CmdletCall) -> list[Row]:
    """Let somebody open a folder. Whoever has an entry already is an error, whatever the entry allows."""
    person, mailbox, key, name = _folder(call)
    user, rights = _folder_user(call), _rights(call)
    if user in [found for found, _ in _entries(mailbox, key)]:
        raise CmdletError(ENTRY_EXISTS, f"An existing permission entry was found for user: {user}.")
    mailbox.folder_permissions[key] = [*_entries(mailbox, key), (user, rights)]
    call.tenant.changed("folder permission added", f"{person.upn}:\\{name}: {user}")
    return []


@cmdlets.add("Set-MailboxFolderPermission", "Identity", "User", "AccessRights", "SharingPermissionFlags")
def set_folder_permission(call: CmdletCall) -> list[Row]:
    """Change what somebody with an entry may do, everybody included."""
    person, mailbox, key, name = _folder(call)
    user, rights = _present_user(call, mailbox, key), _rights(call)
    entries = _entries(mailbox, key)
    mailbox.folder_permissions[key] = [(found, rights if found == user else held) for found, held in entries]
    call.tenant.changed("folder permission changed", f"{person.upn}:\\{name}: {user}")
    return []


@cmdlets.add("Remove-MailboxFolderPermission", "Identity", "User", "SendNotificationToUser")
def remove_folder_permission(call: CmdletCall) -> list[Row]:
    """Take somebody's entry away. The entries for everybody cannot be removed, only changed."""
    person, mailbox, key, name = _folder(call)
    user = _present_user(call, mailbox, key)
    if user.lower() in NOBODY_IN_PARTICULAR:
        raise CmdletError("System.InvalidOperationException", f"The permission entry of {user} can't be removed.")
    mailbox.folder_permissions[key] = [entry for entry in _entries(mailbox, key) if entry[0] != user]
    call.tenant.changed("folder permission removed", f"{person.upn}:\\{name}: {user}")
    return []


def _folder(call: CmdletCall) -> tuple[Person, Mailbox, str, str]:
    """The mailbox, and the key and name of the folder in it ("" for the root). Raises: CmdletError (404)."""
    identity = call.required("Identity")
    owner, _, path = identity.partition(":\\")
    person = call.tenant.recipient(owner)
    if person is None or person.mailbox is None:
        raise object_not_found(owner)
    names = {"": "", calendar_name(person.mailbox).lower(): "calendar"}
    names |= {folder.name.lower(): folder.key for folder in person.mailbox.folders}
    if path.lower() not in names:
        raise object_not_found(identity)
    return person, person.mailbox, names[path.lower()], path


def _entries(mailbox: Mailbox, key: str) -> list[tuple[str, list[str]]]:
    return mailbox.folder_permissions.get(key, [("Default", ["None"]), ("Anonymous", ["None"])])


def _folder_user(call: CmdletCall) -> str:
    """How folders name the user that is meant: people of the directory by display name. Raises: CmdletError."""
    wanted = call.required("User")
    recipient = call.tenant.recipient(wanted) or call.tenant.person(wanted)
    if recipient is not None:
        return recipient.display_name
    if wanted.lower() in NOBODY_IN_PARTICULAR:
        return wanted.capitalize()
    raise CmdletError(
        UNKNOWN_USER, f'The user "{wanted}" is either not valid SMTP address, or there is no matching information.'
    )


def _present_user(call: CmdletCall, mailbox: Mailbox, key: str) -> str:
    """The user of an entry that is there, by the name it shows or by another of theirs. Raises: CmdletError."""
    wanted = call.required("User")
    recipient = call.tenant.recipient(wanted) or call.tenant.person(wanted)
    names = {wanted.lower(), recipient.display_name.lower() if recipient else ""}
    for user, _ in _entries(mailbox, key):
        if user.lower() in names:
            return user
    raise CmdletError(NO_ENTRY, f"There is no existing permission entry found for user: {wanted}.")
