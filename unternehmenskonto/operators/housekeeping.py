"""What an installation does by itself, and what operators do to its jobs."""

from unternehmenskonto import audit, jobs

#: So many batches of audit.SEAL_BATCH are sealed in one run; the next run takes the rest.
MAXIMUM_BATCHES = 50


@jobs.job("audit.seal", cron="* * * * * */10")
def seal_audit_events() -> None:
    """Append the events that are not yet in the chain, in batches, until none is left."""
    for _ in range(MAXIMUM_BATCHES):
        if audit.seal_events() < audit.SEAL_BATCH:
            return


def retry_failed(*, job_id: int | None, by: str) -> int:
    """Put the failed job, or all if none is named, back into the queue; return how many. Audited."""
    failed = [job for job in jobs.failed_jobs() if job_id in (None, job["id"])]
    retried = 0
    for job in failed:
        if jobs.retry(job["id"]):
            audit.record("job.retried", by=by, job_id=job["id"], task=job["task"])
            retried += 1
    return retried
