"""ICMP to a VIP's address that is neither an echo request nor an error about a packet of the VIP. Redirects and source
quench (deprecated by RFC 6633) are no errors that a backend should believe."""

import kit
from scapy.all import ICMP, IP, TCP, ICMPv6EchoReply, ICMPv6Unknown, IPv6, Raw


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("www6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    v4 = kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4)
    v6 = kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6)
    quoted = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4) / TCP(sport=80, dport=5)
    case.send(v4 / ICMP(type="echo-reply") / b"pong").dropped("vip_icmp")
    for kind in ("source-quench", "redirect"):
        case.send(v4 / ICMP(type=kind) / quoted).dropped("vip_icmp")
    for kind in ("timestamp-request", "information-request", "address-mask-request", 42):
        case.send(v4 / ICMP(type=kind)).dropped("vip_icmp")
    case.send(v6 / ICMPv6EchoReply(data=b"pong")).dropped("vip_icmp")
    for kind in (130, 139, 144, 255):
        case.send(v6 / ICMPv6Unknown(type=kind) / Raw(bytes(24))).dropped("vip_icmp")
    # Too short for a type, code, checksum and the four bytes that each kind has behind them.
    short = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, proto=1) / Raw(b"\x08\0\xf7\xff\0\0\0")
    case.send(kit.ether_in() / short).dropped("vip_icmp")
