"""Packets at the limit of the MTU and a byte above, without a tunnel and with both kinds of one. A frame in several
buffers that is too long for its port is dropped the same way."""

import kit
from scapy.all import IP, UDP, IPv6, Raw


def build(case):
    case.pool("web4", {"web-1": "192.0.2.11"})
    case.pool("web6", {"web-1": "2001:db8::11"})
    outer4 = IP(src=kit.DIRECTOR_V4, dst="192.0.2.11", ttl=64, flags="DF", id=0, proto=4)
    outer6 = IPv6(src=kit.DIRECTOR_V6, dst="2001:db8::11", hlim=64, nh=41)
    scheduler = kit.Scheduler({"web-1": 100})
    limits = [(4, "l2", 80, 1500), (6, "l2", 80, 1500), (4, "ipip", 81, 1480), (6, "ipip", 81, 1460)]
    for family, mode, port, limit in limits:
        vip, backend = f"{mode}-{family}", f"web{family}/web-1"
        address, header = (kit.VIP_V4, 28) if family == 4 else (kit.VIP_V6, 48)
        case.vip(vip, address, "udp", port, f"web{family}", mode)
        for size in (limit, limit + 1, limit + 3000):
            ip = IP(src=kit.CLIENT_V4, dst=address) if family == 4 else IPv6(src=kit.CLIENT_V6, dst=address)
            packet = ip / UDP(sport=size, dport=port) / Raw(b"b" * (size - header))
            sent = case.send(kit.ether_in() / packet)
            if size > limit:
                sent.dropped("too_big", vip, backend, "scheduler")
                continue
            out = packet
            if mode == "ipip" and family == 4:
                out = outer4 / packet
            elif mode == "ipip":
                label = scheduler.hash(kit.CLIENT_V6, kit.VIP_V6, size, port, 17) >> 8 & 0xFFFFF
                out = outer6.copy()
                out.fl = label
                out /= packet
            neighbour = "192.0.2.11" if family == 4 else "2001:db8::11"
            sent.forwarded(kit.ether_out(neighbour) / out, vip, backend)
