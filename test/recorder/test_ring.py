"""The ring buffer: bounded in time and bytes, in order, and counting what it dropped.

Holds also: model/topics.py.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.bags.latched import LatchedCache
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample
from robot_recorder.recorder.ring import Ring

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
CHANNEL = Channel(BagTopic("/a", "x/msg/Y"))


def batches(gaps_ms: list[int], sizes: list[int]) -> list[Batch]:
    now, made = T0, []
    for gap, size in zip(gaps_ms, sizes):
        samples = []
        for _ in range(3):
            now += gap * MS
            samples.append(Sample(CHANNEL, bytes(size), now, now))
        made.append(Batch(samples))
    return made


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 400)), min_size=1, max_size=80),
    st.integers(0, 1000),
)
def test_kept_and_dropped_samples_add_up_to_all(made: list[tuple[int, int]], back_ms: int) -> None:
    ring = Ring(1000 * MS, 10_000)
    all_batches = batches([g for g, _ in made], [s for _, s in made])
    for batch in all_batches:
        ring.push(batch)
        assert ring.bytes <= max(10_000, batch.bytes)
    samples = [s for b in all_batches for s in b.samples]
    from_ns = samples[-1].receive_ns - back_ms * MS
    wanted = [s for s in samples if s.receive_ns >= from_ns]
    found = ring.since(from_ns)
    assert found.samples == wanted[len(wanted) - len(found.samples) :]
    assert len(found.samples) + sum(d.count or 0 for d in found.dropouts) == len(wanted)
    assert all(d.place is Place.RING and d.start_ns >= from_ns for d in found.dropouts)


def test_held_samples_are_not_dropped() -> None:
    ring = Ring(100 * MS, 3_000)
    made = batches([10] * 50, [100] * 50)
    held_ns = made[5].samples[0].receive_ns
    for batch in made:
        ring.push(batch, held_ns)
    assert ring.since(held_ns).samples == [s for b in made[5:] for s in b.samples]


def test_setting_the_clock_shifts_all_times() -> None:
    ring, latched = Ring(1000 * MS, 10**9), LatchedCache()
    (batch,) = batches([10], [5])
    loss = Dropout("/a", Place.DDS, 2, T0, T0 + MS)
    ring.push(Batch(batch.samples, [loss]))
    latched.keep(batch.samples[0])
    for part in (ring, latched):
        part.shift(-(10**12))
    moved = ring.since(0)
    assert [s.receive_ns for s in moved.samples] == [s.receive_ns - 10**12 for s in batch.samples]
    assert moved.dropouts[0].start_ns == T0 - 10**12 and moved.dropouts[0].count == 2
    assert not latched.before(T0 - 10**12) and len(latched.before(T0)) == 1


def test_the_data_rate_is_measured() -> None:
    ring = Ring(2000 * MS, 10**9)
    assert ring.bytes_per_s == 0.0
    for batch in batches([10] * 60, [1000] * 60):
        ring.push(batch)
    assert abs(ring.bytes_per_s - 100_000) < 2_000


def test_a_pre_roll_that_the_ring_cannot_keep_is_told_with_what_fits() -> None:
    ring = Ring(2000 * MS, 25_000)
    assert ring.shortage(2.0) == "", "nothing is known yet"
    for batch in batches([10] * 20, [500] * 20):
        ring.push(batch)
    sentence = ring.shortage(2.0)
    assert "raise max_ring_mb" in sentence
    least = float(sentence.rpartition(" ")[2])
    assert 0 < least < 1 and ring.shortage(least) == ""


def test_the_newest_samples_are_those_of_the_last_time() -> None:
    ring = Ring(2000 * MS, 10**6)
    assert ring.newest(MS) == []
    for batch in batches([10] * 20, [5] * 20):
        ring.push(batch)
    newest = ring.newest(95 * MS)
    assert len(newest) == 10 and newest == ring.since(T0).samples[-10:]


def test_losses_that_come_without_samples_are_kept_and_shifted() -> None:
    ring = Ring(1000 * MS, 10**9)
    old, new = (Dropout("/a", Place.ENCODER, 2, T0, T0 + at) for at in (0, 5 * MS))
    ring.note([old, new])
    assert ring.since(T0 + 1) == Batch([], [new]) and ring.since(T0) == Batch([], [old, new])
    ring.shift(-MS)
    assert [d.end_ns for d in ring.since(0).dropouts] == [T0 - MS, T0 + 4 * MS]
