"""The network that is trained: photos -> everything that the losses judge."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from training.batch import Outputs
from training.network.backbone import Backbone, BackboneSpec
from training.network.classifiers import ClassifierSpec, LinearClassifier, NoClassifierSpec, StripesClassifier
from training.network.embedder import PhotoEmbedder
from training.network.necks import NoNeckSpec, SimpleNeckSpec
from training.network.pooling import AverageSpec, PoolingSpec
from training.network.stripes import StripesNeck, StripesSpec
from training.spec import Spec

__all__ = ["NeckSpec", "Network", "NetworkSpec"]

NeckSpec = Annotated[SimpleNeckSpec | StripesSpec, Field(discriminator="kind")]


class NetworkSpec(Spec):
    """Backbone -> pooling -> neck -> classifier.

    Attributes:
        weights: a checkpoint of an earlier run to start from, such as `runs/first/checkpoints/best.pt`, instead of the
            backbone's own weights; what does not fit there begins anew (`training.run.starting`). None: no run.
    """

    weights: str | None = Field(default=None, min_length=1)
    backbone: BackboneSpec
    pooling: PoolingSpec = AverageSpec()
    neck: NeckSpec = NoNeckSpec()
    classifier: ClassifierSpec = NoClassifierSpec()

    def build(self, classes: int) -> Network:
        """Make the network for so many classes; its new layers start from torch's global random state.

        Raises:
            RecipeInvalid: the parts do not fit, or timm has no such backbone.
            WeightsUnavailable, WeightsMismatch: see `training.weights`.
        """
        return Network(self, classes)


class Network(nn.Module):
    """Photos (n, 3, h, w) -> `Outputs`.

    Attributes:
        backbone: photos -> map.
        channels: of the map; the width that DCL and LIO build on.
        dim: length of the embedding; the width that losses build on.
        classes: of the classifier.
    """

    def __init__(self, spec: NetworkSpec, classes: int) -> None:
        super().__init__()
        from_classifier = getattr(spec.neck, "start", None) == "classifier" and spec.backbone.weights is not None
        model = spec.backbone.load(classifier=from_classifier)
        classifier = model.get_classifier() if from_classifier else None  # type: ignore[operator]
        self.backbone = Backbone(model, checkpointing=spec.backbone.checkpointing)
        self.channels, self.classes = self.backbone.channels, classes
        pooled = spec.pooling.channels(self.channels)
        self.dim = spec.neck.width(pooled)
        self.pooling: nn.Module | None = None
        self.neck: nn.Module
        stripes = None
        if isinstance(spec.neck, StripesSpec):
            self.neck, stripes = spec.neck.build(self.channels, spec.pooling), spec.neck.stripes
        else:
            self.pooling, self.neck = spec.pooling.build(self.channels), spec.neck.build(pooled, classifier)
        self.classifier: LinearClassifier | StripesClassifier | None = spec.classifier.build(self.dim, stripes, classes)

    def forward(self, images: Tensor) -> Outputs:
        features = self.backbone(images)
        pooled, embedding, parts = self.embed(features)
        logits = None if self.classifier is None else self.classifier(embedding)
        part_logits = None
        if isinstance(self.classifier, StripesClassifier) and parts is not None:
            part_logits = self.classifier.part_logits(parts)
        return Outputs(
            features=features,
            pooled=pooled,
            embedding=embedding,
            parts=parts,
            logits=logits,
            part_logits=part_logits,
        )

    def embed(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Map (n, c, h, w) -> pooled (n, c'), embedding (n, d), and its parts where the neck has stripes.

        The pooled vector of a network of stripes is the mean over its stripes.
        """
        if isinstance(self.neck, StripesNeck):
            pooled, parts = self.neck(features)
            return pooled.mean(1), parts.flatten(1), parts
        pooled = self.pooling(features)  # type: ignore[misc]
        return pooled, self.neck(pooled), None

    def embedder(
        self, *, with_scores: bool = False, scorer: nn.Module | None = None, size: tuple[int, int] | None = None
    ) -> PhotoEmbedder:
        """What a bundle holds: a copy without anything that only training needs. See `PhotoEmbedder`.

        Args:
            size: height and width of its photos, where `backbone.size_in_graph` is false and it becomes a graph.
            with_scores: whether it gives a score a class, too.
            scorer: embedding (n, d) -> (n, classes), such as a margin loss's `scorer()`; None: the classifier.

        Raises:
            RecipeInvalid: scores are asked for, and neither a scorer nor a classifier gives any.
        """
        made = PhotoEmbedder(self, (scorer or self.classifier) if with_scores else None, with_scores=with_scores)
        if size is not None:
            made.network.backbone.fix_size(*size)
        return made
