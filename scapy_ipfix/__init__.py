# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX (RFC 7011) and NetFlow v9 (RFC 3954) for Scapy.

Layers dissect and craft export messages, and a session keeps Template state, so that Data
Sets become Data Records with one typed field for each Information Element:

>>> from scapy.all import *
>>> from scapy_ipfix import *
>>> s = IPFIXSession()
>>> pkts = sniff(offline="pcaps/softflowd_ipfix.pcap", session=s)
>>> pkts[3].show()

Packages, each importing only from those before it: ``model`` (Information Elements), ``wire``
(the message format), ``collector`` (template state), ``layers`` (Scapy packets), ``reading``
(captures, streams, columns), ``exporting``, ``testing`` (traffic and malformed messages) and
``cli``. The public names are in this module; no other is part of the interface.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scapy_ipfix.collector.collector import Limits
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.layers.bindings import bind_port
from scapy_ipfix.layers.messages import IPFIX, NetFlowV9
from scapy_ipfix.layers.records import Record
from scapy_ipfix.layers.sets import (
    DataFlowSet,
    DataSet,
    OptionsTemplateFlowSet,
    OptionsTemplateSet,
    Set,
    TemplateFlowSet,
    TemplateSet,
)
from scapy_ipfix.layers.structured import (
    BasicList,
    SubTemplateBlock,
    SubTemplateList,
    SubTemplateMultiList,
)
from scapy_ipfix.layers.templates import (
    FieldSpecifier,
    FlowSetFieldSpecifier,
    FlowSetOptionsTemplateRecord,
    FlowSetTemplateRecord,
    OptionsTemplateRecord,
    ScopeFieldSpecifier,
    TemplateRecord,
)
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.columns import address_text, read_columns, to_pandas
from scapy_ipfix.reading.ipfixfile import read_ipfix, write_ipfix
from scapy_ipfix.reading.listener import listen
from scapy_ipfix.reading.reader import dissect, iter_records
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.testing.generator import traffic
from scapy_ipfix.testing.torturecases.catalogue import torture
from scapy_ipfix.version import __version__
from scapy_ipfix.wire.template import Template

__all__ = [
    "IPFIX",
    "BasicList",
    "DataFlowSet",
    "DataSet",
    "Exporter",
    "FieldSpecifier",
    "FlowSetFieldSpecifier",
    "FlowSetOptionsTemplateRecord",
    "FlowSetTemplateRecord",
    "IPFIXSession",
    "InformationElement",
    "InformationModel",
    "Limits",
    "NetFlowV9",
    "OptionsTemplateFlowSet",
    "OptionsTemplateRecord",
    "OptionsTemplateSet",
    "Record",
    "ScopeFieldSpecifier",
    "Set",
    "SubTemplateBlock",
    "SubTemplateList",
    "SubTemplateMultiList",
    "Template",
    "TemplateFlowSet",
    "TemplateRecord",
    "TemplateSet",
    "address_text",
    "bind_port",
    "dissect",
    "elements",
    "iter_records",
    "listen",
    "read_columns",
    "read_ipfix",
    "to_pandas",
    "torture",
    "traffic",
    "write_ipfix",
]


# The packages that importing this one imports, for dir().
_PACKAGES = ("model", "wire", "collector", "layers", "reading", "exporting", "testing")


def __dir__() -> list[str]:
    """List the public names and the packages, for completion at a prompt."""
    return sorted([*__all__, *_PACKAGES, "__version__"])


def scapy_ext(ext: Any) -> None:
    """Register with Scapy: ``conf.exts.load("scapy-ipfix")``, then ``load_layer("ipfix")``."""
    ext.config("scapy-ipfix", __version__)
    ext.register("ipfix", ext.MODE.LAYERS, Path(__file__).with_name("layer.py"), default=False)
