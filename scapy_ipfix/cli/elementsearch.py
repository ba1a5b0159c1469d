# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix elements``: look up Information Elements, and update IANA's registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scapy_ipfix.cli.arguments import Parser
from scapy_ipfix.cli.terminal import print_error, reason
from scapy_ipfix.model.element import InformationElement, ValueNames
from scapy_ipfix.model.model import elements
from scapy_ipfix.model.registryfiles import (
    COLUMNS,
    DATA,
    Row,
    csv_rows,
    line_error,
    read_protocols,
    read_text,
    read_xml,
    write_csv,
)

#: Elements that share the value names of another; others have a file of their own name.
SAME_VALUES = {
    "egressInterfaceType": "interfaceType",
    "exportTransportProtocol": "protocolIdentifier",
    "ingressInterfaceType": "interfaceType",
    "ipv6ExtensionHeaderType": "protocolIdentifier",
    "nextHeaderIPv6": "protocolIdentifier",
    "postIpClassOfService": "ipClassOfService",
    "postIpDiffServCodePoint": "ipDiffServCodePoint",
    "postIpPrecedence": "ipPrecedence",
    "tcpOptionsFull": "tcpOptions",
}


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status, 1 after an error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        text = options.run(options)
    except (OSError, ValueError) as problem:
        print_error(parser.prog, reason(problem))
        return 1
    print(text, flush=True)
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="scapy-ipfix elements",
        description="Look up IPFIX Information Elements, or update the copy of IANA's registry.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    search = commands.add_parser("search", help="list elements with TEXT in name, id or enterprise")
    search.add_argument("text", metavar="TEXT")
    search.set_defaults(run=lambda options: elements.search(options.text))

    show = commands.add_parser("show", help="print the definition of one element")
    show.add_argument(
        "key", metavar="NAME", help="name (IPFIX or NetFlow v9), id, enterprise/id, or IESpec"
    )
    show.set_defaults(run=lambda options: describe(options.key))

    update = commands.add_parser("update", help="convert IANA's ipfix.xml to this package's CSV")
    update.add_argument(
        "xml", metavar="ipfix.xml", type=Path, help="copy of IANA's registry of elements"
    )
    update.add_argument(
        "--protocol-numbers",
        type=Path,
        metavar="XML",
        help="IANA's protocol-numbers.xml: add names of new protocols from it",
    )
    update.add_argument(
        "--output",
        type=Path,
        default=DATA / "0_iana.csv",
        metavar="CSV",
        help="file to update (default: the one that the package reads)",
    )
    update.set_defaults(
        run=lambda options: update_registry(options.xml, options.output, options.protocol_numbers)
    )
    return parser


def describe(key: str) -> str:
    """Return the definition of an element as lines of text.

    ``key`` is a name, an id, ``enterprise/id`` or an IESpec. Raises ValueError if no element
    has it.
    """
    element = elements[f"({key})" if key.replace("/", "", 1).isdecimal() else key]
    low, high = element.range or ("", "")
    properties = {
        "IESpec": str(element),
        "NetFlow v9": ", ".join(elements.v9_names(element)),
        "enterprise": elements.enterprises.get(element.pen, ""),
        "semantics": element.semantics,
        "units": element.units,
        "range": f"{low} to {high}" if element.range else "",
        "status": element.status,
    }
    lines = [f"{name:<11} {value}" for name, value in properties.items() if value]
    if element.values is not None:
        kind = "bit" if element.values.kind == "flags" else "value"
        lines += [f"{kind:<5} {value:>5} {name}" for value, name in element.values.names.items()]
    return "\n".join(lines)


def update_registry(xml: Path, output: Path, protocol_numbers: Path | None = None) -> str:
    """Write IANA's registry of elements as this package's CSV, and return the changes as text.

    ``xml`` is a copy of https://www.iana.org/assignments/ipfix/ipfix.xml. The ``values``
    column of an existing output is kept. An element without one gets the file in ``enums``
    beside the output that has its name, or the name in :data:`SAME_VALUES`.
    ``protocol_numbers`` is a copy of
    https://www.iana.org/assignments/protocol-numbers/protocol-numbers.xml; protocols that
    ``enums/protocolIdentifier.csv`` lacks are added there. Raises OSError and ValueError.
    """
    enums = output.parent / "enums"
    old = _rows(output) if output.exists() else {}
    new: dict[int, Row] = {}
    for line, element in read_xml(xml, read_text(xml)):
        if element.id in new:
            raise line_error(xml, line, f"{element} has the number of {new[element.id].name}")
        values = old[element.id].values if element.id in old else ""
        new[element.id] = Row.from_element(element)._replace(
            values=values or _value_names(element, enums)
        )
    changes = [change for id in sorted(old.keys() | new) for change in _changes(old, new, id)]
    if protocol_numbers is not None:
        changes += _update_protocols(protocol_numbers, enums / "protocolIdentifier.csv")
    _write(output, write_csv(new[id] for id in sorted(new)))
    return "\n".join([*changes, f"{output}: {len(new)} elements, {len(changes)} changes"])


def _value_names(element: InformationElement, enums: Path) -> str:
    name = SAME_VALUES.get(element.name, element.name)
    if not (enums / f"{name}.csv").exists():
        return ""
    return f"{'flags' if element.semantics == 'flags' else 'enum'}:{name}"


def _update_protocols(xml: Path, output: Path) -> list[str]:
    """Add the protocols whose numbers have no name yet, and return a line for each.

    Existing names stay: scripts use them.
    """
    names = dict(ValueNames("enum", output).names)
    added = []
    for number, name in read_protocols(xml, read_text(xml)):
        if names.setdefault(number, name) is name:
            added.append(f"+ protocol {number} {name}")
    rows = "".join(f"{number},{name}\n" for number, name in sorted(names.items()))
    _write(output, f"value,name\n{rows}")
    return added


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _rows(path: Path) -> dict[int, Row]:
    rows = (Row(*cells) for _, cells in csv_rows(path, read_text(path), COLUMNS))
    return {int(row.id): row for row in rows}


def _changes(old: dict[int, Row], new: dict[int, Row], id: int) -> list[str]:
    if id not in old:
        return [f"+ {new[id].name}({id})<{new[id].type}>"]
    if id not in new:
        return [f"- {old[id].name}({id})<{old[id].type}>"]
    return [
        f"~ {new[id].name}({id}): {column} {before!r} -> {after!r}"
        for column, before, after in zip(COLUMNS, old[id], new[id], strict=True)
        if before != after
    ]
