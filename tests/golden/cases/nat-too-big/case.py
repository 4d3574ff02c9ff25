"""What does not fit the way out, with either NAT and both ways: "fragmentation needed" or "packet too big" with the
size that fits, from the VIP to a client, from the director to a backend. Between the families the size is told in the
sender's own: what IPv4 takes is 20 bytes more for who sends IPv6, and the other way round."""

import kit
import nat
from scapy.all import ICMP, IP, ICMPv6PacketTooBig, IPv6, Raw


def too_big(family, source, quoted, mtu):
    packet = bytes(quoted)
    if family == 4:
        head = IP(src=source, dst=quoted.src, tos=0xC0, id=0, flags="DF", ttl=64)
        return head / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(packet[: 576 - 28])
    return IPv6(src=source, dst=quoted.src, hlim=64) / ICMPv6PacketTooBig(mtu=mtu) / Raw(packet[: 1280 - 48])


def build(case):
    nat.use_full_nat(case)
    case.port["mtu"] = 1400
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
    for name, family, inside, port, mode in (
        ("nat4", 4, 4, 80, "nat"),
        ("nat6", 6, 6, 80, "nat"),
        ("full4", 4, 4, 81, "full-nat"),
        ("full6", 6, 6, 81, "full-nat"),
        ("full46", 4, 6, 82, "full-nat"),
        ("full64", 6, 4, 82, "full-nat"),
    ):
        full = mode == "full-nat"
        case.vip(name, nat.VIPS[family], "udp", port, f"web{inside}", mode)
        kind = nat.Flow if family == inside else nat.MixedFlow
        backend = f"web{inside}/web-1"
        flow = kind(case, name, family, "udp", port, full=full, inside=inside, backend=backend)
        head = {4: 20, 6: 40}
        request_mtu = 1400 + head[family] - head[inside]
        reply_mtu = 1400 + head[inside] - head[family]
        fields = {4: {"flags": "DF"}, 6: {}}
        flow.sends(flow.packet(b"f" * (request_mtu - head[family] - 8), **fields[family]), "scheduler")
        flow.answers(flow.reply(b"f" * (reply_mtu - head[inside] - 8), **fields[inside]))
        request = flow.packet(b"x" * (request_mtu - head[family] - 7), **fields[family])
        answer = too_big(family, nat.VIPS[family], request, request_mtu)
        case.send(kit.ether_in() / request).answered(kit.ether_back() / answer, name, backend, "connection_table")
        reply = flow.reply(b"x" * (reply_mtu - head[inside] - 7), **fields[inside])
        sent = case.send(kit.ether_in() / reply)
        sent.answered(
            kit.ether_back() / too_big(inside, nat.DIRECTORS[inside], reply, reply_mtu), name, backend if full else None
        )
        sent.is_reply = True
