"""A machine that QEMU emulates in software, its cards on the lab's switches; commands go in by SSH."""

import pathlib
import subprocess

from lab.process import LabError, wait_until

# What the tests use of the machine itself: a card that is no part of what is tested.
MANAGEMENT_MAC = "02:5c:00:00:01:0f"
MANAGEMENT_ADDRESS = "10.0.2.15/24"
_SSH_PORT = 2222
# Software emulation is ten to thirty times slower than the machine.
BOOT_S = 900
CALL_S = 600


class VirtualMachine:
    """Runs in a namespace of the lab. `cards`: options of QEMU. stop() ends it at once."""

    def __init__(self, namespace, directory, image, cards):
        self._namespace = namespace
        self._ssh_options = [
            "-i", str(image.key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20",
            "-o", "ControlMaster=auto", "-o", "ControlPersist=600", "-o", f"ControlPath={directory}/ssh-%p"]
        self._console = pathlib.Path(directory) / "console.log"
        self.process = namespace.start("qemu", [
            "qemu-system-x86_64",
            # No KVM. The processor is the oldest that DPDK's packages run on, with AES.
            "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Westmere",
            "-smp", "4", "-m", "2048", "-display", "none", "-monitor", "none", "-nodefaults", "-no-user-config",
            "-serial", f"file:{self._console}",
            "-device", "intel-iommu,intremap=on,aw-bits=48",
            "-drive", f"file={image.disk},format=raw,if=none,id=disk,cache=unsafe",
            "-device", "virtio-blk-pci,drive=disk,addr=0x2,bootindex=0",
            "-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng,addr=0x3",
            "-netdev", f"user,id=management,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{_SSH_PORT}-:22",
            "-device", f"virtio-net-pci,netdev=management,mac={MANAGEMENT_MAC},addr=0x4,romfile=",
            *cards])

    def wait_booted(self):
        """Until systemd has started what it is to start; what failed is a LabError."""
        def booted():
            if not self.process.running():
                raise LabError(f"QEMU ended:\n{self.process.log()}{self.console()[-3000:]}")
            # A question from before its network is up is never answered.
            answer = self.call("systemctl", "is-system-running", check=False, timeout=60)
            return answer.stdout.strip() in ("running", "degraded")

        try:
            wait_until(booted, BOOT_S, "the virtual machine has booted", interval=2)
        except LabError as error:
            raise LabError(f"{error}\n{self.process.log()}{self.console()[-3000:]}") from error

    def reboot(self):
        """As an operator would, until it has booted again."""
        boot = self.shell("cat /proc/sys/kernel/random/boot_id").stdout
        self.shell("systemctl reboot", check=False)

        def another():
            now = self.shell("cat /proc/sys/kernel/random/boot_id", check=False, timeout=60)
            return now.returncode == 0 and now.stdout != boot

        wait_until(another, BOOT_S, "the machine has booted again", interval=3)
        self.wait_booted()

    def console(self):
        return self._console.read_text("utf-8", "replace") if self._console.exists() else ""

    def ssh_command(self, address, port, *words):
        return ["ssh", *self._ssh_options, "-p", str(port), f"root@{address}", *words]

    def shell(self, line, check=True, timeout=CALL_S, stdin=None):
        """Runs a line of shell inside; the CompletedProcess."""
        command = self._namespace.inside(self.ssh_command("127.0.0.1", _SSH_PORT, line))
        try:
            done = subprocess.run(command, input=stdin, text=True, capture_output=True, timeout=timeout, check=False,
                                  stdin=subprocess.DEVNULL if stdin is None else None)
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(command, 255, "", f"no end after {timeout} s")
        if check and done.returncode != 0:
            raise LabError(f"{line}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def call(self, *words, **options):
        return self.shell(" ".join(words), **options)

    def write(self, path, text):
        self.shell(f"cat > {path}", stdin=text)

    def show(self, unit, setting):
        """One property of a unit."""
        return self.call("systemctl", "show", "--value", f"--property={setting}", unit).stdout.strip()

    def power_off(self):
        """As an operator would; QEMU ends by itself."""
        self.call("systemctl", "poweroff", check=False)
        return self.process.wait(CALL_S)
