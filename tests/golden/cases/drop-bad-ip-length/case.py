"""IP lengths that lie: beyond the frame by one byte and by many; in IPv6 also extension headers that reach beyond the
packet."""

import kit
from scapy.all import IP, TCP, IPv6, Raw


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("www6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    for length in (41, 1500, 65535):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, len=length) / TCP(dport=80)
        case.send(kit.ether_in() / packet).dropped("bad_ip_length")
    for length in (21, 1500, 65535):
        packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6, plen=length) / TCP(dport=80)
        case.send(kit.ether_in() / packet).dropped("bad_ip_length")
    # A hop-by-hop header of 16 bytes in a packet of 8; one byte of a header only; and a jumbogram (RFC 2675).
    addresses = {"src": kit.CLIENT_V6, "dst": kit.VIP_V6, "nh": 0}
    case.send(kit.ether_in() / IPv6(**addresses) / Raw(bytes([6, 1]) + bytes(6))).dropped("bad_ip_length")
    case.send(kit.ether_in() / IPv6(**addresses) / Raw(b"\x06")).dropped("bad_ip_length")
    case.send(kit.ether_in() / IPv6(**addresses, plen=0) / Raw(bytes([6, 0]) + bytes(30))).dropped("bad_ip_length")
