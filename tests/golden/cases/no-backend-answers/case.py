"""Pools without a backend that say so: by ICMP "port unreachable", or by a reset where the client speaks TCP. A reset,
and what comes beyond the answers of a second, gets nothing."""

import kit
from scapy.all import IP, TCP, UDP, ICMP, ICMPv6DestUnreach, IPv6, Raw


def reset(packet, seq, ack, flags):
    """In answer to `packet`, of IPv4 or IPv6."""
    tcp = TCP(sport=packet[TCP].dport, dport=packet[TCP].sport, seq=seq, ack=ack, flags=flags, window=0)
    if packet.version == 4:
        return IP(src=packet.dst, dst=packet.src, ttl=64, id=0, flags="DF") / tcp
    return IPv6(src=packet.dst, dst=packet.src, hlim=64) / tcp


def unreachable(packet):
    if packet.version == 4:
        return IP(src=packet.dst, dst=packet.src, ttl=64, id=0, flags="DF", tos=0xC0) / ICMP(type=3, code=3) / packet
    return IPv6(src=packet.dst, dst=packet.src, hlim=64) / ICMPv6DestUnreach(code=4) / packet


def build(case):
    case.pool("reset", {}, no_backend="reset")
    case.pool("icmp", {"a": {"address": "192.0.2.11", "drain": True}}, no_backend="icmp")
    for pool in ("reset", "icmp"):
        port = 81 if pool == "reset" else 82
        for family, vip in ((4, kit.VIP_V4), (6, kit.VIP_V6)):
            case.vip(f"{pool}{family}", vip, "tcp", port, pool, "ipip")
            case.vip(f"{pool}{family}u", vip, "udp", port, pool, "ipip")
    case.vip("full-nat", kit.VIP_V4, "tcp", 83, "reset", "full-nat")
    case.node["nat"] = {"local_addresses": ["192.0.2.200"]}
    case.node["answers_per_s"] = 15
    for family in (4, 6):
        ip = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) if family == 4 else IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6)
        syn = ip / TCP(sport=9, dport=81, flags="S", seq=7, options=[("MSS", 1460)])
        case.send(kit.ether_in() / syn).answered(kit.ether_back() / reset(syn, 0, 8, "RA"), f"reset{family}")
        data = ip / TCP(sport=9, dport=81, flags="PA", seq=7, ack=0xFFFFFFF0) / Raw(b"x" * 33)
        case.send(kit.ether_in() / data).answered(kit.ether_back() / reset(data, 0xFFFFFFF0, 0, "R"), f"reset{family}")
        end = ip / TCP(sport=9, dport=81, flags="F", seq=0xFFFFFFFF) / Raw(b"xyz")
        case.send(kit.ether_in() / end).answered(kit.ether_back() / reset(end, 0, 3, "RA"), f"reset{family}")
        rst = ip / TCP(sport=9, dport=81, flags="R")
        case.send(kit.ether_in() / rst).dropped("no_backend", f"reset{family}")
        datagram = ip / UDP(sport=9, dport=81) / Raw(b"question")
        case.send(kit.ether_in() / datagram).answered(kit.ether_back() / unreachable(datagram), f"reset{family}u")
        syn = ip / TCP(sport=9, dport=82, flags="S", seq=7)
        case.send(kit.ether_in() / syn).answered(kit.ether_back() / unreachable(syn), f"icmp{family}")
        datagram = ip / UDP(sport=9, dport=82) / Raw(b"question")
        case.send(kit.ether_in() / datagram).answered(kit.ether_back() / unreachable(datagram), f"icmp{family}u")
    syn = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=9, dport=83, flags="S", seq=9)
    case.send(kit.ether_in() / syn).answered(kit.ether_back() / reset(syn, 0, 10, "RA"), "full-nat")
    # With IPv4 options, which the answer has not.
    syn = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, options=[kit.scapy.IPOption_NOP()] * 4) / TCP(
        sport=9, dport=81, flags="S", seq=1
    )
    case.send(kit.ether_in() / syn).answered(kit.ether_back() / reset(syn, 0, 2, "RA"), "reset4")
    plain = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4)
    syn = plain / TCP(sport=10, dport=81, flags="S")
    case.send(kit.ether_in() / syn).answered(kit.ether_back() / reset(syn, 0, 1, "RA"), "reset4")
    case.send(kit.ether_in() / syn).dropped("answer_rate_limited", "reset4")
