"""DeepLab v3 has its public file's tensors, looks as far as the paper says, and answers as torchvision does."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from kinochrome import weights
from kinochrome.errors import WeightsError
from kinochrome.nets.deeplab import CLASSES, WIDTH, DeepLab, Pyramid
from kinochrome.nets.resnet import ResNet

from .test_public_names import picture


def on_paper(depth: int = 50) -> DeepLab:
    with torch.device("meta"):
        return DeepLab(depth)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def network() -> DeepLab:
    """One with tensors from a formula that is quick for its 42 million numbers: 1009 values of a sine, repeated."""
    made = on_paper().to_empty(device="cpu")
    for number, (name, tensor) in enumerate(made.state_dict().items()):
        wave = torch.sin(torch.arange(1009) * 0.731 + number)
        wave = wave.repeat(tensor.numel() // 1009 + 1)[: tensor.numel()].view(tensor.shape)
        if tensor.dim() > 1:
            tensor.copy_(wave * (2 / tensor[0].numel()) ** 0.5)
        elif name.endswith(("running_var", "weight")):
            tensor.copy_(1 + 0.3 * wave)
        else:
            tensor.copy_(0.1 * wave)
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("depth", "count", "digest"), [(50, 42_004_074, "52394066aeb32367"), (101, 60_996_202, "7d712749fb30c3c2")]
)
def test_parameters_names_and_shapes(depth: int, count: int, digest: str) -> None:
    """The count that torchvision states, and the digest of its names and shapes."""
    network = on_paper(depth)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in network.state_dict().items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest


def test_some_names_and_shapes_in_full() -> None:
    tensors = on_paper().state_dict()
    for name, shape in {
        "backbone.conv1.weight": (64, 3, 7, 7),
        "backbone.layer4.2.conv2.weight": (512, 512, 3, 3),
        "classifier.0.convs.0.0.weight": (256, 2048, 1, 1),
        "classifier.0.convs.3.0.weight": (256, 2048, 3, 3),
        "classifier.0.convs.4.1.weight": (256, 2048, 1, 1),
        "classifier.0.convs.4.2.running_var": (256,),
        "classifier.0.project.0.weight": (256, 1280, 1, 1),
        "classifier.1.weight": (256, 256, 3, 3),
        "classifier.4.bias": (21,),
        "aux_classifier.0.weight": (256, 1024, 3, 3),
        "aux_classifier.4.weight": (21, 256, 1, 1),
    }.items():
        assert tuple(tensors[name].shape) == shape
    assert not any("fc" in name for name in tensors)
    assert len(CLASSES) == len(set(CLASSES)) == 21 and CLASSES[15] == "person"


def saved(monkeypatch: pytest.MonkeyPatch, folder: Path, without: str = "none") -> None:
    """A file like the public one, each tensor of one number that stands there only once."""
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(folder))
    tensors = {
        name: torch.tensor(number, dtype=tensor.dtype).expand(tensor.shape)
        for number, (name, tensor) in enumerate(on_paper().state_dict().items())
        if not name.startswith(without)
    }
    line = weights.published("deeplabv3_resnet50")
    torch.save(tensors, folder / line.file)
    line = weights.Published(line.url, line.sha256, None, "none", "tests")
    monkeypatch.setitem(weights.CATALOGUE, "deeplabv3_resnet50", line)


def test_the_file_is_loaded_strictly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    saved(monkeypatch, tmp_path)
    network = weights.load(DeepLab, "deeplabv3_resnet50")
    assert not network.training
    for number, tensor in enumerate(network.state_dict().values()):
        assert bool((tensor == number).all())
    saved(monkeypatch, tmp_path, without="aux_classifier.")
    with pytest.raises(WeightsError, match=r"missing: aux_classifier\.0\.weight"):
        weights.load(DeepLab, "deeplabv3_resnet50")


FIRST = [60506.0, -101268, 138738, -63973.8, -238846]
MIDDLE = [171073, -238627, 298423, -94447.0, -412961]
SECOND = [817.037, -1257.60, 1657.27, -966.222, -2620.84]


def test_answers(network: DeepLab) -> None:
    """torchvision 0.28's figures from the same tensors; the picture is wide enough for the rate of 36."""
    third, fourth = network.backbone.stages(picture(16, 296))[2:]
    scores = network.classifier(fourth)
    assert scores.shape == (1, 21, 2, 37)
    assert scores[0, ::5, 1, 0].tolist() == pytest.approx(FIRST, rel=1e-3)
    assert scores[0, ::5, 0, 20].tolist() == pytest.approx(MIDDLE, rel=1e-3)
    assert network.aux_classifier(third)[0, ::5, 1, 0].tolist() == pytest.approx(SECOND, rel=1e-3)


@pytest.fixture
def last(network: DeepLab) -> Iterator[nn.Conv2d]:
    """The layer that makes the scores, put back as it was after the test."""
    layer = network.classifier[-1]
    assert isinstance(layer, nn.Conv2d)
    kept = layer.weight.clone(), layer.bias.clone()  # type: ignore[union-attr]
    yield layer
    for tensor, values in zip((layer.weight, layer.bias), kept, strict=True):
        tensor.copy_(values)  # type: ignore[union-attr]


def test_probabilities(network: DeepLab, last: nn.Conv2d) -> None:
    last.weight *= 1e-6  # the figures of a network that is filled by formula are huge
    found = network(picture(17, 30).expand(2, -1, -1, -1))
    assert found.shape == (2, 21, 17, 30)
    assert found.min() >= 0 and found.max() < 0.999, "not all or nothing"
    assert torch.allclose(found.sum(1), torch.ones(2, 17, 30), atol=1e-5)


def test_probabilities_of_one_pixel_by_hand(network: DeepLab, last: nn.Conv2d) -> None:
    last.weight.zero_()
    last.bias.copy_(torch.zeros(21).index_fill(0, torch.tensor(15), 2.0))  # type: ignore[union-attr]
    found = network(picture(1, 1)).flatten()
    person = math.exp(2) / (math.exp(2) + 20)
    assert found.tolist() == pytest.approx([person if index == 15 else (1 - person) / 20 for index in range(21)])


# --- How far it looks ---


def test_dilation_keeps_an_eighth() -> None:
    backbone = on_paper().backbone
    shapes = [tuple(stage.shape) for stage in backbone.stages(torch.empty(1, 3, 65, 96, device="meta"))]
    assert shapes == [(1, 256, 17, 24), (1, 512, 9, 12), (1, 1024, 9, 12), (1, 2048, 9, 12)]
    stages = (backbone.layer3, backbone.layer4)
    steps = [[block.conv2.dilation[0] for block in stage] for stage in stages]  # type: ignore[union-attr, index]
    assert steps == [[1, 2, 2, 2, 2, 2], [2, 4, 4]]


def test_dilation_changes_no_tensor() -> None:
    with torch.device("meta"):
        plain, dilated = ResNet(101).state_dict(), ResNet(101, dilated=True).state_dict()
    assert {name: tensor.shape for name, tensor in plain.items()} == {name: t.shape for name, t in dilated.items()}


def test_views_look_at_their_rates() -> None:
    pyramid = Pyramid(1).eval().requires_grad_(False)
    spot = torch.zeros(1, 1, 1, 81)
    spot[..., 40] = 1
    for view, rate in zip(pyramid.convs[1:4], (12, 24, 36), strict=True):
        view[0].weight.fill_(1)  # type: ignore[index]
        seen = view[0](spot)[0, 0, 0]  # type: ignore[index]
        assert seen.nonzero().flatten().tolist() == [40 - rate, 40, 40 + rate]
    pyramid.convs[4][1].weight.fill_(1)  # type: ignore[index]
    whole = pyramid.convs[4](spot)
    assert whole.flatten().tolist() == pytest.approx([1 / 81] * WIDTH, rel=1e-4)
    assert pyramid(spot).shape == (1, WIDTH, 1, 81)
