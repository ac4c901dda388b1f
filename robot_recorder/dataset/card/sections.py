"""The sections of a card: what a dataset is, its tasks and episodes, how it was made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median

from robot_recorder.dataset.card.about import OUTCOMES, About, outcomes_of, success_rate, video_of
from robot_recorder.dataset.card.blocks import (
    UNKNOWN,
    Block,
    Cell,
    CodeLines,
    Grid,
    Listed,
    Mono,
    Section,
    clean,
    duration,
    few,
    known,
    share,
)
from robot_recorder.dataset.card.streams import (
    cameras_section,
    features_section,
    streams_section,
    sync_section,
)
from robot_recorder.dataset.lock import LOCK
from robot_recorder.dataset.schema import DatasetEpisode
from robot_recorder.model.text import plural
from robot_recorder.report.html_text import moment, size


def sections_of(about: About) -> list[Section]:
    """Return all that a card says, in order."""
    found = [
        _overview_section(about), _loading_section(about), _samples_section(about),
        _tasks_section(about), _episodes_section(about), cameras_section(about),
        streams_section(about), features_section(about), sync_section(about),
        _left_out_section(about), _making_section(about), _licence_section(about),
    ]  # fmt: skip
    return [section for section in found if section.blocks]


def _overview_section(about: About) -> Section:
    facts = [e.facts for e in about.episodes]
    days = sorted(moment(f.start_ns)[:10] for f in facts if f.start_ns > 0)
    undated = sum(f.start_ns <= 0 for f in facts)
    when = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else UNKNOWN
    when += f"; of {plural(undated, 'episode')} unknown" if days and undated else ""
    files = [bytes_ for bytes_, _ in about.lock.files.values()]
    total = f"{size(sum(files))} in {plural(len(files), 'file')}" if files else UNKNOWN
    notes = Counter(a[0] for f in facts for a in f.annotations)
    rows: list[tuple[Cell, ...]] = [
        ("robots", known(f.robot for f in facts)), ("operators", _operators(about)),
        ("recorded", when), ("format", about.format),
        ("size", total),
        ("licence", about.options.license or UNKNOWN),
    ]  # fmt: skip
    if notes:
        texts = tuple(f"{n} {count:,}" for n, count in sorted(notes.items()))
        rows.append(("annotations", Listed(texts)))
    return Section("Overview", (Grid((), tuple(rows)),))


def _operators(about: About) -> str:
    names = {e.facts.operator for e in about.episodes if e.facts.operator}
    if not about.options.show_operators:
        return f"{plural(len(names), 'operator')}, not named here" if names else UNKNOWN
    return known(names) if len(names) <= 10 else f"{len(names):,}"


_FOLDER = 'FOLDER = "PATH/TO/THIS/FOLDER"'


# By what the name of a format begins with: lines before and after the one that names the folder.
_LOADING = {
    "lerobot": (
        "from lerobot.datasets.lerobot_dataset import LeRobotDataset",
        'dataset = LeRobotDataset("local/dataset", root=FOLDER)\nframe = dataset[0]\n'
        'print({name: getattr(value, "shape", value) for name, value in frame.items()})',
    ),
    "hdf5-aloha": ("import h5py", 'h5py.File(f"{FOLDER}/episode_0.hdf5").visit(print)'),
    "hdf5-robomimic": ("import h5py", 'h5py.File(f"{FOLDER}/dataset.hdf5").visit(print)'),
    "zarr": ("import zarr", 'print(zarr.open_group(f"{FOLDER}/dataset.zarr", mode="r").tree())'),
    "webdataset": (
        "from glob import glob\n\nimport webdataset",
        'shards = sorted(glob(f"{FOLDER}/train/*.tar"))\n'
        "print(next(iter(webdataset.WebDataset(shards, shardshuffle=False))).keys())",
    ),
    "rlds": (
        "import tensorflow_datasets as tfds",
        "builder = tfds.builder_from_directory(FOLDER)\n"
        'print(next(iter(builder.as_dataset(split="train"))))',
    ),
    "npz": (
        "from glob import glob\n\nimport numpy",
        'episodes = sorted(glob(f"{FOLDER}/data/*/*.npz"))\nprint(numpy.load(episodes[0]).files)',
    ),
    "parquet": (
        "from glob import glob\n\nimport pyarrow.parquet",
        'episodes = sorted(glob(f"{FOLDER}/data/*/*.parquet"))\n'
        "print(pyarrow.parquet.read_schema(episodes[0]))",
    ),
}  # fmt: skip


def _loading_section(about: About) -> Section:
    code = about.options.loading or _program(about)
    if not code:
        return Section("How to load it", (f"Its files are in the format {about.format}.",))
    blocks: list[Block] = [CodeLines("python", code.strip("\n"))]
    if any(video_of(about, f) == "mjpeg" for f in about.schema.cameras):
        blocks.append(
            "Its videos hold the JPEG pictures as they were recorded: libraries read them, "
            "browsers and most players do not."
        )
    return Section("How to load it", tuple(blocks))


def _program(about: About) -> str:
    """Return lines that load the dataset; empty: it is not known how."""
    for name, (before, after) in _LOADING.items():
        if about.format.startswith(name):
            return f"{before}\n\n{_FOLDER}\n{after}"
    return ""


def _samples_section(about: About) -> Section:
    if not about.schema.cameras:
        return Section("Samples", ())
    none = "None: no pictures were at hand when this card was written."
    return Section("Samples", (about.samples or none,))


def _tasks_section(about: About) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for task, sentence, episodes in about.tasks:
        counts = outcomes_of(episodes)
        rows.append((
            Mono(task) if task else UNKNOWN, sentence or UNKNOWN, f"{len(episodes):,}",
            about.length(episodes), *(f"{n:,}" for n in counts), success_rate(*counts[:2]),
        ))  # fmt: skip
    headings = ("Task", "Instruction", "Episodes", "Length", *(o.capitalize() for o in OUTCOMES),
                "Success rate")  # fmt: skip
    found = Counter(e.facts.verdict or UNKNOWN for e in about.episodes)
    verdicts = ", ".join(f"{clean(name)} {count:,}" for name, count in sorted(found.items()))
    note = "The success rate is that of the labelled episodes in this dataset."
    failures = sum(why.startswith("failure") for why in about.lock.left_out.values())
    if failures:
        were = "was" if failures == 1 else "were"
        note += f" {plural(failures, 'failure')} {were} left out of it."
    grid = Grid(headings, few(rows, "tasks"), tuple(range(2, 8)))
    return Section("Tasks", (grid, f"{note} Verdicts of the quality checks: {verdicts}."))


def _episodes_section(about: About) -> Section:
    kinds = {"split": (e.split for e in about.episodes),
             "robot": (e.facts.robot for e in about.episodes),
             "operator": (e.facts.operator for e in about.episodes)}  # fmt: skip
    if not about.options.show_operators:
        del kinds["operator"]
    rows: list[tuple[Cell, ...]] = []
    for kind, names in kinds.items():
        groups: dict[str, list[DatasetEpisode]] = {}
        for name, episode in zip(names, about.episodes):
            groups.setdefault(name or UNKNOWN, []).append(episode)
        own: list[tuple[Cell, ...]] = [
            (kind, name, f"{len(mine):,}", f"{sum(e.length for e in mine):,}", about.length(mine))
            for name, mine in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
        ]
        rows += few(own, f"{kind}s")
    seconds = sorted(e.length / about.schema.rate_hz for e in about.episodes)
    sources = len({e.facts.path for e in about.episodes})
    note = (
        f"Episodes last {duration(seconds[0])} to {duration(seconds[-1])}, the median is "
        f"{duration(median(seconds))}. They were made of {plural(sources, 'recording')}."
    )
    return Section("Episodes", (
        Grid(("By", "Name", "Episodes", "Frames", "Length"), tuple(rows), (2, 3, 4)), note,
    ))  # fmt: skip


def _left_out_section(about: About) -> Section:
    groups: dict[str, list[str]] = {}
    for path, why in about.lock.left_out.items():
        groups.setdefault(why.replace(path, "it"), []).append(Path(path).name)
    rows: list[tuple[Cell, ...]] = [
        (why, f"{len(names):,}", Listed(tuple(sorted(names))))
        for why, names in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    blocks: list[Block] = [
        Grid(("Episodes left out because", "Number", "Which"), few(rows, "reasons"), (1,))
    ]
    if not rows:
        blocks = ["No episode was left out."]
    counts: list[tuple[Cell, ...]] = [(w, f"{n:,}") for w, n in sorted(about.lock.counted.items())]
    if counts:
        blocks.append(
            Grid(
                ("Left out, or repeated", "Number"),
                few(counts, "counts"),
                (1,),
            )
        )
        blocks.append("Repeated: no new picture had come, as with a camera slower than the frames. "
                      "Placeholders: black, because there was no picture at all.")  # fmt: skip
    else:
        blocks.append("No frame was trimmed or left out, and no picture repeated.")
    return Section("Left out, trimmed, repeated", tuple(blocks))


def _making_section(about: About) -> Section:
    settings, schema = about.lock.settings, about.schema
    align, trim = settings.get("align") or {}, settings.get("trim") or {}
    trimmed = [f"what is outside of {name}" for name in trim.get("annotations") or ()]
    trimmed += ["idle ends"] if trim.get("idle") else []
    of = f"one at each sample of {clean(schema.reference)}, about"
    of = of if schema.reference else "at a fixed rate of"
    parts = sorted((settings.get("shares") or {}).items())
    shares = ", ".join(f"{name} {share(part)}" for name, part in parts)
    rows: list[tuple[Cell, ...]] = [
        ("frames", f"{of} {schema.rate_hz:g} Hz"),
        ("samples after their frame", "none" if align.get("causal") else "allowed"),
        ("action", str(settings.get("action", UNKNOWN)).replace("_", " ")),
        ("frames with held or missing streams", str(settings.get("held", UNKNOWN))),
        ("trimmed", ", ".join(map(clean, trimmed)) or "nothing"),
        ("split", shares or "everything is for training"),
        ("recorded by robot_recorder", known(e.facts.recorder for e in about.episodes)),
        ("exported by robot_recorder", about.lock.version),
    ]  # fmt: skip
    again = (
        "These files are made again, byte by byte, from the same recordings. ", Mono(LOCK),
        " lists them with their SHA-256, and has all settings and the export profile.",
    )  # fmt: skip
    code = f"robot-recorder export --lock {LOCK} --out NEW_FOLDER"
    return Section("How it was made, and how to make it again",
                   (Grid((), tuple(rows)), again, CodeLines("sh", code)))  # fmt: skip


def _licence_section(about: About) -> Section:
    own = about.options.license
    return Section("Licence", (clean(own) or "Unknown. Ask whoever gave you this dataset.",))
