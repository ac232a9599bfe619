# SPDX-License-Identifier: Apache-2.0
"""The keys and certificates of a control plane that lives for one test run."""

from __future__ import annotations

from pathlib import Path

from tests.nodes.commands import run


def make(folder: Path) -> None:
    """Write ``ca``, ``server`` and ``admin`` (``.crt`` and ``.key``), and ``accounts`` (``.pub`` and ``.key``)."""
    folder.mkdir(parents=True)
    _key(folder / "accounts.key")
    run(["openssl", "pkey", "-in", str(folder / "accounts.key"), "-pubout", "-out", str(folder / "accounts.pub")])
    _key(folder / "ca.key")
    _openssl(
        folder, "req", "-x509", "-new", "-key", "ca.key", "-days", "2", "-subj", "/CN=varmor-test", "-out", "ca.crt"
    )
    _signed(folder, "server", "/CN=kube-apiserver", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    _signed(folder, "admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth")


def _key(path: Path) -> None:
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path)])


def _signed(folder: Path, name: str, subject: str, extension: str) -> None:
    _key(folder / f"{name}.key")
    _openssl(folder, "req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text(f"{extension}\n")
    _openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt",
    )  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    run(["openssl", *arguments], cwd=folder)
