"""What the processor at hand is good at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch


def computes_in_bfloat16(device: str) -> bool:
    """Whether it has tiles for bfloat16 (AMX), as server processors since 2023; without them it is slower in it."""
    there: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)  # PyTorch 2.5 has none
    return device == "cpu" and bool(there().get("amx_bf16"))
