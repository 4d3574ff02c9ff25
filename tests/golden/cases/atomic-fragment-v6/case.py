"""IPv6 packets with a fragment header that are whole (RFC 6946: offset 0, no more fragments; the reserved bits do not
count) are forwarded like any other, as they came, alone or among other extension headers, and belong to the same flow
as packets without the header."""

import kit
import tunnel
from scapy.all import TCP, UDP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, Raw

BACKEND = "2001:db8::11"


def build(case):
    case.pool("web", {"web-1": BACKEND})
    scheduler = kit.Scheduler({"web-1": 100})
    base = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6)
    for port, mode in enumerate(("l2", "ipip", "gre", "gue-direct", "gue"), 80):
        for protocol, l4, number in (("udp", UDP(sport=9, dport=port), 17), ("tcp", TCP(sport=9, dport=port), 6)):
            vip = f"{mode}-{protocol}"
            case.vip(vip, kit.VIP_V6, protocol, port, "web", mode)
            l4 = l4 / Raw(b"whole")
            flow_hash = scheduler.hash(kit.CLIENT_V6, kit.VIP_V6, 9, port, number)
            whole = [
                base / l4,
                base / IPv6ExtHdrFragment(id=1) / l4,
                base / IPv6ExtHdrFragment(id=0xFFFFFFFF, res1=255, res2=3) / l4,
                base / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(id=2) / IPv6ExtHdrDestOpt() / l4,
            ]
            for count, packet in enumerate(whole):
                out = packet if mode == "l2" else tunnel.wrap(mode, packet, BACKEND, flow_hash)
                case.send(kit.ether_in() / packet).forwarded(
                    kit.ether_out(BACKEND) / out, vip, "web/web-1", "connection_table" if count else "scheduler"
                )
