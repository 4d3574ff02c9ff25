"""The lab: a client, a director and backends in network namespaces, with real servers and real clients.

    network.py    namespaces, the switch between them, addresses, routes
    namespace.py  one network namespace: commands, processes and sockets inside it
    process.py    commands with a timeout, background processes with a log
    stop.py       ends by signals, and together
    registry.py   what a run created, on disk, so that it can be removed even after a kill -9
    leftovers.py  what a stopped director must not leave behind
    director.py   sluiced: its configuration, start, reload, stop; sluicectl; metrics; packet sum
    backends.py   nginx and the UDP echo on the backends; the agent for tunnels
    clients/      load, held-open connections, downloads, wrk, floods
    servers/      small servers that run inside the namespaces
    lab.py        all of it together
    demo.py       tools/demo

Python 3 of Debian 12 with its standard library and python3-yaml. Everything needs root.
"""
