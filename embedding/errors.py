"""The domain's errors: a stable ``code`` each, a message a person can act on, and nothing about HTTP.

WhichoneError
├── InputError                      what came from outside cannot be used
│   ├── ImageError                  a photo (see `embedding.images`)
│   └── BoxError                    a region of a photo
├── BundleError                     a model on disk (see `embedding.bundle`)
├── DeviceUnavailable               a GPU was asked for and is not there
└── (index and service add their own branches)
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["DeviceUnavailable", "InputError", "WhichoneError"]


class WhichoneError(Exception):
    """Base of every error that Whichone raises on purpose.

    Args:
        message: one sentence: what is wrong, what came, and what would do.
        details: JSON-able facts for machines, such as the field's name or a limit.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InputError(WhichoneError):
    """Something given by a caller cannot be used as it is."""

    code = "invalid_input"


class DeviceUnavailable(WhichoneError):
    """A device was asked for by name and this machine or installation does not have it."""

    code = "device_unavailable"
