# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux that has SCTP, where this one has none: ``python -m tests.interop.guest``.

Boots a Debian kernel in QEMU, shows it this machine's files (which it cannot change), and runs
the tests of SCTP there; or another command, behind ``--``. A directory given as ``--out`` is
``/media`` there, to write to. Takes ``qemu-system-x86``, ``busybox-static`` and apt, which
fetches the kernel, or ``--kernel`` with a directory that a kernel's package was unpacked to.
Nothing needs root, nor ``--accel kvm``: without it, the guest is some twenty times slower.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: The modules that the guest loads, after those that they depend on.
_MODULES = ("virtio_pci", "9p", "9pnet_virtio", "crc32c_generic", "veth", "sctp", "sctp_diag")
_TESTS = (
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
    "-m",
    "slow",
    "tests/interop/test_sctp.py",
)
_DONE = re.compile(r"^guest: ended with (\d+)", re.M)
_ROOT = Path(__file__).parents[2]
_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /root && $b mount -t proc proc /proc
for module in $($b cat /order); do $b insmod /modules/$module; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,ro root /root || $b poweroff -f
for type in proc sysfs devtmpfs; do
    case $type in sysfs) at=sys;; devtmpfs) at=dev;; *) at=$type;; esac
    $b mount -t $type $type /root/$at
done
$b mount -t tmpfs tmpfs /root/mnt
$b mount -t tmpfs tmpfs /root/run
$b mount -t 9p -o trans=virtio,version=9p2000.L out /root/media 2>/dev/null
$b ip link set lo mtu 1500 up
export HOME=/mnt TMPDIR=/mnt PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
$b chroot /root /bin/sh -c "$($b cat /command)"
echo "guest: ended with $?"
$b poweroff -f
"""


def fetched(directory: Path) -> Path:
    """Download and unpack a kernel of Debian. Raises CalledProcessError without apt."""
    says = ["apt-cache", "depends", "linux-image-amd64"]
    found = subprocess.run(says, check=True, capture_output=True, text=True).stdout
    (package,) = re.findall(r"Depends: (linux-image-\S+)", found)[:1]
    subprocess.run(["apt-get", "download", package], cwd=directory, check=True)
    (archive,) = directory.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, directory], check=True)
    return directory


def modules(directory: Path) -> list[Path]:
    """Return the modules to load, in order."""
    files = {each.stem.replace("-", "_"): each for each in directory.rglob("*.ko")}
    wanted: list[Path] = []

    def want(name: str) -> None:
        file = files.get(name.replace("-", "_"))
        if file is None or file in wanted:
            return  # built into the kernel
        for needed in _needed(file):
            want(needed)
        wanted.append(file)

    for name in _MODULES:
        want(name)
    return wanted


def _needed(file: Path) -> Iterator[str]:
    found = re.search(rb"\0depends=([^\0]*)\0", file.read_bytes())
    if found is not None and found[1]:
        yield from found[1].decode().split(",")


def initial_files(directory: Path, kernel: Path, command: str) -> Path:
    """Write the archive that the guest starts from."""
    tree = directory / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "modules").mkdir()
    busybox = shutil.which("busybox")
    if busybox is None:
        raise SystemExit("busybox-static is not installed")
    shutil.copy(busybox, tree / "bin" / "busybox")
    ordered = modules(kernel)
    for each in ordered:
        shutil.copy(each, tree / "modules" / each.name)
    (tree / "order").write_text("\n".join(each.name for each in ordered))
    (tree / "command").write_text(command)
    (tree / "init").write_text(_INIT)
    (tree / "init").chmod(0o755)
    names = "\n".join(str(each.relative_to(tree)) for each in sorted(tree.rglob("*")))
    archive = directory / "initial.cpio"
    with archive.open("wb") as file:
        pack = [busybox, "cpio", "-o", "-H", "newc"]
        subprocess.run(pack, cwd=tree, input=names.encode(), stdout=file, check=True)
    return archive


def boot(kernel: Path, archive: Path, out: Path | None, accelerator: str) -> int:
    """Run the guest; return the exit status of its command, 1 if it did not end."""
    (image,) = kernel.glob("boot/vmlinuz-*")
    share = "local,path={},mount_tag={},security_model=none,multidevs=remap"
    command = ["qemu-system-x86_64", "-accel", accelerator, "-cpu", "max", "-smp", "2", "-m", "2G"]
    command += ["-nographic", "-no-reboot", "-nic", "none", "-kernel", str(image)]
    command += ["-initrd", str(archive), "-append", "console=ttyS0 quiet panic=-1"]
    command += ["-virtfs", share.format("/", "root") + ",readonly=on"]
    if out is not None:
        command += ["-virtfs", share.format(out.resolve(), "out")]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as guest:
        assert guest.stdout is not None
        ended = None
        try:
            for line in guest.stdout:
                print(line, end="", flush=True)
                ended = _DONE.search(line) or ended
            guest.wait(30)
        finally:
            guest.kill()
    return int(ended[1]) if ended else 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status of the command in the guest."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.interop.guest", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--kernel", type=Path, help="an unpacked linux-image package")
    parser.add_argument("--out", type=Path, help="a directory, which is /media in the guest")
    parser.add_argument("--accel", default="tcg", help="QEMU's accelerator, as kvm; default: tcg")
    parser.add_argument("command", nargs="*", help="what to run; default: the tests of SCTP")
    options = parser.parse_args(arguments)
    run = options.command or [sys.executable, *_TESTS]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        kernel = options.kernel or fetched(directory)
        command = f"cd {shlex.quote(str(_ROOT))} && {shlex.join(run)}"
        archive = initial_files(directory, kernel, command)
        return boot(kernel, archive, options.out, options.accel)


if __name__ == "__main__":
    sys.exit(main())
