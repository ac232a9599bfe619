# SPDX-License-Identifier: Apache-2.0
"""``varmor detach`` ends all enforcement, and says so; the daemon's next start brings it back."""

from __future__ import annotations

from tests.integration.protected import Protected, policy
from tests.integration.test_unit import RULES, TARGET, install


def test_detach(protected: Protected) -> None:
    node = protected.node
    install(protected, "touch /etc/evil; unshare -U true && touch /tmp/escaped; echo tried; sleep 1000")
    protected.write(policy("app", TARGET, **RULES))
    done = node.run("varmor detach", check=False)
    assert done.returncode == 1
    assert "systemctl disable --now varmord.service" in done.stderr
    assert node.run("varmor detach --dry-run").stdout.count("would be removed: ") == 3
    node.run("rm -f /etc/evil /tmp/escaped; systemctl stop varmord")
    try:
        removed = node.run("varmor detach").stdout
        assert "removed: AppArmor profile varmor-default-app" in removed
        assert "removed: BPF programs /sys/fs/bpf/varmor/" in removed
        assert "removed: drop-in /etc/systemd/system/test-app.service.d/50-varmor.conf" in removed
        assert "nothing of varmor is in force here" in node.run("varmor detach").stdout
        node.run("systemctl start test-app.service --job-mode=ignore-dependencies")
        node.wait_until("journalctl -u test-app -o cat --no-pager | grep -q tried")
        node.run("test -e /etc/evil && test -e /tmp/escaped")
    finally:
        node.run("systemctl stop test-app.service; systemctl start varmord")
    node.run("rm -f /etc/evil; systemctl start test-app.service")
    assert protected.wait_for_violation(enforcer="AppArmor", action="DENIED")["unit"] == "test-app.service"
    assert node.run("test -e /etc/evil", check=False).returncode != 0
