"""Asks Prometheus, VictoriaMetrics and RRDtool themselves what peers.py says of them.

Every function takes a list of series, each a list of (seconds, counter, session), and a window, and
gives one figure a series. The programs run here with their own data folders, on loopback, on ports
that the kernel chose, and end before the function returns.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

PROGRAMS = {"Prometheus": ("prometheus", "promtool"), "VictoriaMetrics": ("victoria-metrics",),
            "RRDtool": ("rrdtool",)}
START_SECONDS = 60


def missing():
    """Programs that are not installed here."""
    wanted = [program for programs in PROGRAMS.values() for program in programs]
    return [program for program in wanted if shutil.which(program) is None]


def versions():
    """As Debian names them: VictoriaMetrics' own --version is empty there."""
    packages = ("prometheus", "victoria-metrics", "rrdtool")
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", *packages],
                          capture_output=True, text=True, check=True)
    return said.stdout.removesuffix(", ")


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def _server(command, port, path, log):
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not answer: see {log}") from None
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _increases(port, count, begin, end):
    """increase() of every series c{n="…"} over the window, as the server's own API answers it."""
    question = urllib.parse.urlencode({"query": f"increase(c[{end - begin}s])", "time": end})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{question}",
                                timeout=60) as answer:
        found = json.load(answer)["data"]["result"]
    figures = {int(row["metric"]["n"]): float(row["value"][1]) for row in found}
    return [figures.get(n, 0.0) for n in range(count)]


def prometheus(series, begin, end, folder):
    text, data = folder / "series.om", folder / "prometheus"
    with open(text, "w", encoding="utf-8") as out:
        out.write("# TYPE c unknown\n")
        for n, readings in enumerate(series):
            for t, value, _ in readings:
                out.write(f'c{{n="{n}"}} {value} {t}\n')
        out.write("# EOF\n")
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text, data],
                   check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("scrape_configs: []\n", encoding="utf-8")
    port = _free_port()
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}",
               f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=50y",
               f"--web.listen-address=127.0.0.1:{port}"]
    with _server(command, port, "/-/ready", folder / "prometheus.log"):
        return _increases(port, len(series), begin, end)


def victoria_metrics(series, begin, end, folder):
    port = _free_port()
    command = ["victoria-metrics", f"-storageDataPath={folder / 'victoria'}",
               "-retentionPeriod=50y", f"-httpListenAddr=127.0.0.1:{port}",
               "-search.latencyOffset=0s"]
    with _server(command, port, "/health", folder / "victoria.log"):
        lines = [json.dumps({"metric": {"__name__": "c", "n": str(n)},
                             "values": [value for _, value, _ in readings],
                             "timestamps": [t * 1000 for t, _, _ in readings]})
                 for n, readings in enumerate(series)]
        address = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(f"{address}/api/v1/import", data="\n".join(lines).encode(),
                               timeout=60).close()
        urllib.request.urlopen(f"{address}/internal/force_flush", timeout=60).close()
        return _increases(port, len(series), begin, end)


def rrdtool(series, begin, end, folder, most=125_000_000, heartbeat=120, step=10):
    """Slots of ten seconds, so that the edges of the window are edges of slots."""
    found = []
    for n, readings in enumerate(series):
        file = folder / f"{n}.rrd"
        first = min(readings[0][0], begin) - step
        rows = (max(readings[-1][0], end) - first) // step + 2
        subprocess.run(["rrdtool", "create", file, "--start", str(first), "--step", str(step),
                        f"DS:c:COUNTER:{heartbeat}:0:{most}", f"RRA:AVERAGE:0.999:1:{rows}"],
                       check=True)
        told = [f"{t}:{value}" for t, value, _ in readings]
        for at in range(0, len(told), 500):
            subprocess.run(["rrdtool", "update", file, *told[at:at + 500]], check=True)
        said = subprocess.run(["rrdtool", "fetch", file, "AVERAGE", "-r", str(step), "-s", str(begin),
                               "-e", str(end - step)], check=True, capture_output=True, text=True)
        total = 0.0
        for line in said.stdout.splitlines():
            at, _, rate = line.partition(": ")
            if rate and "nan" not in rate and begin < int(at) <= end:
                total += float(rate) * step
        found.append(total)
    return found


REAL_PEERS = (("Prometheus", prometheus), ("VictoriaMetrics", victoria_metrics),
              ("RRDtool", rrdtool))
