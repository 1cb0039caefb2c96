"""Which processors are asked to compute in bfloat16: those that are twice as quick in it."""

from __future__ import annotations

import pytest
import torch

from kinochrome.nets.processor import computes_in_bfloat16

INSTRUCTIONS = {"avx512_bf16": True, "amx_bf16": False}


@pytest.mark.parametrize(
    ("can", "wanted"),
    [
        ({"amx_bf16": True, "avx512_bf16": True, "cpu_name": "Intel(R) Xeon(R)"}, True),
        (INSTRUCTIONS | {"cpu_name": "Intel(R) Xeon(R)"}, False),
        (INSTRUCTIONS | {"cpu_name": "AMD EPYC"}, True),
        (INSTRUCTIONS, False),
        ({"amx_bf16": False, "avx512_bf16": False, "cpu_name": "AMD EPYC"}, False),
        ({}, False),
    ],
)
def test_those_that_are_quicker_in_it(monkeypatch: pytest.MonkeyPatch, can: dict[str, object], wanted: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    assert computes_in_bfloat16("cpu") is wanted
    assert not computes_in_bfloat16("cuda")
