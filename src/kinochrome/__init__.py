"""Kinochrome turns black-and-white film into colour.

    import kinochrome
    kinochrome.colorize("film.mp4", "colour.mp4", references=["still.png@0"])

Public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "colorize": "api",
    "stream": "live",
    "find_shots": "api",
    "probe": "video",
    "Clip": "types",
    "Frame": "types",
    "Method": "types",
    "Painted": "types",
    "Reference": "types",
    "Shot": "types",
    "VideoInfo": "types",
    "KinochromeError": "errors",
}

__all__ = sorted(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kinochrome' has no attribute '{name}'")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
