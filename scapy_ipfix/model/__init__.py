# SPDX-License-Identifier: GPL-2.0-or-later
"""Information model (RFC 7012): abstract data types, Information Elements, registries.

Data types turn octets into values, an element gives a type its name and number, a registry
reads elements from files, and a model resolves names, numbers and IESpecs (RFC 7013) to
elements. The package imports ``scapy_ipfix.text`` alone, and knows neither templates nor Scapy.

Modules, each importing only from those before it: ``datatype``, ``numbers``, ``addresses``,
``times``, ``datatypes``, ``iespec``, ``element``, ``applicationid``, ``sampling``,
``registryfiles``, ``reverse``, ``registry``, ``search``, ``model``.
"""
