"""What recognition costs over the bare model and the bare search: `python -m benchmarks.cost`.

Each ratio is taken within one run, the two sides in turn, so that it holds on a noisy machine. 1.00 is no cost at all.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import closing

import faiss
import numpy as np
import onnxruntime
import skimage.data
from PIL import Image

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.preprocess import preprocess
from embedding.rephotograph import rephotograph
from index.background import Background
from index.items import Item
from index.pipeline import Adaptation, Pipeline, Verification
from index.recognizer import Recognizer
from index.tuner import tune
from training.export.package_photos import load_package_photos

ROUNDS = 40
LABELS = 10_000
PHOTOS_A_LABEL = 2


def medians(*sides: Callable[[], object]) -> list[float]:
    """Median milliseconds of each, run in turn."""
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for side, spent in zip(sides, times, strict=True):
            start = time.perf_counter()
            side()
            spent.append((time.perf_counter() - start) * 1e3)
    return [float(np.median(spent)) for spent in times]


def embedding_cost() -> None:
    bundle = Bundle.open()
    embedder = Embedder(bundle)
    bare = onnxruntime.InferenceSession(str(bundle.model_path("float32")), providers=["CPUExecutionProvider"])
    photo = Image.fromarray(skimage.data.astronaut())
    file = io.BytesIO()
    photo.resize((1600, 1600)).save(file, "JPEG", quality=90)
    data, ready = file.getvalue(), preprocess(photo, bundle.manifest.preprocess)[None]
    model, embed, all_ = medians(
        lambda: bare.run(None, {"image": ready}),
        lambda: embedder.embed([photo]),
        lambda: embedder.embed([embedder.decode(data)]),
    )
    print(f"bare model {model:.1f} ms; with preprocessing {embed / model:.2f} times")
    print(f"with preprocessing and decoding of a JPEG of 1600 x 1600: {all_ / model:.2f} times")


def search_cost() -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((LABELS, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bare = faiss.IndexFlatIP(512)
    bare.add(vectors)
    recognizer = Recognizer(512, bundle_sha256="")
    none = np.empty((0, 512), np.float32)
    recognizer.upsert([Item(at, str(at), f"label {at}", row, row[None]) for at, row in enumerate(vectors[:200])])
    recognizer.tuning = tune(recognizer)
    recognizer.upsert([Item(at, str(at), f"label {at}", row, none) for at, row in enumerate(vectors)])
    query = vectors[:1] + 0.05 * random.standard_normal((1, 512)).astype(np.float32)
    query /= np.linalg.norm(query)
    search, verdict = medians(lambda: bare.search(query, 128), lambda: recognizer.recognize(query))
    print(f"{LABELS} labels: bare search {search:.2f} ms; verdict {verdict:.2f} ms ({verdict / search:.2f} times)")


def whole_cost(labels: int) -> None:
    """From a JPEG to a verdict, adapted, without and with verification, in a gallery of `labels`.

    Embeddings and local features are those of the packages' photos, strewn about, so that every query has near
    neighbours to compare itself with: the dear case.
    """
    random = np.random.default_rng(0)
    embedder = Embedder(Bundle.open())
    recognizer = Recognizer(
        embedder.dim,
        bundle_sha256=embedder.bundle.sha256,
        background=Background.of(embedder.bundle),
        pipeline=Pipeline(adaptation=Adaptation(wccn="on"), verification=Verification(mode="on")),
    )
    with closing(recognizer.features):
        photos = load_package_photos()
        own = embedder.embed(photos)
        local = [recognizer.verifier.extract(photo).to_bytes() for photo in photos]
        noise = random.standard_normal((labels * PHOTOS_A_LABEL, embedder.dim)).astype(np.float32) / embedder.dim**0.5
        vectors = own[np.arange(len(noise)) // PHOTOS_A_LABEL % len(own)] + 0.7 * noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        none = np.empty((0, embedder.dim), np.float32)
        recognizer.upsert(
            [
                Item(at, str(at), f"label {at // PHOTOS_A_LABEL}", row, none, local[at // PHOTOS_A_LABEL % len(local)])
                for at, row in enumerate(vectors)
            ]
        )
        recognizer.tuning = tune(recognizer)
        file = io.BytesIO()
        rephotograph(photos[0], seed=1).resize((1600, 1200)).save(file, "JPEG", quality=90)
        data = file.getvalue()

        def ask(*, verify: bool) -> None:
            photo = embedder.decode(data)
            local = [lambda: recognizer.verifier.extract(photo)] if verify else None
            recognizer.recognize(embedder.embed([photo]), local=local)

        plain, verified = medians(lambda: ask(verify=False), lambda: ask(verify=True))
    print(f"{labels} labels: JPEG of 1600 x 1200 to verdict {plain:.0f} ms; with verification {verified:.0f} ms")


if __name__ == "__main__":
    embedding_cost()
    search_cost()
    whole_cost(100)
    whole_cost(LABELS)
