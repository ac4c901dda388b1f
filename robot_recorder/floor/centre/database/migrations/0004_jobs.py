"""What is to be made of episodes: jobs, who works on them, and what came of it."""

from robot_recorder.floor.centre.database.migrate import revision_of


def _statements(serial: str) -> list[str]:
    """Return the statements of an engine, given its type of growing numbers."""
    return [
        f"""
        CREATE TABLE jobs (
            id {serial},
            kind TEXT NOT NULL,              -- JobKind
            key TEXT NOT NULL UNIQUE,        -- SHA-256 of all that the output depends on
            name TEXT NOT NULL,              -- for people
            sources TEXT NOT NULL,           -- JSON: [[site, episode, SHA-256, labels], ...]
            settings TEXT NOT NULL,          -- JSON
            weight BIGINT NOT NULL,          -- bytes of the sources
            priority BIGINT NOT NULL,        -- higher comes first
            state TEXT NOT NULL,             -- JobState
            tries BIGINT NOT NULL DEFAULT 0,
            lease TEXT NOT NULL DEFAULT '',  -- of who works on it
            worker TEXT NOT NULL DEFAULT '',
            until_ns BIGINT NOT NULL DEFAULT 0,    -- of the lease; of a waiting job: not before
            added_ns BIGINT NOT NULL,
            added_by TEXT NOT NULL,
            started_ns BIGINT,
            ended_ns BIGINT,
            result TEXT NOT NULL DEFAULT '',       -- JSON
            problem TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX jobs_waiting ON jobs (priority DESC, id) WHERE state = 'waiting'",
        "CREATE INDEX jobs_running ON jobs (until_ns) WHERE state = 'running'",
        "CREATE INDEX jobs_by_state ON jobs (state, kind, ended_ns)",
    ]


SQLITE = _statements("INTEGER PRIMARY KEY AUTOINCREMENT")
POSTGRESQL = _statements("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
revision, down_revision, upgrade = revision_of(__file__, SQLITE, POSTGRESQL)
