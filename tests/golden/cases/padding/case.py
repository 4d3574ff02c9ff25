"""Ethernet pads short frames to 60 bytes. The padding is no part of the packet: it does not enter a tunnel, and the
lengths in the outer header do not count it."""

import kit
import tunnel
from scapy.all import IP, TCP, UDP, IPv6, Raw

PADDING = bytes(range(1, 7))


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("plain", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("tunnel", kit.VIP_V4, "tcp", 81, "web", "ipip")
    case.vip("tunnel-udp", kit.VIP_V4, "udp", 81, "web", "ipip")
    outer = IP(src=kit.DIRECTOR_V4, dst="192.0.2.11", ttl=64, flags="DF", id=0, proto=4)

    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=1000, dport=80, flags="S")
    case.send(kit.ether_in() / packet / Raw(PADDING)).forwarded(
        kit.ether_out("192.0.2.11") / packet / Raw(PADDING), "plain", "web/web-1"
    )
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=1000, dport=81, flags="S")
    case.send(bytes(kit.ether_in() / packet) + PADDING).forwarded(
        kit.ether_out("192.0.2.11") / outer / packet, "tunnel", "web/web-1"
    )
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / UDP(sport=1000, dport=81) / Raw(b"y")
    case.send(bytes(kit.ether_in() / packet) + b"\xff" * 17).forwarded(
        kit.ether_out("192.0.2.11") / outer / packet, "tunnel-udp", "web/web-1"
    )

    # IPv6 packets are long enough, but equipment on the way may have padded them as well.
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("plain6", kit.VIP_V6, "udp", 80, "web6", "l2")
    case.vip("tunnel6", kit.VIP_V6, "udp", 81, "web6", "gre")
    scheduler = kit.Scheduler({"web-1": 100})
    for port, vip in ((80, "plain6"), (81, "tunnel6")):
        packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / UDP(sport=1000, dport=port)
        out = bytes(packet) + PADDING
        if port == 81:
            out = tunnel.wrap("gre", packet, "2001:db8::11", scheduler.hash(*tunnel.flow_of(packet)))
        case.send(bytes(kit.ether_in() / packet) + PADDING).forwarded(
            kit.ether_out("2001:db8::11", type=0x86DD) / out, vip, "web6/web-1"
        )
