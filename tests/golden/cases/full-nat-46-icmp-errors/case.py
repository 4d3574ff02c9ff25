"""ICMP errors through full NAT between the families (RFC 7915, sections 4.2, 4.3, 5.2, 5.3): told in the other family's
words, the quoted packet translated too, MTUs with the 20 bytes that the headers differ. They come from where the flow's
packets come from: a router of one family has no address in the other."""

import icmp_errors
import kit
import nat
from scapy.all import (
    ICMP,
    IP,
    TCP,
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    Raw,
)

# The same error in both families: (IPv4, IPv6).
PAIRS = (
    (ICMP(type=3, code=4, nexthopmtu=1380), ICMPv6PacketTooBig(mtu=1400)),
    (ICMP(type=3, code=3), ICMPv6DestUnreach(code=4)),
    (ICMP(type=11, code=0), ICMPv6TimeExceeded(code=0)),
)


def quoted(family, source, destination, hops):
    fields = {"flags": "DF", "id": 0, "ttl": hops} if family == 4 else {"hlim": hops}
    l4 = TCP(sport=source[1], dport=destination[1], flags="A", seq=7, ack=9)
    return bytes(nat.ip(family, source[0], destination[0], **fields) / l4 / Raw(b"d" * 21))


def build(case):
    nat.use_full_nat(case)
    for family, inside in ((4, 6), (6, 4)):
        pool, vip = f"web{inside}", f"www{family}"
        case.pool(pool, {"web-1": nat.BACKENDS[inside]})
        case.vip(vip, nat.VIPS[family], "tcp", 80, pool, "full-nat")
        backend = f"{pool}/web-1"
        flow = nat.MixedFlow(case, vip, family, "tcp", 80, full=True, inside=inside, backend=backend)
        flow.sends(flow.packet(), "scheduler")

        def head(of, source, destination, hops):
            fields = {"flags": "DF", "id": 0, "ttl": hops} if of == 4 else {"hlim": hops}
            return nat.ip(of, source, destination, **fields)

        for pair in PAIRS:
            outside_error, inside_error = (pair[0], pair[1]) if family == 4 else (pair[1], pair[0])
            # From the client's side to the backend.
            router = icmp_errors.ROUTERS[family]
            came = head(family, router, flow.service[0], 60) / outside_error.copy()
            came /= Raw(quoted(family, flow.service, flow.client, 50))
            left = head(inside, flow.local[0], flow.server[0], 59) / inside_error.copy()
            left /= Raw(quoted(inside, flow.server, flow.local, 50))
            case.send(kit.ether_in() / came).forwarded(
                kit.ether_out(flow.server[0]) / left, vip, backend, "connection_table"
            )
            # From the backends' side to the client.
            router = icmp_errors.ROUTERS[inside]
            came = head(inside, router, flow.local[0], 60) / inside_error.copy()
            came /= Raw(quoted(inside, flow.local, flow.server, 50))
            left = head(family, flow.service[0], flow.client[0], 59) / outside_error.copy()
            left /= Raw(quoted(family, flow.client, flow.service, 50))
            case.send(kit.ether_in() / came).replied(kit.ether_out(nat.GATEWAYS[family]) / left, vip, backend)
