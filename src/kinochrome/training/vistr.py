"""The encoder of VisTR (Wang and others 2021), which other networks start from."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kinochrome import weights
from kinochrome.errors import TrainingError, WeightsError

NAMES = tuple(
    f"{part}{kind}"
    for part in ("self_attn.in_proj_", "self_attn.out_proj.", "linear1.", "linear2.", "norm1.", "norm2.")
    for kind in ("weight", "bias")
)
"""The tensors of a layer, which VisTR and `nn.TransformerEncoderLayer` call alike."""

PLACE = re.compile(r"(?:.*\.)?transformer\.encoder\.layers\.(\d+)\.(.+)")
"""Where a tensor stands in a checkpoint: its layer, its name."""


def vistr_layers(file: Path, count: int) -> list[dict[str, Tensor]]:
    """The first `count` layers of the encoder in a checkpoint of VisTR, each as `nn.TransformerEncoderLayer` loads it.

    The public ones have six layers of 384 channels and 2048 within.
    """
    layers: dict[int, dict[str, Tensor]] = {}
    for key, value in _tensors(file).items():
        if found := PLACE.fullmatch(key):
            layers.setdefault(int(found[1]), {})[found[2]] = value
    if not layers:
        raise TrainingError(f"{file} has no tensors transformer.encoder.layers: give a checkpoint of VisTR.")
    if len(layers) < count:
        raise TrainingError(f"{file} has {len(layers)} layers of an encoder where {count} are wanted: want fewer.")
    return [_whole(file, number, layers.get(number, {})) for number in range(count)]


def _whole(file: Path, number: int, layer: dict[str, Tensor]) -> dict[str, Tensor]:
    if missing := [name for name in NAMES if name not in layer]:
        raise TrainingError(f"{file}: layer {number} of the encoder lacks {', '.join(missing)}. Get the file again.")
    return {name: layer[name] for name in NAMES}


def _tensors(file: Path) -> dict[str, Tensor]:
    """All that a file holds by name, of the network alone where a run of training wrote it."""
    if file.suffix == ".safetensors":
        try:
            return weights.read(file)
        except WeightsError as error:
            raise TrainingError(str(error)) from error
    held = _unpickled(file)
    if isinstance(held, dict) and isinstance(held.get("model"), dict):
        held = held["model"]
    pairs = held.items() if isinstance(held, dict) else ()
    return {key: value for key, value in pairs if isinstance(key, str) and isinstance(value, Tensor)}


def _unpickled(file: Path) -> Any:
    # A run of VisTR's training also keeps its options in the file; no other class is made from it.
    with torch.serialization.safe_globals([argparse.Namespace]):
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            # Damage shows as almost any error, and torch's own text on other classes is to allow them all.
            why = error if isinstance(error, OSError) else "it is damaged, or more than tensors and options is in it"
            raise TrainingError(f"{file} cannot be read as a checkpoint of VisTR: {why}. Get it again.") from error
