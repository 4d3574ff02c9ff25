"""A traceroute by UDP to a VIP, each probe of a flow of its own. With NAT the director is a hop of its own, then come
the routers to the backend, and at the end the backend, which nobody listens on: its "port unreachable" comes in the
VIP's name. With L2 and tunnels the director leaves no trace: the hop limit passes unchanged."""

import icmp_errors
import kit
import nat
from scapy.all import ICMP, ICMPv6DestUnreach, ICMPv6TimeExceeded, IP, IPv6, Raw

FIRST_PORT = 33434


def exceeded(family):
    return ICMP(type=11, code=0) if family == 4 else ICMPv6TimeExceeded(code=0)


def unreachable(family):
    return ICMP(type=3, code=3) if family == 4 else ICMPv6DestUnreach(code=4)


def from_director(family, probe):
    """RFC 792 and RFC 4443: "time exceeded" from the address of the port."""
    if family == 4:
        head = IP(src=kit.DIRECTOR_V4, dst=probe.src, tos=0xC0, id=0, flags="DF", ttl=64)
    else:
        head = IPv6(src=kit.DIRECTOR_V6, dst=probe.src, hlim=64)
    return head / exceeded(family) / Raw(bytes(probe))


def translated(case, family, mode, address, hop):
    """The probes of one traceroute, and what comes back for each."""
    full = mode == "full-nat"
    vip, backend = f"{mode}{family}", f"web{family}/web-1"
    case.vip(vip, address, "udp", f"{FIRST_PORT}-{FIRST_PORT + 99}", f"web{family}", mode)
    router = "192.0.2.77" if family == 4 else "2001:db8::77"
    for hops in (1, 2, 3):
        flow = nat.Flow(case, vip, family, "udp", FIRST_PORT + hops, client_port=50000 + hops, full=full,
                        backend=backend, vip_address=address)
        probe = flow.packet(b"@" * 32, **{hop: hops})
        if hops == 1:
            case.send(kit.ether_in() / probe).answered(
                kit.ether_back() / from_director(family, probe), vip, backend, "scheduler")
            continue
        flow.sends(probe, "scheduler")
        # The probe as it was when its last hop was gone, there and as the client is to see it.
        arrived = nat.changed(probe, flow.local if full else None, flow.server)
        shown = nat.changed(probe)
        sender, source, header = (
            (router, router, exceeded) if hops == 2 else (flow.server[0], flow.service[0], unreachable))
        came = icmp_errors.error(family, header(family), bytes(arrived), flow.local[0], sender, hops=64)
        left = icmp_errors.error(family, header(family), bytes(shown), flow.client[0], source, hops=63)
        case.send(kit.ether_in() / came).replied(
            kit.ether_out(nat.GATEWAYS[family]) / left, vip, backend if full else None)


def build(case):
    nat.use_full_nat(case)
    for family, hop in ((4, "ttl"), (6, "hlim")):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        own = "203.0.113.40" if family == 4 else "2001:db8:f::40"
        translated(case, family, "nat", nat.VIPS[family], hop)
        translated(case, family, "full-nat", own, hop)
        seen = "203.0.113.41" if family == 4 else "2001:db8:f::41"
        case.vip(f"l2{family}", seen, "udp", f"{FIRST_PORT}-{FIRST_PORT + 99}", f"web{family}", "l2")
        for hops in (1, 2):
            flow = nat.Flow(case, f"l2{family}", family, "udp", FIRST_PORT + hops, client_port=50000 + hops,
                            backend=f"web{family}/web-1", vip_address=seen)
            probe = flow.packet(b"@" * 32, **{hop: hops})
            flow.sends(probe, "scheduler", probe)
        # A port that nobody serves says nothing.
        probe = nat.ip(family, nat.CLIENTS[family], seen, **{hop: 9}) / nat.l4("udp", 50000, 40000) / Raw(b"@" * 32)
        case.send(kit.ether_in() / probe).dropped("vip_no_service")
