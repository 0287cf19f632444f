"""Programs that know nothing of PiCloud, at work in /bucket, in jobs: none of them complains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import cloud
from picloud.wire.object import Keys
from tests.flow.test_bucket_in_jobs import ask

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture(autouse=True)
def _empty(server: Any) -> Iterator[None]:
    yield
    ask("remove", Keys(prefix=""), dict[str, int])


def script(lines: str) -> str:
    """Run lines of shell; what they print, errors too. The first that fails ends it, and the job with it."""
    jid = cloud.shell.execute(f"exec 2>&1; set -e; {lines}", {})
    return bytes(cloud.result(jid, timeout=100)).decode()


TREE = "mkdir -p /tmp/tree/sub; echo 1 > /tmp/tree/a; cp /bin/true /tmp/tree/sub/run; touch -d @981173106 /tmp/tree/a; "
LOOK = "stat -c '%Y %a %U %G' a; stat -c '%a %U %G' sub/run; sub/run; ls -ld sub | cut -c1-10"
SEEN = "981173106 664 root picloud\n775 root picloud\ndrwxrwxr-x\n"


@pytest.mark.parametrize(
    "copy",
    [
        "cp -a /tmp/tree /bucket/tree",
        "mkdir /bucket/tree; cp -p /tmp/tree/a /bucket/tree; mkdir /bucket/tree/sub; cp -p /tmp/tree/sub/run /bucket/tree/sub",
        "mv /tmp/tree /bucket",
        'rsync -a /tmp/tree /bucket; test -z "$(rsync -ani --no-perms --omit-dir-times /tmp/tree /bucket)"',
        "tar cf /tmp/t.tar -C /tmp tree; cd /bucket; tar xf /tmp/t.tar",
        "tar cf /tmp/t.tar -C /tmp tree; cd /bucket; tar xpf /tmp/t.tar",
        "cd /tmp/tree; install -D -p -m 755 sub/run /bucket/tree/sub/run; cp --preserve=all a /bucket/tree",
    ],
    ids=["cp -a", "cp -p", "mv", "rsync", "tar", "tar -p", "install"],
)
def test_what_is_copied_keeps_what_it_can_and_nobody_complains(copy: str) -> None:
    assert script(f"{TREE}{copy}; cd /bucket/tree; {LOOK}") == SEEN


def test_git_and_gcc_and_make() -> None:
    done = script(
        "cd /bucket; git init -q p; cd p; git config user.name Ann; git config user.email ann@example.org;"
        "printf 'all: hello\\nhello: hello.c\\n\\tgcc -o hello hello.c\\n' > Makefile;"
        "echo '#include <stdio.h>' > hello.c; echo 'int main(void) { return puts(\"hello\") < 0; }' >> hello.c;"
        "git add -A; git commit -qm one; git clone -q . ../q; cd ../q; make -s; make -q; ./hello; touch hello.c; ! make -q;"
        "cd ../p; git gc -q; git fsck --full --strict --no-progress; git status --porcelain"
    )
    assert done == "hello\n"


@pytest.mark.parametrize("engine", ["psync", "libaio", "mmap"])
def test_fio(engine: str) -> None:
    words = f"--ioengine={engine} --name=v --numjobs=2 --size=5m --rw=randwrite --bs=4k --verify=crc32c --verify_fatal=1"
    done = script(f"mkdir /bucket/fio; fio --directory=/bucket/fio --aux-path=/tmp --do_verify=1 {words}; ls /bucket/fio | wc -l")
    assert done.endswith("\n2\n") and done.count("err= 0") == 2


def test_sed_and_appenders_and_a_database() -> None:
    done = script(
        "cd /bucket; echo one two > a; sed -i s/two/three/ a; echo new > b; mv b a; cat a;"
        "for i in 1 2 3 4 5 6 7 8; do (for j in 1 2 3 4 5; do echo $i$j >> log; done) & done; wait; sort -u log | wc -l;"
        "python3 -c \"import sqlite3; d = sqlite3.connect('n.db'); d.execute('create table n (n)');"
        "[(d.execute('insert into n values (?)', (n,)), d.commit()) for n in range(100)];"
        "print(d.execute('pragma integrity_check').fetchone()[0], d.execute('select sum(n) from n').fetchone()[0])\""
    )
    assert done == "new\n40\nok 4950\n"
