# SPDX-License-Identifier: Apache-2.0
"""The fields of ``bpfRawRules`` and of the allow-list of ``defenseInDepth.bpf``."""

from __future__ import annotations

from varmor.policy import schema_words
from varmor.policy.parse_bpf_rules import MAX_PATTERN
from varmor.policy.schema import Field, Rule, Schema, array, flag, integer, mapping, may, need, string
from varmor.policy.types import SelectorOperator

_PATTERN = (
    "Paths: `*` is a run without `/`, `**` any run, `?` one character, `{a,b}` alternatives, `[a-z]` a class; "
    "a pattern with `*` and without `/` means names in every directory"
)


def raw_rules() -> Schema:
    """``bpfRawRules``."""
    return mapping(
        "Rules of your own for the BPF enforcer.", *_rules((_qualifiers(),), clusterwide=True), shared="bpfRawRules"
    )


def allow_list() -> Schema:
    """``defenseInDepth.bpf.customProfile``."""
    return mapping(
        "What the workload may do; all else is refused. Entries as in `bpfRawRules`, without qualifiers.",
        *_rules((), clusterwide=False),
        may(
            "capabilities",
            _words(
                "Capabilities, such as `net_bind_service`, with or without `CAP_`.",
                schema_words.CAPABILITIES,
                least=0,
                prefix="cap_",
            ),
        ),
        may(
            "operations",
            _words(
                f"Operations that are allowed as a whole: {_listed(schema_words.OPERATIONS)}.",
                schema_words.OPERATIONS,
                least=0,
            ),
        ),
        shared="BPF allow-list",
    )


def label_selector(description: str) -> Schema:
    """A label selector of Kubernetes."""
    requirement = mapping(
        "",
        need("key", string("The label.", most=317)),
        need("operator", string("How its value is compared.", enum=tuple(each.value for each in SelectorOperator))),
        may("values", array("The values.", string("", least=0, most=63))),
    )
    labels = Schema("object", "Labels with their values; all must match.", values=string("", least=0, most=63))
    return mapping(
        description,
        may("matchLabels", labels),
        may("matchExpressions", array("Conditions on labels; all must hold.", requirement)),
        shared="Label selector",
    )


def _rules(qualifiers: tuple[Field, ...], *, clusterwide: bool) -> tuple[Field, ...]:
    return (
        may("files", array("Files, by path.", _path(qualifiers))),
        may("processes", array("Programs, by path. `files` and `processes` take the same entries.", _path(qualifiers))),
        may(
            "network",
            mapping(
                "Sockets and connections.",
                may("sockets", array("Sockets, when they are made.", _socket(qualifiers))),
                may("egress", _egress(qualifiers, clusterwide=clusterwide)),
            ),
        ),
        may("ptrace", _ptrace(qualifiers)),
        may("mounts", array("Mounts.", _mount(qualifiers))),
    )


def _qualifiers() -> Field:
    return need(
        "qualifiers",
        array(
            "`deny` refuses, `audit` records, both do both; `audit` alone records and lets pass.",
            string("", most=16, pattern=schema_words.pattern(schema_words.QUALIFIERS)),
            least=1,
        ),
    )


def _words(description: str, words: tuple[str, ...], *, least: int = 1, prefix: str = "") -> Schema:
    item = string("", most=64, pattern=schema_words.pattern(words, prefix=prefix))
    return array(description, item, least=least)


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _path(qualifiers: tuple[Field, ...]) -> Schema:
    return mapping(
        "",
        *qualifiers,
        need("pattern", string(f"{_PATTERN}.", most=MAX_PATTERN)),
        need(
            "permissions",
            _words(
                "`read` (`r`), `write` (`w`, with append), `append` (`a`), `exec` (`x`), `map` (`m`, executable "
                "mappings; `exec` has it with it), `all` (`*`).",
                words=schema_words.PERMISSIONS,
            ),
        ),
    )


def _socket(qualifiers: tuple[Field, ...]) -> Schema:
    return mapping(
        "",
        *qualifiers,
        may(
            "domains",
            _words("Address families, such as `inet`, `unix`, `netlink`; `all`.", schema_words.DOMAINS, least=0),
        ),
        may("types", _words(f"{_listed(schema_words.TYPES)}.", schema_words.TYPES, least=0)),
        may(
            "protocols",
            _words(f"{_listed(schema_words.PROTOCOLS)}. Not together with `types`.", schema_words.PROTOCOLS, least=0),
        ),
        rules=(
            Rule(
                "has(self.domains) && size(self.domains) > 0 || has(self.types) && size(self.types) > 0"
                " || has(self.protocols) && size(self.protocols) > 0",
                "expected domains, types or protocols, found none of them; domains: [all] means any socket",
            ),
            Rule(
                "!(has(self.types) && size(self.types) > 0 && has(self.protocols) && size(self.protocols) > 0)",
                "expected either types or protocols, found both: make two entries",
            ),
        ),
    )


def _egress(qualifiers: tuple[Field, ...], *, clusterwide: bool) -> Schema:
    fields = [may("toDestinations", array("Connections to addresses.", _destination(qualifiers)))]
    if clusterwide:
        fields.append(may("toServices", array("Connections to services of the cluster.", _service(qualifiers))))
        fields.append(may("toPods", array("Connections to pods of the cluster.", _pods(qualifiers))))
    return mapping("Connections to elsewhere.", *fields)


def _ports() -> Field:
    port = mapping(
        "",
        need("port", integer("The port, or the first of a range.", 1, 65535)),
        may("endPort", integer("The last port of the range.", 1, 65535)),
        rules=(Rule("!has(self.endPort) || self.endPort >= self.port", "endPort is below port"),),
    )
    return may("ports", array("Ports; none means all ports.", port))


def _destination(qualifiers: tuple[Field, ...]) -> Schema:
    return mapping(
        "",
        *qualifiers,
        may("ip", string("One address, `localhost`, `unspecified` or `pod-self`.", most=64)),
        may("cidr", string("A network, such as `10.0.0.0/8`, without host bits.", most=64)),
        _ports(),
        rules=(
            Rule("!(has(self.ip) && has(self.cidr))", "expected either ip or cidr, found both: make two entries"),
            Rule(
                "has(self.ip) || has(self.cidr) || (has(self.ports) && size(self.ports) > 0)",
                "expected ip, cidr or ports, found none of them",
            ),
        ),
    )


def _service(qualifiers: tuple[Field, ...]) -> Schema:
    return mapping(
        "",
        *qualifiers,
        may("namespace", string("The service's namespace; none means all, with `serviceSelector`.", most=63)),
        may("name", string("The service's name.", most=63)),
        may("serviceSelector", label_selector("Services by their labels, in place of `name`.")),
        rules=(
            Rule("has(self.name) != has(self.serviceSelector)", "a service needs either name or serviceSelector"),
            Rule("!has(self.name) || has(self.namespace)", "the field 'namespace' is missing"),
        ),
    )


def _pods(qualifiers: tuple[Field, ...]) -> Schema:
    return mapping(
        "",
        *qualifiers,
        may("namespace", string("The pods' namespace; none means all.", most=63)),
        need("podSelector", label_selector("Pods by their labels; `{}` means all.")),
        _ports(),
    )


def _ptrace(qualifiers: tuple[Field, ...]) -> Schema:
    return mapping(
        "Ptrace and reads of other processes' memory and environment.",
        *qualifiers,
        need(
            "permissions",
            _words(
                "`trace`, `read` (own acts), `traceby`, `readby` (those of others); `all`.", words=schema_words.PTRACE
            ),
        ),
        may("strictMode", flag("About every process, not only about those of other workloads.")),
    )


def _mount(qualifiers: tuple[Field, ...]) -> Schema:
    return mapping(
        "",
        *qualifiers,
        need("sourcePattern", string("What is mounted: a pattern as in `files`.", most=MAX_PATTERN)),
        need("fstype", string("The file system: its name, `none`, or `*`.", most=MAX_PATTERN)),
        need(
            "flags",
            _words(
                f"The rule is about a mount with any of these: {_listed(schema_words.MOUNT_FLAGS)}.",
                schema_words.MOUNT_FLAGS,
            ),
        ),
    )
