# SPDX-License-Identifier: GPL-2.0-or-later
"""Version of the package, in a module without imports: the build reads it without Scapy."""

__version__ = "0.1.0"
