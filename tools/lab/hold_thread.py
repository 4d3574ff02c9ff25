"""Stops one thread of a process while the others run on."""

import contextlib
import ctypes
import os
import pathlib

_PTRACE_SEIZE, _PTRACE_INTERRUPT, _PTRACE_DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _ptrace(request, thread):
    if _libc.ptrace(request, ctypes.c_long(thread), None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x}, {thread})")


@contextlib.contextmanager
def held(pid, name):
    """The thread whose name is or begins with `name` stands still meanwhile; the process may end."""
    tasks = os.listdir(f"/proc/{pid}/task")
    names = {pathlib.Path(f"/proc/{pid}/task/{task}/comm").read_text("ascii").strip(): int(task) for task in tasks}
    thread = names[next(found for found in sorted(names) if found.startswith(name))]
    _ptrace(_PTRACE_SEIZE, thread)
    _ptrace(_PTRACE_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    try:
        yield
    finally:
        try:
            _ptrace(_PTRACE_DETACH, thread)
        except ProcessLookupError:
            # It has ended, and its process cannot before we have taken note.
            os.waitpid(thread, _WALL)
