"""The processes of a run: one, or as many as `torchrun` started; and what must not be interrupted in any of them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import nn

Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is, and where it computes."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        return self.rank == 0

    def in_turn(self, act: Callable[[], Result]) -> Result:
        """What `act` gives: the first process does it alone, so that the others find what it left."""
        if self.first:
            result = act()
        if self.count > 1:
            torch.distributed.barrier()
        return result if self.first else act()

    def share_gradients(self, network: nn.Module) -> None:
        """The mean over all processes; what one did not use counts as zero, what none did stays as it is."""
        if self.count == 1:
            return
        parameters = [one for one in network.parameters() if one.requires_grad]
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        gradients = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
        whole = torch.cat([used, *gradients])
        torch.distributed.all_reduce(whole)
        used, *means = (whole / self.count).split([len(parameters), *(p.numel() for p in parameters)])
        for parameter, mean, share in zip(parameters, means, used.tolist(), strict=True):
            parameter.grad = mean.view_as(parameter).clone() if share else None


@contextlib.contextmanager
def together(device: str) -> Iterator[Processes]:
    """This process among those that `torchrun` started, each on a GPU of its own; alone without it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device=device)
        return
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    # The others wait while the first decodes or judges. torchrun ends them all when one fails.
    patience = timedelta(days=2)
    torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=patience)
    try:
        yield Processes(torch.distributed.get_rank(), count, device)
    finally:
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C takes effect at the end: half an update is no state to go on from."""
    came = []
    held = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is signal.default_int_handler]
    if threading.current_thread() is not threading.main_thread():
        held = []
    for one in held:
        signal.signal(one, lambda number, frame: came.append(number))
    try:
        yield
    except Exception:
        # Whoever shares gradients with a process that was stopped first hears of a broken connection only.
        if not came:
            raise
    finally:
        for one in held:
            signal.signal(one, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt
