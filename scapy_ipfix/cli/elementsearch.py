# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix elements``: look elements up, and renew IANA's registry."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scapy_ipfix.model.model import InformationElement, ValueNames, elements
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

#: Elements whose values are named as those of another; the rest have a file of their own name.
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 after an error, which is printed."""
    options = _parser().parse_args(arguments)
    try:
        print(options.run(options), flush=True)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scapy-ipfix elements",
        description="Look up IPFIX Information Elements, or renew IANA's registry of them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    search = commands.add_parser("search", help="elements with TEXT in name, number or owner")
    search.add_argument("text", metavar="TEXT")
    search.set_defaults(run=lambda options: elements.search(options.text))

    show = commands.add_parser("show", help="all that is known of one element")
    show.add_argument(
        "key", metavar="NAME", help="a name, a number, enterprise/number, or an IESpec"
    )
    show.set_defaults(run=lambda options: describe(options.key))

    renew = commands.add_parser("update", help="make our CSV of IANA's registry, ipfix.xml")
    renew.add_argument("xml", metavar="ipfix.xml", type=Path)
    renew.add_argument(
        "--protocol-numbers",
        type=Path,
        metavar="XML",
        help="IANA's protocol-numbers.xml: name the protocols that are new in it",
    )
    renew.add_argument("--output", type=Path, default=DATA / "0_iana.csv", metavar="CSV")
    renew.set_defaults(
        run=lambda options: update(options.xml, options.output, options.protocol_numbers)
    )
    return parser


def describe(key: str) -> str:
    """All that is known of an element, as lines of text. Raises ValueError for no element."""
    element = elements[f"({key})" if key.replace("/", "", 1).isdecimal() else key]
    low, high = element.range or ("", "")
    facts = {
        "IESpec": str(element),
        "NetFlow v9": ", ".join(elements.v9_names(element)),
        "enterprise": elements.enterprises.get(element.pen, ""),
        "semantics": element.semantics,
        "units": element.units,
        "range": f"{low} to {high}" if element.range else "",
        "status": element.status,
    }
    lines = [f"{what:<11} {fact}" for what, fact in facts.items() if fact]
    if element.values is not None:
        what = "bit" if element.values.kind == "flags" else "value"
        lines += [f"{what:<5} {value:>5} {name}" for value, name in element.values.names.items()]
    return "\n".join(lines)


def update(xml: Path, output: Path, protocol_numbers: Path | None = None) -> str:
    """Write IANA's registry of elements as this project's CSV, and say what is new in it.

    ``xml`` is a copy of https://www.iana.org/assignments/ipfix/ipfix.xml. Of the file that
    was there the ``values`` column stays; elements without get the file in ``enums`` beside
    the output that is called as they are, or as :data:`SAME_VALUES` says.
    ``protocol_numbers`` is a copy of
    https://www.iana.org/assignments/protocol-numbers/protocol-numbers.xml: what it has and
    ``enums/protocolIdentifier.csv`` has not is added there. Raises OSError and ValueError.
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
    """Add the protocols of IANA's registry whose numbers have no name yet, and name them.

    Names that are there stay, people have them in their scripts.
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
