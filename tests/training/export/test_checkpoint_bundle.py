"""A checkpoint becomes a bundle that the service's own parts load and recognise with."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the training extra")

import onnx  # noqa: E402

from embedding.bundle import Bundle, BundleInvalid  # noqa: E402
from embedding.embedder import Embedder  # noqa: E402
from embedding.preprocess import preprocess  # noqa: E402
from index.background import Background  # noqa: E402
from index.items import Item  # noqa: E402
from index.recognizer import Recognizer  # noqa: E402
from tests.training.run.small import draw_photos, small_recipe  # noqa: E402
from training.data.listing import read_listing  # noqa: E402
from training.errors import PhotosUnusable, RecipeInvalid  # noqa: E402
from training.export.checkpoint_bundle import Wanted, export_checkpoint  # noqa: E402
from training.export.onnx_graph import ParityError, check_parity, run_graph  # noqa: E402
from training.export.quantize import check_quantized  # noqa: E402
from training.export.whole_folder import OutputRefused, whole_folder  # noqa: E402
from training.inference.temperature import negative_log_likelihood  # noqa: E402
from training.run.loop import train  # noqa: E402
from training.run.trained import load_trained  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    # ONNX Runtime's quantiser calls functions of onnx and NumPy that are going away.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:onnx.*"),
]

PLAIN = Wanted("small", "1", "Apache-2.0")
STAGE = {
    "name": "only",
    "epochs": 8,
    "batch": 12,
    "objective": {"terms": [{"loss": {"kind": "cross_entropy"}}, {"loss": {"kind": "arcface", "scale": 16}}]},
    "optimiser": {"kind": "adamw", "lr": 0.01},
}


class Made(NamedTuple):
    checkpoint: Path
    photos: Path
    bundle: Bundle


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Trained for seconds; exported with everything that a bundle can have."""
    folder = tmp_path_factory.mktemp("export")
    photos = draw_photos(folder / "photos")
    torch.set_num_threads(1)
    result = train(small_recipe(stages=[STAGE]), photos, folder / "run", device="cpu")
    wanted = replace(
        PLAIN,
        scores=True,
        half=True,
        int8=True,
        photos=str(photos),
        distractors=str(photos),
        views=("upright", "scales:1,1.5"),
    )
    return Made(result.best, photos, export_checkpoint(result.best, folder / "bundle", wanted))


def _images(photos: Path) -> tuple[list[Image.Image], list[str]]:
    listed = read_listing(photos)
    return [Image.open(one.path).convert("RGB") for one in listed], [one.label for one in listed]


def test_the_graph_is_the_network_and_no_more(made: Made) -> None:
    images, _ = _images(made.photos)
    trained = load_trained(made.checkpoint)
    batch = np.stack([preprocess(one, trained.preprocess) for one in images])
    with torch.no_grad():
        out = trained.learner.network.eval()(torch.from_numpy(batch))
    expected = (out.embedding / out.embedding.norm(dim=1, keepdim=True)).numpy()
    got = run_graph(made.bundle.model_path("float32"), batch)
    assert np.einsum("nd,nd->n", got["embedding"], expected).min() > 0.9999  # weights are stored as float16
    np.testing.assert_allclose(got["scores"], out.logits.numpy(), atol=0.02)
    names = {tensor.name for tensor in onnx.load(made.bundle.model_path("float32")).graph.initializer}
    assert not [name for name in names if "objective" in name or "companions" in name]


def test_a_bundle_without_scores_has_no_classifier(made: Made, tmp_path: Path) -> None:
    bundle = export_checkpoint(made.checkpoint, tmp_path / "bundle", replace(PLAIN, scores=False))
    graph = onnx.load(bundle.model_path("float32")).graph
    assert [output.name for output in graph.output] == ["embedding"]
    assert not [tensor.name for tensor in graph.initializer if "scorer" in tensor.name]
    assert "labels.json" not in bundle.manifest.files
    assert bundle.manifest.metrics["parity_photos"] == len(bundle.distractors()) == 20, "photos that packages ship"


def test_the_manifest_says_what_was_made_and_measured(made: Made) -> None:
    manifest = made.bundle.manifest
    trained = load_trained(made.checkpoint)
    assert manifest.outputs == ("embedding", "scores")
    assert set(manifest.files) == {
        "MODEL_CARD.md", "NOTICE", "distractors.npz", "labels.json", "model.int8.onnx", "model.onnx",
    }  # fmt: skip
    assert tuple(json.loads((made.bundle.folder / "labels.json").read_text())) == trained.classes.labels
    assert manifest.recipe["training"]["name"] == "small"
    assert manifest.recipe["photos"] == sum(trained.checkpoint.counts)
    assert manifest.recipe["compared_on"] == "the photos of the training"
    assert manifest.recipe["photo_size"] == "any"
    assert manifest.metrics["float32_graph"]["max_abs_difference"] < 1e-4
    assert manifest.metrics["float32_graph"]["min_cosine"] > 0.999999
    assert 0.85 < manifest.metrics["int8_graph"]["mean_cosine"] <= 1.0
    assert manifest.metrics["validation"] == trained.checkpoint.history[-1]["metrics"]
    assert manifest.id in (made.bundle.folder / "MODEL_CARD.md").read_text()


def test_the_temperature_is_the_best_on_the_photos_that_were_held_out(made: Made) -> None:
    manifest, trained = made.bundle.manifest, load_trained(made.checkpoint)
    held_out = trained.recipe.data.split.split(read_listing(made.photos)).validation
    images = [Image.open(one.path).convert("RGB") for one in held_out]
    batch = np.stack([preprocess(one, trained.preprocess) for one in images])
    scores = run_graph(made.bundle.model_path("float32"), batch)["scores"]
    truth = np.array([trained.classes.number(one.label) for one in held_out])
    assert manifest.metrics["scores"]["held_out_photos"] == len(held_out) == 12
    best = negative_log_likelihood(scores, truth, manifest.temperature)
    assert best == pytest.approx(manifest.metrics["scores"]["nll_after"], abs=1e-6)
    for other in (0.9, 1.1):
        assert best <= negative_log_likelihood(scores, truth, manifest.temperature * other)


def test_the_service_s_parts_recognise_with_it(made: Made) -> None:
    images, labels = _images(made.photos)
    embedder = Embedder(made.bundle)
    vectors = embedder.embed(images)
    recognizer = Recognizer(
        embedder.dim, bundle_sha256=made.bundle.sha256, background=Background.of(made.bundle), far_budget=0.05
    )
    enrolled = [at for at in range(len(images)) if at % 8]
    recognizer.upsert(
        [Item(at + 1, str(at), labels[at], vectors[at], np.zeros((0, embedder.dim), np.float32)) for at in enrolled]
    )
    asked = [at for at in range(len(images)) if at % 8 == 0]
    answers = [verdict.candidates[0].label for verdict in recognizer.recognize(vectors[asked])]
    assert np.mean([answer == labels[at] for answer, at in zip(answers, asked, strict=True)]) > 0.6, "chance is 1 in 6"
    assert made.bundle.distractors().shape == (6, embedder.dim), "one photo a label"
    assert made.bundle.distractor_views().shape == (6, 3, embedder.dim)


def test_the_int8_model_is_loaded_and_near(made: Made) -> None:
    images, _ = _images(made.photos)
    exact, rough = Embedder(made.bundle).embed(images), Embedder(made.bundle, precision="int8").embed(images)
    assert 0.85 < np.einsum("nd,nd->n", exact, rough).mean() < 0.999999


def test_photos_without_a_label_are_the_background(made: Made, tmp_path: Path) -> None:
    with made.photos.open(newline="") as file:
        rows = list(csv.reader(file))
    listed = made.photos.with_name("with-strangers.csv")
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([*rows[:-3], *((path, "") for path, _ in rows[-3:])])
    bundle = export_checkpoint(made.checkpoint, tmp_path / "bundle", replace(PLAIN, photos=str(listed)))
    assert len(bundle.distractors()) == 3
    assert bundle.manifest.recipe["background"] == "the list's photos without a label"
    assert bundle.manifest.recipe["compared_on"] == "another list than the training's"


def test_mistakes_are_told_before_anything_is_written(made: Made, tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="name"):
        export_checkpoint(made.checkpoint, tmp_path / "bundle", replace(PLAIN, name="No Name!"))
    with pytest.raises(BundleInvalid, match="view"):
        export_checkpoint(made.checkpoint, tmp_path / "bundle", replace(PLAIN, views=("sideways",)))
    empty = tmp_path / "tests.csv"
    empty.write_text("path,label,split\na.png,x,test\n")
    with pytest.raises(PhotosUnusable, match="no photo with a label"):
        export_checkpoint(made.checkpoint, tmp_path / "bundle", replace(PLAIN, photos=str(empty)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tests.csv"]


def test_scores_that_no_part_gives_are_refused(tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "photos", labels=2, photos=4)
    triplet = {"objective": {"terms": [{"loss": {"kind": "triplet"}}]}, "sampler": {"kind": "per_label", "photos": 2}}
    document = small_recipe().model_dump(mode="json")["network"] | {"classifier": {"kind": "none"}}
    recipe = small_recipe(stages=[STAGE | triplet | {"batch": 4, "max_steps": 1}], network=document)
    result = train(recipe, photos, tmp_path / "run", device="cpu")
    with pytest.raises(RecipeInvalid, match="scores"):
        export_checkpoint(result.last, tmp_path / "bundle", replace(PLAIN, scores=True))


def test_a_folder_that_holds_something_is_left_alone(made: Made, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(OutputRefused, match="not empty"):
        export_checkpoint(made.checkpoint, tmp_path, PLAIN)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_left_of_a_folder_that_fails(tmp_path: Path) -> None:
    def half() -> None:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("half")
            raise RecipeInvalid("told in the middle")

    with pytest.raises(RecipeInvalid, match="middle"):
        half()
    assert not list(tmp_path.iterdir())


def test_another_network_is_not_taken_for_the_graph(made: Made) -> None:
    trained = load_trained(made.checkpoint)
    network = trained.embedder(with_scores=True)
    photos = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    path = made.bundle.model_path("float32")
    check_parity(network, path, photos, min_cosine=0.999, max_abs_difference=0.01)
    with torch.no_grad():
        network.scorer.layers[1].conv.bias[0] += 3.0  # type: ignore[attr-defined, union-attr]
    with pytest.raises(ParityError, match="largest difference"):
        check_parity(network, path, photos, min_cosine=0.999, max_abs_difference=0.01)


def test_int8_that_lost_too_much_is_refused(made: Made, tmp_path: Path) -> None:
    graph = onnx.load(made.bundle.model_path("float32"))
    neck = next(one for one in graph.graph.initializer if "neck" in one.name and len(one.dims) == 4)
    mirrored = -onnx.numpy_helper.to_array(neck)
    neck.CopyFrom(onnx.numpy_helper.from_array(mirrored, neck.name))
    (tmp_path / "other.onnx").write_bytes(graph.SerializeToString())
    images, _ = _images(made.photos)
    batch = np.stack([preprocess(one, made.bundle.manifest.preprocess) for one in images])
    with pytest.raises(ParityError, match="int8"):
        check_quantized(made.bundle.model_path("float32"), tmp_path / "other.onnx", batch)
