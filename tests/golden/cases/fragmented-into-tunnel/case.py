"""IPv4 packets without DF that do not fit the tunnel are cut before they go into it (RFC 791), so that the backend's
tunnel has whole packets to take out; options go along as their copy bit says, a fragment is cut further, and a packet
that just fits stays whole."""

import fragments
import kit
import tunnel
from scapy.all import IP, UDP, IPOption, Raw

MTU = 1500


def pieces(packet, mtu):
    """The fragments of an IPv4 packet that is not one itself, or is, by hand from RFC 791, section 3.2."""
    header_length = packet.ihl * 4
    raw = bytes(packet)
    payload = raw[header_length : packet.len]
    copied = b"".join(o for o in options(raw[20:header_length]) if o[0] & 0x80)
    copied += b"\0" * (-len(copied) % 4)
    at, out = 0, []
    while at < len(payload):
        option_bytes = raw[20:header_length] if at == 0 else copied
        room = (mtu - 20 - len(option_bytes)) // 8 * 8
        last = len(payload) - at <= mtu - 20 - len(option_bytes)
        part = payload[at:] if last else payload[at : at + room]
        header = bytearray(raw[:20])
        header[0] = 0x40 | (20 + len(option_bytes)) // 4
        header[2:4] = (20 + len(option_bytes) + len(part)).to_bytes(2, "big")
        more = 0x2000 if not last or packet.flags.MF else 0
        header[6:8] = (more | packet.frag + at // 8).to_bytes(2, "big")
        header[10:12] = b"\0\0"
        header = bytes(header) + option_bytes
        total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, len(header), 2))
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        header = header[:10] + (total ^ 0xFFFF).to_bytes(2, "big") + header[12:]
        out.append(IP(header + part))
        at += len(part)
    return out


def options(raw):
    at = 0
    while at < len(raw):
        length = 1 if raw[at] < 2 else raw[at + 1]
        yield raw[at : at + length]
        at += length


def build(case):
    case.pool("web4", {"web-1": tunnel.BACKENDS[4]})
    case.pool("web6", {"web-1": tunnel.BACKENDS[6]})
    scheduler = kit.Scheduler({"web-1": 100})
    security = IPOption(b"\x82\x0b" + b"s" * 9)  # copied
    record_route = IPOption(b"\x07\x07\x04" + b"\0" * 4)  # not copied
    port = 80
    for mode in ("ipip", "gre", "gue-direct", "gue"):
        for outer in (4, 6):
            port += 1
            vip, backend = f"{mode}-{outer}", f"web{outer}/web-1"
            case.vip(vip, kit.VIP_V4, "udp", port, f"web{outer}", mode)
            mtu = MTU - tunnel.OVERHEAD[mode][outer]

            def send(packet, rung, flow):
                packet = IP(bytes(packet))
                flow_hash = scheduler.hash(kit.CLIENT_V4, kit.VIP_V4, flow, port, 17)
                outs = [
                    kit.ether_out(tunnel.BACKENDS[outer])
                    / tunnel.wrap(mode, piece, tunnel.BACKENDS[outer], flow_hash)
                    for piece in (pieces(packet, mtu) if packet.len > mtu else [packet])
                ]
                sent = case.send(kit.ether_in() / packet)
                sent.forwarded(outs[0], vip, backend, rung)
                if outs[1:]:
                    sent.pieces(outs[1:])

            base = tunnel.packet_ip(4, id=port)
            data = bytes(i * 13 & 255 for i in range(1472))
            send(base / UDP(sport=1, dport=port) / Raw(data), "scheduler", 1)
            send(base / UDP(sport=1, dport=port) / Raw(data[: mtu - 28]), "connection_table", 1)
            send(base / UDP(sport=1, dport=port) / Raw(data[: mtu - 27]), "connection_table", 1)
            base = tunnel.packet_ip(4, id=port, ttl=3, tos=0x2E, options=[security, record_route])
            send(base / UDP(sport=2, dport=port) / Raw(data[:1440]), "scheduler", 2)
            # Fragments of 1480 bytes, cut again.
            packet = tunnel.packet_ip(4, id=1000 + port) / UDP(sport=3, dport=port) / Raw(data * 2)
            for number, fragment in enumerate(fragments.cut(packet, 1480, 0)):
                send(fragment, "connection_table" if number else "scheduler", 3)
