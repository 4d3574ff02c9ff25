"""What address translation makes of packets: scapy writes the expected ones, with all lengths and checksums anew."""

import kit
from scapy.all import IP, TCP, UDP, IPv6, Raw

BACKENDS = {4: "192.0.2.11", 6: "2001:db8::11"}
GATEWAYS = {4: "192.0.2.1", 6: "2001:db8::1"}
CLIENTS = {4: kit.CLIENT_V4, 6: kit.CLIENT_V6}
VIPS = {4: kit.VIP_V4, 6: kit.VIP_V6}
DIRECTORS = {4: kit.DIRECTOR_V4, 6: kit.DIRECTOR_V6}
LOCALS = {4: "192.0.2.100", 6: "2001:db8::64"}
FIRST_PORT, LAST_PORT = 20000, 29999
PROTOCOLS = {"tcp": 6, "udp": 17}


def ip(family, source, destination, **fields):
    return (IP if family == 4 else IPv6)(src=source, dst=destination, **fields)


def l4(protocol, source_port, destination_port, **fields):
    return (TCP if protocol == "tcp" else UDP)(sport=source_port, dport=destination_port, **fields)


def one_hop_less(packet):
    if IP in packet:
        packet.ttl -= 1
        del packet.chksum
    else:
        packet.hlim -= 1
    return packet


def changed(packet, source=None, destination=None):
    """The packet one hop on, with other ends, each (address, port); a UDP checksum of zero stays."""
    packet = one_hop_less(packet.copy())
    layer = packet[TCP] if TCP in packet else packet[UDP]
    if source is not None:
        packet.src, layer.sport = source
    if destination is not None:
        packet.dst, layer.dport = destination
    if not (UDP in packet and packet[UDP].chksum == 0):
        del layer.chksum
    return packet


def local_port(flow_hash, first=FIRST_PORT, last=LAST_PORT):
    """The local port that a flow begins to look at: the lower half of its hash, scaled to the range."""
    return first + ((flow_hash & 0xFFFFFFFF) * (last - first + 1) >> 32)


def use_full_nat(case, first=FIRST_PORT, last=LAST_PORT, families=(4, 6)):
    case.node["nat"] = {"local_addresses": [LOCALS[f] for f in families], "local_ports": f"{first}-{last}"}


class Flow:
    """A client's flow to a VIP; `inside` is the family of the backend, `local` None with destination NAT."""

    def __init__(self, case, vip, family, protocol, vip_port, client_port=40000, backend_port=None, full=False,
                 inside=None, backend="web/web-1", address=None, range_=(FIRST_PORT, LAST_PORT), vip_address=None):
        self.case, self.vip, self.family, self.protocol, self.backend = case, vip, family, protocol, backend
        self.inside = inside or family
        self.client = (CLIENTS[family], client_port)
        self.service = (vip_address or VIPS[family], vip_port)
        self.server = (address or BACKENDS[self.inside], backend_port or vip_port)
        scheduler = kit.Scheduler({"web-1": 100})
        self.hash = scheduler.hash(*self._ends(self.client, self.service), PROTOCOLS[protocol])
        self.local = (LOCALS[self.inside], local_port(self.hash, *range_)) if full else self.client
        self.full = full

    @staticmethod
    def _ends(source, destination):
        return source[0], destination[0], source[1], destination[1]

    def packet(self, data=b"", l4_fields=None, **ip_fields):
        """A packet of the client."""
        fields = l4_fields or {}
        return ip(self.family, self.client[0], self.service[0], **ip_fields) / l4(
            self.protocol, self.client[1], self.service[1], **fields) / Raw(data)

    def reply(self, data=b"", l4_fields=None, **ip_fields):
        """A packet of the backend, as it gets to the director."""
        fields = l4_fields or {}
        return ip(self.inside, self.server[0], self.local[0], **ip_fields) / l4(
            self.protocol, self.server[1], self.local[1], **fields) / Raw(data)

    def sends(self, packet, rung, out=None):
        """The client's packet goes to the backend."""
        if out is None:
            out = changed(packet, self.local if self.full else None, self.server)
        self.case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out(self.server[0]) / out, self.vip, self.backend, rung)

    def answers(self, packet, out=None, by_session=None):
        """The backend's packet goes to the client."""
        if out is None:
            out = changed(packet, self.service, self.client if self.full else None)
        known = self.full if by_session is None else by_session
        self.case.send(kit.ether_in() / packet).replied(
            kit.ether_out(GATEWAYS[self.family]) / out, self.vip, self.backend if known else None)


TIMES = ("Timestamp", (7, 0))


def conversation(flow):
    """A connection or an exchange of datagrams, with what translation could spoil: lengths odd and even, TOS, flags of
    the IP header, options, hop limits."""
    key, ttl = ("tos", "ttl") if flow.family == 4 else ("tc", "hlim")
    df = {"flags": "DF", "id": 4711} if flow.family == 4 else {"fl": 0x12345}
    inside_ttl = "ttl" if flow.inside == 4 else "hlim"
    if flow.protocol == "udp":
        flow.sends(flow.packet(b"question"), "scheduler")
        flow.answers(flow.reply(b"an answer"))
        flow.sends(flow.packet(b"x" * 1200, **{key: 0xB8, ttl: 2}), "connection_table")
        flow.answers(flow.reply(b"", **{inside_ttl: 255}))
        return
    flow.sends(flow.packet(l4_fields={"flags": "S", "seq": 100, "options": [("MSS", 1400), TIMES]}), "scheduler")
    flow.answers(flow.reply(l4_fields={"flags": "SA", "seq": 500, "ack": 101, "options": [("MSS", 1400), TIMES]}))
    flow.sends(flow.packet(l4_fields={"flags": "A", "seq": 101, "ack": 501}), "connection_table")
    flow.sends(flow.packet(b"GET /\n", {"flags": "PA", "seq": 101, "ack": 501}, **df), "connection_table")
    # As servers send TCP; without DF it would be cut for IPv6 clients.
    whole = {"flags": "DF"} if flow.inside == 4 else {}
    flow.answers(flow.reply(b"y" * 1401, {"flags": "A", "seq": 501, "ack": 107}, **whole))
    flow.sends(flow.packet(b"", {"flags": "A", "seq": 107, "ack": 1902}, **{key: 3, ttl: 2}), "connection_table")
    flow.answers(flow.reply(b"", {"flags": "FA", "seq": 1902, "ack": 107}))
    flow.sends(flow.packet(b"", {"flags": "FA", "seq": 107, "ack": 1903}), "connection_table")
    flow.answers(flow.reply(b"", {"flags": "A", "seq": 1903, "ack": 108}))


def translated(packet, source, destination):
    """The packet in the other family (RFC 7915), one hop on: IPv4 with DF and no id when it is longer than 1260 bytes,
    else with the L4 checksum of the packet that came as id, which may be anything."""
    came = type(packet)(bytes(packet))
    layer = came[TCP] if TCP in came else came[UDP]
    payload = layer.copy()
    del payload.chksum
    payload.sport, payload.dport = source[1], destination[1]
    if IP in came:
        head = IPv6(src=source[0], dst=destination[0], tc=came.tos, fl=0, hlim=came.ttl - 1)
    else:
        longer = 20 + len(layer) > 1260
        head = IP(src=source[0], dst=destination[0], tos=came.tc, ttl=came.hlim - 1,
                  flags="DF" if longer else 0, id=0 if longer else layer.chksum)
    return head / payload


class MixedFlow(Flow):
    """A flow whose backend is of the other family."""

    def sends(self, packet, rung, out=None):
        super().sends(packet, rung, out or translated(packet, self.local, self.server))

    def answers(self, packet, out=None, by_session=None):
        super().answers(packet, out or translated(packet, self.service, self.client), by_session)


# ---- the PROXY protocol

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def proxy_header(flow):
    """Section 2.2 of the PROXY protocol's specification: version 2, command PROXY, TCP over the client's family."""
    import ipaddress

    addresses = b"".join(ipaddress.ip_address(end[0]).packed for end in (flow.client, flow.service))
    ports = b"".join(end[1].to_bytes(2, "big") for end in (flow.client, flow.service))
    family = 0x11 if flow.family == 4 else 0x21
    return SIGNATURE + bytes([0x21, family, 0, len(addresses + ports)]) + addresses + ports


class ProxyFlow(Flow):
    """A flow whose backend gets the header: numbers of the client are `shift` higher there."""

    def __init__(self, *arguments, **fields):
        super().__init__(*arguments, full=True, **fields)
        self.header = proxy_header(self)

    def from_client(self, data, seq, ack, rung="connection_table", flags="A", shift=0, header=False, **fields):
        inside = (self.header if header else b"") + data
        out = self.packet(inside, {"flags": flags, "seq": seq + shift, "ack": ack, **fields})
        out = translated(out, self.local, self.server) if self.inside != self.family else changed(
            out, self.local, self.server)
        self.sends(self.packet(data, {"flags": flags, "seq": seq, "ack": ack, **fields}), rung, out)

    def from_backend(self, data, seq, ack, shown, flags="A", options=(), options_shown=None):
        def reply(number, opts):
            return self.reply(data, {"flags": flags, "seq": seq, "ack": number, "options": list(opts)})

        out = reply(shown, options if options_shown is None else options_shown)
        out = translated(out, self.service, self.client) if self.inside != self.family else changed(
            out, self.service, self.client)
        self.answers(reply(ack, options), out)
