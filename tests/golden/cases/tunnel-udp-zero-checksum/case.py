"""UDP checksums of zero. Over IPv6 zero means that there is none, so one that comes out as zero is sent as all ones
(RFC 8200, section 8.1). Over IPv4 there is none. An inner checksum of zero stays zero."""

import kit
import tunnel
from scapy.all import UDP, IPv6, Raw


def build(case):
    for outer in (4, 6):
        case.pool(f"web{outer}", {"web-1": tunnel.BACKENDS[outer]})
    scheduler = kit.Scheduler({"web-1": 100})
    for port, mode in ((80, "gue"), (81, "gue-direct")):
        for outer in (4, 6):
            vip = f"{mode}-{outer}"
            case.vip(vip, kit.VIP_V4, "udp", port + 10 * outer, f"web{outer}", mode)
            flow_hash = scheduler.hash(kit.CLIENT_V4, kit.VIP_V4, 9, port + 10 * outer, 17)

            def packet(word, port=port, outer=outer):
                return tunnel.packet_ip(4) / UDP(sport=9, dport=port + 10 * outer, chksum=0) / Raw(word + b"even")

            def wrapped(inner, mode=mode, outer=outer, flow_hash=flow_hash):
                return tunnel.wrap(mode, inner, tunnel.BACKENDS[outer], flow_hash)

            inner = packet(bytes(2))
            if outer == 6:
                # The checksum of the packet with a word of zeros, put in its place, makes the sum all ones.
                inner = packet(IPv6(bytes(wrapped(inner)))[UDP].chksum.to_bytes(2, "big"))
            out = wrapped(inner)
            field = bytes(out)[46:48] if outer == 6 else bytes(out)[26:28]
            if field != (b"\xff\xff" if outer == 6 else bytes(2)):
                raise ValueError(f"the checksum that should be seen is {field.hex()}")
            case.send(kit.ether_in() / inner).forwarded(
                kit.ether_out(tunnel.BACKENDS[outer]) / out, vip, f"web{outer}/web-1"
            )
