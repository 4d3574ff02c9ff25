"""Jumbo packets without DF that come at once and are each cut into seven: a burst of 32 has room for 128 pieces beyond
the packets themselves. What needs more is dropped, smaller ones behind it are not, and the next burst has all the room
again. Into tunnels of either family, and from IPv4 clients to IPv6 backends. (IPv6 packets are not cut on their way,
but for those up to 1 280 bytes that become IPv4; of these a burst has room for all.)"""

import family_fragments
import fragments
import kit
import nat
import tunnel

BURST, ROOM = 32, 128
LONG, SHORT, WHOLE = 9000 - 28, 2000 - 28, 1000  # bytes of data
DATA = bytes(i * 7 & 255 for i in range(LONG))


def through_tunnel(case, outer, port):
    """A flow to a VIP with an IPIP tunnel of family `outer`, and what leaves for a packet of it."""
    flow = nat.Flow(case, f"ipip-{outer}", 4, "udp", port, backend=f"web{outer}/web-1")
    case.vip(flow.vip, nat.VIPS[4], "udp", port, f"web{outer}", "ipip")
    size = (1500 - tunnel.OVERHEAD["ipip"][outer] - 20) // 8 * 8

    def frames(packet):
        return [tunnel.carried("ipip", part, outer, flow.hash) for part in fragments.cut(packet, size, 0)]

    return flow, frames


def to_ipv6(case, port):
    """The same for a VIP whose backends have IPv6 addresses."""
    flow = nat.MixedFlow(case, "dns", 4, "udp", port, full=True, inside=6, backend="web6/web-1")
    case.vip(flow.vip, nat.VIPS[4], "udp", port, "web6", "full-nat")

    def frames(packet):
        out = nat.translated(packet, flow.local, flow.server)
        payload = len(bytes(out.payload))
        parts = [out] if payload <= 1460 else family_fragments.cut(
            out, family_fragments.spans(payload, (1500 - 48) // 8 * 8), packet.id)
        return [kit.ether_out(flow.server[0]) / part for part in parts]

    return flow, frames


def burst(case, flow, frames):
    """32 packets and one more, which is the next burst."""
    room, sent, rung = ROOM, [], "scheduler"
    sizes = [LONG] * 22 + [SHORT] * 3 + [WHOLE] + [LONG, SHORT] * 3
    case.wait(1)
    for number, size in enumerate([*sizes, LONG]):
        packet = flow.packet(DATA[:size], id=1 + number)
        outs = frames(packet)
        if number == BURST:
            room = ROOM
        arrived = case.send(kit.ether_in() / packet)
        if len(outs) - 1 > room:
            arrived.dropped("fragment_no_buffer", flow.vip, flow.backend, rung)
        else:
            arrived.forwarded(outs[0], flow.vip, flow.backend, rung)
            if outs[1:]:
                arrived.pieces(outs[1:])
            room -= len(outs) - 1
        sent.append(arrived.record["fate"])
        rung = "connection_table"
    few = ["forwarded"] * 2 + ["dropped", "forwarded"]
    if sent != ["forwarded"] * 21 + ["dropped", *few] + ["dropped"] * 6 + ["forwarded"]:
        raise ValueError(f"the burst is not what it should show: {sent}")


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
    burst(case, *through_tunnel(case, 4, 80))
    burst(case, *through_tunnel(case, 6, 81))
    burst(case, *to_ipv6(case, 82))
