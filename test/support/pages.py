"""Commands in the documentation, parsed as by a shell."""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOOLS = ("robot-recorder", "ros2", "make", "call")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
_SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_INNER = re.compile(r"\$\(([^()]*)\)")


@dataclass(frozen=True)
class Snippet:
    """A code block, or a text in backticks."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*languages: str) -> list[Snippet]:
    """Return the code blocks in these languages."""
    return [
        Snippet(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for page in PAGES
        for text in [page.read_text()]
        for found in _BLOCK.finditer(text)
        if found[1] in languages
    ]


def commands(tool: str) -> list[Snippet]:
    """Return every command line that begins with a tool: in blocks, in `$(`, and in the text."""
    found = []
    for block in blocks("sh", "bash"):
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            if shlex.split(line, comments=True)[:1] == [tool]:
                found.append(Snippet(block.page, number, "sh", re.sub(r"\s+#.*", "", line)))
    for page in PAGES:
        text = _BLOCK.sub(lambda m: "\n" * m[0].count("\n"), page.read_text())
        for span in _SPAN.finditer(text):
            words = span[1].replace("\n", " ")
            if words.startswith(f"{tool} "):
                found.append(Snippet(page, text.count("\n", 0, span.start()) + 1, "", words))
    return found


class Shell:
    """A shell without processes, for `$(...)`, globs, comments and `>`.

    Of a pipe only the first command is run.
    """

    def __init__(self, run: Callable[[list[str]], str], placeholders: dict[str, list[str]]) -> None:
        """Set up the shell.

        Args:
            run: runs one command given as words, and returns its output.
            placeholders: replacements for words of the documentation.
        """
        self._run = run
        self._placeholders = placeholders

    def __call__(self, line: str) -> str:
        """Run a line of the documentation and return its output."""
        line = _INNER.sub(lambda inner: " ".join(self(inner[1]).split()), line)
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
        lexer.whitespace_split = True
        words = list(lexer)
        target = ""
        if "|" in words:
            words = words[: words.index("|")]
        if ">" in words:
            target = words[words.index(">") + 1]
            words = words[: words.index(">")]
        printed = self._run([w for word in words for w in self._expanded(word)])
        if target:
            Path(target).write_text(printed)
        return printed

    def _expanded(self, word: str) -> Iterator[str]:
        if word in self._placeholders:
            yield from self._placeholders[word]
        elif "*" in word:
            yield from sorted(glob.glob(word)) or [word]
        else:
            yield word
