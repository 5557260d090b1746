"""Traces: a real server sends them to a real collector, a small HTTP server that reads OTLP's protobuf."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import harness
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
LABEL = "a-label-nobody-may-see"
_WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, *_):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
"""
"""Makes a process as it is where the extra was never installed."""


class Collector:
    """Takes spans, and keeps them with the headers that they came with."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.service: str = ""
        self.raw = b""

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.raw += body
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            [self.service] = [
                one.value.string_value for one in of_resource.resource.attributes if one.key == "service.name"
            ]
            for of_scope in of_resource.scope_spans:
                self.spans.extend(of_scope.spans)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@contextmanager
def _collector() -> Iterator[tuple[str, Collector]]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_recognition_is_traced_from_its_caller_to_its_last_step(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    with (
        _collector() as (url, collector),
        harness.serving(tmp_path / "data", bundle, traces=url, verification="on") as server,
    ):
        for seed in range(4):
            server.add("shop", f"{LABEL}-{seed}", harness.jpeg(seed, (640, 480)), harness.again(seed))
        server.post("/galleries/shop/calibrate")
        server.get("/readyz")
        server.client.headers["traceparent"] = f"00-{TRACE}-{CALLER}-01"
        server.ask("shop", harness.again(2))
        answer = server.client.delete(f"/labels/{LABEL}-none", params={"gallery": "shop"})
        assert answer.status_code == 404
        harness.until("the spans", lambda: bool(collector.named("DELETE /labels/{label:path}")))
        [request] = [span for span in collector.named("POST /recognize") if span.trace_id.hex() == TRACE]
        assert request.parent_span_id.hex() == CALLER
        assert request.kind == Span.SPAN_KIND_SERVER
        steps = [span for span in collector.spans if span.parent_span_id == request.span_id]
        assert {span.trace_id.hex() for span in steps} == {TRACE}
        names = [span.name for span in sorted(steps, key=lambda span: span.start_time_unix_nano)]
        assert names[:5] == ["queue", "decode", "embed", "search", "rank"]
        assert set(names) <= {"queue", "decode", "embed", "search", "rank", "extract", "verify"}
        for span in steps:
            assert request.start_time_unix_nano <= span.start_time_unix_nano + 1_000_000
            assert span.start_time_unix_nano <= span.end_time_unix_nano <= request.end_time_unix_nano
        told = {one.key: one.value for one in request.attributes}
        assert told["http.response.status_code"].int_value == 200
        assert told["whichone.request_id"].string_value
        assert collector.service == "whichone"
        assert not collector.named("GET /readyz")
        assert f'"trace_id": "{TRACE}"' in server.log.read_text()
    assert LABEL.encode() not in collector.raw
    assert harness.ADMIN.encode() not in collector.raw


def test_a_collector_that_is_away_changes_no_answer(tmp_path: Path, bundle: Path) -> None:
    with harness.serving(tmp_path / "data", bundle, traces="http://127.0.0.1:9/v1/traces") as server:
        server.add("shop", "beans", harness.jpeg(1))
        assert server.best("shop", harness.jpeg(1)) == "beans"
        server.stop()
        server.log.write_text("")  # it says that spans could not be sent, with a traceback


def test_traces_without_the_extra_stop_the_start(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_WITHOUT)
    env = harness.environment(tmp_path / "data", bundle, admin_key=harness.ADMIN, traces="http://127.0.0.1:9")
    env["PYTHONPATH"] = f"{tmp_path}:{harness.ROOT}"
    done = subprocess.run(
        [sys.executable, "-m", "service"], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'whichone[tracing]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_opentelemetry_is_imported_while_it_is_off() -> None:
    extra = ("opentelemetry.sdk", "opentelemetry.exporter")  # FastAPI itself brings the rest
    program = f"import sys, service.app; print([name for name in sys.modules if name.startswith({extra})])"
    done = subprocess.run([sys.executable, "-c", program], cwd=harness.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_address_that_is_none_is_named(tmp_path: Path, bundle: Path) -> None:
    said = harness.fail_to_start(tmp_path / "data", bundle, traces="collector:4318")
    assert "WHICHONE_TRACES" in said
    assert "http://" in said
