"""Matching by likeness: Eq. 1 and 2 of BiSTNet and of LSTVC by hand, in parts as at once, over several references."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kinochrome.nets import matching
from kinochrome.nets.matching import Places, Said, joined, match, places, unit


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_colours_are_the_softmax_of_centred_cosines():
    frame, other = random(1, 5, 2, 3), random(1, 5, 2, 2)
    colours = 40 * random(1, 4, 2)
    known = Places(unit(other).flatten(2).mT, torch.cat([colours, torch.ones(1, 4, 1)], 2), torch.zeros(1, 4))
    found = match(unit(frame), known, 1, 0.5)
    centre, around = frame[0].mean((1, 2)), other[0].mean((1, 2))
    for y in range(2):
        for x in range(3):
            query = frame[0, :, y, x] - centre
            keys = [key - around for key in other[0].flatten(1).T]
            cosines = torch.stack([query @ key / (query.norm() * key.norm()) for key in keys])
            shares = (cosines / 0.5).exp() / (cosines / 0.5).exp().sum()
            assert torch.allclose(found.ab[0, :, y, x], shares @ colours[0], atol=1e-4)
            assert found.confidence[0, 0, y, x] == pytest.approx(max(0, float(cosines.max())), abs=1e-5)


def test_what_is_matched_in_parts_is_what_is_matched_at_once(monkeypatch: pytest.MonkeyPatch):
    keys = unit(random(2, 6, 5, 7))
    known = Places(unit(random(2, 6, 4, 5)).flatten(2).mT, random(2, 20, 3), -random(2, 20))
    whole = match(keys, known, 8, 0.01)
    pairs: list[int] = []
    softmax = torch.softmax
    monkeypatch.setattr(torch, "softmax", lambda x, axis: pairs.append(x.numel()) or softmax(x, axis))
    monkeypatch.setattr(matching, "AT_ONCE", 330)
    parts = match(keys, known, 8, 0.01)
    assert max(pairs) <= 330 and sum(pairs) == 2 * 35 * 20, "no more pairs at once than allowed, over all frames"
    assert torch.allclose(whole.ab, parts.ab, atol=1e-5) and torch.allclose(whole.confidence, parts.confidence)


def test_a_place_has_the_mean_of_the_colours_that_are_known():
    ab, reach = 40 * random(1, 2, 8, 8), torch.ones(1, 1, 8, 8)
    reach[..., :2] = 0
    known = places(unit(random(1, 4, 2, 2)), Said(ab, reach), 4)
    assert torch.allclose(known.values[0, 0, :2], ab[0, :, :4, 2:4].mean((1, 2)), atol=1e-4)
    assert known.values[0, :, 2].tolist() == [0.5, 1, 0.5, 1]


def test_of_several_references_the_one_that_is_alike_gives_the_colours():
    light = unit(random(1, 8, 3, 3))
    right = Places(light.flatten(2).mT, torch.tensor([30.0, -20.0, 1.0]).expand(1, 9, 3), torch.zeros(1, 9))
    wrong = Places(
        unit(random(1, 8, 3, 4)).flatten(2).mT, torch.tensor([-50.0, 50.0, 1.0]).expand(1, 12, 3), torch.zeros(1, 12)
    )
    found = match(light, joined([wrong, right]), 1, 0.001)
    assert torch.allclose(found.ab, torch.tensor([30.0, -20.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3), atol=0.1)
    assert torch.allclose(found.confidence, torch.ones(1, 1, 3, 3))


def test_what_nobody_knows_is_never_taken_and_says_nothing_of_how_sure_the_rest_is():
    """The likest place has no colour: the next one gives its own, however unlike it is."""
    keys = unit(random(1, 8, 3, 3))
    hidden = Places(keys.flatten(2).mT, torch.zeros(1, 9, 3), torch.full((1, 9), matching.UNKNOWN))
    other = -keys.flatten(2).mT
    shown = Places(other, torch.tensor([30.0, -20.0, 1.0]).expand(1, 9, 3), torch.zeros(1, 9))
    found = match(keys, joined([hidden, shown]), 1, 0.01)
    assert torch.allclose(found.ab[0, :, 1, 1], torch.tensor([30.0, -20.0]), atol=1e-3)
    alone = match(keys, shown, 1, 0.01)
    assert torch.allclose(found.confidence, alone.confidence, atol=1e-6) and found.confidence.max() < 0.9


def test_equally_like_references_mix_in_their_shares():
    keys = unit(random(1, 8, 3, 3))
    first, second = (
        Places(keys.flatten(2).mT, torch.tensor([a, 0.0, 1.0]).expand(1, 9, 3), torch.zeros(1, 9)) for a in (10.0, 50.0)
    )
    several = joined([first, second], torch.tensor([[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]]))
    found = match(keys.expand(3, -1, -1, -1), several, 1, 0.001)
    assert torch.allclose(found.ab[:, 0].mean((1, 2)), torch.tensor([10.0, 20.0, 50.0]), atol=0.1)


def test_the_way_back_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch):
    gradients = []
    for at_once in (1 << 20, 40):
        monkeypatch.setattr(matching, "AT_ONCE", at_once)
        keys = random(1, 6, 4, 4).requires_grad_()
        known = Places(random(1, 20, 6), random(1, 20, 3), -random(1, 20))
        match(unit(keys), known, 2, 0.1).ab.square().sum().backward()
        gradients.append(keys.grad)
    assert torch.allclose(*gradients, rtol=1e-3) and gradients[0].abs().max() > 0
