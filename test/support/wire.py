"""Random fields of messages."""

from __future__ import annotations

from hypothesis import strategies as st

number = st.floats(width=64, allow_nan=False)
name = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=12)
stamp = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))
