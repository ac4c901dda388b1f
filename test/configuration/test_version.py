"""One version everywhere."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from robot_recorder.configuration.version import software_version

PACKAGE_XML = Path(__file__).parents[2] / "package.xml"


def test_package_xml_and_code_agree_on_the_version() -> None:
    assert ElementTree.parse(PACKAGE_XML).getroot().findtext("version") == software_version()
