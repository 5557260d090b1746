"""Whether the server in this container answers questions: exit status 0 when /readyz says so, else 1."""

from __future__ import annotations

import http.client
import os
import sys

_TIMEOUT = 4
_TOLD = 2_000


def main() -> int:
    """Ask once."""
    port = int(os.environ.get("WHICHONE_PORT") or 8000)
    # Not urllib: it would ask a proxy that the environment names.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        print(answer.read(_TOLD).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer on port {port}: {error}")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
