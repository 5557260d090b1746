"""Any timm model as photos -> feature map."""

from __future__ import annotations

import inspect
import warnings
from typing import Annotated

import timm
import torch
from pydantic import Field, JsonValue, field_validator
from timm.models import get_model_input_config
from torch import Tensor, nn

from training.errors import RecipeInvalid
from training.network.dry_run import drop_idle, dry_run
from training.spec import Spec
from training.weights import load_backbone

__all__ = ["Backbone", "BackboneSpec"]

# What a recipe says elsewhere, and what would make something else of the model than photos -> map.
_NO_OPTIONS = {
    *inspect.signature(timm.create_model).parameters,
    *("drop_rate", "drop_path_rate", "img_size", "num_classes", "in_chans", "features_only", "out_indices"),
}


class BackboneSpec(Spec):
    """Which timm model, and with what weights.

    Attributes:
        name: timm's name, with or without the tag of its weights.
        weights: `timm` for its hub, `package:NAME`, the path of a state dict, or None for random ones.
        drop_rate: dropout inside the model, where it has any.
        drop_path_rate: share of residual branches that are skipped in training, where the model has any.
        checkpointing: compute activations twice to keep fewer of them.
        size: side of the photos in pixels, for models that are made for one size alone (MLP-Mixer, BEiT, MaxViT); None
            for all others, which take any.
        options: further ones of the model itself, by timm's names: `{channels: [32, 64, 128, 256], stem_width: 16}`
            makes a ResNet half as wide.
    """

    name: str = Field(min_length=1)
    weights: str | None = None
    drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    drop_path_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    checkpointing: bool = False
    size: Annotated[int, Field(ge=8, le=4096)] | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("options")
    @classmethod
    def _of_the_model_itself(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if refused := sorted(_NO_OPTIONS & options.keys()):
            raise ValueError(
                f"takes none of {', '.join(refused)}: weights, dropout and size have words of their own beside it"
            )
        return options

    def load(self, *, classifier: bool) -> nn.Module:
        """The timm model, from which `Backbone` is made.

        Args:
            classifier: whether the model's own classifier is wanted; see `training.weights.load_backbone`.

        Raises:
            RecipeInvalid: timm has no such model, or the model no such option.
            WeightsUnavailable, WeightsMismatch: see `training.weights`.
        """
        own = {"drop_rate": self.drop_rate, "drop_path_rate": self.drop_path_rate, "img_size": self.size}
        given = {key: value for key, value in own.items() if value}
        return load_backbone(self.name, self.weights, classifier=classifier, **given, **self.options)


class Backbone(nn.Module):
    """Photos (n, 3, h, w) -> map (n, channels, h', w'), whatever the order of axes in the model.

    Tokens become a map by the photo's own size and the model's patch; class and register tokens are left out.

    Args:
        model: a timm model; its classifier, and whatever else a map does not need, is taken off.
        checkpointing: see `BackboneSpec`.

    Attributes:
        size: side of the photos that the model is made for, in pixels.
        size_in_graph: whether its ONNX graph, too, takes photos of any size; else see `fix_size`.

    Raises:
        RecipeInvalid: what its `forward_features` gives is no map.
    """

    model: nn.Module

    def __init__(self, model: nn.Module, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.model = model
        self.channels: int = model.num_features  # type: ignore[assignment]
        self.prefix_tokens: int = getattr(model, "num_prefix_tokens", 0)
        self.size: int = get_model_input_config(model)["input_size"][-1]
        features, idle = dry_run(model, self.size)
        self.layout, self.patch = self._layout(features)
        drop_idle(model, idle)
        if checkpointing:
            model.set_grad_checkpointing()  # type: ignore[operator]
        self.size_in_graph = self.layout != "tokens" and not hasattr(model, "set_input_size")

    def fix_size(self, height: int, width: int) -> None:
        """Settle for photos of one size, where the positions of a model are interpolated anew for each.

        ONNX has no such interpolation. Nothing changes for a model that needs none.

        Args:
            height, width: in pixels, multiples of the patch.
        """
        if self.layout == "tokens" and hasattr(self.model, "set_input_size"):
            self.model.set_input_size(img_size=(height, width))  # type: ignore[operator]
            if getattr(self.model, "rope", None) is not None:
                rope: nn.Module = self.model.rope  # type: ignore[assignment]
                self.model.rope = _FixedRotations(rope, (height // self.patch, width // self.patch))

    def _layout(self, shape: tuple[int, ...]) -> tuple[str, int]:
        """The order of axes, and the side in pixels that a token stands for (0 where there are no tokens)."""
        if len(shape) == 4 and self.channels in (shape[1], shape[3]):
            return ("nchw" if shape[1] == self.channels else "nhwc"), 0
        if len(shape) == 3 and shape[2] == self.channels:
            grid = round((shape[1] - self.prefix_tokens) ** 0.5)
            if grid and grid * grid == shape[1] - self.prefix_tokens:
                return "tokens", self.size // grid
        raise RecipeInvalid(
            f"{type(self.model).__name__} gives {shape} for a photo of {self.size} pixels, which is no map of "
            f"{self.channels} channels; choose a model whose forward_features gives a map or a square of tokens."
        )

    def forward(self, images: Tensor) -> Tensor:
        features = self._features(images)
        if self.layout == "nhwc":
            return features.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            rows, columns = images.shape[2] // self.patch, images.shape[3] // self.patch
            places = features[:, self.prefix_tokens :].transpose(1, 2)
            return places.reshape(-1, self.channels, rows, columns)
        return features

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor
        if self.size_in_graph or not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            features = self.model.forward_features(images)  # type: ignore[operator]
            return features
        with warnings.catch_warnings():  # a graph of one size has that size among its constants, which a tracer laments
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            features = self.model.forward_features(images)  # type: ignore[operator]
        return features


class _FixedRotations(nn.Module):
    """The rotations by which a model tells places apart, for one grid; the tracer miscounts when it follows how they
    are made."""

    def __init__(self, rope: nn.Module, grid: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("rotations", rope.get_embed(shape=grid))  # type: ignore[operator]

    def get_embed(self, shape: object = None) -> Tensor:  # noqa: ARG002
        return self.rotations  # type: ignore[return-value]
