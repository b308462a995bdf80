# /// script
# requires-python = ">=3.11"
# dependencies = ["apscheduler>=3.11,<4", "httpx>=0.27,<1"]
# ///
"""Copies a stored tree each night and runs the copy, on a server of apflow.

uv run nightly.py nightly --url http://localhost:8000 --at "0 2-5 * * *"
"""

import argparse
import os
from datetime import UTC, datetime

import httpx
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger


def copy_and_run(url: str, tree_id: str) -> str:
    """Id of tonight's copy, which is made once, however often this is called."""
    tonight = datetime.now(UTC).date().isoformat()
    params = {"task_id": tree_id, "children": True, "execute": True, "idempotency_key": f"{tree_id} {tonight}"}
    token = os.environ.get("APFLOW_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.post(f"{url}/tasks", json={"method": "tasks.copy", "params": params}, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()["result"]["tree"]["id"]


def schedule(scheduler: BaseScheduler, trigger: BaseTrigger, url: str, tree_id: str) -> None:
    """Let a scheduler copy and run a tree whenever a trigger fires; what it missed it makes up for once, within an hour."""
    scheduler.add_job(copy_and_run, trigger, args=[url, tree_id], coalesce=True, misfire_grace_time=3600)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Copy a stored tree each night and run the copy.")
    parser.add_argument("tree_id")
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--at", default="0 2-5 * * *", help="as in a crontab, in UTC")
    asked = parser.parse_args()
    scheduler = BlockingScheduler(timezone=UTC)
    schedule(scheduler, CronTrigger.from_crontab(asked.at, timezone=UTC), asked.url, asked.tree_id)
    scheduler.start()
