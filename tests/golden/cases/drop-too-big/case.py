"""IPv4 packets that may be fragmented (no DF), at the limit of the MTU and above: nothing is fragmented here, and their
sender asked for no answer. Neither is an ICMP error answered that does not fit (RFC 1122, section 3.2.2), whatever its
DF; nor a frame in several buffers that is too long for its port."""

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

        for size in (limit, limit + 1, limit + 3000):
            packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / UDP(sport=size, dport=port) / Raw(b"b" * (size - 28))
            sent = case.send(kit.ether_in() / packet)
            if size > limit:
                sent.dropped("too_big", mode, "web/web-1", "scheduler")
            else:
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
