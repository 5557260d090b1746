"""`whichone index advise`: which engine a gallery should have, measured on its own vectors."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from pydantic import ByteSize, TypeAdapter, ValidationError
from rich.table import Table

from index.advice import SAMPLE, Advice, Expected, Wish, advise
from index.recognizer import Recognizer
from service.commands.folder import opened
from service.commands.terminal import print_json, progress_bar, stdout
from service.errors import FieldInvalid
from service.settings import Settings

__all__ = ["advise_engine", "wish_of"]


def advise_engine(
    settings: Settings,
    *,
    gallery: str,
    items: str | None,
    memory: str | None,
    p95: str | None,
    recall: float,
    as_json: bool,
) -> None:
    """Measure engines on a sample of a gallery and print which to take.

    Args:
        items: photos that there will be; those that there are if None.
        memory, p95: limits, as "8G" and "10ms"; None for any.
        recall: recall@10 to reach.

    Raises:
        FieldInvalid: a wish that is none.
        NothingToMeasure: the gallery has fewer than two photos.
    """
    with opened(settings) as workspace:
        vectors, there = workspace.galleries.replica(gallery).inspect(lambda state: _sample(state.recognizer))
    wish = wish_of(items, memory, p95, recall, there=there)
    with progress_bar() as progress:
        advice = advise(
            vectors, wish, progress=lambda engine, done, total: progress(f"measuring {engine}", done, total)
        )
    if as_json:
        print_json(asdict(advice))
    else:
        _print(advice)


def wish_of(items: str | None, memory: str | None, p95: str | None, recall: float, *, there: int) -> Wish:
    """A wish in numbers.

    Raises:
        FieldInvalid: names the option, what came and what would do.
    """
    if not 0 < recall <= 1:
        raise FieldInvalid(f"--recall: came {recall}; a share above 0 and up to 1 would do, as 0.99", field="recall")
    return Wish(
        items=there if items is None else _count(items),
        memory_bytes=None if memory is None else _bytes(memory),
        p95_ms=None if p95 is None else _milliseconds(p95),
        recall=recall,
    )


def _count(text: str) -> int:
    try:
        count = float(text.replace("_", "").replace(",", ""))
    except ValueError:
        count = 0.0
    if not 1 <= count <= 1e12:
        raise FieldInvalid(f"--items: came {text!r}; a number of photos would do, as 200000 or 5e6", field="items")
    return round(count)


def _bytes(text: str) -> int:
    try:
        return int(TypeAdapter(ByteSize).validate_python(f"{text}iB" if text[-1:] in "KMGTkmgt" else text))
    except ValidationError:
        raise FieldInvalid(f"--memory: came {text!r}; bytes would do, as 8G or 512M", field="memory") from None


def _milliseconds(text: str) -> float:
    number, factor = (text[:-2], 1.0) if text.endswith("ms") else (text.removesuffix("s"), 1000.0)
    try:
        value = float(number) * factor
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise FieldInvalid(f"--p95: came {text!r}; a time would do, as 10ms or 0.5s", field="p95")
    return value


def _sample(recognizer: Recognizer) -> tuple[NDArray[np.float32], int]:
    numbers = recognizer.index.numbers()
    chosen = np.random.default_rng(0).permutation(numbers)[:SAMPLE]
    return recognizer.index.reconstruct(chosen), len(numbers)


def _print(advice: Advice) -> None:
    table = Table("engine", "p95", "memory", "kept beside", "to build", "misses", title=f"{advice.wish.items:,} photos")
    for one in (advice.chosen, *advice.others):
        table.add_row(
            f"[b]{one.parameters}[/b]" if one is advice.chosen else one.parameters,
            f"{one.p95_ms:.2f} ms",
            _size(one.memory_bytes),
            _size(one.kept_bytes) if one.kept_bytes else "",
            _duration(one.build_s),
            ", ".join(one.misses),
        )
    console = stdout()
    console.print(table)
    for engine, why in advice.failed:
        console.print(f"left out: {engine}: {why}", highlight=False, soft_wrap=True)
    console.print(_sentence(advice), highlight=False, soft_wrap=True)


def _sentence(advice: Advice) -> str:
    basis = f"{advice.measured_on:,} vectors"
    if advice.own < advice.measured_on:
        basis += f" ({advice.own:,} of the gallery's own, the others those with noise)"
    return f"{_verdict(advice.chosen)} Estimated from {basis}; whichone index build --engine '{advice.chosen.engine}'"


def _verdict(chosen: Expected) -> str:
    if chosen.misses:
        return (
            f"No engine meets every wish; {chosen.engine} misses least ({', '.join(chosen.misses)}). Several machines "
            "might: --engine milvus (docs/scaling.md)."
        )
    return f"Take {chosen.engine}."


def _size(count: int) -> str:
    return ByteSize(count).human_readable()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
