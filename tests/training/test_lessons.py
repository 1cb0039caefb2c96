"""Motion that a network finds: left out of examples, found where the batch is learned from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from kinochrome import flow
from kinochrome.errors import TrainingError, WeightsError
from kinochrome.nets.raft import Raft
from kinochrome.training.data import Footage
from tests.metrics.judges import no_weights, raft  # noqa: F401

from . import test_bistnet, test_lstvc, test_vcgan
from .tiny import steps_down

MOVING: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "bistnet": (test_bistnet.task_of, {"ahead_step", "ahead_way", "back_step", "back_way"}),
    "lstvc": (test_lstvc.task_of, {"step", "counter"}),
    "vcgan": (lambda footage, **changes: test_vcgan.task_of(footage, test_vcgan.STAGE2, **changes), {"motion"}),
}
TASKS = pytest.mark.parametrize("name", MOVING)


@TASKS
def test_a_network_finds_motion_in_the_batch(footage: Footage, raft: Raft, name: str) -> None:  # noqa: F811
    task_of, motion = MOVING[name]
    by_search = task_of(footage).examples(0, 1)[0]
    task = task_of(footage, lesson={"flow": "raft_small"})
    batch = task.examples(0, 1)[0]
    found = set(by_search) - set(batch)
    assert found and found <= motion and set(batch) == set(by_search) - motion
    task.terms(batch)
    assert all(batch[key].shape == by_search[key].shape for key in found)
    assert not any(torch.equal(batch[key], by_search[key]) for key in found)
    totals = steps_down(task, batch, 6, 2e-3)
    assert totals[-1] < totals[0]


def test_it_is_the_motion_of_lightness_by_that_network(footage: Footage, raft: Raft) -> None:  # noqa: F811
    task = test_lstvc.task_of(footage, lesson={"flow": "raft_small"})
    batch = task.examples(0, 1)[0]
    task.terms(batch)
    pictures = [flow.visible(light) for light in batch["lab"][0, :, 0].numpy()]
    search = flow.search_by("raft_small")
    for index in range(1, len(pictures)):
        for name, (first, second) in {"step": (index, index - 1), "counter": (index - 1, index)}.items():
            expected = torch.from_numpy(search.between(pictures[first], pictures[second])).permute(2, 0, 1)
            assert torch.equal(batch[name][0, index - 1], expected)


@TASKS
def test_its_weights_are_asked_for_first(footage: Footage, no_weights: None, name: str) -> None:  # noqa: F811
    task_of, _ = MOVING[name]
    with pytest.raises(WeightsError, match="`kinochrome weights get raft_large`"):
        task_of(footage, lesson={"flow": "raft_large"})
    with pytest.raises(TrainingError, match=r"lesson.flow.*dis.*raft_small"):
        task_of(footage, lesson={"flow": "pwc"})
