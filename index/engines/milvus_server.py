"""The Milvus server that this process uses: which one, the connection to it, and its failures in Whichone's words.

Where the server is belongs to the machine and may carry a password, so neither a specification nor a generation says
it: whoever starts the process does, once, from its settings (`use_milvus`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from index.engines.errors import EngineUnavailable

__all__ = ["MilvusServer", "milvus", "use_milvus"]

_CONNECT_S = 10.0


class MilvusServer:
    """A server, connected to at its first use. Thread-safe.

    Args:
        uri: `http://host:19530`, with a database's name as its path if it is not the default one; or a file ending in
            `.db`, which milvus-lite opens in this process and for it alone.
        token: `user:password` or an API key; empty for none.
    """

    def __init__(self, uri: str, token: str = "") -> None:
        self.uri = uri
        self._token = token
        self._client: Any = None
        self._connecting = Lock()
        self.abandoned: deque[str] = deque()
        """Collections that no index and no file holds any more. Finalizers put them here, which may run in any thread
        at any point, and so must not speak to the server themselves."""

    @property
    def address(self) -> str:
        """The URI without a password."""
        parts = urlsplit(self.uri)
        if "@" not in parts.netloc:
            return self.uri
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def is_at(self, uri: str, token: str) -> bool:
        """Whether this is the server meant."""
        return (self.uri, self._token) == (uri, token)

    def client(self) -> Any:
        """A `pymilvus.MilvusClient`.

        Raises:
            EngineUnavailable: pymilvus or milvus-lite is not installed, or nothing answers there.
        """
        with self._connecting:
            if self._client is None:
                self._client = self._connected()
            return self._client

    @contextmanager
    def asked_to(self, do: str) -> Iterator[Any]:
        """The client, to ask it for something.

        Raises:
            EngineUnavailable: the server does not answer, or says no; `details` has its code and its own words.
        """
        client = self.client()
        from grpc import RpcError  # noqa: PLC0415 - comes with pymilvus
        from pymilvus import MilvusException  # noqa: PLC0415 - takes a second, and is not there without the extra

        try:
            yield client
        except (MilvusException, RpcError) as error:
            said = _words(error)
            raise EngineUnavailable(
                f"engine milvus: {self.address} could not {do}: {said}; see to the server, or build the gallery with "
                "another engine (whichone index build --engine flat)",
                server=self.address,
                said=said,
                milvus_code=getattr(error, "code", None) if isinstance(error, MilvusException) else None,
            ) from error

    def _connected(self) -> Any:
        try:
            import pymilvus  # noqa: PLC0415 - as above
        except ImportError as error:
            raise EngineUnavailable(
                "engine milvus needs pymilvus, which is not installed: pip install 'whichone[milvus]', "
                "or choose flat, ivf or hnsw"
            ) from error
        for name in ("pymilvus", "milvus_lite"):
            # Each failure is raised as an error here; they would print it as well, with a traceback.
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            return pymilvus.MilvusClient(self.uri, token=self._token, timeout=_CONNECT_S)
        except (pymilvus.MilvusException, ValueError, OSError) as error:
            hint = _LITE_HINT if self.uri.endswith(".db") else _SERVER_HINT
            raise EngineUnavailable(
                f"engine milvus: no connection to {self.address}: {_words(error)}; {hint}", server=self.address
            ) from error


_SERVER_HINT = "is it running, and are WHICHONE_MILVUS_URI and WHICHONE_MILVUS_TOKEN right?"
_LITE_HINT = (
    "such a file needs milvus-lite (pip install 'whichone[milvus-lite]') and is open in one process at a time: for "
    "several, run `milvus-lite server --data-dir FOLDER --host 127.0.0.1` or Milvus, and set WHICHONE_MILVUS_URI to "
    "its address"
)


def _words(error: Exception) -> str:
    """What went wrong, in one line."""
    text = getattr(error, "message", None) or str(error)
    return " ".join(text.split())[:300]


class _Chosen:
    """The one server of the process; None before the settings said which."""

    server: MilvusServer | None = None


def use_milvus(uri: str, token: str = "") -> None:
    """Say where Milvus is, for all that this process opens and builds from now on. Does not connect yet."""
    if _Chosen.server is None or not _Chosen.server.is_at(uri, token):
        _Chosen.server = MilvusServer(uri, token)


def milvus() -> MilvusServer:
    """The server that `use_milvus` named.

    Raises:
        EngineUnavailable: it named none.
    """
    if _Chosen.server is None:
        raise EngineUnavailable(
            "engine milvus: WHICHONE_MILVUS_URI is not set; give a server's address (http://host:19530), or a file "
            "ending in .db for milvus-lite, or choose flat, ivf or hnsw"
        )
    return _Chosen.server
