"""Errors as HTTP: the only map from an error's code to a status, and the one shape of every error answer (RFC 9457)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from embedding.errors import WhichoneError
from service.errors import Overdue, Overloaded, UnknownGallery

__all__ = [
    "PROBLEM_RESPONSES",
    "STATUS",
    "Problem",
    "describe",
    "install",
    "problem",
    "problem_body",
    "status_of",
    "unexpected",
]

MEDIA_TYPE = "application/problem+json"
ECHO = 200
"""Characters of a caller's own input that an error repeats."""

STATUS: Mapping[str, int] = {
    # What came cannot be used. More special codes first decide: an error answers with the status of its own
    # code, or else of the nearest of its base classes.
    "error": 500,
    "invalid_input": 422,
    "malformed_body": 400,
    "unsupported_body": 415,
    "unsupported_format": 415,
    "request_too_large": 413,
    "too_many_images": 413,
    "field_too_large": 413,
    "image_too_large": 413,
    "too_many_pixels": 413,
    "slow_request": 408,
    # Who asks.
    "access_denied": 403,
    "missing_key": 401,
    "wrong_key": 401,
    "scope_missing": 403,
    "gallery_forbidden": 403,
    "rate_exceeded": 429,
    # What is there.
    "not_found": 404,
    "generation_not_found": 404,
    "generation_mismatch": 409,
    "not_calibratable": 409,
    "conflict": 409,
    # What the server can do.
    "overloaded": 503,
    "overdue": 503,
    "storage": 500,
    "database_unavailable": 503,
    "device_unavailable": 503,
    "engine_unavailable": 503,
    "disk_full": 507,
}


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable; further members depend on it, such as `field` and `limit`."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = None


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {"default": {"model": Problem, "description": "An error."}}


def describe(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document that errors come as problem+json; FastAPI can only describe one media type a call."""
    for calls in document["paths"].values():
        for call in calls.values():
            for status, answer in call["responses"].items():
                content = answer.get("content", {})
                if status[0] not in "123" and "application/json" in content:
                    content[MEDIA_TYPE] = content.pop("application/json")


def status_of(error: WhichoneError) -> int:
    """HTTP status of an error: by its code, or by the code of the nearest of its base classes."""
    for kind in type(error).__mro__:
        code = vars(kind).get("code")
        if isinstance(code, str) and code in STATUS:
            return STATUS[code]
    return 500


def problem_body(status: int, code: str, detail: str, request_id: str | None, **members: Any) -> dict[str, Any]:
    """One error, as JSON."""
    body = {
        "type": f"urn:whichone:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    return body | {name: value for name, value in members.items() if name not in body}


def problem(status: int, code: str, detail: str, request_id: str | None, **members: Any) -> JSONResponse:
    """One error answer."""
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'ApiKey realm="whichone", header="X-API-Key"'
    if status == 503:
        headers["Retry-After"] = "1"
    if "retry_after_s" in members:
        headers["Retry-After"] = str(members["retry_after_s"])
    body = problem_body(status, code, detail, request_id, **members)
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def as_answer(error: WhichoneError, request_id: str | None) -> JSONResponse:
    """The answer that tells of a domain's error."""
    return problem(status_of(error), error.code, error.message, request_id, **error.details)


def unexpected(request_id: str | None) -> JSONResponse:
    """The answer to a defect: an id to find it in the log by, and nothing of its insides."""
    detail = f"something went wrong here that should not; the server's log tells more under request id {request_id}"
    return problem(500, "internal_error", detail, request_id)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(WhichoneError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


def _on_domain_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WhichoneError)  # noqa: S101  for mypy: registered for this class only
    if not isinstance(error, Overloaded | Overdue):  # these are told in numbers: too much is not to cost more still
        request.state.error = error  # for the log
    known: Collection[str] | None = getattr(request.state, "galleries", None)
    if known is not None and isinstance(error, UnknownGallery):
        error = error.told_to(known)
    return as_answer(error, _request_id(request))


def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  for mypy, as above
    faults = [_fault(fault) for fault in error.errors()]
    detail = "; ".join(f"{fault['field'] or 'body'}: {fault['message']}" for fault in faults[:5])
    codes = {fault["type"] for fault in error.errors()}
    status, code = (400, "malformed_body") if "json_invalid" in codes else (422, "invalid_field")
    return problem(status, code, detail, _request_id(request), field=faults[0]["field"], errors=faults[:20])


def _fault(fault: Mapping[str, Any]) -> dict[str, str]:
    where = [str(part) for part in fault["loc"]][1:]
    came = "" if fault["type"] == "json_invalid" else repr(fault.get("input"))
    return {"field": ".".join(where), "message": str(fault["msg"])[:ECHO], "got": came[:ECHO]}


def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  for mypy, as above
    if isinstance(error.__cause__, WhichoneError):  # FastAPI wraps what a limit raises while it reads the body
        return _on_domain_error(request, error.__cause__)
    codes = {404: "unknown_path", 405: "method_not_allowed", 400: "malformed_body"}
    detail = {
        404: f"there is nothing at {request.url.path}; /openapi.json lists every call",
        405: f"{request.url.path} takes {(error.headers or {}).get('Allow', 'other methods')}, not {request.method}",
    }.get(error.status_code, str(error.detail))
    code = codes.get(error.status_code, f"http_{error.status_code}")
    answer = problem(error.status_code, code, detail, _request_id(request))
    answer.headers.update(error.headers or {})
    return answer
