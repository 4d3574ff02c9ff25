"""A UDP checksum of zero says that there is none (RFC 768), and stays zero through destination and full NAT; a checksum
that comes out as zero is written as all ones."""

import kit
import nat
from scapy.all import UDP


def build(case):
    nat.use_full_nat(case)
    case.pool("web", {"web-1": nat.BACKENDS[4]})
    case.vip("www", nat.VIPS[4], "udp", 53, "web", "nat")
    case.vip("full", nat.VIPS[4], "udp", 54, "web", "full-nat")
    for name, port, full in (("www", 53, False), ("full", 54, True)):
        flow = nat.Flow(case, name, 4, "udp", port, full=full)
        flow.sends(flow.packet(b"question", {"chksum": 0}), "scheduler")
        flow.answers(flow.reply(b"answer", {"chksum": 0}))
        # Two bytes of data chosen so that what the backend gets sums up to all ones.
        sums = nat.changed(flow.packet(b"\0\0"), flow.local if full else None, flow.server)
        data = UDP(bytes(sums[UDP])).chksum.to_bytes(2, "big")
        packet = flow.packet(data)
        out = nat.changed(packet, flow.local if full else None, flow.server)
        if UDP(bytes(out[UDP])).chksum != 0xFFFF:
            raise ValueError("the data was to make the checksum zero")
        flow.sends(packet, "connection_table", out)
