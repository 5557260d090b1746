"""Regions of a photo."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding.box import Box
from embedding.image_errors import BoxOutsidePhoto, InvalidBox


def test_pixels_and_fractions() -> None:
    assert Box.parse("10, 20,110 ,220").to_pixels(400, 300) == (10, 20, 110, 220)
    assert Box.parse("0.25,0.5,0.75,1").to_pixels(400, 300) == (100, 150, 300, 300)
    assert Box.parse("0,0,1,1").to_pixels(400, 300) == (0, 0, 400, 300)
    assert Box.parse("0,0,1,2").to_pixels(400, 300) == (0, 0, 1, 2)
    assert Box.parse("0.1,0.1,0.3,0.7").to_pixels(10, 10) == (1, 1, 3, 7)  # 0.1 * 3 is not 0.3 in floating point


@pytest.mark.parametrize(
    "text",
    ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,0,1,1", "0,0,inf,1", "5,5,5,9", "9,0,3,4", "1;2;3;4", "x" * 10_000],
)
def test_what_is_no_box(text: str) -> None:
    with pytest.raises(InvalidBox) as caught:
        Box.parse(text)
    assert caught.value.code == "invalid_box"
    assert "x0,y0,x1,y1" in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("text", ["-1,0,10,10", "0,0,401,10", "0,0,10,301", "500,500,600,600", "-0.1,0,0.5,0.5"])
def test_outside_the_photo(text: str) -> None:
    with pytest.raises(BoxOutsidePhoto, match="400 x 300") as caught:
        Box.parse(text).to_pixels(400, 300)
    assert caught.value.code == "box_outside_photo"


side = st.integers(1, 5000)
fraction = st.floats(0, 1)


pair = st.lists(fraction, min_size=2, max_size=2, unique=True).map(sorted)


@given(side, side, pair, pair)
def test_any_fractions_stay_inside_and_cover_what_they_name(
    width: int, height: int, across: list[float], along: list[float]
) -> None:
    box = Box(across[0], along[0], across[1], along[1])
    left, top, right, bottom = box.to_pixels(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left <= box.x0 * width + 1e-5
    assert right >= box.x1 * width - 1e-5


@given(side, side, st.data())
def test_whole_pixels_come_back_as_given(width: int, height: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    box = Box(left, top, right, bottom)
    if not box.is_relative:
        assert box.to_pixels(width, height) == (left, top, right, bottom)
    assert Box.parse(f"{left},{top},{right},{bottom}") == box


@given(st.text(max_size=60))
def test_any_text_is_a_box_or_an_invalid_box(text: str) -> None:
    try:
        box = Box.parse(text)
    except InvalidBox:
        return
    assert box.x0 < box.x1
