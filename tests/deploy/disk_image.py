"""A disk with a Debian that its own boot loader starts: made in a directory, nothing is installed here."""

import pathlib
import shutil
import struct
import tempfile

from clean_system import base_archive, dependencies, run

# The kernel is that of Debian's servers; the cloud's lacks drivers of emulated cards.
SYSTEM = ["linux-image-amd64", "openssh-server", "iproute2", "iputils-ping", "kmod", "procps", "udev", "python3",
          "python3-yaml", "dpdk", "librte-meta-net", "openssl", "man-db", "systemd-sysv", "grub-pc"]
# The first file system needs the disk's drivers and no others.
HOOKS = ['--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" && '
         'echo MODULES=list > "$1/etc/initramfs-tools/conf.d/sluice" && '
         'printf "virtio_pci\\nvirtio_blk\\next4\\n" > "$1/etc/initramfs-tools/modules"',
         '--dpkgopt=path-exclude=/usr/share/locale/*', '--dpkgopt=path-exclude=/lib/firmware/*']
FILES = {
    "etc/hostname": "director\n",
    "etc/fstab": "/dev/vda1 / ext4 defaults 0 1\n",
    # Beside what the operator writes: the console, and what a machine that is emulated needs. (The kernel's check of
    # its timer gives up on an emulation that is kept waiting.)
    "etc/default/grub.d/test.cfg":
        "GRUB_TIMEOUT=0\nGRUB_TERMINAL=serial\nGRUB_DISABLE_RECOVERY=true\nGRUB_DISABLE_SUBMENU=true\n"
        "GRUB_CMDLINE_LINUX_DEFAULT='{options}'\n",
    # Until update-grub has written another.
    "boot/grub/grub.cfg": "linux /vmlinuz root=/dev/vda1 rw {options}\ninitrd /initrd.img\nboot\n",
    # systemd-networkd takes minutes to start where a processor is emulated.
    "etc/systemd/system/management.service":
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '"
        "until file=$(grep -l {management_mac} /sys/class/net/*/address); do sleep 1; done; "
        "dev=$(basename $(dirname $file)); ip link set $dev up; ip address add {management_address} dev $dev'\n"
        "[Install]\nWantedBy=multi-user.target\n",
    "etc/ssh/sshd_config.d/test.conf": "PermitRootLogin prohibit-password\nUseDNS no\n",
    "etc/systemd/journald.conf.d/test.conf": "[Journal]\nStorage=volatile\n",
}
OPTIONS = "console=ttyS0 net.ifnames=0 no_timer_check mitigations=off quiet"
# The boot loader's core lies between the first sector and the partition.
SECTOR, PARTITION_START, PARTITION_SECTORS = 512, 2048, 4 << 21
BOOT_LOADER = "usr/lib/grub/i386-pc"


def install_boot_loader(root, disk):
    """What grub-install does, which wants to see a device: the first sector, with the table of one partition, and the
    loader's core after it. The rest of it is read from the partition."""
    shutil.copytree(root / BOOT_LOADER, root / "boot/grub/i386-pc")
    run("chroot", root, "grub-mkimage", "--format=i386-pc", "--prefix=(hd0,msdos1)/boot/grub", "--output=/core.img",
        "biosdisk", "part_msdos", "ext2")
    core = (root / "core.img").read_bytes()
    assert len(core) < (PARTITION_START - 1) * SECTOR
    # Bootable, of Linux, addressed by sectors alone.
    no_cylinders = b"\xfe\xff\xff"
    entry = struct.pack("<B3sB3sII", 0x80, no_cylinders, 0x83, no_cylinders, PARTITION_START, PARTITION_SECTORS)
    code = (root / BOOT_LOADER / "boot.img").read_bytes()[:446]
    with open(disk, "wb") as file:
        file.write(code.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa" + core)
        file.truncate((PARTITION_START + PARTITION_SECTORS) * SECTOR)


class DiskImage:
    """`disk` in `folder`; `key` is the SSH key that root takes."""

    def __init__(self, folder, packages, management_mac, management_address):
        folder = pathlib.Path(folder)
        self.disk = folder / "disk.img"
        self.key = folder / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.key)
        root = pathlib.Path(tempfile.mkdtemp(prefix="root-", dir=folder))
        run("tar", "--extract", "--numeric-owner", "--xattrs", "--file",
            base_archive(sorted({*dependencies(packages), *SYSTEM}), HOOKS), "--directory", root)
        for name, text in FILES.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(management_mac=management_mac, management_address=management_address,
                                        options=OPTIONS), "ascii")
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
        install_boot_loader(root, self.disk)
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", f"offset={PARTITION_START * SECTOR}", "-d", root,
            self.disk, f"{PARTITION_SECTORS // 2}k")
        shutil.rmtree(root)
