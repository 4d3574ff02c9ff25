"""IPIP to backends in another network: the frame goes to the gateway's MAC address, the tunnel to the backend."""

import kit
from scapy.all import IP, IPv6, TCP

BACKENDS = {4: "10.1.2.3", 6: "2001:db8:77::3"}


def build(case):
    case.pool("far4", {"far": BACKENDS[4]})
    case.pool("far6", {"far": BACKENDS[6]})
    case.vip("www4", kit.VIP_V4, "tcp", 80, "far4", "ipip")
    case.vip("www6", kit.VIP_V6, "tcp", 80, "far6", "ipip")
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=1234, dport=80)
    outer = IP(src=kit.DIRECTOR_V4, dst=BACKENDS[4], ttl=64, flags="DF", id=0, proto=4)
    case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.1") / outer / packet, "www4", "far4/far")
    packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / TCP(sport=1234, dport=80)
    label = kit.Scheduler({"far": 100}).hash(kit.CLIENT_V6, kit.VIP_V6, 1234, 80, 6) >> 8 & 0xFFFFF
    outer = IPv6(src=kit.DIRECTOR_V6, dst=BACKENDS[6], hlim=64, fl=label, nh=41)
    case.send(kit.ether_in() / packet).forwarded(kit.ether_out("2001:db8::1") / outer / packet, "www6", "far6/far")
