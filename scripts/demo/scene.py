# SPDX-License-Identifier: Apache-2.0
"""The node of the demonstration: an nginx with three classic holes, as a container and as a unit.

The holes are configuration mistakes seen in the field: an upload location that reaches /etc, an alias that reaches the
whole file system, and a proxy that fetches the cloud's metadata for anyone who asks.
"""

from __future__ import annotations

import json
import shlex

from tests.nodes import Node

CONTAINER_PORT = 8081
UNIT_PORT = 8082
TOKEN = "eyJhbGciOi-service-account-token"  # noqa: S105  bait for the attack, it opens nothing
CREDENTIALS = "AccessKeyId=AKIAEXAMPLE"
PAGE = "It works, and it is confined."
_TOKEN_PATH = "/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105

_NGINX = """\
user root;
worker_processes 1;
pid /run/nginx.pid;
error_log /tmp/nginx-error.log;
events {{}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root /srv/demo/www; }}
    location /upload/ {{ alias /etc/; dav_methods PUT; create_full_put_path on; }}
    location /read/ {{ alias /; }}
    location /fetch/ {{ proxy_pass http://169.254.169.254/; }}
  }}
}}
"""

# Prints "STATUS BODY" for one request; urllib would hide the status of an error.
_REQUEST = """\
import http.client, sys
method, port, path, body = sys.argv[1:5]
connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
connection.request(method, path, body=body or None)
reply = connection.getresponse()
print(reply.status, reply.read(200).decode("utf-8", "replace").strip())
"""


def prepare(node: Node) -> None:
    """Put pages, bait and configurations on the node, and a metadata service on its loopback."""
    node.put_text(_REQUEST, "/srv/demo/request.py")
    node.put_text(PAGE, "/srv/demo/www/index.html")
    node.put_text(CREDENTIALS, "/srv/demo/metadata/credentials")
    node.put_text(TOKEN, _TOKEN_PATH)
    node.put_text(_NGINX.format(port=CONTAINER_PORT), "/srv/demo/container.conf")
    node.put_text(_NGINX.format(port=UNIT_PORT), "/etc/nginx/nginx.conf")
    node.run("ip address add 169.254.169.254/32 dev lo; busybox httpd -p 169.254.169.254:80 -h /srv/demo/metadata")


def start_container(node: Node) -> None:
    """Start nginx as the container ``nginx``."""
    mounts = [
        "type=bind,src=/srv/demo/container.conf,dst=/etc/nginx/nginx.conf,options=rbind:ro",
        "type=bind,src=/srv/demo/www,dst=/srv/demo/www,options=rbind:ro",
    ]
    words = ["ctr", "run", "--detach", "--net-host"]
    for mount in mounts:
        words += ["--mount", mount]
    node.run(shlex.join([*words, "localhost/nginx:1", "nginx"]) + " </dev/null >/dev/null")
    node.wait_until(_request("GET", CONTAINER_PORT, "/") + " >/dev/null")


def start_unit(node: Node) -> None:
    """Start nginx.service."""
    node.run("systemctl start nginx.service")
    node.wait_until(_request("GET", UNIT_PORT, "/") + " >/dev/null")


def stop_workloads(node: Node) -> None:
    """Stop both, and clear up what the attacks left."""
    node.run("ctr task kill --signal KILL nginx && ctr task delete nginx; ctr container delete nginx", check=False)
    node.run("systemctl stop nginx.service; rm -f /etc/cron.d/backdoor", check=False)


def ask(node: Node, method: str, port: int, path: str, body: str = "") -> tuple[int, str]:
    """Status and body of one request from the node itself."""
    status, _, text = node.run(_request(method, port, path, body)).stdout.strip().partition(" ")
    return int(status), text


def inside(node: Node, *words: str) -> tuple[int, str]:
    """Exit status and output of a program started in the container, as `kubectl exec` would."""
    identity = f"attack-{abs(hash(words)) % 10**6}"
    command = shlex.join(["ctr", "task", "exec", "--exec-id", identity, "nginx", *words])
    done = node.run(command + " </dev/null 2>&1", check=False)
    return done.returncode, done.stdout.strip()


def violations(node: Node) -> list[dict[str, object]]:
    """The lines of violations.log."""
    lines = node.run("cat /var/log/varmor/violations.log 2>/dev/null", check=False).stdout.splitlines()
    return [json.loads(line) for line in lines]


def _request(method: str, port: int, path: str, body: str = "") -> str:
    return shlex.join(["python3", "/srv/demo/request.py", method, str(port), path, body])
