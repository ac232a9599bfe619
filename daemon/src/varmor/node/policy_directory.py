# SPDX-License-Identifier: Apache-2.0
"""The directory of manifests: /etc/varmor/policies.d, with policies and the behaviour models that they refer to.

One file may hold several documents. A file that cannot be read or parsed is reported and the policies that it held
before stay in force:
only a manifest that is *gone* takes its policy away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from varmor import atomic_file
from varmor.errors import PolicyError
from varmor.policy.armor_profile_model import ArmorProfileModel
from varmor.policy.manifests import Manifests, parse_manifests
from varmor.policy.types import Policy, PolicyKey

_MAX_BYTES = 1 << 20


@dataclass(slots=True)
class Listing:
    """What the directory holds: policies by key with their file, behaviour models, and the error of each file that
    could not be used.
    """

    policies: dict[PolicyKey, Policy] = field(default_factory=dict)
    sources: dict[PolicyKey, str] = field(default_factory=dict)
    models: list[ArmorProfileModel] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


class PolicyDirectory:
    """Reads and writes manifests of one directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Listing:
        """All manifests, files in the order of their names; of two documents with one key the first counts."""
        listing = Listing()
        for path in sorted(self._files()):
            try:
                manifests = _read(path)
                for model in manifests.models:
                    _add_model(listing, model)
                for policy in manifests.policies:
                    self._add(listing, policy, path)
            except PolicyError as error:
                listing.errors[path.name] = str(error)
            except (OSError, UnicodeDecodeError) as error:
                listing.errors[path.name] = f"{path}: {error}"
        return listing

    def _add(self, listing: Listing, policy: Policy, path: Path) -> None:
        if policy.key in listing.policies:
            first = listing.sources[policy.key]
            raise PolicyError(
                f"is already defined in {first}; remove one of the two", where=policy.where, subject=str(policy.key)
            )
        listing.policies[policy.key] = policy
        listing.sources[policy.key] = path.name

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Something that differs when a file was added, removed or edited: names, times of change and sizes."""
        found = []
        for path in self._files():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((path.name, status.st_mtime_ns, status.st_size))
        return tuple(sorted(found))

    def _files(self) -> list[Path]:
        if not self._path.is_dir():
            return []
        return [path for path in self._path.iterdir() if path.suffix in (".yaml", ".yml") and path.name[0] != "."]

    def file_of(self, key: PolicyKey) -> Path:
        """The file that :meth:`put` writes for a policy."""
        return self._path / (f"{key.namespace}.{key.name}.yaml" if key.namespace else f"cluster.{key.name}.yaml")

    def put(self, policy: Policy, current_source: str | None) -> str:
        """Write a policy's manifest and return the name of its file.

        Raises:
            PolicyError: the policy comes from a file that a person keeps under another name.
        """
        path = self.file_of(policy.key)
        if current_source is not None and current_source != path.name:
            raise PolicyError(
                f"is kept by hand in {self._path / current_source}; change it there, or remove it from that file",
                subject=str(policy.key),
            )
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic_file.replace_text(path, render(policy))
        return path.name

    def delete(self, key: PolicyKey, current_source: str) -> None:
        """Remove a policy's manifest.

        Raises:
            PolicyError: the policy comes from a file that a person keeps under another name.
        """
        path = self.file_of(key)
        if current_source != path.name:
            raise PolicyError(f"is kept by hand in {self._path / current_source}; remove it there", subject=str(key))
        atomic_file.remove(path)


def _add_model(listing: Listing, model: ArmorProfileModel) -> None:
    first = next((known for known in listing.models if str(known) == str(model)), None)
    if first is not None:
        raise PolicyError(
            f"is already defined in {first.where}; remove one of the two", where=model.where, subject=str(model)
        )
    listing.models.append(model)


def render(policy: Policy) -> str:
    """The manifest as YAML, keys in the order of the manifest."""
    return yaml.safe_dump(policy.manifest, sort_keys=False, default_flow_style=False, allow_unicode=True, width=100)


def _read(path: Path) -> Manifests:
    if path.stat().st_size > _MAX_BYTES:
        raise PolicyError(f"{path} is larger than {_MAX_BYTES} bytes; split it")
    return parse_manifests(path.read_text(encoding="utf-8"), str(path))
