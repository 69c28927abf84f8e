"""How long work takes, in numbers and in words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.status.estimate import GUESSED, MEASURED, NEAR, Estimate, estimate, estimate_text, measured, span_text

SIZE = (1280, 768)
RATE: Any = SimpleNamespace(device="CPU", model="nano", width=1280, height=768, frames=200.0, seconds=100.0)


def test_what_was_measured_here_counts() -> None:
    found = estimate(600, SIZE, [RATE], "CPU", "nano", gpu=False)
    assert found.basis == MEASURED
    assert found.least < 300 < found.most
    assert found.most - found.least < 40


def test_another_size_is_reckoned_and_rougher() -> None:
    found = estimate(600, (2560, 1536), [RATE], "CPU", "nano", gpu=False)
    assert found.basis == NEAR
    assert found.least < 1200 < found.most


@pytest.mark.parametrize("gpu", [True, False])
def test_without_a_measurement_it_is_a_guess_with_a_wide_range(gpu: bool) -> None:
    found = estimate(600, SIZE, [RATE], "CPU", "FlashVSR-v1.1", gpu=gpu)
    assert found.basis == GUESSED
    assert found.most > 3 * found.least


def test_more_frames_and_more_pixels_take_longer() -> None:
    once = estimate(100, SIZE, [], None, None, gpu=True)
    assert estimate(300, SIZE, [], None, None, gpu=True).least == pytest.approx(3 * once.least)
    assert estimate(100, (2560, 768), [], None, None, gpu=True).most == pytest.approx(2 * once.most)


def test_a_sum_is_as_sure_as_its_least_sure_part() -> None:
    parts = [Estimate(1, 2, MEASURED), Estimate(10, 20, GUESSED), Estimate(100, 200, NEAR)]
    assert parts[0] + parts[1] + parts[2] == Estimate(111, 222, GUESSED)
    assert parts[0] + parts[2] == Estimate(101, 202, NEAR)
    assert parts[2] + parts[0] == Estimate(101, 202, NEAR)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 second"),
        (1, "1 second"),
        (20.4, "20 seconds"),
        (22, "20 seconds"),
        (88, "90 seconds"),
        (90, "2 minutes"),
        (1500, "25 minutes"),
        (89 * 60, "90 minutes"),
        (90 * 60, "2 hours"),
        (47 * 3600, "45 hours"),
        (48 * 3600, "2 days"),
        (400 * 86_400, "400 days"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(1450, 1550, MEASURED), "about 25 min"),
        (Estimate(1200, 2100, NEAR), "20-35 min"),
        (Estimate(60, 7200, GUESSED), "perhaps 60 s to 2 h"),
        (Estimate(86_400 * 3, 86_400 * 4, NEAR), "3-4 d"),
    ],
)
def test_estimates_where_there_is_little_room(found: Estimate, text: str) -> None:
    assert estimate_text(found, short=True) == text


def test_what_goes_on_as_before_is_sure() -> None:
    found = measured(100.0)
    assert (found.basis, found.least < 100 < found.most) == (MEASURED, True)
    assert estimate_text(found) == "about 2 minutes"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(1450, 1550, MEASURED), "about 25 minutes"),
        (Estimate(1200, 2100, NEAR), "20 to 35 minutes"),
        (Estimate(600, 2400, GUESSED), "perhaps 10 to 40 minutes"),
        (Estimate(60, 7200, GUESSED), "perhaps 60 seconds to 2 hours"),
        (Estimate(100, 105, NEAR), "about 2 minutes"),
        (Estimate(100, 105, GUESSED), "perhaps 2 minutes"),
        (Estimate(1, 3, GUESSED), "perhaps 1 to 3 seconds"),
        (Estimate(3600 * 24, 86_400 * 4, GUESSED), "perhaps 25 hours to 4 days"),
    ],
)
def test_estimates(found: Estimate, text: str) -> None:
    assert estimate_text(found) == text
