"""Fragments addressed to a VIP: first, middle and last ones, in both families, of TCP and UDP. To the host they
go on."""

import kit
from scapy.all import IP, UDP, IPv6, IPv6ExtHdrFragment, Raw


def build(case):
    case.pool("dns", {"dns-1": "192.0.2.11"})
    case.vip("dns", kit.VIP_V4, "udp", 53, "dns", "l2")
    case.pool("dns6", {"dns-1": "2001:db8::11"})
    case.vip("dns6", kit.VIP_V6, "udp", 53, "dns6", "l2")
    for destination in (kit.VIP_V4, kit.DIRECTOR_V4):
        for flags, offset in (("MF", 0), ("MF", 100), (0, 200), ("MF+DF", 8191)):
            header = IP(src=kit.CLIENT_V4, dst=destination, id=7, flags=flags, frag=offset, proto=17)
            sent = case.send(kit.ether_in() / header / Raw(bytes(UDP(dport=53)) + b"x" * 16))
            sent.dropped("fragment") if destination == kit.VIP_V4 else sent.punted("other")
    for destination in (kit.VIP_V6, kit.DIRECTOR_V6):
        for more, offset in ((1, 0), (1, 100), (0, 200)):
            header = IPv6(src=kit.CLIENT_V6, dst=destination) / IPv6ExtHdrFragment(nh=17, m=more, offset=offset, id=7)
            sent = case.send(kit.ether_in() / header / Raw(bytes(UDP(dport=53)) + b"x" * 16))
            sent.dropped("fragment") if destination == kit.VIP_V6 else sent.punted("other")
