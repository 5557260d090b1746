"""Photos turned or mirrored that count as things of their own: more labels to tell apart, from the same photos.

For things that have one way up, such as characters: Santoro et al., Meta-learning with memory-augmented neural
networks, ICML 2016, section 4.1 ("new classes through 90, 180 and 270 degree rotations"); mirrored, as tails of whales
that are no longer the same whale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from training.data.listing import Pose
from training.data.splits import Split

__all__ = ["posed", "with_poses"]

_TRANSPOSE: dict[Pose, Image.Transpose] = {
    "turned_90": Image.Transpose.ROTATE_90,
    "turned_180": Image.Transpose.ROTATE_180,
    "turned_270": Image.Transpose.ROTATE_270,
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
}


def posed(image: Image.Image, pose: Pose) -> Image.Image:
    """An image as its pose wants it; turns are anticlockwise."""
    return image if pose == "as_it_is" else image.transpose(_TRANSPOSE[pose])


def with_poses(split: Split, poses: Sequence[Pose]) -> Split:
    """A split whose training photos come in further poses, each under a label of its own.

    Args:
        split: photos as they are.
        poses: without `as_it_is`; none leaves the split unchanged.

    Returns:
        The photos as they are first, then those of each pose.
    """
    copies = [replace(photo, label=f"{photo.label} {pose}", pose=pose) for pose in poses for photo in split.training]
    return replace(split, training=(*split.training, *copies))
