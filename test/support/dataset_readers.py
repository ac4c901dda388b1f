"""Read exported datasets back, one small function per format, with other code than wrote them."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

FACTS = ("source_id", "source_sha256", "outcome", "verdict", "operator", "task", "instruction")
MM = 0.0005  # what distances in whole mm may be off, m
_LOG = np.log(13.5 / 3.51)  # LeRobot's 12 bits: the logarithm of 0.01 to 10 m, each plus 3.5 m
_LOG_STEP = float(13.5 * _LOG / 4095 / 2)


@dataclass
class ReadEpisode:
    """An episode of a dataset.

    Attributes:
        columns: [n, ...] by name of the column.
        cameras: by name, uint8[n, height, width, 3], red, green, blue; or float32[n, height, width],
            m, NaN: unknown.
        facts: those of ``FACTS``; empty: unknown.
        steps: by depth camera, what distances may be off, m.
    """

    columns: dict[str, np.ndarray] = field(default_factory=dict)
    cameras: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)


class Reader(NamedTuple):
    """How a format is read.

    Attributes:
        libraries: that writing or reading it needs.
        read: path of a dataset to its episodes.
        variants: options of the format to be tried; empty: the default.
    """

    libraries: tuple[str, ...]
    read: Callable[[Path], list[ReadEpisode]]
    variants: tuple[dict[str, str], ...] = ({},)


def _facts(known: dict[str, Any]) -> dict[str, str]:
    return {name: str(known.get(name) or "") for name in FACTS}


def _rgb(data: bytes | np.ndarray) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found[..., ::-1])


def _metres(millimetres: np.ndarray) -> np.ndarray:
    return np.where(millimetres > 0, millimetres / 1000, np.nan).astype(np.float32)


def _depth(data: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None and found.dtype == np.uint16 and found.ndim == 2
    return _metres(found)


def _images(found: ReadEpisode, name: str, files: list[bytes]) -> None:
    """Set the pictures of a camera from image files: of 16 bits they are distances."""
    if files[0].startswith(b"\x89PNG") and files[0][24] == 16:
        found.cameras[name], found.steps[name] = np.stack([_depth(f) for f in files]), MM
    else:
        found.cameras[name] = np.stack([_rgb(f) for f in files])


# -- LeRobot


def _rows(table: Any, names: Any) -> dict[str, np.ndarray]:
    columns = {name: np.array(table[name].to_pylist()) for name in names}
    return {name: v[:, None] if v.ndim == 1 else v for name, v in columns.items()}


def _frames_of_video(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a video: JPEG in colour, or 12 bits of depth, m."""
    import av

    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        if stream.codec_context.name == "mjpeg":
            yield from (_rgb(bytes(p)) for p in file.demux(stream) if p.size)
            return
        for frame in file.decode(stream):
            codes = frame.to_ndarray(format="gray12le").astype(np.float64)
            metres = np.exp(codes / 4095 * _LOG + np.log(3.51)) - 3.5
            yield np.where(codes > 0, metres, np.nan).astype(np.float32)


def _lerobot_columns(info: dict[str, Any]) -> list[str]:
    own = {"timestamp", "frame_index", "episode_index", "index", "task_index", "subtask_index"}
    own |= {name for name, f in info["features"].items() if f["dtype"] in ("video", "image")}
    return [n for n in info["features"] if n not in own and not n.startswith("annotation.")]


def read_lerobot(root: Path) -> list[ReadEpisode]:
    """Read LeRobot v3.0."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    info = json.loads((root / "meta/info.json").read_text())
    table, listed = (
        pa.concat_tables([pq.read_table(p) for p in sorted((root / name).rglob("*.parquet"))])
        for name in ("data", "meta/episodes")
    )
    cameras = [n for n, f in info["features"].items() if f["dtype"] == "video"]
    found = []
    for row in listed.to_pylist():
        part = table.slice(row["dataset_from_index"], row["length"])
        assert set(part["episode_index"].to_pylist()) == {row["episode_index"]}
        facts = _facts({**row, "instruction": row["tasks"][0]})
        episode = ReadEpisode(_rows(part, _lerobot_columns(info)), facts=facts)
        for name in cameras:
            places = [row[f"videos/{name}/{what}_index"] for what in ("chunk", "file")]
            path = info["video_path"].format(
                video_key=name, chunk_index=places[0], file_index=places[1]
            )
            first = round(row[f"videos/{name}/from_timestamp"] * info["fps"])
            frames = list(_frames_of_video(root / path))[first : first + row["length"]]
            episode.cameras[name] = np.stack(frames)
            episode.steps[name] = _LOG_STEP
        found.append(episode)
    return found


def read_lerobot_v2(root: Path) -> list[ReadEpisode]:
    """Read LeRobot v2.1."""
    import pyarrow.parquet as pq

    info = json.loads((root / "meta/info.json").read_text())
    found = []
    for line in (root / "meta/episodes.jsonl").read_text().splitlines():
        row = json.loads(line)
        number = row["episode_index"]
        place = {"episode_chunk": number // info["chunks_size"], "episode_index": number}
        table = pq.read_table(root / info["data_path"].format(**place))
        facts = _facts({**row, "instruction": row["tasks"][0]})
        episode = ReadEpisode(_rows(table, _lerobot_columns(info)), facts=facts)
        for name, feature in info["features"].items():
            if feature["dtype"] == "video":
                path = info["video_path"].format(**place, video_key=name)
                episode.cameras[name] = np.stack(list(_frames_of_video(root / path)))
            elif feature["dtype"] == "image":
                _images(episode, name, [cell["bytes"] for cell in table[name].to_pylist()])
        found.append(episode)
    return found


# -- HDF5


def _from_hdf5(group: Any) -> ReadEpisode:
    """Read every array of a group that says which feature it is."""
    import h5py

    found = ReadEpisode(facts=_facts(dict(group.attrs)))

    def visit(path: str, array: Any) -> None:
        if not isinstance(array, h5py.Dataset) or "feature" not in array.attrs:
            return
        name, values = str(array.attrs["feature"]), array[()]
        if array.attrs.get("encoding") == "jpeg":
            values = np.stack([_rgb(row) for row in values])
        if "colours" in array.attrs or "encoding" in array.attrs:
            found.cameras[name] = values
        elif "unit" in array.attrs:
            whole = array.attrs["unit"] == "mm"
            values = values[..., 0] if values.shape[-1] == 1 else values
            found.cameras[name] = _metres(values) if whole else values
            found.steps[name] = float(array.attrs["step_m"]) / 2
        else:
            found.columns[name] = values

    group.visititems(visit)
    return found


def read_aloha(root: Path) -> list[ReadEpisode]:
    """Read the files of ALOHA."""
    import h5py

    found = []
    for number in range(len(list(root.glob("*.hdf5")))):
        with h5py.File(root / f"episode_{number}.hdf5", "r") as file:
            found.append(_from_hdf5(file))
    return found


def read_robomimic(root: Path) -> list[ReadEpisode]:
    """Read the file of robomimic, opened as robomimic does."""
    import h5py

    with h5py.File(root / "dataset.hdf5", "r", swmr=True, libver="latest") as file:
        return [_from_hdf5(file[f"data/demo_{n}"]) for n in range(len(file["data"]))]


# -- Zarr


def _from_zarr(found: ReadEpisode, array: Any, rows: slice) -> None:
    name, values = array.attrs["feature"], array[rows]
    if "unit" in array.attrs:
        found.cameras[name] = _metres(values) if array.attrs["unit"] == "mm" else values
        found.steps[name] = array.attrs["step_m"] / 2
    elif "colours" in array.attrs:
        found.cameras[name] = values
    else:
        found.columns[name] = values


def read_zarr(root: Path) -> list[ReadEpisode]:
    """Read one array per feature, as Diffusion Policy does."""
    import zarr

    store: Any = zarr.open_group(root / "dataset.zarr", mode="r", zarr_format=2)
    meta = {name: array[:].tolist() for name, array in store["meta"].arrays()}
    found, first = [], 0
    for number, end in enumerate(meta["episode_ends"]):
        episode = ReadEpisode(facts=_facts({name: v[number] for name, v in meta.items()}))
        for _, array in store["data"].arrays():
            assert array.shape[0] == meta["episode_ends"][-1]
            _from_zarr(episode, array, slice(first, end))
        found.append(episode)
        first = end
    return found


def read_zarr_native(root: Path) -> list[ReadEpisode]:
    """Read streams at their own rates, and give each frame the samples that its maps name."""
    import zarr

    store: Any = zarr.open_group(root / "dataset.zarr", mode="r", zarr_format=2)
    found = []
    for number in range(store["meta/episode_ends"].shape[0]):
        group = store[f"data/episode_{number}"]
        episode = ReadEpisode(facts=_facts(dict(group.attrs)))
        for _, array in group["frames"].arrays():
            _from_zarr(episode, array, slice(None))
        for name, array in group.arrays():
            if "feature" in array.attrs:
                _spread(episode, array, group[name.replace("_0", "_index_0")][:])
        for _, array in group.arrays():
            if "window_feature" in array.attrs:
                _cut(episode, group, array)
        found.append(episode)
    return found


def _spread(episode: ReadEpisode, array: Any, index: np.ndarray) -> None:
    """Repeat pictures for their frames."""
    _from_zarr(episode, array, slice(None))
    name = array.attrs["feature"]
    own = episode.cameras[name]
    none = np.full(own.shape[1:], np.nan if own.dtype.kind == "f" else 0, own.dtype)
    episode.cameras[name] = np.stack([own[i] if i >= 0 else none for i in index])


def _cut(episode: ReadEpisode, group: Any, array: Any) -> None:
    """Cut the samples of a stream into the windows of the frames."""
    name, stream, rows = (array.attrs[k] for k in ("window_feature", "stream", "window_rows"))
    samples, times = array[:], group[f"{stream}_time_stamps_0"][:, 0]
    ends, stem = group[f"{stream}_ends_0"][:], f"sync.{stream}.window"
    counts, ticks = episode.columns[f"{stem}_count"][:, 0], episode.columns["sync.tick_s"][:, 0]
    shape = (len(ends), rows)
    window = np.full((*shape, samples.shape[1]), np.nan, np.float32)
    skews, mask = np.full(shape, np.nan, np.float32), np.zeros(shape, bool)
    for frame, (end, count) in enumerate(zip(ends, counts)):
        window[frame, :count] = samples[end - count : end]
        skews[frame, :count] = np.round(times[end - count : end] - ticks[frame], 9)
        mask[frame, :count] = True
    episode.columns |= {name: window, f"{stem}_time_s": skews, f"{stem}_mask": mask}


# -- samples, records and plain files


def read_webdataset(root: Path) -> list[ReadEpisode]:
    """Read the samples of all tar files."""
    found: dict[int, dict[str, list[Any]]] = {}
    for path in sorted(root.glob("*/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, rest = member.name.partition(".")
                data = tar.extractfile(member)
                assert data is not None
                episode = found.setdefault(int(key.split("_")[0]), {})
                episode.setdefault(rest, []).append(data.read())
    return [_of_samples(found[number]) for number in sorted(found)]


def _of_samples(samples: dict[str, list[bytes]]) -> ReadEpisode:
    found = ReadEpisode(facts=_facts(json.loads(samples.pop("json")[0])))
    for key, files in samples.items():
        name, _, suffix = key.rpartition(".")
        if suffix == "npy":
            found.columns[name] = np.stack([np.load(io.BytesIO(f)) for f in files])
        else:
            _images(found, name, files)
    return found


def read_rlds(root: Path) -> list[ReadEpisode]:
    """Read the records of all splits with a parser of their own."""
    about = json.loads((root / "metadata.json").read_text())
    found = []
    for path in sorted(root.glob("*.tfrecord-*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            found.append(_of_record(data[at + 12 : at + 12 + size], about["features"]))
            at += 16 + size
    return found


def _of_record(record: bytes, features: list[dict[str, Any]]) -> ReadEpisode:
    [(_, whole)] = _fields(record)
    values = {}
    for _, entry in _fields(whole):
        (_, key), (_, value) = _fields(entry)
        values[key.decode()] = _list_of(value)
    known = {k.removeprefix("episode_metadata/"): v[0] for k, v in values.items() if "meta" in k}
    texts = {k: v.decode() if isinstance(v, bytes) else v for k, v in known.items()}
    found = ReadEpisode(facts=_facts(texts))
    for feature in features:
        name, places = feature["name"], (feature["name"].replace(".", "/", 1), feature["name"])
        own = next(values[f"steps/{p}"] for p in places if f"steps/{p}" in values)
        if feature["kind"] in ("picture", "depth"):
            _images(found, name, own)
            continue
        if isinstance(own, list):
            own = np.frombuffer(b"".join(own), feature["dtype"])
        found.columns[name] = own.reshape(-1, *feature["shape"]).astype(feature["dtype"])
    return found


def _list_of(feature: bytes) -> Any:
    [(kind, values)] = _fields(feature)
    if kind == 1:
        return [value for _, value in _fields(values)]
    [(_, packed)] = _fields(values)
    return np.frombuffer(packed, "<f4") if kind == 2 else np.array(list(_varints(packed)))


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    """Return number and bytes of a protobuf message's fields, which all have a length."""
    found, at = [], 0
    while at < len(message):
        tag, at = _varint(message, at)
        size, at = _varint(message, at)
        found.append((tag >> 3, message[at : at + size]))
        at += size
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value - (1 << 64) if value >> 63 else value


def read_npz(root: Path) -> list[ReadEpisode]:
    """Read a file per episode with numpy."""
    found = []
    for line in (root / "episodes.jsonl").read_text().splitlines():
        with np.load(root / json.loads(line)["file"]) as file:
            arrays = dict(file)
        facts = json.loads(str(arrays.pop("facts")))
        episode = ReadEpisode(facts=_facts(facts))
        for feature in facts["features"]:
            name = feature["name"]
            if f"{name}.splits" in arrays:
                splits, data = arrays[f"{name}.splits"], arrays[f"{name}.files"].tobytes()
                _images(episode, name, [data[a:b] for a, b in pairwise(splits)])
            else:
                episode.columns[name] = arrays[name]
        found.append(episode)
    return found


def read_parquet(root: Path) -> list[ReadEpisode]:
    """Read a table per episode."""
    import pyarrow.parquet as pq

    found = []
    for line in (root / "episodes.jsonl").read_text().splitlines():
        table = pq.read_table(root / json.loads(line)["file"])
        facts = json.loads(table.schema.metadata[b"robot_recorder"])
        seen = [f["name"] for f in facts["features"] if f["kind"] in ("picture", "depth")]
        names = [name for name in table.column_names if name not in seen]
        episode = ReadEpisode(_rows(table, names), facts=_facts(facts))
        for name in seen:
            _images(episode, name, table[name].to_pylist())
        found.append(episode)
    return found


_VIDEOS, _PICTURES = ("pyarrow", "av"), ({"pictures": "jpg"},)
READERS: dict[str, Reader] = {
    "lerobot": Reader(_VIDEOS, read_lerobot),
    "lerobot-v2": Reader(_VIDEOS, read_lerobot_v2),
    "hdf5-aloha": Reader(("h5py",), read_aloha, (
        {}, {"images": "jpeg", "depth": "mm"}, {"compression": "none"}, {"compression": "small"})),
    "hdf5-robomimic": Reader(("h5py",), read_robomimic, ({}, {"depth": "mm"})),
    "zarr": Reader(("zarr",), read_zarr, ({}, {"depth": "mm"})),
    "zarr-native": Reader(("zarr",), read_zarr_native),
    "webdataset": Reader((), read_webdataset),
    "rlds": Reader((), read_rlds),
    "npz": Reader((), read_npz, _PICTURES),
    "parquet": Reader(("pyarrow",), read_parquet, _PICTURES),
}  # fmt: skip
