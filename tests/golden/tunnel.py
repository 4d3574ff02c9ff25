"""The outer headers of tunnels, made with scapy and by hand from the RFCs, and flows that try them."""

import ipaddress

import kit
from scapy.all import GRE, IP, TCP, UDP, IPv6, Raw

GUE_PORT = 6080
BACKENDS = {4: "192.0.2.11", 6: "2001:db8::11"}
CLIENTS = {4: kit.CLIENT_V4, 6: kit.CLIENT_V6}
VIPS = {4: kit.VIP_V4, 6: kit.VIP_V6}
OVERHEAD = {
    "ipip": {4: 20, 6: 40},
    "gre": {4: 24, 6: 44},
    "gue": {4: 32, 6: 52},
    "gue-direct": {4: 28, 6: 48},
}


def packet_ip(family, **fields):
    """The IP header of a client's packet to the VIP."""
    return (IP if family == 4 else IPv6)(src=CLIENTS[family], dst=VIPS[family], **fields)


def flow_of(packet):
    """(source, destination, source port, destination port, protocol) of a TCP or UDP packet."""
    l4 = packet[TCP] if TCP in packet else packet[UDP]
    return packet.src, packet.dst, l4.sport, l4.dport, 6 if TCP in packet else 17


def wrap(mode, packet, backend, flow_hash, port=GUE_PORT, source=None, second=None):
    """The packet of tunnel `mode` around the client's `packet`, to the backend's address. `second`: the address of the
    backend that GUE's private data names: version 1, state 0, 16 zero bits, address; its length in GUE's header counts
    words of four bytes.

    What must vary by flow is taken from the flow hash as dataplane/stage/encapsulate.cc defines it: bits 32 to 45 in
    the UDP source port, whose upper two bits are ones (the range of RFC 6335's dynamic ports), and bits 8 to 27 as flow
    label.
    """
    inner = bytes(packet)
    inner_is_v4 = inner[0] >> 4 == 4
    traffic_class = inner[1] if inner_is_v4 else (inner[0] << 4 | inner[1] >> 4) & 0xFF
    protocol = 4 if inner_is_v4 else 41  # RFC 2003, RFC 4213 and RFC 2473
    if mode == "gre":  # RFC 2784 without checksum: four bytes, the EtherType of the inner packet among them
        inner = bytes(GRE(proto=0x0800 if inner_is_v4 else 0x86DD)) + inner
        protocol = 47
    elif mode in ("gue", "gue-direct"):
        if mode == "gue":  # variant 0, no control, no optional fields: a zero byte, the protocol, 16 flags
            address = b"" if second is None else ipaddress.ip_address(second).packed
            private = bytes([1, 0, 0, 0]) + address if address else b""
            inner = bytes([len(private) // 4, protocol, 0, 0]) + private + inner
        protocol = 17
    if ":" in backend:
        label = flow_hash >> 8 & 0xFFFFF
        outer = IPv6(src=source or kit.DIRECTOR_V6, dst=backend, hlim=64, tc=traffic_class, fl=label, nh=protocol)
    else:
        outer = IP(
            src=source or kit.DIRECTOR_V4, dst=backend, ttl=64, flags="DF", id=0, tos=traffic_class, proto=protocol
        )
    if protocol == 17:
        # RFC 768: no checksum over IPv4; RFC 8200, section 8.1: there must be one over IPv6, which scapy fills in.
        outer /= UDP(sport=0xC000 | flow_hash >> 32 & 0x3FFF, dport=port, chksum=None if ":" in backend else 0)
    return outer / Raw(inner)


def source_in(prefix, flow_hash):
    """The source address of a flow's tunnel within the prefix of node.tunnels: host bits from bytes 2 to 7 of the flow
    hash, multiplied by 2^64 divided by the golden ratio, the lowest byte first and then again for IPv6's other half.
    Where they are all zero or all one the last bit is the other way."""
    network = ipaddress.ip_network(prefix)
    random = ((flow_hash >> 16) * 0x9E3779B97F4A7C15 & (1 << 64) - 1).to_bytes(8, "little")
    size = network.max_prefixlen // 8
    host = int.from_bytes((random * 2)[:size], "big") & int(network.hostmask)
    # Neither the network's own address nor the broadcast.
    if network.prefixlen < network.max_prefixlen - 1 and host in (0, int(network.hostmask)):
        host ^= 1
    return str(ipaddress.ip_address(int(network.network_address) | host))


def ways_out(case, inner, protocol, mtu=1500):
    """Adds a VIP of each mode and mix of families that can carry the inner one; yields for each (mode, family of the
    backend, port, VIP, backend, bytes of the longest packet that fits)."""
    case.pool("web4", {"web-1": BACKENDS[4]})
    case.pool("web6", {"web-1": BACKENDS[6]})
    port = 79
    for outer in (inner, 4 if inner == 6 else 6):
        for mode in ("l2", *OVERHEAD):
            if mode == "l2" and outer != inner:
                continue
            port += 1
            vip = f"{mode}-{outer}"
            case.vip(vip, VIPS[inner], protocol, port, f"web{outer}", mode)
            limit = mtu - (0 if mode == "l2" else OVERHEAD[mode][outer])
            yield mode, outer, port, vip, f"web{outer}/web-1", limit


def carried(mode, packet, outer, flow_hash):
    """The frame that leaves with the packet, by L2 or in a tunnel."""
    return kit.ether_out(BACKENDS[outer]) / (packet if mode == "l2" else wrap(mode, packet, BACKENDS[outer], flow_hash))


def packets(inner):
    """Client packets of a family that differ in what a tunnel could spoil: lengths odd and even, hop limits, TOS,
    flags, options, a UDP checksum of zero (for IPv4, where it is allowed)."""
    key = "tos" if inner == 4 else "tc"
    ttl = "ttl" if inner == 4 else "hlim"
    variants = [{}, {ttl: 1}, {ttl: 255, key: 0xB8}, {key: 0x01}, {key: 0x02}, {key: 0x03}, {key: 0xFF}]
    variants += [{"flags": "DF", "id": 4711}, {"id": 65535}] if inner == 4 else [{"fl": 0xFFFFF}, {"tc": 0x8F, "fl": 1}]
    for number, fields in enumerate(variants):
        yield packet_ip(inner, **fields) / TCP(sport=40000 + number, dport=80, flags="S") / Raw(b"x" * number)
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
    yield packet_ip(inner) / TCP(sport=50000, dport=80, flags="S", options=options)
    for length in (0, 1, 2, 3, 255, 512, 1000, 1399, 1400):
        yield packet_ip(inner) / UDP(sport=30000 + length, dport=80) / Raw(bytes(i * 7 & 255 for i in range(length)))
    if inner == 4:
        yield packet_ip(inner) / UDP(sport=2, dport=80, chksum=0) / Raw(b"no checksum")


def build(case, mode, inner, outer, **fields):
    """All of packets() through a tunnel, each the first of its flow; then a second packet of the first one."""
    case.pool("web", {"web-1": BACKENDS[outer]})
    for protocol in ("tcp", "udp"):
        case.vip(protocol, VIPS[inner], protocol, 80, "web", mode, **fields)
    scheduler = kit.Scheduler({"web-1": 100})
    port = fields.get("gue_port", GUE_PORT)

    def send(packet, rung):
        out = wrap(mode, packet, BACKENDS[outer], scheduler.hash(*flow_of(packet)), port)
        overhead = len(bytes(out)) - len(bytes(packet))
        if overhead != OVERHEAD[mode][outer]:
            raise ValueError(f"{mode} adds {overhead} bytes, documented are {OVERHEAD[mode][outer]}")
        vip = "tcp" if TCP in packet else "udp"
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out(BACKENDS[outer]) / out, vip, "web/web-1", rung)

    for packet in packets(inner):
        send(packet, "scheduler")
    send(packet_ip(inner) / TCP(sport=40000, dport=80, flags="A"), "connection_table")
