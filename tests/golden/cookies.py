"""Cookies in TCP timestamps, as the agents on backends put them there and clients echo them. What is expected comes
from tools/oracle/cookie.py."""

import pathlib
import struct

import icmp_errors
import kit
import tunnel
from scapy.all import IP, TCP, IPv6, Raw

# The file that the configuration names, and what is in it.
KEY_FILES = {number: str(pathlib.Path(__file__).parent / f"cookie-{number}.key") for number in (0, 1)}
SECRETS = {number: bytes.fromhex(pathlib.Path(path).read_text(encoding="ascii")) for number, path in KEY_FILES.items()}
OTHER_SECRET = bytes(range(100, 116))
IDS = {"web-1": 5, "web-2": 700, "web-3": 0}
BACKENDS = {
    4: {"web-1": "192.0.2.11", "web-2": "192.0.2.12", "web-3": "192.0.2.13"},
    6: {"web-1": "2001:db8::11", "web-2": "2001:db8::12", "web-3": "2001:db8::13"},
}
CLIENTS = {4: kit.CLIENT_V4, 6: kit.CLIENT_V6}
VIPS = {4: kit.VIP_V4, 6: kit.VIP_V6}


def oracle():
    kit.oracle()
    import cookie  # pylint: disable=import-outside-toplevel

    return cookie


class Cookies:
    """A VIP with cookies over three backends, and the packets of clients to it."""

    mode = "l2"
    copies = True  # of what says nothing of its backend, for all other backends

    def __init__(self, case, family, keys=(0,), mode="l2"):
        self.case, self.family, self.mode = case, family, mode
        self.ip = IP if family == 4 else IPv6
        self.addresses = dict(BACKENDS[family])
        backends = {
            name: {"address": address, "cookie_id": IDS[name]} for name, address in self.addresses.items()
        }
        case.pool("web", backends)
        case.vip("www", VIPS[family], "tcp", 80, "web", mode, consistency="cookie",
                 cookie={"backend_bits": 10, "check_bits": 2})
        case.services["cookie_keys"] = [{"number": number, "file": KEY_FILES[number]} for number in keys]
        self.schedule_over(self.addresses)

    def layout(self):
        # Thirteen bits, and two hours: 2^(31 - 13 + 5) ms are 8388 s.
        return oracle().Layout(key=1, tier=0, backend=10, check=2, clock=5)

    def schedule_over(self, names):
        self.scheduler = kit.Scheduler(dict.fromkeys(names, 100))

    def hashed(self, port):
        return self.scheduler.choose(CLIENTS[self.family], VIPS[self.family], port, 80, 6)

    def stamp(self, port, backend_id, key=0, secret=None, timestamp=0x12345678, check=0, tuple_port=None, tier=0):
        """The timestamp that a client on `port` echoes of the backend with this id."""
        cookie = oracle()
        made = self.layout()
        flow = (CLIENTS[self.family], VIPS[self.family], tuple_port or port, 80, 6)
        value = cookie.encode(made, secret or SECRETS[key], key, flow, tier, backend_id)
        if check:
            a, _ = cookie.coefficients(secret or SECRETS[key], *flow, made.permuted)
            value ^= cookie.multiply(made.permuted, cookie.inverse(made.permuted, a), check)
        return cookie.wire(made, timestamp, value)

    def says(self, port, stamp):
        """The id in what a client echoes, None where the check bits say that it is no cookie."""
        cookie, made = oracle(), self.layout()
        number, permuted = stamp >> made.permuted & 1, stamp & (1 << made.permuted) - 1
        a, b = cookie.coefficients(
            SECRETS[number], CLIENTS[self.family], VIPS[self.family], port, 80, 6, made.permuted
        )
        plain = cookie.multiply(made.permuted, a, permuted ^ b)
        return None if plain % (1 << made.check) else plain >> made.check

    def tcp(self, port, flags, options):
        return self.ip(src=CLIENTS[self.family], dst=VIPS[self.family]) / TCP(
            sport=port, dport=80, flags=flags, options=options
        )

    def out(self, packet, port, name):
        """A packet of the connection on `port`, or about it, on its way to a backend."""
        if self.mode != "l2":
            flow_hash = self.scheduler.hash(CLIENTS[self.family], VIPS[self.family], port, 80, 6)
            packet = tunnel.wrap(self.mode, packet, self.addresses[name], flow_hash)
        return kit.ether_out(self.addresses[name]) / packet

    def send(self, packet, port, name, rung):
        sent = self.case.send(kit.ether_in() / packet)
        sent.forwarded(self.out(packet, port, name), "www", f"web/{name}", rung)

    def send_to_all(self, packet, port, rung):
        """What may be any backend's: the hash's choice gets it, and a copy each of the others."""
        sent = self.case.send(kit.ether_in() / packet)
        chosen = self.hashed(port)
        sent.forwarded(self.out(packet, port, chosen), "www", f"web/{chosen}", rung)
        if self.copies:
            sent.copies(self.out(packet, port, name) for name in self.addresses if name != chosen)

    def syn(self, port):
        """With timestamps: the cookie is to come, and nothing is remembered."""
        options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
        self.send(self.tcp(port, "S", options), port, self.hashed(port), "hash_only")

    def echo(self, port, stamp, name, rung="cookie", flags="A", before=("NOP", "NOP")):
        options = [(option, None) for option in before] + [("Timestamp", (77, stamp))]
        self.send(self.tcp(port, flags, options), port, name, rung)

    def refused(self, port, stamp, **more):
        """It counts as no cookie, and makes no entry."""
        self.echo(port, stamp, self.hashed(port), "hash_only", **more)

    def plain(self, port, flags, rung):
        """Without timestamps, of a connection that the table knows or enters."""
        self.send(self.tcp(port, flags, []), port, self.hashed(port), rung)

    def lost_reset(self, port):
        """As kernels send them for sockets that they do not have: nothing says whose it is."""
        self.send_to_all(self.tcp(port, "R", []), port, "scheduler")

    def short_quote(self, port):
        """An ICMP error that quotes eight bytes of TCP, which hold no timestamp."""
        self.send_to_all(self.about(port, 0, 28 if self.family == 4 else 48), port, "scheduler_no_entry")

    def about(self, port, stamp, quoted_bytes=None):
        """An ICMP error about a packet of the server with this timestamp."""
        answer = self.ip(src=VIPS[self.family], dst=CLIENTS[self.family]) / TCP(
            sport=80, dport=port, flags="A", options=[("NOP", None), ("NOP", None), ("Timestamp", (stamp, 77))]
        ) / Raw(b"answer" * 20)
        quoted = bytes(answer)[:quoted_bytes]
        return icmp_errors.error(self.family, next(icmp_errors.kinds(self.family)), quoted)

    def error(self, port, stamp, name, rung):
        self.send(self.about(port, stamp), port, name, rung)


def other_than(cookies, port):
    """A backend that the hash does not choose."""
    return next(name for name in IDS if name != cookies.hashed(port))


def build(case, family):
    cookies = Cookies(case, family, keys=(0, 1))
    refused = 0
    for port in range(1000, 1030):
        cookies.syn(port)
        name = other_than(cookies, port)
        stamp = cookies.stamp(port, IDS[name])
        # The cookie and not the hash decides, wherever the option lies and whatever the flags are.
        for flags, before in (("A", ("NOP", "NOP")), ("PA", ()), ("FA", ("NOP",)), ("RA", ("NOP", "NOP"))):
            cookies.echo(port, stamp, name, flags=flags, before=before)
        cookies.echo(port, cookies.stamp(port, IDS[name], timestamp=0xFFFFFFFF), name)
        cookies.echo(port, cookies.stamp(port, IDS[name], key=1), name)
        cookies.error(port, stamp, name, "cookie")
        cookies.short_quote(port)
        # An id that nobody has, check bits, another tuple's cookie, another secret's, and none at all. Some of what is
        # made up says an id by chance, and its packet then goes there: more is not to be had by it.
        made_up = [
            cookies.stamp(port, 6),
            cookies.stamp(port, IDS[name], check=1),
            cookies.stamp(port, IDS[name], tuple_port=port + 100),
            cookies.stamp(port, IDS[name], secret=OTHER_SECRET),
            struct.unpack("!I", bytes(4))[0],
        ]
        by_id = {number: name for name, number in IDS.items()}
        for wrong in made_up:
            said = by_id.get(cookies.says(port, wrong))
            if said is None:
                cookies.refused(port, wrong)
                refused += 1
            else:
                cookies.echo(port, wrong, said)
        cookies.lost_reset(port)
    # Clients without timestamps are tracked.
    for port in range(2000, 2010):
        cookies.plain(port, "S", "scheduler")
        cookies.plain(port, "A", "connection_table")
    tables = {"table_v4": 10, "table_v6": 0} if family == 4 else {"table_v4": 0, "table_v6": 10}
    for table, inserted in tables.items():
        case.counters[table] = {"inserted": inserted}
    case.counters["rungs"] = {"cookies_refused": refused}
