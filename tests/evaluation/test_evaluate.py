"""Whole evaluations of tiny clips: figures against arithmetic written out, resuming, workers, and what is refused."""

from __future__ import annotations

import json
import math
import multiprocessing
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kinochrome import color, video
from kinochrome.errors import KinochromeError, MethodError, VideoError, WeightsError
from kinochrome.evaluation.evaluate import Job, evaluate, key_of, rows_of
from kinochrome.evaluation.footage import find
from kinochrome.evaluation.protocols import protocol_of
from kinochrome.evaluation.rows import TruthRow
from kinochrome.evaluation.score import Measures, Scored, keep, kept, place, score_clip
from kinochrome.evaluation.table import as_json
from kinochrome.nets.raft import Raft
from tests.disk import full_disk
from tests.evaluation.data import write_clip, write_data
from tests.metrics.clips import grey, panned
from tests.metrics.judges import no_weights, raft  # noqa: F401

PSNR = ("psnr",)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), {"long": 6, "short": 3})


def job(data: Path, out: Path, **others: object) -> Job:
    return replace(Job(data, out, "first-frame", ("flow",), metrics=PSNR), **others)  # type: ignore[arg-type]


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return -10 * math.log10(((first.astype(np.float64) - second) ** 2).mean())


def test_baselines_and_means_are_what_arithmetic_says(data: Path, tmp_path: Path) -> None:
    found = evaluate(job(data, tmp_path))
    expected: dict[str, list[float]] = {}
    for clip, count, seed in (("long", 6, 0), ("short", 3, 1)):
        frames = [frame / 255 for frame in panned(count, seed=seed)]
        expected[clip] = [psnr(_grey(frame), frame) for frame in frames[1:]]
        assert found.figure("grey", clip, "psnr") == pytest.approx(np.mean(expected[clip]), abs=0.01)
    assert found.means["grey"]["psnr"] == pytest.approx(np.mean([np.mean(one) for one in expected.values()]), abs=0.01)
    assert found.frame_means["grey"]["psnr"] == pytest.approx(np.mean(expected["long"] + expected["short"]), abs=0.01)
    assert found.means["flow"]["psnr"] > found.means["copy"]["psnr"] > found.means["grey"]["psnr"]  # type: ignore[operator]
    assert found.means["truth"]["psnr"] is None
    assert found.scores["flow"]["long"].index == [1, 2, 3, 4, 5]
    assert list(found.scores) == ["flow", "grey", "copy", "truth"]


def _grey(rgb: np.ndarray) -> np.ndarray:
    """L* alone, by scikit-image."""
    from skimage.color import lab2rgb, rgb2lab

    lab = rgb2lab(rgb)
    lab[..., 1:] = 0
    return lab2rgb(lab)


def test_the_report_is_exactly_as_agreed(data: Path, tmp_path: Path) -> None:
    told = as_json(evaluate(job(data, tmp_path, metrics=("psnr", "cdc"))))
    json.dumps(told, allow_nan=False)
    assert told["protocol"] == "first-frame"
    assert set(told["methods"]) == {"flow", "grey", "copy", "truth"}
    for row in told["methods"].values():
        assert set(row["mean"]) == set(row["frame_mean"]) == {"psnr", "cdc"}
        assert set(row["clips"]) == {"long", "short"}
        assert all(set(figures) == {"psnr", "cdc"} for figures in row["clips"].values())
    assert told["methods"]["truth"]["clips"]["long"]["psnr"] is None, "infinite"
    assert told["methods"]["truth"]["clips"]["long"]["cdc"] > 0
    assert told["methods"]["grey"]["frame_mean"]["cdc"] is None, "not a mean of frames"
    assert "mean of the clips' figures" in told["header"]["mean"]


@pytest.mark.parametrize(
    ("protocol", "scored"),
    [
        ("first-and-last", {"long": [1, 2, 3, 4], "short": [1]}),
        ("every-2", {"long": [1, 3, 5], "short": [1]}),
    ],
)
def test_each_protocol_scores_its_frames(
    data: Path, tmp_path: Path, protocol: str, scored: dict[str, list[int]]
) -> None:
    found = evaluate(job(data, tmp_path, protocol=protocol))
    assert {clip: one.index for clip, one in found.scores["flow"].items()} == scored


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (None, "each method's own choice"),
        (20, "20 pixels"),
        (99, "48 pixels, the film's own height (99 were asked for)"),
    ],
)
def test_the_report_tells_the_height_that_was_worked_at(
    data: Path, tmp_path: Path, asked: int | None, told: str
) -> None:
    found = evaluate(job(data, tmp_path, clips=("short",), height=asked))
    assert found.header["working height"] == told


def test_windows_of_90_frames(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", {"enough": 91, "short": 2})
    found = evaluate(job(data, tmp_path / "out", protocol="bistnet-90", methods=(), results=(data,)))
    assert found.scores["grey"]["enough"].index == list(range(5, 85))
    assert found.skipped == {"short": "has 2 of the 90 frames that bistnet-90 needs"}


def test_the_given_frame_is_reproduced_exactly_where_it_is_scored(data: Path, tmp_path: Path) -> None:
    without = evaluate(job(data, tmp_path))
    found = evaluate(job(data, tmp_path, include_exemplar=True, metrics=("psnr", "mse")))
    for row in ("flow", "copy"):
        scored = found.scores[row]["long"]
        assert scored.index == [0, 1, 2, 3, 4, 5]
        assert scored.frames["mse"][0] == 0 < scored.frames["mse"][1], row  # type: ignore[operator]
        assert scored.frames["psnr"][0] is None, "infinite, not some figure of rounding"
        assert found.figure(row, "long", "psnr") == pytest.approx(without.figure(row, "long", "psnr"))
    assert "scored too" in found.header["given frames"]


def test_with_8_bit_luma_the_given_frame_is_rounded_as_the_product_does(data: Path, tmp_path: Path) -> None:
    found = evaluate(job(data, tmp_path, grey="luma", include_exemplar=True))
    for row in ("flow", "copy"):
        first, second = found.scores[row]["long"].frames["psnr"][:2]
        assert second < first < 60, row  # type: ignore[operator]


def test_with_8_bit_luma_the_luma_stays(data: Path, tmp_path: Path) -> None:
    found = evaluate(job(data, tmp_path, grey="luma"))
    frames = panned(6)[1:]
    by_hand = np.mean([psnr(color.luma_from_rgb(frame)[..., None] / 255, frame / 255) for frame in frames])
    assert found.figure("grey", "long", "psnr") == pytest.approx(by_hand, abs=1e-3)
    assert "8-bit codes" in found.header["grey"]


def test_what_another_tool_made_is_scored(data: Path, tmp_path: Path) -> None:
    for clip, count in (("long", 6), ("short", 3)):
        write_clip(tmp_path / "tool" / clip, grey(panned(count)))
    found = evaluate(job(data, tmp_path / "out", methods=(), results=(tmp_path / "tool",)))
    true, plain = panned(6)[1:], grey(panned(6))[1:]
    by_hand = np.mean([psnr(one / 255, other / 255) for one, other in zip(plain, true, strict=True)])
    assert found.figure("tool", "long", "psnr") == pytest.approx(by_hand, abs=1e-4)


def test_a_comma_in_a_folders_name_makes_no_chain(data: Path, tmp_path: Path) -> None:
    for clip, count in (("long", 6), ("short", 3)):
        write_clip(tmp_path / "mine, v2" / clip, grey(panned(count)))
    asked = job(data, tmp_path / "out", results=(tmp_path / "mine, v2",), metrics=("data_fidelity",))
    found = evaluate(replace(asked, methods=("flow,kino",)))
    assert found.figure("mine, v2", "long", "data_fidelity") is None
    assert found.figure("flow,kino", "long", "data_fidelity") is not None


def test_a_run_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    first = evaluate(job(data, tmp_path, clips=("long",)), lambda clip, done, total: seen.append(clip))
    assert set(seen) == {"long"}
    seen.clear()
    both = evaluate(job(data, tmp_path), lambda clip, done, total: seen.append(clip))
    assert set(seen) == {"short"}
    assert both.figure("flow", "long", "psnr") == first.figure("flow", "long", "psnr")
    seen.clear()
    again = evaluate(job(data, tmp_path), lambda clip, done, total: seen.append(clip))
    assert not seen and as_json(again) == as_json(both)
    # A damaged file is scored anew, and only its row.
    place(tmp_path, "flow", "long").write_text("{")
    before = place(tmp_path, "grey", "long").stat().st_mtime_ns
    assert as_json(evaluate(job(data, tmp_path))) == as_json(both)
    assert place(tmp_path, "grey", "long").stat().st_mtime_ns == before


def test_what_is_kept_is_of_one_run(data: Path, tmp_path: Path) -> None:
    """A run that was cut short leaves what another one found as it was, or nothing."""
    file = place(tmp_path, "flow", "long")
    one = Scored({"psnr": 1.0}, [1], {"psnr": [1.0]}, {"fid_all_tv": np.ones(3)}, b"picture", 1)
    keep(file, "one", one)
    again = kept(file, "one")
    assert again is not None and again.gathered["fid_all_tv"].tolist() == [1, 1, 1]
    assert replace(again, gathered={}) == replace(one, gathered={})
    assert kept(file, "other") is None
    assert [path.name for path in file.parent.iterdir()] == ["long.npz"], "nothing beside it could be of another run"
    whole = file.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-30], b"PK"):
        file.write_bytes(damaged)
        assert kept(file, "one") is None


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_full_disk_is_told_and_what_was_scored_is_kept(data: Path, tmp_path: Path) -> None:
    evaluate(job(data, tmp_path, clips=("long",)))
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with full_disk(100), pytest.raises(VideoError, match=r"short\.npz could not be written .*Make room"):
        evaluate(job(data, tmp_path))
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    seen: list[str] = []
    evaluate(job(data, tmp_path), lambda clip, done, total: seen.append(clip))
    assert set(seen) == {"short"}


def test_a_place_of_figures_that_cannot_be_is_told(data: Path, tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("a file in its place")
    with pytest.raises(VideoError, match=r"scores.flow cannot be made or written"):
        evaluate(job(data, tmp_path))


def test_auto_is_the_device_it_chooses(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, keys = find(data)[0], []
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        for device in ("auto", "cuda" if there else "cpu"):
            one = job(data, tmp_path, device=device)
            keys.append(key_of(one, TruthRow(), clip, [], one.metrics))
    assert keys[0] == keys[1] != keys[2] == keys[3]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals")
def test_ctrl_c_ends_a_worker_not_only_its_clip() -> None:
    """Else it would take the next clip, and all would wait for that."""
    program = """
        import os, signal
        from kinochrome.evaluation.evaluate import _begin_worker
        _begin_worker(1)
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            print("goes on")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGINT and not done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals")
def test_a_run_that_alone_is_stopped_stops_its_workers(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(
        textwrap.dedent("""
        import os, signal, threading, time
        from kinochrome.evaluation import evaluate

        def score(work):
            time.sleep(60)

        if __name__ == "__main__":
            evaluate.score_work = score
            threading.Timer(5, os.kill, (os.getpid(), signal.SIGINT)).start()
            work = evaluate.Work(None, None, (), (), (), ())
            list(evaluate._run([work, work], 2, print))
        """)
    )
    done = subprocess.run([sys.executable, tmp_path / "run.py"], capture_output=True, timeout=40)
    assert b"KeyboardInterrupt" in done.stderr


def test_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(
        textwrap.dedent("""
        import time
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from kinochrome.evaluation.evaluate import _begin_worker

        if __name__ == "__main__":
            with ProcessPoolExecutor(1, get_context("spawn"), _begin_worker, (1,)) as pool:
                print(pool.submit(str, "at work").result(), flush=True)
                pool.submit(time.sleep, 60).result()
        """)
    )
    run = subprocess.Popen([sys.executable, tmp_path / "run.py"], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None and run.stdout.readline() == "at work\n"
    run.kill()
    run.communicate(timeout=20)  # the pipe is open as long as a worker is there


def test_a_worker_that_is_killed_is_told(data: Path, tmp_path: Path) -> None:
    def kill() -> None:
        while len(workers := multiprocessing.active_children()) < 2:
            time.sleep(0.01)
        time.sleep(0.5)
        workers[0].kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(MethodError, match=r"ended from outside.*fewer --workers"):
        evaluate(job(data, tmp_path, workers=2))


def test_the_key_holds_all_that_a_figure_depends_on(data: Path, tmp_path: Path) -> None:
    clip = find(data)[0]

    def key(**others: object) -> str:
        one = job(data, tmp_path, **others)
        rules = protocol_of(one.protocol, one.include_exemplar)
        row = rows_of(one, rules)[0]
        return key_of(one, row, clip, rules.tasks(len(clip)), one.metrics)

    changed = [
        {"protocol": "every-2"}, {"include_exemplar": True}, {"grey": "luma"}, {"height": 20}, {"flow": "dis_quick"},
        {"options": {"flow.quality": "fast"}}, {"metrics": ("psnr", "mse")},
    ]  # fmt: skip
    keys = [key(), *(key(**one) for one in changed)]
    assert len(set(keys)) == len(keys)
    assert key(workers=2) == key(), "how it is worked out is no part of it"
    weights = tmp_path / "own.safetensors"
    kino = {"methods": ("kino",), "options": {"kino.weights": str(weights)}}
    weights.write_bytes(b"one")
    before = key(**kino)
    weights.write_bytes(b"other")
    assert key(**kino) != before, "what weights hold counts, not where they lie"


def test_worker_processes_find_the_same(data: Path, tmp_path: Path) -> None:
    alone = as_json(evaluate(job(data, tmp_path / "one")))
    done: list[int] = []
    together = evaluate(job(data, tmp_path / "two", workers=2), lambda clip, frames, total: done.append(frames))
    assert as_json(together)["methods"] == alone["methods"]
    assert done[-1] == 9


def test_nothing_given(tmp_path: Path) -> None:
    """Photographs of any size; copy has nothing to copy from."""
    data = tmp_path / "data"
    (data / "set").mkdir(parents=True)
    for name, size in (("dog", 40), ("cat", 48)):
        video.write_picture(data / "set" / f"{name}.png", panned(1)[0][:size])
    names = ("psnr", "cdc", "fade")
    found = evaluate(job(data, tmp_path / "out", protocol="still", methods=(), results=(data,), metrics=names))
    assert found.scores["grey"]["set"].index == [0, 1]
    assert found.means["grey"]["cdc"] is None and "do not follow each other" in found.absent["fade"]
    assert set(found.means["copy"].values()) == {None}
    assert found.means["data"]["psnr"] is None, "the truth itself: infinite"
    assert found.best["psnr"] == {"data"}
    assert "of many sizes" in found.header["size"]


def test_warp_errors_along_the_motion_of_a_network(data: Path, tmp_path: Path, raft: Raft) -> None:  # noqa: F811
    names = ("warp_error", "warp_error_vcgan")
    rows = {
        flow: evaluate(job(data, tmp_path / flow, clips=("long",), metrics=names, flow=flow))
        for flow in ("dis", "raft_small")
    }
    by_search, by_network = rows.values()
    assert by_network.header["motion"].startswith("raft_small on the true film (RAFT")
    assert by_network.means["truth"]["warp_error"] != by_search.means["truth"]["warp_error"]
    # That of the results themselves is the same search as ever.
    assert by_network.means["flow"]["warp_error_vcgan"] == by_search.means["flow"]["warp_error_vcgan"]


def test_a_network_without_weights_is_an_error_before_work(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match="`kinochrome weights get raft_large`"):
        evaluate(job(data, tmp_path / "out", flow="raft_large"))
    assert not (tmp_path / "out").exists()


def test_weights_that_are_missing_are_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(tmp_path / "none"))
    found = evaluate(job(data, tmp_path, metrics=("psnr", "lpips_alex", "data_fidelity")))
    assert "`kinochrome weights get lpips_alex`" in found.absent["lpips_alex"]
    assert "no draft" in found.absent["data_fidelity"]
    assert found.means["flow"]["lpips_alex"] is None
    assert found.measured == ["psnr"]


def test_results_with_values_that_are_no_numbers(data: Path) -> None:
    class Broken:
        name = "broken"

        def paints(self, clip, task):
            for _ in range(task.start, task.stop):
                yield lambda true: np.full_like(true.rgb, np.nan)

        def drafts(self, clip, task):
            return None

    clip = find(data)[0]
    with pytest.raises(VideoError, match=r"broken, clip long, frame 1: .*not within 0..1"):
        score_clip(clip, protocol_of("first-frame").tasks(6), [Broken()], Measures(PSNR))


@pytest.mark.parametrize(
    ("others", "kind", "text"),
    [
        ({"methods": ("flwo",)}, MethodError, "did you mean 'flow'"),
        ({"metrics": ("pnsr",)}, MethodError, "did you mean 'psnr'"),
        ({"protocol": "first"}, MethodError, "no protocol 'first'"),
        ({"clips": ("lang",)}, VideoError, "did you mean 'long'"),
        ({"flow": "did"}, MethodError, "no flow 'did'"),
        ({"grey": "lab"}, MethodError, "--grey lab is unknown"),
        ({"options": {"vcgan.size": "3"}}, MethodError, "none of the methods is called 'vcgan'"),
        ({"options": {"flow.qualty": "fast"}}, MethodError, "did you mean 'quality'"),
        ({"device": "gpu"}, MethodError, "--device gpu is unknown"),
        ({"workers": 0}, MethodError, "--workers 0"),
        ({"methods": ()}, MethodError, "Nothing to evaluate"),
        ({"methods": (), "results": (Path("tool"),), "height": 240}, MethodError, "--height 240 .* none is named"),
        ({"height": 8}, MethodError, "--height 8 is too small"),
        (
            {"protocol": "automatic", "methods": (), "results": (Path("tools/copy"),)},
            MethodError,
            "would be called 'copy'",
        ),
        ({"methods": ("flow", "flow")}, MethodError, "would be called 'flow'"),
        ({"protocol": "automatic"}, MethodError, "flow needs a reference, which the protocol automatic does not give"),
        ({"protocol": "scribbles"}, MethodError, "flow needs a reference, which the protocol scribbles does not give"),
        ({"protocol": "bistnet-90"}, MethodError, "long has 6 of the 90 frames"),
        ({"results": (Path("nowhere"),)}, VideoError, "nowhere is not a folder"),
    ],
)
def test_what_cannot_be_done_is_said_before_work(
    data: Path, tmp_path: Path, others: dict, kind: type[KinochromeError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        evaluate(job(data, tmp_path / "out", **others))
    assert not (tmp_path / "out").exists()
