"""Each public network has the tensors, the size and the answers that its public weights are made for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch
from torch import nn

from kinochrome.nets.alexnet import AlexNet
from kinochrome.nets.imagenet import normalized, outputs_at
from kinochrome.nets.inception import Inception
from kinochrome.nets.raft import Raft
from kinochrome.nets.resnet import ResNet
from kinochrome.nets.squeezenet import SqueezeNet
from kinochrome.nets.vgg import Vgg

NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "alexnet": (AlexNet, 61_100_840, "935c1ea73a7869ee"),
    "inception_v3": (lambda: Inception("torchvision"), 27_161_264, "4c9e13f64584de74"),
    "inception_v3_fid": (lambda: Inception("tensorflow"), 23_850_960, "760681d791cb624e"),
    "raft_large": (lambda: Raft("large"), 5_257_536, "23b50731fc53e26a"),
    "raft_small": (lambda: Raft("small"), 990_162, "b52844207e5a43c4"),
    "resnet101": (lambda: ResNet(101), 44_549_160, "dbc3ca74fffafc72"),
    "resnet50": (lambda: ResNet(50), 25_557_032, "a87e91cd6bd1f939"),
    "squeezenet1_1": (SqueezeNet, 1_235_496, "3fbd2a746421cada"),
    "vgg16": (lambda: Vgg(16), 138_357_544, "ba63c2556d912509"),
    "vgg19": (lambda: Vgg(19), 143_667_240, "393fac8b08b63fbe"),
}
"""Name -> how to build it, parameters that torchvision states, digest of torchvision's tensor names and shapes."""


def on_paper(name: str) -> nn.Module:
    """A network that takes no memory."""
    with torch.device("meta"):
        return NETWORKS[name][0]()


def filled(network: nn.Module) -> nn.Module:
    """The network with tensors from a formula, so that its answers are the same everywhere."""
    network.to_empty(device="cpu")
    for number, (name, tensor) in enumerate(network.state_dict().items()):
        if not tensor.is_floating_point():
            continue
        wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.731 + number).view(tensor.shape)
        if tensor.dim() > 1:
            wave *= (4 / tensor[0].numel()) ** 0.5
        elif name.endswith("running_var"):
            wave = 1 + 0.5 * wave
        else:
            wave *= 0.1
            wave += float(name.endswith("weight"))
        tensor.copy_(wave)
    return network.eval().requires_grad_(False)


def picture(height: int, width: int) -> torch.Tensor:
    wave = torch.sin(torch.arange(3 * height * width, dtype=torch.float64) ** 2 * 0.0137)
    return (wave / 2 + 0.5).float().view(1, 3, height, width)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_names_and_shapes(name: str) -> None:
    network = on_paper(name)
    _, count, digest = NETWORKS[name]
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in network.state_dict().items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("name", "tensor", "shape"),
    [
        ("alexnet", "classifier.6.bias", (1000,)),
        ("inception_v3", "AuxLogits.conv1.conv.weight", (768, 128, 5, 5)),
        ("inception_v3", "Mixed_7b.branch3x3dbl_3b.conv.weight", (384, 384, 3, 1)),
        ("inception_v3_fid", "fc.weight", (1008, 2048)),
        ("raft_large", "context_encoder.layer3.0.downsample.1.running_var", (128,)),
        ("raft_large", "update_block.recurrent_block.convgru2.convq.weight", (128, 384, 5, 1)),
        ("raft_small", "feature_encoder.layer1.0.convnormrelu3.0.weight", (32, 8, 1, 1)),
        ("raft_small", "update_block.motion_encoder.convcorr1.0.weight", (96, 196, 1, 1)),
        ("resnet101", "layer3.22.conv2.weight", (256, 256, 3, 3)),
        ("resnet50", "layer4.0.downsample.0.weight", (2048, 1024, 1, 1)),
        ("squeezenet1_1", "features.12.expand3x3.bias", (256,)),
        ("vgg16", "features.28.weight", (512, 512, 3, 3)),
        ("vgg19", "features.34.weight", (512, 512, 3, 3)),
    ],
)
def test_some_names_and_shapes_in_full(name: str, tensor: str, shape: tuple[int, ...]) -> None:
    assert tuple(on_paper(name).state_dict()[tensor].shape) == shape


# torchvision 0.29 and pytorch-fid 0.3 gave the very same figures from the same tensors.
ANSWERS = {
    "inception_v3": (75, [-1.55991, -0.201898, 1.68889, 0.580105]),
    "inception_v3_fid": (75, [-2.23161, -0.963751, 1.79246, 1.60623]),
    "resnet50": (64, [-1738.87, 71670.7, 11762.9, -70025.5]),
    "squeezenet1_1": (64, [0.0799739, 0.00481253, 0.0176867, 0.103845]),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str) -> None:
    side, expected = ANSWERS[name]
    scores = filled(on_paper(name))(picture(side, side))[0]
    assert scores[:: len(scores) // 4][:4].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_answers_of_features() -> None:
    alexnet = filled(on_paper("alexnet").features)  # type: ignore[arg-type]
    assert alexnet(normalized(picture(64, 64))).flatten()[4:8].tolist() == pytest.approx(
        [0.0, 0.0334, 0.1049, 0.1360], abs=1e-4
    )
    vgg = filled(on_paper("vgg16").features[:23])  # type: ignore[index]
    assert vgg(normalized(picture(32, 32))).flatten()[4:8].tolist() == pytest.approx(
        [0.0145, 0.0123, 0.0078, 0.0069], abs=1e-4
    )


@pytest.mark.parametrize("name", ["alexnet", "resnet101", "squeezenet1_1", "vgg16", "vgg19"])
def test_class_scores(name: str) -> None:
    assert on_paper(name)(torch.empty(2, 3, 96, 128, device="meta")).shape == (2, 1000)


# --- Features part-way ---


def test_vgg_layers_bear_the_papers_names() -> None:
    network = on_paper("vgg19")
    assert isinstance(network, Vgg)
    assert network.names.index("relu4_3") == 24 and network.names[-2:] == ("relu5_4", "pool5")
    rgb = torch.empty(1, 3, 64, 96, device="meta")
    places = {network.names.index(name) for name in ("relu5_2", "conv1_2", "pool3")}
    shapes = [tuple(output.shape) for output in outputs_at(network.features, rgb, places)]
    assert shapes == [(1, 64, 64, 96), (1, 256, 8, 12), (1, 512, 4, 6)]
    assert on_paper("vgg16").names.index("relu3_3") == 15  # type: ignore[union-attr, operator]


def test_vgg_features_are_those_of_its_layers() -> None:
    network = on_paper("vgg16")
    assert isinstance(network, Vgg)
    network.features = filled(network.features[:10])  # type: ignore[assignment]
    rgb = picture(16, 16)
    places = [network.names.index(name) for name in ("relu2_2", "relu1_1")]
    shallow, deep = outputs_at(network.features, normalized(rgb), places)
    assert torch.equal(shallow, network.features[:2](normalized(rgb)))
    assert torch.equal(deep, network.features[:9](normalized(rgb)))
    assert shallow.min() >= 0 and not torch.equal(shallow, network.features[:1](normalized(rgb)))


def test_resnet_stages() -> None:
    network = on_paper("resnet50")
    assert isinstance(network, ResNet)
    shapes = [tuple(stage.shape) for stage in network.stages(torch.empty(1, 3, 64, 96, device="meta"))]
    assert shapes == [(1, 256, 16, 24), (1, 512, 8, 12), (1, 1024, 4, 6), (1, 2048, 2, 3)]


def test_outputs_come_in_the_order_of_the_layers() -> None:
    layers = nn.Sequential(nn.ReLU(), nn.Hardtanh(0, 0.5), nn.Identity())
    first, second = outputs_at(layers, torch.tensor([-1.0, 2.0]), (1, 0))
    assert first.tolist() == [0, 2] and second.tolist() == [0, 0.5]


def test_normalized_by_hand() -> None:
    rgb = torch.tensor([0.485, 1.0, 0.0])[:, None, None]
    assert normalized(rgb).flatten().tolist() == pytest.approx([0, (1 - 0.456) / 0.224, -0.406 / 0.225])


@pytest.mark.parametrize("variant", ["torchvision", "tensorflow"])
def test_inception_pools_as_its_variant_does(variant: str) -> None:
    from kinochrome.nets.inception import _pool

    with torch.device("meta"):
        network = Inception(variant)  # type: ignore[arg-type]
    ones = torch.ones(1, 1, 3, 3)
    at_the_border = [float(_pool(ones, block.pooling)[0, 0, 0, 0]) for block in (network.Mixed_5b, network.Mixed_7b)]
    assert at_the_border == pytest.approx([4 / 9, 4 / 9] if variant == "torchvision" else [1, 1])
    ramp = torch.arange(9.0).view(1, 1, 3, 3)
    middle = float(_pool(ramp, network.Mixed_7c.pooling)[0, 0, 1, 1])
    assert middle == (4 if variant == "torchvision" else 8)
    assert _pool(torch.rand(1, 1, 7, 7), "halve").shape == (1, 1, 3, 3)
