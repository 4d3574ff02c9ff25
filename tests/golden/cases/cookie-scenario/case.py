"""Cookies through changes: a backend that drains keeps its connections; those of one that is gone get another, without
an entry in the table; one that comes back gets its id back; and to another backend its id is refused for a day."""

import copy

import cookies


def build(case):
    web = cookies.Cookies(case, 4)
    started = copy.deepcopy(case.services)
    ports = range(1000, 1020)
    stamps = {port: web.stamp(port, cookies.IDS["web-2"]) for port in ports}

    def echo_all(known):
        for port in ports:
            if known:
                web.echo(port, stamps[port], "web-2")
            else:
                web.refused(port, stamps[port])

    echo_all(True)
    case.backend_drain("web/web-2")
    web.schedule_over(["web-1", "web-3"])
    echo_all(True)
    for port in ports:
        web.syn(port + 100)
    case.backend_remove("web/web-2")
    echo_all(False)
    case.expect(rungs={"cookies_refused": len(ports)}, table_v4={"entries": 0})
    # Another server under the same id: connections of the old one would go astray.
    replaced = copy.deepcopy(started)
    replaced["pools"][0]["backends"][1] = {"name": "web-4", "address": "192.0.2.14", "cookie_id": cookies.IDS["web-2"]}
    case.apply(replaced, refused="cookie_id 700 was that of 192.0.2.12 until a short while ago")
    # Without a word of ids each backend has its own, also the one that comes back.
    silent = copy.deepcopy(started)
    for backend in silent["pools"][0]["backends"]:
        del backend["cookie_id"]
    case.apply(silent)
    web.schedule_over(web.addresses)
    echo_all(True)
    # A new one gets the lowest that is free.
    case.backend_add("web/web-9", "192.0.2.19")
    web.addresses["web-9"] = "192.0.2.19"
    web.schedule_over(web.addresses)
    for port in ports:
        web.echo(port, web.stamp(port, 1), "web-9")
