"""The page for judgement by eye: what it shows, what it must not tell, and a click-through in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinochrome import video
from kinochrome.errors import MethodError
from kinochrome.evaluation.blind import check, write
from kinochrome.evaluation.evaluate import Job
from kinochrome.evaluation.preferences import pairs, read
from kinochrome.sheet import picture_of
from tests.evaluation.data import write_clip, write_data
from tests.metrics.clips import panned
from tests.test_cli import run

FILM = re.compile(r"[0-9a-f]{16}\.mp4")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Two clips, and two other tools' results: the one returns the truth, the other turns its colours round."""
    folder = tmp_path_factory.mktemp("blind")
    data = write_data(folder / "data", {"longclip": 6, "shortclip": 3})
    for seed, (name, count) in enumerate({"longclip": 6, "shortclip": 3}.items()):
        frames = panned(count, seed=seed)
        write_clip(folder / "faithful" / name, frames)
        write_clip(folder / "swapped" / name, [np.ascontiguousarray(frame[..., ::-1]) for frame in frames])
    return Job(data, folder / "out", "first-frame", results=(folder / "faithful", folder / "swapped"))


@pytest.fixture(scope="module")
def page(job: Job) -> Path:
    return write(job, seed=3)


def key_of(page: Path) -> dict[str, dict[str, Any]]:
    return json.loads((page.parent / "key.json").read_text(encoding="utf-8"))


def test_every_result_is_a_film_of_its_clips_length(job: Job, page: Path) -> None:
    key = key_of(page)
    shown = sorted((film["method"], film["clip"]) for film in key.values())
    assert shown == [(row, clip) for row in ("faithful", "swapped") for clip in ("longclip", "shortclip")]
    for token, film in key.items():
        info = video.probe(page.parent / f"{token}.mp4")
        table = video.scan(info)
        truth = panned(film["frames"][1], seed=film["clip"] == "shortclip")
        assert len(table) == len(truth) and (info.width, info.height, info.rate) == (64, 48, Fraction(24))
        for frame, true in zip(video.frames(info, table), truth, strict=True):
            expected = true if film["method"] == "faithful" else true[..., ::-1]
            seen = picture_of(frame, info).astype(int)
            assert abs(seen - expected).mean() < 6 < abs(seen - expected[..., ::-1]).mean()


def test_the_page_tells_no_names_and_needs_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for word in (
        "faithful",
        "swapped",
        "longclip",
        "shortclip",
        "key.json",
        "http:",
        "https:",
        "<link",
        "src=",
        "@import",
    ):
        assert word not in text, word
    found = FILM.findall(text)
    assert sorted(found) == sorted(f"{token}.mp4" for token in key_of(page))
    for file in page.parent.iterdir():
        assert file.name in ("blind.html", "key.json") or FILM.fullmatch(file.name), file
        assert file.suffix != ".mp4" or not re.search(rb"faithful|swapped", file.read_bytes())


def test_names_sides_and_order_come_from_the_seed(job: Job, page: Path, tmp_path: Path) -> None:
    again = write(replace(job, out=tmp_path / "again"), seed=3)
    assert again.read_bytes() == page.read_bytes() and key_of(again) == key_of(page)
    lefts, tokens = set(), set(key_of(page))
    for seed in range(4, 10):
        other = write(replace(job, out=tmp_path / str(seed), clips=("shortclip",)), seed=seed)
        key = key_of(other)
        assert not tokens & set(key)
        lefts.add(key[FILM.findall(other.read_text(encoding="utf-8"))[0].removesuffix(".mp4")]["method"])
    assert lefts == {"faithful", "swapped"}


def test_films_that_are_there_are_kept_and_old_ones_go(job: Job, tmp_path: Path) -> None:
    mine = replace(job, out=tmp_path)
    heard: list[tuple[int, int]] = []

    def report(clip: str, done: int, total: int) -> None:
        heard.append((done, total))

    first = write(mine, report=report)
    assert heard[-1] == (18, 18)
    before = {file: file.stat().st_mtime_ns for file in first.parent.glob("*.mp4")}
    own = first.parent / "holiday.mp4"
    own.write_bytes(b"a person's")
    heard.clear()
    write(replace(mine, clips=("longclip",)), report=report)
    left = {file: file.stat().st_mtime_ns for file in first.parent.glob("*.mp4") if file != own}
    assert not heard and len(left) == 2 and own.is_file()
    assert all(before[file] == when for file, when in left.items())


def test_baselines_and_truth_are_shown_when_asked_for(job: Job, tmp_path: Path) -> None:
    mine = replace(job, out=tmp_path, results=(), methods=("flow",), clips=("shortclip",))
    page = write(mine, ("copy", "truth"))
    assert sorted(film["method"] for film in key_of(page).values()) == ["copy", "flow", "truth"]
    assert len(FILM.findall(page.read_text(encoding="utf-8"))) == 6, "three pairs"


def test_an_odd_size_loses_its_last_row_and_column(tmp_path: Path) -> None:
    frames = [np.ascontiguousarray(frame[:47, :63]) for frame in panned(2)]
    write_clip(tmp_path / "data" / "bear", frames)
    page = write(Job(tmp_path / "data", tmp_path, "automatic", results=(tmp_path / "data",)), ("grey",))
    info = video.probe(next(page.parent.glob("*.mp4")))
    assert (info.width, info.height, info.subsampling) == (62, 46, "420")


def test_what_cannot_be_compared_is_refused(job: Job, tmp_path: Path) -> None:
    alone = replace(job, results=job.results[:1])
    for anchors, text in (
        ((), "here is one: faithful"),
        (("gray",), "--blind-with gray is unknown"),
    ):
        with pytest.raises(MethodError, match=text):
            check(alone, anchors)
    with pytest.raises(MethodError, match="no frame to copy from"):
        check(replace(alone, protocol="automatic"), ("copy",))
    words = ("--data", job.data, "--results", job.results[0], "--protocol", "automatic", "--out", tmp_path / "out")
    done = run("evaluate", *words, "--blind")
    assert done.returncode == 5 and "side by side" in done.stderr.decode()
    assert not (tmp_path / "out").exists(), "it is told before anything is scored"


def test_the_verb_writes_the_page(job: Job, tmp_path: Path) -> None:
    words = [word for folder in job.results for word in ("--results", folder)]
    words += ["--data", job.data, "--protocol", "first-frame", "--clip", "shortclip", "--metric", "psnr"]
    done = run("evaluate", *words, "--out", tmp_path / "out", "--blind")
    assert done.returncode == 0, done.stderr.decode()
    assert "blind.html" in done.stderr.decode() and (tmp_path / "out" / "blind" / "blind.html").is_file()


# --- In a browser ---


class Browser:
    """Chromium without a window, told what to do over its debugging pipe."""

    def __init__(self, profile: Path) -> None:
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required")
        # The shell puts the pipes where Chromium looks for them: commands on 3, answers on 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash"]
        words = ["chromium", *flags, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([*shell, *words], pass_fds=(to_read, to_write), **quiet)
        os.close(to_read)
        os.close(to_write)
        self._number, self._rest, self._session = 0, b"", ""
        target = next(one for one in self.ask("Target.getTargets")["targetInfos"] if one["type"] == "page")
        attached = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]

    def ask(self, method: str, **words: Any) -> dict[str, Any]:
        """What Chromium answers to a command."""
        self._number += 1
        session = {"sessionId": self._session} if self._session and not method.startswith("Browser.") else {}
        told = {"id": self._number, "method": method, "params": words, **session}
        os.write(self._out, json.dumps(told).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                got = os.read(self._in, 1 << 16)
                assert got, "Chromium has gone"
                self._rest += got
            line, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Any:
        """What a line of JavaScript gives, as if a person had done it."""
        done = self.ask("Runtime.evaluate", expression=script, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait(self, script: str) -> None:
        until(lambda: self.run(script), script)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._out)
        os.close(self._in)


def until(fulfilled: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60
    while not fulfilled():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.05)


def begin(browser: Browser, name: str) -> None:
    browser.wait("document.readyState === 'complete' && document.getElementById('begin')?.hidden === false")
    browser.run(f"document.getElementById('name').value = '{name}'; document.querySelector('#begin button').click()")


def choose(browser: Browser, key: dict[str, dict[str, Any]], winner: str | None, count: str) -> None:
    """Waits for the films, then says that one method, or neither, is better."""
    browser.wait("!document.getElementById('choose-left').disabled")
    assert browser.run("document.getElementById('count').textContent") == count
    assert browser.run("[...document.querySelectorAll('video')].every((film) => film.videoWidth === 64)")
    left = browser.run("document.getElementById('left').getAttribute('src')").removesuffix(".mp4")
    side = "none" if winner is None else "left" if key[left]["method"] == winner else "right"
    browser.run(f"document.getElementById('choose-{side}').click()")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    found = Browser(tmp_path / "browser")
    try:
        yield found
    finally:
        found.close()


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("chromium"), reason="Chromium is not here")
def test_a_person_chooses_and_the_choices_are_counted(page: Path, browser: Browser, tmp_path: Path) -> None:
    browser.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.ask("Page.navigate", url=page.as_uri())
    begin(browser, "Anna B.")
    choose(browser, key_of(page), "swapped", "0 of 2")
    choose(browser, key_of(page), None, "1 of 2")
    browser.wait("!document.getElementById('end').hidden")
    # Kept over a reload under the same name.
    browser.ask("Page.reload")
    begin(browser, "Anna B.")
    browser.wait("!document.getElementById('end').hidden")
    assert browser.run("document.getElementById('error').textContent") == ""
    browser.run("document.getElementById('save').click()")
    saved = tmp_path / "choices-Anna-B-.json"
    until(saved.is_file, "the saved file")
    choices, people = read(page.parent.parent, [saved])
    (one,) = pairs(choices)
    assert people == ["Anna B."]
    assert (one.method, one.other, one.wins, one.losses, one.ties) == ("swapped", "faithful", 1, 0, 1)


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("chromium"), reason="Chromium is not here")
def test_a_choice_can_be_taken_back(page: Path, browser: Browser) -> None:
    browser.ask("Page.navigate", url=page.as_uri())
    begin(browser, "Cem")
    choose(browser, key_of(page), "faithful", "0 of 2")
    browser.run("document.getElementById('back').click()")
    choose(browser, key_of(page), "swapped", "0 of 2")
    browser.wait("document.getElementById('count').textContent === '1 of 2'")


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("chromium"), reason="Chromium is not here")
def test_films_play_in_step_and_begin_again(page: Path, browser: Browser) -> None:
    browser.ask("Page.navigate", url=page.as_uri())
    begin(browser, "Ben")
    browser.run(
        "window.rounds = [0, 0]; [...document.querySelectorAll('video')].forEach((film, side) =>"
        " film.addEventListener('ended', () => { window.rounds[side] += 1; }))"
    )
    browser.wait("Math.min(...window.rounds) >= 3")
    assert browser.run("Math.abs(window.rounds[0] - window.rounds[1])") <= 1
    assert browser.run("document.getElementById('error').textContent") == ""
