"""Fragments between the families (RFC 7915, sections 4.1 and 5.1.1), made here by hand: the L4 part of the whole packet
as it leaves, cut where the original was."""

import kit
import nat
from scapy.all import IP, UDP, IPv6, IPv6ExtHdrFragment, Raw


def spans(length, size, at=0):
    """(offset, size) of fragments that carry `length` bytes from `at`."""
    return [(at + done, min(size, length - done)) for done in range(0, length, size)]


def cut(packet, places, ident, **ip_fields):
    """Fragments of a whole packet; `places` is what spans() makes. IPv4 has the lower half of the id only."""
    packet = type(packet)(bytes(packet))
    v4 = IP in packet
    payload = bytes(packet.payload)
    out = []
    for at, size in places:
        more = at + size < len(payload)
        part = Raw(payload[at : at + size])
        if v4:
            fields = {name: getattr(packet, name) for name in ("src", "dst", "tos", "ttl", "proto")} | ip_fields
            out.append(IP(**fields, id=ident & 0xFFFF, frag=at // 8, flags="MF" if more else 0) / part)
        else:
            head = IPv6(src=packet.src, dst=packet.dst, tc=packet.tc, hlim=packet.hlim)
            out.append(head / IPv6ExtHdrFragment(nh=packet.nh, id=ident, offset=at // 8, m=int(more)) / part)
    return out


class Exchange:
    """Fragmented packets of one flow, both ways."""

    def __init__(self, flow, backend, rung):
        self.flow, self.backend, self.rung = flow, backend, rung
        self.ident = 0x1_0042

    def request(self, packet, places, order):
        out = nat.translated(packet, self.flow.local, self.flow.server)
        self._send(packet, out, places, order, self.flow.server[0], True)

    def reply(self, packet, places, order):
        out = nat.translated(packet, self.flow.service, self.flow.client)
        self._send(packet, out, places, order, nat.GATEWAYS[self.flow.family], False)

    def _send(self, packet, out, places, order, next_hop, to_backend):
        self.ident += 0x1_0001
        came = cut(packet, places, self.ident)
        # An IPv4 id has no upper half to translate, and none to come from.
        left = cut(out, places, self.ident & 0xFFFF)
        held = []
        for index in order:
            sent = self.flow.case.send(kit.ether_in() / came[index])
            frame = kit.ether_out(next_hop) / left[index]
            if order.index(0) > order.index(index):
                held.append((sent.held(), frame))
            elif to_backend:
                sent.forwarded(frame, self.flow.vip, self.backend, self.rung)
            else:
                sent.replied(frame, self.flow.vip, self.backend)
            if index == 0:
                self.rung = "connection_table"
                for waited, out_frame in held:
                    sent.releases(waited, out_frame, self.flow.vip, self.backend, self.rung if to_backend else None)


PORT = 82  # as in the fuzzer of the NAT pipeline
ORDERS = ([0, 1, 2], [2, 1, 0], [1, 0, 2])
DATA = bytes(i * 11 & 255 for i in range(2501))


def build(case, family, inside):
    """UDP and TCP, both ways, in and out of order, with what translation could spoil: traffic class, hop limit, the
    upper half of an IPv6 id, a last fragment of odd length."""
    nat.use_full_nat(case)
    backend = f"web{inside}/web-1"
    case.pool(f"web{inside}", {"web-1": nat.BACKENDS[inside]})
    fields = {4: {"tos": 0xB9, "ttl": 9}, 6: {"tc": 0xB9, "hlim": 9}}
    for protocol in ("udp", "tcp"):
        case.vip(protocol, nat.VIPS[family], protocol, PORT, f"web{inside}", "full-nat")
        flow = nat.MixedFlow(case, protocol, family, protocol, PORT, full=True, inside=inside, backend=backend)
        segment = {}
        if protocol == "tcp":
            flow.sends(flow.packet(l4_fields={"flags": "S", "seq": 100}), "scheduler")
            flow.answers(flow.reply(l4_fields={"flags": "SA", "seq": 500, "ack": 101}))
            segment = {"flags": "A", "seq": 101, "ack": 501}
        exchange = Exchange(flow, backend, "connection_table" if segment else "scheduler")
        for order in ORDERS:
            packet = flow.packet(DATA, segment, **fields[family])
            places = spans(len(bytes(packet.payload)), 1000)
            exchange.request(packet, places, order)
            exchange.reply(flow.reply(DATA, segment and {"flags": "A", "seq": 501, "ack": 101}, **fields[inside]),
                           places, order)
            case.wait(0.001)
