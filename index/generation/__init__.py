"""Generations on disk: immutable, numbered snapshots of a gallery's index.

    galleries/<gallery>/generations/<number>/
        manifest.json     what made it, how much it holds, the sha256 of every other file and its own
        index.faiss       the vectors, opened by memory map; some engines have further files, index.faiss.*
        items.npz         numbers, ids, labels, penalties; simulated re-photographs
        features.bin      local features of the photos, read as needed
        distractors.npz   numbers, embeddings
        calibration.json  calibration, and which parts are used; absent when the gallery could not be calibrated
        adaptation.bin    absent when embeddings are compared as they are
    galleries/<gallery>/CURRENT      the number in use

A generation is written in full and flushed under a name that nobody reads, renamed to its number, and comes into use by
the atomic replacement of `CURRENT`. Nothing here is the truth: the database is, and can make all of it again.
"""

from index.generation.checking import Checked, check_generation
from index.generation.contents import distractors_of, labels_of
from index.generation.discarding import clear_leftovers, prune
from index.generation.manifest import Generation, GenerationManifest
from index.generation.opening import open_generation, open_recognizer
from index.generation.published import (
    current_generation,
    list_generations,
    publish,
    read_generation,
    rollback,
    verify_generation,
)
from index.generation.room import told_when_full
from index.generation.vectors import AUTO, RECALL_FLOOR, Built, build_vectors, likely_queries
from index.generation.writing import write_generation

__all__ = [
    "AUTO",
    "RECALL_FLOOR",
    "Built",
    "Checked",
    "Generation",
    "GenerationManifest",
    "build_vectors",
    "check_generation",
    "clear_leftovers",
    "current_generation",
    "distractors_of",
    "labels_of",
    "likely_queries",
    "list_generations",
    "open_generation",
    "open_recognizer",
    "prune",
    "publish",
    "read_generation",
    "rollback",
    "told_when_full",
    "verify_generation",
    "write_generation",
]
