"""Configurations of the lab's director, as plain values that yaml.safe_dump writes."""

import copy

from lab.backends import HTTP_PORT, UDP_PORT
from lab.network import DIRECTOR, INTERFACE, VIP4, VIP6, backend_host

EXCEPTION_INTERFACE = "sluice-wan"
METRICS_PORT = 9105
SEED = "000102030405060708090a0b0c0d0e0f"
POOL = {4: "web", 6: "web6"}
VIP = {4: VIP4, 6: VIP6}


def node(socket_path, workers=1, idle="adaptive", timeouts=None, host=DIRECTOR, **more):
    """The node part: one port on the lab's interface. Ended flows are forgotten after seconds rather than minutes."""
    part = {
        "name": "lab",
        "management": "mixed",
        "ports": [{
            "name": "wan",
            "devices": [f"net_af_packet0,iface={INTERFACE}"],
            "addresses": [f"{host.ipv4}/24", f"{host.ipv6}/64"],
            "exception": {"interface": EXCEPTION_INTERFACE},
        }],
        "workers": {"count": workers, "idle": idle},
        "timeouts": {"tcp_syn_s": 10, "tcp_closing_s": 2, "tcp_reset_s": 1, "udp_s": 5, **(timeouts or {})},
        "api": {"listen": f"unix:{socket_path}"},
        "metrics": {"listen": f"127.0.0.1:{METRICS_PORT}"},
    }
    part.update(more)
    return part


def backend(index, version=4, weight=100, **more):
    host = backend_host(index)
    return {"name": host.role, "address": host.address(version), "weight": weight, **more}


def services(weights, mode="l2", versions=(4, 6), udp=True):
    """VIPs for HTTP and the UDP echo by each IP version, over the backends of `weights` ({index: weight})."""
    part = {"seed": SEED, "pools": [], "vips": []}
    for version in versions:
        part["pools"].append({"name": POOL[version],
                              "backends": [backend(index, version, weight) for index, weight in weights.items()]})
        kinds = [("http", "tcp", HTTP_PORT)] + ([("echo", "udp", UDP_PORT)] if udp else [])
        for name, protocol, port in kinds:
            part["vips"].append({"name": f"{name}{version}", "address": VIP[version], "protocol": protocol,
                                 "port": port, "pool": POOL[version], "mode": mode})
    return part


def changed(configuration, path, value):
    """A copy with the value at `path` (keys and list indexes) replaced."""
    new = copy.deepcopy(configuration)
    place = new
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return new
