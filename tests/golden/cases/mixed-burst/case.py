"""Packets of all fates in one burst: each keeps its place in the order of what leaves, and the sum is exact."""

import kit
from scapy.all import ARP, IP, TCP, UDP, IPv6


def build(case):
    case.pool("web4", {"web-1": "192.0.2.11"})
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("plain", kit.VIP_V4, "tcp", 80, "web4", "l2")
    case.vip("tunnel", kit.VIP_V4, "udp", 80, "web4", "ipip")
    case.vip("six", kit.VIP_V6, "tcp", 80, "web6", "l2")
    outer = IP(src=kit.DIRECTOR_V4, dst="192.0.2.11", ttl=64, flags="DF", id=0, proto=4)
    for number in range(100):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / UDP(sport=number, dport=80)
        case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out("192.0.2.11") / outer / packet, "tunnel", "web4/web-1"
        )
        case.send(kit.ether_in() / ARP(op="is-at", psrc="192.0.2.1")).punted("control")
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=number, dport=80)
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, "plain", "web4/web-1")
        case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=1)).dropped("vip_no_service")
        packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / TCP(sport=number, dport=80)
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("2001:db8::11") / packet, "six", "web6/web-1")
        case.send(b"short").dropped("truncated_header")
