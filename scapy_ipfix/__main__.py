# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m scapy_ipfix`` is ``scapy-ipfix``."""

import sys

from scapy_ipfix.cli.main import main

sys.exit(main())
