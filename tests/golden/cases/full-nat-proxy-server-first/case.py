"""A server that speaks first gets the PROXY protocol header with the client's third ACK, and its banner is acknowledged
before the client has sent a byte; an RST in the middle has the number that the backend expects."""

import nat


def build(case):
    nat.use_full_nat(case)
    case.pool("mail", {"web-1": nat.BACKENDS[4]})
    case.vip("smtp", nat.VIPS[4], "tcp", 25, "mail", "full-nat", proxy_protocol="v2")
    for port, last in ((40000, "RST"), (40001, "RA")):
        flow = nat.ProxyFlow(case, "smtp", 4, "tcp", 25, port, backend="mail/web-1")
        size = len(flow.header)
        flow.from_client(b"", 0xFFFFFFF0, 0, "scheduler", flags="S")  # numbers wrap between SYN and header
        flow.from_backend(b"", 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFFFFF1, flags="SA")
        flow.from_client(b"", 0xFFFFFFF1, 0, header=True)
        flow.from_backend(b"220 hello\n", 0, (0xFFFFFFF1 + size) % 2**32, 0xFFFFFFF1, flags="PA")
        out = flow.packet(b"", {"flags": "A", "seq": (0xFFFFFFF1 + size) % 2**32, "ack": 10})
        flow.sends(
            flow.packet(b"", {"flags": "A", "seq": 0xFFFFFFF1, "ack": 10}),
            "connection_table",
            nat.changed(out, flow.local, flow.server),
        )
        flags = "R" if last == "RST" else "RA"
        out = flow.packet(b"", {"flags": flags, "seq": (0xFFFFFFF1 + size) % 2**32, "ack": 10})
        flow.sends(
            flow.packet(b"", {"flags": flags, "seq": 0xFFFFFFF1, "ack": 10}),
            "connection_table",
            nat.changed(out, flow.local, flow.server),
        )
