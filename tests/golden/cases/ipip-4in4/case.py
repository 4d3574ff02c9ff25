"""IPIP, IPv4 in IPv4 (RFC 2003): the outer header has our address as source, TTL 64, DF set, id 0 (RFC 6864: without
meaning then) and the inner TOS with its ECN bits (RFC 6040, normal mode). The inner packet is not touched at all,
whatever its TTL, DF, id and checksums."""

import kit
from scapy.all import IP, TCP, UDP, Raw

BACKEND = "192.0.2.11"


def outer(packet, tos):
    return IP(src=kit.DIRECTOR_V4, dst=BACKEND, ttl=64, flags="DF", id=0, tos=tos, proto=4) / packet


def build(case):
    case.pool("web", {"web-1": BACKEND})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "ipip")
    case.vip("dns", kit.VIP_V4, "udp", 53, "web", "ipip")
    variants = [
        {},
        {"ttl": 1},
        {"flags": "DF", "id": 4711},
        {"tos": 0xB8},
        {"tos": 0x02},  # ECT(0)
        {"tos": 0x03},  # CE
        {"tos": 0xFF, "id": 65535, "ttl": 255},
    ]
    for port, fields in enumerate(variants, 40000):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, **fields) / TCP(sport=port, dport=80) / Raw(b"data")
        case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out(BACKEND) / outer(packet, fields.get("tos", 0)), "www", "web/web-1"
        )
    for length in (0, 1, 2, 1000, 1452):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / UDP(sport=length, dport=53, chksum=0) / Raw(b"u" * length)
        case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out(BACKEND) / outer(packet, 0), "dns", "web/web-1"
        )
