# SPDX-License-Identifier: GPL-2.0-or-later
"""Test input for collectors: generated traffic, replayed captures, malformed messages.

The generator makes flows for an exporter, replay sends a capture anew with current times, and
the torture catalogue has legal and illegal messages with the defects they contain. The
package imports all packages above it, ``reading`` and ``exporting`` included.

Modules, each importing only from those before it: ``generator``, ``replay``, ``torturecases``.
"""
