"""What tests of training share: one thread, so that sums are taken in one order; footage; public networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import torch
from torch import nn

from kinochrome import weights
from kinochrome.flow import published
from kinochrome.training.data import Footage

from . import tiny


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many as before afterwards."""
    before, before_cv2 = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(before)
    cv2.setNumThreads(before_cv2)


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """Two films and a few photographs, decoded."""
    folder = tmp_path_factory.mktemp("footage")
    tiny.footage(folder / "data", (12, 9))
    tiny.photographs(folder / "data")
    return Footage([folder / "data"], folder / "store")


@pytest.fixture
def made() -> dict[str, nn.Module]:
    """Public networks by name, as they are asked for."""
    return {}


@pytest.fixture
def public(made: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, nn.Module]]:
    """Public networks of their true sizes have random weights: nothing is downloaded here."""

    def load(make: Callable[[], nn.Module], name: str, device: str) -> nn.Module:
        if name not in made:
            with torch.random.fork_rng(), pytest.MonkeyPatch.context() as patch:
                # The classifier of VGG, nine tenths of it, is never asked.
                patch.setattr(nn.Linear, "reset_parameters", lambda self: None)
                torch.manual_seed(3)
                made[name] = make().eval().requires_grad_(False)
                for part in made[name].modules():
                    if isinstance(part, nn.Conv2d):
                        nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        return made[name]

    monkeypatch.setattr(weights, "load", load)
    monkeypatch.setattr(weights, "find", lambda name: Path(name))
    published.cache_clear()
    yield made
    published.cache_clear()
