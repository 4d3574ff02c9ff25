"""ICMP errors through destination and full NAT, in both families and of all kinds. About what the VIP sent to the
client: to the backend, as if about its own packet. About what was sent to the backend: to the client, as if about the
client's own packet; where the backend itself says it, in the VIP's name. With quotes of eight bytes and longer."""

import icmp_errors
import kit
import nat
from scapy.all import ICMP, IP, TCP, UDP, IPv6, Raw


def quoted(family, protocol, source, destination, size=20):
    """The packet that is quoted, and its headers alone when nothing more is."""
    l4 = TCP(flags="A", seq=7, ack=9) if protocol == "tcp" else UDP()
    l4.sport, l4.dport = source[1], destination[1]
    return bytes(nat.ip(family, source[0], destination[0]) / l4 / Raw(b"d" * size))


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        backend = nat.BACKENDS[family]
        case.pool(f"web{family}", {"web-1": {"address": backend, "port": 8080}})
        router = icmp_errors.ROUTERS[family]
        for name, protocol, port, mode in (
            ("tcp", "tcp", 80, "nat"),
            ("udp", "udp", 80, "nat"),
            ("tcp-full", "tcp", 81, "full-nat"),
            ("udp-full", "udp", 81, "full-nat"),
        ):
            full = mode == "full-nat"
            vip, member = f"{name}{family}", f"web{family}/web-1"
            case.vip(vip, nat.VIPS[family], protocol, port, f"web{family}", mode)
            flow = nat.Flow(case, vip, family, protocol, port, backend_port=8080, full=full, backend=member)
            flow.sends(flow.packet(), "scheduler")
            for header in icmp_errors.kinds(family):
                # From the client's side.
                quote = quoted(family, protocol, flow.service, flow.client)
                out = quoted(family, protocol, flow.server, flow.local)
                came = icmp_errors.error(family, header.copy(), quote, hops=60)
                source = flow.local[0] if full else router
                left = icmp_errors.error(family, header.copy(), out, backend, source, hops=59)
                case.send(kit.ether_in() / came).forwarded(
                    kit.ether_out(backend) / left, vip, member, "connection_table"
                )
                # From the backends' side.
                for sender, shown in ((router, router), (backend, flow.service[0])):
                    quote = quoted(family, protocol, flow.local, flow.server)
                    out = quoted(family, protocol, flow.client, flow.service)
                    came = icmp_errors.error(family, header.copy(), quote, flow.local[0], sender, hops=60)
                    left = icmp_errors.error(family, header.copy(), out, flow.client[0], shown, hops=59)
                    case.send(kit.ether_in() / came).replied(
                        kit.ether_out(nat.GATEWAYS[family]) / left, vip, member if full else None
                    )
