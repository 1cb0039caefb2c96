"""Runs at the same time lower the number of threads together, and leave it as the first found it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from kinochrome.threads import Lowered


class Setting:
    """What a library remembers."""

    def __init__(self, value: int) -> None:
        self.value = value

    def read(self) -> int:
        return self.value

    def write(self, value: int) -> None:
        self.value = value


@pytest.mark.parametrize("found", [1, 2, 6])
def test_it_is_lower_while_held_and_as_found_afterwards(found: int) -> None:
    setting = Setting(found)
    lowered = Lowered(setting.read, setting.write, lambda count: max(1, count // 2), each=True)
    with pytest.raises(KeyboardInterrupt), lowered.held():
        assert setting.value == max(1, found // 2)
        assert lowered.usual() == found
        raise KeyboardInterrupt
    assert setting.value == lowered.usual() == found


@pytest.mark.parametrize("each", [True, False])
def test_two_that_overlap(each: bool) -> None:
    setting = Setting(8)
    lowered = Lowered(setting.read, setting.write, lambda count: count // 2, each)
    first, second = ExitStack(), ExitStack()
    first.enter_context(lowered.held())
    second.enter_context(lowered.held())
    assert setting.value == 4, "half of what the first found, not of what it left"
    first.close()
    # A setting of all threads stays low for the one that is still there; one of each thread's own does not.
    assert setting.value == (8 if each else 4)
    second.close()
    assert setting.value == 8
