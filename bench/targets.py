# SPDX-License-Identifier: MIT
"""Ways to the same files, for bench/run: the plain directory, sshfs, unetfs."""

import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build-release")))
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
PATIENCE = 20


def wait_until(true, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            sys.exit(f"bench: {what}")
        time.sleep(0.01)


def mounted(path):
    with open("/proc/self/mounts", encoding="utf-8") as f:
        return any(line.split()[1] == path for line in f)


def cpu_of(pid):
    """Seconds of processor time a process and its ended children have used."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(x) for x in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


class Plain:
    """The directory itself."""

    name = "plain"

    def __init__(self, folder):
        self.export = os.path.join(folder, self.name + "-export")
        self.path = self.export
        os.mkdir(self.export)
        self.log = open(os.path.join(folder, self.name + ".log"), "w", encoding="utf-8")

    def fresh(self):
        """Nothing of the server's is remembered on this side afterwards."""

    def mount_point(self):
        return self.path

    def stop(self):
        self.log.close()

    def pids(self):
        """The programs behind the mount."""
        return []

    def server_pids(self):
        """Those behind these."""
        return []


class Mounted(Plain):
    """A mount by a program in the foreground."""

    def __init__(self, folder):
        super().__init__(folder)
        self.path = os.path.join(folder, self.name)
        os.mkdir(self.path)
        self.process = None

    def command(self):
        raise NotImplementedError

    def fresh(self):
        self.unmount()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        wait_until(lambda: mounted(self.mount_point()) or self.process.poll() is not None,
                   f"{self.name} does not mount")
        if self.process.poll() is not None:
            sys.exit(f"bench: {self.name} does not mount: see {self.log.name}")

    def unmount(self):
        if not self.process:
            return
        if mounted(self.mount_point()):
            subprocess.run(self.umount_command(), check=False, stdout=self.log, stderr=self.log)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def umount_command(self):
        return ["fusermount3", "-u", self.path]

    def stop(self):
        self.unmount()
        super().stop()

    def pids(self):
        return [self.process.pid, *children_of(self.process.pid)] if self.process else []


class Sshfs(Mounted):
    """sshfs with a server at the other end of a pipe."""

    name = "sshfs"

    def __init__(self, folder):
        super().__init__(folder)
        self.ssh = os.path.join(folder, "ssh")
        with open(self.ssh, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nexec {SFTP_SERVER}\n")
        os.chmod(self.ssh, 0o755)

    def command(self):
        return ["sshfs", "-f", "-o", f"ssh_command={self.ssh}", f"nowhere:{self.export}", self.path]


class Unetfs(Mounted):
    """unetfs on the directory."""

    name = "dir"
    options = ""

    def source(self):
        return f"dir:{self.export}"

    def command(self):
        options = ["-o", self.options] if self.options else []
        return [os.path.join(BUILD, "unetfs"), "mount", "-f", *options, self.source(), self.path]

    def umount_command(self):
        return [os.path.join(BUILD, "unetfs"), "umount", self.path]


class Unetfs9p(Unetfs):
    """unetfs on a diod of its own."""

    name = "9p"
    more = ""

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = os.path.join(folder, self.name + ".sock")
        self.options = f"trans=unix,aname={self.export}{self.more}"
        self.server = subprocess.Popen(
            ["diod", "-f", "-n", "-N", "-c", "/dev/null", "-l", self.socket, "-e", self.export,
             "-L", "stderr", "--nwthreads", "16"], stdout=self.log, stderr=self.log)
        wait_until(lambda: os.path.exists(self.socket), "diod does not start")

    def source(self):
        return f"9p://{self.socket}"

    def stop(self):
        super().stop()
        self.server.terminate()
        self.server.wait()

    def server_pids(self):
        return [self.server.pid]


class Unetfs9pLoose(Unetfs9p):
    """The same, with caching."""

    name = "9p-loose"
    more = ",cache=loose"
