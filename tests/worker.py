"""Work off the queue inside a test."""

from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from unternehmenskonto import jobs


def work_off(app: Flask) -> None:
    """Run the job worker until nothing is left to do now.

    In a thread of its own: a browser driven by the same test run keeps an event loop running in the main one.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(jobs.run_worker, app, until_empty=True).result()
