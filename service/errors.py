"""The service's branch of the error tree: stable codes, and still nothing about HTTP (see `service.problems`).

WhichoneError
├── InputError
│   └── RequestError            a request that cannot be used: fields, labels, metadata, bodies, limits
├── NotFound                    a gallery, item, label, photo or key that is not there
├── Conflict                    the request is fine, but the state it meets is not
├── AccessError                 a key is missing, wrong, or not for this
├── RateExceeded                the caller asks more often than it may
├── Overloaded                  too much work is waiting already
├── Overdue                     its turn did not come in time
├── SettingsError               an environment variable that cannot be used
└── StorageError                database or photo store
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from embedding.errors import InputError, WhichoneError

__all__ = [
    "AccessError",
    "BundleMismatch",
    "Conflict",
    "DatabaseTooNew",
    "DatabaseUnavailable",
    "DuplicateItem",
    "EmptyGallery",
    "ExpiredKey",
    "FieldInvalid",
    "FieldMissing",
    "FieldTooLarge",
    "FieldUnknown",
    "GalleryForbidden",
    "GalleryNotEmpty",
    "GalleryPinned",
    "GenerationOutdated",
    "InvalidGalleryName",
    "InvalidLabel",
    "InvalidMetadata",
    "InvalidSetting",
    "KeyNotRotatable",
    "MalformedBody",
    "MissingKey",
    "NotFound",
    "Overdue",
    "Overloaded",
    "PhotoLost",
    "PinsBroken",
    "RateExceeded",
    "RequestError",
    "RequestTooLarge",
    "ScopeMissing",
    "SettingsError",
    "SlowRequest",
    "StorageError",
    "TooManyImages",
    "TooManyPins",
    "UnknownFeedback",
    "UnknownGallery",
    "UnknownItem",
    "UnknownKey",
    "UnknownLabel",
    "UnknownPin",
    "UnknownRecognition",
    "UnknownSetting",
    "UnsupportedBody",
    "WrongKey",
]


class RequestError(InputError):
    """A request that cannot be used as it is."""

    code = "invalid_request"


class FieldMissing(RequestError):
    """A field that the call needs did not come."""

    code = "missing_field"


class FieldUnknown(RequestError):
    """A field came that the call does not know."""

    code = "unknown_field"


class FieldInvalid(RequestError):
    """A field's value is not of the kind, or not in the range, that the call takes."""

    code = "invalid_field"


class FieldTooLarge(RequestError):
    """A text field is longer than the server reads."""

    code = "field_too_large"


class InvalidLabel(RequestError):
    """A label that is empty, too long, or carries control characters."""

    code = "invalid_label"


class InvalidGalleryName(RequestError):
    """A gallery name outside [a-z0-9][a-z0-9_-]{0,63}."""

    code = "invalid_gallery_name"


class InvalidMetadata(RequestError):
    """Metadata that is not a JSON object, or is too large or too deep."""

    code = "invalid_metadata"


class MalformedBody(RequestError):
    """A body that cannot be parsed as what its Content-Type says."""

    code = "malformed_body"


class UnsupportedBody(RequestError):
    """A Content-Type that the call does not take."""

    code = "unsupported_body"


class RequestTooLarge(RequestError):
    """More bytes than one request may carry."""

    code = "request_too_large"


class TooManyImages(RequestError):
    """More photos than one request may carry."""

    code = "too_many_images"


class SlowRequest(RequestError):
    """The body stopped coming."""

    code = "slow_request"


class NotFound(WhichoneError):
    """What the request names is not there."""

    code = "not_found"


class UnknownGallery(NotFound):
    """No gallery of this name. The message lists those that there are."""

    code = "unknown_gallery"

    @classmethod
    def among(cls, name: str, existing: Iterable[str]) -> UnknownGallery:
        """The error for somebody who may know which galleries there are."""
        names = sorted(existing)
        listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        there = f"; there are: {listed}" if names else ""
        return cls(
            f"there is no gallery {name!r}{there}. Adding a photo to it makes it", gallery=name, existing=names[:100]
        )

    def told_to(self, galleries: Collection[str]) -> UnknownGallery:
        """The same error for somebody who may know of these galleries only."""
        existing = self.details.get("existing", ())
        return self.among(self.details["gallery"], [name for name in existing if name in galleries])


class UnknownItem(NotFound):
    """No item of this id in the gallery, or no longer."""

    code = "unknown_item"


class UnknownLabel(NotFound):
    """No item of the gallery carries this label."""

    code = "unknown_label"


class UnknownPin(NotFound):
    """No pin of this id in the gallery, or no longer."""

    code = "unknown_pin"


class UnknownFeedback(NotFound):
    """No labelled query of this id in the gallery, or no longer."""

    code = "unknown_feedback"


class UnknownRecognition(NotFound):
    """No recognition of this id is kept, or not any longer."""

    code = "unknown_recognition"


class UnknownKey(NotFound):
    """No API key of this name."""

    code = "unknown_key"


class Conflict(WhichoneError):
    """The request is fine, but the state it meets is not."""

    code = "conflict"


class DuplicateItem(Conflict):
    """The change would make two items of one photo and label, or two keys of one name."""

    code = "duplicate"


class BundleMismatch(Conflict):
    """The gallery was embedded with another bundle than the one that is loaded."""

    code = "bundle_mismatch"


class EmptyGallery(Conflict):
    """The gallery holds nothing to do this with."""

    code = "empty_gallery"


class GalleryPinned(Conflict):
    """The gallery is held at an older generation since a rollback."""

    code = "gallery_pinned"


class GalleryNotEmpty(Conflict):
    """The gallery holds photos or pins already, and takes only ones of its own from now on."""

    code = "gallery_not_empty"


class GenerationOutdated(Conflict):
    """A generation is of photos that the gallery no longer has as the generation has them."""

    code = "generation_outdated"


class PinsBroken(Conflict):
    """A generation answers pinned queries in another way than was said when they were pinned."""

    code = "pins_broken"


class TooManyPins(Conflict):
    """The gallery has as many pins as it may."""

    code = "too_many_pins"


class KeyNotRotatable(Conflict):
    """The key was revoked, has expired, or is set by the environment: it gets no new secret."""

    code = "key_not_rotatable"


class AccessError(WhichoneError):
    """The caller may not do this."""

    code = "access_denied"


class MissingKey(AccessError):
    """The call needs a key and none came."""

    code = "missing_key"


class WrongKey(AccessError):
    """The key is not one of this server's, or was revoked."""

    code = "wrong_key"


class ExpiredKey(WrongKey):
    """The key was good until a moment that has passed."""

    code = "expired_key"


class ScopeMissing(AccessError):
    """The key is good, but not for this call."""

    code = "scope_missing"


class GalleryForbidden(AccessError):
    """The key is good, but not for this gallery."""

    code = "gallery_forbidden"


class RateExceeded(WhichoneError):
    """The caller makes more requests than it may."""

    code = "rate_exceeded"


class Overloaded(WhichoneError):
    """As much work is waiting as the server accepts."""

    code = "overloaded"


class Overdue(WhichoneError):
    """The work was not begun by its deadline."""

    code = "overdue"


class SettingsError(WhichoneError):
    """The configuration cannot be used."""

    code = "settings"


class UnknownSetting(SettingsError):
    """A WHICHONE_ variable that means nothing."""

    code = "unknown_setting"


class InvalidSetting(SettingsError):
    """A setting's value cannot be used."""

    code = "invalid_setting"


class StorageError(WhichoneError):
    """Database or photo store."""

    code = "storage"


class DatabaseUnavailable(StorageError):
    """The database does not answer, or stayed locked too long."""

    code = "database_unavailable"


class DatabaseTooNew(StorageError):
    """The database was migrated by a newer Whichone than this one."""

    code = "database_too_new"


class PhotoLost(StorageError):
    """The database knows a photo whose file is not on disk, or no longer has its sha256."""

    code = "photo_lost"
