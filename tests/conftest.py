# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of all tests, and the Hypothesis profile without deadlines."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from scapy.config import conf

ROOT = Path(__file__).parents[1]
#: Examples are many small packets on a machine that others use too: none is timed.
settings.register_profile(
    "ipfix",
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ipfix")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def captures() -> Path:
    """Captures of real exporters, which are not part of the project."""
    path = ROOT.parent / "shared" / "captures"
    if not path.is_dir():
        pytest.skip("no ../shared/captures beside the repository")
    return path


@pytest.fixture
def debug_dissector() -> Iterator[None]:
    """Scapy makes Raw of what a layer fails on; here the failure is to be seen."""
    before, conf.debug_dissector = conf.debug_dissector, True
    yield
    conf.debug_dissector = before


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """Diagnostics are looked at where they are kept, not on the terminal."""
    log = logging.getLogger("scapy.ipfix")
    level = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(level)
