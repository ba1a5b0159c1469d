# SPDX-License-Identifier: GPL-2.0-or-later
"""libfixbuf, which yaf and SiLK write with, by ctypes: just enough to write an IPFIX File."""

import ctypes
import ctypes.util
from collections.abc import Sequence
from pathlib import Path

_POINTER = ctypes.c_void_p
_UINT16, _UINT32 = ctypes.c_uint16, ctypes.c_uint32


class Specification(ctypes.Structure):
    """fbInfoElementSpec_t: a field of a template, by the element's name."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("length", _UINT16),
        ("flags", _UINT32),
    ]


class Variable(ctypes.Structure):
    """fbVarfield_t: a value of variable length."""

    _fields_ = [("length", ctypes.c_size_t), ("octets", ctypes.c_char_p)]


class _Error(ctypes.Structure):
    """GError."""

    _fields_ = [("domain", _UINT32), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]


class Failed(Exception):
    """libfixbuf said no."""


def load() -> ctypes.CDLL | None:
    """Load the library; return None if it is not installed."""
    name, glib = ctypes.util.find_library("fixbuf"), ctypes.util.find_library("glib-2.0")
    if name is None or glib is None:
        return None
    # The library wants GLib's symbols and does not say that it does.
    ctypes.CDLL(glib, ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(name)
    for function in (
        *("fbInfoModelAlloc", "fbSessionAlloc", "fbTemplateAlloc", "fbExporterAllocFile"),
        "fBufAllocForExport",
    ):
        getattr(library, function).restype = _POINTER
    library.fbSessionAddTemplate.restype = _UINT16
    return library


def write(
    library: ctypes.CDLL,
    path: Path,
    domain: int,
    fields: Sequence[tuple[str, int]],
    records: Sequence[ctypes.Structure],
    scope: int = 0,
) -> None:
    """Write records to an IPFIX File: structures whose members are the fields, in order."""
    error = ctypes.POINTER(_Error)()

    def check(result: int) -> int:
        if not result:
            raise Failed(error.contents.message.decode())
        return result

    model = _POINTER(library.fbInfoModelAlloc())
    session = _POINTER(library.fbSessionAlloc(model))
    exporter = _POINTER(library.fbExporterAllocFile(str(path).encode()))
    buffer = _POINTER(library.fBufAllocForExport(session, exporter))
    library.fbSessionSetDomain(session, _UINT32(domain))
    specifications = (Specification * (len(fields) + 1))(
        *(Specification(name.encode(), length, 0) for name, length in fields)
    )
    for internal in (1, 0):
        template = _POINTER(library.fbTemplateAlloc(model))
        check(
            library.fbTemplateAppendSpecArray(
                template, specifications, _UINT32(0xFFFFFFFF), ctypes.byref(error)
            )
        )
        if scope:
            library.fbTemplateSetOptionsScope(template, _UINT16(scope))
        check(
            library.fbSessionAddTemplate(
                session, internal, _UINT16(256), template, ctypes.byref(error)
            )
        )
    check(library.fbSessionExportTemplates(session, ctypes.byref(error)))
    check(library.fBufSetInternalTemplate(buffer, _UINT16(256), ctypes.byref(error)))
    check(library.fBufSetExportTemplate(buffer, _UINT16(256), ctypes.byref(error)))
    for record in records:
        size = ctypes.c_size_t(ctypes.sizeof(record))
        check(library.fBufAppend(buffer, ctypes.byref(record), size, ctypes.byref(error)))
    check(library.fBufEmit(buffer, ctypes.byref(error)))
    library.fBufFree(buffer)
