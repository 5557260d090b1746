"""Several bundles as one: cosines and probabilities are the members' means, whatever sizes and numbers they want."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.special import softmax

torch = pytest.importorskip("torch", reason="needs the training extra")

import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import cli  # noqa: E402
from embedding.bundle import Bundle, BundleInvalid, write_manifest  # noqa: E402
from embedding.embedder import Embedder  # noqa: E402
from embedding.manifest import Manifest  # noqa: E402
from embedding.preprocess import PreprocessSpec, preprocess  # noqa: E402
from tests.training.run.small import draw_photos  # noqa: E402
from training.errors import PhotosUnusable  # noqa: E402
from training.export import joined_check  # noqa: E402
from training.export.ensemble_bundle import Joining, join_bundles  # noqa: E402
from training.export.joined_check import check_joined  # noqa: E402
from training.export.joined_graph import GraphsDoNotJoin, Member, join_graphs  # noqa: E402
from training.export.joined_input import MembersDiffer, joined_input  # noqa: E402
from training.export.onnx_graph import INPUT, OUTPUT, SCORES, ParityError, run_graph  # noqa: E402
from training.export.package_photos import PACKAGE_PHOTOS, load_package_photos  # noqa: E402
from training.export.reduced import leading_directions  # noqa: E402
from training.export.whole_folder import OutputRefused  # noqa: E402

pytestmark = pytest.mark.torch

SPEC = {
    "mode": "shorter_side_crop",
    "resize": 72,
    "crop": 64,
    "interpolation": "bicubic",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CLASSES = ("cup", "hat", "shoe")
Make = Callable[..., Bundle]


@pytest.fixture(autouse=True)
def few_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Background and comparison on two of the photos, small: joining tiny networks takes no longer than it must."""
    monkeypatch.setattr(joined_check, "load_package_photos", lambda: _photos(PACKAGE_PHOTOS[:2]))


def network(dim: int, seed: int, *, scores: bool = False, opset: int = 18, side: int | None = None) -> onnx.ModelProto:
    """Convolution, ReLU, average, matrix, unit length; scores of three classes where they are wanted."""
    random = np.random.RandomState(seed)
    weights = {"stem": random.randn(24, 3, 5, 5) / 9, "head": random.randn(24, dim), "classes": random.randn(dim, 3)}
    nodes = [
        helper.make_node("Conv", [INPUT, "stem"], ["a"], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "head"], ["e"]),
        helper.make_node("LpNormalization", ["e"], [OUTPUT], axis=1, p=2),
        helper.make_node("MatMul", [OUTPUT, "classes"], [SCORES]),
    ]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", dim])]
    if scores:
        outputs.append(helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["n", 3]))
    graph = helper.make_graph(
        nodes if scores else nodes[:-1],
        "tiny",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, side or "h", side or "w"])],
        outputs,
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def _make(name: str, *, dim: int = 8, labels: tuple[str, ...] = (), opset: int = 18, **fields: Any) -> Bundle:
        folder = tmp_path / name
        folder.mkdir()
        model = network(dim, len(list(tmp_path.iterdir())), scores=bool(labels), opset=opset)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        (folder / "NOTICE").write_text(f"drawn for {name}\n")
        if labels:
            (folder / "labels.json").write_text(json.dumps(labels))
        spec = SPEC | {key: fields.pop(key) for key in tuple(fields) if key in PreprocessSpec.model_fields}
        body = {
            "name": name,
            "version": "1",
            "license": "MIT",
            "backbone": f"net of {name}",
            "dim": dim,
            "outputs": (OUTPUT, SCORES) if labels else (OUTPUT,),
            "preprocess": spec,
            "models": {"float32": "model.onnx"},
            "precision": {"cpu": "float32"},
        }
        return write_manifest(folder, Manifest.model_validate(body | fields))

    return _make


def join(out: Path, *bundles: Bundle, **wanted: Any) -> Bundle:
    return join_bundles([one.folder for one in bundles], out, Joining(**({"name": "both"} | wanted)))


@cache
def _photos(paths: tuple[Path, ...]) -> list[Image.Image]:
    return [photo.resize((100, 90)) for photo in load_package_photos(paths)]


def photos() -> list[Image.Image]:
    return _photos(PACKAGE_PHOTOS[-4:])


def run(model: onnx.ModelProto, output: str, batch: Any) -> Any:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([output], {INPUT: batch})[0]


def cosines(bundle: Bundle) -> Any:
    rows = Embedder(bundle).embed(photos()).astype(np.float64)
    return rows @ rows.T


# ---------------------------------------------------------------- what is promised


def test_a_cosine_is_the_weighted_mean_of_the_members_cosines(make: Make, tmp_path: Path) -> None:
    one, two = make("one", dim=8), make("two", dim=5)
    both = join(tmp_path / "both", one, two, weights=(3.0, 1.0), half=False)
    assert "stored_graph" not in both.manifest.metrics
    np.testing.assert_allclose(cosines(both), (3 * cosines(one) + cosines(two)) / 4, atol=1e-5)
    manifest = both.manifest
    assert (manifest.dim, manifest.id, manifest.license, manifest.outputs) == (13, "both@1", "MIT", (OUTPUT,))
    assert [part["share"] for part in manifest.recipe["joined_from"]] == [0.75, 0.25]
    assert [part["input"] for part in manifest.recipe["joined_from"]] == ["as it comes"] * 2
    assert manifest.metrics["float32_graph"]["0: one@1"]["min_cosine"] > 0.999999
    assert both.distractors().shape == (2, 13)
    assert manifest.recipe["photo_size"] == "any"
    assert run_graph(both.folder / "model.onnx", np.zeros((1, 3, 40, 88), np.float32))[OUTPUT].shape == (1, 13)
    notice = (both.folder / "NOTICE").read_text()
    assert "drawn for one" in notice
    assert "drawn for two" in notice


def test_members_of_other_sizes_and_numbers_see_what_they_see_alone(make: Make, tmp_path: Path) -> None:
    """Cut without loss; scaled, and told how near."""
    first = make("first")
    cut = make("cut", crop=48, **IMAGENET)
    scaled = make("scaled", resize=54, crop=48, **IMAGENET)
    joined = join(tmp_path / "all", first, cut, scaled)
    assert joined.manifest.preprocess == first.manifest.preprocess
    assert joined.manifest.recipe["photo_size"] == [64, 64]
    inputs = [part["input"] for part in joined.manifest.recipe["joined_from"]]
    assert inputs == [
        "as it comes",
        "the central 48 of 64 pixels, numbers of its own",
        "scaled from 64 to 48 (bicubic), numbers of its own",
    ]
    figures = joined.manifest.metrics["stored_graph"]
    nearness = [figures[f"{at}: {name}@1"]["min_cosine"] for at, name in enumerate(("first", "cut", "scaled"))]
    assert nearness[0] > 0.9999
    assert nearness[1] > 0.999
    assert 0.95 < nearness[2] < 1
    rows = Embedder(joined).embed(photos())
    for at, member in enumerate((first, cut, scaled)):
        part = rows[:, 8 * at : 8 * at + 8] * np.sqrt(3)
        alone = Embedder(member).embed(photos())
        assert np.einsum("nd,nd->n", part, alone).min() > (0.999, 0.999, 0.95)[at]


def test_probabilities_are_the_mean_of_the_members(make: Make, tmp_path: Path) -> None:
    one = make("one", labels=CLASSES, temperature=0.1)
    two = make("two", dim=5, labels=CLASSES, temperature=2.5)
    both = join(tmp_path / "both", one, two, half=False)
    assert both.manifest.outputs == (OUTPUT, SCORES)
    assert both.manifest.temperature == 1
    assert json.loads((both.folder / "labels.json").read_text()) == list(CLASSES)
    batch = np.stack([preprocess(one_photo, both.manifest.preprocess) for one_photo in photos()])
    expected = [
        softmax(run_graph(bundle.folder / "model.onnx", batch)[SCORES] / bundle.manifest.temperature, axis=1)
        for bundle in (one, two)
    ]
    scores = run_graph(both.folder / "model.onnx", batch)[SCORES]
    np.testing.assert_allclose(np.exp(scores), np.mean(expected, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(softmax(scores, axis=1), np.mean(expected, axis=0), rtol=1e-4, atol=1e-6)


def test_scores_of_other_labels_are_left_out(make: Make, tmp_path: Path) -> None:
    one, two = make("one", labels=CLASSES), make("two", labels=CLASSES[::-1])
    both = join(tmp_path / "both", one, two)
    assert both.manifest.outputs == (OUTPUT,)
    assert not (both.folder / "labels.json").exists()
    stored = {tensor.data_type for tensor in onnx.load(both.folder / "model.onnx").graph.initializer if tensor.dims[1:]}
    assert stored == {TensorProto.FLOAT16}


def test_scores_stay_exact_where_probabilities_underflow() -> None:
    front = joined_input([PreprocessSpec.model_validate(SPEC)] * 2)[1]
    model = network(4, 0, scores=True)
    joined = join_graphs([Member(model, one, 4, 0.5, temperature=1e-4) for one in front], size=None, with_scores=True)
    photo = np.stack([preprocess(one, PreprocessSpec.model_validate(SPEC)) for one in photos()[:1]])
    logits = run(model, SCORES, photo).astype(np.float64) / 1e-4
    expected = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
    got = run(joined, SCORES, photo)
    assert expected.min() < -200  # whose exponential is 0 in float32
    np.testing.assert_allclose(got, expected, rtol=1e-3)


def test_a_photo_alone_and_among_others_is_the_same(make: Make, tmp_path: Path) -> None:
    both = join(tmp_path / "both", make("one"), make("two", resize=54, crop=48))
    together = Embedder(both).embed(photos())
    for at, photo in enumerate(photos()):
        np.testing.assert_array_equal(Embedder(both).embed([photo])[0], together[at])


def test_joined_bundles_join_and_old_operator_sets_too(make: Make, tmp_path: Path) -> None:
    old = make("old", opset=16)
    once = join(tmp_path / "once", old, make("two"))
    twice = join(tmp_path / "twice", once, old, name="twice", weights=(2.0, 1.0))
    expected = (2 * cosines(once) + cosines(old)) / 3
    np.testing.assert_allclose(cosines(twice), expected, atol=2e-3)


# ---------------------------------------------------------------- the input


SPECS = st.builds(
    lambda resize, cut: PreprocessSpec.model_validate(SPEC | {"resize": resize, "crop": max(8, resize - cut)}),
    st.integers(16, 400),
    st.integers(0, 60),
)


@given(st.lists(SPECS, min_size=2, max_size=4))
def test_the_input_holds_what_every_member_sees(specs: list[PreprocessSpec]) -> None:
    joined, fronts = joined_input(specs)
    assert joined.resize == max(spec.resize for spec in specs)
    for spec, front in zip(specs, fronts, strict=True):
        assert front.start >= 0
        assert front.start + front.seen <= joined.crop == front.whole
        assert front.side == spec.crop
        assert abs(front.seen / joined.resize - spec.crop / spec.resize) <= 0.5 / joined.resize + 1e-9
        assert abs(2 * front.start + front.seen - joined.crop) <= 1  # in the middle
        assert not front.exact or (not front.scales and 2 * front.start + front.seen == joined.crop)


@settings(deadline=None, max_examples=20)
@given(st.integers(30, 300), st.integers(30, 300), st.sampled_from([40, 48, 56, 64]))
def test_a_cut_member_gets_the_pixels_that_it_gets_alone(width: int, height: int, crop: int) -> None:
    specs = [PreprocessSpec.model_validate(SPEC | {"crop": side}) for side in (64, crop)]
    joined, (_, front) = joined_input(specs)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    window = slice(front.start, front.start + front.seen)
    got, alone = preprocess(image, joined)[:, window, window], preprocess(image, specs[1])
    assert front.exact
    assert np.abs(got - alone).mean() < 2 / 255


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_graph_scales_as_pillow_scales(interpolation: str) -> None:
    """But for rounding to 8 bits, which Pillow does after each direction and the graph never."""
    wide = PreprocessSpec.model_validate(SPEC | {"interpolation": interpolation, "mode": "squash", "resize": 64})
    narrow = wide.model_copy(update={"resize": 40, "crop": 40, **IMAGENET})
    joined, fronts = joined_input([wide, narrow])
    seen = helper.make_node("Flatten", [INPUT], [OUTPUT])
    plain = helper.make_model(
        helper.make_graph(
            [seen],
            "seen",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, "h", "w"])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", "d"])],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    members = [Member(plain, front, 3 * spec.crop**2, 0.5) for front, spec in zip(fronts, (wide, narrow), strict=True)]
    model = join_graphs(members, size=joined.size, with_scores=False)
    model.graph.output.append(helper.make_tensor_value_info(f"member1/{OUTPUT}", TensorProto.FLOAT, ["n", "d"]))
    step = 1 / 255 / min(IMAGENET["std"])
    for low, high, most in ((64, 192, 2.5), (0, 256, 8)):  # the second overshoots, and is held back as in Pillow
        image = Image.fromarray(np.random.default_rng(1).integers(low, high, (64, 64, 3), np.uint8))
        expected = preprocess(image, narrow)
        got = run(model, f"member1/{OUTPUT}", preprocess(image, joined)[None]).reshape(3, 40, 40)
        assert np.abs(got - expected).max() <= most * step
        assert np.abs(got - expected).mean() <= step
        limits = [(edge - np.array(narrow.mean)) / np.array(narrow.std) for edge in (0, 1)]
        assert (got >= limits[0][:, None, None] - 1e-5).all()
        assert (got <= limits[1][:, None, None] + 1e-5).all()


# ---------------------------------------------------------------- fewer numbers


def test_leading_directions_are_those_of_the_singular_values() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 12)).astype(np.float32) * np.arange(1, 13, dtype=np.float32)
    got = leading_directions(rows, 4)
    np.testing.assert_allclose(got @ got.T, np.eye(4), atol=1e-5)
    singular = np.linalg.svd(rows.astype(np.float64))[1]
    np.testing.assert_allclose(((rows @ got.T) ** 2).sum(), (singular[:4] ** 2).sum(), rtol=1e-5)
    assert (got[np.arange(4), np.abs(got).argmax(1)] > 0).all()


def test_fewer_numbers_are_found_on_photos(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_check, "COMPARED", 8)
    listed = str(draw_photos(tmp_path / "photos"))
    one, two = make("one"), make("two")
    small = join(tmp_path / "small", one, two, dim=10, photos=listed)
    assert small.manifest.dim == 10
    assert Embedder(small).embed(photos()).shape == (4, 10)
    figures = small.manifest.metrics["reduced"]
    assert figures["found_on_photos"] == 40
    assert 0.95 < figures["mean_kept"] <= 1.000001
    whole = join(tmp_path / "whole", one, two)
    drawn = [Image.open(tmp_path / "photos" / f"{at}" / "0.png") for at in range(6)]
    rows, small_rows = Embedder(whole).embed(drawn), Embedder(small).embed(drawn)
    assert np.abs(rows @ rows.T - small_rows @ small_rows.T).max() < 0.05
    with pytest.raises(PhotosUnusable, match="found on 23 photos at least, and there are 0"):
        join(tmp_path / "none", one, two, dim=15)
    with pytest.raises(PhotosUnusable, match="give fewer"):
        join(tmp_path / "none", one, two, dim=16, photos=listed)


# ---------------------------------------------------------------- refusals


def test_what_cannot_be_joined_is_told(make: Make, tmp_path: Path) -> None:
    one, out = make("one"), tmp_path / "out"
    for name, fields, words in (
        ("squash", {"mode": "squash", "resize": 64}, "shorter_side_crop, another as squash|squash, another"),
        ("views", {"views": ("upright", "mirrored")}, "averages the views"),
        ("grey", {"grey": True}, "wants colours at 64 x 64, another grey"),
        ("lanczos", {"resize": 54, "crop": 48, "interpolation": "lanczos"}, "scaled by lanczos"),
    ):
        with pytest.raises(MembersDiffer, match=words):
            join(out, one, make(name, **fields))
    boxes = {"mode": "letterbox", "resize": 64}
    with pytest.raises(MembersDiffer, match="mean colours"):
        join(out, make("even", **boxes), make("brown", **boxes, **IMAGENET))
    many = {"views": ("ten-crop",)}
    with pytest.raises(MembersDiffer, match="view ten-crop would not be theirs"):
        join(out, make("wide", **many), make("narrow", crop=48, **many))
    with pytest.raises(MembersDiffer, match="two bundles or more, not 1"):
        join(out, one)
    two = make("two")
    for weights in ((1.0,), (1.0, 0.0), (1.0, float("nan"))):
        with pytest.raises(MembersDiffer, match="not 2 numbers above 0"):
            join(out, one, two, weights=weights)
    with pytest.raises(BundleInvalid, match="name"):
        join(out, one, two, name="No Name")
    assert not out.exists()
    with pytest.raises(OutputRefused):
        join(one.folder, one, two)


def test_a_graph_that_computes_something_else_is_refused(make: Make, tmp_path: Path) -> None:
    one, two = make("one"), make("two")
    both = join(tmp_path / "both", one, two, half=False)
    spec = both.manifest.preprocess
    fronts = joined_input([spec, spec])[1]
    with pytest.raises(ParityError, match="two@1: in the joined graph"):
        check_joined(
            both.folder / "model.onnx", spec, list(zip((two, one), fronts, strict=True)), photos(), scores=False
        )


def test_a_graph_with_other_ends_is_refused() -> None:
    front = joined_input([PreprocessSpec.model_validate(SPEC)] * 2)[1]
    model = network(4, 0)
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    with pytest.raises(GraphsDoNotJoin, match="'more'"):
        join_graphs([Member(model, one, 4, 0.5) for one in front], size=None, with_scores=False)


# ---------------------------------------------------------------- the verb


def test_the_verb(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    one, two = make("one"), make("two", resize=54, crop=48)
    out = tmp_path / "out"
    verb = ["whichone", "bundle", "join", str(one.folder), str(two.folder), "--weights", "2,1"]
    monkeypatch.setattr("sys.argv", [*verb, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "two@1: share 0.333; its input: scaled from 64 to 48 (bicubic); cosine to itself alone" in said
    assert Bundle.open(out).manifest.dim == 16
    monkeypatch.setattr("sys.argv", [*verb, "--out", str(tmp_path / "again"), "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    assert json.loads(capsys.readouterr().out)["members"][0] == {
        "bundle": "one@1",
        "share": pytest.approx(2 / 3),
        "input": "as it comes",
    }
    monkeypatch.setattr("sys.argv", [*verb[:-1], "two,one", "--out", str(tmp_path / "never")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "--weights" in capsys.readouterr().err
