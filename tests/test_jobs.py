"""Background jobs against a real committed database and the real worker."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from croniter import croniter
from flask import Flask
from procrastinate.jobs import Job
from sqlalchemy import text

from tests.worker import work_off
from unternehmenskonto import audit, jobs
from unternehmenskonto.audit import AuditSeal
from unternehmenskonto.db import db, one_commit

ran: list[dict[str, Any]] = []
broken: set[str] = set()


@jobs.job("tests.note")
def note(**arguments: Any) -> None:
    """Remember the arguments; fail while the word is broken, after a change that must not stay."""
    ran.append(arguments)
    audit.record("job.retried", by="system", job_id=0, task="tests.note")
    if arguments.get("word") in broken:
        raise RuntimeError("not now")


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    ran.clear()
    broken.clear()
    yield


def rows(query: str, **values: Any) -> list[Any]:
    found = list(db.session.execute(text(query), values))
    db.session.commit()
    return found


def defer(**arguments: Any) -> None:
    with one_commit():
        jobs.defer("tests.note", **arguments)


def test_committed_job_runs_once_and_is_gone(fresh_app: Flask) -> None:
    defer(word="yes")
    work_off(fresh_app)
    assert ran == [{"word": "yes"}]
    assert rows("SELECT 1 FROM procrastinate_jobs WHERE task_name = 'tests.note'") == []
    assert len(rows("SELECT 1 FROM audit_events WHERE event = 'job.retried'")) == 1


def test_job_of_a_rolled_back_transaction_is_absent(fresh_app: Flask) -> None:
    jobs.defer("tests.note", word="never")
    db.session.rollback()
    work_off(fresh_app)
    assert ran == []


def test_job_is_invisible_before_the_commit(fresh_app: Flask) -> None:
    jobs.defer("tests.note", word="later")
    with db.engine.connect() as other:
        assert other.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
    db.session.rollback()


@jobs.job("tests.chain")
def chain(**arguments: Any) -> None:
    """Enqueue another job from inside the worker, in the transaction of this one."""
    jobs.defer("tests.note", **arguments)
    if arguments.get("word") in broken:
        raise RuntimeError("not now")


def test_job_enqueues_a_job_in_its_own_transaction(fresh_app: Flask) -> None:
    broken.add("bad")
    with one_commit():
        jobs.defer("tests.chain", word="good")
        jobs.defer("tests.chain", word="bad")
    work_off(fresh_app)
    assert ran == [{"word": "good"}]


def test_delayed_job_waits(fresh_app: Flask) -> None:
    with one_commit():
        jobs.defer("tests.note", delay=timedelta(hours=1), word="later")
    work_off(fresh_app)
    assert ran == []


def test_failed_job_waits_before_it_is_tried_again_and_changes_nothing(fresh_app: Flask) -> None:
    broken.add("bad")
    defer(word="bad")
    work_off(fresh_app)
    query = "SELECT status::text, attempts, scheduled_at - now() FROM procrastinate_jobs WHERE task_name = 'tests.note'"
    [(status, attempts, wait)] = rows(query)
    assert (status, attempts) == ("todo", 1)
    assert timedelta(seconds=jobs.RETRY_SECONDS[0] - 3) < wait <= timedelta(seconds=jobs.RETRY_SECONDS[0])
    assert rows("SELECT 1 FROM audit_events WHERE event = 'job.retried'") == []


def test_job_succeeds_at_a_later_attempt(fresh_app: Flask) -> None:
    broken.add("bad")
    defer(word="bad")
    work_off(fresh_app)
    broken.clear()
    rows("UPDATE procrastinate_jobs SET scheduled_at = now() RETURNING id")
    work_off(fresh_app)
    assert ran == [{"word": "bad"}, {"word": "bad"}]
    assert rows("SELECT 1 FROM procrastinate_jobs WHERE task_name = 'tests.note'") == []


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 5), (1, 30), (2, 120), (4, 900), (5, 3600), (76, 3600)])
def test_waits_grow_and_end(attempts: int, seconds: int) -> None:
    decision = jobs.Backoff().get_retry_decision(exception=RuntimeError(), job=_job(attempts))
    assert decision is not None
    assert decision.retry_at is not None
    wait = decision.retry_at - datetime.now(UTC)
    assert timedelta(seconds=seconds - 2) < wait <= timedelta(seconds=seconds)


def test_job_is_given_up_after_the_last_attempt() -> None:
    job = _job(len(jobs.RETRY_SECONDS))
    assert jobs.Backoff().get_retry_decision(exception=RuntimeError(), job=job) is None


def test_attempts_last_three_days() -> None:
    assert timedelta(seconds=sum(jobs.RETRY_SECONDS)) > timedelta(days=3)


def test_dead_job_is_listed_and_retried_by_command(fresh_app: Flask) -> None:
    broken.add("bad")
    defer(word="bad")
    rows("UPDATE procrastinate_jobs SET attempts = :last RETURNING id", last=len(jobs.RETRY_SECONDS))
    work_off(fresh_app)
    runner = fresh_app.test_cli_runner()
    listed = runner.invoke(args=["jobs", "failed"]).output
    [(job_id, _)] = rows("SELECT id, task_name FROM procrastinate_jobs WHERE status = 'failed'")
    assert f"{job_id}  tests.note" in listed
    broken.clear()
    assert runner.invoke(args=["jobs", "retry", str(job_id)]).output == "1 jobs put back into the queue.\n"
    work_off(fresh_app)
    assert ran == [{"word": "bad"}, {"word": "bad"}]
    [(by,)] = rows("SELECT by FROM audit_events WHERE fields ->> 'job_id' = :id", id=str(job_id))
    assert by.startswith("operator:")


def test_all_dead_jobs_are_retried_at_once(fresh_app: Flask) -> None:
    defer(word="one")
    defer(word="two")
    rows("UPDATE procrastinate_jobs SET status = 'failed' RETURNING id")
    runner = fresh_app.test_cli_runner()
    assert runner.invoke(args=["jobs", "retry", "--all"]).output == "2 jobs put back into the queue.\n"
    work_off(fresh_app)
    assert sorted(arguments["word"] for arguments in ran) == ["one", "two"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["7"], "There is no failed job 7"),
        ([], "Name one job, or write --all"),
        (["7", "--all"], "Name one job, or write --all"),
    ],
)
def test_retry_of_nothing_is_refused_with_a_sentence(fresh_app: Flask, arguments: list[str], sentence: str) -> None:
    result = fresh_app.test_cli_runner().invoke(args=["jobs", "retry", *arguments])
    assert result.exit_code > 0
    assert sentence in result.stderr


def test_job_of_a_dead_worker_is_taken_over(fresh_app: Flask) -> None:
    defer(word="orphan")
    silent = timedelta(seconds=jobs.DEAD_AFTER_SECONDS + 1)
    [(worker,)] = rows(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - :silent) RETURNING id", silent=silent
    )
    rows("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :worker RETURNING id", worker=worker)
    assert take_over() == 1
    work_off(fresh_app)
    assert ran == [{"word": "orphan"}]


def test_job_of_a_living_worker_is_left_to_it(fresh_app: Flask) -> None:
    defer(word="busy")
    [(worker,)] = rows("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()) RETURNING id")
    rows("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :worker RETURNING id", worker=worker)
    assert take_over() == 0


def take_over() -> int:
    with one_commit():
        return jobs.take_over_stalled()


def test_sealing_is_a_job_that_leaves_nothing_unsealed(fresh_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SEAL_BATCH", 2)
    with one_commit():
        for _ in range(5):
            audit.record("key.made", by="system", kid="x")
        jobs.defer("audit.seal")
    work_off(fresh_app)
    assert db.session.query(AuditSeal).count() == 5
    assert audit.verify_events().faults == []


def _job(attempts: int) -> Job:
    return Job(
        id=1, queue="default", lock=None, queueing_lock=None, task_name="tests.note", attempts=attempts
    )  # fmt: skip


@pytest.mark.parametrize(("name", "seconds"), [("jobs.take_over", 20), ("audit.seal", 10)])
def test_periodic_job_runs_every_few_seconds(name: str, seconds: int) -> None:
    periodic = {task.task.name: task.cron for task in jobs.queue.periodic_registry.periodic_tasks.values()}
    times = croniter(periodic[name], 0)
    assert [times.get_next(float) for _ in range(3)] == [seconds, 2 * seconds, 3 * seconds]
