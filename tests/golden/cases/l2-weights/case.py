"""The choice among weighted backends for 1 500 flows of both families and protocols, against the oracle's flow hash,
Maglev table and slot. Order in the configuration does not matter; a backend of weight 0 gets nothing."""

import random

import kit
from scapy.all import IP, TCP, UDP, IPv6

WEIGHTS = {"web-3": 200, "web-1": 100, "web-2": 100, "idle": 0}


def build(case):
    for family, prefix in ((4, "192.0.2."), (6, "2001:db8::")):
        backends = {n: {"address": f"{prefix}{11 + i}", "weight": w} for i, (n, w) in enumerate(WEIGHTS.items())}
        case.pool(f"web{family}", backends)
    for protocol in ("tcp", "udp"):
        case.vip(f"{protocol}4", kit.VIP_V4, protocol, 80, "web4", "l2")
        case.vip(f"{protocol}6", kit.VIP_V6, protocol, 80, "web6", "l2")
    case.node["tables"] = {"connections_v4": 8192, "connections_v6": 8192}
    scheduler = kit.Scheduler(WEIGHTS)
    source = random.Random(7)
    flows = set()
    while len(flows) < 1500:
        family, protocol = source.choice((4, 6)), source.choice(("tcp", "udp"))
        flows.add((family, protocol, source.getrandbits(24), source.getrandbits(16)))
    addresses = {
        (family, name): backend["address"]
        for family in (4, 6)
        for pool in case.services["pools"]
        if pool["name"] == f"web{family}"
        for name, backend in ((b["name"], b) for b in pool["backends"])
    }
    for family, protocol, host, port in sorted(flows):
        if family == 4:
            client, vip = f"11.{host >> 16}.{host >> 8 & 255}.{host & 255}", kit.VIP_V4
            packet = IP(src=client, dst=vip)
        else:
            client, vip = f"2001:db8:c::{host >> 12:x}:{host & 0xFFF:x}", kit.VIP_V6
            packet = IPv6(src=client, dst=vip)
        packet /= TCP(sport=port, dport=80, flags="S") if protocol == "tcp" else UDP(sport=port, dport=80)
        name = scheduler.choose(client, vip, port, 80, 6 if protocol == "tcp" else 17)
        case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out(addresses[family, name]) / packet, f"{protocol}{family}", f"web{family}/{name}"
        )
