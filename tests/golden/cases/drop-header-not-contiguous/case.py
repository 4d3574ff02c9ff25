"""Headers that begin beyond the first buffer of a frame: a hop-by-hop header of 2 048 bytes before TCP. Addressed to a
VIP it is dropped; addressed to the host it is the host's business."""

import kit
from scapy.all import TCP, IPv6, Raw


def build(case):
    case.pool("web", {"web-1": "2001:db8::11"})
    case.vip("www", kit.VIP_V6, "tcp", 80, "web", "l2")
    hop_by_hop = Raw(bytes([6, 255]) + bytes(2046))  # of Pad1 options
    for destination in (kit.VIP_V6, kit.DIRECTOR_V6):
        tcp = bytes(IPv6(src=kit.CLIENT_V6, dst=destination) / TCP(dport=80))[40:]
        sent = case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=destination, nh=0) / hop_by_hop / Raw(tcp))
        if destination == kit.VIP_V6:
            sent.dropped("header_not_contiguous")
        else:
            sent.punted("other")
