"""Fragments to a VIP that are not forwarded: of protocols without ports, and what no sender makes. To the host all of
them go on as they came."""

import kit
from scapy.all import IP, TCP, UDP, ICMP, IPv6, IPv6ExtHdrFragment, Raw

UDP_HEADER = bytes(UDP(sport=9, dport=53, len=1000, chksum=1))
TCP_HEADER = bytes(TCP(sport=9, dport=53, flags="S", chksum=1))


def build(case):
    case.pool("dns", {"dns-1": "192.0.2.11"})
    case.pool("dns6", {"dns-1": "2001:db8::11"})
    for protocol in ("udp", "tcp"):
        case.vip(protocol, kit.VIP_V4, protocol, 53, "dns", "l2")
        case.vip(f"{protocol}6", kit.VIP_V6, protocol, 53, "dns6", "l2")
    # (next protocol, more, offset in units of 8 bytes, payload, reason)
    wrong = [
        (17, 1, 0, UDP_HEADER[:7] + b"", "fragment_bad"),  # no multiple of 8
        (17, 1, 2, b"x" * 17, "fragment_bad"),
        (17, 0, 8191, b"x" * 60, "fragment_bad"),  # the ping of death
        (17, 0, 3, b"", "fragment_bad"),
        (6, 1, 0, TCP_HEADER[:16], "fragment_tiny"),  # RFC 1858, section 3.1
        (6, 0, 1, b"x" * 12, "fragment_tiny"),  # RFC 1858, section 3.2
        (6, 0, 2, b"x" * 12, "fragment_tiny"),
    ]
    number = 0
    for vip, host in ((kit.VIP_V4, kit.DIRECTOR_V4), (kit.VIP_V6, kit.DIRECTOR_V6)):
        v4 = ":" not in vip
        others = [(1 if v4 else 58, 1, 0, bytes(ICMP()), "fragment"), (1 if v4 else 58, 0, 3, b"x" * 9, "fragment")]
        for protocol, more, offset, payload, reason in wrong + others:
            for destination in (vip, host):
                number += 1
                if v4:
                    packet = IP(src=kit.CLIENT_V4, dst=destination, id=number, flags=more, frag=offset, proto=protocol)
                else:
                    packet = IPv6(src=kit.CLIENT_V6, dst=destination) / IPv6ExtHdrFragment(
                        nh=protocol, m=more, offset=offset, id=number
                    )
                sent = case.send(kit.ether_in() / packet / Raw(payload))
                sent.dropped(reason) if destination == vip else sent.punted("other")
