"""An ICMP error about a packet to a backend behind the PROXY protocol quotes a number that the client does not know:
it is shifted back, in quotes of eight bytes and longer; that of the segment with the header itself stays."""

import kit
import nat
from scapy.all import ICMP, TCP, ICMPv6PacketTooBig, Raw


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        pool = f"web{family}"
        case.pool(pool, {"web-1": nat.BACKENDS[family]})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, pool, "full-nat", proxy_protocol="v2")
        flow = nat.ProxyFlow(case, f"www{family}", family, "tcp", 80, backend=f"{pool}/web-1")
        size = len(flow.header)
        flow.from_client(b"", 1000, 0, "scheduler", flags="S")
        flow.from_backend(b"", 5000, 1001, 1001, flags="SA")
        flow.from_client(b"", 1001, 5001, header=True)

        def error(number, shown, length):
            header = ICMP(type=3, code=4, nexthopmtu=1400) if family == 4 else ICMPv6PacketTooBig(mtu=1400)

            def quote(source, destination, seq):
                l4 = TCP(sport=source[1], dport=destination[1], flags="A", seq=seq, ack=9)
                packet = bytes(nat.ip(family, source[0], destination[0]) / l4 / Raw(b"data"))
                return packet[: (20 if family == 4 else 40) + length]

            router = "192.0.2.77" if family == 4 else "2001:db8::77"
            came = nat.ip(family, router, flow.local[0]) / header.copy() / Raw(quote(flow.local, flow.server, number))
            left = nat.ip(family, router, flow.client[0]) / header.copy() / Raw(quote(flow.client, flow.service, shown))
            flow.answers(came, nat.one_hop_less(left))

        for length in (8, 20, 24):
            error(1001, 1001, length)
            error(1001 + size + 7, 1008, length)
