"""ICMP errors at the limit of the MTU and above, which may not be fragmented: one that does not fit is not answered
with another (RFC 1122, section 3.2.2). Their flow's own packets just fit. Of a packet in fragments with DF, of which
each is too large, only the first is answered."""

import kit
import tunnel
from scapy.all import ICMP, IP, UDP, Raw


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    scheduler = kit.Scheduler({"web-1": 100})
    for port, (mode, limit) in enumerate(
        [("l2", 1500), ("ipip", 1480), ("gre", 1476), ("gue-direct", 1472), ("gue", 1468)], 80
    ):
        case.vip(mode, kit.VIP_V4, "udp", port, "web", mode)

        def wrapped(packet, flow, mode=mode):
            inside = packet if mode == "l2" else tunnel.wrap(mode, packet, "192.0.2.11", scheduler.hash(*flow))
            return kit.ether_out("192.0.2.11") / inside

        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / UDP(sport=limit, dport=port) / Raw(b"b" * (limit - 28))
        sent = case.send(kit.ether_in() / packet)
        sent.forwarded(wrapped(packet, tunnel.flow_of(packet)), mode, "web/web-1")
        quoted = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4) / UDP(sport=port, dport=limit, len=2000) / Raw(b"q" * 2000)
        for size in (limit, limit + 1):
            error = IP(src="198.51.100.1", dst=kit.VIP_V4, flags="DF") / ICMP(type=11, code=0)
            error /= Raw(bytes(quoted)[: size - 28])
            sent = case.send(kit.ether_in() / error)
            if size > limit:
                sent.dropped("too_big", mode, "web/web-1", "connection_table")
            else:
                flow = (kit.CLIENT_V4, kit.VIP_V4, limit, port, 17)
                sent.forwarded(wrapped(error, flow), mode, "web/web-1", "connection_table")
        if mode == "l2":
            continue
        whole = bytes(IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / UDP(sport=limit, dport=port) / Raw(b"b" * 2800))[20:]
        for at in (0, 1480):
            head = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, proto=17, id=port, frag=at // 8)
            head.flags = "MF+DF" if at == 0 else "DF"
            fragment = head / Raw(whole[at : at + 1480])
            sent = case.send(kit.ether_in() / fragment)
            if at > 0 and len(whole) - at + 20 > limit:
                sent.dropped("too_big", mode, "web/web-1", "connection_table")
            elif at > 0:
                sent.forwarded(wrapped(fragment, (kit.CLIENT_V4, kit.VIP_V4, limit, port, 17)), mode, "web/web-1",
                               "connection_table")
            else:
                answer = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4, tos=0xC0, id=0, flags="DF", ttl=64)
                answer /= ICMP(type=3, code=4, nexthopmtu=limit) / Raw(bytes(fragment)[: 576 - 28])
                sent.answered(kit.ether_back() / answer, mode, "web/web-1", "connection_table")
