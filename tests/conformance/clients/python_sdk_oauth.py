"""The vendor's own OAuth helper, unmodified, pointed at the sandbox by its own arguments. No import of cmam.

    REQUESTS_CA_BUNDLE=ca.pem python python_sdk_oauth.py READY_FILE

Prints the consent address, reads the code from standard input, then prints what the token endpoint answered: to the
code, to the refresh token, and to that refresh token once more.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ctrader_open_api import Auth

ready = json.loads(Path(sys.argv[1]).read_text())
auth = Auth(ready["client_id"], ready["client_secret"], ready["redirect_uris"][0])
token_uri = f"{ready['oauth_url']}/apps/token"
print(auth.getAuthUri(baseUri=f"{ready['oauth_url']}/apps/auth"), flush=True)
tokens = auth.getToken(sys.stdin.readline().strip(), baseUri=token_uri)
print(json.dumps(tokens), flush=True)
for _ in range(2):
    print(json.dumps(auth.refreshToken(tokens["refreshToken"], baseUri=token_uri)), flush=True)
