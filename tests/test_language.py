# SPDX-License-Identifier: GPL-2.0-or-later
"""Language of docstrings and comments: nouns and verbs, not clauses that stand for them."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "scapy_ipfix").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])
#: Words that begin a clause where a noun or a verb says the same.
CLAUSES = frozenset(
    ("What", "Who", "Whoever", "Whose", "Whether", "Of", "That", "How", "As", "By", "So")
)
#: Words that the docstring of a function may not begin with: it begins with a verb.
ARTICLES = frozenset(("The", "A", "An"))
#: Imperatives that end in s, unlike the third person ("Returns").
IMPERATIVES = frozenset(("Pass", "Process", "Miss", "Address", "Access", "Suppress"))

Docstring = tuple[int, str, str]


def first_word(text: str) -> str:
    """Return the first word of a text, without markup before it."""
    match = re.match(r"[^\w`]*([A-Za-z]+)\b", text)
    return match[1] if match else ""


def docstrings(path: Path) -> Iterator[Docstring]:
    """Yield line, kind (module, class, function, property) and text of each docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module):
            kind = "module"
        elif isinstance(node, ast.ClassDef):
            kind = "class"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            kind = "property" if "property" in decorators else "function"
            if "fixture" in decorators or node.name.startswith("test_"):
                kind = "test"
            elif "legal(" in decorators:  # describes a case of the torture catalogue
                kind = "case"
        else:
            continue
        text = ast.get_docstring(node)
        if text is not None:
            yield getattr(node, "lineno", 1), kind, text


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment that begins a sentence; ``#:`` included."""
    previous = (0, 0)
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                # A line of comment below another goes on with its sentence.
                follows = token.line.lstrip().startswith("#") and previous == (
                    token.start[0] - 1,
                    token.start[1],
                )
                previous = token.start
                if not follows:
                    yield token.start[0], token.string.lstrip("#: ")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def clauses(path: Path) -> list[str]:
    """Return the docstrings and comments of a file that begin with a clause."""
    texts = [(line, text) for line, _, text in docstrings(path)] + [*comments(path)]
    return [f"line {line}: {text}" for line, text in texts if is_clause(text)]


def is_clause(text: str) -> bool:
    """Return True if the first word of a text, in any case, begins a clause."""
    return first_word(text).capitalize() in CLAUSES


def not_imperative(path: Path) -> list[str]:
    """Return the docstrings of functions that begin with an article or the third person."""
    found = []
    for line, kind, text in docstrings(path):
        word = first_word(text)
        third_person = re.fullmatch(r"[A-Z][a-z]+s", word) and word not in IMPERATIVES
        if kind == "function" and (word in ARTICLES or third_person):
            found.append(f"line {line}: {text.splitlines()[0]}")
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_begins_with_a_clause(path: Path) -> None:
    found = clauses(path)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_begin_with_an_imperative(path: Path) -> None:
    found = not_imperative(path)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("word", sorted(CLAUSES))
def test_clauses_are_found(word: str, tmp_path: Path) -> None:
    path = tmp_path / "clause.py"
    path.write_text(
        f'"""{word} it is."""\n\n'
        f"#: {word} it was.\n#: {word} follows.\nx = 1  # {word.lower()} it is\n"
    )
    assert [each.partition(":")[0] for each in clauses(path)] == ["line 1", "line 3", "line 5"]


@pytest.mark.parametrize("text", ["Returns it.", "Gives it.", "The name.", "A name.", "An id."])
def test_third_person_and_articles_are_found(text: str, tmp_path: Path) -> None:
    path = tmp_path / "function.py"
    path.write_text(f'def function():\n    """{text}"""\n')
    assert not_imperative(path) == [f"line 1: {text}"]
    path.write_text(f'@property\ndef function():\n    """{text}"""\n')
    assert not not_imperative(path)
    path.write_text('def function():\n    """Process it."""\n')
    assert not not_imperative(path)
