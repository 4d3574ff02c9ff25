"""Cookies with destination NAT: the director itself puts them into the backends' timestamps and takes them out of what
clients echo, so that backends need nothing."""

import cookies
import kit
import nat
from scapy.all import TCP

START = 0x12345678  # of the backend's clock; a tick has 32 ms


class Translated(cookies.Cookies):
    """A VIP with cookies and destination NAT over three backends."""

    def __init__(self, case, family):  # pylint: disable=super-init-not-called
        self.case, self.family = case, family
        self.ip = cookies.IP if family == 4 else cookies.IPv6
        self.addresses = dict(cookies.BACKENDS[family])
        backends = {name: {"address": to, "cookie_id": cookies.IDS[name]} for name, to in self.addresses.items()}
        case.pool("web", backends)
        case.vip("www", cookies.VIPS[family], "tcp", 80, "web", "nat", consistency="cookie",
                 cookie={"backend_bits": 10, "check_bits": 2})
        case.services["cookie_keys"] = [{"number": 0, "file": cookies.KEY_FILES[0]}]
        self.schedule_over(self.addresses)


class Connection:
    """One client's connection to the VIP, whose backend is `name`."""

    def __init__(self, web, port, name):
        self.web, self.port, self.name = web, port, name
        self.flow = nat.Flow(web.case, "www", web.family, "tcp", 80, port, backend=f"web/{name}",
                             address=web.addresses[name])

    def wire(self, timestamp):
        """What the client sees of the backend's timestamp."""
        return self.web.stamp(self.port, cookies.IDS[self.name], timestamp=timestamp)

    def stamps(self, value, echo):
        return [("NOP", None), ("NOP", None), ("Timestamp", (value, echo))]

    def client(self, echo, restored, rung="connection_table", flags="A", data=b"data", value=77):
        packet = self.flow.packet(data, {"flags": flags, "options": self.stamps(value, echo)})
        out = nat.changed(packet, None, self.flow.server)
        out[TCP].options = self.stamps(value, restored)
        self.flow.sends(packet, rung, out)

    def backend(self, timestamp, flags="A", data=b"more data", seen=None):
        packet = self.flow.reply(data, {"flags": flags, "options": self.stamps(timestamp, 77)})
        out = nat.changed(packet, self.flow.service)
        out[TCP].options = self.stamps(self.wire(timestamp) if seen is None else seen, 77)
        self.flow.answers(packet, out)

    def begin(self):
        self.client(0, 0, "scheduler", "S", b"")
        self.backend(START, "SA", b"")
        self.client(self.wire(START), START, data=b"")


def known(web, port):
    """A connection that this director has: every timestamp comes back as it was."""
    connection = Connection(web, port, web.hashed(port))
    connection.begin()
    # Timestamps of one tick look the same to the client; the first one comes back.
    connection.backend(START + 7)
    connection.client(connection.wire(START + 7), START)
    for later in (40, 80, 1000, 100000):
        connection.backend(START + later)
        connection.client(connection.wire(START + later), START + later)
    # An older one that is remembered, and one of a tick in which nothing was sent.
    connection.client(connection.wire(START + 1000), START + 1000)
    connection.client(connection.wire(START + 5000), (START + 5000) & ~31)
    # What has no cookie of this connection says nothing to the backend.
    connection.client(web.stamp(port, cookies.IDS[connection.name], check=1), 0)
    # The clock goes round.
    connection.backend(0xFFFFFFF0)
    connection.client(connection.wire(0xFFFFFFF0), 0xFFFFFFF0)
    connection.backend(0x00000123)
    connection.client(connection.wire(0x123), 0x123)
    connection.client(connection.wire(0xFFFFFFF0), 0xFFFFFFF0)


def build(case, family):
    web = Translated(case, family)
    for port in range(1000, 1006):
        known(web, port)
    for port in range(2000, 2006):
        # One that another director had: the cookie says where it goes, whatever the hash does, and its backend hears of
        # no echo until it has sent something this way.
        connection = Connection(web, port, cookies.other_than(web, port))
        connection.client(connection.wire(START), 0, "cookie")
        connection.client(connection.wire(START), 0)
        connection.backend(START + 300)
        connection.client(connection.wire(START + 300), START + 300)
    for port in range(3000, 3006):
        # The same, and its backend speaks first.
        connection = Connection(web, port, cookies.other_than(web, port))
        connection.backend(START)
        case.wait(1)  # another burst: the session is there when this one was rewritten
        connection.client(connection.wire(START), START)
    for port in range(4000, 4006):
        # The last word of a connection that nobody knows leaves nothing behind.
        connection = Connection(web, port, cookies.other_than(web, port))
        connection.client(connection.wire(START), 0, "cookie", "RA", b"")
        connection.client(connection.wire(START), 0, "cookie", "RA", b"")
    for port in range(5000, 5004):
        # A client without timestamps.
        flow = nat.Flow(case, "www", family, "tcp", 80, port, backend=f"web/{web.hashed(port)}",
                        address=web.addresses[web.hashed(port)])
        flow.sends(flow.packet(l4_fields={"flags": "S"}), "scheduler")
        flow.answers(flow.reply(l4_fields={"flags": "SA"}))
        flow.sends(flow.packet(b"x", {"flags": "A"}), "connection_table")
