"""What each view shows the model, and the embedding that comes of several."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scenes import SPEC, MakeBundle, Save, scene

from embedding.bundle import Bundle, BundleInvalid
from embedding.embedder import Embedder
from embedding.preprocess import PreprocessSpec, preprocess
from embedding.views import check_view, looks, side_needed

PLAIN = PreprocessSpec.model_validate(SPEC)  # shorter side to 36, the central 32 x 32
SCENES = [scene(96, 64), scene(50, 120, 1), scene(33, 33, 2)]
ALL = ("upright", "mirrored", "whole", "close", "ten-crop", "scales:0.75,1,1.5")


def test_upright_mirrored_and_whole() -> None:
    photo = scene()
    upright, mirrored, whole = looks(photo, ("upright", "mirrored", "whole"), PLAIN)
    np.testing.assert_array_equal(preprocess(*upright), preprocess(photo, PLAIN))
    np.testing.assert_array_equal(np.asarray(mirrored.image), np.asarray(photo)[:, ::-1])
    squeezed = np.asarray(photo.resize((32, 32), Image.Resampling.BICUBIC), np.float32)
    np.testing.assert_allclose(preprocess(*whole), (squeezed.transpose(2, 0, 1) / 255 - 0.5) / 0.5, atol=1e-6)


def test_close_keeps_the_middle() -> None:
    [look] = looks(scene(100, 50), ("close",), PLAIN)
    # 62 of 100 columns with (100 - 62) / 2 = 19 on either side; 31 of 50 rows, of the 19 others 9 above.
    np.testing.assert_array_equal(np.asarray(look.image), np.asarray(scene(100, 50))[9:40, 19:81])
    assert look.spec == PLAIN


def test_ten_crop_looks_at_corners_and_centre_and_their_twins() -> None:
    photo = scene(108, 72)  # squares of 72 * 32 / 36 = 64 pixels, so 44 columns and 8 rows are left over
    seen = looks(photo, ("ten-crop",), PLAIN)
    pixels = np.asarray(photo)
    for at, (x, y) in enumerate([(0, 0), (44, 0), (0, 8), (44, 8), (22, 4)]):
        square = pixels[y : y + 64, x : x + 64]
        np.testing.assert_array_equal(np.asarray(seen[2 * at].image), square)
        np.testing.assert_array_equal(np.asarray(seen[2 * at + 1].image), square[:, ::-1])
    assert len(seen) == 10
    assert {look.spec.mode for look in seen} == {"squash"}
    # The centre is the plain cut, but for a level or two of 255: the plain one weighs in pixels beyond its edge.
    np.testing.assert_allclose(preprocess(*seen[8]), preprocess(photo, PLAIN), atol=2.1 * 2 / 255)


def test_ten_crop_of_a_squashed_photo_has_the_photos_own_shape() -> None:
    """32 / 36 of each side, as the central cut has it."""
    spec = PreprocessSpec.model_validate(SPEC | {"mode": "squash_crop"})
    seen = looks(scene(90, 45), ["ten-crop"], spec)
    assert len(seen) == 10
    assert {look.image.size for look in seen} == {(80, 40)}
    assert {(look.spec.mode, look.spec.size) for look in seen} == {("squash", (32, 32))}
    assert seen[2].image.tobytes() == scene(90, 45).crop((10, 0, 90, 40)).tobytes()


def test_scales_of_a_wide_input_stay_wide() -> None:
    spec = PreprocessSpec.model_validate(SPEC | {"mode": "squash", "resize": 32, "crop": 32, "width": 48})
    assert [look.spec.size for look in looks(scene(), ["scales:1,2"], spec)] == [(32, 48), (64, 96)]
    assert side_needed(("whole",), spec) == 48


def test_a_square_input_without_a_margin_gets_corners_of_its_own() -> None:
    spec = PLAIN.model_copy(update={"mode": "squash", "resize": 32})
    assert looks(scene(80, 64), ("ten-crop",), spec)[0].image.size == (56, 56)  # 64 * 224 / 256


def test_scales_give_inputs_of_other_sizes() -> None:
    seen = looks(scene(), ("scales:0.75,1,1.5",), PLAIN)
    assert [preprocess(*look).shape for look in seen] == [(3, 24, 24), (3, 32, 32), (3, 48, 48)]
    assert [look.spec.resize for look in seen] == [27, 36, 54]
    np.testing.assert_array_equal(preprocess(*seen[1]), preprocess(scene(), PLAIN))


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["shorter_side_crop", "squash", "letterbox"]))
def test_every_photo_has_the_same_looks(width: int, height: int, mode: str) -> None:
    spec = PreprocessSpec.model_validate(SPEC | {"mode": mode} | ({} if mode == "shorter_side_crop" else {"crop": 36}))
    here = looks(Image.new("RGB", (width, height)), ALL, spec)
    there = looks(scene(), ALL, spec)
    assert len(here) == 1 + 1 + 1 + 1 + 10 + 3
    assert [look.spec for look in here] == [look.spec for look in there]
    assert [preprocess(*look).shape for look in here] == [preprocess(*look).shape for look in there]


def test_the_pixels_that_are_needed() -> None:
    assert side_needed(("upright", "mirrored"), PLAIN) == 36
    assert side_needed(("whole",), PLAIN) == 32
    assert side_needed(("upright", "close"), PLAIN) == 59  # 36 / 0.62 = 58.06...
    assert side_needed(("ten-crop",), PLAIN) == 36  # 32 / (32 / 36)
    assert side_needed(("upright", "scales:0.5,1.5"), PLAIN) == 54


@pytest.mark.parametrize("view", ["sideways", "", "Upright", "ten_crop", "scales"])
def test_an_unknown_view_is_told_which_there_are(view: str) -> None:
    with pytest.raises(ValueError, match=r"upright, mirrored, whole, close, ten-crop, and scales such as") as caught:
        check_view(view)
    assert repr(view) in str(caught.value)


@pytest.mark.parametrize("factors", ["", "big", "1,", "0", "-1", "nan", "inf", "0.2", "5", "1,1,1,1,1,1,1,1,1"])
def test_factors_that_make_no_sense(factors: str) -> None:
    with pytest.raises(ValueError, match=r"1 to 8 factors from 0\.25 to 4"):
        check_view(f"scales:{factors}")


def test_a_manifest_names_views_that_there_are(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(views=ALL)
    assert bundle.manifest.views == ALL
    path = bundle.folder / "manifest.json"
    body = json.loads(path.read_text())
    for wrong, message in (
        ({"views": ["upright", "sideways"]}, r"views\.1: .*'sideways'; there are upright"),
        ({"views": ["scales:0.25"], "preprocess": SPEC | {"crop": 28}}, "greater than or equal to 8"),  # 0.25 * 28 = 7
    ):
        path.write_text(json.dumps(body | wrong))
        with pytest.raises(BundleInvalid, match=message):
            Bundle.open(bundle.folder)


def test_the_embedding_is_the_unit_mean_of_the_looks_embeddings(make_bundle: MakeBundle) -> None:
    plain = Embedder(make_bundle())
    cut = [scene().crop((18, 12, 78, 52)), ImageOps.mirror(scene())]  # 62 % of 96 x 64 is 60 x 40
    rows = plain.embed([scene(), *cut])
    larger = Embedder(make_bundle(preprocess=SPEC | {"resize": 54, "crop": 48})).embed([scene()])
    total = (rows[0] + rows[1] + rows[2] + larger[0]) / 4
    got = Embedder(make_bundle(views=("upright", "close", "mirrored", "scales:1.5"))).embed([scene()])
    np.testing.assert_allclose(got[0], total / np.linalg.norm(total), atol=1e-6)


def test_with_all_views_many_at_once_equal_one_by_one_to_the_bit(make_bundle: MakeBundle) -> None:
    embedder = Embedder(make_bundle(views=ALL))
    together = embedder.embed(SCENES)
    np.testing.assert_array_equal(together, np.concatenate([embedder.embed([image]) for image in SCENES]))
    np.testing.assert_array_equal(together, embedder.embed(SCENES[::-1])[::-1])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_a_closer_look_is_decoded_finer(make_bundle: MakeBundle, save: Save) -> None:
    data = save(scene(640, 320), "JPEG", quality=95)
    # Decoded at 1/4 while a quarter of the shorter side keeps twice what is needed: 80 >= 2 * 36, but not 2 * 59.
    assert Embedder(make_bundle()).decode(data).size == (160, 80)
    assert Embedder(make_bundle(views=("upright", "close"))).decode(data).size == (320, 160)


def test_a_graph_of_one_size_takes_no_other(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(views=("upright", "scales:1,2"))
    model = onnx.load(bundle.folder / "model.onnx")
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = 32
    onnx.save(model, bundle.folder / "model.onnx")
    with pytest.raises(BundleInvalid, match=r"takes photos of 32 x 32 pixels, but its views .* give some of 64"):
        Embedder(bundle)
