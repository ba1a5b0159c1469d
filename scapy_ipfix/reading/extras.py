# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that we can do without: numpy, pandas, pyarrow.

They are imported when a function that needs one is called, not with this package: they take
longer to import than all of ours, and most who dissect a capture never need them.
"""

from __future__ import annotations

import importlib
from typing import Any


class MissingPackage(ImportError):
    """A package is not installed; the text says what it is needed for and how to get it."""


def extra(package: str, purpose: str, name: str) -> Any:
    """The module ``package``, which our extra ``name`` installs, for ``purpose``.

    Raises MissingPackage where it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as problem:
        if problem.name != package:
            raise  # installed, and lacks something itself
        text = f'{purpose} needs {package}: pip install "scapy-ipfix[{name}]"'
        raise MissingPackage(text, name=package) from None
