"""An alert as the CloudEvent that its subscriber gets, the same in a webhook and where alerts are pulled."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from samenloop.model import Alert, Severity


def alert_event(alert: Alert, source: str, more: Mapping[str, str] | None = None) -> bytes:
    """Return the CloudEvents JSON of an alert; *source* is the hub's URN. Without data it is thin: ids only.

    *more* are attributes that only one of the ways carries.
    """
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": alert.event_id,
        "source": source,
        "type": alert.event_type,
        "subject": alert.subject_id,
        "time": alert.accepted_at,
        **(more or {}),
        "alertsequence": alert.sequence,
        "alertreason": alert.reason.value,
        "alertrole": alert.role.value,
    }
    if alert.severity is not Severity.UNKNOWN:
        event["alertseverity"] = alert.severity.value
    if alert.data is not None:
        event["datacontenttype"] = "application/json"
        event["data"] = orjson.Fragment(alert.data)
    return orjson.dumps(event, option=orjson.OPT_UTC_Z)
