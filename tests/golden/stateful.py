"""Connections in slots: the director tells the backend's agent in the SYN's TSecr which slot it chose, and the client
echoes it. Which slot that is, and its pad, are computed here from the hash's oracle."""

import cookie_fragments
import cookies

MARK = 0x5C
CONNECTIONS = 1024
BLOCK = 256
BLOCKS = (CONNECTIONS * 4 // 3 + BLOCK - 1) // BLOCK


class Stateful(cookies.Cookies):
    """A VIP with slots over three backends, and the packets of clients to it."""

    def __init__(self, case, family):  # pylint: disable=super-init-not-called
        self.case, self.family = case, family
        self.ip = cookies.IP if family == 4 else cookies.IPv6
        self.addresses = dict(cookies.BACKENDS[family])
        case.node["tables"]["connections_stateful"] = CONNECTIONS
        case.pool("web", self.addresses)
        case.vip("www", cookies.VIPS[family], "tcp", 80, "web", "l2", consistency="stateful")
        self.schedule_over(self.addresses)
        self.taken = [0] * BLOCKS

    def cookie(self, port, slot):
        value = self.scheduler.hash(cookies.CLIENTS[self.family], cookies.VIPS[self.family], port, 80, 6)
        return slot ^ (value >> 8 ^ value >> 40) & 0xFF

    def begin(self, port, options=None, flags="S"):
        """A SYN; returns the backend and the cookie that it tells."""
        value = self.scheduler.hash(cookies.CLIENTS[self.family], cookies.VIPS[self.family], port, 80, 6)
        block = (value & 0xFFFFFFFF) * BLOCKS >> 32
        told = self.cookie(port, self.taken[block])
        self.taken[block] += 1
        usual = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
        options = options or usual
        after = [
            (kind, (of[0], MARK << 24 | told)) if kind == "Timestamp" else (kind, of) for kind, of in options
        ]
        name = self.hashed(port)
        out = cookies.kit.ether_out(self.addresses[name]) / self.tcp(port, flags, after)
        self.case.send(cookies.kit.ether_in() / self.tcp(port, flags, options)).forwarded(
            out, "www", f"web/{name}", "scheduler"
        )
        return name, told


def build(case, family):
    web = Stateful(case, family)
    ports = range(1000, 1030)
    begun = {port: web.begin(port) for port in ports}
    # Wherever the option lies, also at an odd offset.
    begun[2000] = web.begin(2000, [("NOP", None), ("Timestamp", (1, 0)), ("NOP", None)])
    begun[2001] = web.begin(2001, [("Timestamp", (7, 0)), ("MSS", 1400), ("EOL", None), ("EOL", None)])
    begun[2002] = web.begin(2002, [("NOP", None), ("NOP", None), ("Timestamp", (7, 0))], flags="SEC")

    def speak():
        for port, (name, told) in begun.items():
            for flags, before in (("A", ("NOP", "NOP")), ("PA", ()), ("A", ("NOP",))):
                web.echo(port, 0x12345600 | told, name, rung="slot", flags=flags, before=before)
            web.error(port, 0x12345600 | told, name, "slot")

    parts = cookie_fragments.Parts(web)

    def speak_in_parts():
        for port, order in zip(ports, cookie_fragments.ORDERS):
            name, told = begun[port]
            parts.send(parts.echoing(port, 0x12345600 | told), order, port, name, "slot")

    speak()
    speak_in_parts()
    case.expect(table_stateful={"inserted": len(begun), "entries": len(begun)})
    # What decides is the slot: the backend drains, and the hash chooses others.
    case.backend_drain("web/web-2")
    web.schedule_over(["web-1", "web-3"])
    speak()
    speak_in_parts()
    refused = 0
    for port in ports[:10]:
        name, told = begun[port]
        # Another number of the same connection is none: the hash decides, and the table remembers.
        web.echo(port, 0x12345600 | told ^ 1, web.hashed(port), rung="scheduler")
        web.echo(port, 0x12345600 | told ^ 1, web.hashed(port), rung="connection_table")
        # A connection that began elsewhere.
        web.echo(port + 5000, 0x12345600 | told, web.hashed(port + 5000), rung="scheduler")
        refused += 3
        web.echo(port, 0x12345600 | told, name, rung="slot")
    # What names no slot may be any backend's, also the one that drains.
    for port in ports[10:]:
        web.lost_reset(port)
        web.short_quote(port)
    # Without timestamps as without slots.
    for port in range(3000, 3010):
        web.plain(port, "S", "scheduler")
        web.plain(port, "A", "connection_table")
    # The end: after a FIN for 30 s, after an RST for 5.
    for port, flags in ((1000, "FA"), (1001, "RA")):
        web.echo(port, 0x12345600 | begun[port][1], begun[port][0], rung="slot", flags=flags)
    case.advance(20)
    case.expect(table_stateful={"entries": len(begun) - 1})
    case.advance(20)
    case.expect(table_stateful={"entries": len(begun) - 2})
    case.backend_remove("web/web-2")
    gone = [port for port, (name, _) in begun.items() if name == "web-2" and port not in (1000, 1001)]
    case.advance(20)
    case.expect(table_stateful={"entries": len(begun) - 2 - len(gone)})
    case.counters["rungs"] = {"cookies_refused": refused}
