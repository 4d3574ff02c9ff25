"""Echo requests to VIPs that do not answer them. Of two VIPs on one address, one that answers is enough."""

import kit
from scapy.all import ICMP, IP, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6

QUIET_V4, QUIET_V6 = "203.0.113.20", "2001:db8:f::20"


def build(case):
    case.pool("web4", {"web-1": "192.0.2.11"})
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("quiet4", QUIET_V4, "tcp", 80, "web4", "l2", answer_echo=False)
    case.vip("quiet4-udp", QUIET_V4, "udp", 80, "web4", "l2", answer_echo=False)
    case.vip("quiet6", QUIET_V6, "tcp", "all", "web6", "l2", answer_echo=False)
    case.vip("half4", kit.VIP_V4, "tcp", 80, "web4", "l2", answer_echo=False)
    case.vip("other-half4", kit.VIP_V4, "tcp", 81, "web4", "l2")
    case.vip("half6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    case.vip("other-half6", kit.VIP_V6, "udp", 80, "web6", "l2", answer_echo=False)
    # A quiet prefix around an address that answers.
    case.vip("net", "203.0.113.0/28", "tcp", 80, "web4", "l2", answer_echo=False)
    echo4, echo6 = ICMP(id=1, seq=2) / b"ping", ICMPv6EchoRequest(id=1, seq=2, data=b"ping")
    for address in (QUIET_V4, "203.0.113.1"):
        case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=address) / echo4).dropped("echo_disabled")
    case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=QUIET_V6) / echo6).dropped("echo_disabled")
    case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / echo4).answered(
        kit.ether_back() / IP(src=kit.VIP_V4, dst=kit.CLIENT_V4) / ICMP(type=0, id=1, seq=2) / b"ping"
    )
    case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / echo6).answered(
        kit.ether_back()
        / IPv6(src=kit.VIP_V6, dst=kit.CLIENT_V6, hlim=64)
        / ICMPv6EchoReply(id=1, seq=2, data=b"ping")
    )
