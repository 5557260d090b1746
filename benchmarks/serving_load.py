"""Clients of a server under measurement: HTTP/1.1 over plain sockets, so that they cost the machine little."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Load", "closed_loop", "multipart", "open_loop"]

_BOUNDARY = "whichone-benchmark"
_MOST_CONNECTIONS = 512


def multipart(path: str, photos: Sequence[bytes], *, name: str = "image", key: str = "", **fields: str) -> bytes:
    """A whole POST request, ready to be sent."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field_}"\r\n\r\n{text}\r\n'.encode()
        for field_, text in fields.items()
    ]
    for at, photo in enumerate(photos):
        head = f'Content-Disposition: form-data; name="{name}"; filename="{at}.jpg"\r\nContent-Type: image/jpeg'
        parts.append(f"--{_BOUNDARY}\r\n{head}\r\n\r\n".encode() + photo + b"\r\n")
    body = b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
    heading = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return heading.encode() + body


@dataclass
class Load:
    """What came of some requests: seconds that those took which were answered well, and the others' statuses."""

    seconds: float = 0.0
    good: list[float] = field(default_factory=list)
    others: dict[int, int] = field(default_factory=dict)

    def count(self, status: int, took: float) -> None:
        """Note an answer; status 0 is a broken connection."""
        if 200 <= status < 300:
            self.good.append(took)
        else:
            self.others[status] = self.others.get(status, 0) + 1

    def join(self, other: Load) -> None:
        """Count what came of others, asked after these."""
        self.seconds += other.seconds
        self.good += other.good
        for status, count in other.others.items():
            self.others[status] = self.others.get(status, 0) + count

    @property
    def per_s(self) -> float:
        """Good answers a second."""
        return len(self.good) / self.seconds

    def ms(self, share: float) -> float:
        """A percentile of the good answers' times."""
        return float(np.percentile(self.good, share)) * 1e3 if self.good else float("nan")


class _Connection:
    """One connection, opened again when the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; its status and body, or 0 for a connection that broke."""
        try:
            if self._writer is not None and self._reader.at_eof():  # closed while it lay idle
                self.close()
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(request)
            heading = await self._reader.readuntil(b"\r\n\r\n")
            lines = heading.lower().split(b"\r\n")
            headers = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
            body = await self._reader.readexactly(int(headers.get(b"content-length", b"0")))
            if headers.get(b"connection") == b"close":
                self.close()
            return int(lines[0].split()[1]), body
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0, b""

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def closed_loop(port: int, requests: Sequence[bytes], *, clients: int, seconds: float, most: int = 10**9) -> Load:
    """Clients that each send their next request when the last is answered, until the time is up."""
    load = Load()

    async def client(numbers: itertools.count[int], end: float) -> None:
        connection = _Connection(port)
        while time.perf_counter() < end and (number := next(numbers)) < most:
            began = time.perf_counter()
            status, _ = await connection.ask(requests[number % len(requests)])
            load.count(status, time.perf_counter() - began)
        connection.close()

    async def all_() -> None:
        began = time.perf_counter()
        numbers = itertools.count()
        await asyncio.gather(*(client(numbers, began + seconds) for _ in range(clients)))
        load.seconds = time.perf_counter() - began

    asyncio.run(all_())
    return load


def open_loop(port: int, requests: Sequence[bytes], *, per_s: float, seconds: float) -> Load:
    """Requests at even distances, whether the ones before are answered or not."""
    load = Load()

    async def one(idle: list[_Connection], number: int) -> None:
        connection = idle.pop() if idle else _Connection(port)
        began = time.perf_counter()
        status, _ = await connection.ask(requests[number % len(requests)])
        load.count(status, time.perf_counter() - began)
        idle.append(connection)

    async def all_() -> None:
        idle: list[_Connection] = []
        under_way: set[asyncio.Task[None]] = set()
        began = time.perf_counter()
        for number in itertools.count():
            due = began + number / per_s
            if due > began + seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if len(under_way) >= _MOST_CONNECTIONS:
                load.count(0, 0.0)  # the clients' own limit
                continue
            task = asyncio.create_task(one(idle, number))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        load.seconds = time.perf_counter() - began
        await asyncio.gather(*under_way)
        for connection in idle:
            connection.close()

    asyncio.run(all_())
    return load


def verdicts(port: int, requests: Sequence[bytes]) -> list[str]:
    """The verdict of each request, asked once: a server that answers fast and wrongly is no use."""

    async def all_() -> list[str]:
        connection = _Connection(port)
        answers = [await connection.ask(request) for request in requests]
        connection.close()
        return [str(json.loads(body)["verdict"]) if status == 200 else str(status) for status, body in answers]

    return asyncio.run(all_())
