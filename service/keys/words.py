"""How an end, a beginning and a length of time are written: `90d`, `24h`, `2027-01-31`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from service.errors import FieldInvalid

__all__ = ["duration_of", "end_of", "start_of"]

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([0-9]{1,6})(s|min|h|d|w)?")
_LONGEST = timedelta(days=36_500)


def duration_of(text: str, field: str) -> timedelta:
    """A length of time: a whole number and s, min, h, d or w; or 0.

    Raises:
        FieldInvalid: anything else, or more than a hundred years.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or (match[2] is None and int(match[1])):
        raise FieldInvalid(f"`{field}` is written like 90d, 24h or 30min; got {text[:40]!r}", field=field)
    length = timedelta(**{_UNITS[match[2] or "s"]: int(match[1])})
    if length > _LONGEST:
        raise FieldInvalid(f"`{field}` may be a hundred years at most; got {text[:40]!r}", field=field)
    return length


def end_of(text: str, now: datetime) -> datetime:
    """The moment at which a key ends: after a length of time, or at a date or moment (UTC where it says no zone).

    Raises:
        FieldInvalid: none of these, or not in the future.
    """
    end = _moment(text) or now + _length(text, "expires")
    if end <= now:
        raise FieldInvalid(f"`expires` must lie in the future; {text[:40]!r} does not", field="expires")
    return end


def start_of(text: str, now: datetime) -> datetime:
    """The moment that lies so long ago, or a date or moment (UTC where it says no zone).

    Raises:
        FieldInvalid: none of these.
    """
    return _moment(text) or now - _length(text, "since")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _length(text: str, field: str) -> timedelta:
    try:
        return duration_of(text, field)
    except FieldInvalid as error:
        raise FieldInvalid(
            f"`{field}` is a length of time like 90d, or a date like 2027-01-31; got {text[:40]!r}", field=field
        ) from error
