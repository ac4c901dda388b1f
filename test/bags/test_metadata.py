"""metadata.yaml, valid and invalid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import T0, wrench, write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import custom_data_of, dump_yaml, read_metadata, write_metadata
from robot_recorder.model.errors import BagError

DEEP = {
    "lists": "[" * 100_000,
    "mappings": "{a: " * 100_000,
    "dashes": "- " * 100_000,
    "keys": "? " * 100_000,
    "lines": "".join(" " * i + "a:\n" for i in range(3000)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_yaml_nested_too_deep_is_refused_without_a_crash(kind: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_text(DEEP[kind])
    code = (
        "import sys; from pathlib import Path; from robot_recorder.bags.metadata import read_metadata\n"
        "try: read_metadata(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)"
    )  # in its own process, because a stack overflow in the parser would end the tests
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0 and "nested deeper" in done.stdout, done


@pytest.mark.parametrize("value", ["2026-13-45", "{}", "[1]", "yes", "0x", "\0"])
def test_an_invalid_number_is_reported(value: str, tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [("/w", wrench(T0), T0)])
    file = tmp_path / "bag" / "metadata.yaml"
    file.write_text(
        file.read_text().replace(
            f"nanoseconds_since_epoch: {T0}", f"nanoseconds_since_epoch: {value}"
        )
    )
    with pytest.raises(BagError, match="cannot be read"):
        read_metadata(tmp_path / "bag")


@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_comes_back_with_invalid_characters_replaced(text: str) -> None:
    import yaml

    back = yaml.safe_load(dump_yaml({"note": text}))["note"]
    assert back == text.encode("utf-8", "replace").decode()


def test_half_a_character_in_a_label_leaves_the_bag_readable(tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [("/w", wrench(T0), T0)])
    metadata = read_metadata(tmp_path / "bag")
    write_metadata(tmp_path / "bag", {**metadata, "custom_data": {"note": "caf\udce9"}})
    assert custom_data_of(read_metadata(tmp_path / "bag")) == {"note": "caf?"}
