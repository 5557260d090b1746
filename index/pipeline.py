"""What a recogniser does between an embedding and a verdict, as data: every part can be switched and compared.

The defaults are what Whichone ships. `whichone evaluate` runs several such documents on the same photos.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Adaptation", "Aggregation", "Pipeline", "Ranking", "Switch", "Verification", "VerifierName"]

Switch = Literal["auto", "on", "off"]
"""`auto`: the gallery itself is asked whether the part helps it."""

Aggregation = Literal["auto", "blend", "max", "prototype", "mean", "top_k_mean", "top_k_sum", "softmax"]

VerifierName = Literal[
    "rootsift",
    "aliked",
    "aliked-lightglue",
    "disk",
    "disk-lightglue",
    "hardnet",
    "hessaffnet",
    "xfeat",
    "xfeat-lightglue",
]
"""`rootsift` needs no files; the others run networks (`index.verification.learned`)."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ranking(_Settings):
    """How the photos of a label become its score.

    Attributes:
        aggregation: `auto` is `blend` unless the gallery, asked itself, finds another form clearly better
            (`index.ranking_form`); `blend` is (1 - prototype_weight) * max + prototype_weight * cosine to the mean.
        prototype_weight: share of the prototype in `blend`.
        k: photos that count in `top_k_mean` and `top_k_sum`.
        temperature: of the weights of `softmax`, in units of cosine.
        item_penalty: share of each gallery photo's penalty (mean top-k cosine to the distractors) that is subtracted
            from its similarity before aggregation; 1 is the landmark winner's rule.
        expansion: gallery photos that alpha query expansion adds to the query; 0 is off, and should be for open
            sets: it pulls strangers towards the gallery.
    """

    aggregation: Aggregation = "auto"
    prototype_weight: float = Field(default=0.7, ge=0, le=1)
    k: int = Field(default=3, ge=1)
    temperature: float = Field(default=0.05, gt=0)
    item_penalty: float = Field(default=0.0, ge=0, le=1)
    expansion: int = Field(default=0, ge=0)


class Adaptation(_Settings):
    """Whether embeddings are adapted to a gallery.

    Attributes:
        centring: whether the means of the gallery and of its queries are taken away. Only labelled queries show theirs:
            without any, `auto` is off, and `on` an error.
        wccn: whether within-class covariance normalisation is used.
        shrinkage: share of the identity in the covariance.
    """

    centring: Switch = "auto"
    wccn: Switch = "auto"
    shrinkage: float = Field(default=0.3, gt=0, le=1)


class Verification(_Settings):
    """Whether candidates are verified by local features.

    Attributes:
        mode: whether it is used.
        verifier: whose local features, and which pairs of them.
        photos: gallery photos that are looked at, most similar first.
        weight: what a unit of match evidence (`index.promotion`) adds to a label's score.
        presence: the part of that which counts when it is asked whether the gallery has the thing at all. All of it
            tells the labels apart, but a stranger of an enrolled brand has nearly as much print in common with it as
            the thing itself has. Chosen on training and validation photos.
        budget_ms: time after which no further photo is looked at. It is there for photos that take uncommonly long:
            an answer that was cut short by it can differ the next time.
    """

    mode: Switch = "auto"
    verifier: VerifierName = "rootsift"
    photos: int = Field(default=24, ge=1)
    weight: float = Field(default=0.05, ge=0)
    presence: float = Field(default=0.25, ge=0, le=1)
    budget_ms: float = Field(default=2000.0, gt=0)


class Pipeline(_Settings):
    """All of it. `Pipeline.model_validate_json` reads one, `model_dump_json` writes one.

    Attributes:
        unknown_share: share of questions that show nothing of the gallery, where that is known: a confidence is a
            probability, and no gallery can tell by itself how many strangers will come. It moves confidences, hardly
            the threshold's error. None: the share among the labelled queries, and one half without any.
    """

    ranking: Ranking = Ranking()
    adaptation: Adaptation = Adaptation()
    verification: Verification = Verification()
    unknown_share: float | None = Field(default=None, gt=0, lt=1)
