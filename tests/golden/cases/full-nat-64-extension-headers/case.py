"""IPv6 extension headers to IPv4 backends: options and a route that was walked to its end are left behind (RFC 7915,
section 5.1), and so is the fragment header of a whole packet, of which the id stays (5.1.1)."""

import nat
from scapy.all import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, Raw


def build(case):
    nat.use_full_nat(case)
    case.pool("web", {"web-1": nat.BACKENDS[4]})
    case.vip("www", nat.VIPS[6], "udp", 82, "web", "full-nat")
    flow = nat.MixedFlow(case, "www", 6, "udp", 82, full=True, inside=4)
    rung = "scheduler"
    for length in (100, 1300):
        packet = flow.packet(b"x" * length)
        datagram = bytes(type(packet)(bytes(packet)).payload)
        for chain, ident in (
            (IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(nh=17), None),
            (IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0, nh=17), None),
            (IPv6ExtHdrFragment(id=0x12345678, nh=17), 0x5678),
            (IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(id=0x12345678) / IPv6ExtHdrDestOpt(nh=17), 0x5678),
        ):
            out = nat.translated(packet, flow.local, flow.server)
            if ident is not None:
                out.id, out.flags = ident, 0
            flow.sends(IPv6(src=nat.CLIENTS[6], dst=nat.VIPS[6]) / chain / Raw(datagram), rung, out)
            rung = "connection_table"
