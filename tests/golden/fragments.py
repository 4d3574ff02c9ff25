"""Fragmented packets to a VIP, and what goes to the backend, in every mode that leaves the client's packet as it is."""

import kit
import tunnel
from scapy.all import IP, TCP, UDP, IPv6, IPv6ExtHdrFragment, Raw

MODES = ("l2", "ipip", "gre", "gue-direct", "gue")


def whole(family, l4, port, length, ident):
    """A client's packet whose payload tells every byte's place."""
    header = tunnel.packet_ip(family, **({"id": ident} if family == 4 else {}))
    return header / l4(sport=4000 + ident, dport=port) / Raw(bytes(i * 11 & 255 for i in range(length)))


def cut(packet, size, ident):
    """The fragments of a packet with `size` bytes of payload each, by hand from RFC 791 and RFC 8200."""
    v4 = IP in packet
    packet = packet.__class__(bytes(packet))
    payload = bytes(packet.payload)
    parts = []
    for at in range(0, len(payload), size):
        part, more = payload[at : at + size], at + size < len(payload)
        if v4:
            fields = {name: getattr(packet, name) for name in ("src", "dst", "id", "proto", "ttl")}
            parts.append(IP(**fields, frag=at // 8, flags=int(more)) / Raw(part))
        else:
            header = IPv6(src=packet.src, dst=packet.dst, hlim=packet.hlim)
            parts.append(header / IPv6ExtHdrFragment(nh=packet.nh, id=ident, offset=at // 8, m=int(more)) / Raw(part))
    return parts


class Flow:
    """A VIP of one mode with a backend of its family, or of `outer`, and packets to it."""

    def __init__(self, case, family, mode, number, protocol="udp", outer=None):
        self.case, self.family, self.mode, self.outer = case, family, mode, outer or family
        self.port = 5000 + number
        self.vip = f"{mode}-{protocol}-{family}"
        self.backend = f"pool-{self.outer}/web-1"
        self.l4 = UDP if protocol == "udp" else TCP
        case.vip(self.vip, tunnel.VIPS[family], protocol, self.port, f"pool-{self.outer}", mode)
        self.scheduler = kit.Scheduler({"web-1": 100})

    def out(self, fragment, packet):
        if self.mode != "l2":
            fragment = tunnel.wrap(
                self.mode, fragment, tunnel.BACKENDS[self.outer], self.scheduler.hash(*tunnel.flow_of(packet))
            )
        return kit.ether_out(tunnel.BACKENDS[self.outer]) / fragment

    def send(self, packet, parts, order, rung="scheduler"):
        """Fragments in an order; those before the first are held."""
        held = []
        for index in order:
            sent = self.case.send(kit.ether_in() / parts[index])
            if 0 not in order or order.index(0) > order.index(index):
                held.append((sent.held(), index))
                continue
            sent.forwarded(self.out(parts[index], packet), self.vip, self.backend, rung)
            rung = "connection_table"
            if index == 0:
                for waited, of in held:
                    out = self.out(parts[of], packet)
                    sent.releases(waited, out, self.vip, self.backend, rung)
        return held


def pools(case):
    for family, backend in tunnel.BACKENDS.items():
        case.pool(f"pool-{family}", {"web-1": backend})


def build(case, family, modes=MODES, outer=None):
    pools(case)
    number = 0
    for mode in modes:
        for protocol in ("udp", "tcp"):
            number += 1
            flow = Flow(case, family, mode, number, protocol, outer)
            packet = whole(family, flow.l4, flow.port, 3000, number)
            parts = cut(packet, 1200, number)
            flow.send(packet, parts, [0, 1, 2])
            for ident, order in enumerate(([2, 1, 0], [1, 0, 2], [2, 0, 1]), 100 * number):
                packet = whole(family, flow.l4, flow.port, 3000, ident)
                flow.send(packet, cut(packet, 1200, ident), order)
                case.wait(0.001)
