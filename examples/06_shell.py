"""Programs instead of functions: a command with parameters, a file that travels with it, a file that comes back.

Prints::

    HELLO
    ['1 lines', '2 lines', '3 lines']
    b'apple\\nbanana\\ncherry\\n'
    exit code told: True
"""

import tempfile
from pathlib import Path

import cloud

jid = cloud.shell.execute("echo {word} | tr a-z A-Z", {"word": "hello"})
print(cloud.result(jid).decode().strip())

jids = cloud.shell.execute_map("seq {n} | wc -l; echo {unit}", {"unit": "lines"}, {"n": ["1", "2", "3"]})
print([" ".join(out.decode().split()) for out in cloud.result(jids)])

with tempfile.TemporaryDirectory() as folder:
    fruit = Path(folder) / "fruit.txt"
    fruit.write_text("cherry\napple\nbanana\n")
    jid = cloud.shell.execute("sort {file} > sorted.txt", {"file": f"@{fruit}"}, return_file="sorted.txt")
    print(cloud.result(jid))

jid = cloud.shell.execute("echo {text} >&2; exit 7", {"text": "oh dear"})
try:
    cloud.result(jid)
except cloud.CloudException as error:
    print("exit code told:", "7" in str(error) and "oh dear" in str(error))
