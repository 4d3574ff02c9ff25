"""IPv6 packets for which a tunnel leaves less than the 1280 bytes that every host may send: no host believes in less
(RFC 8201, section 4), so nothing is answered. ICMP errors at the limit and above, as in drop-too-big."""

import icmp_errors
import kit
import tunnel
from scapy.all import ICMPv6TimeExceeded, UDP, IPv6, Raw


def build(case):
    case.port["mtu"] = 1280
    scheduler = kit.Scheduler({"web-1": 100})
    for mode, outer, port, vip, backend, limit in tunnel.ways_out(case, 6, "udp", mtu=1280):
        flow_hash = scheduler.hash(kit.CLIENT_V6, kit.VIP_V6, 9, port, 17)
        base = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / UDP(sport=9, dport=port)
        fits = base / Raw(b"f" * (limit - 48))
        case.send(kit.ether_in() / fits).forwarded(tunnel.carried(mode, fits, outer, flow_hash), vip, backend)
        if mode != "l2":
            large = base / Raw(b"f" * (limit - 47))
            case.send(kit.ether_in() / large).dropped("too_big", vip, backend, "connection_table")
        quoted = IPv6(src=kit.VIP_V6, dst=kit.CLIENT_V6) / UDP(sport=port, dport=9, len=2000) / Raw(b"q" * 2000)
        for size in (limit, limit + 1):
            error = icmp_errors.error(6, ICMPv6TimeExceeded(code=0), bytes(quoted)[: size - 48])
            sent = case.send(kit.ether_in() / error)
            if size > limit:
                sent.dropped("too_big", vip, backend, "connection_table")
            else:
                sent.forwarded(tunnel.carried(mode, error, outer, flow_hash), vip, backend, "connection_table")
