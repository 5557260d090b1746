"""The device and precision of a run, by way of `accelerate`: one process, or several that were launched together."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from pydantic import Field

from embedding.errors import DeviceUnavailable
from training.spec import Spec

__all__ = ["Device", "Machine", "make_accelerator", "worker_count"]

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]


class Machine(Spec):
    """How the machine is used; none of it changes what is learned, but for rounding.

    Attributes:
        precision: of matrix products: `auto` is bf16 on a GPU that has it, else fp32. Losses and pooling stay fp32.
        channels_last: the order of axes in memory, faster for convolutions on GPUs; None: there alone.
        compile: `torch.compile` the network: minutes at the start, faster after.
        workers: processes that read photos; None: as many as cores, at most 8, on a GPU;
            none on a CPU, where they would take the cores that train.
        sync_batch_norm: statistics of batch norms over all processes; on GPUs only.
        checkpoint_steps: optimiser steps between checkpoints within an epoch; each epoch ends with one anyway.
    """

    precision: Precision = "auto"
    channels_last: bool | None = None
    compile: bool = False
    workers: int | None = Field(default=None, ge=0)
    sync_batch_norm: bool = False
    checkpoint_steps: int = Field(default=1000, ge=1)


def make_accelerator(machine: Machine, device: Device) -> Accelerator:
    """For this process; under `accelerate launch` or `torchrun`, one of several.

    Args:
        machine: as the recipe says.
        device: `auto` is the GPU where there is one.

    Raises:
        DeviceUnavailable: a GPU, or fp16 without one, was asked for and is not there.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise DeviceUnavailable("A GPU was asked for (cuda) and torch sees none here; take --device cpu, or auto.")
    on_gpu = has_gpu and device != "cpu"
    if machine.precision == "fp16" and not on_gpu:
        raise DeviceUnavailable("fp16 needs a GPU; on a CPU take the precision fp32 or bf16.")
    # Accelerate keeps one state a process: a second run in the same process would silently get the first one's.
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    return Accelerator(
        cpu=not on_gpu,
        mixed_precision=_precision(machine.precision, on_gpu=on_gpu),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def worker_count(machine: Machine, *, on_gpu: bool) -> int:
    """Processes that read photos."""
    if machine.workers is not None:
        return machine.workers
    cores = len(os.sched_getaffinity(0))
    return min(cores, 8) if on_gpu else 0


def _precision(wanted: Precision, *, on_gpu: bool) -> str:
    if wanted == "auto":
        return "bf16" if on_gpu and torch.cuda.is_bf16_supported() else "no"
    return "no" if wanted == "fp32" else wanted
