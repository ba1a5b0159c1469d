# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m scapy_ipfix.elements`` looks elements up, and renews IANA's registry."""

import sys

from scapy_ipfix.elements_cli import main

sys.exit(main())
