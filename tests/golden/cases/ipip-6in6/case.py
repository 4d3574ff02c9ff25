"""IPIP, IPv6 in IPv6 (RFC 2473): hop limit 64, the inner traffic class with its ECN bits, and 20 bits of the flow hash
as flow label, so that the network spreads flows (RFC 6438). The inner packet is not touched."""

import kit
from scapy.all import IPv6, TCP, Raw

BACKEND = "2001:db8::11"


def build(case):
    case.pool("web", {"web-1": BACKEND})
    case.vip("www", kit.VIP_V6, "tcp", 80, "web", "ipip")
    scheduler = kit.Scheduler({"web-1": 100})
    for port, fields in enumerate([{}, {"hlim": 1}, {"tc": 0xB9}, {"tc": 0xFF, "fl": 0xFFFFF}], 40000):
        packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6, **fields) / TCP(sport=port, dport=80) / Raw(b"data")
        label = scheduler.hash(kit.CLIENT_V6, kit.VIP_V6, port, 80, 6) >> 8 & 0xFFFFF
        outer = IPv6(src=kit.DIRECTOR_V6, dst=BACKEND, hlim=64, tc=fields.get("tc", 0), fl=label, nh=41)
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out(BACKEND) / outer / packet, "www", "web/web-1")
