"""schemathesis over the whole OpenAPI document, against a real server: no 5xx, and no answer that the document does not
describe. The examples are the same every time; WHICHONE_FUZZ_EXAMPLES=200 makes more, and adds schemathesis's coverage
of every bound and type."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.transport.serialization import Binary

EXAMPLES = int(os.environ.pop("WHICHONE_FUZZ_EXAMPLES", "6"))
STATUSES = {400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429}
"""Of requests that cannot be answered: the document's `default` is of these."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
PHOTOS = [harness.jpeg(0), harness.jpeg(1), harness.again(2), b"no photo"]
schemathesis.openapi.format("binary", st.sampled_from(PHOTOS).map(Binary))
schemathesis.openapi.format("byte", st.sampled_from([base64.b64encode(photo).decode() for photo in PHOTOS]))


def _document(modes: list[GenerationMode], **parameters: str) -> schemathesis.BaseSchema:
    document = schemathesis.openapi.from_path(harness.ROOT / "docs/openapi.json")
    document.config.update(parameters=parameters)
    document.config.generation.update(modes=modes)
    document.config.phases.coverage.enabled = EXAMPLES > 100  # hundreds of cases a call
    return document


anything = _document([GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
fitting = _document([GenerationMode.POSITIVE], gallery="default")
bounded = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[harness.Server]:
    data = tmp_path_factory.mktemp("fuzzed") / "data"
    with harness.serving(data, bundle, body_timeout=2, max_image_bytes=100_000) as server:
        for seed in range(3):
            server.add("default", f"label {seed}", harness.jpeg(seed))
        yield server


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


def _ask(case: schemathesis.Case, server: harness.Server, session: requests.Session) -> None:
    answer = case.call_and_validate(
        base_url=server.url,
        session=session,
        headers={"X-API-Key": harness.ADMIN},
        timeout=harness.DEADLINE,
        checks=CHECKS,
    )
    assert answer.status_code < 300 or answer.status_code in STATUSES, answer.status_code
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"]


@anything.parametrize()
@bounded
def test_whatever_is_asked_is_answered_as_described(
    case: schemathesis.Case, fuzzed: harness.Server, session: requests.Session
) -> None:
    _ask(case, fuzzed, session)


@fitting.parametrize()
@bounded
def test_what_fits_is_answered_as_described(
    case: schemathesis.Case, fuzzed: harness.Server, session: requests.Session
) -> None:
    _ask(case, fuzzed, session)
