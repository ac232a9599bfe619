# SPDX-License-Identifier: Apache-2.0
"""Rules as people write them, in any number. None of them is about a path that the benchmark uses."""

from __future__ import annotations

import random

FIRST = (
    "/etc/shadow", "/etc/passwd", "/proc/*/mem", "/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/**/release_agent",
    "/proc/sysrq-trigger", "/proc/kcore", "/run/secrets/kubernetes.io/serviceaccount/**", "/var/run/docker.sock",
    "/**/.ssh/**", "/etc/kubernetes/**", "/root/**", "/usr/bin/{curl,wget,nc}", "/bin/{su,mount}", "/**/id_rsa",
    "/**.pem", "/opt/**.so", "/proc/sys/**", "/sys/kernel/debug/**", "/dev/{sd,nvme,vd}*",
)  # fmt: skip
_WORDS = (
    "app", "data", "conf", "lib", "share", "cache", "log", "spool", "www", "html", "bin", "local", "opt", "srv", "java",
    "node", "python3", "site", "packages", "modules", "plugin", "tmpl", "static", "keys", "certs", "db", "mysql",
    "redis", "nginx", "env",
)  # fmt: skip
_ENDINGS = ("conf", "so", "py", "sh", "key", "crt", "json", "yaml", "db", "log", "jar", "ini")
_FORMS = (
    (0.30, "{directory}"),
    (0.60, "{directory}/**"),
    (0.75, "{directory}/*.{ending}"),
    (0.85, "/**/{word}{number}.{ending}"),
    (0.95, "{directory}/**.{ending}"),
    (1.00, "{directory}/*/{word}"),
)


def patterns(count: int) -> list[str]:
    """The first ``count`` of an endless series: exact paths, directories, endings, names anywhere."""
    source = random.Random(1)  # noqa: S311 - the same rules in every run
    found = list(FIRST)
    while len(found) < count:
        directory = "".join(f"/{_component(source)}" for _ in range(source.randrange(1, 5)))
        chosen = source.random()
        form = next(form for limit, form in _FORMS if chosen < limit)
        found.append(
            form.format(
                directory=directory,
                word=source.choice(_WORDS),
                number=source.randrange(100),
                ending=source.choice(_ENDINGS),
            )
        )
    return found[:count]


def _component(source: random.Random) -> str:
    word = source.choice(_WORDS)
    return f"{word}{source.randrange(100)}" if source.random() < 0.5 else word
