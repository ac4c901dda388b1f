"""What is said is complete, equal in all languages, and keeps what it is filled with as plain text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.configuration.find import load_words
from robot_recorder.configuration.words import EVENTS, LANGUAGES, Words, fill, parse_words, places
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.thresholds import THRESHOLDS

ROOT = Path(__file__).parents[2]
ALL = {language: load_words(language) for language in LANGUAGES}
ENGLISH = ALL["en"]
WORDS = pytest.mark.parametrize("words", ALL.values(), ids=ALL)


def checks_of_the_documentation() -> set[str]:
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|.*\|.*\|.*\|", _table(), re.MULTILINE)
    return {id for row in rows for id in re.findall(r"`([a-z_]+)`", row)}


def _table() -> str:
    text = (ROOT / "docs" / "quality.md").read_text()
    return text.partition("## The checks")[2].partition("Clock checks skip")[0]


@WORDS
def test_every_language_has_the_same_keys_with_the_same_places(words: Words) -> None:
    for section in ("say", "check", "page"):
        mine, english = getattr(words, section), getattr(ENGLISH, section)
        assert list(mine) == list(english), section
        for key in english:
            assert places(mine[key]) == places(english[key]), key
            assert mine[key].count("[") == english[key].count("["), key


@WORDS
def test_every_event_and_every_check_can_be_said(words: Words) -> None:
    assert set(words.say) == set(EVENTS)
    documented = checks_of_the_documentation()
    assert len(documented) > 40
    assert set(words.check) == documented
    assert documented >= set(THRESHOLDS)


def test_the_events_are_those_of_the_message() -> None:
    named = (ROOT / "msg" / "Said.msg").read_text().partition("string event")[2]
    named = named.partition("string language")[0].replace("#", " ")
    assert set(re.findall(r"[a-z_]+", named)) <= set(EVENTS)


def test_languages_differ() -> None:
    for section in ("say", "check"):
        for key, text in getattr(ENGLISH, section).items():
            assert len({getattr(words, section)[key] for words in ALL.values()}) == 3, (key, text)


@WORDS
@pytest.mark.parametrize("id, number", [("head_camera", "7"), ("", "0")])
def test_no_place_is_left_and_every_sentence_is_short(words: Words, id: str, number: str) -> None:
    for event, names in EVENTS.items():
        for why in words.check if "why" in names else [""]:
            ids = {"stream": id or "x", "cause": id, "task": id, "why": why}
            values = {name: ids.get(name, number) for name in names}
            said = words.sentence(event, values)
            assert said and not set(said) & set("{}[]_") and len(said) < 100, said
            assert "  " not in said and ".." not in said and said[-1] in ".。！", said


def test_sentences_are_what_one_would_say() -> None:
    say = ENGLISH.sentence
    assert say("reject", {"why": "camera_black", "stream": "head_camera"}) == (
        "Rejected: head camera: the picture is black."
    )
    assert say("reject", {"why": "too_short", "stream": ""}) == "Rejected: the take is too short."
    assert say("review", {"why": "was it on?", "stream": ""}) == "Please look: was it on."
    assert say("success", {"counted": "3", "target": "200"}) == "Success, 3 of 200."
    assert say("success", {"counted": "3", "target": "0"}) == "Success."
    assert say("failure", {"cause": "wrong_object"}) == "Failure: wrong object."
    assert say("failure", {"cause": ""}) == "Failure."
    assert say("lost", {"stream": "head_camera"}) == "Head camera is lost."
    assert say("begin", {"task": "lift_box", "target": "0"}) == "Shift begins: lift box."
    assert ALL["de"].sentence("reject", {"why": "gap", "stream": "left_wrench"}) == (
        "Verworfen: left wrench: zeitweise fehlten Daten."
    )
    assert ALL["zh"].sentence("reject", {"why": "camera_black", "stream": "head_camera"}) == (
        "不合格：head camera：画面是黑的。"
    )


def test_a_value_that_is_not_known_is_said_as_unknown() -> None:
    assert ENGLISH.sentence("start", {}) == "Take ?."


@WORDS
@pytest.mark.parametrize(
    "hostile",
    ["{why}", "{stream}", "[{stream}]", "<script>alert(1)</script>", "%s %(x)s", r"\1 \g<0>",
     "{0.__class__}", "{{}}", "]["],
)  # fmt: skip
def test_hostile_values_stay_plain_text(words: Words, hostile: str) -> None:
    for event, names in EVENTS.items():
        if "why" in names:
            assert hostile in words.sentence(event, {"why": hostile, "stream": "x"})
    assert hostile in words.sentence("lost", {"stream": hostile}).replace(" class ", "_class_") or (
        "_" in hostile
    )


@given(st.text())
def test_control_characters_are_escaped(text: str) -> None:
    said = ENGLISH.sentence("refused", {"why": text})
    assert said.startswith("Not possible: ") and "\n" not in said and "\x1b" not in said


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text()))
def test_filling_takes_each_value_once(values: dict[str, str]) -> None:
    filled = {"a": "", "b": "", **values}
    assert fill("{a}|{b}", filled) == f"{filled['a']}|{filled['b']}"


def test_mistakes_in_a_file_name_the_line() -> None:
    shipped = (ROOT / "config" / "words" / "en.yaml").read_text()

    def broken(before: str, after: str) -> str:
        assert before in shipped
        with pytest.raises(ConfigError) as error:
            parse_words(shipped.replace(before, after), "en.yaml", "en")
        return str(error.value)

    assert re.match(r"en.yaml:\d+: say: 'lost': nothing fills \{strem\}; did you mean 'stream'",
                    broken('"{stream} is lost."', '"{strem} is lost."'))  # fmt: skip
    assert "did you mean 'ready'" in broken("  ready:", "  raedy:")
    assert "'stop' is missing" in broken('  stop: "Stopped."\n', "")
    assert "other half" in broken('"Success[, {counted} of {target}]."', '"Success[, {counted}."')
    assert "nothing fills {target}" in broken('"the take is too short"', '"{target}"')
    with pytest.raises(ConfigError, match="unknown language 'dde'; did you mean 'de'"):
        load_words("dde")
