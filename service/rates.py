"""How many requests a caller may make: token buckets in this process's memory.

A bucket holds as many tokens as the rate allows requests in its period, and fills again evenly; a request takes one.
With several worker processes each has its own buckets, so a caller may get up to so many times its rate. A bucket that
was not asked for while ten thousand others were is forgotten, which is to say full.
"""

from __future__ import annotations

import ipaddress
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import FieldInvalid, RateExceeded

__all__ = ["Allowance", "Rate", "RateLimiter", "caller_of"]

_PERIODS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|min|h|d)")
_MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`600/min`; also /s, /h, /d.

        Raises:
            FieldInvalid: anything else.
        """
        match = _RATE.fullmatch(text.strip())
        if match is None:
            raise FieldInvalid(
                f"a rate is written like 600/min: a whole number, then /s, /min, /h or /d; got {text[:40]!r}",
                field="rate",
            )
        return cls(int(match[1]), _PERIODS[match[2]])

    def __str__(self) -> str:
        """As it is written."""
        [unit] = [unit for unit, seconds in _PERIODS.items() if seconds == self.seconds]
        return f"{self.requests}/{unit}"


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    tokens: float
    at: float

    def fill(self, now: float) -> None:
        gained = max(0.0, now - self.at) * self.rate.requests / self.rate.seconds
        self.tokens = min(float(self.rate.requests), self.tokens + gained)
        self.at = now

    def wait(self) -> int:
        """Whole seconds until there is a token."""
        return max(0, math.ceil((1 - self.tokens) * self.rate.seconds / self.rate.requests))


class Allowance:
    """What one caller has left, as of its request."""

    def __init__(self, limiter: RateLimiter, who: str, bucket: _Bucket) -> None:
        self._limiter = limiter
        self._who = who
        self._bucket = bucket

    def charge(self, tokens: int) -> None:
        """Take more tokens, for a request that turned out to be several; what is missing is owed."""
        self._limiter.charge(self._bucket, tokens)

    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): the rate, what is left of it."""
        rate = self._bucket.rate
        return {
            "RateLimit-Policy": f'"requests";q={rate.requests};w={rate.seconds}',
            "RateLimit": f'"requests";r={max(0, math.floor(self._bucket.tokens))};t={self._bucket.wait()}',
        }

    def refuse_if_empty(self) -> None:
        """Take a token.

        Raises:
            RateExceeded: there is none; tells when there will be.
        """
        if not self._limiter.take(self._bucket):
            wait = max(1, self._bucket.wait())
            raise RateExceeded(
                f"{self._who} may make {self._bucket.rate} requests, and made them; try again in {wait} s",
                limit=str(self._bucket.rate),
                retry_after_s=wait,
            )


class RateLimiter:
    """Every caller's bucket. Thread-safe.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, kind: str, name: str, rate: Rate) -> Allowance:
        """The allowance of a caller, who has a full bucket at first, and with a rate that changed.

        Args:
            kind: what the name names: a key, an address.
        """
        with self._lock:
            bucket = self._buckets.get((kind, name))
            if bucket is None or bucket.rate != rate:
                bucket = self._buckets[kind, name] = _Bucket(rate, float(rate.requests), self._clock())
            self._buckets.move_to_end((kind, name))
            if len(self._buckets) > _MOST_CALLERS:
                self._buckets.popitem(last=False)
        return Allowance(self, f"this {kind}", bucket)

    def take(self, bucket: _Bucket) -> bool:
        """Take a token from a bucket, if there is one."""
        with self._lock:
            bucket.fill(self._clock())
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True

    def charge(self, bucket: _Bucket, tokens: int) -> None:
        """Take tokens from a bucket, whether there are so many or not."""
        with self._lock:
            bucket.fill(self._clock())
            bucket.tokens -= tokens


def caller_of(host: str) -> str:
    """Who stands behind an address: of IPv6 the /64 network, as a caller has all of it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a socket in the file system has none
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed, 64), strict=False))
