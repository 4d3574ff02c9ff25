"""Answers of all kinds and both families share one budget for each second. What is not answered is dropped; what needs
no answer takes nothing of it."""

import kit
from scapy.all import ICMP, IP, UDP, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, Raw

BACKEND = "192.0.2.11"


def build(case):
    case.node["answers_per_s"] = 3
    case.pool("web4", {"web-1": BACKEND})
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("udp4", kit.VIP_V4, "udp", 80, "web4", "l2")
    case.vip("udp6", kit.VIP_V6, "udp", 80, "web6", "l2")
    case.vip("quiet", "203.0.113.20", "udp", 80, "web4", "l2", answer_echo=False)

    def ping4(answered):
        sent = case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / ICMP(id=7, seq=1) / b"data")
        if answered:
            reply = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4) / ICMP(type=0, id=7, seq=1) / b"data"
            sent.answered(kit.ether_back() / reply)
        else:
            sent.dropped("answer_rate_limited")

    def ping6(answered):
        request = ICMPv6EchoRequest(id=7, seq=1, data=b"data")
        sent = case.send(kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / request)
        if answered:
            reply = ICMPv6EchoReply(id=7, seq=1, data=b"data")
            sent.answered(kit.ether_back() / IPv6(src=kit.VIP_V6, dst=kit.CLIENT_V6, hlim=64) / reply)
        else:
            sent.dropped("answer_rate_limited")

    def too_big(answered, rung):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, flags="DF", ttl=9) / UDP(sport=9, dport=80) / Raw(bytes(1473))
        sent = case.send(kit.ether_in() / packet)
        if answered:
            error = ICMP(type=3, code=4, nexthopmtu=1500) / Raw(bytes(packet)[:548])
            answer = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4, ttl=64, id=0, flags="DF", tos=0xC0) / error
            sent.answered(kit.ether_back() / answer, "udp4", "web4/web-1", rung)
        else:
            sent.dropped("answer_rate_limited", "udp4", "web4/web-1", rung)

    ping4(True)
    ping6(True)
    case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst="203.0.113.20") / ICMP()).dropped("echo_disabled")
    ping4(True)
    ping4(False)
    ping6(False)
    case.wait(1)
    too_big(True, "scheduler")
    too_big(True, "connection_table")
    too_big(True, "connection_table")
    too_big(False, "connection_table")
    small = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / UDP(sport=9, dport=80)
    case.send(kit.ether_in() / small).forwarded(
        kit.ether_out(BACKEND) / small, "udp4", "web4/web-1", "connection_table"
    )
    case.wait(1)
    for answered in (True, True, True, False):
        ping4(answered)
    # Echo requests are answered before the size of any packet of their burst is looked at.
    case.wait(2)
    ping6(True)
    ping6(True)
    too_big(True, "connection_table")
    too_big(False, "connection_table")
    # The budget is the second's, not the burst's: these are more than one burst takes.
    case.wait(1)
    for number in range(70):
        ping4(number < 3)
