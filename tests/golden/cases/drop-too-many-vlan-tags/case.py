"""Three VLAN tags and more."""

import kit
from scapy.all import TCP, Dot1AD, Dot1Q


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    tags = Dot1AD(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3)
    for family in (4, 6):
        packet = kit.ip_in(family) / TCP(dport=80)
        case.send(kit.ether_in() / tags / packet).dropped("too_many_vlan_tags")
        case.send(kit.ether_in() / tags / Dot1Q(vlan=4) / packet).dropped("too_many_vlan_tags")
    # It ends right behind the second tag, which promises a third.
    case.send(bytes(kit.ether_in() / tags)[: 14 + 8]).dropped("too_many_vlan_tags")
