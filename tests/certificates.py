# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for TLS in tests, made with openssl."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


def make_certificate(directory: Path, name: str) -> tuple[str, str]:
    """Return the paths of a self-signed certificate for ``name`` and of its key.

    Skips the test where openssl is not installed.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return str(certificate), str(key)


def server_context(certificate: str, key: str, exporters: str | None = None) -> ssl.SSLContext:
    """Return the context of a collector; ``exporters`` is the certificate that they must have."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if exporters is not None:
        context.load_verify_locations(exporters)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    collector: str, certificate: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """Return the context of an exporter that trusts a collector's certificate."""
    context = ssl.create_default_context(cafile=collector)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
