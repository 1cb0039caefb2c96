"""Layers of VisTR's encoder: found in files of every kind, ready to be loaded, and no code is run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from kinochrome.errors import TrainingError
from kinochrome.training.vistr import vistr_layers

WIDTH, WITHIN = 6, 10


def layer(seed: int) -> nn.TransformerEncoderLayer:
    torch.manual_seed(seed)
    made = nn.TransformerEncoderLayer(WIDTH, 2, WITHIN, batch_first=True).eval()
    for tensor in made.state_dict().values():
        tensor.uniform_(-1, 1)
    return made


def network(count: int, prefix: str = "vistr.") -> dict[str, Tensor]:
    """What stands in a checkpoint, from the last layer to the first, among tensors that are not wanted."""
    tensors = {
        f"{prefix}transformer.encoder.layers.{number}.{name}": tensor
        for number in reversed(range(count))
        for name, tensor in layer(number).state_dict().items()
    }
    tensors[f"{prefix}transformer.decoder.layers.0.linear1.weight"] = torch.zeros(WITHIN, WIDTH)
    tensors[f"{prefix}transformer.encoder.norm.weight"] = torch.zeros(WIDTH)
    tensors[f"{prefix}backbone.0.body.layer1.0.conv1.weight"] = torch.zeros(4, 4, 1, 1)
    return tensors


def saved(path: Path, held: Any) -> Path:
    torch.save(held, path)
    return path


def assert_are_first(layers: list[dict[str, Tensor]], count: int) -> None:
    assert len(layers) == count
    for number, found in enumerate(layers):
        expected = layer(number).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_checkpoint_as_vistr_writes_them(tmp_path: Path) -> None:
    options = argparse.Namespace(hidden_dim=384, backbone="resnet101", masks=True, clip_max_norm=0.1)
    optimizer = {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    held = {"model": network(3), "optimizer": optimizer, "epoch": 17, "args": options}
    assert_are_first(vistr_layers(saved(tmp_path / "vistr.pth", held), 3), 3)
    torch.save(held, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_are_first(vistr_layers(tmp_path / "old.pth", 2), 2)
    # Allowed for this file alone.
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


@pytest.mark.parametrize("prefix", ["", "vistr.", "module.vistr."])
def test_tensors_alone_with_any_prefix(prefix: str, tmp_path: Path) -> None:
    assert_are_first(vistr_layers(saved(tmp_path / "bare.pth", network(2, prefix)), 1), 1)
    save_file(network(2, prefix), tmp_path / "bare.safetensors")
    assert_are_first(vistr_layers(tmp_path / "bare.safetensors", 2), 2)


def test_there_are_more_than_ten_layers(tmp_path: Path) -> None:
    assert_are_first(vistr_layers(saved(tmp_path / "deep.pth", network(12)), 12), 12)


def test_a_layer_loads_and_answers(tmp_path: Path) -> None:
    (found,) = vistr_layers(saved(tmp_path / "vistr.pth", {"model": network(1)}), 1)
    # Eight heads in VisTR: the tensors are the same for any number.
    mine = nn.TransformerEncoderLayer(WIDTH, 2, WITHIN, batch_first=True).eval()
    mine.load_state_dict(found)
    seen = torch.rand(1, 5, WIDTH)
    assert torch.equal(mine(seen), layer(0)(seen))


# --- What is refused ---


def test_fewer_layers_than_wanted(tmp_path: Path) -> None:
    file = saved(tmp_path / "short.pth", network(2))
    with pytest.raises(TrainingError, match=r"short\.pth has 2 layers of an encoder where 3 are wanted"):
        vistr_layers(file, 3)


@pytest.mark.parametrize(
    "held",
    [
        {"model": {"vistr.transformer.decoder.layers.0.linear1.weight": torch.zeros(2, 2)}},
        {"mytransformer.encoder.layers.0.linear1.weight": torch.zeros(2, 2)},
        {"transformer.encoder.layers.0.linear1.weight": 3, 4: torch.zeros(1)},
        [torch.zeros(1)],
    ],
)
def test_no_layers(held: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"other\.pth has no tensors transformer\.encoder\.layers"):
        vistr_layers(saved(tmp_path / "other.pth", held), 1)


def test_an_incomplete_layer(tmp_path: Path) -> None:
    tensors = network(2)
    del tensors["vistr.transformer.encoder.layers.1.norm2.bias"]
    file = saved(tmp_path / "torn.pth", tensors)
    assert_are_first(vistr_layers(file, 1), 1)
    with pytest.raises(TrainingError, match=r"torn\.pth: layer 1 of the encoder lacks norm2\.bias\."):
        vistr_layers(file, 2)


def test_a_layer_that_is_left_out(tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in network(3).items() if ".layers.0." not in name}
    with pytest.raises(TrainingError, match=r"layer 0 of the encoder lacks self_attn\.in_proj_weight, "):
        vistr_layers(saved(tmp_path / "torn.pth", tensors), 2)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"hello", "cut"])
def test_unreadable_files(name: str, content: bytes | str | None, tmp_path: Path) -> None:
    file = tmp_path / name
    if content == "cut":
        save_file(network(1), file) if file.suffix == ".safetensors" else torch.save(network(1), file)
        content = file.read_bytes()[:-200]
    if isinstance(content, bytes):
        file.write_bytes(content)
    with pytest.raises(TrainingError, match=r"a\.(pth|safetensors) (cannot be read as|is not there|is missing)"):
        vistr_layers(file, 1)


class Doing:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_no_code_is_run(tmp_path: Path) -> None:
    file = saved(tmp_path / "sly.pth", {"model": network(1), "args": Doing(tmp_path / "made")})
    with pytest.raises(TrainingError, match=r"it is damaged, or more than tensors and options is in it\."):
        vistr_layers(file, 1)
    assert not (tmp_path / "made").exists()
