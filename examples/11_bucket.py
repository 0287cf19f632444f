"""Objects in the bucket: put here, used by jobs, listed, renamed, got back.

Prints::

    4 texts are there: ['example-11/texts/0.txt', 'example-11/texts/1.txt', ...]
    words counted by 4 jobs: {'0.txt': 2, '1.txt': 4, '2.txt': 6, '3.txt': 8}
    after the rename: ['example-11/counts/', 'example-11/done/']
    the last line of one: b'word 3'
"""

import cloud

FOLDER = "example-11"


def count(name):
    """Count the words of a text; the count is an object too."""
    import cloud

    words = len(cloud.bucket.getf(name, prefix=["example-11", "texts"]).read().split())
    cloud.bucket.putf(str(words), name, prefix="example-11/counts")


names = [f"{number}.txt" for number in range(4)]
texts = {name: "\n".join(f"word {line}" for line in range(number + 1)) for number, name in enumerate(names)}
cloud.bucket.remove_prefix(FOLDER)
cloud.bucket.put_many(texts, prefix=[FOLDER, "texts"])
keys = cloud.bucket.list(FOLDER)
print(f"{len(keys)} texts are there: [{keys[0]!r}, {keys[1]!r}, ...]")

cloud.join(cloud.map(count, names))
counts = cloud.bucket.get_many(cloud.bucket.iterlist([FOLDER, "counts"]))
print("words counted by 4 jobs:", {key.rpartition("/")[2]: int(data) for key, data in counts})

cloud.bucket.rename(f"{FOLDER}/texts", f"{FOLDER}/done")
print("after the rename:", list(cloud.bucket.list(FOLDER, folderize=True)))
print("the last line of one:", cloud.bucket.getf("3.txt", [FOLDER, "done"]).readlines()[-1])
cloud.bucket.remove_prefix(FOLDER)
