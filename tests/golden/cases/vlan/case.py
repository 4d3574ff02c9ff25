"""One VLAN tag and two (QinQ, in both spellings): the tags leave as they came, in L2 mode and around a tunnel."""

import kit
from scapy.all import IP, TCP, Dot1AD, Dot1Q, IPv6

TAGS = [
    Dot1Q(vlan=100),
    Dot1Q(vlan=0, prio=5),
    Dot1AD(vlan=7) / Dot1Q(vlan=4094, prio=3),
    Dot1Q(vlan=7) / Dot1Q(vlan=8),
]


def build(case):
    case.pool("web4", {"web-1": "192.0.2.11"})
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("l2-4", kit.VIP_V4, "tcp", 80, "web4", "l2")
    case.vip("l2-6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    case.vip("ipip-4", kit.VIP_V4, "tcp", 81, "web4", "ipip")
    case.vip("ipip-6", kit.VIP_V6, "tcp", 81, "web6", "ipip")
    scheduler = kit.Scheduler({"web-1": 100})
    for number, tags in enumerate(TAGS):
        source = 1000 + number
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=source, dport=80, flags="S")
        case.send(kit.ether_in() / tags / packet).forwarded(
            kit.ether_out("192.0.2.11") / tags / packet, "l2-4", "web4/web-1"
        )
        packet[TCP].dport = 81
        outer = IP(src=kit.DIRECTOR_V4, dst="192.0.2.11", ttl=64, flags="DF", id=0, proto=4)
        case.send(kit.ether_in() / tags / packet).forwarded(
            kit.ether_out("192.0.2.11") / tags / outer / packet, "ipip-4", "web4/web-1"
        )
        packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / TCP(sport=source, dport=80, flags="S")
        case.send(kit.ether_in() / tags / packet).forwarded(
            kit.ether_out("2001:db8::11") / tags / packet, "l2-6", "web6/web-1"
        )
        packet[TCP].dport = 81
        label = scheduler.hash(kit.CLIENT_V6, kit.VIP_V6, source, 81, 6) >> 8 & 0xFFFFF
        outer = IPv6(src=kit.DIRECTOR_V6, dst="2001:db8::11", hlim=64, fl=label, nh=41)
        case.send(kit.ether_in() / tags / packet).forwarded(
            kit.ether_out("2001:db8::11") / tags / outer / packet, "ipip-6", "web6/web-1"
        )
