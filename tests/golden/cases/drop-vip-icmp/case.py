"""ICMP to a VIP's address: echo requests and errors, in both families."""

import kit
from scapy.all import ICMP, IP, TCP, ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("www6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    v4 = kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4)
    v6 = kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6)
    quoted = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4) / TCP(sport=80, dport=5)
    quoted6 = IPv6(src=kit.VIP_V6, dst=kit.CLIENT_V6) / TCP(sport=80, dport=5)
    case.send(v4 / ICMP(type="echo-request") / b"ping").dropped("vip_icmp")
    case.send(v4 / ICMP(type="dest-unreach", code="fragmentation-needed", nexthopmtu=1400) / quoted).dropped("vip_icmp")
    case.send(v6 / ICMPv6EchoRequest(data=b"ping")).dropped("vip_icmp")
    case.send(v6 / ICMPv6PacketTooBig(mtu=1400) / quoted6).dropped("vip_icmp")
