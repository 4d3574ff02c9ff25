"""A VIP's address with another port or protocol."""

import kit
from scapy.all import GRE, IP, SCTP, TCP, UDP, IPv6


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("www6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    others = [TCP(dport=81), TCP(dport=0), TCP(dport=22), UDP(dport=80), TCP(sport=80, dport=8080), SCTP(dport=80)]
    others += [GRE() / IP(), IP(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=80)]
    for other in others:
        case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / other).dropped("vip_no_service")
        case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / other).dropped("vip_no_service")
