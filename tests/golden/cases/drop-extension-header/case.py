"""Nine IPv6 extension headers and more before a VIP's protocol: the walk ends after eight. To the host it goes on."""

import kit
from scapy.all import TCP, IPv6, Raw


def build(case):
    case.pool("web", {"web-1": "2001:db8::11"})
    case.vip("www", kit.VIP_V6, "tcp", 80, "web", "l2")
    for count in (9, 10, 100):
        chain = Raw((bytes([60, 0, 1, 4]) + bytes(4)) * (count - 1) + bytes([6, 0, 1, 4]) + bytes(4))
        for destination in (kit.VIP_V6, kit.DIRECTOR_V6):
            tcp = Raw(bytes(TCP(dport=80)))
            sent = case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=destination, nh=60) / chain / tcp)
            sent.dropped("extension_header") if destination == kit.VIP_V6 else sent.punted("other")
