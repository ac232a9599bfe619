# SPDX-License-Identifier: Apache-2.0
"""What the role writes for container runtimes, made by Ansible itself from the role's own templates and variables."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader  # type: ignore[import-untyped]
from ansible.template import Templar, trust_as_template  # type: ignore[import-untyped]

from scripts.collection import ROOT

ROLE = ROOT / "roles" / "node"
WRAPPED = {"varmor": {"path": "/usr/bin/varmor-runc"}}
KATA = {"kata": {"path": "/usr/bin/kata"}}


def trusted(value: Any) -> Any:
    """Ansible renders only what comes from a playbook; the role's files do."""
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


def render(expression: str, **variables: Any) -> Any:
    """The value of a template with the variables of the role."""
    role = trusted(yaml.safe_load((ROLE / "vars/main.yml").read_text()))
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    known = {**defaults, **role, **trusted(variables), "role_path": str(ROLE)}
    return Templar(loader=DataLoader(), variables=known).template(trust_as_template(expression))


def docker(tasks: str, settings: dict[str, Any]) -> Any:
    """What a task of the role makes of Docker's settings."""
    (task,) = [
        entry
        for entry in yaml.safe_load((ROLE / "tasks" / tasks).read_text())
        if "__node_docker_wanted" in entry.get("vars", {})
    ]
    offer = {"runtimes": {"dockerd": {"path": "/usr/sbin/dockerd", "settings": settings}}}
    return render("{{ __node_docker_wanted }}", __node_offer=offer, **task["vars"])


def test_dockers_own_settings_are_kept() -> None:
    assert docker("docker.yml", {"log-driver": "journald", "runtimes": KATA}) == {
        "log-driver": "journald",
        "runtimes": {**KATA, **WRAPPED},
        "default-runtime": "varmor",
    }


def test_docker_is_left_alone_when_it_is_configured() -> None:
    configured = docker("docker.yml", {})
    assert docker("docker.yml", configured) == configured


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"runtimes": WRAPPED, "default-runtime": "varmor"}, {}),
        ({"runtimes": {**KATA, **WRAPPED}, "default-runtime": "varmor"}, {"runtimes": KATA}),
        ({"runtimes": WRAPPED, "default-runtime": "kata", "a": 1}, {"a": 1, "default-runtime": "kata"}),
    ],
)
def test_docker_gets_its_own_runtime_back(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert docker("absent.yml", found) == wanted


@pytest.mark.parametrize(
    ("runtimes", "chosen", "wanted"),
    [
        ({"runc": {"path": "/usr/sbin/runc"}, "crun": {"path": "/usr/bin/crun"}}, "", "/usr/sbin/runc"),
        ({"crun": {"path": "/usr/bin/crun"}}, "", "/usr/bin/crun"),
        ({"runc": {"path": "/usr/sbin/runc"}}, "/opt/runc", "/opt/runc"),
    ],
)
def test_the_runtime_behind_the_wrapper(runtimes: dict[str, Any], chosen: str, wanted: str) -> None:
    settings = render("{{ __node_wrapper_settings }}", __node_offer={"runtimes": runtimes}, node_runtime=chosen)
    assert settings == {"fail": "open", "runtime": wanted}


def test_without_a_runtime_the_wrapper_searches_itself() -> None:
    assert render("{{ __node_wrapper_settings }}", __node_offer={"runtimes": {}}) == {"fail": "open"}


def test_containerd_finds_the_wrapper_first_and_everything_else_as_before() -> None:
    text = render((ROLE / "templates/containerd.conf.j2").read_text(), ansible_managed="managed")
    path = text.partition("Environment=PATH=")[2].split()[0].split(":")
    assert path[0] == "/usr/lib/varmor/runtime"
    assert path[1:] == ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]


def test_podman_names_the_wrapper() -> None:
    text = render((ROLE / "templates/podman.conf.j2").read_text(), ansible_managed="managed")
    assert 'runtime = "varmor-runc"' in text
    assert 'varmor-runc = ["/usr/bin/varmor-runc"]' in text
