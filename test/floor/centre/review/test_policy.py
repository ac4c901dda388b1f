"""Which episodes are queued follows from the policy and the episode alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.floor.centre.review.policy import (
    ReviewPolicy,
    ReviewWhy,
    decision_class,
    fraction,
    load_policy,
    parse_policy,
    retry_pause_ns,
)
from robot_recorder.floor.centre.trends.alarms import DriftLimit
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

NAMES = st.text(max_size=20)


def test_the_shipped_file_is_the_default() -> None:
    assert load_policy() == ReviewPolicy()


def test_every_reject_review_and_newcomer_is_queued() -> None:
    policy = ReviewPolicy(sample_share=0.0)
    for number in range(50):
        id = f"e{number}"
        assert policy.why("s", id, "t", Verdict.REJECT, True) is ReviewWhy.REJECT
        assert policy.why("s", id, "t", Verdict.REVIEW, False) is ReviewWhy.REVIEW
        assert policy.why("s", id, "t", Verdict.ACCEPT, True) is ReviewWhy.NEWCOMER
        assert policy.why("s", id, "t", Verdict.ACCEPT, False) is None
        assert policy.why("s", id, "t", Verdict.UNKNOWN, False) is None


def test_the_sample_is_of_the_share_that_the_policy_and_the_task_say() -> None:
    policy = parse_policy("sample_share: 0.05\ntasks:\n  hard: {sample_share: 0.5}\n")

    def sampled(task: str) -> int:
        return sum(
            policy.why("site", f"e{n}", task, Verdict.ACCEPT, False) is ReviewWhy.SAMPLE
            for n in range(20_000)
        )

    assert 900 < sampled("easy") < 1100  # 1000, standard deviation 31
    assert 9700 < sampled("hard") < 10_300


@given(NAMES, NAMES, NAMES)
def test_fractions_are_the_same_everywhere_and_below_one(salt: str, site: str, id: str) -> None:
    assert 0 <= fraction(salt, site, id) < 1
    assert fraction(salt, site, id) == fraction(salt, site, id)


def test_fractions_depend_on_salt_site_and_id_and_are_pinned() -> None:
    # Another value here would give replicas of two versions two samples.
    assert fraction("review", "berlin", "e1") == pytest.approx(0.149598, abs=1e-6)
    assert len({fraction(*key) for key in (("a", "b", "c"), ("a", "bc", ""), ("ab", "", "c"))}) == 3


def test_second_opinions_are_another_sample_than_the_first() -> None:
    policy = ReviewPolicy(sample_share=0.3, second_share=0.3)
    ids = [f"e{n}" for n in range(5000)]
    first = {id for id in ids if policy.why("s", id, "", Verdict.ACCEPT, False)}
    both = {id for id in first if policy.needs_second("s", id)}
    assert 0.2 < len(both) / len(first) < 0.4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample_share: 2", "at most 1"),
        ("sample_share: -1", "from 0 to 1"),
        ("lease_s: 1", "greater than 9"),
        ("newcomer_first: 1.5", "whole number"),
        ("simple_share: 1", "did you mean 'sample_share'"),
        ("tasks:\n  a: {share: 1}", "unknown key 'share'"),
        ("trends:\n  force: {week: 1}", "did you mean 'force_bias'"),
        ('reasons: ["a\\u202eb"]', "not allowed"),
        ("rejects: maybe", "true or false"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"review\.yaml:\d") as refused:
        parse_policy(text)
    assert said in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read"):
        load_policy(tmp_path / "none.yaml")


def test_limits_of_trends_can_be_set_one_by_one() -> None:
    policy = parse_policy("trends:\n  force_bias: {week: 1}\n")
    assert policy.drifts["force_bias"] == DriftLimit(1.0, 8.0)
    assert policy.drifts["taxels_dead"] == ReviewPolicy().drifts["taxels_dead"]


def test_an_episode_that_cannot_be_used_is_a_class_of_its_own() -> None:
    assert decision_class(Outcome.SUCCESS, True) == "success"
    assert decision_class(Outcome.SUCCESS, False) == decision_class(Outcome.FAILURE, False)


def test_pauses_grow_up_to_an_hour() -> None:
    pauses = [retry_pause_ns(tries) for tries in range(40)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 3600 * 10**9
