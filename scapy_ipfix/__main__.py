# SPDX-License-Identifier: GPL-2.0-or-later
"""Entry point of ``python -m scapy_ipfix``, the same as ``scapy-ipfix``."""

import sys

from scapy_ipfix.cli.main import main

sys.exit(main())
