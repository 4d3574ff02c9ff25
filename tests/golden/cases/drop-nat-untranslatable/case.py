"""Between the families there is nothing to make of an authentication header, of an extension header behind a fragment
header (RFC 7915, section 5.1.1), and of a fragmented IPv4 datagram without the checksum that IPv6 demands (4.5)."""

import family_fragments
import kit
import nat
from scapy.all import TCP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, Raw

AUTHENTICATION = Raw(bytes([6, 4, 0, 0]) + b"spi!" + b"seq!" + bytes(12))


def build(case):
    nat.use_full_nat(case)
    case.pool("web4", {"web-1": nat.BACKENDS[4]})
    case.pool("web6", {"web-1": nat.BACKENDS[6]})
    for protocol in ("tcp", "udp"):
        case.vip(f"{protocol}6", nat.VIPS[6], protocol, 80, "web4", "full-nat")
        case.vip(f"{protocol}4", nat.VIPS[4], protocol, 80, "web6", "full-nat")

    def refused(packet, vip, backend, rung="scheduler"):
        case.send(kit.ether_in() / packet).dropped("nat_untranslatable", vip, backend, rung)

    head6 = IPv6(src=nat.CLIENTS[6], dst=nat.VIPS[6])
    segment = Raw(bytes(TCP(sport=40001, dport=80)))
    refused(IPv6(src=nat.CLIENTS[6], dst=nat.VIPS[6], nh=51) / AUTHENTICATION / segment, "tcp6", "web4/web-1")

    flow = nat.MixedFlow(case, "udp4", 4, "udp", 80, full=True, inside=6, backend="web6/web-1")
    packet = flow.packet(b"q" * 1000, {"chksum": 0})
    refused(family_fragments.cut(packet, [(0, 800)], 7)[0], "udp4", "web6/web-1")
    flow = nat.MixedFlow(case, "udp6", 6, "udp", 80, full=True, inside=4, backend="web4/web-1")
    datagram = bytes(flow.packet(b"q" * 1000)[IPv6].payload)
    fragment = head6 / IPv6ExtHdrFragment(id=7, m=1) / IPv6ExtHdrDestOpt(nh=17) / Raw(datagram[:800])
    refused(fragment, "udp6", "web4/web-1")
    refused(head6 / IPv6ExtHdrFragment(id=7, offset=101, nh=60) / Raw(datagram[800:]), "udp6", "web4/web-1",
            "connection_table")
