# SPDX-License-Identifier: GPL-2.0-or-later
"""Other people's programs, as a second opinion on what a capture says."""
