"""A disk with a bootable Debian, and the kernel to boot it with: made in a directory, nothing is installed here."""

import pathlib
import shutil
import tempfile

from clean_system import base_archive, dependencies, run

# The kernel is that of Debian's servers; the cloud's lacks drivers of emulated cards.
SYSTEM = ["linux-image-amd64", "openssh-server", "iproute2", "iputils-ping", "kmod", "procps", "udev", "python3",
          "python3-yaml", "dpdk", "librte-meta-net", "openssl", "man-db"]
# The first file system needs the disk's drivers and no others.
HOOKS = ['--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" && '
         'echo MODULES=list > "$1/etc/initramfs-tools/conf.d/sluice" && '
         'printf "virtio_pci\\nvirtio_blk\\next4\\n" > "$1/etc/initramfs-tools/modules"',
         '--dpkgopt=path-exclude=/usr/share/locale/*', '--dpkgopt=path-exclude=/lib/firmware/*']
FILES = {
    "etc/hostname": "director\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    # systemd-networkd takes minutes to start where a processor is emulated.
    "etc/systemd/system/management.service":
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '"
        "until file=$(grep -l {management_mac} /sys/class/net/*/address); do sleep 1; done; "
        "dev=$(basename $(dirname $file)); ip link set $dev up; ip address add {management_address} dev $dev'\n"
        "[Install]\nWantedBy=multi-user.target\n",
    "etc/ssh/sshd_config.d/test.conf": "PermitRootLogin prohibit-password\nUseDNS no\n",
    "etc/systemd/journald.conf.d/test.conf": "[Journal]\nStorage=volatile\n",
}


class DiskImage:
    """`disk`, `kernel` and `initrd` in `folder`; `key` is the SSH key that root takes."""

    def __init__(self, folder, packages, management_mac, management_address):
        folder = pathlib.Path(folder)
        self.disk, self.kernel, self.initrd = folder / "disk.img", folder / "vmlinuz", folder / "initrd.img"
        self.key = folder / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.key)
        root = pathlib.Path(tempfile.mkdtemp(prefix="root-", dir=folder))
        run("tar", "--extract", "--numeric-owner", "--xattrs", "--file",
            base_archive(sorted({*dependencies(packages), *SYSTEM}), HOOKS), "--directory", root)
        for name, text in FILES.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(management_mac=management_mac, management_address=management_address), "ascii")
        keys = root / "root/.ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(f"{self.key}.pub", keys)
        for package in packages:
            shutil.copy(package, root / "root")
        run("chroot", root, "systemctl", "enable", "management")
        # What only takes time on a machine that is emulated.
        run("chroot", root, "systemctl", "mask", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer",
            "dpkg-db-backup.timer", "fstrim.timer", "systemd-networkd-wait-online.service", "e2scrub_reap.service",
            "man-db.timer", "dbus.socket", "dbus.service", "systemd-logind.service", "systemd-binfmt.service",
            "getty@tty1.service", "serial-getty@ttyS0.service", "systemd-update-utmp.service")
        self.kernel.write_bytes(next(root.glob("boot/vmlinuz-*")).read_bytes())
        self.initrd.write_bytes(next(root.glob("boot/initrd.img-*")).read_bytes())
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, self.disk, "4G")
        shutil.rmtree(root)
