"""Whole frames out of fields, by FFmpeg's bwdif."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import av
from av import VideoFormat
from av.filter import Graph

from ..types import VideoInfo
from .planes import planar_twin


def deinterlaced(frames: Iterator[tuple[int, Any]], info: VideoInfo) -> Iterator[tuple[int, Any]]:
    """One whole frame for each interlaced one, in the planar twin of its format, at the same index.

    Each depends on the frame before and the frame after and on nothing else. Fields come in the order that each
    frame is flagged with, the upper first where it has no flag.
    """
    graph = Graph()
    kind = VideoFormat(info.pixel_format)
    buffer = graph.add_buffer(width=info.width, height=info.height, format=kind, time_base=info.time_base)
    twin = graph.add("format", f"pix_fmts={planar_twin(info.pixel_format)}")
    graph.link_nodes(buffer, twin, graph.add("bwdif", "mode=send_frame:deint=all"), graph.add("buffersink")).configure()
    waiting: deque[int] = deque()
    for index, frame in frames:
        graph.push(frame)
        waiting.append(index)
        yield from _pulled(graph, waiting)
    graph.push(None)
    yield from _pulled(graph, waiting)


def _pulled(graph: Graph, waiting: deque[int]) -> Iterator[tuple[int, Any]]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield waiting.popleft(), frame
