"""Uses a server through the client that openapi-generator generated: ADDRESS [TOKEN]. With a token, the server protects reads."""

import sys

from by_openapi_generator_generated import ApiClient, Configuration, DataApi, Mode, RunsApi, Shape, StartRun
from by_openapi_generator_generated.exceptions import UnauthorizedException

address, token = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None


def is_unauthorized(request):
    try:
        request()
    except UnauthorizedException:
        return True
    return False


if token:
    client = ApiClient(Configuration(host=address))
    assert is_unauthorized(DataApi(client).list_rows) and is_unauthorized(RunsApi(client).start_run)
client = ApiClient(Configuration(host=address, access_token=token))
data, runs = DataApi(client), RunsApi(client)


def ids(**parameters):
    return [row.user_id for row in data.list_rows(**parameters).actual_instance]


assert len(ids()) == 100
assert ids(user_id__in="1001,1000") == ["1000", "1001"]
assert ids(img_path__isnull="true", limit=2) == ["1005", "1010"]
assert ids(birthts__lt=334702800001) == ["1070"]
assert ids(user_id="unknown") == []
assert "1070" in ids(max_age="")
columns = data.list_rows(shape=Shape.COLUMNS, select="user_id", limit=1).actual_instance
assert columns == {"user_id": {"0": "1000"}}, columns
assert data.show_statistics(last_name__startswith="mil").count == 3
# These three bodies are equivalent.
for body in ({}, {"start_run": None}, {"start_run": StartRun()}):
    assert runs.start_run(**body, prefer="wait=60").state == "succeeded"
run = runs.start_run(start_run=StartRun(mode=Mode.FULL), prefer="wait=60")
assert (run.state, run.mode, run.counts.users) == ("succeeded", "full", 100), run
