# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark: how fast this package is beside the others, measured in one run.

``python -m tests.benchmarks`` generates its own workloads, runs every contestant in a
process of its own, takes turns between them, and prints a table of ratios. See
``python -m tests.benchmarks --help``.

===================  =====================================================================
``workloads.py``     generates the messages: pcap files, and raw streams beside them
``contestants.py``   one function a competitor and task: what is timed
``worker.py``        the process that runs one contestant
``measure.py``       starts workers, takes turns between them, keeps the best times
``rows.py``          the table, declared: who meets whom on what, and the bars
``report.py``        the table, printed
===================  =====================================================================
"""
