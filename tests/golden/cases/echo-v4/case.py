"""Ping to a VIP's IPv4 address (RFC 792, RFC 1122 section 3.2.2.6): addresses swapped, type 0, the rest of the message
as it came, a hop limit of our own; back to the station that the request came from. Also in VLANs, padded, and of 1500
bytes; not with IP options."""

import random

import kit
from scapy.all import ICMP, IP, Dot1AD, Dot1Q, IPOption_NOP, Padding


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("net", "203.0.113.128/25", "udp", "all", "web", "gue")

    def ping(data, tags=None, address=kit.VIP_V4, ttl=64, icmp=None, padding=b"", **fields):
        ip, icmp = {"id": 1, **fields}, icmp or {"id": 1, "seq": 1}
        request = IP(src=kit.CLIENT_V4, dst=address, ttl=ttl, **ip) / ICMP(type=8, **icmp) / data
        reply = IP(src=address, dst=kit.CLIENT_V4, ttl=64, **ip) / ICMP(type=0, **icmp) / data
        there, back = kit.ether_in(), kit.ether_back()
        if tags is not None:
            there, back = there / tags, back / tags
        if padding:
            request, reply = request / Padding(padding), reply / Padding(padding)
        case.send(there / request).answered(back / reply)

    ping(b"ping")
    ping(b"")
    ping(b"odd")
    ping(bytes(1472))
    ping(b"\xff" * 64, padding=b"\0\0")
    for ttl in (1, 63, 65, 128, 255):
        ping(b"ping", ttl=ttl)
    ping(b"ping", tos=0xFF, id=65535, flags="DF")
    # Options may ask for a route to be reversed; a ping that has any is not answered.
    options = [IPOption_NOP() for _ in range(4)]
    case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, options=options) / ICMP() / b"ping").dropped(
        "vip_icmp"
    )
    ping(b"ping", tags=Dot1Q(vlan=100))
    ping(b"ping", tags=Dot1AD(vlan=7) / Dot1Q(vlan=4094, prio=3))
    for address in ("203.0.113.128", "203.0.113.200", "203.0.113.255"):
        ping(b"ping", address=address)
    source = random.Random(1)
    for _ in range(200):  # the checksum of each, whatever carries there are
        data, icmp = source.randbytes(56), {"id": source.getrandbits(16), "seq": source.getrandbits(16)}
        ping(data, ttl=source.randrange(1, 256), icmp=icmp, id=source.getrandbits(16))
    # Not to a VIP: the host's own.
    case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst="203.0.113.127") / ICMP()).punted("icmp")
    # RFC 1122, section 3.2.1.3: addresses that no sender has are not answered.
    for address in ("127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", kit.VIP_V4):
        case.send(kit.ether_in() / IP(src=address, dst=kit.VIP_V4) / ICMP()).dropped("martian_source")
