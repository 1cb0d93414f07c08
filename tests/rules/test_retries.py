"""When a refused sale is tried again: backoff, jitter, a cap and an end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulonera_sync.retries import RetryPolicy, next_attempt

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DEFAULT = RetryPolicy()
POLICIES = st.builds(
    RetryPolicy,
    first_delay=st.floats(0.1, 3_600),
    max_delay=st.floats(3_600, 86_400),
    max_attempts=st.integers(1, 1_000),
)


def delay(policy: RetryPolicy, made: int, *, chance: float = 1.0) -> float | None:
    due = next_attempt(policy, made, now=NOW, chance=chance)
    return None if due is None else (due - NOW).total_seconds()


def test_the_longest_delays_double_up_to_an_hour_and_end_after_twelve() -> None:
    delays = [delay(DEFAULT, made) for made in range(14)]

    assert delays == [30, 60, 120, 240, 480, 960, 1920, *[3600] * 5, None, None]


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 0), (0.25, 7.5), (0.5, 15), (1.0, 30)])
def test_the_jitter_is_a_part_of_the_backoff(chance: float, seconds: float) -> None:
    assert delay(DEFAULT, 0, chance=chance) == seconds


@settings(deadline=None)
@given(POLICIES, st.integers(0, 10_000), st.floats(0, 1))
def test_an_attempt_is_within_the_cap_or_never(
    policy: RetryPolicy, made: int, chance: float
) -> None:
    due = next_attempt(policy, made, now=NOW, chance=chance)

    assert (due is None) == (made >= policy.max_attempts)
    assert (due is None) == policy.is_exhausted(made)
    if due is not None:
        assert NOW <= due <= NOW + timedelta(seconds=policy.max_delay)


@settings(deadline=None)
@given(POLICIES, st.integers(0, 998))
def test_no_attempt_waits_less_than_the_one_before(policy: RetryPolicy, made: int) -> None:
    earlier, later = delay(policy, made), delay(policy, made + 1)

    assert later is None or (earlier is not None and earlier <= later)


@settings(deadline=None)
@given(st.integers(0, 20), st.floats(0, 1))
def test_nothing_is_tried_by_itself_when_switched_off(made: int, chance: float) -> None:
    policy = RetryPolicy(enabled=False)

    assert next_attempt(policy, made, now=NOW, chance=chance) is None
    # Nor is it dead: nobody gave it up.
    assert not policy.is_exhausted(made)
