"""Tables in five formats, from figures made up by hand; who may be called best."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from kinochrome.errors import VideoError
from kinochrome.evaluation.page import page, plot
from kinochrome.evaluation.report import as_csv, as_markdown, as_tex, write
from kinochrome.evaluation.score import Scored
from kinochrome.evaluation.table import Evaluation, notes, shown
from kinochrome.evaluation.worst import FULL, Worst, beside
from kinochrome.metrics.picture import Picture
from tests.disk import full_disk
from tests.metrics.clips import flat


def scored(**figures: float | None) -> Scored:
    psnr = figures.get("psnr")
    return Scored(dict(figures), [1, 2, 3], {"psnr": [psnr, None if psnr is None else psnr + 1, psnr]})


def made_up(rows: Mapping[str, Scored], metrics: tuple[str, ...] = ("psnr", "cdc", "colorfulness")) -> Evaluation:
    absent = {"lpips_alex": "weights missing: `kinochrome weights get alexnet`"} if "lpips_alex" in metrics else {}
    header = {"protocol": "first-frame: of <clips> & more"}
    scores = {row: {"bear_1": one} for row, one in rows.items()}
    return Evaluation("first-frame", metrics, absent, header, {"tiny": "has 1 of the 2 frames"}, scores)


ROWS = {
    "good": scored(psnr=30.0, cdc=0.004, colorfulness=19.0),
    "pale": scored(psnr=29.0, cdc=0.001, colorfulness=17.9),
    "grey": scored(psnr=20.0, cdc=0.0, colorfulness=0.0),
    "truth": scored(psnr=None, cdc=0.005, colorfulness=20.0),
}


def test_pale_rows_do_not_win_in_steadiness() -> None:
    found = made_up(ROWS)
    assert found.pale == {"pale": pytest.approx(0.105), "grey": 1.0}
    assert found.best == {"psnr": {"good"}, "cdc": {"good"}, "colorfulness": {"good"}}
    lively = {**ROWS, "pale": scored(psnr=29.0, cdc=0.001, colorfulness=18.1)}
    assert made_up(lively).best["cdc"] == {"pale"}, "within 10 % of the truth"
    assert "grey (100%)" in " ".join(notes(found))


def test_nearest_to_the_truth_is_best_where_more_is_not_better() -> None:
    rows = {**ROWS, "good": scored(psnr=30.0, cdc=0.004, colorfulness=23.0)}
    assert made_up(rows).best["colorfulness"] == {"pale"}


def test_without_a_figure_of_the_truth_nothing_is_nearest_to_it() -> None:
    bleeding = {"good": scored(bleed=0.3), "grey": scored(bleed=0.1), "truth": scored(bleed=0.28)}
    assert made_up(bleeding, ("bleed",)).best["bleed"] == {"good"}
    assert made_up({**bleeding, "truth": scored(bleed=None)}, ("bleed",)).best["bleed"] == set()
    fading = {"good": scored(fade=-0.2), "grey": scored(fade=0.5), "truth": scored(fade=None)}
    assert made_up(fading, ("fade",)).best["fade"] == {"good"}, "a difference from the truth already"


def test_nothing_is_better_than_no_difference_at_all() -> None:
    """Its PSNR is infinite, which is no number: it must not lose to grey film for that."""
    perfect = Scored({"psnr": None, "cdc": 0.005}, [1], {"psnr": [None]})
    found = made_up({**ROWS, "perfect": perfect, "empty": Scored({}, [], {"psnr": []})}, ("psnr", "psnr_u8wrap", "cdc"))
    assert found.best["psnr"] == {"perfect"} and found.best["cdc"] == {"good"}
    assert found.best["psnr_u8wrap"] == set(), "not measured"
    assert "| perfect | **∞** | - | 0.005 |" in as_markdown(found) and "| empty | - |" in as_markdown(found)
    assert r"perfect & \textbf{$\infty$}" in as_tex(found) and "<td>∞</td>" in page(found)


def test_any_name_of_a_folder_leaves_tables_whole() -> None:
    found = made_up({"a|b": ROWS["good"], r"[c^~\_%&#$<{": ROWS["good"], "truth": ROWS["truth"]})
    table = [line for line in as_markdown(found).splitlines() if line.startswith("|")]
    assert r"| a\|b | **30.00** |" in table[2]
    assert len({line.replace(r"\|", "").count("|") for line in table[:5]}) == 1
    tex = as_tex(found)
    assert r"a\textbar{}b & " in tex
    assert r"{[}c\textasciicircum{}\textasciitilde{}\textbackslash{}\_\%\&\#\$\textless{}\{ & " in tex


def test_means_leave_out_what_is_infinite() -> None:
    found = made_up(ROWS)
    assert found.means["truth"]["psnr"] is None
    assert found.frame_means["good"]["psnr"] == pytest.approx((30 + 31 + 30) / 3)
    assert found.frame_means["good"]["cdc"] is None


def test_csv_holds_every_figure_in_full() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(made_up(ROWS)))))
    assert [(line["method"], line["clip"]) for line in lines[:3]] == [
        ("good", "bear_1"), ("good", "mean"), ("good", "frame_mean"),
    ]  # fmt: skip
    assert lines[0]["cdc"] == "0.004" and lines[-1]["psnr"] == ""


def test_markdown_and_tex() -> None:
    found = made_up(ROWS, ("psnr", "cdc", "lpips_alex"))
    text = as_markdown(found)
    assert "|  | psnr ↑ | cdc ↓ | lpips_alex ↓ |" in text
    assert "| good | **30.00** | **0.004** | weights missing |" in text
    assert "| grey † | 20.00 | 0 | weights missing |" in text
    assert "kinochrome weights get alexnet" in text and "tiny was left out" in text
    assert "| bear_1 | 30.00 | 29.00 | 20.00 |" in text
    tex = as_tex(found)
    assert r"good & \textbf{30.00} & \textbf{0.004} & weights missing \\" in tex
    assert r"lpips\_alex $\downarrow$" in tex and r"grey $^\dagger$" in tex
    assert tex.count("{tabular}") == 2


@pytest.mark.parametrize(
    ("figure", "text"),
    [(None, "-"), (31.256, "31.26"), (0.003763, "0.003763"), (0.0, "0"), (0.00001234, "1.23e-05"), (-2.5, "-2.5")],
)
def test_figures_are_shown_with_the_digits_that_count(figure: float | None, text: str) -> None:
    assert shown(figure) == text


class Outline(HTMLParser):
    """Which tags open and close, and what they point to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network() -> None:
    worst = Worst()
    worst.see(2, 25.0, Picture(flat(0.5, 0.2, 0.1)), Picture(flat(0.1, 0.2, 0.5)))
    good = Scored({"psnr": 30.0}, [1, 2], {"psnr": [30.0, 25.0]}, {}, worst.jpeg(), worst.index)
    text = page(made_up({**ROWS, "good": good}))
    outline = Outline()
    outline.feed(text)
    assert not outline.open
    assert outline.count["svg"] == 1 and outline.count["polyline"] == 3 and outline.count["img"] == 1
    assert all(link.startswith("data:image/jpeg;base64,") for link in outline.links)
    assert "http" not in text.replace("http-equiv", "") and "&lt;clips&gt; &amp; more" in text
    assert "worst frame: 2" in text


@pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not here")
def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    html = write(made_up(ROWS), tmp_path)[-1]
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}")
    picture = tmp_path / "page.png"
    words = ["chromium", *flags, "--window-size=900,1200", f"--screenshot={picture}", html.as_uri()]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    shown = cv2.imread(str(picture)).astype(int)
    # Text is grey; what is colourful are the lines of the plot and the cells of the best.
    assert (shown.max(axis=2) < 120).sum() > 1000 and (np.ptp(shown, axis=2) > 60).sum() > 300


def test_the_plot_shows_higher_figures_higher() -> None:
    (points,) = re.findall(r'points="([^"]*)"', plot({"good": ROWS["good"]}))
    downs = [float(point.split(",")[1]) for point in points.split()]
    assert downs[1] < downs[0] == downs[2]
    assert plot({"truth": ROWS["truth"]}) == ""
    assert "<circle" in plot({"good": Scored({}, [0], {"psnr": [30.0]})}), "a single frame is a point"


def test_the_worst_frame_is_kept_as_truth_result_and_error() -> None:
    worst = Worst()
    true = Picture(flat(0.5, 0.5, 0.5))
    for index, (psnr, value) in enumerate([(30.0, 0.4), (20.0, 0.9), (None, 0.0), (25.0, 0.2)]):
        worst.see(index, psnr, true, Picture(flat(value, value, value)))
    assert worst.index == 1
    picture = cv2.imdecode(np.frombuffer(worst.jpeg(), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (12, 48, 3)
    assert abs(int(picture[6, 8].mean()) - 128) < 4 and abs(int(picture[6, 24].mean()) - 230) < 4
    assert Worst().jpeg() == b""


def test_the_error_map_is_black_without_error_and_brightest_from_full_on() -> None:
    true = np.zeros((4, 6, 3), np.uint8)
    result = true.copy()
    result[:, 3:] = FULL
    error = beside(true, result)[:, 12:].astype(int).sum(axis=2)
    assert error[0, 0] < 20 and error[0, 5] > 600


def test_all_files_are_written(tmp_path: Path) -> None:
    files = write(made_up(ROWS), tmp_path / "report")
    assert [file.name for file in files] == [
        "report.json", "report.csv", "report.md", "report.tex", "report.html",
    ]  # fmt: skip
    told = json.loads(files[0].read_text(encoding="utf-8"))
    assert told["methods"]["good"]["clips"]["bear_1"]["psnr"] == 30.0
    assert told["skipped"] == {"tiny": "has 1 of the 2 frames"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_report_that_finds_no_room_is_told(tmp_path: Path) -> None:
    with full_disk(100), pytest.raises(VideoError, match=r"report\.json could not be written .*Make room"):
        write(made_up(ROWS), tmp_path)
    assert not list(tmp_path.iterdir()), "nothing half is left"
