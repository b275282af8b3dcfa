"""A job that makes records, or fails where its plan says so, and logs like the real ones."""

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

from saeflow import logs, paths
from saeflow.files import write_json


def main(plan, receipt, log):
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log,
        level="INFO",
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    content = json.loads(paths.plan_file(plan).read_text())
    logs.report_to(Path(paths.PROGRESS) / f"{plan}.json")
    failed = {}
    with logs.Progress(4000, desc="training", unit="tokens") as bar:
        for _ in range(4):
            time.sleep(content["takes_s"] / 4)
            bar.update(1000)
    for result in content["results"]:
        if result["record"] in content.get("left_out", {}):
            continue
        if why := result.get("fails"):
            failed[result["record"]] = why
            logging.error("%s: %s", result["record"], why)
            continue
        write_json(Path(result["record"]), {"identity": result["identity"]})
        logs.count_result()
    for text in content.get("warns", []):
        logging.warning(text)
    if content.get("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    usage = logs.usage()
    logs.close_report()
    if failed:
        logging.info("%d results failed", len(failed))
        if not logs.followed():
            sys.stderr.write("the job's own words about its failure\n")
    left_out = content.get("left_out", {})
    facts = {"results": content["results"], "failed": failed, "left_out": left_out}
    write_json(Path(receipt), {**facts, "usage": usage})


if __name__ == "__main__":
    main(*sys.argv[1:])
