"""Connection ids of QUIC that name servers (draft-ietf-quic-load-balancers): from any address of the client, plain and
encrypted, in short headers and in Handshake packets; all else goes by the tuple. Ids come from tools/oracle/quic_lb.py.
"""

import copy

import cookies
import icmp_errors
import kit
from scapy.all import UDP, Raw

SERVER_IDS = {"web-1": ("31441a", "0b"), "web-2": ("31441b", "0c"), "web-3": ("31441c", "0d")}
# Number: bytes of server id and nonce, and the number of the key's file.
CONFIGS = {0: (3, 4, 0), 1: (3, 13, 1), 6: (1, 6, None)}
INITIAL, HANDSHAKE = 0xC0, 0xE0
# Where a client is after it has changed its network.
MOVED = {4: "198.51.100.200", 6: "2001:db8:c:1::7"}


class Quic:
    def __init__(self, case, family):
        self.case, self.family = case, family
        self.ip = cookies.IP if family == 4 else cookies.IPv6
        self.addresses = cookies.BACKENDS[family]
        case.pool("web", {n: {"address": a, "quic_server_ids": list(SERVER_IDS[n])} for n, a in self.addresses.items()})
        case.vip("www", cookies.VIPS[family], "udp", 443, "web", "l2", quic=True)
        case.services["quic_configs"] = [self.config(number) for number in CONFIGS]
        self.scheduler = kit.Scheduler(dict.fromkeys(self.addresses, 100))

    @staticmethod
    def config(number):
        server, nonce, key = CONFIGS[number]
        config = {"number": number, "server_id_bytes": server, "nonce_bytes": nonce}
        return config if key is None else config | {"key_file": cookies.KEY_FILES[key]}

    @staticmethod
    def id_of(name, number, nonce_byte=0x5A, server_id=None):
        cookies.kit.oracle()
        import quic_lb  # pylint: disable=import-outside-toplevel

        server, nonce, key = CONFIGS[number]
        made = bytes.fromhex(server_id or next(i for i in SERVER_IDS[name] if len(i) == 2 * server))
        secret = None if key is None else cookies.SECRETS[key]
        return quic_lb.connection_id(number, made, bytes(nonce_byte ^ i for i in range(nonce)), secret)

    def hashed(self, port):
        return self.scheduler.choose(cookies.CLIENTS[self.family], cookies.VIPS[self.family], port, 443, 17)

    def send(self, port, payload, name, rung, client=None):
        packet = self.ip(src=client or cookies.CLIENTS[self.family], dst=cookies.VIPS[self.family]) / UDP(
            sport=port, dport=443
        ) / Raw(payload)
        out = kit.ether_out(self.addresses[name]) / packet
        self.case.send(kit.ether_in() / packet).forwarded(out, "www", f"web/{name}", rung)

    def error(self, port, rung, to_all):
        """An ICMP error about a server's packet, in which there is the client's id only."""
        quoted = icmp_errors.quote(self.family, port, 443, "udp")
        packet = icmp_errors.error(self.family, next(icmp_errors.kinds(self.family)), quoted)
        chosen = self.hashed(port)
        sent = self.case.send(kit.ether_in() / packet)
        sent.forwarded(kit.ether_out(self.addresses[chosen]) / packet, "www", f"web/{chosen}", rung)
        if to_all:
            sent.copies(kit.ether_out(at) / packet for name, at in self.addresses.items() if name != chosen)

    def short(self, port, connection_id, name, rung="quic", first=0x41, client=None):
        self.send(port, bytes([first]) + connection_id + b"protected" * 3, name, rung, client)

    def long(self, port, first, connection_id, name, rung, version=1):
        header = bytes([first]) + version.to_bytes(4, "big") + bytes([len(connection_id)]) + connection_id
        self.send(port, header + bytes([0]) + b"protected" * 3, name, rung)


def build(case, family):
    web = Quic(case, family)
    refused = 0
    for port in range(1000, 1012):
        name = next(n for n in SERVER_IDS if n != web.hashed(port))
        # A client's first packets have an id of its own; it may look like a server's.
        web.long(port, INITIAL, web.id_of(name, 6), web.hashed(port), "scheduler")
        web.long(port, INITIAL | 0x10, web.id_of(name, 6), web.hashed(port), "connection_table")
        web.long(port, HANDSHAKE, web.id_of(name, 0), name, "quic")
        web.long(port, HANDSHAKE | 0x10, web.id_of(name, 1), name, "quic", version=0x6B3343CF)
        for number in CONFIGS:
            for nonce in (0, 0x5A):
                # From the address that began, and from others.
                for source in (port, port + 20000, port + 40000):
                    web.short(source, web.id_of(name, number, nonce), name)
                web.short(port, web.id_of(name, number, nonce), name, client=MOVED[family])
        # Neither the fixed bit nor the key phase matters.
        web.short(port, web.id_of(name, 0), name, first=0x07)
        # Of no server, of a configuration that there is none of, unroutable, and cut: by the tuple.
        for wrong in (web.id_of(name, 6, server_id="77"), b"\x67" + bytes(7), b"\xe7" + bytes(7)):
            web.short(port, wrong, web.hashed(port), "connection_table")
        web.send(port, b"\x41\xc0\x0b", web.hashed(port), "connection_table")
        web.send(port, b"\x41", web.hashed(port), "connection_table")
        web.send(port, b"", web.hashed(port), "connection_table")
        refused += 4
    # Another configuration comes, the first one goes: ids of the others stay good.
    CONFIGS[2] = (1, 15, 0)
    rotated = copy.deepcopy(case.services)
    rotated["quic_configs"] = [web.config(number) for number in (1, 2, 6)]
    case.apply(rotated)
    for port in range(1000, 1012):
        name = next(n for n in SERVER_IDS if n != web.hashed(port))
        for number in (1, 2, 6):
            web.short(port, web.id_of(name, number), name)
        web.short(port, web.id_of(name, 0), web.hashed(port), "connection_table")
        refused += 1
    # Errors go where the entry of the first packets says, and to all backends where there is none any more.
    web.error(1000, "connection_table", to_all=False)
    web.error(9000, "scheduler_no_entry", to_all=True)
    case.backend_drain("web/web-1")
    for number in (1, 2, 6):
        web.short(5000, web.id_of("web-1", number), "web-1")
    del CONFIGS[2]
    # Of the first packets there is a short memory, since nothing else needs it: half as long as UDP's.
    case.expect(**{f"table_v{family}": {"entries": 12}})
    case.advance(30)
    case.expect(**{f"table_v{family}": {"entries": 0}})
    case.counters["rungs"] = {"cookies_refused": refused}
