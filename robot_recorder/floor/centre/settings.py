"""How a centre is set up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from robot_recorder.floor.centre.database.engines import dialect_of
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.ids import id_problem
from robot_recorder.web.settings import WebSettings

# Addresses of databases hold passwords, which no command line should show.
DATABASE_VARIABLE = "ROBOT_RECORDER_DATABASE"
STORAGE_VARIABLE = "ROBOT_RECORDER_STORAGE"
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class CentreSettings(WebSettings):
    """Settings of a centre.

    Attributes:
        folder: of its key, and of what the embedded database and storage keep.
        name: of the centre, in receipts.
        database: address; empty: the variable, else SQLite in the folder.
        storage: address; empty: the variable, else a directory in the folder.
        tasks: file of the task registry, for relabelling; empty: the shipped one.
        review: file of the review policy; None: the default.
        metrics_token: file with the token of who reads ``/metrics`` from afar; None: nobody may.
        part_bytes: size of the parts of uploads.
        verifiers: how many episodes are read back at once.
        cache_bytes: limit of the local copies of episodes.
    """

    folder: Path
    name: str = "centre"
    database: str = ""
    storage: str = ""
    tasks: str = ""
    review: Path | None = None
    metrics_token: Path | None = None
    part_bytes: int = 8 * MIB
    verifiers: int = 2
    cache_bytes: int = 20_000_000_000

    @property
    def database_url(self) -> str:
        """Return the address of the database."""
        own = f"sqlite:///{self.folder.absolute() / 'centre.sqlite'}"
        return self.database or os.environ.get(DATABASE_VARIABLE, "") or own

    @property
    def storage_url(self) -> str:
        """Return the address of the storage."""
        own = str(self.folder.absolute() / "storage")
        return self.storage or os.environ.get(STORAGE_VARIABLE, "") or own

    @property
    def signing_key(self) -> Path:
        """Return the file of the private key that signs receipts."""
        return self.folder / "receipts.key"

    def check(self) -> None:
        """Refuse what would be unsafe or cannot work.

        Raises:
            ConfigError: a setting is invalid; the message says which.
        """
        super().check()
        dialect_of(self.database_url)
        if problem := id_problem(self.name):
            raise ConfigError(f"the name of the centre is invalid: {problem}")
        if not 5 * MIB <= self.part_bytes <= 512 * MIB:
            raise ConfigError(f"part_bytes is {self.part_bytes}: give 5 MiB to 512 MiB")
        if not 1 <= self.verifiers <= 64:
            raise ConfigError(f"verifiers is {self.verifiers}: give 1 to 64")
