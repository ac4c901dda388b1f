"""Who may do what: passwords, tokens, sessions, guesses."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

pytest.importorskip("argon2")
from argon2 import PasswordHasher

from robot_recorder.configuration.users import UserEntry, UserRole
from robot_recorder.model.errors import ConfigError
from robot_recorder.web.access import (
    EVERYBODY,
    SESSION_S,
    Access,
    RefusedLogin,
    Right,
    User,
    load_token,
)

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
USERS = {
    "ann": UserEntry(UserRole.OPERATOR, QUICK.hash("correct horse")),
    "eve": UserEntry(UserRole.INSPECTOR, QUICK.hash("battery staple")),
}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access(USERS, "a token of more than 24 characters", clock)


def test_a_right_password_opens_a_session_of_that_user(access: Access) -> None:
    secret = access.login("ann", "correct horse", "10.0.0.1")
    assert access.user(secret) == User("ann", UserRole.OPERATOR)
    access.logout(secret)
    assert access.user(secret) is None


def test_a_token_makes_an_operator_and_nothing_more(access: Access) -> None:
    user = access.user(access.login("", "a token of more than 24 characters", "10.0.0.1"))
    assert user is not None and user.may(Right.DRIVE) and not user.may(Right.REVIEW)


@pytest.mark.parametrize("name, password", [
    ("ann", "battery staple"), ("ann", ""), ("nobody", "correct horse"), ("", ""), ("", "correct horse"),
    ("ann", "\x00"), ("ann\x00", "correct horse"), ("__class__", "x"),
])  # fmt: skip
def test_a_wrong_password_is_refused_without_saying_what_was_wrong(
    access: Access, name: str, password: str
) -> None:
    with pytest.raises(RefusedLogin) as refused:
        access.login(name, password, "10.0.0.1")
    assert refused.value.status == 401
    assert str(refused.value) in ("name or password is wrong", "the token is wrong")


def guess(access: Access, count: int, name: str, address: str) -> None:
    for _ in range(count):
        with pytest.raises(RefusedLogin, match="wrong"):
            access.login(name, "a guess", address)


def test_guessing_is_stopped_by_address_without_locking_the_user_out_elsewhere(
    access: Access, clock: Clock
) -> None:
    guess(access, 5, "ann", "10.0.0.1")
    with pytest.raises(RefusedLogin, match="too many") as refused:
        access.login("eve", "battery staple", "10.0.0.1")
    assert refused.value.status == 429
    assert access.login("ann", "correct horse", "10.0.0.99"), "her own machine is another one"
    clock.now_s = 61
    assert access.login("ann", "correct horse", "10.0.0.1")


def test_a_right_password_does_not_buy_more_guesses_at_others(access: Access) -> None:
    guess(access, 4, "bob", "10.0.0.1")
    access.login("eve", "battery staple", "10.0.0.1")
    guess(access, 1, "bob", "10.0.0.1")
    with pytest.raises(RefusedLogin, match="too many"):
        access.login("bob", "a guess", "10.0.0.1")


def test_a_name_has_a_limit_for_all_addresses_together(access: Access) -> None:
    for number in range(40):
        guess(access, 5, "ann", f"10.0.1.{number}")
    with pytest.raises(RefusedLogin, match="too many"):
        access.login("ann", "correct horse", "10.0.2.1")


def test_guesses_at_the_same_time_are_all_counted(access: Access) -> None:
    found: list[str] = []

    def try_one() -> None:
        try:
            access.login("ann", "a guess", "10.0.0.1")
        except RefusedLogin as error:
            found.append(str(error))

    threads = [threading.Thread(target=try_one) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("is wrong" in text for text in found) == 5 and len(found) == 30


def test_many_sessions_of_one_user_do_not_end_those_of_others(access: Access) -> None:
    eve = access.login("eve", "battery staple", "10.0.0.1")
    own = [access.login("ann", "correct horse", "10.0.0.2") for _ in range(15)]
    assert access.user(eve) is not None
    assert [access.user(secret) is not None for secret in own] == [False] * 5 + [True] * 10


def test_a_session_ends_by_itself_and_secrets_cannot_be_made_up(
    access: Access, clock: Clock
) -> None:
    secret = access.login("eve", "battery staple", "10.0.0.1")
    clock.now_s = SESSION_S + 1
    assert access.user(secret) is None
    for made_up in ("", "x", secret[:-1], None):
        assert access.user(made_up) is None


def test_without_users_everybody_on_this_machine_may_everything() -> None:
    access = Access()
    assert access.open and access.user(None) is EVERYBODY
    assert all(EVERYBODY.may(right) for right in Right)


def test_a_short_token_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hunter2\n")
    with pytest.raises(ConfigError, match="openssl rand"):
        load_token(file)
    file.write_text("x" * 24 + "\n")
    assert load_token(file) == "x" * 24
