# SPDX-License-Identifier: GPL-2.0-or-later
"""Collectors of others on the loopback: nfcapd and nfacctd, each with what it stored.

    with Nfcapd(directory) as collector:
        exporter.send(template, rows, to=collector.to)
        print(collector.flows())

A collector listens on a port that was free, is waited for until it listens, and is ended by
its own process group, whatever happens. All waiting is bounded. Linux only: whether a
collector listens, and has read what came, is what /proc says.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

#: Seconds after which a test gives up, and a program is ended.
DEADLINE = 12.0
_POLL = 0.05
#: Ports that are tried.
_ATTEMPTS = 10
#: Octets that may wait in the socket; the system may allow less.
_BUFFER = 4 << 20
#: Octets that a collector may write to a file: one that writes for ever gets SIGXFSZ.
FILE_LIMIT = 64 << 20
_LIMITED = ("sh", "-c", f'ulimit -f {FILE_LIMIT // 512}; ulimit -c 0; exec "$@"', "sh")
#: Times in UTC, and messages in English.
_ENVIRONMENT = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}


def missing(*names: str) -> str:
    """Why tests that need these programs are skipped; empty if they are all there."""
    if not Path("/proc/net/udp").exists():
        return "no /proc/net/udp here: not Linux"
    absent = [name for name in names if shutil.which(name) is None]
    return f"{', '.join(absent)} not installed" if absent else ""


@cache
def version(name: str) -> str:
    """Such as ``nfcapd 1.7.1``: the name and the first number in what ``-V`` prints."""
    done = subprocess.run([name, "-V"], capture_output=True, text=True, timeout=DEADLINE)
    words = (done.stdout + done.stderr).replace("NSEL-NEL", "").split()
    return f"{name} {next((word for word in words if word[:1].isdigit()), 'unknown')}"


def within_deadline(done: Callable[[], bool], seconds: float = DEADLINE) -> bool:
    """Return True once ``done`` is; poll every 50 ms until the deadline."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(_POLL)
    return done()


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program for the length of the block, then end that process alone."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def free_port(host: str) -> int:
    """Return a free UDP port. Raises OSError if the host has no such address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for last in reversed(range(_ATTEMPTS)):
        # Below those that the system gives to whoever sends, who might take it meanwhile.
        port = random.randrange(10_000, 32_000)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, port))
                break
            except OSError:
                if not last:
                    raise
    return port


@dataclass(frozen=True)
class Queue:
    """State of a UDP socket in the system: octets in its queue, datagrams dropped."""

    octets: int
    drops: int


def udp_queue(port: int) -> Queue | None:
    """Return the queue of the socket on a port, None if there is no socket."""
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if int(columns[1].rpartition(":")[2], 16) == port:
                return Queue(int(columns[4].partition(":")[2], 16), int(columns[-1]))
    return None


class NotStarted(Exception):
    """A collector did not begin to listen; the text is what it printed."""


class Collector:
    """A collector on a port of its own, from when it listens.

    Its files are in ``directory``. Raises :class:`NotStarted`, OSError where ``host`` is no
    address of this system.
    """

    name = ""

    def __init__(self, directory: Path, host: str = "127.0.0.1") -> None:
        self.directory = directory
        self.host = host
        self.port = free_port(host)
        self._log = directory / f"{self.name}.log"
        with self._log.open("wb") as log:
            # In a session of its own, to end it with the processes that it starts.
            self.process = subprocess.Popen(
                [*_LIMITED, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        try:
            if not within_deadline(lambda: not self.is_alive or self._is_ready()):
                raise NotStarted(f"{self.name} does not listen: {self.log}")
            if not self.is_alive:
                raise NotStarted(f"{self.name} ended at once: {self.log}")
        except BaseException:
            self.close()
            raise

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _is_ready(self) -> bool:
        return self.queue is not None

    @property
    def to(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    @property
    def target(self) -> str:
        """The same as the command line has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """Output so far."""
        return self._log.read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def queue(self) -> Queue | None:
        """Queue of the socket."""
        return udp_queue(self.port)

    def is_drained(self) -> bool:
        """True if the collector has read its whole queue, or has ended."""
        queue = self.queue
        return not self.is_alive or queue is None or not queue.octets

    def cpu_seconds(self) -> dict[int, float]:
        """CPU time so far of it and of each process that it started, by process id."""
        ticks = os.sysconf("SC_CLK_TCK")
        seconds = {}
        for each in Path("/proc").iterdir():
            if each.name.isdigit():
                try:
                    stat = (each / "stat").read_text(errors="replace")
                except OSError:
                    continue  # it has just ended
                # The name stands in brackets and may hold anything.
                columns = stat.rpartition(")")[2].split()
                if int(columns[2]) == self.process.pid:
                    seconds[int(each.name)] = (int(columns[11]) + int(columns[12])) / ticks
        return seconds

    def close(self) -> None:
        """End the collector and its child processes at once."""
        with suppress(ProcessLookupError):  # where none of them is left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Nfcapd(Collector):
    """nfdump's collector. It writes its flows to a file, :meth:`flows` has nfdump read it."""

    name = "nfcapd"

    def _command(self) -> list[str]:
        flows = self.directory / "flows"
        flows.mkdir()
        command = ["nfcapd", "-w", str(flows), "-C", "none", "-t", "3600", "-B", str(_BUFFER)]
        return [*command, "-b", self.host, "-p", str(self.port)]

    def terminate(self) -> bool:
        """Have the collector write its data and end; return True if it ended in time."""
        within_deadline(self.is_drained)
        self.process.terminate()
        return within_deadline(lambda: not self.is_alive, DEADLINE / 2)

    def dump(self) -> subprocess.CompletedProcess[str]:
        """Run nfdump on the files, with JSON as its output, after :meth:`terminate`."""
        return subprocess.run(
            ["nfdump", "-C", "none", "-R", str(self.directory / "flows"), "-o", "json"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE,
            env=_ENVIRONMENT,
        )

    def flows(self) -> list[dict[str, Any]]:
        """End the collector; return the flows in the order of their arrival."""
        assert self.terminate(), f"nfcapd does not end: {self.log}"
        assert self.process.returncode == 0, f"{self.process.returncode}: {self.log}"
        done = self.dump()
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


class Nfacctd(Collector):
    """pmacct's collector, with its print plugin: each second it writes what came.

    It keeps what is the same in all ``primitives``, in pmacct's words, as one record, with
    the sums of packets and octets. ``configuration`` is more lines for its file.
    """

    name = "nfacctd"

    def __init__(
        self,
        directory: Path,
        host: str = "127.0.0.1",
        primitives: str = "src_host, dst_host, src_port, dst_port, proto",
        configuration: str = "",
    ) -> None:
        #: Where it writes.
        self.output = directory / "flows.json"
        self._primitives = primitives
        self._configuration = configuration
        super().__init__(directory, host)

    def _command(self) -> list[str]:
        path = self.directory / "nfacctd.conf"
        path.write_text(
            "daemonize: false\n"
            f"nfacctd_ip: {self.host}\n"
            f"nfacctd_port: {self.port}\n"
            f"nfacctd_pipe_size: {_BUFFER}\n"
            "plugins: print\n"
            f"aggregate: {self._primitives}\n"
            "print_output: json\n"
            f"print_output_file: {self.output}\n"
            "print_output_file_append: true\n"
            "print_refresh_time: 1\n"
            "print_cache_entries: 16411\n"
            "timestamps_rfc3339: true\n"
            "timestamps_utc: true\n" + self._configuration
        )
        return ["nfacctd", "-f", str(path)]

    def _is_ready(self) -> bool:
        # Messages that arrive before the plugin starts are lost; this is its last line of output.
        return super()._is_ready() and "setting object handlers" in self.log

    def flows(self, count: int) -> list[dict[str, Any]]:
        """Return the records once there are ``count``, or fewer at the deadline."""
        within_deadline(lambda: len(self._lines()) >= count)
        return [json.loads(line) for line in self._lines()]

    def _lines(self) -> list[str]:
        """Return the complete lines of the output."""
        return self.text.split("\n")[:-1]

    @property
    def text(self) -> str:
        """Its output so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""
