"""VLAN tags, single and QinQ, around tunnels of each mode and family mix: the tags leave as they came, and the
EtherType behind them is that of the outer header. Ethernet padding does not get into the tunnel."""

import kit
import tunnel
from scapy.all import TCP, Dot1AD, Dot1Q, Padding

TAGS = [None, Dot1Q(vlan=100, prio=5), Dot1AD(vlan=7) / Dot1Q(vlan=4094)]


def build(case):
    scheduler = kit.Scheduler({"web-1": 100})
    for outer in (4, 6):
        case.pool(f"web{outer}", {"web-1": tunnel.BACKENDS[outer]})
    port = 79
    for mode in tunnel.OVERHEAD:
        for inner in (4, 6):
            for outer in (4, 6):
                port += 1
                vip = f"{mode}-{inner}in{outer}"
                case.vip(vip, tunnel.VIPS[inner], "tcp", port, f"web{outer}", mode)
                for number, tags in enumerate(TAGS):
                    packet = tunnel.packet_ip(inner) / TCP(sport=number, dport=port, flags="S")
                    flow_hash = scheduler.hash(*tunnel.flow_of(packet))
                    out = tunnel.wrap(mode, packet, tunnel.BACKENDS[outer], flow_hash)
                    there, back = kit.ether_in(), kit.ether_out(tunnel.BACKENDS[outer])
                    if tags is not None:
                        there, back = there / tags, back / tags
                    case.send(there / packet / Padding(b"\xee" * 6)).forwarded(back / out, vip, f"web{outer}/web-1")
