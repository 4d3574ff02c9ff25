"""A pool without backends, and pools whose backends all drain or have weight 0."""

import kit
from scapy.all import TCP


def build(case):
    case.pool("empty", {})
    case.pool("idle", {"a": {"address": "192.0.2.11", "weight": 0}, "b": {"address": "192.0.2.12", "weight": 0}})
    case.pool("draining", {"c": {"address": "192.0.2.13", "drain": True}})
    for family in (4, 6):
        for port, pool in ((81, "empty"), (82, "idle"), (83, "draining")):
            case.vip(f"{pool}{family}", kit.VIPS[family], "tcp", port, pool, "ipip")
            for flags in ("S", "A", "R"):
                packet = kit.ip_in(family) / TCP(sport=9, dport=port, flags=flags)
                case.send(kit.ether_in() / packet).dropped("no_backend", f"{pool}{family}")
