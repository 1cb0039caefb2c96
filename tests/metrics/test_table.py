"""The table and its files: none without the other, each with a test and a line in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinochrome import metrics
from kinochrome.metrics import METRICS, load
from kinochrome.metrics.metric import Metric

FOLDER = Path(metrics.__file__).parent
SHARED = {"__init__", "metric", "motion", "picture", "score"}
"""What is no metric itself."""


@pytest.mark.parametrize("name", METRICS)
def test_every_name_has_its_class_its_test_and_its_line(name: str) -> None:
    kind = load(name)
    assert issubclass(kind, Metric)
    assert kind.__doc__ and kind.better in ("higher", "lower", "truth")
    family = kind.__module__.rpartition(".")[2]
    assert name.startswith(family)
    assert (Path(__file__).parent / f"test_{family}.py").is_file()
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert f"`{name}`" in page.read_text(encoding="utf-8")


def test_every_file_is_in_the_table() -> None:
    families = {load(name).__module__.rpartition(".")[2] for name in METRICS}
    assert {file.stem for file in FOLDER.glob("*.py")} - SHARED == families


def test_names_that_share_a_beginning_do_not_get_mixed_up() -> None:
    assert load("ssim").__name__ == "Ssim"
    assert load("ssim_gauss").__name__ == "SsimGauss"
    assert load("psnr_u8wrap").__module__ == load("psnr").__module__
