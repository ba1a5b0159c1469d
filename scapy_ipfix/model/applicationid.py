# SPDX-License-Identifier: GPL-2.0-or-later
"""Application ids (RFC 6759 4): a classification engine, and a selector within it."""

from __future__ import annotations


def application_text(octets: bytes) -> str:
    """An applicationId as engine and selector, ``3:53``; of PANA-L7-PEN ``20:12356:36660``."""
    engine, selector = octets[0], octets[1:]
    if engine == 20 and len(selector) > 4:
        pen = int.from_bytes(selector[:4], "big")
        return f"{engine}:{pen}:{int.from_bytes(selector[4:], 'big')}"
    return f"{engine}:{int.from_bytes(selector, 'big')}"
