"""VLAN tags, IPv4 options, IPv6 extension headers and Ethernet padding go through destination and full NAT
untouched."""

import kit
import nat
from scapy.all import IP, TCP, Dot1Q, IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt, Padding


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        for name, port, mode in (("www", 80, "nat"), ("full", 81, "full-nat")):
            vip, backend = f"{name}{family}", f"web{family}/web-1"
            case.vip(vip, nat.VIPS[family], "tcp", port, f"web{family}", mode)
            flow = nat.Flow(case, vip, family, "tcp", port, full=mode == "full-nat", backend=backend)
            if family == 4:
                head = IP(src=flow.client[0], dst=flow.service[0], options=[IPOption_Router_Alert()])
            else:
                head = IPv6(src=flow.client[0], dst=flow.service[0]) / IPv6ExtHdrDestOpt()
            packet = head / TCP(sport=flow.client[1], dport=port, flags="S")
            out = nat.changed(packet, flow.local if flow.full else None, flow.server)
            tag, padding = Dot1Q(vlan=7, prio=3), Padding(b"\0" * 6)
            case.send(kit.ether_in() / tag / packet / padding).forwarded(
                kit.ether_out(flow.server[0]) / tag / out / padding, vip, backend, "scheduler"
            )
