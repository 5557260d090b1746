"""One input for several networks: a photo prepared once, from which each network's own view is made inside the graph.

Networks that cut the centre out of a photo see more or less of it. The joined input shows as much as the one that sees
most, as fine as the one that looks closest needs; the others cut their part out of it and scale it down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from embedding.preprocess import PreprocessSpec
from training.errors import TrainingError

__all__ = ["Front", "MembersDiffer", "joined_input"]

Channels = tuple[float, float, float]

_CUTTING = ("shorter_side_crop", "squash_crop")
_RESIZES = ("bilinear", "bicubic")
"""What ONNX's Resize computes as Pillow does."""


class MembersDiffer(TrainingError):
    """Bundles that cannot be one: no single input serves them all, or their views differ."""

    code = "bundles_do_not_join"


@dataclass(frozen=True)
class Front:
    """What stands between the joined input and one member's own.

    Attributes:
        start, seen: the square that the member sees, in pixels of the joined input, along both axes.
        side: of the member's input; the square is scaled to it.
        whole: side of the joined input.
        factor, shift: the member's numbers are the joined input's times `factor` plus `shift`, per channel.
        low, high: the joined input's numbers for black and for full light, per channel.
        interpolation: for scaling.
        exact: whether the member sees the very pixels that it sees alone, but for rounding to 8 bits.
    """

    start: int
    seen: int
    side: int
    whole: int
    factor: Channels
    shift: Channels
    low: Channels
    high: Channels
    interpolation: str
    exact: bool

    @property
    def cuts(self) -> bool:
        return self.seen != self.whole

    @property
    def scales(self) -> bool:
        return self.seen != self.side

    @property
    def changes_numbers(self) -> bool:
        return self.factor != (1.0, 1.0, 1.0) or self.shift != (0.0, 0.0, 0.0)

    @property
    def fixes_size(self) -> bool:
        """Whether it takes photos of one size alone."""
        return self.cuts or self.scales

    def __str__(self) -> str:
        steps = [f"the central {self.seen} of {self.whole} pixels"] * self.cuts
        steps += [f"scaled from {self.seen} to {self.side} ({self.interpolation})"] * self.scales
        steps += ["numbers of its own"] * self.changes_numbers
        return ", ".join(steps) or "as it comes"


def joined_input(specs: Sequence[PreprocessSpec]) -> tuple[PreprocessSpec, tuple[Front, ...]]:
    """A preprocessing that serves all of `specs`, and what makes each of them of it.

    Raises:
        MembersDiffer: they show different parts of a photo, or a scaling is needed that ONNX does not have.
    """
    lead = max(specs, key=lambda spec: (spec.resize, spec.crop))
    for spec in specs:
        _check_same_part(lead, spec)
    joined = lead.model_copy(update={"crop": _side(lead, specs)})
    return joined, tuple(_front(joined, spec) for spec in specs)


def _check_same_part(lead: PreprocessSpec, spec: PreprocessSpec) -> None:
    if lead.mode != spec.mode:
        raise MembersDiffer(
            f"One bundle shows a photo as {lead.mode}, another as {spec.mode}: neither holds what the other sees. Join "
            "bundles of one mode.",
            modes=sorted({lead.mode, spec.mode}),
        )
    if (lead.grey, lead.width and lead.size) != (spec.grey, spec.width and spec.size):
        raise MembersDiffer(
            "Bundles join where all see colours or all see grey, and where all inputs are square or all of one size; "
            f"one wants {_sight(lead)}, another {_sight(spec)}."
        )
    if lead.mode == "letterbox" and lead.mean != spec.mean:
        raise MembersDiffer(
            f"Two letterbox bundles fill margins with different mean colours ({lead.mean} and {spec.mean}); "
            "join those of one mean."
        )
    if spec.interpolation not in _RESIZES and spec.resize != lead.resize:
        raise MembersDiffer(
            f"A bundle for photos of {spec.crop} pixels would be scaled by {spec.interpolation} inside the graph, and "
            f"ONNX scales by {' or '.join(_RESIZES)} alone; join bundles with resize {lead.resize}, or export it with "
            "one of those."
        )


def _sight(spec: PreprocessSpec) -> str:
    return f"{'grey' if spec.grey else 'colours'} at {spec.size[0]} x {spec.size[1]}"


def _seen(spec: PreprocessSpec, resize: int) -> int:
    """What a network sees of the photo, where that is scaled to `resize`."""
    return round(spec.crop * resize / spec.resize)


def _side(lead: PreprocessSpec, specs: Sequence[PreprocessSpec]) -> int:
    """Of the joined input. One pixel more, where then more members' squares lie on whole pixels."""
    least = max(_seen(spec, lead.resize) for spec in specs)
    if lead.mode not in _CUTTING:
        return least
    unscaled = [spec.crop for spec in specs if spec.resize == lead.resize]
    return min(
        (side for side in (least, least + 1) if side <= lead.resize),
        key=lambda side: sum((side - crop) % 2 for crop in unscaled),
    )


def _front(joined: PreprocessSpec, spec: PreprocessSpec) -> Front:
    seen = _seen(spec, joined.resize)
    pairs = list(zip(joined.mean, joined.std, spec.mean, spec.std, strict=True))
    return Front(
        start=(joined.crop - seen) // 2,
        seen=seen,
        side=spec.crop,
        whole=joined.crop,
        factor=_three(std / own_std for _, std, _, own_std in pairs),
        shift=_three((mean - own_mean) / own_std for mean, _, own_mean, own_std in pairs),
        low=_three(-mean / std for mean, std, _, _ in pairs),
        high=_three((1 - mean) / std for mean, std, _, _ in pairs),
        interpolation=spec.interpolation,
        exact=spec.resize == joined.resize
        and (joined.crop - spec.crop) % 2 == 0
        and spec.interpolation == joined.interpolation,
    )


def _three(values: Iterable[float]) -> Channels:
    red, green, blue = values
    return red, green, blue
