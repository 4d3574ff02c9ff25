"""Fragments through destination and full NAT: the first one's ports and checksum are rewritten, of the others the
addresses; both ways, IPv4 and IPv6, in order."""

import kit
import nat
from scapy.all import IP, UDP, IPv6, IPv6ExtHdrFragment, Raw, fragment


def pieces_of(packet, number):
    """Three fragments; made by hand for IPv6, where scapy wants a fragment header to begin with."""
    if IP in packet:
        packet.id = number
        return fragment(packet, fragsize=488)
    whole = bytes(packet[UDP])
    head = packet.copy()
    head.remove_payload()
    del head.plen, head.nh
    parts = []
    for at in range(0, len(whole), 488):
        piece = whole[at : at + 488]
        more = at + 488 < len(whole)
        parts.append(head.copy() / IPv6ExtHdrFragment(nh=17, offset=at // 8, m=more, id=number) / Raw(piece))
    return [type(head)(bytes(part)) for part in parts]


def build(case):
    nat.use_full_nat(case)
    number = 0
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        for name, port, mode in (("www", 53, "nat"), ("full", 54, "full-nat")):
            vip, backend = f"{name}{family}", f"web{family}/web-1"
            case.vip(vip, nat.VIPS[family], "udp", port, f"web{family}", mode)
            full = mode == "full-nat"
            flow = nat.Flow(case, vip, family, "udp", port, full=full, backend=backend)

            def rebuilt(packet):
                return type(packet)(bytes(packet))

            def both(make, ends):
                nonlocal number
                number += 1
                packet = rebuilt(make(bytes(range(256)) * 5))
                out = rebuilt(nat.changed(packet, *ends))
                return zip(pieces_of(packet, number), pieces_of(out, number))

            rung = "scheduler"
            for came, left in both(flow.packet, (flow.local if full else None, flow.server)):
                case.send(kit.ether_in() / came).forwarded(kit.ether_out(flow.server[0]) / left, vip, backend, rung)
                rung = "connection_table"
            for came, left in both(flow.reply, (flow.service, flow.client if full else None)):
                case.send(kit.ether_in() / came).replied(
                    kit.ether_out(nat.GATEWAYS[family]) / left, vip, backend if full else None
                )
