"""The version in the IP header contradicts the EtherType."""

import kit
from scapy.all import IP, TCP, Ether, IPv6


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    v4 = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=80)
    v6 = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / TCP(dport=80)
    for version in (0, 3, 5, 6, 15):
        case.send(kit.ether_in() / IP(bytes([version << 4 | 5]) + bytes(v4)[1:])).dropped("bad_ip_version")
    for version in (0, 4, 5, 7, 15):
        case.send(bytes(kit.ether_in(type=0x86DD)) + bytes([version << 4]) + bytes(v6)[1:]).dropped("bad_ip_version")
    case.send(bytes(kit.ether_in(type=0x0800)) + bytes(v6)).dropped("bad_ip_version")
    case.send(bytes(kit.ether_in(type=0x86DD)) + bytes(v4) + bytes(40)).dropped("bad_ip_version")
