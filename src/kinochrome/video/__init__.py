"""Films, pictures and streams: probe, read, write, join. The only place that touches PyAV."""

from __future__ import annotations

from .pictures import read_picture
from .probe import probe

__all__ = ["probe", "read_picture"]
