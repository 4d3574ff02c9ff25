"""Packets that have come back to us are dropped, rather than put into a tunnel once more: those of our own tunnels, by
the port's address or the prefix that tunnels come from, whether they are addressed to a VIP (of all ports of a network)
or to the host; and those that a backend on the link routes back, by its MAC address."""

import kit
import tunnel
from scapy.all import GRE, IP, TCP, UDP, Ether, IPv6, Raw

PREFIX_V4, PREFIX_V6 = "192.0.2.128/26", "2001:db8:0:7::/64"


def build(case):
    case.node["tunnels"] = {"source_v4": PREFIX_V4, "source_v6": PREFIX_V6}
    for family, network in ((4, "203.0.113.0/24"), (6, "2001:db8:f::/48")):
        case.pool(f"web-{family}", {"web-1": tunnel.BACKENDS[family]})
        case.vip(f"all-{family}", network, "udp", "all", f"web-{family}", "gue")
        case.vip(f"l2-{family}", network, "tcp", "all", f"web-{family}", "l2")
    inner = {f: bytes(tunnel.packet_ip(f) / TCP(sport=1, dport=80)) for f in (4, 6)}
    own = {4: ("192.0.2.2", "192.0.2.190"), 6: ("2001:db8::2", "2001:db8:0:7::1234")}
    other = {4: "192.0.2.192", 6: "2001:db8:0:8::1"}  # just outside of the prefixes
    for family, ip in ((4, IP), (6, IPv6)):
        proto = "proto" if family == 4 else "nh"
        for source in own[family]:
            for destination in (tunnel.VIPS[family], kit.DIRECTOR_V4 if family == 4 else kit.DIRECTOR_V6):
                header = ip(src=source, dst=destination)
                for packet in (
                    ip(src=source, dst=destination, **{proto: 4}) / Raw(inner[4]),
                    ip(src=source, dst=destination, **{proto: 41}) / Raw(inner[6]),
                    header / GRE(proto=0x0800) / Raw(inner[4]),
                    header / UDP(sport=50000, dport=6080) / Raw(bytes([0, 4, 0, 0]) + inner[4]),
                ):
                    case.send(kit.ether_in() / packet).dropped("tunnel_loop")
        # Tunnels of others that end at the host are the host's.
        host = kit.DIRECTOR_V4 if family == 4 else kit.DIRECTOR_V6
        case.send(kit.ether_in() / ip(src=other[family], dst=host, **{proto: 4}) / Raw(inner[4])).punted("other")
        # The backend does not know the VIP for its own.
        backend = tunnel.BACKENDS[family]
        for l4, vip in ((TCP(sport=7, dport=80), f"l2-{family}"), (UDP(sport=7, dport=80), f"all-{family}")):
            packet = Ether(src=kit.mac_of(backend), dst=kit.DIRECTOR_MAC) / tunnel.packet_ip(family) / l4
            case.send(packet).dropped("tunnel_loop", vip, f"web-{family}/web-1", "scheduler")
