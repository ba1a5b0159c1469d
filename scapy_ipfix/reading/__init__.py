# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources to packets, records and columns: captures, streams, sockets, IPFIX Files.

A capture or stream gives packets or messages, a session or the fast path has the Collecting
Process read them, and a reader hands out records, rows of columns, arrays or Parquet files.
The package imports ``collector``, ``layers`` and all above them, but not ``exporting``.

Modules, each importing only from those before it: ``extras``, ``capture``, ``reassembly``,
``streams``, ``session``, ``fastpath``, ``reader``, ``ipfixfile``, ``arrays``, ``columns``,
``parquet``.
"""
