"""Tunnels whose source varies by flow within a prefix (node.tunnels), of all modes and family mixes: the address
follows from the flow hash, stays for the flow, and the header checksums are right with it. Prefix lengths are no
multiples of eight."""

import ipaddress

import kit
import tunnel
from scapy.all import TCP, Raw

PREFIXES = {4: "198.18.16.0/20", 6: "2001:db8:ff:fff0::/60"}


def build(case):
    case.node["tunnels"] = {"source_v4": PREFIXES[4], "source_v6": PREFIXES[6]}
    scheduler = kit.Scheduler({"web-1": 100})
    for outer in (4, 6):
        case.pool(f"web{outer}", {"web-1": tunnel.BACKENDS[outer]})
    sources = {4: set(), 6: set()}
    port = 79
    for mode in tunnel.OVERHEAD:
        for inner in (4, 6):
            for outer in (4, 6):
                port += 1
                vip = f"{mode}-{inner}in{outer}"
                case.vip(vip, tunnel.VIPS[inner], "tcp", port, f"web{outer}", mode)
                for number in range(20):
                    packet = tunnel.packet_ip(inner) / TCP(sport=number // 2, dport=port, flags="SA"[number % 2])
                    packet /= Raw(b"x" * number)
                    flow_hash = scheduler.hash(*tunnel.flow_of(packet))
                    source = tunnel.source_in(PREFIXES[outer], flow_hash)
                    if ipaddress.ip_address(source) not in ipaddress.ip_network(PREFIXES[outer]):
                        raise ValueError(f"{source} is not in {PREFIXES[outer]}")
                    sources[outer].add(source)
                    out = tunnel.wrap(mode, packet, tunnel.BACKENDS[outer], flow_hash, source=source)
                    case.send(kit.ether_in() / packet).forwarded(
                        kit.ether_out(tunnel.BACKENDS[outer]) / out,
                        vip,
                        f"web{outer}/web-1",
                        ("scheduler", "connection_table")[number % 2],
                    )
    # 80 flows each: that few share an address is what the prefix is for.
    if min(len(found) for found in sources.values()) < 75:
        raise ValueError("the sources of tunnels hardly vary")
