"""All 256 values of TOS and traffic class in IPIP, in each family mix, and in the other modes every third, among which
each DSCP and each ECN is: both are copied to the outer header (RFC 2983, uniform model; RFC 6040, normal mode)."""

import kit
import tunnel
from scapy.all import UDP


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
                case.vip(vip, tunnel.VIPS[inner], "udp", port, f"web{outer}", mode)
                key = "tos" if inner == 4 else "tc"
                for value in range(0, 256, 1 if mode == "ipip" else 3):
                    packet = tunnel.packet_ip(inner, **{key: value}) / UDP(sport=9, dport=port)
                    flow_hash = scheduler.hash(*tunnel.flow_of(packet))
                    out = tunnel.wrap(mode, packet, tunnel.BACKENDS[outer], flow_hash)
                    rung = "connection_table" if value else "scheduler"
                    case.send(kit.ether_in() / packet).forwarded(
                        kit.ether_out(tunnel.BACKENDS[outer]) / out, vip, f"web{outer}/web-1", rung
                    )
