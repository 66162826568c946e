"""Background jobs on PostgreSQL: deferred inside the caller's transaction, retried, never lost silently.

A job is a plain function with keyword arguments. It runs in the worker process inside the application
context with one commit; it must bear running twice, because a killed worker's job is taken over.
"""

import asyncio
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import procrastinate
import structlog
from flask import Flask
from procrastinate import JobContext, RetryDecision
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from sqlalchemy.engine import make_url

from unternehmenskonto.db import db, now, one_commit

log = structlog.get_logger()

#: Waits between attempts: soon at first, then up to an hour apart, for three days in all.
RETRY_SECONDS = (5, 30, 120, 300, 900, *([3600] * 72))
HEARTBEAT_SECONDS = 5
#: A worker that has not shown a sign of life for so long is dead; its jobs are taken over.
DEAD_AFTER_SECONDS = 20
#: Jobs that call services wait for servers of others; their own places keep them from holding all the rest up.
CALLS = "calls"
#: Queue -> how many of its jobs run at a time in one worker process.
PLACES = {"default": 4, CALLS: 2}

_connector = procrastinate.SyncPsycopgConnector()
queue = procrastinate.App(connector=_connector)
#: Enqueues on the caller's connection; inside the worker the queue itself speaks through an asynchronous one.
_manager = JobManager(_connector)
_registered: dict[str, Any] = {}

Function = Callable[..., None]


class Backoff(procrastinate.BaseRetryStrategy):
    """Try again after each of RETRY_SECONDS, then leave the job as failed, visible and retryable."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when to try again; None when the job has failed for good."""
        if job.attempts >= len(RETRY_SECONDS):
            return None
        return RetryDecision(retry_in={"seconds": RETRY_SECONDS[job.attempts]})


def job(name: str, *, cron: str | None = None, places: str = "default") -> Callable[[Function], Function]:
    """Register the function as a job; with cron it runs by itself at those times (UTC), in one of the PLACES.

    A sixth field of the expression is the second.
    """

    def register(function: Function) -> Function:
        def run(context: JobContext, /, **arguments: Any) -> None:
            app: Flask = context.additional_context["flask"]
            arguments.pop("timestamp", None)
            structlog.contextvars.bind_contextvars(request_id=f"JOB-{context.job.id}")
            try:
                with app.app_context(), one_commit():
                    function(**arguments)
            except Exception as error:
                log.warning("job failed", task=name, attempt=context.job.attempts + 1, kind=type(error).__name__)
                raise

        task: Any = queue.task(name=name, queue=places, pass_context=True, retry=Backoff())(run)
        if cron:
            queue.periodic(cron=cron)(task)
        _registered[name] = task
        return function

    return register


def defer(name: str, *, delay: timedelta | None = None, **arguments: Any) -> None:
    """Enqueue the job in the caller's transaction: it exists if and only if the caller commits."""
    task = _registered[name]
    connection = db.session.connection().connection.driver_connection
    schedule_at = None if delay is None else now() + delay
    deferrer = task.configure(connection=connection, schedule_at=schedule_at)
    deferrer.job_manager = _manager
    deferrer.defer(**arguments)


def run_worker(app: Flask, *, until_empty: bool = False) -> None:
    """Work the queue until SIGTERM (or, in tests, until nothing is left to do)."""
    asyncio.run(_work(app, until_empty))


async def _work(app: Flask, until_empty: bool) -> None:
    conninfo = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql")
    connector = procrastinate.PsycopgConnector(conninfo=conninfo.render_as_string(hide_password=False))
    with queue.replace_connector(connector) as worker_queue:
        async with worker_queue.open_async():
            await _fill_places(worker_queue, app, until_empty)
            while until_empty and (await connector.execute_query_one_async(_DUE))["due"]:
                await _fill_places(worker_queue, app, until_empty)


async def _fill_places(worker_queue: procrastinate.App, app: Flask, until_empty: bool) -> None:
    """Work every queue at once, each in its places; when one of them ends, so do the others."""
    workers = [
        asyncio.create_task(
            worker_queue.run_worker_async(
                queues=[name],
                concurrency=places,
                wait=not until_empty,
                fetch_job_polling_interval=1.0,
                shutdown_graceful_timeout=30,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=DEAD_AFTER_SECONDS,
                delete_jobs="successful",
                install_signal_handlers=False,
                additional_context={"flask": app},
            )
        )
        for name, places in PLACES.items()
    ]
    if until_empty:
        await asyncio.gather(*workers)
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, workers[0].cancel)
    await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.cancel()
    for outcome in await asyncio.gather(*workers, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def failed_jobs() -> list[dict[str, Any]]:
    """Return the jobs that were given up, newest first: id, task, arguments, attempts."""
    rows = db.session.execute(_FAILED)
    return [dict(row._mapping) for row in rows]


def retry(job_id: int) -> bool:
    """Put a failed job back into the queue; False if there is no failed job of this number."""
    return db.session.execute(_RETRY, {"id": job_id}).first() is not None


def take_over_stalled() -> int:
    """Put the jobs of dead workers back into the queue and return how many."""
    rows = db.session.execute(_STALLED, {"seconds": DEAD_AFTER_SECONDS}).all()
    return len(rows)


_DUE = (
    "SELECT EXISTS (SELECT FROM procrastinate_jobs"
    " WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())) AS due"
)
_FAILED = db.text(
    "SELECT id, task_name AS task, args, attempts FROM procrastinate_jobs WHERE status = 'failed'"
    " ORDER BY id DESC LIMIT 200"
)
_RETRY = db.text(
    "UPDATE procrastinate_jobs SET status = 'todo', attempts = 0, scheduled_at = NULL, worker_id = NULL"
    " WHERE id = :id AND status = 'failed' RETURNING id"
)
_STALLED = db.text(
    "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, abort_requested = false WHERE id IN ("
    " SELECT job.id FROM procrastinate_jobs job LEFT JOIN procrastinate_workers worker ON worker.id = job.worker_id"
    " WHERE job.status = 'doing' AND (worker.id IS NULL"
    "  OR worker.last_heartbeat < now() - make_interval(secs => :seconds)) FOR UPDATE OF job SKIP LOCKED"
    ") RETURNING id"
)


@job("jobs.take_over", cron="* * * * * */20")
def take_over() -> None:
    """Take over the jobs of workers that died."""
    count = take_over_stalled()
    if count:
        log.warning("took over jobs of a dead worker", count=count)
