"""ArcFace over a share of the classes at a time, for a million labels."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from training.batch import Batch, Outputs
from training.losses.angular import CosineClassifier
from training.losses.arcface import ArcFace
from training.spec import Spec

__all__ = ["PartialArcFace", "PartialArcFaceSpec"]


class PartialArcFaceSpec(Spec):
    """`PartialArcFace`.

    Attributes:
        scale: of the cosines.
        margin: radians.
        share: of the classes that a step compares with; the batch's own are always among them.
        seed: of the choice.
    """

    kind: Literal["partial_arcface"] = "partial_arcface"
    scale: Annotated[float, Field(gt=0)] = 64.0
    margin: Annotated[float, Field(ge=0, lt=1.57)] = 0.5
    share: Annotated[float, Field(gt=0, le=1)] = 0.1
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    def build(self, *, classes: int, dim: int, counts: Tensor) -> PartialArcFace:  # noqa: ARG002
        return PartialArcFace(CosineClassifier(classes, dim), self)


class PartialArcFace(ArcFace):
    """ArcFace whose softmax runs over the batch's classes and a random choice of the others.

    Source: An et al., Partial FC: Training 10 Million Identities on a Single Machine, ICCVW 2021, section 3.3; a tenth
    of the classes loses next to nothing there. The class weights stay whole, on one device; only what a step computes
    is sampled. In evaluation mode all classes count.

    Memory in bytes, for C classes, embeddings of d, a batch of n, a share r, everything in float32:

    - always: weights, their gradient and SGD's momentum, 3 * 4 C d (AdamW: 4 * 4 C d). A million classes at 512: 6.1 GB
      (8.2 GB);
    - a step: the chosen rows and their unit form with gradients, 4 * 4 r C d, and the cosines, logits and their
      gradients, about 4 * 4 n r C. A million at 512, n = 128: 10.2 GB whole, 1.0 GB at a tenth.

    So a million labels take 7.1 GB at a tenth and 16.3 GB whole, beside the network (measured at 200,000 labels: 1.3
    and 3.2 GB, and a step in an eighth of the time). Ten million at 512 take 61 GB for the first line alone: take a
    smaller d.

    The choice depends on the seed and on how many steps were made, which is saved: a resumed run chooses the same.

    Args:
        classifier: owns the class weights.
        spec: scale, margin, share, seed.
    """

    steps: Tensor

    def __init__(self, classifier: CosineClassifier, spec: PartialArcFaceSpec) -> None:
        super().__init__(classifier, spec.scale, spec.margin)
        self.share, self.seed = spec.share, spec.seed
        self.register_buffer("steps", torch.tensor(0))

    def judge(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor | None]:
        if not self.training:
            return super().judge(outputs, batch)
        embedding, chosen = outputs.embedding.float(), self._choose(batch.labels)
        rows = functional.normalize(self.classifier.weight[chosen].float())
        cosines = functional.linear(functional.normalize(embedding), rows)
        places = torch.searchsorted(chosen, batch.labels)
        logits = self.logits(cosines, embedding, places)
        return functional.cross_entropy(logits, places, reduction="none"), None

    def _choose(self, labels: Tensor) -> Tensor:
        """Sorted numbers of the step's classes: the labels', and others at random up to the share."""
        classes = self.classifier.classes
        # Mixed into 32 bits, as torch's generator on the CPU ignores any higher ones.
        mixed = np.random.SeedSequence((self.seed, int(self.steps))).generate_state(1)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        self.steps += 1
        order = torch.rand(classes, generator=generator).to(labels.device)
        order[labels] = 2.0  # above every other
        wanted = max(round(self.share * classes), len(torch.unique(labels)))
        return order.topk(wanted).indices.sort().values
