"""The queue of reviews, decisions, recalls, quotas, and trends."""

from robot_recorder.floor.centre.database.migrate import revision_of


def _statements(blob: str, serial: str) -> list[str]:
    """Return the statements of an engine, given its types of bytes and of growing numbers."""
    return [
        """
        CREATE TABLE review_items (    -- episodes that were queued
            site TEXT NOT NULL,
            episode TEXT NOT NULL,
            task TEXT NOT NULL,
            verdict BIGINT NOT NULL,
            start_ns BIGINT NOT NULL,
            day BIGINT NOT NULL,       -- of the start, UTC
            why TEXT NOT NULL,         -- ReviewWhy
            priority BIGINT NOT NULL,  -- lower comes first
            stage BIGINT NOT NULL,     -- ReviewStage
            blind BIGINT NOT NULL,     -- not 0: a second inspector judges it as well
            claim TEXT NOT NULL DEFAULT '',
            claimed_by TEXT NOT NULL DEFAULT '',
            claim_until_ns BIGINT NOT NULL DEFAULT 0,  -- nobody gets it before
            first_by TEXT NOT NULL DEFAULT '',
            second_by TEXT NOT NULL DEFAULT '',
            winner BIGINT NOT NULL DEFAULT 0,          -- decision that counts; 0: none yet
            decided_ns BIGINT NOT NULL DEFAULT 0,      -- when the stage was reached
            PRIMARY KEY (site, episode)
        )
        """,
        "CREATE INDEX review_open ON review_items (stage, priority, start_ns) WHERE stage <= 3",
        """
        CREATE INDEX review_open_of_task ON review_items (task, stage, priority, start_ns)
        WHERE stage <= 3
        """,
        """
        CREATE INDEX review_open_of_site ON review_items (site, stage, priority, start_ns)
        WHERE stage <= 3
        """,
        """
        CREATE INDEX review_open_of_site_and_task
        ON review_items (site, task, stage, priority, start_ns) WHERE stage <= 3
        """,
        """
        CREATE INDEX review_counted ON review_items (stage, why, task, site, start_ns)
        WHERE stage <= 3
        """,
        "CREATE INDEX review_claims ON review_items (claim) WHERE claim <> ''",
        "CREATE INDEX review_claimed ON review_items (claimed_by) WHERE claimed_by <> ''",
        """
        CREATE INDEX review_samples ON review_items (task, site, day)
        WHERE why = 'sample' AND stage IN (1, 5)
        """,
        """
        CREATE TABLE review_fills (    -- one for each policy that was used, in their order
            policy TEXT PRIMARY KEY,   -- its digest
            at_ns BIGINT NOT NULL,
            cursor_site TEXT NOT NULL DEFAULT '',      -- how far known episodes have been looked at
            cursor_episode TEXT NOT NULL DEFAULT '',
            done BIGINT NOT NULL DEFAULT 0
        )
        """,
        """
        CREATE TABLE review_newcomers (    -- the first episodes of each operator
            site TEXT NOT NULL,
            operator TEXT NOT NULL,
            episode TEXT NOT NULL,
            PRIMARY KEY (site, operator, episode)
        )
        """,
        f"""
        CREATE TABLE review_decisions (    -- only ever grows
            serial {serial},
            site TEXT NOT NULL,
            episode TEXT NOT NULL,
            kind TEXT NOT NULL,        -- decision, undo
            undoes BIGINT,             -- serial of the decision that is undone
            stage BIGINT NOT NULL,     -- in which it was made
            claim TEXT NOT NULL,
            who TEXT NOT NULL,
            at_ns BIGINT NOT NULL,
            outcome TEXT NOT NULL,
            cause TEXT NOT NULL,
            usable BIGINT NOT NULL,
            reason TEXT NOT NULL,
            note TEXT NOT NULL,
            next_stage BIGINT NOT NULL -- that followed
        )
        """,
        "CREATE INDEX review_decisions_of_episode ON review_decisions (site, episode, serial)",
        "CREATE INDEX review_decisions_of_person ON review_decisions (who, serial)",
        "CREATE INDEX review_decisions_by_claim ON review_decisions (claim)",
        "CREATE INDEX review_undone ON review_decisions (undoes) WHERE undoes IS NOT NULL",
        "CREATE INDEX review_seconds ON review_decisions (at_ns) WHERE stage = 2",
        f"""
        CREATE TABLE review_labels (   -- labels that decisions still have to give
            serial {serial},
            site TEXT NOT NULL,
            episode TEXT NOT NULL,
            decision BIGINT NOT NULL,
            undo BIGINT NOT NULL,      -- not 0: take the decision's labels back
            who TEXT NOT NULL,
            not_before_ns BIGINT NOT NULL DEFAULT 0,
            tries BIGINT NOT NULL DEFAULT 0,
            problem TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX review_labels_of_episode ON review_labels (site, episode, serial)",
        """
        CREATE TABLE review_applied (  -- what a decision's labels replaced
            decision BIGINT PRIMARY KEY,
            outcome TEXT NOT NULL,
            cause TEXT NOT NULL,
            rejected BIGINT NOT NULL   -- not 0: it added the annotation
        )
        """,
        """
        CREATE TABLE review_tally (    -- decided episodes
            task TEXT NOT NULL,
            site TEXT NOT NULL,
            day BIGINT NOT NULL,       -- of the episode's start, UTC
            good BIGINT NOT NULL,
            bad BIGINT NOT NULL,
            PRIMARY KEY (task, site, day)
        )
        """,
        f"""
        CREATE TABLE review_quotas (
            serial {serial},
            site TEXT NOT NULL,        -- empty: all together
            task TEXT NOT NULL,
            per TEXT NOT NULL,         -- day, all
            target BIGINT NOT NULL,
            who TEXT NOT NULL,
            at_ns BIGINT NOT NULL,
            UNIQUE (site, task, per)
        )
        """,
        f"""
        CREATE TABLE recalls (
            serial {serial},
            reason TEXT NOT NULL,
            filter TEXT NOT NULL,      -- JSON
            who TEXT NOT NULL,
            at_ns BIGINT NOT NULL,
            state TEXT NOT NULL,       -- RecallState
            cursor_site TEXT NOT NULL DEFAULT '',      -- how far matching episodes have been looked for
            cursor_episode TEXT NOT NULL DEFAULT '',
            problem TEXT NOT NULL DEFAULT '',
            undone_by TEXT NOT NULL DEFAULT '',
            undone_reason TEXT NOT NULL DEFAULT '',
            undone_ns BIGINT
        )
        """,
        """
        CREATE TABLE recall_episodes (
            recall BIGINT NOT NULL,
            site TEXT NOT NULL,
            episode TEXT NOT NULL,
            state TEXT NOT NULL,       -- due, recalled, returning, returned, failed
            not_before_ns BIGINT NOT NULL DEFAULT 0,
            tries BIGINT NOT NULL DEFAULT 0,
            problem TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (recall, site, episode)
        )
        """,
        """
        CREATE INDEX recall_episodes_due ON recall_episodes (recall, not_before_ns)
        WHERE state IN ('due', 'returning')
        """,
        "CREATE INDEX recall_episodes_state ON recall_episodes (recall, state)",
        f"""
        CREATE TABLE trend_episodes (  -- what each episode added to the sums below
            site TEXT NOT NULL,
            episode TEXT NOT NULL,
            start_ns BIGINT NOT NULL,
            robot TEXT NOT NULL,
            operator TEXT NOT NULL,
            task TEXT NOT NULL,
            version TEXT NOT NULL,
            data {blob} NOT NULL,      -- EpisodeTrend, packed
            PRIMARY KEY (site, episode)
        )
        """,
        """
        CREATE TABLE trend_counts (    -- episodes
            day BIGINT NOT NULL,
            site TEXT NOT NULL,
            robot TEXT NOT NULL,
            operator TEXT NOT NULL,
            task TEXT NOT NULL,
            version TEXT NOT NULL,
            verdict BIGINT NOT NULL,
            n BIGINT NOT NULL,
            PRIMARY KEY (day, site, robot, operator, task, version, verdict)
        )
        """,
        """
        CREATE TABLE trend_reasons (   -- episodes in review or rejected, by each finding
            day BIGINT NOT NULL,
            site TEXT NOT NULL,
            robot TEXT NOT NULL,
            operator TEXT NOT NULL,
            task TEXT NOT NULL,
            version TEXT NOT NULL,
            verdict BIGINT NOT NULL,
            check_name TEXT NOT NULL,
            stream TEXT NOT NULL,
            n BIGINT NOT NULL,
            PRIMARY KEY (day, site, robot, operator, task, version, verdict, check_name, stream)
        )
        """,
        """
        CREATE TABLE trend_points (    -- figures of all streams of a robot on a day
            day BIGINT NOT NULL,
            site TEXT NOT NULL,
            robot TEXT NOT NULL,
            data TEXT NOT NULL,        -- JSON: kind: stream: n, sum, sum of squares, in millionths
            PRIMARY KEY (day, site, robot)
        )
        """,
    ]


SQLITE = _statements("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT")
POSTGRESQL = _statements("BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
revision, down_revision, upgrade = revision_of(__file__, SQLITE, POSTGRESQL)
