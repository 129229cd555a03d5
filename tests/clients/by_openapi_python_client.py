"""Uses a server through the client that openapi-python-client generated: ADDRESS [TOKEN]. With a token, the server protects reads."""

import sys

from by_openapi_python_client_generated import AuthenticatedClient, Client
from by_openapi_python_client_generated.api.data import list_changes, list_rows, show_image, show_statistics
from by_openapi_python_client_generated.api.runs import start_run
from by_openapi_python_client_generated.models import Mode, ProblemDocument, Shape, StartRun
from by_openapi_python_client_generated.types import UNSET

address, token = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
client = Client(base_url=address)
if token:
    unauthorized = list_rows.sync_detailed(client=client)
    assert unauthorized.status_code == 401 and isinstance(unauthorized.parsed, ProblemDocument), unauthorized
    assert start_run.sync_detailed(client=client).status_code == 401
    client = AuthenticatedClient(base_url=address, token=token)


def ids(**parameters):
    rows = list_rows.sync(client=client, **parameters)
    assert isinstance(rows, list), rows
    return [row.user_id for row in rows]


assert len(ids()) == 100
assert ids(user_id_in="1001,1000") == ["1000", "1001"]
assert ids(img_path_isnull="true", limit=2) == ["1005", "1010"]
assert ids(birthts_lt=334702800001) == ["1070"]
assert ids(user_id="unknown") == []
assert "1070" in ids(max_age="")
columns = list_rows.sync(client=client, shape=Shape.COLUMNS, select="user_id", limit=1)
assert columns.to_dict() == {"user_id": {"0": "1000"}}, columns
assert show_statistics.sync(client=client, last_name_startswith="mil").count == 3
assert show_image.sync(client=client, user_id="1000").payload.read(4) == b"\x89PNG"
assert list_changes.sync(client=client, since=0) == ""
# These two bodies are equivalent.
for body in (UNSET, StartRun()):
    assert start_run.sync(client=client, body=body, prefer="wait=60").state == "succeeded"
run = start_run.sync(client=client, body=StartRun(mode=Mode.FULL), prefer="wait=60")
assert (run.state, run.mode, run.counts.users) == ("succeeded", "full", 100), run
