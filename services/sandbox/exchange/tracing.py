"""Message trace and audit search through cmdlets. No next links here: the caller asks on from the last row."""

import json
from datetime import datetime, timedelta

from services.sandbox.exchange.core import BAD_ARGUMENT, CmdletCall, CmdletError, Cmdlets, Row
from services.sandbox.state import AuditRecord, TraceRow

cmdlets = Cmdlets()
TRACE_WINDOW = timedelta(days=10)
TRACE_HISTORY = timedelta(days=90)


@cmdlets.add(
    "Get-MessageTraceV2",
    "SenderAddress",
    "RecipientAddress",
    "StartDate",
    "EndDate",
    "Status",
    "ResultSize",
    "StartingRecipientAddress",
    "MessageTraceId",
    "MessageId",
    "Subject",
)
def get_message_trace(call: CmdletCall) -> list[Row]:
    """
    Who got what, newest first: 1,000 rows by default, 5,000 at most, ten days per query, 90 days back.

    Source: "Get-MessageTraceV2". `Received` is UTC, written without saying so.
    """
    start, end = _window(call)
    last_second = timedelta(seconds=1) if call.text("StartingRecipientAddress") else timedelta()
    rows = [row for row in call.tenant.shown_trace() if start <= row.at <= end + last_second and _wanted(call, row)]
    rows.sort(key=lambda row: (-row.at.timestamp(), row.recipient))
    rows = _continued(call, rows, end)
    size = int(call.text("ResultSize") or 1000)
    if not 1 <= size <= 5000:
        raise CmdletError(BAD_ARGUMENT, "The value of ResultSize must be between 1 and 5000.")
    if len(rows) > size:
        last = rows[size - 1]
        call.warnings.append(
            "There are more results, use the following command to get more. "
            f'Get-MessageTraceV2 -StartDate "{start:%m/%d/%Y %H:%M:%S}" -EndDate "{last.at:%m/%d/%Y %H:%M:%S}" '
            f"-StartingRecipientAddress {last.recipient} -ResultSize {size}"
        )
    return [_trace_row(row, start, end, index) for index, row in enumerate(rows[:size])]


def _window(call: CmdletCall) -> tuple[datetime, datetime]:
    now = call.tenant.clock.now()
    end = call.time("EndDate") or now
    start = call.time("StartDate") or end - timedelta(hours=48)
    if end - start > TRACE_WINDOW:
        raise CmdletError(BAD_ARGUMENT, "Invalid date range: a query may span 10 days at most.")
    if start < now - TRACE_HISTORY:
        raise CmdletError(
            BAD_ARGUMENT, "Invalid StartDate value. The StartDate can't be older than 90 days from today."
        )
    return start, end


def _wanted(call: CmdletCall, row: TraceRow) -> bool:
    statuses = call.get("Status") or []
    names = [statuses] if isinstance(statuses, str) else statuses
    return (
        call.text("SenderAddress").lower() in ("", row.sender.lower())
        and call.text("RecipientAddress").lower() in ("", row.recipient.lower())
        and call.text("MessageTraceId").lower() in ("", row.trace_id)
        and (not names or row.status.lower() in [str(name).lower() for name in names])
    )


def _continued(call: CmdletCall, rows: list[TraceRow], end: datetime) -> list[TraceRow]:
    """The rows after the last one seen, which the caller names by its time (perhaps cut to a second) and recipient."""
    after = call.text("StartingRecipientAddress").lower()
    if not after:
        return rows
    seen = [index for index, row in enumerate(rows) if row.recipient.lower() == after and row.at >= end]
    return rows[seen[-1] + 1 :] if seen else [row for row in rows if row.at <= end]


def _trace_row(row: TraceRow, start: datetime, end: datetime, index: int) -> Row:
    return {
        "Organization": "contoso.onmicrosoft.com",
        "MessageId": row.message_id,
        "Received": row.at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "SenderAddress": row.sender,
        "RecipientAddress": row.recipient,
        "Subject": row.subject,
        "Status": row.status[:1].upper() + row.status[1:],
        "ToIP": None,
        "FromIP": row.from_ip,
        "Size": row.size,
        "MessageTraceId": row.trace_id,
        "StartDate": start,
        "EndDate": end,
        "Index": index,
    }


@cmdlets.add(
    "Search-UnifiedAuditLog",
    "StartDate",
    "EndDate",
    "UserIds",
    "Operations",
    "RecordType",
    "SessionId",
    "SessionCommand",
    "ResultSize",
    "IPAddresses",
    "ObjectIds",
    "FreeText",
)
def search_audit_log(call: CmdletCall) -> list[Row]:
    """
    Records of the unified audit log: 100 by default, 5,000 at most; `AuditData` is JSON inside a string.

    Source: "Search-UnifiedAuditLog". With `ReturnLargeSet` and a session id the order means nothing.
    """
    start, end = call.time("StartDate"), call.time("EndDate")
    if start is None or end is None:
        raise CmdletError(
            "System.Management.Automation.ParameterBindingException", "StartDate and EndDate are mandatory."
        )
    if not call.tenant.organisation.unified_audit:
        return []
    found = [record for record in call.tenant.audit_records if start <= record.at <= end and _audited(call, record)]
    large = call.text("SessionCommand").lower() == "returnlargeset"
    ordered = sorted(found, key=lambda record: record.record_id) if large else found
    size = int(call.text("ResultSize") or 100)
    return [_audit_row(call, record, index, len(found)) for index, record in enumerate(ordered[:size], start=1)]


def _audited(call: CmdletCall, record: AuditRecord) -> bool:
    return (
        _among(call.get("UserIds"), record.upn)
        and _among(call.get("Operations"), record.operation)
        and _among(call.get("ObjectIds"), record.object_id)
        and _among(call.get("IPAddresses"), record.ip or "")
        and call.text("RecordType").lower() in ("", record.record_type.lower())
        and call.text("FreeText").lower() in json.dumps(record.data).lower()
    )


def _among(wanted: object, value: str) -> bool:
    names = (
        wanted if isinstance(wanted, list) else [part.strip() for part in str(wanted or "").split(",") if part.strip()]
    )
    return not names or value.lower() in [str(name).lower() for name in names]


def _audit_row(call: CmdletCall, record: AuditRecord, index: int, count: int) -> Row:
    data = {
        "CreationTime": record.at.strftime("%Y-%m-%dT%H:%M:%S"),
        "Id": record.record_id,
        "Operation": record.operation,
        "OrganizationId": call.tenant.tenant_id,
        "UserId": record.upn,
        "Workload": record.service,
        "ClientIP": record.ip,
        "ObjectId": record.object_id,
        **record.data,
    }
    return {
        "RecordType": record.record_type,
        "CreationDate": record.at,
        "UserIds": record.upn,
        "Operations": record.operation,
        "AuditData": json.dumps(data),
        "ResultIndex": index,
        "ResultCount": count,
        "Identity": record.record_id,
        "IsValid": True,
        "ObjectState": "Unchanged",
    }
