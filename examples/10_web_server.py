"""A job that listens: its port is found by itself, and reached at one address from here and from other jobs.

Prints::

    from here: a page of job ...
    from another job: a page of job ...
"""

import urllib.request

import cloud


def serve():
    """A page that tells which job made it."""
    import http.server
    import os

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = f"a page of job {os.environ['PICLOUD_JID']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words):
            """Say nothing."""

    http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Page).serve_forever()


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as page:
        return page.read().decode()


jid = cloud.call(serve)
place = cloud.wait_for.port(jid, 8000)
url = f"http://{place['address']}:{place['port']}/"
print("from here:", fetch(url))
print("from another job:", cloud.result(cloud.call(fetch, url)))
cloud.kill(jid)
