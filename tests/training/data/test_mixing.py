from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.data.chance import seeded  # noqa: E402
from training.data.mixing import CutMix, MixUp, mixes_labels  # noqa: E402

pytestmark = pytest.mark.torch

LABELS = torch.tensor([0, 1, 2, 2])


def numbered(side: int = 32) -> torch.Tensor:
    """Four photos; each is its own number throughout."""
    return torch.arange(4.0)[:, None, None, None].expand(4, 3, side, side).clone()


def test_cutmix_takes_a_rectangle_of_the_neighbour_and_shares_labels_by_area() -> None:
    mix = CutMix(probability=1).build(classes=3)
    images, areas = numbered(), []
    for number in range(200):
        with seeded(number):
            mixed, shares = mix(images, LABELS)
        assert shares is not None
        for photo in range(4):
            foreign = mixed[photo, 0] != photo
            neighbour = (photo - 1) % 4
            assert bool((mixed[photo, 0][foreign] == neighbour).all())
            rows, columns = foreign.any(1).sum(), foreign.any(0).sum()
            assert foreign.sum() == rows * columns  # a rectangle
            kept = 1 - foreign.float().mean().item()
            expected = torch.zeros(3)
            expected[LABELS[photo]] += kept
            expected[LABELS[neighbour]] += 1 - kept
            torch.testing.assert_close(shares[photo], expected)
        areas.append(foreign.float().mean().item())
    # 1 - lambda is uniform, but what lies outside the photo is cut off: E[visible] < 1/2
    assert 0.2 < np.mean(areas) < 0.5
    assert max(areas) > 0.6


def test_mixup_averages_with_the_neighbour() -> None:
    mix = MixUp(alpha=1.0, probability=1).build(classes=3)
    with seeded(4):
        mixed, shares = mix(numbered(), LABELS)
    assert shares is not None
    share = shares[0, 0].item()  # of photo 0; the rest is photo 3's
    assert 0 < share < 1
    for photo in range(4):
        neighbour = (photo - 1) % 4
        torch.testing.assert_close(mixed[photo], torch.full((3, 32, 32), share * photo + (1 - share) * neighbour))
    torch.testing.assert_close(shares.sum(1), torch.ones(4))
    assert shares[3].tolist() == [0, 0, 1]  # both are of label 2


def test_half_of_the_batches_are_mixed_and_the_others_untouched() -> None:
    mix, images, count = CutMix().build(classes=3), numbered(8), 0
    for number in range(400):
        with seeded(number):
            mixed, shares = mix(images, LABELS)
        count += shares is not None
        if shares is None:
            assert mixed is images
    assert 160 < count < 240
    assert torch.equal(images, numbered(8))


def test_who_mixes_labels() -> None:
    assert mixes_labels(CutMix())
    assert mixes_labels(MixUp())
    assert not mixes_labels(CutMix(probability=0))
    assert not mixes_labels(None)
