"""Metrics: what one process tells, what two tell together, and that every one of them is documented."""

from __future__ import annotations

import math
import os
import re
import signal
from pathlib import Path

import harness
import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.utils import floatToGoString

from service.metrics import Metrics
from service.observability.gauges import Gauges
from service.observability.known_galleries import KnownGalleries

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _value(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all samples that carry these labels."""
    return sum(value for (of, held), value in samples.items() if of == name and labels.items() <= dict(held).items())


def _pids(samples: Samples) -> set[int]:
    return {int(dict(labels)["pid"]) for name, labels in samples if name == "process_resident_memory_bytes"}


def test_what_one_process_tells(server: harness.Server, gallery: str) -> None:
    for seed in range(3):
        server.add(gallery, f"label {seed}", harness.jpeg(seed))
    before = _samples(server.get("/metrics").text)
    answer = server.ask(gallery, harness.jpeg(1))
    after = _samples(server.get("/metrics").text)

    def more(name: str, **labels: str) -> float:
        return _value(after, name, **labels) - _value(before, name, **labels)

    best = answer["candidates"][0]
    assert more("whichone_verdicts_total", gallery=gallery, verdict=answer["verdict"]) == 1
    bounds = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, math.inf)
    for name, value in [
        ("whichone_score", best["score"]),
        ("whichone_confidence", best["confidence"]),
        ("whichone_penalty", answer["penalty"]),
    ]:
        assert more(f"{name}_count", gallery=gallery) == 1
        below = [bound for bound in bounds if value <= bound]
        assert more(f"{name}_bucket", gallery=gallery, le=floatToGoString(min(below))) == 1
        above = [bound for bound in bounds if value > bound]
        assert not above or more(f"{name}_bucket", gallery=gallery, le=floatToGoString(max(above))) == 0
    for stage in ("decode", "embed", "search", "total"):
        assert more("whichone_stage_seconds_count", stage=stage) == 1
    assert abs(more("whichone_stage_seconds_sum", stage="total") - answer["timing_ms"]["total"] / 1000) < 1e-5
    assert more("whichone_queue_seconds_count", lane="recognize") == 1
    assert more("whichone_embedding_batch_size_sum") >= 1
    assert more("whichone_requests_total", route="/recognize", status="200", method="POST") == 1
    assert _value(after, "whichone_queue_seconds_count", lane="enrol") >= 3
    assert _value(after, "whichone_queue_depth") == 0
    assert _value(after, "whichone_gallery_items", gallery=gallery, kind="item") == 3
    assert _value(after, "whichone_index_vectors", gallery=gallery) == 3
    assert _value(after, "whichone_index_bytes", gallery=gallery, kind="searched") >= 3 * harness.DIM
    assert _value(after, "whichone_gallery_change", gallery=gallery) == answer["change"]
    assert _value(after, "whichone_gallery_generation", gallery=gallery) == 0
    server.post(f"/galleries/{gallery}/publish")
    assert server.ask(gallery, harness.jpeg(1))["generation"] == 1
    assert _value(_samples(server.get("/metrics").text), "whichone_gallery_generation", gallery=gallery) == 1
    model = {"sha256": server.get("/version").json()["model_sha256"], "device": "cpu", "precision": "float32"}
    assert _value(after, "whichone_model_info", **model) == 1
    assert _value(after, "process_resident_memory_bytes") > 1e7


def test_two_processes_are_told_of_as_one(tmp_path: Path, bundle: Path) -> None:
    with harness.serving(tmp_path / "data", bundle, workers=2) as server:
        server.add("shop", "beans", harness.jpeg(1))

        def scrape() -> Samples:
            with httpx.Client(base_url=server.url) as client:  # a new connection: whichever process takes it
                return _samples(client.get("/metrics").text)

        def asked(samples: Samples) -> float:
            return _value(samples, "whichone_verdicts_total", gallery="shop")

        for times in range(1, 9):
            server.client.close()
            server.client = httpx.Client(base_url=server.url, headers={"X-API-Key": harness.ADMIN})
            server.ask("shop", harness.jpeg(1))
            assert asked(scrape()) == times  # whoever answered it, and whoever is asked
        harness.until("both", lambda: len(_pids(scrape())) == 2)
        samples = scrape()
        assert _value(samples, "whichone_model_info") == 1
        for pid in _pids(samples):
            assert _value(samples, "process_cpu_seconds_total", pid=str(pid)) > 0
        [killed, _] = _pids(samples)
        os.kill(killed, signal.SIGKILL)
        harness.until("another in its place", lambda: len(_pids(scrape()) - {killed}) == 2)
        samples = scrape()
        assert killed not in _pids(samples)
        assert not _value(samples, "whichone_gallery_items", pid=str(killed))
        assert asked(samples) == 8  # a sum never falls
        folder = _metrics_folder(_pids(samples).pop())
        assert folder.is_dir()
    assert not folder.exists()


def _metrics_folder(pid: int) -> Path:
    """Where a process counts, by the files that it has mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    [folder] = {str(Path(path).parent) for path in re.findall(r"\s(/\S+\.db)$", maps, re.MULTILINE)}
    return Path(folder)


def test_every_metric_is_documented_and_every_documented_one_is_there() -> None:
    page = (harness.ROOT / "docs/operations.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `((?:whichone|process)_\w+)` \|", page, re.MULTILINE))
    families = Metrics().registry.collect()
    there = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert there == documented


def test_there_is_an_end_to_the_galleries_that_metrics_tell_apart() -> None:
    known = KnownGalleries()
    names = {known.name_of(f"gallery-{number}") for number in range(1000)}
    assert len(names) == 101
    assert "(others)" in names
    assert known.name_of("gallery-7") == "gallery-7"
    assert not known.knows("gallery-999")


def test_jobs_are_told_by_state() -> None:
    registry = CollectorRegistry()
    gauges = Gauges(registry, KnownGalleries(), several=False)
    gauges.watch_jobs(lambda: {"running": 2, "done": 0})
    gauges.refresh()
    assert registry.get_sample_value("whichone_jobs", {"state": "running"}) == 2
    assert registry.get_sample_value("whichone_jobs", {"state": "done"}) == 0
