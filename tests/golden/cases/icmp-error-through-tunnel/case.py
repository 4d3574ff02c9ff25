"""ICMP errors about packets of a VIP go through the same tunnel as the flow that they quote, with its source port, flow
label and source address, so that they take its path."""

import icmp_errors
import kit
import tunnel
from scapy.all import TCP


def build(case):
    scheduler = kit.Scheduler({"web-1": 100})
    for outer in (4, 6):
        case.pool(f"web{outer}", {"web-1": tunnel.BACKENDS[outer]})
    prefix = "198.18.0.0/16"
    case.node["tunnels"] = {"source_v4": prefix}
    port = 79
    for mode in tunnel.OVERHEAD:
        for inner in (4, 6):
            for outer in (4, 6):
                port += 1
                vip, backend = f"{mode}-{inner}in{outer}", f"web{outer}/web-1"
                case.vip(vip, tunnel.VIPS[inner], "tcp", port, f"web{outer}", mode)
                begin = tunnel.packet_ip(inner) / TCP(sport=7, dport=port, flags="S")
                flow_hash = scheduler.hash(*tunnel.flow_of(begin))
                source = tunnel.source_in(prefix, flow_hash) if outer == 4 else None

                def send(packet, rung):
                    out = tunnel.wrap(mode, packet, tunnel.BACKENDS[outer], flow_hash, source=source)
                    out = kit.ether_out(tunnel.BACKENDS[outer]) / out
                    case.send(kit.ether_in() / packet).forwarded(out, vip, backend, rung)

                header = next(icmp_errors.kinds(inner))
                error = icmp_errors.error(inner, header, icmp_errors.quote(inner, 7, vip_port=port))
                send(error, "scheduler_no_entry")
                send(begin, "scheduler")
                send(error, "connection_table")
