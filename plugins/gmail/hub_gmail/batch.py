"""Gmail's batch end point: many reads in one request, each with its own status.

Source: developers.google.com/workspace/gmail/api/guides/batch. A batch is `multipart/mixed`; each part is a
whole HTTP request. Parts come back in any order, named `response-<our Content-ID>`, and fail one by one, so
only the parts that failed are asked again. At most 100 calls a batch; each costs what it costs alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from hub.api import ContractBroken, Gone, Http, HubError, RateLimited, RecordRejected, Response, Transient

BATCH = "batch/gmail/v1"
USER = "/gmail/v1/users/me/"
ROUNDS = 8
_BOUNDARY = b"=_interaction_hub"

_NAME = re.compile(rb"\r\ncontent-id:[ \t]*<?(?:response-)?([^<>\s]+)>?[ \t]*\r\n", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/[\d.]+ +(\d{3})\b")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", re.IGNORECASE)


def encode(calls: Mapping[str, str]) -> bytes:
    """The request body for `calls`: Content-ID -> path under users/me/."""
    parts = [
        f"--{_BOUNDARY.decode()}\r\nContent-Type: application/http\r\nContent-ID: <{name}>\r\n\r\n"
        f"GET {USER}{path} HTTP/1.1\r\n\r\n"
        for name, path in calls.items()
    ]
    return "".join(parts).encode("ascii") + b"--" + _BOUNDARY + b"--\r\n"


def decode(response: Response) -> Iterator[tuple[str, Response]]:
    """(Content-ID, answer) of each part that arrived whole. Bodies are slices of what was sent, untouched.

    Raises ContractBroken when the answer is no multipart at all, such as a maintenance page.
    """
    kind = response.headers.get("content-type", "")
    _, found, boundary = kind.partition("boundary=")
    if not found or not kind.lower().startswith("multipart/"):
        raise ContractBroken(f"expected a multipart answer, got {kind or 'no content type'}", status=response.status)
    mark = b"--" + boundary.partition(";")[0].strip().strip('"').encode("latin-1")
    data = response.body
    start = data.find(mark)
    while start >= 0:
        start += len(mark)
        end = data.find(b"\r\n" + mark, start)
        if end < 0:
            return  # the closing mark, or a part cut off: what is missing is asked for again
        if part := _part(data, start, end):
            yield part
        start = end + 2


def _part(data: bytes, start: int, end: int) -> tuple[str, Response] | None:
    outer = data.find(b"\r\n\r\n", start, end)
    inner = data.find(b"\r\n\r\n", outer + 4, end)
    if outer < 0 or inner < 0:
        return None
    name, status = _NAME.search(data, start, outer + 2), _STATUS.match(data, outer + 4, inner + 2)
    if name is None or status is None:
        return None
    length = _LENGTH.search(data, outer + 4, inner + 2)
    if length is not None and int(length[1]) > end - inner - 4:
        return None
    headers = {} if status[1] == b"200" else _fields(data[outer + 4 : inner])
    return name[1].decode("latin-1"), Response(int(status[1]), headers, data[inner + 4 : end])


def _fields(block: bytes) -> dict[str, str]:
    """Header names in lower case. Read for refusals only: a good part's headers say nothing."""
    lines = (line.partition(":") for line in block.decode("latin-1").split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, found, value in lines if found}


async def read_many(http: Http, paths: Sequence[str], *, cost: str, size: int = 50) -> list[Response | HubError]:
    """One answer per path, in order: a Response (status 2xx), or the error this one path met.

    Errors that belong to one object (gone, refused, broken) are returned; those that say "not now" are tried
    again, alone, with growing pauses, and raised at last (RateLimited, Transient); AuthError and ScopeError
    are raised at once.
    """
    answers: dict[int, Response | HubError] = {}
    for first in range(0, len(paths), size):
        calls = {str(i): paths[i] for i in range(first, min(first + size, len(paths)))}
        await _read_batch(http, calls, cost, answers)
    return [answers[i] for i in range(len(paths))]


async def _read_batch(http: Http, calls: dict[str, str], cost: str, answers: dict[int, Response | HubError]) -> None:
    was_refused = False
    problem: HubError = Transient("parts of a batch answer never arrived")
    for attempt in range(ROUNDS):
        if attempt:
            await _pause(http, problem, attempt)
        whole = await http.request(
            "POST",
            BATCH,
            content=encode(calls),
            headers={"content-type": f'multipart/mixed; boundary="{_BOUNDARY.decode()}"'},
            cost=cost,
            calls=len(calls),
            safe=True,  # every part is a GET
        )
        problem = Transient("parts of a batch answer never arrived")
        needs_token = False
        for name, answer in decode(whole):
            if name not in calls:
                continue
            if answer.status < 300:
                answers[int(name)] = answer
            elif answer.status == 401 and not was_refused:
                needs_token = True
                continue
            else:
                error = _judge(http, answer)
                if isinstance(error, (RateLimited, Transient)):
                    problem = error
                    continue
                answers[int(name)] = error
            del calls[name]
        if not calls:
            return
        if needs_token:
            # The token ran out on the way to the parts. A plain call renews it, or says that nobody can.
            was_refused = True
            await http.request("GET", "gmail/v1/users/me/profile", cost="getProfile")
    raise problem


def _judge(http: Http, answer: Response) -> HubError:
    """The meaning of a part's status. Those that concern the whole account are raised."""
    error = http.explain(answer)
    error.status = answer.status
    if isinstance(error, (Gone, RecordRejected, ContractBroken, RateLimited, Transient)):
        return error
    raise error


async def _pause(http: Http, problem: HubError, attempt: int) -> None:
    """Wait before the failed parts go again; a known wait is shared with all who use this account."""
    services = http.services
    seconds = min(30.0, 0.5 * 2.0 ** (attempt - 1)) * (0.5 + services.jitter())
    if isinstance(problem, RateLimited):
        if problem.retry_after_s is not None:
            seconds = max(problem.retry_after_s, 0.05)
        until = http.budget.block(seconds)
        if seconds > services.patience_s:
            problem.until = until
            raise problem
    await services.clock.sleep(seconds)
