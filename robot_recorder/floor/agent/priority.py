"""Which episode is sent next: asked-for first, rejected last, older before younger."""

from __future__ import annotations

# Of a table with these columns; the outbox has an index by it, so the next one is found at once.
SEND_ORDER = "CASE WHEN asked THEN 0 WHEN verdict = 'reject' THEN 2 ELSE 1 END, start_ns, name"
