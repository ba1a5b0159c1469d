# SPDX-License-Identifier: GPL-2.0-or-later
"""Parser of filter expressions: text to a tree of comparisons.

    expression = conjunction { ("or" | "||") conjunction }
    conjunction = negation { ("and" | "&&") negation }
    negation = ("not" | "!") negation | "(" expression ")" | comparison
    comparison = field [operator] value | field ["not"] "in" values | field
    operator = "=" "==" "!=" "<" "<=" ">" ">=" "contains" "has"
    values = value | "{" value { [","] value } "}" (also in "[]" and "()")
    field = ["src" | "dst"] word

The parser knows the words of the grammar and no field. :mod:`~scapy_ipfix.reading.filters`
resolves fields and values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

#: Most characters, parentheses and ``not`` within each other, that an expression may have.
MAX_LENGTH, MAX_DEPTH = 65_536, 100


class FilterError(ValueError):
    """Mistake in a filter expression; ``column`` counts characters from 1."""

    def __init__(self, problem: str, text: str, column: int) -> None:
        start = max(0, column - 40)
        shown = text[start : start + 76].replace("\n", " ")
        super().__init__(
            f"filter, column {column}: {problem}\n  {shown}\n  {' ' * (column - 1 - start)}^"
        )
        self.problem = problem
        self.column = column


class Token(NamedTuple):
    """Word, quoted text, operator or bracket of an expression."""

    kind: str
    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of a field with values; with the operator "present", none."""

    #: "src", "dst" or "".
    direction: str
    field: Token
    operator: str
    values: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """Records that an expression does not select."""

    item: Node


@dataclass(frozen=True, slots=True)
class Combination:
    """Records that all items (``and``) or any of them (``or``) select."""

    operator: str
    items: tuple[Node, ...]


Node = Comparison | Negation | Combination

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator>==|!=|<=|>=|&&|\|\||=|<|>|!)
      | (?P<bracket>[()\[\]{},])
      | (?P<word>[^\s()\[\]{},"'=<>!&|]+)""",
    re.VERBOSE,
)
_KEYWORDS = {"and", "or", "not", "in"}
_SYMBOLS = {"&&": "and", "||": "or", "!": "not", "==": "="}
_OPERATORS = {"=", "!=", "<", "<=", ">", ">=", "contains", "has"}
_DIRECTIONS = {"src", "dst"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def parse(text: str, words: frozenset[str]) -> Node:
    """Parse a filter expression.

    ``words`` are the field words that may follow ``src`` and ``dst``. Raises FilterError.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the expression has more than {MAX_LENGTH:,} characters", text, 1)
    return _Parser(text, words).parse()


def _tokens(text: str) -> list[Token]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            character = text[position]
            problem = f"unexpected character {character!r}"
            if character in "\"'":
                problem = f"the quote {character} is not closed"
            raise FilterError(problem, text, position + 1)
        position = match.end()
        kind, found = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        if kind == "quoted":
            found = re.sub(r"\\(.)", r"\1", found[1:-1], flags=re.DOTALL)
        elif kind == "operator":
            found = _SYMBOLS.get(found, found)
            kind = "keyword" if found in _KEYWORDS else kind
        elif kind == "word" and found.lower() in _KEYWORDS:
            kind, found = "keyword", found.lower()
        elif kind == "word" and found.lower() in _OPERATORS:
            kind, found = "operator", found.lower()
        tokens.append(Token(kind, found, match.start() + 1))
    tokens.append(Token("end", "", len(text) + 1))
    return tokens


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str, words: frozenset[str]) -> None:
        self._text = text
        self._words = words
        self._tokens = _tokens(text)
        self._position = 0
        self._depth = 0

    def parse(self) -> Node:
        if self._next.kind == "end":
            self._fail("the expression is empty; write for example: dst port 443")
        node = self._expression()
        if self._next.kind != "end":
            self._fail(f"'and' or 'or' is missing before {self._next.text!r}")
        return node

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _fail(self, problem: str, token: Token | None = None) -> NoReturn:
        raise FilterError(problem, self._text, (token or self._next).column)

    def _advance(self) -> Token:
        token = self._next
        self._position += 1
        return token

    def _accept(self, kind: str, *texts: str) -> Token | None:
        token = self._next
        if token.kind == kind and (not texts or token.text in texts):
            return self._advance()
        return None

    def _combined(self, operator: str, item: Callable[[], Node]) -> Node:
        items = [item()]
        while self._accept("keyword", operator):
            items.append(item())
        return items[0] if len(items) == 1 else Combination(operator, tuple(items))

    def _expression(self) -> Node:
        return self._combined("or", self._conjunction)

    def _conjunction(self) -> Node:
        return self._combined("and", self._negation)

    def _negation(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"more than {MAX_DEPTH} levels of 'not' and parentheses")
        node: Node
        if self._accept("keyword", "not"):
            node = Negation(self._negation())
        elif opening := self._accept("bracket", "("):
            node = self._expression()
            if not self._accept("bracket", ")"):
                self._fail("the parenthesis is not closed", opening)
        else:
            node = self._comparison()
        self._depth -= 1
        return node

    def _comparison(self) -> Node:
        direction = ""
        field = self._field()
        if field.text.lower() in _DIRECTIONS:
            direction = field.text.lower()
            if self._next.kind == "word" and self._next.text.lower() in self._words:
                field = self._advance()
        if self._accept("keyword", "in"):
            return Comparison(direction, field, "in", self._values())
        following = self._tokens[self._position + 1] if self._next.kind != "end" else self._next
        if self._next.text == "not" and (following.kind, following.text) == ("keyword", "in"):
            self._position += 2
            return Negation(Comparison(direction, field, "in", self._values()))
        operator = self._accept("operator")
        if operator is not None:
            return Comparison(direction, field, operator.text, (self._value(operator.text),))
        if self._next.kind in ("word", "quoted"):
            return Comparison(direction, field, "", (self._advance(),))
        return Comparison(direction, field, "present", ())

    def _field(self) -> Token:
        token = self._next
        if token.kind == "word":
            return self._advance()
        if token.kind == "end":
            problem = "a field is missing at the end, for example: dst port 443"
        else:
            problem = f"expected a field name, not {token.text!r}"
        return self._fail(problem)

    def _value(self, operator: str) -> Token:
        if self._next.kind in ("word", "quoted"):
            return self._advance()
        return self._fail(f"expected a value after {operator!r}")

    def _values(self) -> tuple[Token, ...]:
        opening = self._accept("bracket", *_CLOSING)
        if opening is None:
            return (self._value("in"),)
        values = []
        while not self._accept("bracket", _CLOSING[opening.text]):
            if self._next.kind == "end":
                self._fail(f"the list is not closed with {_CLOSING[opening.text]!r}", opening)
            values.append(self._value("in"))
            self._accept("bracket", ",")
        if not values:
            self._fail("the list has no values", opening)
        return tuple(values)
