"""VIPs that are prefixes: each address of one has flows of its own, in a table of their own; the addresses beside it
are the host's."""

import kit
from scapy.all import IP, TCP, UDP, IPv6


def build(case, prefix, backends, inside, outside):
    family = 6 if ":" in prefix else 4
    ip, client = (IP, kit.CLIENT_V4) if family == 4 else (IPv6, kit.CLIENT_V6)
    case.pool("web", backends)
    for protocol in ("tcp", "udp"):
        case.vip(protocol, prefix, protocol, 80, "web", "l2")
    scheduler = kit.Scheduler(dict.fromkeys(backends, 100))
    for rung in ("scheduler", "connection_table"):
        for port in range(1000, 1050):
            for address in inside:
                for protocol, number in (("tcp", 6), ("udp", 17)):
                    l4 = TCP(sport=port, dport=80, flags="S") if protocol == "tcp" else UDP(sport=port, dport=80)
                    packet = ip(src=client, dst=address) / l4
                    name = scheduler.choose(client, address, port, 80, number)
                    case.send(kit.ether_in() / packet).forwarded(
                        kit.ether_out(backends[name]) / packet, protocol, f"web/{name}", rung
                    )
    for address in outside:
        case.send(kit.ether_in() / ip(src=client, dst=address) / TCP(dport=80)).punted("other")
    for address in inside:
        case.send(kit.ether_in() / ip(src=client, dst=address) / TCP(dport=81)).dropped("vip_no_service")
    case.counters["table_wide"] = {"inserted": len(inside) * 100}
    case.counters[f"table_v{family}"] = {"inserted": 0}
    for protocol in ("tcp", "udp"):
        case.count("vips", protocol, new_flows=len(inside) * 50)
