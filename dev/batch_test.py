"""Batch jobs whose workers are killed: every row once, nothing lost, a second run does only the rest.

python dev/batch_test.py [--rows 2000] [--real 200] [--ray PYTHON|build]

The scripted model writes 2,000 rows with two workers, of which one is killed; then the job itself is killed and begun
again. The same with 200 rows on the demonstration's model, whose pace is compared with a plain loop. With `--ray`, the
Python of an environment with Ray Data runs 200 rows with an actor that dies once.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PATTERN = r"(?:yes|no), [a-z ]{3,12}\."
BAD = 13  # the row with a pattern that does not compile


def write_rows(folder: Path, count: int) -> Path:
    source = folder / "in.jsonl"
    rows = [
        {"id": i, "prompt": f"Question {i}: is {i} even? Answer: ", "pattern": "(a" if i == BAD else PATTERN}
        for i in range(count)
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return source


def command(source: Path, target: Path, model: str, workers: int) -> list[str]:
    code = "import sys; from rellm._cli import main; sys.exit(main())"
    if model == "scripted":
        code = (
            "import sys; import rellm._cli.batch as b; from pathlib import Path; sys.path.insert(0, sys.argv.pop(1)); "
            "import batch_test as t; b.complete_rows = t.scripted; b.find_model = lambda *a: Path('.'); "
            "from rellm._cli import main; sys.exit(main())"
        )
    made = [sys.executable, "-c", code]
    made += [str(Path(__file__).parent)] if model == "scripted" else []
    made += ["batch", str(source), str(target), "--model", model, "--regex-column", "pattern", "--max-new-tokens", "24"]
    return [*made, "--workers", str(workers), "--batch-size", "8"]


def scripted(model: str, constraint: Any, settings: dict[str, Any], seed: int | None = None) -> Any:
    """In place of `rellm._cli.batch.complete_rows`: the same rows without a real model."""
    from rellm import testing
    from rellm.batches import CompleteRows

    return CompleteRows(testing.scripted_generator("yes, it is so."), constraint=constraint, **settings)


def lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass  # of a line that is being written
    return found


def children(process: int) -> list[int]:
    """The worker processes of a job."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = re.search(r"^PPid:\s+(\d+)", status.read_text(), re.M)
            line = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent and int(parent[1]) == process and b"spawn_main" in line:
            found.append(int(status.parent.name))
    return found


def wait_for(target: Path, count: int, process: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None and len(lines(target)) < count:
        time.sleep(0.2)


def killed_and_resumed(folder: Path, count: int, model: str, seconds: float) -> None:
    source, target = write_rows(folder, count), folder / "out.jsonl"
    begun = time.monotonic()
    process = subprocess.Popen(command(source, target, model, 2))
    wait_for(target, count // 4, process, seconds)
    victim = children(process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(target, count // 2, process, seconds)
    process.kill()
    process.wait()
    before = len(lines(target))
    print(f"{model}: a worker killed after a quarter, the job killed with {before} of {count} rows", flush=True)
    resumed = subprocess.run(command(source, target, model, 2), capture_output=True, text=True, check=False)
    seconds_taken = time.monotonic() - begun
    told = re.search(r"(\d+) were done before", " ".join(resumed.stderr.split()))
    done = lines(target)
    matched = sum(row["text"] is not None and re.fullmatch(PATTERN, row["text"]) is not None for row in done)
    errors = [row["row"] for row in done if row["error"]]
    print(
        f"{model}: {len(done)} rows, {len({row['row'] for row in done})} distinct, {matched} match, error in {errors}, "
        f"{told[1] if told else '?'} done before; {count / seconds_taken:.2f} rows a second with the killing",
        flush=True,
    )
    assert [row["row"] for row in done] == list(range(count)), resumed.stderr[-2000:]
    assert matched == count - 1
    assert errors == [BAD]
    assert told is not None
    assert int(told[1]) >= before - 1  # a line may have been half written
    assert resumed.returncode == 1  # one row has an error


def pace(folder: Path, count: int) -> None:
    """Rows a second of `rellm batch` with one worker, beside a loop over the same prompts."""
    source, target = write_rows(folder, count), folder / "pace.jsonl"
    begun = time.process_time(), time.monotonic()
    done = subprocess.run(command(source, target, "smollm2", 1), capture_output=True, text=True, check=False)
    told = re.search(r"([\d.]+) rows a second", " ".join(done.stderr.split()))
    from rellm._cli.model import load_generator
    from rellm._cli.terminal import Terminal

    generator = load_generator("smollm2", Terminal(color="never"))
    begun = time.process_time(), time.monotonic()
    for row in lines(source):
        if row["id"] != BAD:
            generator(row["prompt"], row["pattern"], max_new_tokens=24)
    loop = count / (time.monotonic() - begun[1])
    print(f"smollm2: {told[1] if told else '?'} rows a second in batches of 8, {loop:.2f} in a plain loop", flush=True)


RAY = """
import os, sys
os.environ.update(RAY_ENABLE_UV_RUN_RUNTIME_ENV="0", RAY_raylet_start_wait_time_s="300")
import ray
from rellm.integrations.ray import CompleteBatches, remaining
from rellm import testing
source, target, mark = sys.argv[1:4]

class Dying(CompleteBatches):
    def __call__(self, batch):
        if not os.path.exists(mark) and 60 in list(batch["id"]):
            open(mark, "w").close()
            os._exit(9)
        return super().__call__(batch)

def generator():
    return testing.scripted_generator("yes, it is so.")

def main():
    ray.init(num_cpus=2, include_dashboard=False, logging_level="warning", object_store_memory=300 * 2**20)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.read_json(source, override_num_blocks=8)
    rows = remaining(rows, target, "id")
    done = rows.map_batches(
        Dying,
        fn_constructor_kwargs={"model": generator, "constraint_column": "pattern", "max_new_tokens": 24},
        compute=ray.data.ActorPoolStrategy(size=2), batch_size=8, num_cpus=1,
    )
    done.write_parquet(target)

if __name__ == "__main__":
    main()
"""


def ray_environment() -> str:
    """The Python of an environment with Ray Data, made the first time."""
    root = Path(__file__).resolve().parent.parent
    folder = root / "build" / "ray"
    python = str(folder / "bin" / "python")
    if not (folder / "made").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--clear", "-p", sys.executable, str(folder)], check=True)
        install = [*uv, "pip", "install", "--python", python]
        subprocess.run([*install, "ray[data]==2.60.*", "torch==2.15.*", "transformers==5.23.*", "regex"], check=True)
        subprocess.run([*install, "--no-deps", str(root)], check=True)
        (folder / "made").touch()
    return python


def on_ray(folder: Path, count: int, python: str) -> None:
    source, target, mark = write_rows(folder, count), folder / "ray-out", folder / "died"
    script = folder / "on_ray.py"
    script.write_text(RAY)
    code = (
        "import sys, json, pyarrow.dataset as d; "
        "t = d.dataset(sys.argv[1], format='parquet', exclude_invalid_files=True).to_table().to_pylist(); "
        "print(json.dumps([[r['id'], r['text'], r['error']] for r in t]))"
    )
    for attempt in range(2):  # Ray gives up on its own processes where they start slowly
        done = subprocess.run(
            [python, str(script), str(source), str(target), str(mark)], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            break
        print(f"ray: attempt {attempt + 1} failed: {done.stderr.strip().splitlines()[-1:]}", flush=True)
    else:
        sys.exit("ray: it did not start, twice: nothing is known of the rows")
    read = subprocess.run([python, "-c", code, str(target)], capture_output=True, text=True, check=True)
    rows = json.loads(read.stdout)
    matched = sum(text is not None and re.fullmatch(PATTERN, text) is not None for _, text, _ in rows)
    errors = [number for number, _, error in rows if error]
    print(
        f"ray: {len(rows)} rows, {len({r[0] for r in rows})} distinct, {matched} match, errors in {errors}", flush=True
    )
    assert mark.exists(), "the actor has died once"
    assert sorted(r[0] for r in rows) == list(range(count))
    assert matched == count - 1
    again = subprocess.run(
        [python, str(script), str(source), str(target), str(mark)], capture_output=True, text=True, check=False
    )
    read = subprocess.run([python, "-c", code, str(target)], capture_output=True, text=True, check=True)
    print(f"ray: a second run leaves {len(json.loads(read.stdout))} rows (exit {again.returncode})", flush=True)
    assert len(json.loads(read.stdout)) == count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--real", type=int, default=200)
    parser.add_argument("--ray", metavar="PYTHON", help='an environment with Ray Data and rellm; "build" makes one')
    arguments = parser.parse_args()
    for count, model in ((arguments.rows, "scripted"), (arguments.real, "smollm2")):
        if count:
            with tempfile.TemporaryDirectory() as folder:
                killed_and_resumed(Path(folder), count, model, 3600)
    if arguments.real:
        with tempfile.TemporaryDirectory() as folder:
            pace(Path(folder), min(arguments.real, 40))
    if arguments.ray:
        python = ray_environment() if arguments.ray == "build" else arguments.ray
        with tempfile.TemporaryDirectory() as folder:
            on_ray(Path(folder), 200, python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
