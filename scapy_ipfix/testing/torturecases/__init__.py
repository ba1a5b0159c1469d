# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture catalogue: messages that test a collector, legal and malformed.

Each of ``legal``, ``illegal``, ``lists``, ``records`` and ``v9`` registers its cases with
``case`` when it is imported; ``catalogue`` selects from them by name.
"""

from scapy_ipfix.testing.torturecases import illegal, legal, lists, records, v9  # noqa: F401
