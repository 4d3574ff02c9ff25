"""Between the families there is nothing to make of IPv6 extension headers, nor of an IPv4 source route that is still
to be followed (RFC 7915, sections 5.1 and 4.1)."""

import kit
import nat
from scapy.all import IP, TCP, IPOption_LSRR, IPv6, IPv6ExtHdrDestOpt


def build(case):
    nat.use_full_nat(case)
    case.pool("web4", {"web-1": nat.BACKENDS[4]})
    case.pool("web6", {"web-1": nat.BACKENDS[6]})
    case.vip("www6", nat.VIPS[6], "tcp", 80, "web4", "full-nat")
    case.vip("www4", nat.VIPS[4], "tcp", 80, "web6", "full-nat")
    extended = IPv6(src=nat.CLIENTS[6], dst=nat.VIPS[6]) / IPv6ExtHdrDestOpt() / TCP(sport=40000, dport=80)
    case.send(kit.ether_in() / extended).dropped("nat_untranslatable", "www6", "web4/web-1", "scheduler")
    routed = IP(src=nat.CLIENTS[4], dst=nat.VIPS[4], options=[IPOption_LSRR(routers=["192.0.2.77"])])
    case.send(kit.ether_in() / (routed / TCP(sport=40000, dport=80))).dropped(
        "nat_untranslatable", "www4", "web6/web-1", "scheduler"
    )
