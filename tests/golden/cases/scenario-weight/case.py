"""Changing weights: connections stay, new ones are spread by the new weights. Weight 0 takes no new ones. An operator's
drain outlives the change of a weight."""

import kit
from scapy.all import IP, TCP

ADDRESSES = {"web-1": "192.0.2.11", "web-2": "192.0.2.12", "web-3": "192.0.2.13"}


def build(case):
    case.node["tables"]["connections_v4"] = 4096
    case.pool("web", ADDRESSES)
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    backend_of = {}

    def send(ports, flags, rung, weights=None):
        if weights is not None:
            scheduler = kit.Scheduler(weights)
            backend_of.update({p: scheduler.choose(kit.CLIENT_V4, kit.VIP_V4, p, 80, 6) for p in ports})
        for port in ports:
            packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=port, dport=80, flags=flags)
            out = kit.ether_out(ADDRESSES[backend_of[port]]) / packet
            case.send(kit.ether_in() / packet).forwarded(out, "www", f"web/{backend_of[port]}", rung)

    send(range(1000, 1100), "S", "scheduler", {"web-1": 100, "web-2": 100, "web-3": 100})
    case.backend_weight("web/web-1", 300)
    send(range(2000, 2100), "S", "scheduler", {"web-1": 300, "web-2": 100, "web-3": 100})
    case.backend_drain("web/web-3")
    case.backend_weight("web/web-2", 0)
    send(range(3000, 3100), "S", "scheduler", {"web-1": 300})
    case.backend_weight("web/web-2", 50)
    send(range(4000, 4100), "S", "scheduler", {"web-1": 300, "web-2": 50})
    send(list(backend_of), "A", "connection_table")
    case.expect(rungs={"rescheduled": 0}, backends={"web/web-3": {"flows_alive": "at least 20"}})
