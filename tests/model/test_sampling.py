# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of sampling rates from the elements of NetFlow and PSAMP."""

import math
from typing import Any

import pytest

from scapy_ipfix.model.sampling import is_unsampled, sampling_rate


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        ({"samplingInterval": 100}, 100),
        ({"samplingInterval": 100, "samplingAlgorithm": 2}, 100),
        ({"samplingInterval": 0}, None),
        ({"samplingAlgorithm": 2}, None),
        ({"samplerRandomInterval": 10}, 10),
        # PSAMP: 1 packet in 100; 10 in 25
        ({"samplingPacketInterval": 1, "samplingPacketSpace": 99}, 100),
        ({"samplingPacketInterval": 1, "samplingPacketSpace": 0}, 1),
        ({"samplingPacketInterval": 10, "samplingPacketSpace": 15}, 2.5),
        ({"samplingPacketInterval": 0, "samplingPacketSpace": 15}, None),
        ({"samplingPacketSpace": 15}, None),
        # IANA has this replace samplingInterval, 1 in N
        ({"samplingPacketInterval": 1000}, 1000),
        ({"samplingTimeInterval": 1000, "samplingTimeSpace": 9000}, 10),
        ({"samplingSize": 2, "samplingPopulation": 64}, 32),
        ({"samplingSize": 3, "samplingPopulation": 10}, 10 / 3),
        ({"samplingSize": 64, "samplingPopulation": 2}, None),
        ({"samplingProbability": 0.1}, 10),
        ({"samplingProbability": 0.10000000149011612}, 10),  # a float32's tenth
        ({"samplingProbability": 0.3}, 1 / 0.3),
        ({"samplingProbability": 0.0}, None),
        ({"samplingProbability": 1.5}, None),
        ({"samplingProbability": math.nan}, None),
        ({"samplingProbability": 5e-324}, None),
        ({"samplingInterval": b"\0" * 9}, None),
        ({"samplingPacketInterval": 1, "samplingPacketSpace": b"\0" * 9}, None),
        ({}, None),
    ],
)
def test_rate(values: dict[str, Any], rate: float | None) -> None:
    found = sampling_rate(values)
    assert found == rate
    assert isinstance(found, int) is isinstance(rate, int)


def test_no_sampling() -> None:
    assert is_unsampled({"samplingAlgorithm": 0, "samplingInterval": 0})
    assert is_unsampled({"samplingAlgorithm": 0})
    assert not is_unsampled({"samplingAlgorithm": 0, "samplingInterval": 10})
    assert not is_unsampled({"samplingAlgorithm": 1, "samplingInterval": 0})
    assert not is_unsampled({"samplingInterval": 0})
