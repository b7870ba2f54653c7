"""A control group with a memory limit, so that a daemon of a test sees a small box: what the kernel limits is what it plans for."""
import errno
import os
import pathlib


def own_group():
    """The folder of this process's group with a memory controller; `None` where there is none."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return pathlib.Path("/sys/fs/cgroup/memory" + path)
        if not controllers and pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
            return pathlib.Path("/sys/fs/cgroup" + path)
    return None


class Group:
    """A group below this process's own. Raises `OSError` where none may be made."""

    def __init__(self, name):
        parent = own_group()
        if parent is None:
            raise OSError("no control group has a memory controller")
        self.folder = parent / name
        self.folder.mkdir()
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        if not (self.folder / names[0]).exists():
            names = ("memory.max", "memory.current", "inactive_file")
        self.limit, self.usage, self.inactive = names
        if not (self.folder / self.limit).exists():
            self.folder.rmdir()
            raise OSError(f"{parent} gives its groups no memory controller")

    def join(self):
        """Moves the calling process into the group."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def used(self):
        """Bytes in use, as a daemon counts them: without file pages that are not used."""
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return int((self.folder / self.usage).read_text()) - int(stat[self.inactive])

    def allow(self, limit):
        """Limits the group to so many bytes."""
        (self.folder / self.limit).write_text(str(limit))

    def empty(self):
        """Whether its last process is gone; the group is then removed."""
        try:
            self.folder.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True
