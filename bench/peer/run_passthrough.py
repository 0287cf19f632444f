"""The bare rival of a mount: mfusepy over a folder, nothing else. ``run_passthrough.py FOLDER MOUNTPOINT``"""

import os
import sys

import mfusepy

FIELDS = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino", "st_atime_ns", "st_mtime_ns", "st_ctime_ns")


class Passthrough(mfusepy.Operations):
    use_ns = True

    def __init__(self, root):
        self.root = root

    def getattr(self, path, fh=None):
        found = os.lstat(self.root + path)
        return {name.removesuffix("_ns"): getattr(found, name) for name in FIELDS}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(self.root + path)]

    def open(self, path, flags):
        return os.open(self.root + path, flags)

    def create(self, path, mode, fi=None):
        return os.open(self.root + path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def release(self, path, fh):
        os.close(fh)
        return 0

    def fsync(self, path, datasync, fh):
        os.fsync(fh)
        return 0

    def truncate(self, path, length, fh=None):
        os.truncate(self.root + path, length)

    def utimens(self, path, times=None):
        os.utime(self.root + path, ns=times)

    def unlink(self, path):
        os.unlink(self.root + path)

    def mkdir(self, path, mode):
        os.mkdir(self.root + path, mode)

    def rmdir(self, path):
        os.rmdir(self.root + path)


if __name__ == "__main__":
    mfusepy.FUSE(Passthrough(sys.argv[1]), sys.argv[2], foreground=True, hard_remove=True, attr_timeout=0, entry_timeout=0)
