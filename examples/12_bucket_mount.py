"""The bucket as a folder of every job: what programs do with files, they do with objects.

Prints::

    it works
    Hooray for Bucket Mounts!
    before: ['folder1/a.txt', 'folder1/b/c.txt', 'hooray.txt', 'it_works.txt']
    after mv: ['files/a.txt', 'files/b/c.txt', 'hooray.txt', 'it_works.txt']
    after rm -rf: ['hooray.txt', 'it_works.txt']
    1000 lines, the first now: first
"""

import cloud

TOP = "example-12"


def shell(command):
    """What a command prints that runs as a job."""
    return cloud.result(cloud.shell.execute(command, {})).decode()


def keys():
    """What is in the bucket, below the folder of this example."""
    return [key.removeprefix(f"{TOP}/") for key in cloud.bucket.list(TOP)]


def edit():
    """Change a file where it is."""
    with open("/bucket/example-12/dataset.txt", "r+") as dataset:
        dataset.write("first")
        dataset.seek(0)
        return dataset.readlines()


cloud.bucket.remove_prefix(TOP)
cloud.bucket.putf("it works\n", "it_works.txt", TOP)
print(shell(f"cat /bucket/{TOP}/it_works.txt"), end="")
print(shell(f"cd /bucket/{TOP}; echo 'Hooray for Bucket Mounts!' > hooray.txt; cat hooray.txt"), end="")

cloud.bucket.put_many({"a.txt": "a", "b/c.txt": "c"}, prefix=[TOP, "folder1"])
print("before:", keys())
shell(f"mv /bucket/{TOP}/folder1 /bucket/{TOP}/files")
print("after mv:", keys())
shell(f"rm -rf /bucket/{TOP}/files")
print("after rm -rf:", keys())

cloud.bucket.putf("start\n" * 1000, "dataset.txt", TOP)
lines = cloud.result(cloud.call(edit))
print(f"{len(lines)} lines, the first now: {lines[0].strip()}")
cloud.bucket.remove_prefix(TOP)
