# SPDX-License-Identifier: GPL-2.0-or-later
"""The version, readable without Scapy: the build needs it before there is one."""

__version__ = "0.1.0"
