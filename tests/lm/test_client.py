"""The client: stored, single-flight, bounded; a failure is kept nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fusionprog.errors import LMConfigurationError, LMError, LMOutputError
from fusionprog.lm.client import LMClient, Paid
from fusionprog.lm.model import Completion, Message, Messages, Request, request_of
from fusionprog.lm.price import Price
from fusionprog.store.pending import Batch
from fusionprog.store.sqlite import SqliteDatabase
from fusionprog.store.store import Store


def prompt(text: str, *before: Message) -> Request:
    return request_of((*before, {"role": "user", "content": text}))


class Scripted:
    """Counts its calls and how many are in flight; answers when the test lets it."""

    persistent = True
    free = False
    usd_per_token: Any = None
    max_output_tokens = None

    def __init__(self, name: str = "scripted", usd: float | None = None) -> None:
        self.name = name
        self.identity: Mapping[str, Any] = {"model": name}
        self.usd = usd
        self.asked: list[str] = []
        self.flying = 0
        self.most = 0
        self.fail: Exception | None = None

    async def complete(self, messages: Messages) -> Completion:
        self.asked.append(messages[-1]["content"])
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            for _ in range(5):  # gives every other task a chance to start
                await asyncio.sleep(0)
            if self.fail is not None:
                raise self.fail
        finally:
            self.flying -= 1
        return Completion(f"{messages[-1]['content']} {len(self.asked)}", 2, 1, self.usd)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as made:
        yield made


def test_an_answer_is_stored_and_not_asked_for_again(store: Store) -> None:
    async def work() -> None:
        model, client = Scripted(usd=0.25), LMClient(store)
        first = await client.complete(model, prompt("a"))
        again = await client.complete(model, prompt("a"))
        assert first == again
        assert (model.asked, client.paid) == (["a"], Paid(1, 3, 0.25))

        later = LMClient(store)
        assert await later.complete(model, prompt("a")) == first
        assert (await later.complete(model, prompt("a")))[1].kept and not first[1].kept
        assert (model.asked, later.paid) == (["a"], Paid())

    asyncio.run(work())


@pytest.mark.parametrize(
    ("then", "price", "expected"),
    [
        (None, (0.01, 0.1), 0.12),  # it was unknown
        (0.5, Price.flat(0.01, 0.1), 0.12),  # the list was another
        (0.5, (0.01, 0.1), 0.5),  # the model says by itself what an answer costs
        (0.5, None, 0.5),
    ],
)
def test_a_stored_answer_counts_as_much_as_one_that_is_asked_for_now(
    store: Store, then: float | None, price: Any, expected: float
) -> None:
    async def work() -> None:
        await LMClient(store).complete(Scripted(usd=then), prompt("a"))
        model = Scripted()
        model.usd_per_token = price
        client = LMClient(store)
        _, answer = await client.complete(model, prompt("a"))
        assert answer.usd == pytest.approx(expected)
        assert (model.asked, client.paid) == ([], Paid())

    asyncio.run(work())


def test_an_answer_outlives_the_process(tmp_path: Path) -> None:
    async def ask(store: Store, model: Scripted) -> tuple[bytes, Completion]:
        return await LMClient(store).complete(model, prompt("a"))

    with Store(tmp_path / "kept.db") as store:
        first = asyncio.run(ask(store, Scripted(usd=0.5)))
    other = Scripted()
    with Store(tmp_path / "kept.db") as store:
        assert asyncio.run(ask(store, other)) == first

    assert other.asked == []


@pytest.mark.parametrize("change", ["model", "text", "role", "sample", "split"])
def test_whatever_differs_is_another_call(store: Store, change: str) -> None:
    async def work() -> None:
        client = LMClient(store)
        first, _ = await client.complete(Scripted(), prompt("a"))
        model = Scripted("other") if change == "model" else Scripted()
        request = prompt("b" if change == "text" else "a")
        if change == "role":
            request = prompt("a", {"role": "system", "content": ""})
        if change == "split":
            request = prompt("a", {"role": "user", "content": ""})
        second, _ = await client.complete(model, request, sample=int(change == "sample"))
        assert second != first
        assert model.asked == [request.content]

    asyncio.run(work())


def test_identical_requests_at_the_same_time_are_one_call(store: Store) -> None:
    async def work() -> None:
        model, client = Scripted(), LMClient(store)
        results = await asyncio.gather(*(client.complete(model, prompt("a")) for _ in range(10)))
        assert model.asked == ["a"]
        assert len(set(results)) == 1
        assert client.paid.calls == 1

    asyncio.run(work())


@pytest.mark.parametrize(("kept", "commits"), [(True, [8]), (False, [])], ids=["file", "memory"])
def test_answers_that_come_together_are_one_commit_where_they_are_kept(
    kept: bool, commits: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed: list[int] = []
    write = SqliteDatabase.write

    def counted(database: SqliteDatabase, batch: Batch) -> None:
        committed.append(len(batch.calls))
        write(database, batch)

    monkeypatch.setattr(SqliteDatabase, "write", counted)

    async def work(store: Store) -> None:
        client = LMClient(store, 8)
        await asyncio.gather(*(client.complete(Scripted(), prompt(str(index))) for index in range(8)))

    with Store(tmp_path / "s.db" if kept else None) as store:
        asyncio.run(work(store))
    assert committed == commits


def test_an_answer_that_took_time_is_used_when_it_is_committed(tmp_path: Path) -> None:
    class Slow(Scripted):
        async def complete(self, messages: Messages) -> Completion:
            await asyncio.sleep(0.002)
            return await super().complete(messages)

    place = tmp_path / "calls.db"

    async def work() -> None:
        model = Slow()
        with Store(place) as store:
            client = LMClient(store, 2)
            for text in "abcd":
                key, answer = await client.complete(model, prompt(text))
                with Store(place) as other:
                    found = await other.find(key)
                assert found is not None and found.text == answer.text

    asyncio.run(work())


def test_without_a_store_every_request_is_a_call() -> None:
    async def work() -> None:
        model, client = Scripted(), LMClient(None)
        results = await asyncio.gather(*(client.complete(model, prompt("a")) for _ in range(4)))
        assert model.asked == ["a"] * 4
        assert len({key for key, _ in results}) == 4
        assert client.paid.calls == 4

    asyncio.run(work())


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("slots", [1, 3])
def test_calls_in_flight_are_bounded(store: Store, kept: bool, slots: int) -> None:
    async def work() -> None:
        model, client = Scripted(), LMClient(store if kept else None, concurrency=slots)
        await asyncio.gather(*(client.complete(model, prompt(str(index))) for index in range(20)))
        assert model.most == slots
        assert len(model.asked) == 20

    asyncio.run(work())


@pytest.mark.parametrize("slots", [0, -1])
def test_a_client_that_could_never_ask_is_refused(slots: int) -> None:
    with pytest.raises(LMConfigurationError, match="concurrency"):
        LMClient(None, slots)


def test_fresh_asks_again_once_per_request(store: Store) -> None:
    async def work() -> None:
        model = Scripted()
        _, old = await LMClient(store).complete(model, prompt("a"))
        client = LMClient(store, fresh=True)
        both = await asyncio.gather(client.complete(model, prompt("a")), client.complete(model, prompt("a")))
        _, new = await client.complete(model, prompt("a"))
        assert model.asked == ["a", "a"]
        assert [each for _, each in both] == [new, new]
        assert new != old
        assert client.paid.calls == 1 and not any(each.kept for _, each in both)
        assert (await LMClient(store).complete(model, prompt("a")))[1] == new

    asyncio.run(work())


@pytest.mark.parametrize("kept", [True, False])
def test_a_failing_call_is_kept_nowhere_and_tried_again(store: Store, kept: bool) -> None:
    async def work() -> None:
        model, client = Scripted(), LMClient(store if kept else None, concurrency=1)
        model.fail = LMError("the line is dead")
        results = await asyncio.gather(*(client.complete(model, prompt("a")) for _ in range(3)), return_exceptions=True)
        assert [str(each) for each in results] == ["the line is dead"] * 3
        assert len(model.asked) == (1 if kept else 3)
        assert client.paid.calls == 0
        model.fail = None
        _, answer = await client.complete(model, prompt("a"))
        assert answer.text.startswith("a ")
        assert client.paid.calls == 1

    asyncio.run(work())


def test_failures_of_a_model_of_ones_own_become_lm_errors() -> None:
    async def work() -> None:
        model, client = Scripted(), LMClient(None)
        model.fail = KeyError("choices")
        with pytest.raises(LMError, match=r"'scripted'.*KeyError\('choices'\)"):
            await client.complete(model, prompt("a"))
        model.fail = LMOutputError("this stays what it is")
        with pytest.raises(LMOutputError):
            await client.complete(model, prompt("a"))

    asyncio.run(work())


def test_one_who_stops_leaves_the_call_to_those_who_wait(store: Store) -> None:
    async def work() -> None:
        model, client = Scripted(), LMClient(store)
        first = asyncio.ensure_future(client.complete(model, prompt("a")))
        second = asyncio.ensure_future(client.complete(model, prompt("a")))
        await asyncio.sleep(0)
        first.cancel()
        _, answer = await second
        assert first.cancelled()
        assert answer.text == "a 2"
        assert model.asked == ["a", "a"]

    asyncio.run(work())


@pytest.mark.parametrize("turns", range(4, 12))
def test_an_answer_that_came_is_kept_whenever_its_caller_stops(store: Store, turns: int) -> None:
    class Noticed(Scripted):
        answered = False

        async def complete(self, messages: Messages) -> Completion:
            answer = await super().complete(messages)
            self.answered = True
            return answer

    async def work() -> None:
        model, client = Noticed(), LMClient(store, 1)
        first = asyncio.ensure_future(client.complete(model, prompt("hello")))
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        came = model.answered
        _, answer = await asyncio.wait_for(client.complete(model, prompt("hello")), 1)
        assert (answer.text, len(model.asked)) == (("hello 1", 1) if came else ("hello 2", 2))

    asyncio.run(work())


def test_a_failure_that_nobody_waits_for_makes_no_noise(store: Store) -> None:
    noise: list[Any] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
        model, client = Scripted(), LMClient(store)
        model.fail = LMError("the line is dead")
        waiting = asyncio.ensure_future(client.complete(model, prompt("a")))
        await asyncio.sleep(0)
        waiting.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        assert model.asked == ["a"] and model.flying == 0
        del waiting, client, model

    asyncio.run(work())
    import gc

    gc.collect()
    assert noise == []


def test_text_that_is_no_unicode_is_mended_in_answers_and_refused_in_prompts(store: Store) -> None:
    class Broken(Scripted):
        async def complete(self, messages: Messages) -> Completion:
            return Completion("half \ud83d", 1, 1)

    async def work() -> None:
        client = LMClient(store)
        key, answer = await client.complete(Broken(), prompt("a"))
        assert answer.text == "half ?"
        store.flush()
        stored = await store.find(key)
        assert stored is not None and stored.text == "half ?"
        with pytest.raises(LMConfigurationError, match="not valid Unicode"):
            await client.complete(Broken(), prompt("half \ud83d"))

    asyncio.run(work())


def test_a_commit_after_the_end_of_the_loop_concerns_nobody(tmp_path: Path) -> None:
    with Store(tmp_path / "desk.db") as store:
        client = LMClient(store)
        asyncio.run(client.complete(Scripted(), prompt("a")))
        client._written(1, None)  # what the store's thread calls
        store.flush()
