# SPDX-License-Identifier: GPL-2.0-or-later
"""Data types of times: Unix time and NTP timestamps (RFC 7011 6.1.7 to 6.1.10)."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from scapy_ipfix.model.datatype import Cache, DataType, type_named
from scapy_ipfix.model.numbers import Integer

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Seconds from the NTP epoch (1900) to the Unix epoch.
_NTP_OFFSET = 2208988800


@dataclass(frozen=True, eq=False, repr=False)
class Time(Integer):
    """Seconds (32 bits) or milliseconds (64 bits) since 1970 (RFC 7011 6.1.7, 6.1.8)."""

    ticks: int = 1
    is_time = True

    def permits(self, length: int) -> bool:
        return length == self.length

    def _integer(self, value: Any) -> int:
        if isinstance(value, str):
            try:
                return int(value, 0)
            except ValueError:
                return self._from_text(value)
        if isinstance(value, float):
            # A float is Unix time, as from time.time(); an int is the integer on the wire.
            try:
                value = _UNIX_EPOCH + timedelta(seconds=value)
            except (OverflowError, ValueError):
                raise self._misfit(value, "give a time within the years 1 to 9999") from None
        if isinstance(value, datetime):
            return self._from_datetime(value)
        return super()._integer(value)

    def _from_text(self, text: str) -> int:
        # Python 3.10 parses neither a trailing Z nor fewer than three or six decimals, and no
        # version parses nanoseconds.
        iso = text.strip().removesuffix("UTC").rstrip().replace("Z", "+00:00")
        head, dot, tail = iso.partition(".")
        rest = tail.lstrip("0123456789")
        digits = tail.removesuffix(rest)
        try:
            if dot and not digits:
                raise ValueError
            when = datetime.fromisoformat(head + rest)
        except ValueError:
            raise self._misfit(text, "give a time (ISO 8601) or a number") from None
        return self._from_datetime(when, int(f"{digits[:9]:0<9}"))

    def _from_datetime(self, when: datetime, nanoseconds: int = 0) -> int:
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone.utc)
        delta = when - _UNIX_EPOCH
        return self._ticks(
            delta.days * 86400 + delta.seconds, delta.microseconds * 1000 + nanoseconds
        )

    def _ticks(self, seconds: int, nanoseconds: int) -> int:
        """Convert the time since 1970 to the integer on the wire."""
        return seconds * self.ticks + nanoseconds * self.ticks // 1_000_000_000

    def to_microseconds(self, value: Any) -> int | None:
        """Return microseconds since 1970; None for a value that is no time of the calendar."""
        if not isinstance(value, int):
            return None
        time = value * (1_000_000 // self.ticks)
        return time if is_calendar_time(time) else None

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, int):
            return value
        try:
            return _UNIX_EPOCH + timedelta(microseconds=value * (1_000_000 // self.ticks))
        except OverflowError:
            return value

    def to_text(self, value: Any) -> str:
        """Format as UTC in ISO 8601, with the decimals of the type."""
        if not isinstance(value, int):
            return super().to_text(value)
        seconds, rest = divmod(value, self.ticks)
        text: str | None = _second_text[seconds]
        if text is None:
            return str(value)
        return text + (_DECIMALS[rest] if self.ticks == 1000 else "Z")

    def to_json(self, value: Any) -> Any:
        return value if value is None else self.to_text(value)


def _utc(seconds: int) -> str | None:
    """Format seconds since 1970, or return None beyond the calendar."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


_second_text = Cache(_utc)
#: Microseconds since 1970 of the first and the last time that datetime can have.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999


def is_calendar_time(microseconds: int) -> bool:
    """Return whether a time, in microseconds since 1970, is in the years 1 to 9999."""
    return _FIRST <= microseconds <= _LAST


def microseconds_to_datetime(microseconds: int) -> datetime:
    """Return the datetime (aware, UTC) of microseconds since 1970."""
    return _UNIX_EPOCH + timedelta(microseconds=microseconds)


def microseconds_to_text(microseconds: int) -> str:
    """Format microseconds since 1970 as UTC in ISO 8601, with six decimals."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{_second_text[seconds]}.{rest:06d}Z"


_DECIMALS = tuple(f".{rest:03d}Z" for rest in range(1000))


@dataclass(frozen=True, eq=False, repr=False)
class NTPTime(Time):
    """NTP timestamp: 32 bits of seconds, 32 of fraction (RFC 7011 6.1.9, 6.1.10).

    Seconds count from 1900; with the top bit clear they belong to the era that begins in
    2036, as in RFC 4330 section 3. All bits 0 is an unknown time there: None. With ``epoch``
    1970 seconds count from 1970, as some exporters have it. A datetime holds microseconds
    only; the integer is lossless. The low ``unused`` bits of the fraction are zero: 11 for
    microseconds.
    """

    decimals: int = 6
    unused: int = 11
    epoch: int = 1900

    def __post_init__(self) -> None:
        if self.epoch == 1900:
            super().__post_init__()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.epoch == 1900:
            return super().__reduce__()
        return at_unix_epoch, (type_named(self.name),)

    def _ticks(self, seconds: int, nanoseconds: int) -> int:
        begin, end = 0, 1 << 32
        if self.epoch == 1900:
            seconds += _NTP_OFFSET
            begin, end = 1 << 31, 3 << 31
        if not begin <= seconds < end:
            offset = _NTP_OFFSET if self.epoch == 1900 else 0
            first, last = _second_text[begin - offset], _second_text[end - 1 - offset]
            raise self._misfit(
                _UNIX_EPOCH + timedelta(seconds=seconds - offset),
                f"NTP time goes from {first}Z to {last}Z",
            )
        # Rounded up, since decoding rounds down.
        fraction = -(-(nanoseconds << 32 - self.unused) // 1_000_000_000) << self.unused
        return (seconds & 0xFFFFFFFF) << 32 | fraction

    def _split(self, value: int) -> tuple[int, int]:
        """Return seconds since 1970 and the fraction."""
        seconds = value >> 32
        if self.epoch == 1900:
            if seconds < 1 << 31:
                seconds += 1 << 32
            seconds -= _NTP_OFFSET
        return seconds, value & 0xFFFFFFFF

    def to_microseconds(self, value: Any) -> int | None:
        if not isinstance(value, int) or not 0 < value < 1 << 64:
            return None
        seconds, fraction = self._split(value)
        return seconds * 1_000_000 + (fraction * 1_000_000 >> 32)

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, int) or not 0 <= value < 1 << 64:
            return value
        if not value:
            return None
        seconds, fraction = self._split(value)
        return _UNIX_EPOCH + timedelta(seconds=seconds, microseconds=fraction * 1_000_000 >> 32)

    def to_text(self, value: Any) -> str:
        if not isinstance(value, int) or not 0 <= value < 1 << 64:
            return DataType.to_text(self, value)
        if not value:
            return ""
        seconds, fraction = self._split(value)
        decimals = fraction * 10**self.decimals >> 32
        return f"{_second_text[seconds]}.{decimals:0{self.decimals}d}Z"

    def to_json(self, value: Any) -> Any:
        return super().to_json(value) or None


@cache
def at_unix_epoch(kind: NTPTime) -> NTPTime:
    """Return the type of the same name whose seconds count from 1970."""
    return dataclasses.replace(kind, epoch=1970)
