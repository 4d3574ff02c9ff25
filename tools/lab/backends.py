"""What runs on the backends: nginx, the UDP echo, and for tunnels the backend agent."""

import hashlib
import json
import os

from lab.network import DIRECTOR, INTERFACE, VIP4, VIP6
from lab.process import LabError, wait_until

HTTP_PORT = 80
PROXY_PORT = 8081  # nginx expects the PROXY protocol there
UDP_PORT = 9000
BIG_BYTES = 24 * 1024 * 1024
_HERE = os.path.dirname(os.path.abspath(__file__))

_NGINX_CONF = """\
daemon off;
master_process off;
worker_rlimit_nofile 16384;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  keepalive_timeout 300s;
  reset_timedout_connection off;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  add_header X-Backend {name} always;
  server {{
    listen {port} reuseport backlog=4096;
    listen [::]:{port} reuseport backlog=4096;
    root {files};
    # The backend's own name; connections may stay open for good.
    location = / {{ keepalive_requests 100000000; default_type text/plain; return 200 "{name}\\n"; }}
    # The same, but connections end after 50 requests, so that a load makes new ones all the time.
    location = /short {{ keepalive_requests 50; default_type text/plain; return 200 "{name}\\n"; }}
    # What it tells health checks of its load.
    location = /load {{ add_header Sluice-Load {load}; return 200 "{name}\\n"; }}
    location = /overload {{ add_header Sluice-Load 1.5; return 200 "{name}\\n"; }}
    location = /big {{ }}
    # The big file, slowly: 256 kB/s.
    location = /slow {{ limit_rate 256k; try_files /big =404; }}
    # Whom the backend sees.
    location = /client {{ default_type text/plain; return 200 "$remote_addr\\n"; }}
    # PUT: kept under the backend's own directory.
    location /upload/ {{ root {directory}; dav_methods PUT; client_max_body_size 64m;
      create_full_put_path on; }}
  }}
  server {{
    listen {proxy_port} proxy_protocol reuseport backlog=4096;
    listen [::]:{proxy_port} proxy_protocol reuseport backlog=4096;
    root {files};
    location = / {{ keepalive_requests 100000000; default_type text/plain; return 200 "{name}\\n"; }}
    location = /short {{ keepalive_requests 50; default_type text/plain; return 200 "{name}\\n"; }}
    # Whom the PROXY protocol's header names, at both ends, and whom the connection comes from.
    location = /client {{ default_type text/plain;
      return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $remote_addr\\n"; }}
    location /big {{ }}
    location /upload/ {{ root {directory}; dav_methods PUT; client_max_body_size 64m;
      create_full_put_path on; }}
  }}
}}
"""


class Backends:
    """The servers of all backends of a network; /big and /slow send the file `big_path` with the hash `big_sha256`."""

    def __init__(self, owner, network, binaries):
        self._run = owner
        self._network = network
        self._binaries = binaries
        self._agent_starts = 0
        self._files = os.path.join(owner.directory, "files")
        os.makedirs(self._files, exist_ok=True)
        self.big_path = os.path.join(self._files, "big")
        self.big_sha256 = _write_big(self.big_path)
        self.nginx = {}
        self.udp = {}
        self.agents = {}

    def start_nginx(self):
        for role, namespace in self._network.backends.items():
            if role not in self.nginx:
                self.nginx[role] = self._start_one_nginx(role, namespace)
        for role, namespace in self._network.backends.items():
            _wait_listening(namespace, self.nginx[role], "-Htln", HTTP_PORT)

    def uploaded(self, role, name):
        """The bytes that a PUT of /upload/NAME left at a backend."""
        with open(os.path.join(self._run.directory, f"nginx-{role}", "upload", name), "rb") as file:
            return file.read()

    def start_udp(self):
        """Answers each datagram to a VIP with "NAME " and the datagram."""
        for role, namespace in self._network.backends.items():
            if role not in self.udp:
                self.udp[role] = namespace.start(f"udp-{role}", [
                    "/usr/bin/python3", os.path.join(_HERE, "servers", "udp_echo.py"), role, str(UDP_PORT), VIP4, VIP6])
        for role, namespace in self._network.backends.items():
            _wait_listening(namespace, self.udp[role], "-Huln", UDP_PORT)

    def accept_tunnels(self, agent_options=()):
        """Starts the backend agent, which takes tunnels off, on every backend; {role: its process} in `agents`."""
        for role in self._network.backends:
            if role not in self.agents:
                self.start_agent(role, *agent_options)

    def start_agent(self, role, *options):
        """Starts the agent of one backend, and waits until it is ready."""
        self._agent_starts += 1
        agent = self._network.backends[role].start(
            f"sluice-backend-{role}-{self._agent_starts}",
            self.agent_command("run", "--interface", INTERFACE, "--director", f"{DIRECTOR.ipv4},{DIRECTOR.ipv6}",
                               "--vip", f"{VIP4},{VIP6}", *options))

        def ready():
            if not agent.running():
                raise LabError(f"{agent.name} ended at its start:\n{agent.log()}")
            return " ready\n" in agent.log()

        wait_until(ready, 20, f"{agent.name} is ready")
        self.agents[role] = agent

    def agent_command(self, *arguments):
        return [os.path.join(self._binaries, "sluice-backend"), *arguments]

    def agent_status(self, role):
        """What the agent of a backend does: one group of `sluice-backend status`."""
        answer = self._network.backends[role].run(self.agent_command("status", "-o", "json"))
        group, = json.loads(answer.stdout)["groups"]
        return group

    def agent_counters(self):
        """What the agents of all backends counted together: {name: number}."""
        total = {}
        for role in self.agents:
            for name, value in self.agent_status(role)["counters"].items():
                total[name] = total.get(name, 0) + value
        return total

    def _start_one_nginx(self, role, namespace):
        directory = os.path.join(self._run.directory, f"nginx-{role}")
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(_NGINX_CONF.format(directory=directory, name=role, files=self._files, port=HTTP_PORT,
                                          proxy_port=PROXY_PORT, load=0.9 if role == "backend-1" else 0.3))
        return namespace.start(f"nginx-{role}", ["nginx", "-p", directory, "-c", path, "-e", f"{directory}/error.log"])


def _wait_listening(namespace, process, options, port):
    def listening():
        if not process.running():
            process.wait(1)
            raise RuntimeError(f"{process.name} ended at its start:\n{process.log()}")
        return f":{port} " in namespace.run(["ss", options]).stdout

    wait_until(listening, 10, f"{process.name} listens on port {port}")


def _write_big(path):
    """Bytes that no two places share, so that a lost or repeated piece shows in the hash."""
    total = hashlib.sha256()
    block = hashlib.shake_256(b"sluice lab").digest(1024 * 1024)
    with open(path, "wb") as file:
        for index in range(BIG_BYTES // len(block)):
            piece = index.to_bytes(8, "big") + block[8:]
            file.write(piece)
            total.update(piece)
    return total.hexdigest()
