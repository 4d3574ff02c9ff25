"""The director is a hop: a packet of the client or of the backend with no hop left is answered with "time exceeded"
from the director's own address, so that a traceroute through it shows it. Errors with no hop left are dropped."""

import kit
import nat
import icmp_errors
from scapy.all import ICMP, IP, ICMPv6TimeExceeded, IPv6, Raw


def exceeded(family, quoted):
    """RFC 792 and RFC 4443: from the director's address, with as much of the packet as fits."""
    packet = bytes(quoted)
    if family == 4:
        head = IP(src=kit.DIRECTOR_V4, dst=quoted.src, tos=0xC0, id=0, flags="DF", ttl=64)
        return head / ICMP(type=11, code=0) / Raw(packet[: 576 - 28])
    head = IPv6(src=kit.DIRECTOR_V6, dst=quoted.src, hlim=64)
    return head / ICMPv6TimeExceeded(code=0) / Raw(packet[: 1280 - 48])


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        ttl = "ttl" if family == 4 else "hlim"
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        for name, port, mode in (("www", 80, "nat"), ("full", 81, "full-nat")):
            vip, backend = f"{name}{family}", f"web{family}/web-1"
            case.vip(vip, nat.VIPS[family], "udp", port, f"web{family}", mode)
            full = mode == "full-nat"
            flow = nat.Flow(case, vip, family, "udp", port, full=full, backend=backend)
            for left, rung in ((1, "scheduler"), (0, "connection_table")):
                packet = flow.packet(b"who is there", **{ttl: left})
                case.send(kit.ether_in() / packet).answered(
                    kit.ether_back() / exceeded(family, packet), vip, backend, rung
                )
            flow.sends(flow.packet(b"x" * 1300, **{ttl: 2}), "connection_table")
            reply = flow.reply(b"y" * 1300, **{ttl: 1})
            sent = case.send(kit.ether_in() / reply)
            sent.answered(kit.ether_back() / exceeded(family, reply), vip, backend if full else None)
            sent.is_reply = True
            error = icmp_errors.error(
                family, next(icmp_errors.kinds(family)), icmp_errors.quote(family, 40000, port, "udp"), hops=1
            )
            case.send(kit.ether_in() / error).dropped("ttl_expired", vip, backend, "connection_table")
