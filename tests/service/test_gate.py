"""The gate and its turns: what is let in, who computes next, what waits no longer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import harness
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from service.errors import Overdue, Overloaded
from service.gate import Gate
from service.observability.observer import SILENT
from service.turns import LANES, Lane, Turn, Turns


@given(
    st.integers(1, 3),
    st.lists(st.one_of(st.sampled_from(LANES), st.just("end"), st.integers(0, 30)), max_size=60),
)
def test_turns_are_handed_out_within_the_slots_and_in_order(slots: int, steps: list[Lane | str | int]) -> None:
    """Steps: ask in a lane, end a running turn, or give up the n-th one that was asked for."""
    turns = Turns(slots)
    asked: list[tuple[Lane, Turn]] = []
    ended: set[int] = set()
    for step in steps:
        if isinstance(step, int):
            if step < len(asked) and step not in ended and not asked[step][1].cancelled():
                ended.add(step)
                turns.leave(asked[step][1])
        elif step == "end":
            running = [at for at, (_, turn) in enumerate(asked) if at not in ended and _came(turn)]
            if running:
                ended.add(running[0])
                turns.end()
        else:
            lane: Lane = "enrol" if step == "enrol" else "recognize"
            asked.append((lane, turns.ask(lane)))
        waiting = [(lane, turn) for lane, turn in asked if not turn.done()]
        running_now = sum(_came(turn) for at, (_, turn) in enumerate(asked) if at not in ended)
        assert running_now <= slots
        assert not waiting or running_now == slots  # no slot stands empty while somebody waits
        for lane in LANES:
            own = [turn for its, turn in asked if its == lane and not turn.cancelled()]
            came = [_came(turn) for turn in own]
            assert came == sorted(came, reverse=True)  # first come, first served
            assert turns.waiting(lane) == came.count(False)


def _came(turn: Turn) -> bool:
    return turn.done() and not turn.cancelled()


def test_questions_go_before_enrolment_which_gets_every_fourth_turn() -> None:
    turns = Turns(1)
    turns.ask("enrol")  # holds the slot
    order: list[str] = []
    for at in range(6):
        turns.ask("enrol").add_done_callback(lambda _, at=at: order.append(f"e{at}"))  # type: ignore[misc]
    for at in range(7):
        turns.ask("recognize").add_done_callback(lambda _, at=at: order.append(f"r{at}"))  # type: ignore[misc]
    for _ in range(13):
        turns.end()
    assert order == ["r0", "r1", "r2", "e0", "r3", "r4", "r5", "e1", "r6", "e2", "e3", "e4", "e5"]


def test_turns_bound_what_computes_in_threads() -> None:
    turns = Turns(2)
    running: list[int] = []
    most = [0]

    def work() -> None:
        for _ in range(50):
            with turns.taken("enrol"):
                running.append(1)
                most[0] = max(most[0], len(running))
                running.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(harness.DEADLINE)
    assert 1 <= most[0] <= 2
    assert turns.ask("recognize").done()  # every turn was given back


class _Client:
    """A request whose body has come, and its client, who may leave."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.request = Request({"type": "http", "method": "POST", "headers": []}, self._receive)

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}


def _gate(turns: Turns, *, waiting: int = 8, deadline: float = harness.DEADLINE) -> Gate:
    return Gate(turns, waiting=waiting, deadline=deadline, observer=SILENT)


async def _ask(gate: Gate, client: _Client, *works: Callable[[], int]) -> list[int]:
    async with gate.admit(client.request) as admission:
        return await admission.recognize(*works)


async def _until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(harness.DEADLINE):
        while not ready():
            await asyncio.sleep(0.005)


def test_beyond_what_may_wait_a_request_is_refused_at_once() -> None:
    async def scenario() -> None:
        turns = Turns(1)
        gate = _gate(turns, waiting=2)
        release = threading.Event()

        def work() -> int:
            assert release.wait(harness.DEADLINE)
            return 1

        inside = [asyncio.ensure_future(_ask(gate, _Client(), work)) for _ in range(2)]
        await _until(lambda: turns.waiting("recognize") == 1)
        with pytest.raises(Overloaded, match="try again"):
            await _ask(gate, _Client(), work)
        release.set()
        assert await asyncio.gather(*inside) == [[1], [1]]
        assert gate.inside == 0

    asyncio.run(scenario())


def test_whoever_waits_past_the_deadline_is_told_and_leaves_the_line() -> None:
    async def scenario() -> None:
        turns = Turns(1)
        held = turns.ask("recognize")
        ran: list[int] = []
        with pytest.raises(Overdue, match=r"0\.02 seconds"):
            await _ask(_gate(turns, deadline=0.02), _Client(), lambda: ran.append(1) or 1)
        assert turns.waiting("recognize") == 0
        turns.leave(held)
        assert turns.ask("recognize").done()  # nothing was lost on the way
        assert not ran

    asyncio.run(scenario())


def test_nobody_works_for_a_client_who_has_left() -> None:
    async def scenario() -> None:
        turns = Turns(1)
        held = turns.ask("recognize")
        gate, client, ran = _gate(turns), _Client(), list[int]()
        waiting = asyncio.ensure_future(_ask(gate, client, lambda: ran.append(1) or 1, lambda: ran.append(2) or 2))
        await _until(lambda: turns.waiting("recognize") == 2)
        client.left.set()
        with pytest.raises(ClientDisconnect):
            await waiting
        assert turns.waiting("recognize") == gate.inside == 0
        turns.leave(held)
        assert await _ask(gate, _Client(), lambda: 5) == [5]
        assert not ran

    asyncio.run(scenario())


def test_an_error_of_one_work_gives_up_the_others() -> None:
    async def scenario() -> None:
        turns = Turns(1)
        ran: list[int] = []

        def fail() -> int:
            raise ValueError("this one")

        with pytest.raises(ValueError, match="this one"):
            await _ask(_gate(turns), _Client(), fail, lambda: ran.append(1) or 1, lambda: ran.append(2) or 2)
        assert len(ran) < 2
        await _until(lambda: turns.ask("recognize").done())

    asyncio.run(scenario())


def test_works_run_side_by_side_and_answer_in_order() -> None:
    async def scenario() -> None:
        meeting = threading.Barrier(2, timeout=harness.DEADLINE)
        answers = await _ask(_gate(Turns(2)), _Client(), *[lambda at=at: meeting.wait() * 0 + at for at in range(4)])  # type: ignore[misc]
        assert answers == [0, 1, 2, 3]

    asyncio.run(scenario())


def test_a_full_server_refuses_at_the_door_and_serves_again(tmp_path: Path, bundle: Path) -> None:
    with harness.serving(tmp_path / "data", bundle, max_waiting=1, body_timeout=60) as server:
        address = (urlsplit(server.url).hostname, urlsplit(server.url).port)
        with socket.create_connection(address) as slow:
            slow.sendall(b"POST /recognize HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n")
            slow.sendall(b"Content-Length: 1000\r\n\r\n--b")
            photo = {"image": ("q.jpg", harness.jpeg(1))}
            harness.until("it is inside", lambda: server.post("/recognize", files=photo).status_code == 503)
            for path in ("/recognize", "/recognize/batch", "/index", "/index/distractors"):
                refused = server.post(path, files=photo)
                assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
                assert refused.headers["content-type"] == "application/problem+json"
                assert refused.headers["retry-after"] == "1"
                assert refused.headers["x-request-id"] == refused.json()["request_id"]
            assert server.get("/labels").status_code == 200  # what carries no photo is answered
            counted = server.get("/metrics").text
            assert 'whichone_requests_total{method="POST",route="/index",status="503"}' in counted
        harness.until("it serves again", lambda: server.post("/recognize", files=photo).status_code == 200)
        assert "Traceback" not in server.log.read_text()
