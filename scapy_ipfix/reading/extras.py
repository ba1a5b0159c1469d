# SPDX-License-Identifier: GPL-2.0-or-later
"""Optional packages: numpy, pandas, pyarrow.

They are imported when a function that needs one is called: importing them takes longer than
importing all of scapy_ipfix, and dissecting a capture needs none of them.
"""

from __future__ import annotations

import importlib
from typing import Any


class MissingPackage(ImportError):
    """A missing optional package; the text has its purpose and the command to install it."""


def extra(package: str, purpose: str, name: str) -> Any:
    """Return the module ``package``, which the extra ``name`` installs.

    ``purpose`` names what needs it. Raises MissingPackage if it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as problem:
        if problem.name != package:
            raise  # the package is installed, one of its own imports fails
        text = f'{purpose} needs {package}: pip install "scapy-ipfix[{name}]"'
        raise MissingPackage(text, name=package) from None
