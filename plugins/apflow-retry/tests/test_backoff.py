"""How long the delays are."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from random import Random

import pytest

from apflow_hookspecs import TaskFailed
from apflow_retry import RetryOptions
from apflow_retry.backoff import asked_for, delay_after

NINE = range(1, 10)
SEEDED = partial(Random, 1)


def delays(**options):
    return [delay_after(attempt, RetryOptions(**options), SEEDED()) for attempt in NINE]


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("fixed", [2] * 9),
        ("linear", [2, 4, 6, 8, 10, 12, 14, 16, 18]),
        ("exponential", [2, 4, 8, 16, 32, 60, 60, 60, 60]),
    ],
)
def test_they_grow_as_they_are_told_up_to_the_longest(backoff, expected):
    assert delays(backoff=backoff, delay=2, jitter="none") == expected


def test_the_longest_is_what_the_options_say():
    assert max(delays(delay=2, max_delay=5, jitter="none")) == 5


def test_a_delay_longer_than_the_usual_bound_is_its_own_bound():
    assert delays(delay=90, jitter="none") == [90] * 9


@pytest.mark.parametrize(("jitter", "least"), [("full", 0.0), ("equal", 0.5), ("none", 1.0)])
def test_a_jitter_keeps_its_bounds_and_uses_them(jitter, least):
    random = SEEDED()
    options = RetryOptions(backoff="fixed", delay=10, jitter=jitter)
    drawn = [delay_after(1, options, random) for _ in range(2000)]
    assert 10 * least <= min(drawn) <= 10 * least + 0.1
    assert 9.9 <= max(drawn) <= 10


def test_no_number_of_attempts_is_too_large():
    assert delay_after(10**9, RetryOptions(delay=1e8, jitter="none"), SEEDED()) == 1e8


class RateLimited(Exception):
    def __init__(self, retry_after):
        self.retry_after = retry_after


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(7, 7), (0.5, 0.5), (timedelta(minutes=2), 120), (-1, 0), ("7", 0), (True, 0), (None, 0), (float("nan"), 0)],
)
def test_what_an_error_asks_for_is_a_number_of_seconds(asked, seconds):
    assert asked_for(RateLimited(asked)) == seconds


def test_what_a_cause_asks_for_counts_where_the_error_asks_for_nothing():
    error = TaskFailed("busy", error="rate_limited")
    error.__cause__ = RateLimited(9)
    assert asked_for(error) == 9


@pytest.mark.parametrize("asked", [10**400, float("inf")])
def test_nobody_asks_for_more_than_ten_years(asked):
    assert asked_for(RateLimited(asked)) == 3653 * 86_400
