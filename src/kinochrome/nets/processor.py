"""What the processor at hand is good at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch


def computes_in_bfloat16(device: str) -> bool:
    """Whether it takes half the time in bfloat16 that it takes in float32.

    Server processors since 2023 have tiles for it (AMX), AMD's since 2022 instructions that are as quick as they should
    be; others have the instructions (AVX-512) and are no quicker by them.
    """
    there: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)  # PyTorch 2.5 has none
    can = there() if device == "cpu" else {}
    return bool(can.get("amx_bf16") or (can.get("avx512_bf16") and str(can.get("cpu_name")).startswith("AMD")))
