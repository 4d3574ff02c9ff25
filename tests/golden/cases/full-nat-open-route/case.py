"""A source route with stations to come has no counterpart in the other family: its sender is told, by "source route
failed" (RFC 7915, section 4.1) or by a parameter problem that points at the segments left (5.1), from the director.
A route that was walked to its end is left behind, and within one family a route is nobody's business."""

import kit
import nat
from scapy.all import (
    ICMP,
    IP,
    TCP,
    UDP,
    ICMPv6ParamProblem,
    IPOption_LSRR,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrRouting,
    Raw,
)

SEGMENTS_LEFT = 3  # of a routing header


def error(family, quoted, pointer):
    if family == 4:
        head = IP(src=kit.DIRECTOR_V4, dst=quoted.src, tos=0xC0, id=0, flags="DF", ttl=64)
        return head / ICMP(type=3, code=5) / Raw(bytes(quoted)[: 576 - 28])
    head = IPv6(src=kit.DIRECTOR_V6, dst=quoted.src, hlim=64)
    return head / ICMPv6ParamProblem(code=0, ptr=pointer) / Raw(bytes(quoted)[: 1280 - 48])


def routed(family, left=1):
    if family == 4:
        # The pointer counts from one, to the first of the addresses or beyond the last.
        option = IPOption_LSRR(routers=["192.0.2.77"], pointer=4 if left else 8)
        return IP(src=nat.CLIENTS[4], dst=nat.VIPS[4], options=[option])
    return IPv6(src=nat.CLIENTS[6], dst=nat.VIPS[6]) / IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=left)


def walked(family, plain):
    """The packet with a route that was walked to its end. Its bytes as they are: scapy would sum over the last station,
    as if that were still to come."""
    head = routed(family, left=0)
    if family == 4:
        head.proto = 17
    else:
        head[IPv6ExtHdrRouting].nh = 17
    return head / Raw(bytes(plain)[{4: 20, 6: 40}[family] :])


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
    for family, other in ((4, 6), (6, 4)):
        for protocol in ("tcp", "udp"):
            case.vip(f"{protocol}{family}", nat.VIPS[family], protocol, 80, f"web{other}", "full-nat")

    def told(packet, family, protocol, pointer, rung="scheduler"):
        case.send(kit.ether_in() / packet).answered(
            kit.ether_back() / error(family, packet, pointer), f"{protocol}{family}", f"web{10 - family}/web-1", rung)

    for family in (4, 6):
        told(routed(family) / TCP(sport=40000, dport=80), family, "tcp", 40 + SEGMENTS_LEFT)
        told(routed(family) / UDP(sport=40000, dport=80) / Raw(b"q" * 1400), family, "udp", 40 + SEGMENTS_LEFT)
    options = IPv6(src=nat.CLIENTS[6], dst=nat.VIPS[6]) / IPv6ExtHdrDestOpt()
    route = IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=1)
    told(options / route / TCP(sport=40001, dport=80), 6, "tcp", 48 + SEGMENTS_LEFT)
    # The first fragment is answered, the others are not.
    datagram = bytes((routed(6) / UDP(sport=40002, dport=80) / Raw(b"q" * 1000))[UDP])
    first, later = (routed(6) / IPv6ExtHdrFragment(id=7, m=more, offset=at, nh=17) / Raw(part)
                    for more, at, part in ((1, 0, datagram[:800]), (0, 100, datagram[800:])))
    told(first, 6, "udp", 40 + SEGMENTS_LEFT)
    case.send(kit.ether_in() / later).dropped("nat_untranslatable", "udp6", "web4/web-1", "connection_table")
    for family in (4, 6):
        flow = nat.MixedFlow(case, f"udp{family}", family, "udp", 80, client_port=40003, full=True, inside=10 - family,
                             backend=f"web{10 - family}/web-1")
        plain = flow.packet(b"walked")
        case.send(kit.ether_in() / walked(family, plain)).forwarded(
            kit.ether_out(flow.server[0]) / nat.translated(plain, flow.local, flow.server), flow.vip, flow.backend,
            "scheduler")
