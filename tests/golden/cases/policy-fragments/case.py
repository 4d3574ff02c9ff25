"""Fragments in a pool that takes turns: those of a connection follow its cookie, to a backend that the hash would not
choose; a SYN in fragments goes by the hash and takes no turn, as its later fragments could not follow one."""

import cookie_fragments
import cookies


def build(case):
    web = cookies.Cookies(case, 6)
    case.services["pools"][0]["policy"] = "weighted-round-robin"
    parts = cookie_fragments.Parts(web)
    syn = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
    for port, order in enumerate(cookie_fragments.ORDERS, 1000):
        parts.send(parts.cut(port, syn, flags="S"), order, port, web.hashed(port), "hash_only")
        name = cookies.other_than(web, port)
        parts.send(parts.echoing(port, web.stamp(port, cookies.IDS[name])), order, port, name, "cookie")
    case.counters["table_v6"] = {"inserted": 0}
