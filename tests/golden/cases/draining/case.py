"""A backend that drains or has weight 0 gets no new flows; the others share them as if it were not there."""

import kit
from scapy.all import IP, TCP


def build(case):
    backends = {
        "web-1": {"address": "192.0.2.11", "weight": 100},
        "web-2": {"address": "192.0.2.12", "weight": 100, "drain": True},
        "web-3": {"address": "192.0.2.13", "weight": 0},
        "web-4": {"address": "192.0.2.14", "weight": 50},
    }
    case.pool("web", backends)
    # Flows of one packet may take a quarter of the table.
    case.node["tables"]["connections_v4"] = 2048
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    scheduler = kit.Scheduler({"web-1": 100, "web-4": 50})
    for port in range(1024, 1324):
        name = scheduler.choose(kit.CLIENT_V4, kit.VIP_V4, port, 80, 6)
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=port, dport=80, flags="S")
        case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out(backends[name]["address"]) / packet, "www", f"web/{name}"
        )
