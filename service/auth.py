"""Who may call what: dependencies that check the X-API-Key header, the gallery that is asked for, and the rate.

Each checks the one gallery that a call is about: that of its path, else that of `?gallery=`. A call that is about
several takes `Reader` or `Administrator`, and shows of what there is only what the key `sees`.
"""

from __future__ import annotations

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from service.audit.actor import Actor, act_as
from service.dependencies import CurrentWorkspace
from service.errors import GalleryForbidden, MissingKey, ScopeMissing, WrongKey
from service.gallery.galleries import DEFAULT_GALLERY
from service.keys.info import KeyInfo, Scope
from service.rates import Allowance, Rate, RateLimiter, caller_of
from service.workspace import Workspace

__all__ = [
    "Administrator",
    "AsAdmin",
    "AsIndexer",
    "AsReader",
    "AsRecognizer",
    "Header",
    "Reader",
    "charge",
    "require_reader",
]

Header = Annotated[
    str | None,
    Security(
        APIKeyHeader(
            name="X-API-Key",
            auto_error=False,
            description="An API key. Scope `recognize` may recognise and read, `index` may also change what a gallery "
            "holds, `admin` may do everything. A key may be for some galleries only.",
        )
    ),
]


async def _as_recognizer(request: Request, workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    settings = workspace.settings
    open_to_all = settings.open_recognize or settings.on_loopback
    return await _admit(request, workspace, key, "recognize", _gallery(request), open_to_all=open_to_all)


async def _as_reader(request: Request, workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    open_to_all = workspace.settings.on_loopback
    return await _admit(request, workspace, key, "recognize", _gallery(request), open_to_all=open_to_all)


async def _as_reader_of_several(request: Request, workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    return await _admit(request, workspace, key, "recognize", None, open_to_all=workspace.settings.on_loopback)


async def _as_indexer(request: Request, workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    return await _admit(request, workspace, key, "index", _gallery(request))


async def _as_admin(request: Request, workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    return await _admit(request, workspace, key, "admin", _gallery(request))


async def _as_admin_of_several(request: Request, workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    return await _admit(request, workspace, key, "admin", None)


AsRecognizer = Depends(_as_recognizer)
AsReader = Depends(_as_reader)
AsIndexer = Depends(_as_indexer)
AsAdmin = Depends(_as_admin)
Reader = Annotated[KeyInfo | None, Depends(_as_reader_of_several)]
"""The key of a reader of several galleries; None for a caller without one, where reading is open to all."""
Administrator = Annotated[KeyInfo, Depends(_as_admin_of_several)]


def require_reader(workspace: Workspace, key: str | None) -> None:
    """Who may read what a gallery holds, of those who may ask it: an open POST /recognize does not open that.

    Args:
        key: that `AsRecognizer` let in.

    Raises:
        MissingKey: none, and reading is not open to all.
    """
    if key is None and not workspace.settings.on_loopback:
        raise _missing("recognize")


def charge(request: Request, more: int) -> None:
    """Count a request that turned out to be several as `more` further ones. What is owed, later requests pay."""
    allowance: Allowance | None = getattr(request.state, "allowance", None)
    if allowance is not None and more > 0:
        allowance.charge(more)


def _gallery(request: Request) -> str:
    """The gallery that a call is about, as FastAPI reads it: of several `?gallery=`, the last."""
    named: str | None = request.path_params.get("name")
    return request.query_params.get("gallery", DEFAULT_GALLERY) if named is None else named


async def _admit(
    request: Request,
    workspace: Workspace,
    key: str | None,
    scope: Scope,
    gallery: str | None,
    *,
    open_to_all: bool = False,
) -> KeyInfo | None:
    """Let a caller in, or not.

    Args:
        gallery: that the call is about; None for one about several, which shows what the key may see.

    Raises:
        MissingKey, WrongKey, ExpiredKey, ScopeMissing, GalleryForbidden, RateExceeded.
    """
    if key is None:
        _count_address(request, workspace.settings.rate)
        if not open_to_all:
            raise _missing(scope)
        if not workspace.settings.on_loopback:
            request.state.galleries = frozenset[str]()  # who may ask may not read which there are
        act_as(Actor("open", None, request.state.request_id))
        return None
    try:
        # Checked also where none is needed.
        info = await run_sync(workspace.keys.check, key, limiter=request.app.state.key_checks)
    except WrongKey:
        _count_address(request, workspace.settings.rate)
        raise
    _count(request, "key", info.name, info.rate or workspace.settings.rate)
    if not info.allows(scope):
        held = ", ".join(info.scopes)
        raise ScopeMissing(f"this call needs a key of scope `{scope}`; {info.name!r} has {held}", scope=scope)
    if gallery is not None and not info.sees(gallery):
        raise GalleryForbidden(f"key {info.name!r} is for other galleries than {gallery[:64]!r}", gallery=gallery[:64])
    request.state.galleries = info.galleries
    request.state.key = info.name
    act_as(Actor("key", info.name, request.state.request_id))
    return info


def _missing(scope: Scope) -> MissingKey:
    return MissingKey(
        f"this call needs an API key of scope `{scope}` in the header X-API-Key; `whichone keys create` makes one",
        scope=scope,
    )


def _count_address(request: Request, rate: Rate | None) -> None:
    host = "" if request.client is None else request.client.host
    _count(request, "address", caller_of(host), rate)


def _count(request: Request, kind: str, name: str, rate: Rate | None) -> None:
    """Count the request against its caller's rate, if it has one.

    Raises:
        RateExceeded.
    """
    if rate is None:
        return
    rates: RateLimiter = request.app.state.rates
    allowance = rates.of(kind, name, rate)
    request.state.allowance = allowance  # for the headers of the answer
    allowance.refuse_if_empty()
