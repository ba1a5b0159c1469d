# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture catalogue: messages that test a collector, legal and malformed.

Each module of cases registers its own with ``case`` when it is imported, and the catalogue
selects from them by name.

Modules, each importing only from those before it: ``case``, ``legal``, ``illegal``, ``lists``,
``records``, ``v9``, ``catalogue``.
"""

from scapy_ipfix.testing.torturecases import illegal, legal, lists, records, v9  # noqa: F401
