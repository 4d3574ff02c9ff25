"""Frames that end inside a header: every length from nothing to one byte short of the L4 header, in both families. What
is cut in the IP header or before is dropped as such; so is what is cut in a VIP's L4 header, since its IP length then
exceeds the frame and says so with a reason of its own."""

import kit
from scapy.all import IP, TCP, Dot1Q, IPv6


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    packet = bytes(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=80))
    for length in range(14 + 20):
        case.send(packet[:length]).dropped("truncated_header")
    for length in range(14 + 20, len(packet)):
        case.send(packet[:length]).dropped("bad_ip_length")
    packet = bytes(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / TCP(dport=80))
    for length in range(14 + 40):
        case.send(packet[:length]).dropped("truncated_header")
    for length in range(14 + 40, len(packet)):
        case.send(packet[:length]).dropped("bad_ip_length")
    packet = bytes(kit.ether_in() / Dot1Q(vlan=1) / Dot1Q(vlan=2) / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4))
    for length in range(14, 14 + 8 + 20):
        case.send(packet[:length]).dropped("truncated_header")
