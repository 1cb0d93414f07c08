"""The allowance: a full burst, then one an interval, whatever the clock does."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulonera_sync.throttle import Grant, Rate, spend

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIFTY_AN_HOUR = Rate(50, 3_600)
RATES = st.builds(
    Rate, st.integers(1, 60) | st.just(9_999_999), st.sampled_from([1, 60, 3_600, 86_400])
)


def spend_at(rate: Rate, times: Sequence[datetime]) -> list[Grant]:
    """Make a request at each of the times, each with what the one before left."""
    grants: list[Grant] = []
    for now in times:
        grants.append(spend(rate, grants[-1].full_at if grants else None, now))
    return grants


def seconds(*after: float) -> list[datetime]:
    return [START + timedelta(seconds=each) for each in after]


def test_the_guides_burst_ends_with_request_51() -> None:
    grants = spend_at(FIFTY_AN_HOUR, [START] * 51)

    assert [grant.is_allowed for grant in grants] == [True] * 50 + [False]
    assert [grant.remaining for grant in grants] == [*range(49, -1, -1), 0]
    assert grants[-1].wait_seconds == 72


@settings(deadline=None)
@given(RATES.filter(lambda rate: rate.limit < 100))
def test_exactly_the_limit_passes_at_once(rate: Rate) -> None:
    grants = spend_at(rate, [START] * (rate.limit + 3))

    assert [grant.is_allowed for grant in grants] == [True] * rate.limit + [False] * 3


def test_after_the_burst_one_passes_every_interval() -> None:
    burst = [START] * 50
    later = seconds(71.999, 72, 72.001, 143, 144, 144, 216)

    grants = spend_at(FIFTY_AN_HOUR, burst + later)

    passed = [grant.is_allowed for grant in grants[50:]]
    assert passed == [False, True, False, False, True, False, True]


def test_a_refused_request_costs_nothing() -> None:
    refused = spend_at(FIFTY_AN_HOUR, [START] * 50 + seconds(*range(72)))

    after = spend(FIFTY_AN_HOUR, refused[-1].full_at, START + timedelta(seconds=72))

    assert not any(grant.is_allowed for grant in refused[50:])
    assert after.is_allowed


def test_what_was_spent_is_refilled_evenly() -> None:
    spent = spend_at(FIFTY_AN_HOUR, [START] * 10)[-1].full_at

    remaining = [
        spend(FIFTY_AN_HOUR, spent, START + timedelta(seconds=passed)).remaining
        for passed in (0, 71, 72, 360, 719, 720, 10_000)
    ]

    assert remaining == [39, 39, 40, 44, 48, 49, 49]


@settings(deadline=None)
@given(RATES, st.lists(st.floats(0, 100), max_size=80), st.data())
def test_no_window_lets_more_pass_than_the_limit_and_its_refill(
    rate: Rate, pauses: list[float], data: st.DataObject
) -> None:
    times = [START]
    for pause in pauses:
        times.append(times[-1] + rate.interval * data.draw(st.sampled_from([0, 0, 0.5, 1])) * pause)

    grants = spend_at(rate, times)

    passed = [now for now, grant in zip(times, grants, strict=True) if grant.is_allowed]
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            window = passed[last] - passed[first]
            assert last - first + 1 <= rate.limit + window // rate.interval + 1e-9


@settings(deadline=None)
@given(RATES, st.lists(st.integers(0, 200), max_size=80))
def test_every_answer_is_consistent_with_itself(rate: Rate, pauses: list[int]) -> None:
    times = [START]
    for pause in pauses:
        times.append(times[-1] + timedelta(seconds=pause))

    for now, grant in zip(times, spend_at(rate, times), strict=True):
        burst = rate.interval * rate.limit
        assert grant.limit == rate.limit
        assert 0 <= grant.remaining < rate.limit
        assert now <= grant.full_at <= now + burst
        assert grant.reset_seconds == -((now - grant.full_at) // timedelta(seconds=1))
        assert (grant.wait_seconds == 0) == grant.is_allowed
        assert grant.is_allowed or grant.remaining == 0
        # As many more as it says pass at once, and no more.
        after = spend_at_state(rate, grant, now, min(grant.remaining + 1, 200))
        assert sum(each.is_allowed for each in after) == min(grant.remaining, 200)


def spend_at_state(rate: Rate, grant: Grant, now: datetime, times: int) -> list[Grant]:
    """Make more requests at one time on what a grant left."""
    grants = [grant]
    for _ in range(times):
        grants.append(spend(rate, grants[-1].full_at, now))
    return grants[1:]


@settings(deadline=None)
@given(RATES.filter(lambda rate: rate.limit < 100), st.floats(0, 1))
def test_the_wait_it_tells_is_the_true_one_rounded_up(rate: Rate, part: float) -> None:
    refused = spend_at(rate, [START] * (rate.limit + 1))[-1]
    now = START + rate.interval * part * 0.99

    told = spend(rate, refused.full_at, now)

    at_the_time = now + timedelta(seconds=told.wait_seconds)
    a_second_less = at_the_time - timedelta(seconds=1)
    assert spend(rate, refused.full_at, at_the_time).is_allowed
    assert told.wait_seconds == 0 or not spend(rate, refused.full_at, a_second_less).is_allowed


def test_after_the_reset_the_whole_burst_is_there_again() -> None:
    last = spend_at(FIFTY_AN_HOUR, [START] * 30)[-1]
    full = START + timedelta(seconds=last.reset_seconds)

    grants = spend_at_state(FIFTY_AN_HOUR, last, full, 51)

    assert sum(grant.is_allowed for grant in grants) == 50


@settings(deadline=None)
@given(RATES.filter(lambda rate: rate.limit < 100), st.integers(0, 10**8), st.integers(0, 60))
def test_a_clock_set_back_locks_nobody_out_for_longer_than_a_refill(
    rate: Rate, back: int, spent: int
) -> None:
    before = spend_at(rate, [START] * (spent + 1))[-1]
    set_back = START - timedelta(seconds=back)

    first = spend(rate, before.full_at, set_back)
    burst = timedelta(seconds=rate.period_seconds)
    refilled = spend(rate, first.full_at, set_back + burst + timedelta(seconds=1))

    assert first.is_allowed or timedelta(seconds=first.wait_seconds) <= burst + timedelta(seconds=1)
    assert refilled.is_allowed
    assert refilled.remaining >= rate.limit - 2


def test_a_clock_set_forward_gives_the_burst_and_no_more() -> None:
    before = spend_at(FIFTY_AN_HOUR, [START] * 50)[-1]

    grants = spend_at_state(FIFTY_AN_HOUR, before, START + timedelta(days=400), 60)

    assert sum(grant.is_allowed for grant in grants) == 50


@pytest.mark.parametrize("limit", [1, 7, 999_999, 1_000_001, 9_999_999])
@pytest.mark.parametrize("period", [1, 86_400])
def test_every_rate_that_can_be_configured_works(limit: int, period: int) -> None:
    grants = spend_at(Rate(limit, period), seconds(0, 0, 0.000001, 90_000, 90_000))

    assert grants[0].is_allowed
    assert grants[3].is_allowed
    assert grants[0].remaining == limit - 1
