"""A wrong IPv4 header checksum, for a VIP and for the host; also behind options."""

import kit
from scapy.all import IP, TCP, IPOption_NOP


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    for destination in (kit.VIP_V4, kit.DIRECTOR_V4):
        good = IP(src=kit.CLIENT_V4, dst=destination, options=[IPOption_NOP()] * 4) / TCP(dport=80)
        right = IP(bytes(good)).chksum
        for wrong in (right ^ 1, right ^ 0x8000, 0 if right else 1):
            packet = good.copy()
            packet.chksum = wrong
            case.send(kit.ether_in() / packet).dropped("bad_ip_checksum")
