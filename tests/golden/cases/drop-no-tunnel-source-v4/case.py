"""No port has an IPv4 address that a tunnel to an IPv4 backend could come from."""

import no_source


def build(case):
    no_source.build(case, 4)
