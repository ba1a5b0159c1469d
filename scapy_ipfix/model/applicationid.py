# SPDX-License-Identifier: GPL-2.0-or-later
"""Application ids (RFC 6759 section 4): a classification engine and a selector within it."""

from __future__ import annotations


def application_text(octets: bytes) -> str:
    """Return engine and selector as ``3:53``, for PANA-L7-PEN as ``20:12356:36660``."""
    engine, selector = octets[0], octets[1:]
    if engine == 20 and len(selector) > 4:
        pen = int.from_bytes(selector[:4], "big")
        return f"{engine}:{pen}:{int.from_bytes(selector[4:], 'big')}"
    return f"{engine}:{int.from_bytes(selector, 'big')}"
