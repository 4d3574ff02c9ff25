"""IPv6 packets that do not fit the MTU, with the bytes that the mode adds: "packet too big" with the size that fits
(RFC 4443, section 3.2), from the VIP, with as much of the packet as fits the minimum MTU of 1280 bytes."""

import kit
import tunnel
from scapy.all import UDP, Dot1Q, ICMPv6PacketTooBig, IPv6, Raw


def build(case):
    scheduler = kit.Scheduler({"web-1": 100})
    for mode, outer, port, vip, backend, limit in tunnel.ways_out(case, 6, "udp"):
        for size, tags in ((limit, None), (limit + 1, None), (limit + 2, Dot1Q(vlan=5)), (limit + 5000, None)):
            packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6, hlim=3, tc=0x12, fl=7)
            packet /= UDP(sport=size, dport=port) / Raw(bytes(i & 255 for i in range(size - 48)))
            there = kit.ether_in() if tags is None else kit.ether_in() / tags
            back = kit.ether_back() if tags is None else kit.ether_back() / tags
            sent = case.send(there / packet)
            if size == limit:
                flow_hash = scheduler.hash(*tunnel.flow_of(packet))
                sent.forwarded(tunnel.carried(mode, packet, outer, flow_hash), vip, backend)
                continue
            answer = IPv6(src=kit.VIP_V6, dst=kit.CLIENT_V6, hlim=64)
            answer /= ICMPv6PacketTooBig(mtu=limit) / Raw(bytes(packet)[: 1280 - 48])
            sent.answered(back / answer, vip, backend, "scheduler")
