"""Which of several VIPs a packet belongs to: the longest prefix that has the port; on one prefix a single port before a
range and a range before all ports. Protocols do not get in each other's way. The order in the file is of no matter."""

import kit
from scapy.all import IP, TCP, UDP, IPv6

BACKENDS = {4: "192.0.2.11", 6: "2001:db8::11"}
NET = {4: "203.0.113.0/24", 6: "2001:db8:f::/48"}
SUBNET = {4: "203.0.113.64/27", 6: "2001:db8:f:40::/59"}
HOST = {4: "203.0.113.70", 6: "2001:db8:f:41::70"}
IN_SUBNET = {4: "203.0.113.71", 6: "2001:db8:f:41::71"}
IN_NET = {4: "203.0.113.96", 6: "2001:db8:f:60::1"}
OUTSIDE = {4: "203.0.112.70", 6: "2001:db8:e:41::70"}


def build(case):
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": BACKENDS[family]})
        vips = [
            ("net-all", NET, "tcp", "all"),
            ("host-one", HOST, "tcp", 443),
            ("host-range", HOST, "tcp", "400-499"),
            ("subnet-one", SUBNET, "tcp", 80),
            ("subnet-all", SUBNET, "tcp", "all"),
            ("net-one", NET, "tcp", 8080),
            ("net-range", NET, "udp", "1000-1999"),
            ("subnet-udp", SUBNET, "udp", 1500),
        ]
        for name, addresses, protocol, port in vips if family == 4 else reversed(vips):
            case.vip(f"{name}{family}", addresses[family], protocol, port, f"web{family}", "l2")

        def send(addresses, l4, name):
            client = kit.CLIENT_V4 if family == 4 else kit.CLIENT_V6
            packet = (IP if family == 4 else IPv6)(src=client, dst=addresses[family]) / l4
            sent = case.send(kit.ether_in() / packet)
            if name is None:
                sent.dropped("vip_no_service")
            else:
                out = kit.ether_out(BACKENDS[family]) / packet
                sent.forwarded(out, f"{name}{family}", f"web{family}/web-1")

        tcp = {
            443: ("host-one", "subnet-all", "net-all"),
            400: ("host-range", "subnet-all", "net-all"),
            442: ("host-range", "subnet-all", "net-all"),
            499: ("host-range", "subnet-all", "net-all"),
            399: ("subnet-all", "subnet-all", "net-all"),
            500: ("subnet-all", "subnet-all", "net-all"),
            80: ("subnet-one", "subnet-one", "net-all"),
            8080: ("subnet-all", "subnet-all", "net-one"),
            65535: ("subnet-all", "subnet-all", "net-all"),
        }
        udp = {
            1000: ("net-range", "net-range", "net-range"),
            1500: ("subnet-udp", "subnet-udp", "net-range"),
            1999: ("net-range", "net-range", "net-range"),
            2000: (None, None, None),
            443: (None, None, None),
        }
        for protocol, expected in ((TCP, tcp), (UDP, udp)):
            for port, names in expected.items():
                for addresses, name in zip((HOST, IN_SUBNET, IN_NET), names):
                    send(addresses, protocol(sport=9, dport=port), name)
        client = kit.CLIENT_V4 if family == 4 else kit.CLIENT_V6
        packet = (IP if family == 4 else IPv6)(src=client, dst=OUTSIDE[family]) / TCP(dport=443)
        case.send(kit.ether_in() / packet).punted("other")
