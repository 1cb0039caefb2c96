"""A critic of patches (Isola and others 2017), its convolutions kept tame by spectral normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .losses import CONTESTS


class Critic(nn.Module):
    """Pictures (B, inputs, H, W) to unbounded scores of overlapping patches, greater for what is taken to be real."""

    def __init__(self, inputs: int, contest: str, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level in range(depth):
            outputs = width << min(level, 3)
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1)), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(inputs, 1, 3, 1, 1)))
        self.name = contest
        self.shown: tuple[Tensor, Tensor] | None = None

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures)

    def fooled(self, lightness: Tensor, true: Tensor, ab: Tensor, count: int = 0) -> Tensor:
        """What the network pays for its answers `ab` of frames whose colours are `true`; both are kept for `contest`.

        With a `count` of frames a clip, moment after moment, two are shown at a time, so that flicker shows.
        """
        real, fake = (seen(lightness, colours) for colours in (true, ab))
        if count:
            real, fake = paired(real, count), paired(fake, count)
        self.shown = real, fake.detach()
        # Each look moves on the spectral norm: true frames are looked at only where answers are compared with them.
        scores = self(real) if self.name == "relativistic" else real
        return CONTESTS[self.name].generator(scores, self(fake))

    def contest(self) -> dict[str, Tensor]:
        """What the critic pays for its scores of the true frames and of the answers that were shown last."""
        assert self.shown is not None
        real, fake = self.shown
        return {"total": CONTESTS[self.name].discriminator(self(real), self(fake))}


def seen(lightness: Tensor, ab: Tensor) -> Tensor:
    """Colours as a critic sees them, (B, 3, H, W) of about unit size."""
    return torch.cat([lightness / 50 - 1, ab / 50], 1)


def paired(frames: Tensor, count: int) -> Tensor:
    """(n, 6, H, W): each frame beside the next; a clip of one frame beside itself."""
    clips = frames.unflatten(0, (count, -1))
    return torch.cat([clips[:-1] if count > 1 else clips, clips[1:] if count > 1 else clips], 2).flatten(0, 1)
