"""API keys by name and password: every call of cloud.account. The owner of the server runs it: it invites a user for it.

Prints::

    she sees her own key: True
    made: a number, a secret and a private key, shown this once
    asked for afterwards: None, for the web shop
    by itself: True
    off: False
    among those that are on: False
    on again: True
    a wrong password: NotAuthorized
"""

import json
import os
import subprocess
import sys
import tempfile
import uuid

import cloud


def picloud(*words, given="", **environment):
    """What the command line answers."""
    line = [sys.executable, "-m", "picloud", "--json", *words]
    return json.loads(
        subprocess.run(line, input=given, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    )


# She joins our account. Her first key would be stored for the user of this machine, so that is told to be elsewhere.
name, password = f"ada-{uuid.uuid4().hex[:8]}", "a long sentence that only she knows"
link = picloud("admin", "user", "invite", f"{name}@example.org")["link"]
with tempfile.TemporaryDirectory() as hers:
    picloud("sign-up", link, "--email", f"{name}@example.org", given=password, PICLOUD_HOME=hers)

before = cloud.account.list_keys(name, password)
made = cloud.account.create_key(name, password, note="for the web shop", scopes=["queue"])
key = made["api_key"]
print("she sees her own key:", key not in before and key in cloud.account.list_keys(name, password))
assert made["api_secretkey"] and made["private_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
print("made: a number, a secret and a private key, shown this once")

about = cloud.account.get_key(name, password, key)
print(f"asked for afterwards: {about['api_secretkey']}, {about['note']}")
print("by itself:", cloud.account.get_key_by_key(key, made["api_secretkey"])["active"])

cloud.account.deactivate_key(name, password, key)
print("off:", cloud.account.get_key(name, password, key)["active"])
print("among those that are on:", key in cloud.account.list_keys(name, password, active_only=True))
print("on again:", cloud.account.activate_key(name, password, key))

try:
    cloud.account.list_keys(name, "another sentence")
except cloud.CloudException as error:
    print("a wrong password:", type(error).__name__)

picloud("admin", "user", "role", name, "none")
