# SPDX-License-Identifier: GPL-2.0-or-later
"""Exporting Process: rows to Data Records, messages, files and sockets.

Rows are encoded as Data Records and packed into messages with lengths, sequence numbers and
template refresh; these are sent to a socket or written to a capture file. The package imports
``wire`` and ``layers`` and all above them, but neither ``collector`` nor ``reading``.

Modules, each importing only from those before it: ``sending``, ``pcap``, ``packing``,
``exporter``.
"""
