"""The PROXY protocol to backends, client IPv4, backend IPv4."""

import proxy_stream


def build(case):
    proxy_stream.build(case, outside=4, inside=4)
