"""A clean Debian in a directory, made with mmdebstrap, in which packages are installed and their programs run."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

# Where a system with the packages' dependencies is kept, because it takes minutes to make: by the list of those.
CACHE = pathlib.Path(__file__).resolve().parents[2] / "build" / "clean-systems"
SUITE = "bookworm"
# What the maintainer scripts and the units' programs are run with.
BASE = ["systemd"]


def run(*command, **options):
    """Runs to the end and returns the CompletedProcess; AssertionError with its output unless it ends with 0."""
    options = {"timeout": 900, "stdin": subprocess.DEVNULL, **options}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def dependencies(packages):
    """Names that the packages depend on (the first of alternatives), without each other."""
    names = set()
    for package in packages:
        fields = run("dpkg-deb", "--field", package, "Depends").stdout
        names.update(re.match(r"\s*([a-z0-9.+-]+)", choice)[1] for choice in fields.split(",") if choice.strip())
    return sorted(names - {package.name.split("_")[0] for package in packages})


def base_archive(names, hooks=()):
    """The tar archive of a system with exactly these packages and what they need. `hooks`: options of mmdebstrap."""
    key = hashlib.sha256("\n".join([SUITE, *BASE, *names, *hooks]).encode()).hexdigest()[:16]
    archive = CACHE / f"{key}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(".part.tar")
        run("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join([*BASE, *names])}",
            "--aptopt=APT::Install-Recommends false", *hooks, SUITE, part, timeout=1800)
        part.rename(archive)
    return archive


class CleanSystem:
    """Unpacked into a directory of its own; remove() takes all of it away again."""

    def __init__(self, packages):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="sluice-clean-"))
        self._mounts = []
        try:
            run("tar", "--extract", "--numeric-owner", "--xattrs", "--file", base_archive(dependencies(packages)),
                "--directory", self.root)
            for place in ("/proc", "/sys", "/dev"):
                self.bind(place)
            # As in a container that is being built: nothing is to be started.
            policy = self.root / "usr/sbin/policy-rc.d"
            policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
            policy.chmod(0o755)
        except BaseException:
            self.remove()
            raise

    def bind(self, place):
        """Shows a directory of the machine inside, at the same place."""
        target = self.root / place.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        run("mount", "--rbind", place, target)
        # Or unmounting it here would unmount it out there.
        run("mount", "--make-rslave", target)
        self._mounts.append(target)

    def unbind(self):
        while self._mounts:
            subprocess.run(["umount", "--recursive", "--lazy", self._mounts.pop()], check=False)

    def remove(self):
        self.unbind()
        left = [line for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
                if f" {self.root}" in line]
        # Never delete through a mount into the machine.
        if left:
            raise AssertionError(f"still mounted: {left}")
        shutil.rmtree(self.root)

    def command(self, *words):
        return ["chroot", str(self.root), *map(str, words)]

    def run(self, *words, **options):
        path = "/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        return run(*options.pop("before", []), *self.command(*words), env=environment, **options)

    def install(self, packages):
        """From files, without a network: what they depend on has to be there."""
        inbox = self.root / "tmp/packages"
        inbox.mkdir()
        for package in packages:
            shutil.copy(package, inbox)
        names = [f"/tmp/packages/{package.name}" for package in packages]
        try:
            self.run("apt-get", "install", "--yes", "--no-install-recommends", *names, before=["unshare", "--net"])
        finally:
            shutil.rmtree(inbox)

    def files(self):
        """All paths but those of the package manager's own records, of logs and of the machine's directories."""
        skipped = ("proc", "sys", "dev", "run", "tmp", "var/lib/dpkg", "var/lib/apt", "var/cache", "var/log")
        found = set()
        for folder, folders, files in os.walk(self.root):
            relative = os.path.relpath(folder, self.root)
            folders[:] = [name for name in folders if os.path.normpath(os.path.join(relative, name)) not in skipped]
            found.update(os.path.normpath(os.path.join(relative, name)) for name in folders + files)
        return found

    def wrappers(self, folder, programs):
        """Scripts in `folder` that run the installed programs, in whatever network namespace they are called."""
        folder.mkdir()
        for program, path in programs.items():
            script = folder / program
            # /sys shows the network namespace that it was mounted in.
            script.write_text(f'#!/bin/sh\nset -e\nmount -t sysfs sysfs "{self.root}/sys"\n'
                              f'exec chroot "{self.root}" {path} "$@"\n', encoding="ascii")
            script.chmod(0o755)
        return folder
