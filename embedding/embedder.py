"""Photos -> unit vectors, with a bundle's model on one device."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding.box import Box
from embedding.bundle import Bundle, BundleError, BundleInvalid
from embedding.images import ImageLimits, decode
from embedding.manifest import Device, Precision
from embedding.micro_batches import MicroBatches
from embedding.preprocess import preprocess
from embedding.session import Session, open_session
from embedding.shared_session import SharedSession
from embedding.views import Look, looks, side_needed

__all__ = ["Embedder", "EmbeddingInvalid"]

_LENGTH_TOLERANCE = 1e-3
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_WORKERS = min(4, _CORES)


class EmbeddingInvalid(BundleError):
    """A model gave numbers that are no unit vectors."""

    code = "embedding_invalid"


class Embedder:
    """Embeds photos. Safe to share between threads.

    On the CPU every photo is a call of its own, several side by side. That is quicker there than one call with many
    photos (EfficientNet-Lite2 in int8, two cores: 11 ms a photo against 20), and it makes a photo's vector independent
    of what it was sent with, to the bit, on every processor: within one call, ONNX Runtime is free to choose kernels by
    the number of rows. On CUDA, up to `batch_size` photos go into one call, those of one caller and of others who come
    meanwhile, and vectors may differ in the last bits with the batch. Where the bundle names several views of a photo
    (`embedding.views`), each look is a call, and the photo's vector is the mean of its looks' unit vectors, at unit
    length.

    Args:
        bundle: the model.
        device: ``cpu`` or ``cuda``.
        precision: which of the bundle's models; None for the one it names for the device.
        threads: ONNX Runtime's threads within a call on the CPU that no other is beside; None for one a core.
        batch_size: photos of one call on CUDA.

    Raises:
        DeviceUnavailable: see `embedding.session.open_session`.
        BundleInvalid: the bundle has no such precision, or its model does not fit its manifest.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: Device = "cpu",
        precision: str | None = None,
        threads: int | None = None,
        batch_size: int = 16,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.bundle = bundle
        self.device = device
        self.precision = _precision(bundle, device, precision)
        self.dim = bundle.manifest.dim
        self._batch_size = 1 if device == "cpu" else batch_size
        self._session = _session(bundle, self.precision, device, _CORES if threads is None else threads)
        _check_fits(self._session, bundle)
        self._infer = self._inferred if device == "cpu" else MicroBatches(self._inferred, batch_size)
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="embed")

    def decode(self, data: bytes, *, limits: ImageLimits | None = None, box: Box | None = None) -> Image.Image:
        """`embedding.images.decode`, at a scale that suffices for this model."""
        return decode(
            data,
            limits=ImageLimits() if limits is None else limits,
            box=box,
            min_side_needed=side_needed(self.bundle.manifest.views, self.bundle.manifest.preprocess),
        )

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """The vectors of RGB images, in their order.

        Returns:
            (n, dim) float32 rows of unit length; (0, dim) for no images.

        Raises:
            EmbeddingInvalid: the model gave something that is no unit vector.
            ValueError: an image is not RGB.
        """
        rows = np.empty((len(images), self.dim), np.float32)
        chunks = list(_chunks(images, self._batch_size))
        if len(chunks) == 1:  # nothing to run side by side
            rows[:] = self._embed_chunk(chunks[0])
        elif self.device == "cpu":
            for at, row in enumerate(self._workers.map(self._embed_chunk, chunks)):
                rows[at] = row
        else:
            for at, chunk in enumerate(chunks):
                rows[at * self._batch_size : at * self._batch_size + len(chunk)] = self._embed_chunk(chunk)
        return rows

    def warm_up(self) -> None:
        """Embed a picture of noise on every path, so that the first photo waits no longer than the others."""
        noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
        image = Image.fromarray(noise)
        self.embed([image])
        self.embed([image] * max(2, self._batch_size))

    def _embed_chunk(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """One call a look; the looks' mean, brought back to unit length."""
        manifest = self.bundle.manifest
        seen = [looks(image, manifest.views, manifest.preprocess) for image in images]
        rows = [self._run(same_look) for same_look in zip(*seen, strict=True)]
        if len(rows) == 1:
            return rows[0]
        total = np.sum(rows, axis=0, dtype=np.float32)
        return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True), dtype=np.float32)

    def _run(self, seen: Sequence[Look]) -> NDArray[np.float32]:
        return self._infer(np.stack([preprocess(look.image, look.spec) for look in seen]))

    def _inferred(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._checked(self._session.run(["embedding"], {"image": batch})[0], len(batch))

    def _checked(self, rows: NDArray[np.float32], n: int) -> NDArray[np.float32]:
        lengths = np.linalg.norm(rows, axis=-1)
        # Written so that NaN fails as well.
        if rows.shape != (n, self.dim) or not np.all(np.abs(lengths - 1) <= _LENGTH_TOLERANCE):
            worst = float(lengths.flat[np.argmax(np.abs(lengths - 1))]) if lengths.size else 0.0
            raise EmbeddingInvalid(
                f"The {self.precision} model of {self.bundle.id} gave {rows.shape} "
                f"numbers with a row of length {worst:g} where ({n}, {self.dim}) of length 1 were due; "
                "the bundle is faulty: export it again.",
                bundle=self.bundle.id,
            )
        return rows


def _session(bundle: Bundle, precision: Precision, device: Device, threads: int) -> Session:
    model = bundle.model_path(precision)
    if device != "cpu" or threads == 1:
        return open_session(model, device, threads)
    return SharedSession(open_session(model, device, threads), open_session(model, device, 1))


def _precision(bundle: Bundle, device: Device, asked: str | None) -> Precision:
    if asked is None:
        return bundle.default_precision(device)
    for precision in get_args(Precision):
        if asked == precision and precision in bundle.manifest.models:
            chosen: Precision = precision
            return chosen
    raise BundleInvalid(
        f"The bundle {bundle.id} has no {asked} model; it has {', '.join(bundle.manifest.models)}.",
        precision=asked,
    )


def _check_fits(session: Session, bundle: Bundle) -> None:
    """The graph's ends, before the first photo comes."""
    inputs = {entry.name: entry.shape for entry in session.get_inputs()}
    outputs = {entry.name: entry.shape for entry in session.get_outputs()}
    if set(inputs) != {"image"} or "embedding" not in outputs:
        raise BundleInvalid(
            f"The model of {bundle.id} takes {sorted(inputs)} and gives {sorted(outputs)}; "
            "it must take 'image' and give 'embedding'.",
            bundle=bundle.id,
        )
    width = outputs["embedding"][-1] if outputs["embedding"] else None
    if isinstance(width, int) and width != bundle.manifest.dim:
        raise BundleInvalid(
            f"The model of {bundle.id} gives {width} numbers, its manifest says {bundle.manifest.dim}.",
            bundle=bundle.id,
        )
    _check_sizes(inputs["image"], bundle)


def _check_sizes(shape: Sequence[object], bundle: Bundle) -> None:
    """Whether the graph takes what every view gives it; a name in place of a number means that any will do."""
    manifest = bundle.manifest
    for look in looks(Image.new("RGB", (8, 8)), manifest.views, manifest.preprocess):
        high, wide = look.spec.size
        if any(isinstance(fixed, int) and fixed != side for fixed, side in zip(shape[2:], (high, wide), strict=True)):
            raise BundleInvalid(
                f"The model of {bundle.id} takes photos of {shape[2]} x {shape[3]} pixels, but its views "
                f"({', '.join(manifest.views)}) give some of {high} x {wide}; export it with a free height and width.",
                bundle=bundle.id,
            )


def _chunks(images: Sequence[Image.Image], size: int) -> Iterator[Sequence[Image.Image]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]
