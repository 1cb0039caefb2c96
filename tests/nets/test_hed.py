"""HED has its public file's tensors, pools, resizes and fuses as reckoned by hand, and answers as its authors' code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from kinochrome import weights
from kinochrome.errors import WeightsError
from kinochrome.nets.hed import Hed

from .test_public_names import filled, picture


def on_paper() -> Hed:
    with torch.device("meta"):
        return Hed()


@pytest.fixture(scope="module")
def network() -> Hed:
    made = filled(on_paper())
    assert isinstance(made, Hed)
    return made


def test_parameters_names_and_shapes() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in on_paper().state_dict().items()}
    expected: dict[str, tuple[int, ...]] = {"norm": (1, 3, 1, 1)}
    inputs = 3
    for stage, (outputs, count) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for number in range(count):
            expected[f"block{stage}.convs.{number}.weight"] = (outputs, inputs, 3, 3)
            expected[f"block{stage}.convs.{number}.bias"] = (outputs,)
            inputs = outputs
        expected[f"block{stage}.projection.weight"] = (1, outputs, 1, 1)
        expected[f"block{stage}.projection.bias"] = (1,)
    assert shapes == expected
    # VGG-16's convolutions, a weight a channel and a bias for each side output, the mean.
    assert sum(math.prod(shape) for shape in shapes.values()) == 14_714_688 + (64 + 128 + 256 + 512 + 512 + 5) + 3


def saved(monkeypatch: pytest.MonkeyPatch, folder: Path, without: str = "") -> None:
    """A file like the public one, in half precision, each tensor of one number that stands there only once."""
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(folder))
    shapes = {name: tensor.shape for name, tensor in on_paper().state_dict().items() if name != without}
    tensors = {
        name: torch.tensor(number / 64).half().expand(shape) for number, (name, shape) in enumerate(shapes.items())
    }
    line = weights.published("hed")
    torch.save(tensors, folder / line.file)
    monkeypatch.setitem(weights.CATALOGUE, "hed", weights.Published(line.url, line.sha256, None, "none", "tests"))


def test_the_file_is_loaded_strictly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    saved(monkeypatch, tmp_path)
    network = weights.load(Hed, "hed")
    for number, tensor in enumerate(network.state_dict().values()):
        assert tensor.dtype == torch.float32 and bool((tensor == number / 64).all())
    saved(monkeypatch, tmp_path, without="block5.projection.bias")
    with pytest.raises(WeightsError, match=r"1 missing: block5\.projection\.bias"):
        weights.load(Hed, "hed")


# Reckoned by `ControlNetHED_Apache2` of controlnet-aux 0.0.10 and OpenCV's bilinear resizing from the same tensors.
ANSWERS = {
    (20, 30): [0.0980954, -0.0896979, -1.17294, 0.551444, 0.501280],
    (36, 0): [0.241087, -0.193956, 2.17856, -0.129714, 0.502531],
}


@pytest.mark.parametrize("place", ANSWERS)
def test_answers(network: Hed, place: tuple[int, int]) -> None:
    rgb = picture(37, 51)
    sides = [float(side[0, 0, *place]) for side in network.sides(rgb)]
    assert sides == pytest.approx(ANSWERS[place], rel=1e-3, abs=1e-4)
    assert float(network(rgb)[0, 0, *place]) == pytest.approx(1 / (1 + math.exp(-sum(sides) / 5)), abs=1e-6)


@pytest.fixture(scope="module")
def plain() -> Hed:
    """One whose side outputs are red itself, in 0..1 above `norm`, at the stages' sizes."""
    made = on_paper().to_empty(device="cpu").requires_grad_(False)
    for name, tensor in made.state_dict().items():
        tensor.zero_()
        if name.endswith("weight"):
            tensor[0, 0, tensor.shape[2] // 2, tensor.shape[3] // 2] = 1 / 255 if "projection" in name else 1
    return made


def test_sides_by_hand(plain: Hed) -> None:
    rgb = torch.zeros(1, 3, 16, 16)
    rgb[0, 0, 0, 0] = 1
    rows = [side[0, 0, 0, :4].tolist() for side in plain.sides(rgb)]
    # A stage keeps the largest of 2 x 2; between its places, a quarter and three quarters, an eighth and so on.
    assert rows[0] == [1, 0, 0, 0]
    assert rows[1] == pytest.approx([1, 0.75, 0.25, 0])
    assert rows[2] == pytest.approx([1, 1, 0.875, 0.625])
    assert rows[3] == pytest.approx([1, 1, 1, 1])
    assert rows[4] == pytest.approx([1, 1, 1, 1])
    fused = plain(rgb)[0, 0]
    assert float(fused[0, 1]) == pytest.approx(1 / (1 + math.exp(-(0 + 0.75 + 1 + 1 + 1) / 5)))
    assert float(fused[15, 15]) == pytest.approx(1 / (1 + math.exp(-(0 + 0 + 0 + 0 + 1) / 5)))


def test_the_learned_mean_is_taken_from_codes_of_8_bits(plain: Hed) -> None:
    rgb = torch.full((1, 3, 16, 16), 0.8)
    plain.norm[0, 0] = 51
    sides = [float(side[0, 0, 3, 3]) for side in plain.sides(rgb)]
    plain.norm.zero_()
    assert sides == pytest.approx([0.8 - 0.2] * 5)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (17, 31)])
def test_any_size(network: Hed, size: tuple[int, int]) -> None:
    edges = network(torch.cat([picture(*size), 1 - picture(*size)]))
    assert edges.shape == (2, 1, *size)
    assert edges.min() >= 0 and edges.max() <= 1
    assert torch.allclose(edges[:1], network(picture(*size)), atol=1e-5), "each picture by itself"


def test_small_pictures_go_on_as_they_end(network: Hed) -> None:
    small = picture(5, 40)
    larger = torch.cat([small, small[:, :, -1:].expand(-1, -1, 11, -1)], 2)
    assert torch.allclose(network(small), network(larger)[:, :, :5], atol=1e-6)
