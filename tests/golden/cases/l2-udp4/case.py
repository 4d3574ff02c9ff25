"""L2, IPv4, UDP: with and without a checksum, and a payload that is empty; a wrong UDP checksum is the
backend's business."""

import kit
from scapy.all import IP, UDP, Raw


def build(case):
    case.pool("dns", {"dns-1": "192.0.2.21"})
    case.vip("dns", kit.VIP_V4, "udp", 53, "dns", "l2")
    datagrams = [
        (UDP(sport=5000, dport=53), b"question"),
        (UDP(sport=5001, dport=53, chksum=0), b"no checksum"),
        (UDP(sport=5002, dport=53), b""),
        (UDP(sport=5003, dport=53, chksum=0x1234), b"wrong checksum"),
        (UDP(sport=0, dport=53), b"from port 0"),
    ]
    for udp, data in datagrams:
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / udp / Raw(data)
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.21") / packet, "dns", "dns/dns-1")
    case.count("vips", "dns", new_flows=5)
