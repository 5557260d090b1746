"""How often a caller may ask; which web pages may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import harness
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import FieldInvalid, InvalidSetting, RateExceeded
from service.rates import Rate, RateLimiter, caller_of
from service.settings import Settings
from service.workspace import open_workspace

SHOP = "https://shop.example"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def admitted(limiter: RateLimiter, name: str, rate: Rate) -> bool:
    try:
        limiter.of("key", name, rate).refuse_if_empty()
    except RateExceeded:
        return False
    return True


def test_a_bucket_empties_and_fills_evenly() -> None:
    clock = Clock()
    limiter, rate = RateLimiter(clock), Rate.parse("6/min")
    assert [admitted(limiter, "a", rate) for _ in range(8)] == 6 * [True] + 2 * [False]
    assert admitted(limiter, "b", rate)
    clock.now = 9.9
    assert not admitted(limiter, "a", rate)
    clock.now = 10.0
    assert [admitted(limiter, "a", rate) for _ in range(2)] == [True, False]
    clock.now = 1e6
    assert [admitted(limiter, "a", rate) for _ in range(8)] == 6 * [True] + 2 * [False]
    assert admitted(limiter, "a", Rate.parse("7/min"))  # another rate, another bucket


def test_what_is_owed_is_paid_first() -> None:
    clock = Clock()
    limiter, rate = RateLimiter(clock), Rate.parse("60/min")
    allowance = limiter.of("key", "a", rate)
    allowance.refuse_if_empty()
    allowance.charge(69)
    assert allowance.headers() == {"RateLimit-Policy": '"requests";q=60;w=60', "RateLimit": '"requests";r=0;t=11'}
    with pytest.raises(RateExceeded, match="11 s"):
        allowance.refuse_if_empty()
    clock.now = 10.5
    assert not admitted(limiter, "a", rate)
    clock.now = 11.0
    assert admitted(limiter, "a", rate)


@given(st.lists(st.floats(0, 30), max_size=40), st.integers(1, 5), st.sampled_from(["s", "min"]))
def test_nobody_gets_more_than_the_rate_and_one_bucket(pauses: list[float], requests: int, unit: str) -> None:
    clock = Clock()
    limiter, rate = RateLimiter(clock), Rate.parse(f"{requests}/{unit}")
    let_in = 0
    for pause in pauses:
        clock.now += pause
        let_in += admitted(limiter, "a", rate)
    assert let_in <= requests + clock.now * requests / rate.seconds + 1e-6


def test_a_caller_is_told_to_wait_as_long_as_it_takes() -> None:
    clock = Clock()
    limiter, rate = RateLimiter(clock), Rate.parse("3/h")
    while admitted(limiter, "a", rate):
        pass
    with pytest.raises(RateExceeded) as caught:
        limiter.of("key", "a", rate).refuse_if_empty()
    assert caught.value.details["retry_after_s"] == 1200
    clock.now = 1199.0
    assert not admitted(limiter, "a", rate)
    clock.now = 1200.0
    assert admitted(limiter, "a", rate)


@pytest.mark.parametrize("text", ["", "600", "0/min", "1.5/s", "600/minute", "-1/s", "1/min x", "٣/min"])
def test_a_rate_that_is_none(text: str) -> None:
    with pytest.raises(FieldInvalid, match="600/min"):
        Rate.parse(text)


def test_who_stands_behind_an_address() -> None:
    assert caller_of("192.0.2.1") == caller_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert caller_of("2001:db8:1:2::1") == caller_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert caller_of("2001:db8:1:3::1") != caller_of("2001:db8:1:2::1")
    assert caller_of("") == ""


def test_settings_say_what_they_take() -> None:
    assert Settings.load({}, rate_limit="600/min").rate == Rate(600, 60)
    assert Settings.load({}).rate is None
    assert Settings.load({}, cors_origins=f"{SHOP}, http://localhost:3000").origins == (SHOP, "http://localhost:3000")
    assert Settings.load({}, cors_origins="*", host="0.0.0.0").origins == ("*",)
    for wrong in ({"rate_limit": "fast"}, {"cors_origins": f"{SHOP}/"}, {"cors_origins": "shop.example"}):
        with pytest.raises(InvalidSetting, match=f"WHICHONE_{next(iter(wrong)).upper()}"):
            Settings.load({}, **wrong)
    with pytest.raises(InvalidSetting, match="loopback"):
        Settings.load({}, cors_origins="*")


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[harness.Server]:
    data = tmp_path_factory.mktemp("limited") / "data"
    with harness.serving(data, bundle, rate_limit="4/d", cors_origins=SHOP) as server:
        with open_workspace(Settings.load({}, data=data, bundle=bundle, threads=1)) as workspace:
            server.client.headers["X-API-Key"] = workspace.keys.create("quick", ["admin"], rate="3/d")
        yield server


def test_too_many_requests(limited: harness.Server) -> None:
    """By a key of its own rate; without a key and with wrong ones, by the address; never for who looks after it."""
    policies = [limited.get("/labels").headers["ratelimit-policy"] for _ in range(3)]
    assert policies == 3 * ['"requests";q=3;w=86400']
    answer = limited.get("/labels")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_exceeded")
    assert answer.headers["content-type"] == "application/problem+json"
    assert 28_000 < int(answer.headers["retry-after"]) <= 28_800
    assert answer.headers["ratelimit"].startswith('"requests";r=0;t=')
    with httpx.Client(base_url=limited.url) as stranger:
        wrong = {"X-API-Key": "wrong"}
        met = [stranger.get("/labels", headers=headers).status_code for headers in ({}, wrong, {}, wrong, {}, wrong)]
        assert met == [200, 401, 200, 401, 429, 429]
        for path in ("/healthz", "/readyz", "/metrics", "/version"):
            assert stranger.get(path).status_code == 200
        # The first admin key has the server's own rate; and a batch counts its photos, also those it could not pay.
        admin = {"X-API-Key": harness.ADMIN}
        photos = [("images", ("p.jpg", harness.jpeg(seed))) for seed in range(6)]
        assert stranger.post("/recognize/batch", files=photos, headers=admin).status_code == 200
        assert stranger.get("/labels", headers=admin).status_code == 429


def test_pages_of_named_origins_may_call(limited: harness.Server, server: harness.Server) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    with httpx.Client(base_url=limited.url) as browser:
        answer = browser.get("/healthz", headers={"Origin": SHOP})
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["vary"] == "Origin"
        preflight = browser.options("/recognize", headers={"Origin": SHOP, **ask})
        assert preflight.status_code == 200
        assert "x-api-key" in preflight.headers["access-control-allow-headers"].lower()
        for other in ("https://evil.example", "http://shop.example", "null"):
            assert "access-control-allow-origin" not in browser.get("/healthz", headers={"Origin": other}).headers
            assert browser.options("/recognize", headers={"Origin": other, **ask}).status_code == 400
        refused = browser.post("/index", headers={"Origin": SHOP})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (429, SHOP)
    with httpx.Client(base_url=server.url) as browser:  # not set: off
        assert "access-control-allow-origin" not in browser.get("/healthz", headers={"Origin": SHOP}).headers
        assert browser.options("/recognize", headers={"Origin": SHOP, **ask}).status_code == 405
