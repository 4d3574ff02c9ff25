"""Backends whose agents put cookies into the timestamps of their connections, and services that go with them."""

import os

from lab_case import LabCase
from lab import config
from lab.network import VIP4

SECRET = bytes(range(16, 32))
COOKIE = {"backend_bits": 10, "check_bits": 2, "idle_s": 7200}


class CookieBackendsCase(LabCase):
    TUNNELS = True
    BACKENDS = 4
    DIRECTORS = ()  # further ones that the agents listen to

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key_path = os.path.join(cls.lab.run.directory, "cookie.key")
        with open(cls.key_path, "w", encoding="ascii") as file:
            file.write(SECRET.hex() + "\n")
        for index in range(1, cls.BACKENDS + 1):
            cls.give_cookies(index)

    @classmethod
    def give_cookies(cls, index):
        """The agent of a backend, which is known by the cookie id 10 + index."""
        role = f"backend-{index}"
        path = os.path.join(cls.lab.run.directory, f"{role}.yaml")
        widths = ", ".join(f"{name}: {value}" for name, value in COOKIE.items())
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"cookies:\n  keys: [{{number: 0, file: {cls.key_path}}}]\n  vips:\n"
                       f"    - {{vip: {VIP4}, port: 80, backend: {10 + index}, {widths}}}\n")
        cls.lab.backends.agents.pop(role).stop()
        more = ("--director", ",".join(cls.DIRECTORS)) if cls.DIRECTORS else ()
        cls.lab.backends.start_agent(role, *more, "--config", path)

    def services(self, weights, **vip):
        services = config.services(weights, mode="gue", versions=(4,), udp=False)
        for index, backend in zip(weights, services["pools"][0]["backends"]):
            backend["cookie_id"] = 10 + index
        services["vips"][0].update(vip)
        if vip.get("consistency") == "cookie":
            services["cookie_keys"] = [{"number": 0, "file": self.key_path}]
        return services
