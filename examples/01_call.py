"""A function becomes a job: it runs in another process, and its result comes back.

Prints::

    9
    Hello, Ada!
    done
"""

import cloud


def greet(name, mark="."):
    return f"Hello, {name}{mark}"


jid = cloud.call(lambda x: x * 3, 3)  # at once: an integer, the job's id
print(cloud.result(jid))  # waits for the job

jid = cloud.call(greet, "Ada", mark="!", _label="greeting")  # names with an underscore speak to PiCloud
print(cloud.result(jid))
print(cloud.status(jid))
