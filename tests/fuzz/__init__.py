# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile input: mutants of valid and of invalid messages, floods, worst cases.

    python -m tests.fuzz --minutes 60        mutants, until something breaks or time is up
    python -m tests.fuzz --replay 4711       one mutant once more
    python -m tests.fuzz.guided              the same, led by coverage (needs atheris)
    python -m tests.fuzz.attacks             a million messages of each flood, and memory

A *story* is a few messages of one exporter, in order. ``seeds`` has the stories that
``mutation`` makes mutants of, ``wrapping`` puts their messages into packets, and
``invariants`` says what has to hold for each. What pytest runs is in ``test_*.py``.
"""
