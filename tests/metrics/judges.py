"""A folder of weights with random numbers for the smallest of the public networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kinochrome import weights
from kinochrome.flow import published
from kinochrome.metrics import fid, lpips, top
from kinochrome.nets.raft import Raft
from kinochrome.nets.squeezenet import SqueezeNet
from tests.nets.test_public_names import filled

REMEMBERED = (lpips.judge, lpips._look_at_truth, top.classifier, top.ranked, fid.network, fid.features, published)
"""What keeps networks and answers from one clip to the next."""


def forget() -> None:
    for function in REMEMBERED:
        function.cache_clear()


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty folder."""
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(tmp_path / "weights"))
    forget()
    yield
    forget()


@pytest.fixture
def squeezed(no_weights: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """SqueezeNet and its shares, at random; they stand in AlexNet's place too, which is too large for tests."""
    torch.manual_seed(0)
    weights.folder().mkdir()
    shares = {name: torch.rand_like(tensor) for name, tensor in shares_of("squeeze").items()}
    for name, tensors in {
        "squeezenet1_1": SqueezeNet().state_dict(),
        "lpips_squeeze": shares,
        "lpips_alex": shares,
    }.items():
        line = replace(weights.CATALOGUE[name], size=None)
        monkeypatch.setitem(weights.CATALOGUE, name, line)
        torch.save(tensors, weights.folder() / line.file)
    monkeypatch.setitem(lpips.TRUNKS, "alex", lpips.TRUNKS["squeeze"])


@pytest.fixture
def raft(no_weights: None, monkeypatch: pytest.MonkeyPatch) -> Raft:
    """RAFT's small network with numbers from a formula, which lie where its public weights would."""
    network = filled(Raft("small")).eval()
    assert isinstance(network, Raft)
    line = replace(weights.CATALOGUE["raft_small"], size=None)
    monkeypatch.setitem(weights.CATALOGUE, "raft_small", line)
    weights.folder().mkdir()
    torch.save(network.state_dict(), weights.folder() / line.file)
    return network


def shares_of(name: str) -> dict[str, torch.Tensor]:
    return lpips.Shares(lpips.TRUNKS[name].channels).state_dict()
