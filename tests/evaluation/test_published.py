"""Papers' tables as data, and that only rows of the same clips, protocol and metric stand beside a report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kinochrome import metrics
from kinochrome.errors import MethodError
from kinochrome.evaluation.data_sets import data_set
from kinochrome.evaluation.evaluate import Job, checked, evaluate
from kinochrome.evaluation.page import page
from kinochrome.evaluation.protocols import protocol_of
from kinochrome.evaluation.published import DOUBTFUL, Beside, Table, beside, check, number, tables
from kinochrome.evaluation.report import as_csv, as_markdown, as_tex
from kinochrome.evaluation.sections import sections
from kinochrome.evaluation.table import Evaluation, as_json
from kinochrome.metrics.metric import Metric
from tests.evaluation.data import write_data
from tests.evaluation.test_report import ROWS, Outline, made_up

CLIPS = {name: data_set(name).clips for name in ("davis-val", "videvo-test")}


def table(paper: str, number: str) -> Table:
    (found,) = (one for one in tables() if (one.paper, one.number) == (paper, number))
    return found


def told(paper: str, number: str, method: str, data: str, column: str) -> str | None:
    (row,) = (row for row in table(paper, number).rows if row.method == method)
    return row.values.get((data, column))


@pytest.mark.parametrize(
    ("paper", "number", "method", "data", "column", "text"),
    [
        ("LSTVC", "1", "LSTVC", "davis-val", "PSNR", "31.77"),
        ("LSTVC", "1", "LSTVC", "videvo-test", "WE", "1.599"),
        ("LSTVC", "1", "DeepRemaster*", "videvo-test", "FID", "110.26"),
        ("LSTVC", "2", "LSTVC, w/o Linkage Subnet", "davis-val", "WE", "2.537"),
        ("LSTVC", "3", "LSTVC, N = 5", "videvo-test", "DUR", "0.0575"),
        ("VCGAN", "I", "VCGAN", "davis-val", "Warp Error", "0.04871"),
        ("VCGAN", "I", "Grayscale", "videvo-test", "PSNR", "25.31"),
        ("VCGAN", "I", "Grayscale", "videvo-test", "Warp Error", None),
        ("VCGAN", "II", "VCGAN", "", "512x1024 MPB", "2074 Mb"),
        ("VCGAN", "III", "f(3)", "", "feature extractors", "w/o GFE, PFE"),
        ("VCGAN", "IV", "s(4): double λ_G", "videvo-test", "SSIM", "0.9211"),
        ("VCGAN", "V", "VCGAN", "ImageNet validation (10000)", "Top-5 Acc", "78.19"),
        ("BiSTNet", "1", "BiSTNet, double-reference", "davis-val", "PSNR", "30.40"),
        ("BiSTNet", "1", "Input (grey)", "davis-val", "PSNR", "19.84†"),
        ("BiSTNet", "2", "BiSTNet, w/o MSRB", "davis-val", "CDC", "0.004640"),
        ("survey", "2", "TCVC", "videvo-test", "CDC", "0.001694"),
        ("survey", "2", "DDColor", "NVCC2023", "SSIM", "0.957"),
        ("survey", "2", "BiSTNet", "davis-val", "CDC", "0.004168†"),
        ("ColorMNet", "1", "ColorMNet", "davis-val", "PSNR", "35.77†"),
        ("ColorMNet", "1", "ColorMNet", "videvo-test", "SSIM", None),
        ("ColorMNet", "1", "VCGAN", "NVCC2023", "LPIPS", "0.130"),
    ],
)
def test_figures_are_as_printed(paper: str, number: str, method: str, data: str, column: str, text: str | None) -> None:
    assert told(paper, number, method, data, column) == text


def test_every_table_is_there_whole() -> None:
    sizes = {(one.paper, one.number): len(one.rows) for one in tables()}
    assert sizes == {
        ("LSTVC", "1"): 11, ("LSTVC", "2"): 4, ("LSTVC", "3"): 6,
        ("VCGAN", "I"): 12, ("VCGAN", "II"): 3, ("VCGAN", "III"): 21, ("VCGAN", "IV"): 9, ("VCGAN", "V"): 10,
        ("BiSTNet", "1"): 11, ("BiSTNet", "2"): 9, ("survey", "2"): 8, ("ColorMNet", "1"): 7,
    }  # fmt: skip


@pytest.mark.parametrize("one", tables(), ids=lambda one: f"{one.paper} {one.number}")
def test_its_words_are_ours_and_its_figures_are_figures(one: Table) -> None:
    for column in one.columns:
        assert bool(column.metric) != bool(column.why), f"{column.name}: what it is of ours, or why nothing"
        if column.metric:
            kind = metrics.load(column.metric)
            assert column.mean in ("", "mean", "frame_mean")
            ours = kind.finish is Metric.finish and kind.add is Metric.add
            assert ours or column.mean != "frame_mean", f"{column.metric} has no mean over frames"
    for row in one.rows:
        protocol, _, exemplar = row.protocol.partition(" ")
        assert exemplar in ("", "--include-exemplar")
        if protocol:
            protocol_of(protocol, bool(exemplar))
        else:
            assert one.apart, f"{row.method}: say why its protocol is none of ours"
        for (_, name), text in row.values.items():
            if any(column.metric for column in one.columns if column.name == name):
                assert 0 <= number(text) < 1000
            assert not text.endswith(DOUBTFUL) or any(DOUBTFUL in note for note in one.notes)


def on(data: str, protocol: str = "first-frame", names: tuple[str, ...] = ("psnr", "cdc", "colorfulness")) -> Beside:
    found = beside(data, protocol, names, {clip: count or 1 for clip, count in CLIPS[data].items()})
    assert found is not None
    return found


def reported(found: Beside | None, names: tuple[str, ...] = ("psnr", "cdc", "colorfulness")) -> Evaluation:
    return replace(made_up(ROWS, names), published=found)


def methods(found: Beside) -> dict[str, list[str]]:
    return {one.table.paper: [row.method for row in one.rows] for one in found.extracts}


def test_only_rows_of_the_same_protocol_and_metric_stand_beside() -> None:
    assert methods(on("davis-val")) == {"LSTVC": ["DeepRemaster", "DeepRemaster*", "DeepExemplar", "LSTVC"]}
    (one,) = on("davis-val").extracts
    assert [column.metric for column in one.columns] == ["psnr"], "its colourfulness is not known to be ours"
    assert methods(on("davis-val", "bistnet-90")) == {"BiSTNet": ["Input (grey)", "BiSTNet, double-reference"]}
    wrapped = methods(on("davis-val", "first-frame --include-exemplar", ("psnr_u8wrap", "cdc", "psnr")))
    assert wrapped["ColorMNet"] == ["DeepExemplar", "DeepRemaster", "ColorMNet"]
    assert wrapped["survey"] == ["DeepExemplar"] and "LSTVC" not in wrapped
    assert set(methods(on("davis-val", "automatic"))) == {"LSTVC", "VCGAN", "survey"}


@pytest.mark.parametrize("protocol", ["first-frame --grey luma", "first-and-last", "every-50", "scribbles", "still"])
def test_nothing_stands_beside_another_protocol(protocol: str) -> None:
    found = on("videvo-test", protocol)
    assert found.extracts == () and protocol in found.why


def test_nothing_stands_beside_other_clips() -> None:
    every = {clip: count or 1 for clip, count in CLIPS["davis-val"].items()}
    fewer = {clip: count for clip, count in every.items() if clip != "dog"}
    for clips, told in (
        (fewer, "lacks dog"),
        ({**every, "mine": 9}, "has mine besides"),
        ({**every, "dog": 59}, "another number of frames in dog"),
        ({}, "lacks bike-packing, blackswan and 28 more"),
    ):
        found = beside("davis-val", "first-frame", ("psnr",), clips)
        assert found is not None and found.extracts == () and told in found.why


def test_the_reports_show_them_apart_with_ours_beneath() -> None:
    found = reported(on("davis-val"))
    text = as_markdown(found)
    head, _, rest = text.partition("## Published figures")
    assert "31.77" not in head
    assert "### LSTVC, table 1 (Chen et al., arXiv 2303.15081, 2023)" in rest
    assert "| LSTVC | 31.77 |" in rest and "| here: good | 30.00 |" in rest
    assert "14.37" not in rest and "FullyAutomatic" not in rest and "BiSTNet" not in rest
    assert "Copied from papers, not measured here" in rest
    html = page(found)
    outline = Outline()
    outline.feed(html)
    assert not outline.open and "<td>LSTVC</td><td>31.77</td>" in html and "FullyAutomatic" not in html
    assert as_csv(found) == as_csv(made_up(ROWS)) and as_tex(found) == as_tex(made_up(ROWS))


def test_the_report_as_data_has_numbers() -> None:
    names = ("psnr", "cdc")
    data = as_json(reported(on("davis-val", "bistnet-90", names), names))["published"]
    json.dumps(data, allow_nan=False)
    (one,) = data["tables"]
    assert one["methods"]["BiSTNet, double-reference"] == {"psnr": 30.40, "cdc": 0.003540}
    assert one["methods"]["Input (grey)"] == {"psnr": 19.84} and one["doubtful"] == [["Input (grey)", "psnr"]]
    assert one["mean"] == {"psnr": None, "cdc": "mean"}


def test_ours_is_the_mean_that_theirs_is() -> None:
    names = ("psnr", "colorfulness")
    (one,) = (one for one in sections(reported(on("davis-val", "automatic", names), names)) if "VCGAN" in one.title)
    assert one.head == ["psnr ↑ (mean of frames)"]
    # Frames of 30, 31 and 30 dB in a clip that was said to have 30.
    assert one.ours[0] == ["good", "30.33"]


def test_nothing_is_shown_where_none_was_asked_for_or_none_fits() -> None:
    plain = reported(None)
    assert "Published figures" not in as_markdown(plain) + page(plain) and as_json(plain)["published"] is None
    empty = reported(on("davis-val", "scribbles"))
    assert "Nothing stands here" in as_markdown(empty) and "### LSTVC" not in as_markdown(empty)
    assert "Nothing stands here" in page(empty)


def test_a_job_names_the_list(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", {"dog": 3})
    job = Job(data, tmp_path / "out", "first-frame", ("flow",), metrics=("psnr",), published="davis-val")
    found = evaluate(job).published
    assert found is not None and found.protocol == "first-frame" and "lacks bike-packing" in found.why
    with pytest.raises(MethodError, match=r"There are on: davis-val, videvo-test\."):
        checked(replace(job, published="davis-train"))
    check("")
    luma = evaluate(replace(job, grey="luma", include_exemplar=True)).published
    assert luma is not None and luma.protocol == "first-frame --include-exemplar --grey luma"
