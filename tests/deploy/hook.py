"""A web hook: each message that Alertmanager posts becomes a line of a file.

Usage: hook.py ADDRESS PORT FILE
"""

import http.server
import json
import sys
from pathlib import Path


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes everything, and says so."""

    file: Path

    def do_POST(self) -> None:
        """Note the path and what was posted."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        line = json.dumps({"path": self.path, "message": json.loads(body)})
        with self.file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Nothing."""


if __name__ == "__main__":
    Hook.file = Path(sys.argv[3])
    with http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Hook) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        server.serve_forever()
