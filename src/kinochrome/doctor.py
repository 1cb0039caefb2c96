"""What this machine has, and what it lacks for colouring film."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from . import video


@dataclass(frozen=True)
class Finding:
    what: str
    here: str
    fine: bool = True


def examine() -> Iterator[Finding]:
    """Versions, devices, encoders, memory and free space, one by one."""
    for name in ("kinochrome", "torch", "numpy", "opencv-python-headless", "av", "scenedetect-headless"):
        try:
            yield Finding(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, f"missing: pip install {name}", fine=False)
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    yield Finding("processor", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads used")
    yield from _devices()
    for preset in video.PRESETS:
        missing = video.missing_encoder(preset)
        yield Finding(f"preset {preset}", f"the encoder {missing} is missing" if missing else "ready", not missing)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Finding("free space here", f"{free:.1f} GB", fine=free > 1)


def _devices() -> Iterator[Finding]:
    if torch.cuda.is_available():
        for n in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(n).total_memory / 1e9
            yield Finding(f"cuda:{n}", f"{torch.cuda.get_device_name(n)}, {memory:.0f} GB")
    else:
        built = "no NVIDIA device found" if torch.version.cuda else "this build of torch is for the processor only"
        yield Finding("cuda", f"not usable ({built})")
    usable = torch.backends.mps.is_available()
    yield Finding("mps", "ready" if usable else "not usable (Apple silicon only)")
