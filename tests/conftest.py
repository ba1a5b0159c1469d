# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of all tests, and the Hypothesis profile without deadlines."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from scapy.config import conf

ROOT = Path(__file__).parents[1]
#: No example has a deadline, since tests do not depend on the speed of the machine.
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
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def captures() -> Path:
    """Return the directory of captures of exporters, which is not part of the project."""
    path = ROOT.parent / "shared" / "captures"
    if not path.is_dir():
        pytest.skip("no ../shared/captures beside the repository")
    return path


@pytest.fixture
def debug_dissector() -> Iterator[None]:
    """Let errors of a layer through; by default Scapy makes Raw of the octets."""
    before, conf.debug_dissector = conf.debug_dissector, True
    yield
    conf.debug_dissector = before


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """Keep diagnostics off the terminal; tests read them from the session."""
    log = logging.getLogger("scapy.ipfix")
    level = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(level)
