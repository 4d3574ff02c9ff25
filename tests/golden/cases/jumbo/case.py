"""Jumbo frames of 9 000 bytes, as large as the port's MTU allows with and without a tunnel around them."""

import kit
from scapy.all import IP, TCP, Raw


def build(case):
    case.port["mtu"] = 9000
    case.node["memory"] = {"mbuf_data_bytes": 9216}
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("plain", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("tunnel", kit.VIP_V4, "tcp", 81, "web", "ipip")
    outer = IP(src=kit.DIRECTOR_V4, dst="192.0.2.11", ttl=64, flags="DF", id=0, proto=4)
    for size in (5000, 9000):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=size, dport=80) / Raw(b"j" * (size - 40))
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, "plain", "web/web-1")
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=8980, dport=81) / Raw(b"j" * 8940)
    case.send(kit.ether_in() / packet).forwarded(
        kit.ether_out("192.0.2.11") / outer / packet, "tunnel", "web/web-1"
    )
