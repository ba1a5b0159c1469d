# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line: one module for each command, and the terminal output they share.

The main module prints the records of captures and starts the other commands; each parses its
arguments and calls the packages above. The package may import all others, and none imports it.

Modules, each importing only from those before it: ``arguments``, ``sessionoptions``, ``output``,
``check``, ``elementsearch``, ``generate``, ``send``, ``torturerun``, ``main``.
"""
