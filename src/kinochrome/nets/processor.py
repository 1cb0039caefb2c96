"""What the processor at hand is good at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch


def computes_in_bfloat16(device: str) -> bool:
    """Whether it multiplies bfloat16 by itself, as server processors since 2020 do; the others are slower in it."""
    there: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)  # PyTorch 2.5 has none
    return device == "cpu" and any(there().get(name) for name in ("avx512_bf16", "amx_bf16"))
