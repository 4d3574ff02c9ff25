"""VIPs with a range of ports, both ends included: each port has flows of its own."""

import kit
from scapy.all import IP, TCP, UDP, IPv6

BACKENDS = {4: "192.0.2.11", 6: "2001:db8::11"}


def build(case):
    for family, client, vip in ((4, kit.CLIENT_V4, kit.VIP_V4), (6, kit.CLIENT_V6, kit.VIP_V6)):
        pool, backend = f"web{family}", BACKENDS[family]
        case.pool(pool, {"web-1": backend})
        case.vip(f"range{family}", vip, "udp", "27000-27999", pool, "l2")
        case.vip(f"low{family}", vip, "udp", "1-2", pool, "l2")
        case.vip(f"high{family}", vip, "udp", "65534-65535", pool, "l2")
        ip = (IP if family == 4 else IPv6)(src=client, dst=vip)
        served = {"range": (27000, 27001, 27499, 27998, 27999), "low": (1, 2), "high": (65534, 65535)}
        for rung in ("scheduler", "connection_table"):
            for name, ports in served.items():
                for port in ports:
                    packet = ip / UDP(sport=9, dport=port)
                    case.send(kit.ether_in() / packet).forwarded(
                        kit.ether_out(backend) / packet, f"{name}{family}", f"{pool}/web-1", rung
                    )
        for port in (0, 3, 26999, 28000, 65533):
            case.send(kit.ether_in() / ip / UDP(sport=9, dport=port)).dropped("vip_no_service")
        case.send(kit.ether_in() / ip / TCP(sport=9, dport=27000)).dropped("vip_no_service")
