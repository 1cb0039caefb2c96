"""Every loss of the field, as plain functions that return one number with a gradient.

What all share, unless one says otherwise: images are (B, C, H, W). `ab` is CIELAB, unscaled; `lightness` (B, 1, H, W)
is 0..100. A motion is (B, 2, H, W): where in the other frame a pixel of this one lies, in pixels (x, y) from where it
is. A `weight` (B, 1, H, W) says how much each pixel counts, the result being the mean of what counts: it is divided
by the sum of the weights over the batch. `ours` has the gradient, `truth` is what it should be. Means, not sums: a
loss does not grow with size. How much each loss counts in a sum is the recipe's to say.
"""

from __future__ import annotations

from .adversarial import (
    CONTESTS,
    Contest,
    gradient_penalty,
    hinge_discriminator,
    hinge_generator,
    least_squares_discriminator,
    least_squares_generator,
    logistic_discriminator,
    logistic_generator,
    relativistic_discriminator,
    relativistic_generator,
    wasserstein_discriminator,
    wasserstein_generator,
)
from .diversity import diversity
from .perceptual import Features, contextual, perceptual, style, vgg_features
from .quantised import (
    annealed_mean,
    bin_counts,
    cross_entropy,
    gamut_bins,
    rarity,
    soft_encoding,
)
from .reconstruction import hard_examples, l1, l2, smooth_l1, weighted_mean
from .spatial import bilateral_neighbours, edge, guided_smoothness, neighbour_regularisation, smoothness
from .temporal import (
    Link,
    dense_long_term,
    dense_pairs,
    in_sight,
    long_pairs,
    long_term,
    self_regularisation,
    short_pairs,
    short_term,
    temporal_consistency,
    visibility,
)

__all__ = [
    "CONTESTS",
    "Contest",
    "Features",
    "Link",
    "annealed_mean",
    "bilateral_neighbours",
    "bin_counts",
    "contextual",
    "cross_entropy",
    "dense_long_term",
    "dense_pairs",
    "diversity",
    "edge",
    "gamut_bins",
    "gradient_penalty",
    "guided_smoothness",
    "hard_examples",
    "hinge_discriminator",
    "hinge_generator",
    "in_sight",
    "l1",
    "l2",
    "least_squares_discriminator",
    "least_squares_generator",
    "logistic_discriminator",
    "logistic_generator",
    "long_pairs",
    "long_term",
    "neighbour_regularisation",
    "perceptual",
    "rarity",
    "relativistic_discriminator",
    "relativistic_generator",
    "self_regularisation",
    "short_pairs",
    "short_term",
    "smooth_l1",
    "smoothness",
    "soft_encoding",
    "style",
    "temporal_consistency",
    "vgg_features",
    "visibility",
    "wasserstein_discriminator",
    "wasserstein_generator",
    "weighted_mean",
]
