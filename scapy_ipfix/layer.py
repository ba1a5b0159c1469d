# SPDX-License-Identifier: GPL-2.0-or-later
"""Module that ``load_layer("ipfix")`` loads after ``conf.exts.load("scapy-ipfix")``.

Scapy executes this file as ``scapy.layers.ipfix``, outside the package, for its names.
"""

from scapy_ipfix import *  # noqa: F403
