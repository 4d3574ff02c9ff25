"""IPv4 packets with DF that do not fit the MTU, with the bytes that the mode adds: "fragmentation needed" with the size
that fits (RFC 1191, section 4), from the VIP, with as much of the packet as 576 bytes hold (RFC 1812, section
4.3.2.3). Also in a VLAN, padded, and of a frame in several buffers."""

import kit
import tunnel
from scapy.all import ICMP, IP, TCP, Dot1Q, Raw


def build(case):
    scheduler = kit.Scheduler({"web-1": 100})
    for mode, outer, port, vip, backend, limit in tunnel.ways_out(case, 4, "tcp"):
        for size, tags in ((limit, None), (limit + 1, None), (limit + 2, Dot1Q(vlan=5)), (limit + 5000, None)):
            packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, flags="DF", id=size, ttl=3, tos=0x12)
            packet /= TCP(sport=size, dport=port, flags="S")
            packet /= Raw(bytes(i & 255 for i in range(size - 40)))
            there = kit.ether_in() if tags is None else kit.ether_in() / tags
            back = kit.ether_back() if tags is None else kit.ether_back() / tags
            sent = case.send(there / packet)
            if size == limit:
                flow_hash = scheduler.hash(*tunnel.flow_of(packet))
                sent.forwarded(tunnel.carried(mode, packet, outer, flow_hash), vip, backend)
                continue
            answer = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4, ttl=64, id=0, flags="DF", tos=0xC0)
            answer /= ICMP(type=3, code=4, nexthopmtu=limit) / Raw(bytes(packet)[: 576 - 28])
            sent.answered(back / answer, vip, backend, "scheduler")
