"""A function at an address, for any language: every call of cloud.rest, and the address itself by plain HTTP.

Prints::

    published: POST .../area (width, height=1.0, unit="m")
    by Python: {'area': 7.5, 'unit': 'cm'}
    one job a position: [2, 4, 6]
    by HTTP, in one request: {'area': 12, 'unit': 'm'}
    by HTTP, in two: {'area': 0.25, 'unit': 'm'}
    refused: 400, the function was called with 'depth', which it does not take
    raw bytes: b'P1 2 2 1 0 0 1'
    gone: []
"""

import json
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from urllib.parse import urlencode

import cloud

if cloud.rest.list():
    sys.exit("you have published functions already, which would be among those listed here")


def area(width: float, height: float = 1.0, *, unit: str = "m"):
    """The area of a rectangle."""
    return {"area": width * height, "unit": unit}


url = cloud.rest.publish(area, "area")
print("published: POST ...", url[url.rindex("/") :], " ", cloud.rest.info("area")["signature"], sep="")

jid = cloud.rest.invoke("area", width=3, height=2.5, unit="cm")
print("by Python:", cloud.result(jid))
jids = cloud.rest.invoke_map("area", width=[1, 2, 3], height=[2])
print("one job a position:", [one["area"] for one in cloud.result(jids)])

# A key that opens this address alone, for the program that asks.
key = cloud.rest.create_key("area", note="for the web shop")
secret = b64encode(f"{key['api_key']}:{key['api_secretkey']}".encode()).decode()


def ask(address, **fields):
    data = urlencode(fields).encode() if fields else None
    request = urllib.request.Request(address, data, {"Authorization": f"Basic {secret}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


print("by HTTP, in one request:", ask(f"{url}?wait=30", width=4, height=3)["result"])
jid = ask(url, width=0.5, height=0.5)["jid"]
print("by HTTP, in two:", ask(f"{url}/result?jid={jid}&wait=30")["result"])
try:
    ask(url, width=1, depth=2)
except urllib.error.HTTPError as error:
    print(f"refused: {error.code}, {json.load(error)['error']['message']}")


def bitmap():
    return b"P1 2 2 1 0 0 1"


cloud.rest.publish(bitmap, "bitmap", out_encoding="raw")
print("raw bytes:", cloud.result(cloud.rest.invoke("bitmap")))

for label in cloud.rest.list():
    cloud.rest.remove(label)
print("gone:", list(cloud.rest.list()))
