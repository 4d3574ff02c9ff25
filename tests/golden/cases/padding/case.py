"""Ethernet pads short frames to 60 bytes. The padding is no part of the packet: it does not enter a tunnel, and the
lengths in the outer header do not count it."""

import kit
from scapy.all import IP, TCP, UDP, Raw

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
