"""Commands around alignment: ``align``, ``certificate``, ``latency`` and ``profile guess``."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.console import say, say_error, say_json, say_lines
from robot_recorder.cli.progress import progress
from robot_recorder.configuration.find import load_profile
from robot_recorder.configuration.profile import LEAST_RATE_HZ, MOST_RATE_HZ
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError, ConfigError, RecorderError
from robot_recorder.model.streams import NS_PER_MS

if TYPE_CHECKING:
    from robot_recorder.offline.align import Alignment
    from robot_recorder.offline.plan import Plan


def add_align(commands: Any) -> None:
    """The commands ``align``, ``certificate`` and ``latency``."""
    align = commands.add_parser("align", help="align a bag's streams into a table of frames")
    align.add_argument("episode", nargs="+", type=Path, help="bag directories, of anybody's")
    align.add_argument(
        "--rate", type=_positive, metavar="HZ", help="frames a second; default: the profile's"
    )
    align.add_argument(
        "--reference", default="", metavar="STREAM",
        help="a tick at every sample of this stream or topic (--rate: at most); 'none': fixed rate",
    )  # fmt: skip
    align.add_argument("--profile", help="robot profile; default: the bag's own, or else a guess")
    align.add_argument(
        "--deadline-ms", type=_positive, help="wait for late streams; default: the profile's"
    )
    align.add_argument(
        "--out", type=Path, help=".npz or .parquet file, or folder; default: .npz beside the bag"
    )
    align.add_argument("--parquet", action="store_true", help="Parquet instead of npz")
    align.add_argument("--json", action="store_true", help="print the certificate as JSON")
    align.set_defaults(run=_align)

    certificate = commands.add_parser("certificate", help="say how well an episode is aligned")
    certificate.add_argument("episode", nargs="+", type=Path, help="bag directories")
    certificate.add_argument(
        "--again", action="store_true", help="align anew instead of reading it"
    )
    certificate.add_argument(
        "--picture", type=Path, metavar="PNG", help="draw skew over time; file or folder"
    )
    certificate.add_argument("--json", action="store_true", help="print it as JSON")
    certificate.set_defaults(run=_certificate)

    latency = commands.add_parser(
        "latency", help="estimate latency_ms from events several streams see"
    )
    latency.add_argument("episode", nargs="+", type=Path, help="bag directories of one robot")
    latency.add_argument("--profile", help="robot profile; default: the bag's own, or else a guess")
    latency.add_argument(
        "--reference",
        default="",
        metavar="STREAM",
        help="compare all with this stream; default: the best fit",
    )
    latency.add_argument("--json", action="store_true", help="print the estimates as JSON")
    latency.set_defaults(run=_latency)


def add_guess(actions: Any) -> None:
    """The command ``profile guess``."""
    guess = actions.add_parser("guess", help="print a robot profile for the topics of a bag")
    guess.add_argument("episode", type=Path, help="bag directory")
    guess.set_defaults(run=_guess)


def _positive(text: str) -> float:
    value = float(text)
    if not LEAST_RATE_HZ < value <= MOST_RATE_HZ:
        raise argparse.ArgumentTypeError(
            f"{text} is not a number above {LEAST_RATE_HZ} and up to {MOST_RATE_HZ:g}"
        )
    return value


def _guess(options: argparse.Namespace) -> int:
    from robot_recorder.offline.plan import profile_yaml

    say_lines(profile_yaml(Episode.open(options.episode)))
    return 0


def _plan(path: Path, options: argparse.Namespace) -> tuple[Episode, Plan]:
    from robot_recorder.offline.plan import make_plan

    episode = Episode.open(path)
    profile = load_profile(options.profile) if getattr(options, "profile", None) else None
    deadline_ms = getattr(options, "deadline_ms", None)
    return episode, make_plan(
        episode, profile, round(deadline_ms * NS_PER_MS) if deadline_ms else None
    )


def _run_alignment(path: Path, options: argparse.Namespace) -> tuple[Episode, Plan, Alignment]:
    from robot_recorder.offline.align import align_episode

    episode, plan = _plan(path, options)
    clock = plan.frame_clock(getattr(options, "rate", None), getattr(options, "reference", ""))
    with progress(episode.id) as told:
        found = align_episode(episode, plan, clock, partial(told, "aligning"))
    return episode, plan, found


def _align(options: argparse.Namespace) -> int:
    from robot_recorder.dataset.export import exporters

    suffix = ".parquet" if options.parquet else ".npz"
    out: Path | None = options.out
    if out is not None and out.suffix not in exporters():
        out.mkdir(parents=True, exist_ok=True)
    elif out is not None and len(options.episode) > 1:
        raise ConfigError(f"--out {out} is one file for {len(options.episode)} bags; give a folder")
    worst, written = 0, set()
    for path in options.episode:
        target = out or path.resolve().with_name(f"{path.resolve().name}{suffix}")
        if target.is_dir():
            target = target / f"{path.resolve().name}{suffix}"
        try:
            if target in written:
                raise ConfigError(f"{path}: another bag of this name is in {target} already")
            whole = _align_one(path, target, options)
            written.add(target)
        except RecorderError as error:
            if len(options.episode) == 1:
                raise
            say_error(f"error: {error}")  # the others are aligned all the same
            worst = 2
        else:
            worst = max(worst, int(not whole))
    return worst


def _align_one(path: Path, target: Path, options: argparse.Namespace) -> bool:
    """One bag; False: it could not be read to its end."""
    from robot_recorder.cli.certificate_table import print_certificate
    from robot_recorder.dataset.export import export

    began = time.monotonic()
    episode, plan, found = _run_alignment(path, options)
    took = time.monotonic() - began
    export(found, target)
    if options.json:
        say_json({"table": str(target), **found.certificate.to_dict()})
        return not found.problem and len(found.frames) > 0
    if plan.guessed:
        say("the bag carries no robot profile; guessed one (robot-recorder profile guess)")
    for topic, why in sorted(plan.left_out.items()):
        say(f"left out: {topic}: {why}")
    for topic in plan.absent:
        say(f"not in the bag: {topic}")
    print_certificate(episode.id, found.certificate)
    for problem in filter(None, [found.problem, *_unused(found)]):
        say(f"  - {problem}")
    span_s = episode.metadata["duration"]["nanoseconds"] / 1e9
    say(f"{target}: {len(found.frames)} frames in {took:.2f} s, {span_s / took:.0f} x real time")
    return not found.problem and len(found.frames) > 0


def _unused(found: Alignment) -> list[str]:
    """What could not be used, in words."""
    sentences = [f"{stream}: {note}" for stream, notes in found.notes.items() for note in notes]
    if not len(found.frames):
        sentences.append(
            "no frames were made: nothing of the aligned streams could be put on one time axis"
        )
    if found.skipped_ticks:
        sentences.append(
            f"{found.skipped_ticks} ticks left out: nothing arrived for more than 10 s"
        )
    for stream, counts in zip(found.streams, found.counts, strict=True):
        for what, count in (
            ("can not be decoded", counts.undecodable),
            ("name more values than are kept of one stream", counts.mismatched),
            ("are stamped long after their own receipt", counts.ahead),
            ("were received before the device's clock was known", counts.no_clock),
            ("were too many to keep", counts.overflow),
            ("arrived after their frame had left", counts.late),
            ("arrived after the deadline of their own tick: raise deadline_ms", counts.tickless),
        ):
            if count:
                sentences.append(f"{stream.name}: {count} samples {what}")
    return sentences


def _certificate(options: argparse.Namespace) -> int:
    from robot_recorder.cli.certificate_table import print_certificate

    for path in options.episode:
        episode = Episode.open(path)
        certificate = None if options.again else episode.certificate
        found = None
        if certificate is None or options.picture:
            episode, _, found = _run_alignment(path, options)
        if certificate is None:
            assert found is not None
            certificate = found.certificate
        if options.json:
            say_json(certificate.to_dict())
        else:
            print_certificate(episode.id, certificate)
        if found is not None and options.picture:
            say(_draw(episode, found, options.picture, many=len(options.episode) > 1))
    return 0


def _draw(episode: Episode, found: Alignment, target: Path, many: bool) -> Path:
    from robot_recorder.report.sync_picture import draw_sync

    if many:
        target.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        target = target / f"{episode.path.resolve().name}.sync.png"
    draw_sync(found.frames, found.certificate, episode.id, episode.start_ns, target)
    return target


def _latency(options: argparse.Namespace) -> int:
    from robot_recorder.cli.latency_table import latency_table
    from robot_recorder.cli.tables import table_console
    from robot_recorder.offline.latency import estimate_latencies

    plans = [_plan(path, options) for path in options.episode]
    with progress("common events") as told:
        found = estimate_latencies(plans, options.reference, partial(told, "watching for"))
    if options.json:
        say_json([estimate.to_dict() for estimate in found])
    elif not found:
        raise BagError("no two streams to compare: at least one must have values that change")
    else:
        console = table_console()
        console.print(latency_table(found))
        for estimate in found:
            if estimate.proposal:
                console.print(f"  - {estimate.proposal}")
    return 0
