"""L2, IPv6, TCP: the same as for IPv4; the hop limit, the flow label and the traffic class stay."""

import kit
from scapy.all import IPv6, TCP, Raw


def build(case):
    case.pool("web", {"web-1": "2001:db8::11"})
    case.vip("www", kit.VIP_V6, "tcp", 443, "web", "l2")
    for number, (flags, data) in enumerate([("S", b""), ("A", b""), ("PA", b"hello"), ("R", b"")]):
        packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6, hlim=3, tc=0xB8, fl=0x12345)
        packet /= TCP(sport=40000, dport=443, flags=flags, seq=number) / Raw(data)
        rung = "scheduler" if number == 0 else "connection_table"
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("2001:db8::11") / packet, "www", "web/web-1", rung)
    case.count("backends", "web/web-1", flows_started=1)
