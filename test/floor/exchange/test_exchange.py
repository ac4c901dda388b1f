"""Episodes go from site to site: verified, once, with licence, pseudonyms and provenance.

Holds also: manifest.py, names.py, keys.py, shelf.py, cli/exchange.py.
"""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cryptography")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.centres import DeskRobot, desk_in
from support.centres import take as arrived
from support.dataset_takes import TakeOptions, take
from support.episodes import make_episode
from support.exchanged import Site, snapshot
from support.s3_servers import moto_server
from support.samples import T0

from robot_recorder.bags.metadata import read_metadata, write_metadata
from robot_recorder.catalogue.query import Filter
from robot_recorder.cli.main import main
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.exchange.keys import SiteKeys, public_key
from robot_recorder.floor.exchange.manifest import (
    ExchangeManifest,
    chain_problem,
    load_chain,
    with_hop,
)
from robot_recorder.floor.exchange.names import NameRules, load_secret, names_in_data
from robot_recorder.floor.exchange.shelf import Shelf
from robot_recorder.floor.manifest import read_manifest
from robot_recorder.floor.receipts import load_signer
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.floor.storage.port import StorageError, StorageTrouble
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, event_id, load_plain, merged

SECRET = b"a secret of more than sixteen bytes"


@pytest.fixture
def turin(tmp_path: Path) -> Site:
    site = Site("turin", tmp_path / "turin", tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    make_episode(site.store, 0, operator="ann", outcome=Outcome.SUCCESS)
    make_episode(site.store, 60, operator="bob", task="fold")
    return site


@pytest.fixture
def munich(tmp_path: Path) -> Site:
    return Site("munich", tmp_path / "munich", tmp_path / "disk")


def objects(disk: Path, part: str) -> list[Path]:
    return sorted(p for p in (disk / "exchange").rglob("*") if p.is_file() and part in p.parts)


def ids(site: Site, id: str) -> list[str]:
    return [event_id(plain) for plain in load_plain(site.episode(id).facts["labels"])]


# -- there and back


def test_what_is_pushed_arrives_byte_by_byte_with_licence_and_provenance(
    turin: Site, munich: Site
) -> None:
    assert len(turin.push("munich").sent) == 2
    assert len(munich.pull(turin).added) == 2
    for path in turin.store.paths():
        there = munich.episode(path.name)
        data = f"{path.name}_0.mcap"
        assert (there.path / data).read_bytes() == (path / data).read_bytes()
        assert there.facts["licence"] == "CC0-1.0" and munich.chain(path.name) == ["turin"]
        assert there.labels == turin.episode(path.name).labels
        assert sorted(p.name for p in there.path.iterdir()) == [data, "metadata.yaml"]
    assert not (munich.store.root / ".exchange").exists()


def test_pushing_and_pulling_twice_changes_nothing(turin: Site, munich: Site) -> None:
    turin.push("munich")
    munich.pull(turin)
    disk, root = snapshot(turin.disk), snapshot(munich.store.root)
    again = turin.push("munich")
    assert (again.sent, again.unchanged, again.bytes) == ([], 2, 0)
    assert munich.pull(turin).unchanged == 2
    assert snapshot(turin.disk) == disk and snapshot(munich.store.root) == root


def test_only_what_a_filter_chooses_is_pulled(turin: Site, munich: Site) -> None:
    turin.push("munich")
    done = munich.pull(turin, Filter(task="fold"))
    assert [id.endswith("fold") for id in done.added] == [True] and done.left_out == 1
    assert munich.pull(turin, Filter(operator="ann", outcome=Outcome.SUCCESS)).left_out == 1
    assert len(munich.store.paths()) == 2
    nothing = Filter(since_ns=T0 + 10**18)
    assert munich.pull(turin, nothing).left_out == 2


def test_every_site_on_the_way_is_in_the_provenance(
    turin: Site, munich: Site, tmp_path: Path
) -> None:
    oslo = Site("oslo", tmp_path / "oslo", tmp_path / "disk")
    turin.push("munich")
    munich.pull(turin)
    assert not munich.push("oslo", licence="").refused
    oslo.pull(munich)
    id = oslo.store.paths()[0].name
    assert oslo.chain(id) == ["turin", "munich"]
    assert oslo.episode(id).facts["licence"] == "CC0-1.0"


def test_the_licence_of_another_site_is_not_replaced_and_none_is_refused(
    turin: Site, munich: Site
) -> None:
    refused = turin.push("munich", licence="").refused
    assert len(refused) == 2 and all("--licence" in why for why in refused.values())
    assert not (turin.disk / "exchange").exists()
    turin.push("munich")
    munich.pull(turin)
    assert all("which stays" in why for why in munich.push("oslo", licence="MIT").refused.values())
    for path in munich.store.paths():  # as cut leaves a part of it
        munich.store.amend(path, lambda e: {
            "provenance": "", "cut_from": json.dumps({"provenance": e.facts["provenance"]}),
        })  # fmt: skip
    refused = munich.push("oslo", licence="MIT").refused
    assert len(refused) == 2 and all("which stays" in why for why in refused.values())


# -- labels


def test_labels_given_on_both_sides_meet(turin: Site, munich: Site) -> None:
    turin.push("munich")
    munich.pull(turin)
    id = turin.store.paths()[0].name
    turin.label(id, T0 + 10**12, Outcome.FAILURE, "ann", "slip")
    munich.label(id, T0 + 2 * 10**12, Outcome.SUCCESS, "eva")
    turin.push("munich")
    assert munich.pull(turin).merged == [id]
    assert munich.push("turin", licence="").sent
    assert turin.pull(munich).merged == [id]
    assert turin.episode(id).events == munich.episode(id).events
    assert turin.episode(id).labels.outcome is Outcome.SUCCESS
    assert "provenance" not in turin.episode(id).facts  # it is turin's own
    assert munich.pull(turin).merged == [] and turin.pull(munich).merged == []


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["turin", "munich"]),
        st.sampled_from(["label", "label", "note", "push", "pull"]),
        st.integers(0, 3),  # clocks that disagree
    ),
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_two_sites_that_were_split_end_with_the_same_fold(
    acts: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    sites = {name: Site(name, folder / name, folder / "disk") for name in ("turin", "munich")}
    (folder / "disk").mkdir()
    turin, munich = sites["turin"], sites["munich"]
    id = make_episode(turin.store, 0, outcome=Outcome.SUCCESS).name
    turin.push("munich")
    munich.pull(turin)
    for number, (name, act, clock) in enumerate(acts):
        site, other = sites[name], munich if name == "turin" else turin
        stamp = T0 + (number + 10 * clock) * 10**9
        if act == "label":
            site.label(id, stamp, Outcome(1 + number % 2), name, f"c{number}" * (number % 2))
        elif act == "note":
            event = LabelEvent(stamp, id, LabelKind.ANNOTATION, name, name="grasp",
                               start_ns=T0, end_ns=T0 + 1)  # fmt: skip
            site.store.append_label(event)
        elif act == "push":
            site.push(other.name, licence="CC0-1.0")
        elif list((folder / "disk" / "exchange").glob(f"{other.name}/{name}/manifests/*")):
            site.pull(other)
    logs = [load_plain(site.episode(id).facts["labels"]) for site in sites.values()]
    for site, other in ((turin, munich), (munich, turin)):
        site.push(other.name)
        other.pull(site)
    turin.push("munich"), munich.pull(turin)
    assert ids(turin, id) == ids(munich, id)  # in the same order
    assert turin.episode(id).labels == munich.episode(id).labels
    ours = {event_id(plain) for plain in load_plain(turin.episode(id).facts["labels"])}
    assert ours == {event_id(plain) for plain in merged(*logs)}


# -- pseudonyms


def test_names_become_stable_pseudonyms_and_notes_stay_at_home(turin: Site, munich: Site) -> None:
    id = turin.store.paths()[0].name
    event = LabelEvent(
        T0 + 10**12, id, LabelKind.OUTCOME, "ann", "ann was tired", outcome=Outcome.FAILURE
    )
    turin.store.append_label(event)
    turin.names = NameRules(SECRET, drop_notes=True)
    assert len(turin.push("munich").sent) == 2
    munich.pull(turin)
    there = munich.episode(id)
    pseudonym = there.facts["operator"]
    assert pseudonym == turin.names.name("ann") and pseudonym.startswith("operator-")
    assert there.labels.operator_name == pseudonym and there.events[-1].by == pseudonym
    for path, content in {**snapshot(turin.disk), **snapshot(munich.store.root)}.items():
        assert b"ann" not in content and b"tired" not in content, path
    assert NameRules(SECRET).name(pseudonym) == pseudonym
    assert NameRules(b"x" * 32).name("ann") != pseudonym


def test_own_labels_that_come_back_under_pseudonyms_do_not_count_twice(
    turin: Site, munich: Site
) -> None:
    turin.names = NameRules(SECRET)
    turin.push("munich")
    munich.pull(turin)
    id = turin.store.paths()[0].name
    before = ids(turin, id)
    munich.label(id, T0 + 10**13, Outcome.FAILURE, "eva", "slip")
    munich.push("turin", licence="")
    turin.pull(munich)
    assert ids(turin, id)[:-1] == before
    assert turin.episode(id).labels.cause == "slip"
    assert turin.episode(id).labels.operator_name == "ann"


def test_other_rules_for_names_than_before_are_refused(turin: Site) -> None:
    turin.push("munich")
    turin.names = NameRules(SECRET)
    refused = turin.push("munich").refused
    assert len(refused) == 2 and all("--pseudonyms" in why for why in refused.values())


def test_a_bag_that_holds_names_is_not_sent_under_pseudonyms_unless_asked(tmp_path: Path) -> None:
    site = Site("turin", tmp_path / "turin", tmp_path / "disk", NameRules(SECRET))
    (tmp_path / "disk").mkdir()
    path = take(site.store.root, options=TakeOptions(seconds=0.2), operator="ann")
    assert "custom_data inside" in names_in_data(site.episode(path.name))
    assert "--names-in-bags" in site.push("munich").refused[path.name]
    assert site.push("munich", names_in_bags=True).sent == [path.name]
    manifest, _ = site.shelf("turin", "munich").manifests()[0]
    assert manifest.episodes[0].names_in_data
    nameless = take(site.store.root, 1, TakeOptions(seconds=0.2), operator="")
    assert names_in_data(site.episode(nameless.name)) == ""


def test_topics_of_labels_count_as_names(turin: Site) -> None:
    path = turin.store.paths()[0]
    assert names_in_data(turin.episode(path.name)) == ""
    metadata = read_metadata(path)
    topic = metadata["topics_with_message_count"][0]["topic_metadata"]
    topic["name"], topic["type"] = "/recorder/labels", "robot_recorder/msg/Label"
    write_metadata(path, metadata)
    assert names_in_data(turin.episode(path.name)) == "the topics /recorder/labels"


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    secret = load_secret(tmp_path / "s")
    assert load_secret(tmp_path / "s") == secret and len(secret) >= 32
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    (tmp_path / "s").write_text("short")
    with pytest.raises(ConfigError, match="guess"):
        load_secret(tmp_path / "s")


# -- forged, damaged, interrupted


def test_a_damaged_file_is_refused_by_name_and_nothing_of_it_is_left(
    turin: Site, munich: Site
) -> None:
    turin.push("munich")
    bad = objects(turin.disk, "data")[0]
    bad.write_bytes(b"x" * bad.stat().st_size)
    id = bad.parent.parent.name
    done = munich.pull(turin)
    assert list(done.refused) == [id] and "changed or damaged" in done.refused[id]
    assert len(done.added) == 1 and not (munich.store.root / id).exists()
    assert not list((munich.store.root).glob(f".exchange/**/{id}*"))
    assert not turin.push("munich").sent  # it does not look at what is there
    assert not turin.push("munich", anew=True).sent
    assert munich.pull(turin).added == [id]


@pytest.mark.parametrize("what", ["shorter", "missing", "metadata"])
def test_what_is_short_missing_or_changed_is_refused(turin: Site, munich: Site, what: str) -> None:
    turin.push("munich")
    if what == "metadata":
        bad = objects(turin.disk, "metadata")[0]
        bad.write_bytes(bad.read_bytes().replace(b"ann", b"eve"))
        id = bad.parent.name
    else:
        bad = objects(turin.disk, "data")[-1]
        id = bad.parent.parent.name
        bad.unlink() if what == "missing" else bad.write_bytes(bad.read_bytes()[:-1])
    assert list(munich.pull(turin).refused) == [id]
    assert [path.name for path in munich.store.paths()] != [] and id not in [
        path.name for path in munich.store.paths()
    ]


def test_a_forged_manifest_changes_nothing(turin: Site, munich: Site, tmp_path: Path) -> None:
    turin.push("munich")
    path = objects(turin.disk, "manifests")[0]
    good = path.read_bytes()
    body, signature, _ = good.split(b"\n")
    path.write_bytes(body.replace(b"CC0-1.0", b"CC1-1.0") + b"\n" + signature + b"\n")
    with pytest.raises(ConfigError, match=r"manifests/000001 is refused: its signature"):
        munich.pull(turin)
    eve = load_signer(tmp_path / "eve.key")  # signed well, by somebody else
    manifest, _ = ExchangeManifest.from_bytes(good)
    plain = {**manifest.__dict__, "public": eve.public}
    path.write_bytes(ExchangeManifest(**plain).to_bytes(eve))
    with pytest.raises(ConfigError, match="it was forged"):
        munich.pull(turin)
    assert not munich.store.paths()
    with pytest.raises(ConfigError, match="another key"):
        turin.push("munich")


def test_a_manifest_that_was_taken_away_is_missed(turin: Site, munich: Site) -> None:
    turin.push("munich")
    make_episode(turin.store, 600)
    turin.push("munich")
    first, second = objects(turin.disk, "manifests")
    kept = first.read_bytes()
    first.unlink()
    with pytest.raises(ConfigError, match="000001 is missing"):
        munich.pull(turin)
    first.write_bytes(second.read_bytes())
    second.unlink()
    with pytest.raises(ConfigError, match="does not follow"):
        munich.pull(turin)
    first.write_bytes(kept)
    assert len(munich.pull(turin).added) == 2


def test_a_hop_cannot_be_forged_or_moved_to_other_data(tmp_path: Path) -> None:
    turin, eve = load_signer(tmp_path / "t"), load_signer(tmp_path / "e")
    chain = with_hop((), turin, "one", "turin", "a" * 64, 5)
    both = with_hop(chain, eve, "one", "eve", "a" * 64, 6)
    known = {"turin": turin.public, "eve": eve.public}
    assert chain_problem("one", "a" * 64, both, known) == ""
    assert "not known" in chain_problem("one", "a" * 64, both, {"turin": turin.public})
    assert "forged" in chain_problem("two", "a" * 64, chain, known)
    assert "other data" in chain_problem("one", "b" * 64, chain, known)
    assert "another key" in chain_problem(
        "one", "a" * 64, with_hop((), eve, "one", "turin", "a" * 64, 5), known
    )
    assert "forged" in chain_problem("one", "a" * 64, (both[1],), known)  # the first was cut off
    assert chain_problem("one", "a" * 64, (), known)


class Dropping:
    """A storage whose connection drops after some pieces."""

    def __init__(self, storage: object, pieces: int) -> None:
        self._storage, self.left = storage, pieces

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage, name)

    def _one(self, key: str) -> None:
        if "/data/" in key:
            self.left -= 1
            if self.left < 0:
                raise StorageError(StorageTrouble.UNAVAILABLE, "it is gone")

    def get(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        self._one(key)
        return self._storage.get(key, begin, end)  # type: ignore[attr-defined]

    def put(self, key: str, data: bytes) -> None:
        self._one(key)
        self._storage.put(key, data)  # type: ignore[attr-defined]


def test_interrupted_transfers_go_on_where_they_were(
    turin: Site, munich: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Site.shelf

    def shelf(self: Site, sender: str, receiver: str) -> object:
        found = original(self, sender, receiver)
        found.storage = Dropping(found.storage, 3)  # type: ignore[assignment]
        return found

    monkeypatch.setattr(Site, "shelf", shelf)
    for _ in range(2):  # 2 episodes of 4 pieces each
        with pytest.raises(StorageError, match="gone"):
            turin.push("munich")
        assert not objects(turin.disk, "manifests")
    assert len(turin.push("munich").sent) == 2
    for _ in range(2):
        with pytest.raises(StorageError, match="gone"):
            munich.pull(turin)
    assert len(munich.store.paths()) == 1
    assert len(munich.pull(turin).added) == 1
    assert not (munich.store.root / ".exchange").exists()


def test_what_a_power_cut_has_torn_is_fetched_anew(turin: Site, munich: Site) -> None:
    turin.push("munich")
    sent = munich.shelf("turin", "munich").manifests()[0][0].episodes[0]
    folder = munich.store.root / ".exchange" / "turin" / sent.data.sha256[:16] / sent.id
    folder.mkdir(parents=True)
    (folder / sent.data.files[0].name).write_bytes(b"\xff" * 700)  # right length, other bytes
    (folder / "left.mcap").write_bytes(b"x")
    assert len(munich.pull(turin).added) == 2
    assert len(list(munich.store.find(sent.id).iterdir())) == 2


def test_a_bag_that_was_damaged_before_it_was_sent_is_refused(turin: Site, munich: Site) -> None:
    turin.push("munich")
    done = munich.pull(turin, structure=lambda episode: [f"{episode.path.name}: its index is gone"])
    assert len(done.refused) == 2 and not munich.store.paths()
    assert all("its bag is damaged" in why for why in done.refused.values())
    assert not [p for p in munich.store.root.rglob("*") if p.is_file()]


def test_nobody_pulls_into_the_storage_of_a_centre(turin: Site, munich: Site) -> None:
    turin.push("munich")
    (munich.home / ".uploads").mkdir()
    munich.store = EpisodeStore(munich.home / "bags" / "turin")
    with pytest.raises(ConfigError, match="let an agent send it"):
        munich.pull(turin)


@pytest.mark.floor
def test_the_same_over_a_bucket(
    turin: Site, munich: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("boto3")
    with moto_server(tmp_path) as running, running.user.asking():
        url = running.url(running.bucket())
        monkeypatch.setattr(
            Site, "shelf", lambda site, sender, to: Shelf(open_storage(url), sender, to, 300)
        )
        assert len(turin.push("munich").sent) == 2 and turin.push("munich").unchanged == 2
        assert len(munich.pull(turin).added) == 2 and munich.pull(turin).unchanged == 2


def test_another_episode_of_the_same_name_is_refused_and_stays(turin: Site, munich: Site) -> None:
    turin.push("munich")
    path = make_episode(munich.store, 0, operator="eva", outcome=Outcome.FAILURE)
    (path / f"{path.name}_0.mcap").write_bytes(b"x" * 1000)
    before = snapshot(path)
    done = munich.pull(turin)
    assert "folder of its own" in done.refused[path.name] and len(done.added) == 1
    assert snapshot(path) == before


def test_an_episode_in_the_trash_does_not_come_back_by_itself(turin: Site, munich: Site) -> None:
    turin.push("munich")
    munich.pull(turin)
    path = munich.store.discard(munich.store.paths()[0])
    assert "trash" in munich.pull(turin).refused[path.name]


def test_labels_that_are_none_are_refused(turin: Site, munich: Site) -> None:
    path = turin.store.paths()[0]
    turin.store.amend(path, lambda _: {"labels": '[{"kind":"outcome","by":"a\\u001bb"}]'})
    turin.push("munich")
    assert "labels are refused" in munich.pull(turin).refused[path.name]


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "x\n"])
def test_a_site_cannot_be_named_like_a_path(turin: Site, name: str) -> None:
    with pytest.raises(BagError, match="name of a site"):
        turin.push(name)


def test_a_provenance_from_anybody_is_read_within_limits() -> None:
    for text in ("{", "{}", '[{"site":"a"}]', json.dumps([{}] * 200)):
        with pytest.raises(BagError):
            load_chain(text)


@pytest.mark.floor
def test_killed_again_and_again_it_ends_with_every_byte(tmp_path: Path) -> None:
    root, disk, there = tmp_path / "root", tmp_path / "disk", tmp_path / "there"
    disk.mkdir()
    for number in range(12):
        take(root, number, TakeOptions(seconds=0.5))
    common = [
        sys.executable,
        "-c",
        "from robot_recorder.cli.main import main; raise SystemExit(main())",
    ]
    keys = ["--key", str(tmp_path / "key")]
    push = ["push", "munich", str(root), "--to", str(disk), "--as", "turin", "--licence", "CC0-1.0"]
    pull = ["pull", "turin", str(there), "--from", str(disk), "--as", "munich", "--trust-first"]
    pull += ["--sites", str(tmp_path / "sites.json")]
    chance, killed = random.Random(18), 0
    for words in ([*push, *keys], pull):
        for _ in range(12):
            process = subprocess.Popen([*common, "exchange", *words], stderr=subprocess.DEVNULL)
            try:
                process.wait(chance.uniform(0.1, 0.8))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
        assert subprocess.run([*common, "exchange", *words]).returncode == 0
    assert killed
    for path in EpisodeStore(root).paths():
        arrived = there / path.name
        for file in path.glob("*.mcap"):
            assert (arrived / file.name).read_bytes() == file.read_bytes()
        assert len(list(arrived.iterdir())) == len(list(path.iterdir()))
    assert len(EpisodeStore(there).paths()) == 12 and not (there / ".exchange").exists()


# -- keys


def test_a_key_is_given_or_believed_once_and_never_replaced(tmp_path: Path) -> None:
    one, two = (load_signer(tmp_path / name).public for name in "ab")
    keys = SiteKeys(tmp_path / "sites.json")
    with pytest.raises(ConfigError, match="--trust-first"):
        keys.trusted("turin", one)
    assert keys.trusted("turin", one, first_use=True) == one
    keys.keep("turin", one)
    keys = SiteKeys(tmp_path / "sites.json")
    assert keys.trusted("turin", one) == one
    with pytest.raises(ConfigError, match="forged, or turin has a new key"):
        keys.trusted("turin", two, first_use=True)
    with pytest.raises(ConfigError, match="delete the old one"):
        keys.trusted("turin", two, given=two)
    with pytest.raises(ConfigError, match="not a public key"):
        public_key(base64.b64encode(b"short").decode())


# -- the command


def test_the_command_pushes_prints_its_key_and_pulls_real_bags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root, disk, there = tmp_path / "root", tmp_path / "disk", tmp_path / "there"
    disk.mkdir()
    path = take(root, options=TakeOptions(seconds=0.3))
    take(root, 1, TakeOptions(seconds=0.3), task="fold")
    push = ["exchange", "push", "munich", str(root), "--to", str(disk), "--as", "turin"]
    assert main([*push, "--task", "lift"]) == 1
    assert "--licence" in capsys.readouterr().err
    assert main([*push, "--task", "lift", "--licence", "CC0-1.0"]) == 0
    assert "1 episode pushed for munich" in capsys.readouterr().out
    pull = ["exchange", "pull", "turin", str(there), "--from", str(disk), "--as", "munich"]
    assert main(pull) == 2
    assert "public key of turin is not known" in capsys.readouterr().err
    assert main(["exchange", "key"]) == 0
    key = capsys.readouterr().out.strip()
    assert main([*pull, "--their-key", key]) == 0
    assert main([*pull, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["unchanged"] == 1
    assert [p.name for p in there.iterdir() if p.name[0] != "."] == [path.name]
    assert main([*pull[:2], "oslo", *pull[3:]]) == 2
    assert "pushed nothing" in capsys.readouterr().err
    assert main(["exchange", "push", "munich", str(root), "--to", str(tmp_path / "no/such"),
                 "--as", "turin", "--licence", "CC0-1.0"]) == 2  # fmt: skip


def test_the_episodes_of_a_centre_are_pushed_from_where_it_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for needed in ("fastapi", "alembic", "psycopg"):
        pytest.importorskip(needed)
    from robot_recorder.floor.centre.database.rebuild import rebuild

    disk, there, key = tmp_path / "disk", tmp_path / "munich", tmp_path / "turin.key"
    disk.mkdir()
    public = load_signer(key).public
    root = tmp_path / "centre/storage/bags/turin"
    push_it = [
        "exchange", "push", "munich", str(root), "--to", str(disk), "--as", "turin",
        "--licence", "CC0-1.0", "--key", str(key),
    ]  # fmt: skip
    pull_it = [
        "exchange", "pull", "turin", str(there), "--from", str(disk), "--as", "munich",
        "--their-key", public,
    ]  # fmt: skip
    with desk_in(tmp_path / "centre") as desk:
        robot = DeskRobot(desk, "turin", "arm")
        path = arrived(tmp_path / "robot")
        assert robot.offer(path)["ok"]
        sent = robot.send(path)
        assert main(push_it) == 0 and main(pull_it) == 0
        store = EpisodeStore(there)
        assert read_manifest(store.find(path.name)) == sent, "byte by byte"
        # The centre takes no harm: what the push has put there is no object of an episode.
        assert rebuild(desk, lambda: T0).refused == {}
        failure = LabelEvent(0, path.name, LabelKind.OUTCOME, outcome=Outcome.FAILURE)
        desk.relabel("turin", path.name, [failure], "ann")
        desk.rewriter.work()
        assert main(push_it) == 0 and main(pull_it) == 0
        assert Episode.open(store.find(path.name)).labels.outcome is Outcome.FAILURE
