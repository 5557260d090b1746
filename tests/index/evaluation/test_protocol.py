"""The whole protocol with the shipped model, on a tiny set and on a slice of real photos."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from index.evaluation import report
from index.evaluation.embeddings import Embeddings
from index.evaluation.manifest import ManifestInvalid, PhotosUnreadable, fingerprint, load_manifest, load_parts
from index.evaluation.protocol import evaluate, read_label_groups
from index.evaluation.yardstick import nearest_photo_answers

GROCERY = Path(__file__).resolve().parents[4] / "shared" / "data" / "grocery"


@pytest.fixture(scope="module")
def evaluation(photo_set, embedder):
    return evaluate(
        load_manifest(photo_set / "manifest.csv"), embedder, far_budget=0.1, group_column="shape", bootstrap=20
    )


def test_it_tells_easy_things_apart(evaluation):
    assert evaluation.ours.figures["top_1"].value == 1
    assert evaluation.ours.figures["auroc"].value >= 0.8
    assert evaluation.calibration["source"] == "labelled"


def test_groups_add_up(evaluation):
    groups = evaluation.ours.groups
    assert sorted(groups) == ["round", "square"]
    assert sum(figures.n_known for figures in groups.values()) == evaluation.ours.figures.n_known == 5
    assert sum(figures.n_unknown for figures in groups.values()) == evaluation.ours.figures.n_unknown == 6


def test_evidence_is_a_gallery_photo_of_the_best_candidate(evaluation):
    for answer in evaluation.ours.answers.answers:
        assert evaluation.manifest.gallery[answer.evidence].label == answer.label


def test_without_calibration_photos_the_gallery_calibrates_itself(photo_set, embedder):
    manifest = dataclasses.replace(load_manifest(photo_set / "manifest.csv"), calibrate=())
    evaluation = evaluate(manifest, embedder, bootstrap=0)
    assert evaluation.calibration["source"] in ("gallery", "background")


def test_kept_embeddings_give_the_same_figures_and_are_not_mixed_between_models(
    photo_set, embedder, evaluation, tmp_path
):
    cache = tmp_path / "kept.npz"
    steps = []
    arguments = {"far_budget": 0.1, "group_column": "shape", "bootstrap": 20, "cache": cache}
    manifest = load_manifest(photo_set / "manifest.csv")
    evaluate(manifest, embedder, **arguments)
    again = evaluate(manifest, embedder, **arguments, progress=lambda what, done, total: steps.append(what))
    assert again.to_json() == evaluation.to_json()
    assert set(steps) == {"asking"}
    assert Embeddings.load(cache, "another model").own == {}


def test_a_file_that_keeps_no_embeddings(tmp_path):
    (tmp_path / "kept.npz").write_text("something else")
    with pytest.raises(ManifestInvalid, match=r"kept\.npz: not a file of kept embeddings"):
        Embeddings.load(tmp_path / "kept.npz", "model")


def test_photos_that_cannot_be_decoded_are_listed_all_at_once(photo_set, embedder, tmp_path):
    for name in ("bad1.png", "bad2.png"):
        (tmp_path / name).write_text(f"{name} is no picture")
    good = photo_set / "circles-0.png"
    (tmp_path / "m.csv").write_text(f"path,label,role\n{good},cup,gallery\nbad1.png,cup,query\nbad2.png,cup,query\n")
    with pytest.raises(PhotosUnreadable, match=r"2 photo\(s\).*bad1\.png.*bad2\.png"):
        evaluate(load_manifest(tmp_path / "m.csv"), embedder)


def test_a_column_that_is_not_there(photo_set, embedder):
    with pytest.raises(ManifestInvalid, match=r"'colour'.*shape"):
        evaluate(load_manifest(photo_set / "manifest.csv"), embedder, group_column="colour")


def test_groups_from_a_csv_of_labels(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("label,size\ncup,small\nhat,large\n")
    assert read_label_groups(path, "size") == {"cup": "small", "hat": "large"}
    with pytest.raises(ManifestInvalid, match="no column 'colour'"):
        read_label_groups(path, "colour")
    with pytest.raises(ManifestInvalid, match=r"none\.csv"):
        read_label_groups(tmp_path / "none.csv", "size")


def test_the_report_is_one_file_with_everything_in_it(evaluation, tmp_path):
    report.write_report(evaluation, tmp_path / "sub" / "report.html")
    report.write_json(evaluation, tmp_path / "sub" / "report.json")
    text = (tmp_path / "sub" / "report.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", text), "nothing is loaded from elsewhere"
    assert text.count("data:image/png;base64,") == 4
    assert "false-accept rate" in text
    document = json.loads((tmp_path / "sub" / "report.json").read_text())
    assert document["format"] == "whichone-evaluation/1"
    assert len(document["queries"]) == 11
    assert document["systems"][0]["figures"]["top_1"]["value"] == 1


def test_a_label_cannot_break_out_of_the_report(photo_set, embedder, tmp_path):
    bad = "<script>alert(1)</script>"
    lines = [
        "path,label,role",
        f"{photo_set / 'circles-0.png'},{bad},gallery",
        f"{photo_set / 'blocks-0.png'},blocks,gallery",
        f"{photo_set / 'stripes-2.png'},{bad},query",
    ]
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    report.write_report(evaluate(load_manifest(tmp_path / "m.csv"), embedder, bootstrap=0), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert bad not in text
    assert "&lt;script&gt;" in text


def test_without_its_packages_the_report_says_what_to_install(monkeypatch):
    monkeypatch.setattr(report, "NEEDED", {"no_such_module_anywhere": "matplotlib"})
    with pytest.raises(report.ReportNeedsExtra, match=r"pip install 'whichone\[evaluate\]'"):
        report.require_report_extra()


@pytest.mark.skipif(not GROCERY.is_dir(), reason="the evaluation data (../shared/data/grocery) is not here")
def test_a_slice_of_real_photos(embedder):
    whole = load_parts(GROCERY / "openset_gallery.csv", GROCERY / "openset_queries_val.csv")
    labels = sorted({photo.label for photo in whole.queries if photo.known})[::5]
    gallery = tuple(photo for photo in whole.gallery if photo.label in labels)
    known = tuple(photo for photo in whole.queries if photo.label in labels)
    unknown = tuple(photo for photo in whole.queries if not photo.known)[::4]
    manifest = dataclasses.replace(whole, gallery=gallery, queries=known + unknown)
    evaluation = evaluate(manifest, embedder, far_budget=0.05, bootstrap=0)
    assert evaluation.counts()["labels"] == len(labels) >= 8
    assert evaluation.ours.figures["top_1"].value > 0.5
    # The yardstick's closed-set answer is the plain nearest neighbour, found again here by another route.
    hashed = fingerprint(manifest)
    files = [photo.path.read_bytes() for photo in hashed.gallery + hashed.queries]
    vectors = embedder.embed([embedder.decode(data) for data in files])
    answers = nearest_photo_answers(
        vectors[len(gallery) :], vectors[: len(gallery)], [photo.label for photo in gallery]
    )
    assert [answer.label for answer in answers] == [answer.label for answer in evaluation.systems[1].answers.answers]
