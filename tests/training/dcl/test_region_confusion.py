from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.dcl.region_confusion import RegionConfusion, paper_permutation, released_permutation  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402

pytestmark = pytest.mark.torch


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _moves(positions: torch.Tensor, cells: int) -> torch.Tensor:
    """(cells^2, 2): by how much the cell in each place has moved down and right."""
    places = torch.arange(cells**2)
    return torch.stack([places // cells - positions // cells, places % cells - positions % cells], dim=1)


@given(cells=st.integers(2, 9), reach=st.floats(0.1, 4.0), seed=st.integers(0, 2**31 - 1))
def test_the_papers_way_is_a_permutation_and_stays_within_2k(cells: int, reach: float, seed: int) -> None:
    positions = paper_permutation(cells, reach, _seeded(seed))
    assert sorted(positions.tolist()) == list(range(cells**2))
    assert _moves(positions, cells).abs().max() < 2 * reach


@given(cells=st.integers(2, 9), seed=st.integers(0, 2**31 - 1))
def test_the_released_way_is_a_permutation_that_carries_cells_on(cells: int, seed: int) -> None:
    positions = released_permutation(cells, _seeded(seed))
    assert sorted(positions.tolist()) == list(range(cells**2))
    assert _moves(positions, cells).min() >= -1  # back by one at most, on by any number


def test_the_released_way_breaks_the_papers_bound() -> None:
    generator = _seeded()
    furthest = max(_moves(released_permutation(7, generator), 7).max().item() for _ in range(2000))
    assert furthest == 6
    assert max(_moves(paper_permutation(7, 2, generator), 7).abs().max().item() for _ in range(2000)) == 3


def test_the_released_way_is_the_pairwise_shuffle_of_its_code() -> None:
    """Its loop written out for lists, with the same coins in the same order."""
    cells, seen = 4, set()
    for seed in range(30):
        coins = _seeded(seed)
        lines = []
        for row in range(cells):
            flips, line = torch.randint(2, (cells - 1,), generator=coins).tolist(), []
            for column in range(cells):
                line.append(cells * row + column)
                if column and flips[column - 1]:
                    line[column - 1 : column + 1] = line[column - 1 : column + 1][::-1]
            lines.append(line)
        flips, stacked = torch.randint(2, (cells - 1,), generator=coins).tolist(), []
        for row in range(cells):
            stacked.append(lines[row])
            if row and flips[row - 1]:
                stacked[row - 1 : row + 1] = stacked[row - 1 : row + 1][::-1]
        expected = [cell for line in stacked for cell in line]
        assert released_permutation(cells, _seeded(seed)).tolist() == expected
        seen.add(tuple(expected))
    assert len(seen) > 20


@pytest.mark.parametrize("mode", ["paper", "released"])
def test_every_region_stands_where_the_permutation_says(mode: str) -> None:
    images = torch.rand(3, 3, 12, 16, generator=_seeded(1))
    before = images.clone()
    destroyed = RegionConfusion(4, mode, reach=2, border=0)(images, _seeded(2))
    assert torch.equal(images, before)
    assert destroyed.positions.shape == (3, 16)
    for photo in range(3):
        for place, cell in enumerate(destroyed.positions[photo].tolist()):
            got = destroyed.images[
                photo, :, 3 * (place // 4) : 3 * (place // 4) + 3, 4 * (place % 4) : 4 * (place % 4) + 4
            ]
            row, column = 3 * (cell // 4), 4 * (cell % 4)
            assert torch.equal(got, images[photo, :, row : row + 3, column : column + 4])
    assert len({tuple(row) for row in destroyed.positions.tolist()}) == 3


def test_a_border_is_cut_off_and_the_size_kept() -> None:
    images = torch.zeros(1, 3, 60, 60)
    images[..., 10:50, 10:50] = 1.0
    destroyed = RegionConfusion(4, "released", reach=2, border=10)(images, _seeded())
    assert destroyed.images.shape == images.shape
    torch.testing.assert_close(destroyed.images, torch.ones_like(images))


def test_sizes_that_do_not_divide_are_resized_there_and_back() -> None:
    smooth = torch.linspace(0, 1, 50).expand(1, 3, 47, 50)
    confuse = RegionConfusion(7, "paper", reach=1e-3, border=0)  # nothing moves
    destroyed = confuse(smooth, _seeded())
    assert destroyed.positions[0].tolist() == list(range(49))
    torch.testing.assert_close(destroyed.images, smooth, atol=0.01, rtol=0)


def test_photos_too_small_for_their_cells_are_refused() -> None:
    with pytest.raises(RecipeInvalid, match="7 x 7 regions inside a border of 10"):
        RegionConfusion(7, "released", reach=2, border=10)(torch.zeros(1, 3, 26, 40))
