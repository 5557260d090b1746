"""Pipelines to compare: what a file may hold, and what the built-in ablation switches."""

from __future__ import annotations

import json

import pytest

from index.evaluation.configurations import ConfigurationInvalid, ablation, gather_configurations, read_configurations
from index.pipeline import Pipeline


def written(folder, name, document):
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_one_document_is_named_after_its_file(tmp_path):
    found = read_configurations(written(tmp_path, "bare.json", {"adaptation": {"wccn": "off"}}))
    assert list(found) == ["bare"]
    assert found["bare"].adaptation.wccn == "off"
    assert found["bare"].ranking == Pipeline().ranking
    assert read_configurations(written(tmp_path, "plain.json", {})) == {"plain": Pipeline()}


def test_several_documents_have_names(tmp_path):
    document = {"nearest": {"ranking": {"aggregation": "max"}}, "as shipped": {}}
    found = read_configurations(written(tmp_path, "two.json", document))
    assert {name: one.ranking.aggregation for name, one in found.items()} == {"nearest": "max", "as shipped": "auto"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "cannot be read as UTF-8 JSON"),
        ([1], "came list"),
        ({"a": {"rankin": {}}}, r"'a', rankin.*did you mean 'ranking'"),
        ({"a": {"ranking": {"agregation": "max"}}}, r"ranking\.agregation.*did you mean 'aggregation'"),
        ({"a": {"ranking": {"aggregation": "best"}}}, r"'a', ranking\.aggregation.*'blend'"),
        ({"a": {"ranking": {"zzz": 1}}}, r"there are aggregation, prototype_weight"),
        ({"a": 3}, "'a'"),
    ],
)
def test_what_cannot_be_compared(tmp_path, document, message):
    with pytest.raises(ConfigurationInvalid, match=message):
        read_configurations(written(tmp_path, "x.json", document))


def test_names_must_differ(tmp_path):
    path = written(tmp_path, "x.json", {"a": {}})
    with pytest.raises(ConfigurationInvalid, match="a system 'a' already"):
        gather_configurations([path, path], with_ablation=False)
    ours = written(tmp_path, "y.json", {"Whichone": {}})
    with pytest.raises(ConfigurationInvalid, match="a system 'Whichone' already"):
        gather_configurations([ours], with_ablation=False)
    with pytest.raises(ConfigurationInvalid, match=r"none\.json: there is no such file"):
        gather_configurations([tmp_path / "none.json"], with_ablation=True)


def test_the_ablation_switches_one_part_at_a_time():
    found = ablation()
    switches = {
        name: (
            pipeline.adaptation.wccn == "on",
            pipeline.verification.mode == "on",
            pipeline.ranking.aggregation == "blend",
        )
        for name, pipeline in found.items()
    }
    assert switches == {
        "all parts on": (True, True, True),
        "all but adaptation": (False, True, True),
        "all but verification": (True, False, True),
        "all but prototype": (True, True, False),
        "no part": (False, False, False),
        "adaptation alone": (True, False, False),
        "verification alone": (False, True, False),
        "prototype alone": (False, False, True),
    }
