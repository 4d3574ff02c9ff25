"""Ping to a VIP's IPv6 address (RFC 4443, section 4.2): addresses swapped, type 129, the rest of the message as it
came, a hop limit of our own; back to the station that the request came from."""

import random

import kit
from scapy.all import Dot1AD, Dot1Q, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6


def build(case):
    case.pool("web", {"web-1": "2001:db8::11"})
    case.vip("www", kit.VIP_V6, "tcp", 80, "web", "l2")
    case.vip("net", "2001:db8:f:8000::/49", "udp", "all", "web", "gre")

    def ping(data, tags=None, address=kit.VIP_V6, hlim=64, number=1, seq=1, **fields):
        request = IPv6(src=kit.CLIENT_V6, dst=address, hlim=hlim, **fields)
        request /= ICMPv6EchoRequest(id=number, seq=seq, data=data)
        reply = IPv6(src=address, dst=kit.CLIENT_V6, hlim=64, **fields)
        reply /= ICMPv6EchoReply(id=number, seq=seq, data=data)
        there, back = kit.ether_in(), kit.ether_back()
        if tags is not None:
            there, back = there / tags, back / tags
        case.send(there / request).answered(back / reply)

    ping(b"ping")
    ping(b"")
    ping(b"odd")
    ping(bytes(1452))
    for hlim in (1, 255):
        ping(b"ping", hlim=hlim)
    ping(b"ping", tc=0xFF, fl=0xFFFFF)
    ping(b"ping", tags=Dot1Q(vlan=100))
    ping(b"ping", tags=Dot1AD(vlan=7) / Dot1Q(vlan=4094, prio=3))
    for address in ("2001:db8:f:8000::", "2001:db8:f:ffff::1"):
        ping(b"ping", address=address)
    source = random.Random(1)
    for _ in range(200):
        ping(source.randbytes(56), number=source.getrandbits(16), seq=source.getrandbits(16))
    # Not to a VIP: the host's own.
    case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst="2001:db8:f:7fff::1") / ICMPv6EchoRequest()).punted("icmp")
    # RFC 4291, section 2.7 and 2.5: addresses that no sender has are not answered.
    for address in ("::", "::1", "ff02::1", kit.VIP_V6):
        case.send(kit.ether_in() / IPv6(src=address, dst=kit.VIP_V6) / ICMPv6EchoRequest()).dropped("martian_source")
