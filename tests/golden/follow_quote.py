"""ICMP errors about packets that a VIP sent go to the backend that has the flow, unchanged, whatever router they come
from: it is the backend that must learn of the path. They change nothing about the flow."""

import icmp_errors
import kit
from scapy.all import IP, TCP, UDP, IPv6


def build(case, family, backends):
    ip, header_bytes = (IP, 20) if family == 4 else (IPv6, 40)
    case.pool("web", backends)
    client, vip = icmp_errors.CLIENTS[family], icmp_errors.VIPS[family]
    for protocol in ("tcp", "udp"):
        case.vip(protocol, vip, protocol, 80, "web", "l2")
    scheduler = kit.Scheduler(dict.fromkeys(backends, 100))

    def send(packet, protocol, port, rung):
        name = scheduler.choose(client, vip, port, 80, {"tcp": 6, "udp": 17}[protocol])
        case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out(backends[name]) / packet, protocol, f"web/{name}", rung
        )

    def flow(protocol, port, rung):
        l4 = TCP(sport=port, dport=80, flags="S") if protocol == "tcp" else UDP(sport=port, dport=80)
        send(ip(src=client, dst=vip) / l4, protocol, port, rung)

    def report(header, quoted, protocol, port, rung="connection_table", source=None):
        send(icmp_errors.error(family, header, quoted, source=source), protocol, port, rung)

    packet_too_big = next(icmp_errors.kinds(family))
    for port in range(1000, 1010):
        for protocol in ("tcp", "udp"):
            flow(protocol, port, "scheduler")
            for header in icmp_errors.kinds(family):
                report(header, icmp_errors.quote(family, port, protocol=protocol), protocol, port)
    # Quotes of eight bytes behind the IP header, and from the client itself.
    report(packet_too_big, icmp_errors.quote(family, 1000)[: header_bytes + 8], "tcp", 1000)
    report(packet_too_big, icmp_errors.quote(family, 1000), "tcp", 1000, source=client)
    # An error does not prolong the flow, which ends 60 s after its own last packet.
    case.wait(40)
    report(packet_too_big, icmp_errors.quote(family, 1005, protocol="udp"), "udp", 1005)
    case.wait(25)
    flow("udp", 1005, "scheduler")
    case.count("vips", "udp", new_flows=11)
    case.count("vips", "tcp", new_flows=10)
