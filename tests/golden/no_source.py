"""A port without addresses of one family, and a backend of that family behind its gateway. L2 mode needs none."""

import kit
from scapy.all import TCP


def build(case, family):
    other = 4 if family == 6 else 6
    case.port["addresses"] = [f"{kit.DIRECTOR_V4}/24"] if other == 4 else [f"{kit.DIRECTOR_V6}/64"]
    case.port["gateways"] = []
    case.port["gateway_mac"] = "02:00:00:00:01:01"
    case.pool("web", {"web-1": "2001:db8:77::1" if family == 6 else "198.18.77.1"})
    for port, mode in enumerate(("ipip", "gre", "gue", "gue-direct"), 80):
        for inner in (4, 6):
            case.vip(f"{mode}{inner}", kit.VIPS[inner], "tcp", port, "web", mode)
            packet = kit.ip_in(inner) / TCP(dport=port)
            case.send(kit.ether_in() / packet).dropped("no_tunnel_source", f"{mode}{inner}", "web/web-1", "scheduler")
