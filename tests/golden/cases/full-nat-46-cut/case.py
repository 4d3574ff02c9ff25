"""IPv4 packets without DF that are too long as IPv6 are cut on the way (RFC 7915, section 4.1): to the MTU of the port
towards backends, to 1280 bytes towards clients. Lengths around what just fits; IPv4 options are left behind; a
fragment is cut further; a datagram without a checksum gets one before; TCP too. With DF the sender is told."""

import kit
import nat
from family_fragments import cut, spans
from scapy.all import IP, IPOption, Raw

HEADERS = 48  # IPv6 and fragment header
DATA = bytes(i * 7 & 255 for i in range(9000))


def whole_or_pieces(packet, limit, ident):
    """How the translated packet leaves."""
    l4 = len(bytes(packet.payload))
    if 40 + l4 <= limit:
        return [packet]
    return cut(packet, spans(l4, (limit - HEADERS) // 8 * 8), ident)


def send(case, packet, frames):
    sent = case.send(kit.ether_in() / packet)
    return sent, frames[0], frames[1:]


def build(case):
    nat.use_full_nat(case)
    case.pool("web4", {"web-1": nat.BACKENDS[4]})
    case.pool("web6", {"web-1": nat.BACKENDS[6]})
    ident = 700

    def request(flow, packet, rung="connection_table", limit=1500):
        out = nat.translated(packet, flow.local, flow.server)
        frames = [kit.ether_out(flow.server[0]) / p for p in whole_or_pieces(out, limit, packet.id)]
        sent, first, others = send(case, packet, frames)
        sent.forwarded(first, flow.vip, flow.backend, rung)
        if others:
            sent.pieces(others)

    def reply(flow, packet, limit=1280):
        out = nat.translated(packet, flow.service, flow.client)
        frames = [kit.ether_out(nat.GATEWAYS[6]) / p for p in whole_or_pieces(out, limit, packet.id)]
        sent, first, others = send(case, packet, frames)
        sent.replied(first, flow.vip, flow.backend)
        if others:
            sent.pieces(others)

    case.vip("dns", nat.VIPS[4], "udp", 82, "web6", "full-nat")
    flow = nat.MixedFlow(case, "dns", 4, "udp", 82, full=True, inside=6, backend="web6/web-1")
    rung = "scheduler"
    for length in (1400, 1480, 1481, 1500, 8999):
        ident += 1
        request(flow, flow.packet(DATA[: length - 28], id=ident), rung)
        rung = "connection_table"
        if length <= 1500:  # all of it must lie in one buffer
            request(flow, flow.packet(DATA[: length - 28], {"chksum": 0}, id=ident + 100))
    options = [IPOption(b"\x82\x0b" + b"s" * 9), IPOption(b"\x07\x07\x04" + b"\0" * 4)]
    request(flow, flow.packet(DATA[:1480], id=900, ttl=2, tos=0xB9, options=options))
    # Fragments that become longer by the fragment header, the middle one too long.
    packet = flow.packet(DATA[:3000], id=901)
    whole = nat.translated(packet, flow.local, flow.server)
    places = [(0, 1000), (1000, 1480), (2480, 528)]
    for place, came in zip(places, cut(packet, places, 901)):
        left = cut(whole, [place] if place[1] < 1460 else spans(1480, 1448, place[0]), 901)
        sent, first, others = send(case, came, [kit.ether_out(flow.server[0]) / part for part in left])
        sent.forwarded(first, "dns", "web6/web-1", "connection_table")
        if others:
            sent.pieces(others)

    case.vip("www", nat.VIPS[4], "tcp", 82, "web6", "full-nat")
    flow = nat.MixedFlow(case, "www", 4, "tcp", 82, full=True, inside=6, backend="web6/web-1")
    flow.sends(flow.packet(l4_fields={"flags": "S", "seq": 100}), "scheduler")
    flow.answers(flow.reply(l4_fields={"flags": "SA", "seq": 500, "ack": 101}))
    request(flow, flow.packet(DATA[:1460], {"flags": "A", "seq": 101, "ack": 501}, id=902))

    case.vip("out", nat.VIPS[6], "udp", 82, "web4", "full-nat")
    flow = nat.MixedFlow(case, "out", 6, "udp", 82, full=True, inside=4, backend="web4/web-1")
    flow.sends(flow.packet(b"question"), "scheduler")
    for length in (1260, 1261, 1500, 8999):
        ident += 1
        reply(flow, flow.reply(DATA[: length - 28], id=ident))
        if length <= 1500:
            reply(flow, flow.reply(DATA[: length - 28], {"chksum": 0}, id=ident + 100))
