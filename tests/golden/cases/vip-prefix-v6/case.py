"""A VIP that is a prefix whose length is no multiple of eight: every address of it has flows of its own, in a table of
their own; the addresses beside it are the host's."""

import kit
from scapy.all import TCP, UDP, IPv6

BACKENDS = {"a": "2001:db8::11", "b": "2001:db8::12"}
INSIDE = ["2001:db8:f:8::", "2001:db8:f:8::1", "2001:db8:f:c:5::1", "2001:db8:f:f:ffff:ffff:ffff:ffff"]
OUTSIDE = ["2001:db8:f:7:ffff:ffff:ffff:ffff", "2001:db8:f:10::", "2001:db8:e:8::1"]


def build(case):
    case.pool("web", BACKENDS)
    for protocol in ("tcp", "udp"):
        case.vip(protocol, "2001:db8:f:8::/61", protocol, 80, "web", "l2")
    scheduler = kit.Scheduler({"a": 100, "b": 100})
    for rung in ("scheduler", "connection_table"):
        for port in range(1000, 1050):
            for address in INSIDE:
                for protocol, number in (("tcp", 6), ("udp", 17)):
                    l4 = TCP(sport=port, dport=80, flags="S") if protocol == "tcp" else UDP(sport=port, dport=80)
                    packet = IPv6(src=kit.CLIENT_V6, dst=address) / l4
                    name = scheduler.choose(kit.CLIENT_V6, address, port, 80, number)
                    case.send(kit.ether_in() / packet).forwarded(
                        kit.ether_out(BACKENDS[name]) / packet, protocol, f"web/{name}", rung
                    )
    for address in OUTSIDE:
        case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=address) / TCP(dport=80)).punted("other")
    for address in INSIDE:
        case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=address) / TCP(dport=81)).dropped("vip_no_service")
    case.counters["table_wide"] = {"inserted": len(INSIDE) * 100}
    case.counters["table_v6"] = {"inserted": 0}
    for protocol in ("tcp", "udp"):
        case.count("vips", protocol, new_flows=len(INSIDE) * 50)
