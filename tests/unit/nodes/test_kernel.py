# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from tests.nodes.errors import NodeError
from tests.nodes.kernel import Kernel, load_order, module_bytes, packages_of


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "modules.dep").write_text(
        "kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs.ko\n"
        "kernel/net/9p/9pnet.ko: kernel/fs/netfs.ko\n"
        "kernel/fs/netfs.ko:\n"
        "kernel/drivers/virtio-pci.ko.xz:\n"
    )
    (tmp_path / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_module_follows_what_it_needs(modules: Path) -> None:
    assert names(load_order(modules, ("9p",))) == ["netfs.ko", "9pnet.ko", "9p.ko"]


def test_nothing_is_loaded_twice_and_builtins_not_at_all(modules: Path) -> None:
    assert names(load_order(modules, ("ext4", "netfs", "9p", "virtio_pci"))) == [
        "netfs.ko",
        "9pnet.ko",
        "9p.ko",
        "virtio-pci.ko.xz",
    ]


def test_an_unknown_module_is_named(modules: Path) -> None:
    with pytest.raises(NodeError, match="'floppy' is neither there nor built in"):
        load_order(modules, ("floppy",))


def test_a_compressed_module_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.ko.xz").write_bytes(lzma.compress(b"ELF"))
    (tmp_path / "b.ko").write_bytes(b"ELF")
    assert module_bytes(tmp_path / "a.ko.xz") == module_bytes(tmp_path / "b.ko") == b"ELF"


def test_a_kernel_knows_where_its_parts_are() -> None:
    kernel = Kernel("6.1.0-1-amd64", "6.1.1-1", Path("/cache/k"))
    assert kernel.image == Path("/cache/k/vmlinuz")
    assert kernel.modules == Path("/cache/k/lib/modules/6.1.0-1-amd64")


def test_a_kernel_may_be_one_package_or_several() -> None:
    one = {"linux-image-amd64": "6.1", "linux-image-6.1.0-9-amd64": "6.1", "kmod": "30", "linux-base": "4"}
    assert packages_of(one, "amd64") == ("6.1.0-9-amd64", {"linux-image-6.1.0-9-amd64": "6.1"})
    several = {"linux-image-7.3-amd64": "7.3", "linux-modules-7.3-amd64": "7.3", "linux-modules-amd64": "7.3"}
    release, packages = packages_of(several, "amd64")
    assert release == "7.3-amd64"
    assert list(packages) == ["linux-image-7.3-amd64", "linux-modules-7.3-amd64"]


def test_a_suite_without_the_kernel_is_an_error() -> None:
    with pytest.raises(NodeError, match="expected one linux-image-<release>"):
        packages_of({"linux-image-6.1-cloud-amd64-dbg": "6.1"}, "cloud-amd64")
