"""VIPs with all ports of a protocol, TCP and UDP apart; of another protocol nothing is served."""

import kit
from scapy.all import ICMP, IP, TCP, UDP, IPv6, Raw

BACKENDS = {4: "192.0.2.11", 6: "2001:db8::11"}
PORTS = (1, 22, 80, 32768, 65535)


def build(case):
    for family, client, vip in ((4, kit.CLIENT_V4, kit.VIP_V4), (6, kit.CLIENT_V6, kit.VIP_V6)):
        pool, backend = f"web{family}", BACKENDS[family]
        case.pool(pool, {"web-1": backend})
        case.vip(f"tcp{family}", vip, "tcp", "all", pool, "l2")
        ip = (IP if family == 4 else IPv6)(src=client, dst=vip)
        for rung in ("scheduler", "connection_table"):
            for port in PORTS:
                packet = ip / TCP(sport=9, dport=port, flags="S")
                case.send(kit.ether_in() / packet).forwarded(
                    kit.ether_out(backend) / packet, f"tcp{family}", f"{pool}/web-1", rung
                )
        for port in PORTS:
            case.send(kit.ether_in() / ip / UDP(sport=9, dport=port)).dropped("vip_no_service")
    esp = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, proto=50) / Raw(bytes(16))
    case.send(kit.ether_in() / esp).dropped("vip_no_service")
    request = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, id=1) / ICMP(id=1, seq=1)
    reply = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4, id=1) / ICMP(type=0, id=1, seq=1)
    case.send(kit.ether_in() / request).answered(kit.ether_back() / reply)
