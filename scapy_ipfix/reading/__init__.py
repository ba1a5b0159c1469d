# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources to packets, records and columns: captures, streams, sockets, IPFIX Files.

A capture or a live interface yields packets. Their messages are found, reassembled and given to
the Collecting Process, by a session or the fast path; a reader returns its records, as dicts,
tuples, arrays or Parquet files.
The package imports ``collector``, ``layers`` and all above them, but not ``exporting``.

Modules, each importing only from those before it: ``extras``, ``filterparser``, ``conditions``,
``filters``, ``capture``, ``reassembly``, ``streams``, ``sourcefiles``, ``duplicates``,
``packetreader``, ``tables``, ``session``, ``fastpath``, ``selection``, ``recordfilter``,
``reader``, ``inbox``, ``listeningsockets``, ``udpreceiver``, ``streamreceiver``,
``listenstats``, ``listener``, ``ipfixfile``, ``arrays``, ``derivedcolumns``, ``columns``,
``parquet``.
"""
