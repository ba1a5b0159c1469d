# SPDX-License-Identifier: GPL-2.0-or-later
"""Collecting Process (RFC 7011 sections 8 to 10): state by Transport Session and domain.

A message of a Transport Session is read against the templates and sequence numbers of its
Observation Domain; options data and learned types (RFC 5610) add to what its records mean,
and persistence keeps it all in a file. The package imports ``wire`` and all above it, knows
neither packets nor Scapy, and is not imported by ``layers``.

Modules, each importing only from those before it: ``transportkey``, ``shrinking``, ``history``,
``sequence``, ``connections``, ``options``, ``budget``, ``metadata``, ``contextview``,
``learnedtypes``, ``supersededtemplates``, ``templatestore``, ``domain``, ``collected``,
``pending``, ``domaintable``, ``templateparser``, ``messagereader``, ``collector``,
``persistence``.
"""
