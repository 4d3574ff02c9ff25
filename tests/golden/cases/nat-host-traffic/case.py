"""What the host itself has with backends is the host's: answers to its health checks come from the address and port of
an answer to a client, but to the host's own address. So is a backend's other traffic, and what is sent to a local
address outside the ports that full NAT has, such as a ping."""

import kit
import nat
from scapy.all import ICMP, TCP, ICMPv6EchoRequest


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        backend = nat.BACKENDS[family]
        case.pool(f"web{family}", {"web-1": backend})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, f"web{family}", "nat")
        case.vip(f"full{family}", nat.VIPS[family], "tcp", 81, f"web{family}", "full-nat")
        own, local, client = nat.DIRECTORS[family], nat.LOCALS[family], nat.CLIENTS[family]
        case.send(kit.ether_in() / nat.ip(family, backend, own) / TCP(sport=80, dport=50000)).punted("other")
        case.send(kit.ether_in() / nat.ip(family, backend, client) / TCP(sport=443, dport=50000)).punted("other")
        case.send(kit.ether_in() / nat.ip(family, backend, client) / TCP(sport=50000, dport=80)).punted("other")
        case.send(kit.ether_in() / nat.ip(family, backend, local) / TCP(sport=80, dport=19999)).punted("other")
        case.send(kit.ether_in() / nat.ip(family, backend, local) / TCP(sport=5, dport=22)).punted("management")
        echo = ICMP() if family == 4 else ICMPv6EchoRequest()
        case.send(kit.ether_in() / nat.ip(family, backend, local) / echo).punted("icmp")
