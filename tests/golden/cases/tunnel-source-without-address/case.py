"""A prefix for tunnels makes an address of the port unnecessary: a port without IPv6 addresses sends tunnels over
IPv6."""

import kit
import tunnel
from scapy.all import TCP


def build(case):
    case.port["addresses"] = ["192.0.2.2/24"]
    case.port["gateways"] = ["192.0.2.1"]
    case.port["gateway_mac"] = "02:00:00:00:01:01"
    prefix = "2001:db8:ff::/64"
    case.node["tunnels"] = {"source_v6": prefix}
    case.pool("web", {"web-1": "2001:db8::11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "ipip")
    scheduler = kit.Scheduler({"web-1": 100})
    for port in range(10):
        packet = tunnel.packet_ip(4) / TCP(sport=port, dport=80, flags="S")
        flow_hash = scheduler.hash(*tunnel.flow_of(packet))
        out = tunnel.wrap("ipip", packet, "2001:db8::11", flow_hash, source=tunnel.source_in(prefix, flow_hash))
        case.send(kit.ether_in() / packet).forwarded(kit.ether_back() / out, "www", "web/web-1")
