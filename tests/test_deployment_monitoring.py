"""Alert rules and dashboard ask for metrics that the server has, with labels that these have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from service.metrics import Metrics

MONITORING = Path(__file__).parents[1] / "docker"
ALERTS = yaml.safe_load((MONITORING / "prometheus/alerts.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/whichone.json").read_text(encoding="utf-8"))
OPERATIONS = Path(__file__).parents[1] / "docs/operations.md"
NAME = re.compile(r"\b((?:whichone|process)_[a-z_]+)(?:\{([^}]*)\})?")
OF_THE_SCRAPE = {"job", "instance"}
ENDINGS = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def rules() -> list[dict[str, object]]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def questions() -> Iterator[tuple[str, str]]:
    """Name and expression of each rule and panel."""
    for rule in rules():
        yield str(rule["alert"]), str(rule["expr"])
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.fixture(scope="module")
def samples() -> dict[str, set[str]]:
    """Every sample's name that the server may give, with its labels."""
    found: dict[str, set[str]] = {}
    registry = Metrics().registry
    for family in registry.collect():
        labels = set(getattr(registry._names_to_collectors.get(family.name), "_labelnames", ()))
        for ending in ENDINGS[family.type]:
            found[family.name + ending] = labels | ({"le"} if ending == "_bucket" else set())
    return found


def asked(expression: str) -> Iterator[tuple[str, set[str]]]:
    for name, selectors in NAME.findall(expression):
        yield name, set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selectors))


@pytest.mark.parametrize(("title", "expression"), list(questions()))
def test_every_metric_exists_with_its_labels(title: str, expression: str, samples: dict[str, set[str]]) -> None:
    for name, labels in asked(expression):
        assert name in samples, name
        assert labels - OF_THE_SCRAPE <= samples[name], name
    known = set().union(*(samples[name] for name, _ in asked(expression)), OF_THE_SCRAPE)
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= known


def test_a_metric_that_is_not_there_would_be_seen(samples: dict[str, set[str]]) -> None:
    assert "whichone_request_seconds_bucket" in samples
    assert "whichone_request_seconds" not in samples
    [(name, labels)] = asked('rate(whichone_nothing_total{colour="red"}[5m])')
    assert name not in samples
    assert labels == {"colour"}


def test_every_alert_says_what_is_wrong_and_is_in_the_handbook() -> None:
    handbook = OPERATIONS.read_text(encoding="utf-8")
    for rule in rules():
        assert rule["annotations"]["summary"]  # type: ignore[index]
        assert rule["labels"]["severity"] in {"page", "warning"}  # type: ignore[index]
        assert f"`{rule['alert']}`" in handbook


def test_the_dashboard_uses_the_provisioned_source() -> None:
    sources = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())
    [source] = sources["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
