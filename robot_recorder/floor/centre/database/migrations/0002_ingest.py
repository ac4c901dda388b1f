"""Which storage belongs to the database, robots' tokens, episodes on their way in, their uploads, receipts and labels, alarms, and who did what."""

from robot_recorder.floor.centre.database.migrate import revision_of


def _statements(blob: str, serial: str) -> list[str]:
    """Return the statements of an engine, given its types of bytes and of growing numbers."""
    return [
        "CREATE TABLE floor_identity (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        """
        CREATE TABLE robot_tokens (
            digest TEXT PRIMARY KEY,   -- SHA-256 of the token, hexadecimal
            site TEXT NOT NULL,
            robot TEXT NOT NULL,
            made_ns BIGINT NOT NULL,
            made_by TEXT NOT NULL,
            revoked_ns BIGINT          -- NULL: it is valid
        )
        """,
        "CREATE INDEX robot_tokens_of_robot ON robot_tokens (site, robot)",
        """
        CREATE TABLE floor_robots (
            site TEXT NOT NULL,
            robot TEXT NOT NULL,
            serial BIGINT NOT NULL,    -- of its newest label event
            heard_ns BIGINT,           -- last beat, to the minute
            PRIMARY KEY (site, robot)
        )
        """,
        f"""
        CREATE TABLE floor_episodes (
            site TEXT NOT NULL,
            episode TEXT NOT NULL,
            robot TEXT NOT NULL,       -- that offered it
            state TEXT NOT NULL,       -- offered, uploading, verifying, held, stored
            offered_ns BIGINT NOT NULL,
            queued_ns BIGINT,          -- when it became verifying
            tries BIGINT NOT NULL DEFAULT 0,     -- in which the process died that checked it
            manifest TEXT,             -- JSON
            sha256 TEXT,               -- of the manifest
            size_bytes BIGINT,         -- of its data files
            part_bytes BIGINT,         -- of its uploads
            receipt TEXT,              -- JSON
            receipt_due BIGINT NOT NULL DEFAULT 0, -- the storage lacks its copy: robots do not get it yet
            generation BIGINT NOT NULL DEFAULT 0,  -- grows whenever its objects may become others
            bag TEXT NOT NULL DEFAULT '',          -- SHA-256 of what the metadata.yaml says of the bag itself
            offered TEXT NOT NULL DEFAULT '',    -- SHA-256 of the metadata.yaml that was offered last
            metadata {blob},           -- zlib of a metadata.yaml that the storage lacks
            stale BIGINT NOT NULL DEFAULT 0,     -- not 0: the storage's metadata.yaml is older
            discarded BIGINT NOT NULL DEFAULT 0, -- it lies in the robot's trash
            wanted BIGINT NOT NULL DEFAULT 0,    -- somebody asked for its bag
            recheck BIGINT NOT NULL DEFAULT 0,   -- its objects were wrong: the robot sends them again
            accepted BIGINT NOT NULL DEFAULT 0,  -- a person wants a receipt although it is damaged
            problem TEXT NOT NULL DEFAULT '',
            freed_ns BIGINT,           -- when the robot deleted its copy
            PRIMARY KEY (site, episode)
        )
        """,
        """
        CREATE INDEX floor_episodes_to_tell ON floor_episodes (site, robot)
        WHERE wanted = 1 OR recheck = 1 OR problem <> ''
        """,
        """
        CREATE INDEX floor_episodes_to_verify ON floor_episodes (queued_ns) WHERE state = 'verifying'
        """,
        "CREATE INDEX floor_episodes_stale ON floor_episodes (site, episode) WHERE stale <> 0",
        "CREATE INDEX floor_episodes_due ON floor_episodes (site, episode) WHERE receipt_due <> 0",
        """
        CREATE INDEX floor_episodes_on_their_way ON floor_episodes (site, robot, state)
        WHERE state <> 'stored'
        """,
        """
        CREATE TABLE floor_uploads (
            site TEXT NOT NULL,
            episode TEXT NOT NULL,
            name TEXT NOT NULL,        -- of the file
            upload TEXT NOT NULL,      -- of the storage
            done BIGINT NOT NULL DEFAULT 0,
            PRIMARY KEY (site, episode, name)
        )
        """,
        """
        CREATE TABLE label_events (
            site TEXT NOT NULL,
            episode TEXT NOT NULL,
            event_id TEXT NOT NULL,
            robot TEXT NOT NULL,       -- that offered the episode
            serial BIGINT NOT NULL,    -- grows per robot
            stamp_ns BIGINT NOT NULL,
            plain TEXT NOT NULL,       -- JSON
            via TEXT NOT NULL DEFAULT '',  -- who brought it: robot, centre, copy, storage
            PRIMARY KEY (site, episode, event_id)
        )
        """,
        "CREATE UNIQUE INDEX label_events_of_robot ON label_events (site, robot, serial)",
        """
        CREATE TABLE floor_alarms (
            site TEXT NOT NULL,
            robot TEXT NOT NULL,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,     -- episode; empty: the robot
            sentence TEXT NOT NULL,
            first_ns BIGINT NOT NULL,
            last_ns BIGINT NOT NULL,
            times BIGINT NOT NULL,
            cleared_ns BIGINT,         -- NULL: it stands
            PRIMARY KEY (site, robot, kind, subject)
        )
        """,
        f"""
        CREATE TABLE floor_audit (
            serial {serial},
            at_ns BIGINT NOT NULL,
            who TEXT NOT NULL,
            address TEXT NOT NULL,
            what TEXT NOT NULL,
            fields TEXT NOT NULL,      -- JSON
            ok BIGINT NOT NULL,
            message TEXT NOT NULL
        )
        """,
        "CREATE INDEX floor_audit_by_time ON floor_audit (at_ns)",
    ]


SQLITE = _statements("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT")
POSTGRESQL = _statements("BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
revision, down_revision, upgrade = revision_of(__file__, SQLITE, POSTGRESQL)
