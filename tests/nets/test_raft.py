"""RAFT: its parts against formulas written out, its whole on random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kinochrome import weights
from kinochrome.errors import WeightsError
from kinochrome.flow import search_by
from kinochrome.nets.raft import Raft, correlations, look_up, pixel_places, upsampled
from tests.metrics.judges import no_weights, raft  # noqa: F401
from tests.nets.test_public_names import filled, on_paper, picture


@pytest.fixture(scope="module")
def small() -> Raft:
    network = filled(on_paper("raft_small"))
    assert isinstance(network, Raft)
    return network


def at(values: np.ndarray, x: float, y: float) -> float:
    """Bilinear, zero outside."""
    left, top = int(np.floor(x)), int(np.floor(y))
    total = 0.0
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= row < values.shape[0] and 0 <= column < values.shape[1]:
            total += (1 - abs(x - column)) * (1 - abs(y - row)) * values[row, column]
    return total


def test_correlations_are_scaled_products_of_all_pairs() -> None:
    torch.manual_seed(0)
    first, second = torch.rand(2, 2, 5, 16, 24)
    pyramid = correlations(first, second)
    assert [tuple(level.shape) for level in pyramid] == [
        (2 * 16 * 24, 1, height, width) for height, width in ((16, 24), (8, 12), (4, 6), (2, 3))
    ]
    whole = pyramid[0].view(2, 16, 24, 16, 24)
    expected = float(first[1, :, 3, 7] @ second[1, :, 10, 20]) / 5**0.5
    assert float(whole[1, 3, 7, 10, 20]) == pytest.approx(expected, rel=1e-5)
    assert float(pyramid[1].view(2, 16, 24, 8, 12)[1, 3, 7, 5, 10]) == pytest.approx(
        float(whole[1, 3, 7, 10:12, 20:22].mean()), rel=1e-5
    )


def test_look_up_reads_squares_around_places_x_slower_than_y() -> None:
    torch.manual_seed(1)
    height, width, radius = 16, 24, 2
    pyramid = correlations(torch.rand(1, 3, height, width), torch.rand(1, 3, height, width))
    places = pixel_places(height, width, torch.device("cpu")) + torch.rand(1, 2, height, width) * 9 - 4
    found = look_up(pyramid, places, radius)
    assert found.shape == (1, 4 * 25, height, width)
    for row, column in ((0, 0), (5, 17), (15, 23)):
        x, y = places[0, :, row, column].tolist()
        expected = [
            at(level[row * width + column, 0].numpy(), x / 2**number + right, y / 2**number + down)
            for number, level in enumerate(pyramid)
            for right in range(-radius, radius + 1)
            for down in range(-radius, radius + 1)
        ]
        assert found[0, :, row, column].tolist() == pytest.approx(expected, abs=1e-4)


def test_upsampled_is_a_weighted_mean_of_nine() -> None:
    torch.manual_seed(2)
    flow, scores = torch.rand(1, 2, 3, 4), torch.rand(1, 576, 3, 4) * 4
    fine = upsampled(flow, scores)
    assert fine.shape == (1, 2, 24, 32)
    shares = torch.softmax(scores.view(9, 8, 8, 3, 4), dim=0)
    padded = torch.nn.functional.pad(flow, (1, 1, 1, 1))[0]
    for row, column in ((0, 0), (13, 21), (23, 31)):
        nine = padded[:, row // 8 : row // 8 + 3, column // 8 : column // 8 + 3].reshape(2, 9)
        expected = 8 * nine @ shares[:, row % 8, column % 8, row // 8, column // 8]
        assert fine[0, :, row, column].tolist() == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("size", [(128, 136), (37, 50), (131, 150)])
def test_any_size_gives_a_flow_of_that_size(small: Raft, size: tuple[int, int]) -> None:
    first, second = picture(*size), picture(*size).flip(3)
    flow = small.flow(first, second, iterations=1)
    assert flow.shape == (1, 2, *size) and flow.isfinite().all()
    assert torch.equal(flow, small.flow(first, second, iterations=1)), "the same twice"


def test_a_flow_to_begin_from_is_where_it_begins(small: Raft) -> None:
    shown = torch.cat([picture(130, 150), picture(130, 150).flip(-1)])
    start = torch.tensor([12.0, -7.0]).view(1, 2, 1, 1).expand(1, 2, 130, 150)
    with torch.inference_mode():
        unmoved = small.flow(shown[:1], shown[1:], iterations=0, start=start)
        from_rest = small.flow(shown[:1], shown[1:], iterations=2)
        from_nothing = small.flow(shown[:1], shown[1:], iterations=2, start=0 * start)
        from_there = small.flow(shown[:1], shown[1:], iterations=2, start=start)
    torch.testing.assert_close(unmoved, start)
    assert torch.equal(from_rest, from_nothing)
    assert float((from_there - from_rest).abs().mean()) > 1


def test_lightness_is_shown_as_grey_pictures(raft: Raft) -> None:  # noqa: F811
    first, second = (np.uint8(255 * picture(40, 56)[0, channel].numpy()) for channel in (0, 1))
    start = np.full((40, 56, 2), 3, np.float32)
    search = search_by("raft_small")
    here, there = (torch.from_numpy(one).float().expand(1, 3, -1, -1) / 255 for one in (first, second))
    with torch.inference_mode():
        for given, begin in ((None, None), (start, torch.full((1, 2, 40, 56), 3.0))):
            expected = raft.flow(here, there, start=begin)[0].permute(1, 2, 0).numpy()
            found = search.between(first, second, given)
            assert found.dtype == np.float32 and found == pytest.approx(expected, abs=1e-4)


def test_multiples_of_eight_are_not_padded(small: Raft) -> None:
    first, second = picture(128, 144), picture(128, 144).flip(2)
    assert torch.equal(small.flow(first, second, 2), small(first * 2 - 1, second * 2 - 1, 2))


def test_pictures_of_a_batch_do_not_mix(small: Raft) -> None:
    first, second = picture(128, 128), picture(128, 128).flip(2)
    both = small.flow(torch.cat([first, second]), torch.cat([second, first]), 2)
    alone = torch.cat([small.flow(first, second, 2), small.flow(second, first, 2)])
    assert torch.allclose(both, alone, atol=1e-4)
    assert not torch.allclose(both[0], both[1], atol=1e-2)


# torchvision 0.29 gave the same figures from the same tensors.
@pytest.mark.parametrize(
    ("size", "expected"),
    [("small", [-2.23135, -2.54018, -1.98159, -2.31688]), ("large", [1.43821, 1.42552, 2.3795, 2.34551])],
)
def test_answers(size: str, expected: list[float]) -> None:
    network = filled(on_paper(f"raft_{size}"))
    assert isinstance(network, Raft)
    flow = network.flow(picture(128, 128), picture(128, 128).flip(3), iterations=3)
    assert flow[0, :, 50:101:50, 64].flatten().tolist() == pytest.approx(expected, rel=1e-2, abs=1e-2)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(3)
    network = Raft("large")
    network.flow(torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128), iterations=2).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_public_names_load_strictly(tmp_path: Path) -> None:
    state = Raft("small").state_dict()
    torch.save(state, tmp_path / "raft.pth")
    loaded = weights.load(lambda: Raft("small"), tmp_path / "raft.pth")
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    with pytest.raises(WeightsError, match=r"does not fit Raft\. It looks like RAFT, small"):
        weights.load(lambda: Raft("large"), tmp_path / "raft.pth")
    state["update_block.flow_head.conv3.bias"] = state.pop("update_block.flow_head.conv2.bias")
    torch.save(state, tmp_path / "raft.pth")
    with pytest.raises(WeightsError, match=r"1 missing: update_block\.flow_head\.conv2\.bias; 1 unknown"):
        weights.load(lambda: Raft("small"), tmp_path / "raft.pth")
