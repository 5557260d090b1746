"""Any timm model as photos -> feature map."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from timm.models import get_model_input_config
from torch import Tensor, nn

from training.errors import RecipeInvalid
from training.network.dry_run import drop_idle, dry_run
from training.spec import Spec
from training.weights import load_backbone

__all__ = ["Backbone", "BackboneSpec"]


class BackboneSpec(Spec):
    """Which timm model, and with what weights.

    Attributes:
        name: timm's name, with or without the tag of its weights.
        weights: `timm` for its hub, `package:NAME`, the path of a state dict, or None for random ones.
        drop_rate: dropout inside the model, where it has any.
        drop_path_rate: share of residual branches that are skipped in training, where the model has any.
        checkpointing: compute activations twice to keep fewer of them.
    """

    name: str = Field(min_length=1)
    weights: str | None = None
    drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    drop_path_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    checkpointing: bool = False

    def build(self) -> Backbone:
        """Make the model.

        Raises:
            RecipeInvalid: timm has no such model, or it gives no map.
            WeightsUnavailable, WeightsMismatch: see `training.weights`.
        """
        options = {"drop_rate": self.drop_rate, "drop_path_rate": self.drop_path_rate}
        model = load_backbone(self.name, self.weights, **{key: rate for key, rate in options.items() if rate})
        if self.checkpointing:
            model.set_grad_checkpointing()  # type: ignore[operator]
        return Backbone(model)


class Backbone(nn.Module):
    """Photos (n, 3, h, w) -> map (n, channels, h', w'), whatever the order of axes in the model.

    Tokens become a map by the photo's own size and the model's patch; class and register tokens are left out.

    Args:
        model: a timm model; its classifier, and whatever else a map does not need, is taken off.

    Attributes:
        size: side of the photos that the model is made for, in pixels.

    Raises:
        RecipeInvalid: what its `forward_features` gives is no map.
    """

    model: nn.Module

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.channels: int = model.num_features  # type: ignore[assignment]
        self.prefix_tokens: int = getattr(model, "num_prefix_tokens", 0)
        self.size: int = get_model_input_config(model)["input_size"][-1]
        features, idle = dry_run(model, self.size)
        self.layout, self.patch = self._layout(features)
        drop_idle(model, idle)

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
        features: Tensor = self.model.forward_features(images)  # type: ignore[operator]
        if self.layout == "nhwc":
            return features.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            rows = images.shape[2] // self.patch
            return (
                features[:, self.prefix_tokens :]
                .transpose(1, 2)
                .reshape(-1, self.channels, rows, images.shape[3] // self.patch)
            )
        return features
