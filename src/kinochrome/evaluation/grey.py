"""How a true frame loses its colours before a method sees it, and how the method's colours are put back."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
import torch

from kinochrome import clips, color, upsample
from kinochrome.metrics.picture import Picture
from kinochrome.types import Frame, Painted, VideoInfo

from .footage import encoding_of, square_film

Size = tuple[int, int]
GreyName = Literal["lstar", "luma"]

TEXTS: dict[GreyName, str] = {
    "lstar": "lstar: the film is the truth's own L*, in float, and keeps it; scored are float R'G'B' as rendered",
    "luma": "luma: the film is the truth's 8-bit Y' (BT.709, full range), as in the product; scored are 8-bit codes",
}


class Grey(Protocol):
    """The grey film behind true frames."""

    def lightness(self, true: Picture, size: Size) -> torch.Tensor:
        """(1, h, w) at a working size, averaged down: what a method sees."""
        ...

    def ab(self, true: Picture, size: Size) -> torch.Tensor:
        """(2, h, w) at a working size, averaged down: what a reference says."""
        ...

    def coloured(self, true: Picture, painted: Painted) -> np.ndarray:
        """R'G'B' at full size of a method's colours: upsampled, led by the film, made to fit."""
        ...

    def pasted(self, true: Picture, ab: np.ndarray) -> np.ndarray:
        """R'G'B' of full-size ab (2, H, W) on the film, made to fit."""
        ...

    def given(self, true: Picture) -> np.ndarray:
        """R'G'B' of a frame whose true colours are given: they stand at full size, as in the product."""
        ...


class Lstar:
    """The film is the truth's L*; what it loses is a* and b* alone."""

    def lightness(self, true: Picture, size: Size) -> torch.Tensor:
        return torch.from_numpy(_averaged(true.lab[0], size))[None]

    def ab(self, true: Picture, size: Size) -> torch.Tensor:
        return torch.from_numpy(np.stack([_averaged(plane, size) for plane in true.lab[1:]]))

    def coloured(self, true: Picture, painted: Painted) -> np.ndarray:
        planes = [np.ascontiguousarray(plane) for plane in painted.ab.detach().cpu().float().numpy()]
        small = _averaged(true.lab[0], planes[0].shape)
        return self.pasted(true, np.stack(upsample.guided(small, planes, true.lab[0])))

    def pasted(self, true: Picture, ab: np.ndarray) -> np.ndarray:
        lab = torch.from_numpy(np.concatenate([true.lab[:1], ab.astype(np.float32)]))
        return cv2.merge(list(color.fitted_rgb_from_lab(lab).numpy()))

    def given(self, true: Picture) -> np.ndarray:
        # By way of Lab and back it would differ in the seventh digit, and its PSNR be 135 dB instead of infinite.
        return true.given


class Luma:
    """The film is the truth's Y', rounded to 8 bits; colours are rendered as for an 8-bit 4:4:4 file."""

    def lightness(self, true: Picture, size: Size) -> torch.Tensor:
        return clips.lightness(self._frame(true), self._film(true), size)

    def ab(self, true: Picture, size: Size) -> torch.Tensor:
        return clips.reference(true.rgb, size, "stretch", None, self._film(true)).ab

    def coloured(self, true: Picture, painted: Painted) -> np.ndarray:
        film, frame = self._film(true), self._frame(true)
        size = (painted.ab.shape[-2], painted.ab.shape[-1])
        luma, blue, red = _renderer(*size_of(true)).paint(frame, painted, clips.lightness(frame, film, size))
        return color.rgb_from_planes(luma, (blue, red), film)

    def pasted(self, true: Picture, ab: np.ndarray) -> np.ndarray:
        luma, film = true.luma, self._film(true)
        return color.rgb_from_planes(luma, color.chroma_from_ab(luma, ab, film), film)

    def given(self, true: Picture) -> np.ndarray:
        return self.pasted(true, true.lab[1:])

    def _film(self, true: Picture) -> VideoInfo:
        return square_film(Path("truth"), *size_of(true))

    def _frame(self, true: Picture) -> Frame:
        return Frame(0, 0, true.luma)


GREYS: dict[GreyName, type[Lstar] | type[Luma]] = {"lstar": Lstar, "luma": Luma}


def size_of(picture: Picture) -> Size:
    height, width = picture.given.shape[:2]
    return height, width


@functools.lru_cache(maxsize=2)
def _renderer(height: int, width: int) -> upsample.Renderer:
    film = square_film(Path("truth"), height, width)
    return upsample.Renderer(film, encoding_of(film))


def _averaged(plane: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_AREA))
