"""A VIP that is a prefix whose length is no multiple of eight: every address of it has flows of its own, in a table of
their own; the addresses beside it are the host's."""

import kit
from scapy.all import IP, TCP, UDP

BACKENDS = {"a": "192.0.2.11", "b": "192.0.2.12"}
INSIDE = ["203.0.113.128", "203.0.113.129", "203.0.113.170", "203.0.113.191"]
OUTSIDE = ["203.0.113.127", "203.0.113.192", "203.0.112.129"]


def build(case):
    case.pool("web", BACKENDS)
    for protocol in ("tcp", "udp"):
        case.vip(protocol, "203.0.113.128/26", protocol, 80, "web", "l2")
    scheduler = kit.Scheduler({"a": 100, "b": 100})
    for rung in ("scheduler", "connection_table"):
        for port in range(1000, 1050):
            for address in INSIDE:
                for protocol, number in (("tcp", 6), ("udp", 17)):
                    l4 = TCP(sport=port, dport=80, flags="S") if protocol == "tcp" else UDP(sport=port, dport=80)
                    packet = IP(src=kit.CLIENT_V4, dst=address) / l4
                    name = scheduler.choose(kit.CLIENT_V4, address, port, 80, number)
                    case.send(kit.ether_in() / packet).forwarded(
                        kit.ether_out(BACKENDS[name]) / packet, protocol, f"web/{name}", rung
                    )
    for address in OUTSIDE:
        case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=address) / TCP(dport=80)).punted("other")
    for address in INSIDE:
        case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=address) / TCP(dport=81)).dropped("vip_no_service")
    case.counters["table_wide"] = {"inserted": len(INSIDE) * 100}
    case.counters["table_v4"] = {"inserted": 0}
    for protocol in ("tcp", "udp"):
        case.count("vips", protocol, new_flows=len(INSIDE) * 50)
