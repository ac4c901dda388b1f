"""The robot clock with a wall clock that is set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.clocks.robot_clock import RobotClock

T0 = 1_700_000_000_000_000_000
S = 1_000_000_000
HOUR = 3600 * S


class World:
    """A wall clock and a monotonic clock controlled by a test."""

    def __init__(self) -> None:
        self.wall, self.monotonic = T0, 5 * S
        self.clock = RobotClock(lambda: self.wall, lambda: self.monotonic)

    def pass_time(self, ns: int, slew: float = 0.0) -> None:
        self.monotonic += ns
        self.wall += round(ns * (1 + slew))


def test_it_equals_the_wall_clock_without_jumps() -> None:
    world = World()
    world.clock.hold()
    for _ in range(1000):
        world.pass_time(5_000_000, slew=500e-6)  # the largest change by NTP without a jump
        assert world.clock.now_ns() == world.wall
    assert not world.clock.jumps


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * S),
            st.one_of(st.integers(-HOUR, -S // 50), st.integers(S // 50, HOUR)),
        ),
        max_size=8,
    )
)
def test_a_held_clock_ignores_jumps(steps: list[tuple[int, int]]) -> None:
    world = World()
    world.clock.hold()
    begin = world.clock.now_ns()
    passed = 0
    for ns, jump in steps:
        world.pass_time(ns)
        passed += ns
        world.clock.now_ns()
        world.wall += jump
        assert world.clock.now_ns() - begin == passed
        assert world.clock.follow() == 0
    assert [j.by_ns for j in world.clock.jumps] == [jump for _, jump in steps]
    # once released, it follows the wall clock and returns the change
    world.clock.release()
    before = world.clock.now_ns()
    shift = world.clock.follow()
    assert shift == sum(jump for _, jump in steps)
    assert world.clock.now_ns() == world.wall == before + shift


def test_stamps_from_before_and_after_a_jump_are_mixed_around_it() -> None:
    world = World()
    world.clock.hold()
    world.pass_time(S)
    just_before = world.wall
    world.wall -= HOUR
    world.pass_time(5_000_000)
    just_after = world.wall
    robot = world.clock.now_ns()
    assert not world.clock.plain
    assert world.clock.stamp(just_before) == robot - 5_000_000
    assert world.clock.stamp(just_after) == robot


def test_a_followed_jump_no_longer_changes_stamps() -> None:
    world = World()
    world.wall += HOUR
    assert world.clock.follow() == HOUR and world.clock.now_ns() == world.wall
    assert not world.clock.plain
    world.pass_time(3 * S)
    assert world.clock.plain


def test_a_step_back_of_simulated_time_is_a_jump() -> None:
    world = World()
    clock = world.clock
    clock.simulated = True
    assert clock.now_ns() == 0
    assert [clock.simulate(t) for t in (10 * S, 11 * S, 50 * S)] == [10 * S, 11 * S, 50 * S]
    clock.hold()
    assert clock.simulate(2 * S) == 50 * S and clock.simulate(3 * S) == 51 * S
    assert [j.by_ns for j in clock.jumps] == [-48 * S]
    clock.release()
    assert clock.follow() == -48 * S and clock.now_ns() == 3 * S
