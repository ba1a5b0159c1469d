# SPDX-License-Identifier: GPL-2.0-or-later
"""Scapy layers: stateless Packets and Fields of messages, Sets, templates and records.

Bytes of a UDP payload become a message Packet with a list of Sets, and a Data Set that has
a template makes its records when they are first read; building goes the same way back.
The package imports ``wire`` and all above it, but not ``collector``: it keeps no state.

Modules, each importing only from those before it: ``context``, ``lazy``, ``fields``, ``templates``,
``recordclasses``, ``sections``, ``flowsummary``, ``resolvedproperties``, ``records``,
``recordlists``, ``sets``, ``structured``, ``messages``, ``bindings``.
"""
