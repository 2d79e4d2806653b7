"""``python -m bench.wrk``: the rate of all receivers, by another load generator.

It checks the figures of ``bench.load``, which is ours. Each connection sends requests of its own from a file.
"""

import re
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from bench import payload
from bench.accept import CONNECTIONS, OURS, PEERS, TUTORIALS, layouts, serving
from bench.machine import BenchError, bound_to, say
from bench.report import median

ROUNDS, SECONDS, REQUESTS = 3, 4, 40_000
#: One thread has all requests, in turn: each is sent once, as long as there are enough.
SCRIPT = """
local requests, number = {}, 0
for request in io.open('%s', 'rb'):read('*a'):gmatch('(.-)%%z') do requests[#requests + 1] = request end
request = function()
  number = number %% #requests + 1
  return requests[number]
end
"""


def measure(port: int, folder: Path) -> float:
    """Deliveries per second; an answer that is not 2xx is an error."""
    host = f"127.0.0.1:{port}"
    file, script = folder / "requests", folder / "script.lua"
    file.write_bytes(b"".join(payload.request("wrk", number, host) + b"\0" for number in range(REQUESTS)))
    script.write_text(SCRIPT % file)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), f"http://{host}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise BenchError("wrk is not installed. On Debian and Ubuntu: apt install wrk") from None
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None or "Non-2xx" in said:
        raise BenchError(f"wrk: {said}")
    return float(found[1])


def main() -> None:
    runs: dict[str, list[float]] = defaultdict(list)
    layout = layouts()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for _ in range(ROUNDS):
            for side in (OURS, *TUTORIALS, *PEERS):
                with serving(side, layout) as (_process, _server, port), bound_to(layout.others):
                    runs[side.name].append(measure(port, Path(folder)))
                say(f"  {side.name}: {runs[side.name][-1]:,.0f}/s")
    for name, rates in runs.items():
        print(f"{name}: {median(rates):,.0f}/s ({median(runs[OURS.name]) / median(rates):.2f})")


if __name__ == "__main__":
    main()
