# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``load_layer("ipfix")`` loads once Scapy knows the extension.

Scapy runs this file as ``scapy.layers.ipfix``, outside the package: it hands on the names.
"""

from scapy_ipfix import *  # noqa: F403
