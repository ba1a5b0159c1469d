# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line: one module for each command, and the terminal output they share.

``main`` starts the commands: ``dump`` prints the records of captures, the others have their
own name. Each parses its arguments and calls the packages above. The package may import all
others, and none imports it.

Modules, each importing only from those before it: ``arguments``, ``terminal``,
``sessionoptions``, ``output``, ``dump``, ``check``, ``elementsearch``, ``generate``,
``flowlines``, ``livesources``, ``pcapfiles``, ``listening``, ``send``, ``torturerun``, ``main``.
"""
