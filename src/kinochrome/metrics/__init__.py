"""Every way to measure a coloured film: one line here, one file beside it for each family of names."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kinochrome.errors import MethodError, did_you_mean

if TYPE_CHECKING:
    from .metric import Metric

METRICS: dict[str, str] = {
    "psnr": "dB of the mean squared error, float, a frame",
    "psnr_u8wrap": "the same as a known script prints it: differences and squares wrap mod 256 (compatible, wrong)",
    "mse": "mean squared error, R'G'B' 0..1",
    "rmse": "its root, a frame",
    "mae": "mean absolute error, R'G'B' 0..1",
    "ssim": "structural similarity, 7x7 uniform window",
    "ssim_gauss": "structural similarity, 11x11 Gaussian window of sigma 1.5",
    "delta_e": "mean colour difference as seen, CIEDE2000",
    "raw_accuracy": "share of pixels whose ab is right within 0 to 150, area under the curve (RA)",
    "color_consistency": "the same between a frame and the next along the motion (CC, our reading)",
    "cdc": "how far colour histograms move over 1, 2 and 4 frames (CDC)",
    "colorfulness": "Hasler and Suesstrunk's colourfulness",
    "colorfulness_abs": "the field's variant of it: absolute values first (compatible)",
    "warp_error": "squared change along the true film's motion, a visible pixel and channel",
    "warp_error_ab": "the same of ab alone, so that the light of the film does not count",
    "warp_error_lai": "as Lai et al. 2018 print it (compatible)",
    "warp_error_vcgan": "as VCGAN prints it: motion of the result itself, channels summed (compatible)",
    "warp_error_survey": "as the survey defines it: length of the change, not squared (compatible)",
    "data_fidelity": "dB between the result and the draft that it made steady",
    "fade": "per cent of the truth's colourfulness lost in 100 frames",
    "bleed": "share of chroma edges that lie where the film has no edge",
    "lpips_alex": "how unlike frames look to a network, as people judge it: LPIPS 0.1 with AlexNet",
    "lpips_vgg": "the same with VGG-16",
    "lpips_squeeze": "the same with SqueezeNet",
    "lpips_u8raw": "lpips_alex as a known script prints it: fed 0..255 where -1..1 is meant (compatible, wrong)",
    "fid_all_tf": "Fréchet Inception Distance over all clips, TensorFlow's weights: the usual one",
    "fid_clip_tv": "FID a clip at a time with torchvision's weights, as ColorMNet's script prints it (compatible)",
    "fid_all_tv": "the same over all clips, as DDColor's script prints it (compatible)",
    "top1": "share of frames in which VGG-16 sees the same class as in the true ones",
    "top5": "the same, among its five likeliest",
    "perceptual_distance": "lpips_squeeze between the result and the draft that it made steady",
}
"""Name -> what it is. `warp_error_lai` lives in the file whose name it begins with: `warp_error.py`."""


def load(name: str) -> type[Metric]:
    """The class of a metric: the name in CamelCase, in its family's file."""
    if name not in METRICS:
        raise MethodError(f"There is no metric {name!r}{did_you_mean(name, METRICS)} There are: {', '.join(METRICS)}.")
    families = (name[:end] for end in range(len(name), 0, -1))
    family = next(family for family in families if find_spec(f"{__name__}.{family}"))
    return getattr(importlib.import_module(f"{__name__}.{family}"), name.title().replace("_", ""))
