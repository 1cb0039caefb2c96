"""Two networks against each other: what each pays for the scores that one gives to real pictures and to the other's.

Scores are unbounded, greater for what is taken to be real, of any shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import relu, softplus

# --- The original (Goodfellow et al. 2014), the generator's in the form that does not saturate ---


def logistic_generator(fake: torch.Tensor) -> torch.Tensor:
    """-log D(fake), D being the sigmoid of the score."""
    return softplus(-fake).mean()


def logistic_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-log D(real) - log(1 - D(fake))."""
    return softplus(-real).mean() + softplus(fake).mean()


# --- Hinge (Lim and Ye 2017) ---


def hinge_generator(fake: torch.Tensor) -> torch.Tensor:
    """The score of the fake, negated."""
    return -fake.mean()


def hinge_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """What real scores lack of 1 and fake ones exceed -1 by."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


# --- Least squares (Mao et al. 2017) ---


def least_squares_generator(fake: torch.Tensor) -> torch.Tensor:
    """Half the squared distance of fake scores from 1."""
    return (fake - 1).square().mean() / 2


def least_squares_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Half the squared distances of real scores from 1 and of fake ones from 0."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


# --- Wasserstein (Arjovsky et al. 2017), which VCGAN uses ---


def wasserstein_generator(fake: torch.Tensor) -> torch.Tensor:
    """The score of the fake, negated."""
    return -fake.mean()


def wasserstein_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """By how much fake scores exceed real ones; needs spectral normalisation, or `gradient_penalty`."""
    return fake.mean() - real.mean()


def gradient_penalty(
    discriminator: Callable[[torch.Tensor], torch.Tensor],
    real: torch.Tensor,
    fake: torch.Tensor,
    share: torch.Tensor | None = None,
) -> torch.Tensor:
    """How far the score's slope is from 1 between pictures (B, C, H, W), squared (Gulrajani et al. 2017: times 10).

    `share` (B, 1, 1, 1) says where between: 1 is real; None draws it. The discriminator must treat the images of a
    batch apart: no batch normalisation.
    """
    if share is None:
        share = torch.rand(len(real), 1, 1, 1, dtype=real.dtype, device=real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


# --- Relativistic average, least squares (Jolicoeur-Martineau 2019), which deep exemplar colorization uses ---


def relativistic_generator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Fake scores should exceed the mean real one by 1, and real ones fall 1 below the mean fake one."""
    return relativistic_discriminator(fake, real)


def relativistic_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Real scores should exceed the mean fake one by 1, and fake ones fall 1 below the mean real one."""
    return (real - fake.mean() - 1).square().mean() + (fake - real.mean() + 1).square().mean()


class Contest(NamedTuple):
    """The two sides, both functions of the scores of (real, fake)."""

    generator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


CONTESTS: dict[str, Contest] = {
    "logistic": Contest(lambda real, fake: logistic_generator(fake), logistic_discriminator),
    "hinge": Contest(lambda real, fake: hinge_generator(fake), hinge_discriminator),
    "least_squares": Contest(lambda real, fake: least_squares_generator(fake), least_squares_discriminator),
    "wasserstein": Contest(lambda real, fake: wasserstein_generator(fake), wasserstein_discriminator),
    "relativistic": Contest(relativistic_generator, relativistic_discriminator),
}
"""By the name that a recipe gives."""
