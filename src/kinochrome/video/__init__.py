"""Films, pictures and streams: probe, read, write, join. The only place that touches PyAV."""

from __future__ import annotations

from .join import join
from .pictures import decode_picture, read_picture, source_files
from .presets import PRESETS, WRITTEN_PICTURES, encoding_for, missing_encoder
from .probe import declared_end, probe
from .read import frames, scan
from .sound import write_sound
from .spool import spool
from .trial import check_streams, check_times
from .write import Writer, write_picture

__all__ = [
    "PRESETS",
    "WRITTEN_PICTURES",
    "Writer",
    "check_streams",
    "check_times",
    "declared_end",
    "decode_picture",
    "encoding_for",
    "frames",
    "join",
    "missing_encoder",
    "probe",
    "read_picture",
    "scan",
    "source_files",
    "spool",
    "write_picture",
    "write_sound",
]
