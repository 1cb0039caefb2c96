"""Naive baselines on real clips against figures that another program found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kinochrome.evaluation.evaluate import Job, evaluate

SHARED = Path(__file__).parents[3] / "shared" / "data" / "dev"
BLURRED = 0.5
"""That program pasted chroma averaged down to 432 pixels across, which helps where things move and harms where not."""


def baseline(clip: str) -> tuple[float, float]:
    """(grey, copy) in dB."""
    text = (SHARED / "BASELINE.md").read_text(encoding="utf-8")
    found = re.search(rf"\| {re.escape(clip)} \| 40 \| ([\d.]+) \| ([\d.]+) \|", text)
    assert found
    return float(found[1]), float(found[2])


@pytest.mark.footage
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real clips are not here")
@pytest.mark.parametrize("clip", ["davis17train__lucia", "hlvc__BasketballPass"])
def test_grey_and_copy_are_what_they_were_found_to_be(clip: str, tmp_path: Path) -> None:
    job = Job(SHARED, tmp_path / "out", "first-frame", results=(SHARED,), metrics=("psnr",), clips=(clip,))
    means = evaluate(job).means
    grey, copy = baseline(clip)
    assert means["grey"]["psnr"] == pytest.approx(grey, abs=0.05)
    assert means["copy"]["psnr"] == pytest.approx(copy, abs=BLURRED)
    assert means["dev"]["psnr"] is None, "the truth itself"
