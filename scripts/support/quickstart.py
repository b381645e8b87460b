#!/usr/bin/env python3
"""Runs collector, aggregator and notifier together; scripts/quickstart builds them and calls this."""
import argparse
import datetime
import getpass
import os
import pathlib
import re
import sys
import time
import zoneinfo

import falsify
from database import Database
from processes import (SIGNALS, Failure, Fleet, Interrupted, Simulator, ensure_root, exit_code,
                       fresh_folder, say, wait_until)
from setup import SITE, Setup, read_secret
from story import LINE_RATE, POLL, QUOTA, ZONE, Story, prove, scenario

# The first day's part of the story has to fit between the start of the programs and the day's end.
FIRST_DAY_S = 30
# A story may take so long, from built programs to its end.
STORY_LIMIT_S = 90


def parse(arguments=None):
    parser = argparse.ArgumentParser(prog="quickstart", description=__doc__)
    parser.add_argument("--bin", default="build/release/bin", help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dir", default="build/quickstart", help="what an earlier run left goes")
    parser.add_argument("--once", action="store_true", help="a story with its proof")
    parser.add_argument("--mysql", action="store_true", help="a private MariaDB, not SQLite")
    parser.add_argument("--kill", choices=["collector", "aggregator", "notifier", "database"],
                        help="with --once: killed midway and started again")
    parser.add_argument("--router", help="host, or host:port, of a real router")
    parser.add_argument("--user", help="the account on it, with the policies read and api")
    parser.add_argument("--password-file", help="its password; asked for otherwise")
    parser.add_argument("--transport", choices=["api-ssl", "api"], default="api-ssl")
    parser.add_argument("--pin-sha256", help="fingerprint of the router's certificate")
    parser.add_argument("--ca", help="authority that signed the router's certificate")
    parser.add_argument("--line-rate", help="more than this cannot have passed; 10Gbps by default")
    parser.add_argument("--time-zone", help="in which days are local; this machine's by default")
    options = parser.parse_args(arguments)
    if options.kill == "database":
        options.mysql = True
    try:
        check(options)
    except Failure as failure:
        parser.error(str(failure))
    return options


def check(options):
    """Everything that can be said of the options without building; Failure says what to do."""
    falsify.check_name(os.environ.get("NS_MUTATE"))
    if options.kill and not options.once:
        raise Failure("--kill goes with --once")
    if options.time_zone is not None:
        if options.once:
            raise Failure("--time-zone does not go with --once, whose day ends midway")
        if options.time_zone not in zoneinfo.available_timezones():
            raise Failure(f"--time-zone {options.time_zone} is not a zone such as Asia/Karachi")
    if options.router is None:
        given = [f"--{name.replace('_', '-')}" for name in
                 ("user", "password_file", "pin_sha256", "ca", "line_rate")
                 if getattr(options, name) is not None]
        if given:
            raise Failure(f"{given[0]} goes with --router")
    else:
        check_router(options)


def check_router(options):
    if options.once:
        raise Failure("--once plays on simulated routers: leave out --router")
    if not options.router or not options.user:
        raise Failure("--router HOST needs --user NAME, the account on the router")
    if options.password_file is not None:
        read_secret(options.password_file)
    if options.line_rate is not None and not re.fullmatch(r"\d+(\.\d+)?[kMGT]?bps",
                                                          options.line_rate):
        raise Failure(f"--line-rate {options.line_rate} is not a rate such as 500Mbps or 10Gbps")
    trusts = [trust for trust in (options.pin_sha256, options.ca) if trust is not None]
    if options.transport == "api":
        if trusts:
            raise Failure("--pin-sha256 and --ca go with --transport api-ssl")
        return
    if len(trusts) != 1:
        raise Failure("api-ssl needs --pin-sha256 or --ca, one of them, so that the password "
                      "reaches the right router; --transport api sends it in clear")
    if options.pin_sha256 is not None and not re.fullmatch(r"([0-9A-Fa-f]{2}:?){32}",
                                                           options.pin_sha256):
        raise Failure("--pin-sha256 takes 64 hexadecimal digits, with or without colons: the "
                      "certificate's SHA-256 fingerprint")
    if options.ca is not None and not pathlib.Path(options.ca).is_file():
        raise Failure(f"--ca {options.ca} is not a file")


def router_password(options, setup):
    if options.password_file is not None:
        return setup.secret("router", read_secret(options.password_file))
    password = getpass.getpass(f"Password of {options.user}@{options.router}: ")
    if not password:
        raise Failure(f"no password was entered for {options.user}@{options.router}")
    return setup.secret("router", password)


def real_router(options, setup):
    router = {"id": "router", "address": options.router, "transport": options.transport,
              "user": options.user, "password_file": router_password(options, setup),
              "queues": ["simple"], "poll_interval": "5s", "line_rate": options.line_rate}
    if options.transport == "api-ssl":
        if options.pin_sha256:
            router["tls"] = f"{{pin_sha256: \"{options.pin_sha256}\"}}"
        else:
            router["tls"] = f"{{ca: {pathlib.Path(options.ca).resolve()}}}"
    return [router]


def simulated_routers(setup, fleet):
    password = setup.secret("router")
    file = setup.write("scenario.yaml", scenario(setup.folder, password.read_text().strip()))
    process = fleet.start("simulator", [
        setup.bin / "netsentinel-simulator", "--scenario", file,
        "--ports-file", setup.folder / "simulator-ports.json",
        "--truth-log", setup.folder / "truth.jsonl", "--seed", "7",
        "--control", f"unix:{setup.folder}/control.sock"])
    ports = fleet.ports(process, setup.folder / "simulator-ports.json")
    by_id = ports["routers"]
    common = {"user": "netsentinel", "password_file": password, "poll_interval": POLL,
              "line_rate": LINE_RATE}
    return [
        {"id": "hq-core", "address": f"127.0.0.1:{by_id['hq-core']['api_ssl']}",
         "transport": "api-ssl", "tls": f"{{ca: {setup.folder}/router.crt}}",
         "queues": ["simple", "tree"], **common},
        {"id": "branch", "address": f"127.0.0.1:{by_id['branch']['api']}", "transport": "api",
         "queues": ["simple"], **common},
    ]


def start_mail(setup, fleet):
    password = setup.secret("smtp")
    process = fleet.start("mail", [
        "/usr/bin/python3", pathlib.Path(__file__).parent / "smtp_catcher.py",
        "--out", setup.folder / "mail", "--port-file", setup.folder / "mail-port",
        "--tls-cert", setup.folder / "mail.crt", "--tls-key", setup.secrets / "mail.key",
        "--user", "alerts", "--password-file", password])
    wait_until("the mail catcher", lambda: process.check() or (setup.folder / "mail-port").exists())
    return int((setup.folder / "mail-port").read_text())


def local_zone(options):
    if options.time_zone:
        return options.time_zone
    file = pathlib.Path("/etc/timezone")
    zone = file.read_text().strip() if file.exists() else "UTC"
    return zone if zone in zoneinfo.available_timezones() else "UTC"


def start_all(options, setup, fleet):
    """Starts everything; (parts by name, instant of the day's end or 0)."""
    setup.certificates()
    parts = {}
    store = f"url: \"sqlite://{setup.folder}/netsentinel.db\""
    if options.mysql:
        database = Database(setup, fleet)
        store = database.start()
        parts["database"] = database.process
    mail_port = start_mail(setup, fleet)
    routers = real_router(options, setup) if options.router else simulated_routers(setup, fleet)
    zone, day_start, boundary_us, limit = local_zone(options), "00:00", 0, "10GiB"
    if options.once:
        boundary = int(time.time()) + FIRST_DAY_S + (4 if options.mysql else 0)
        local = datetime.datetime.fromtimestamp(boundary, zoneinfo.ZoneInfo(ZONE))
        zone, day_start, limit = ZONE, local.strftime("%H:%M:%S"), QUOTA
        boundary_us = boundary * 1_000_000
    elif not options.router:
        limit = QUOTA
    # In this order, so that each finds the one it calls; any other order works as well.
    for name, config in (
            ("notifier", setup.notifier_yaml(mail_port)),
            ("aggregator", setup.aggregator_yaml(routers, store, zone, day_start, limit, "2s")),
            ("collector", setup.collector_yaml(routers, routers[0]["poll_interval"]))):
        ports = setup.folder / f"{name}-ports.json"
        parts[name] = fleet.start(name, [setup.bin / f"netsentinel-{name}", "--config", config,
                                         "--ports-file", ports])
        fleet.ports(parts[name], ports)
    return parts, boundary_us


def describe(setup, options):
    files = setup.tls("operator")
    source = f"the router {options.router}" if options.router else "SIMULATED routers"
    print(f"""
This reads {source}. Everything of this run is in {setup.folder}
  mails            {setup.folder}/mail/
  logs             {setup.folder}/logs/
  configuration    {setup.folder}/*.yaml
Try, in another terminal:
  export NETSENTINEL_AGGREGATOR=dns:///localhost:{setup.ports['aggregator']} \\
         NETSENTINEL_NOTIFIER=dns:///localhost:{setup.ports['notifier']} \\
         NETSENTINEL_CA={files['ca']} NETSENTINEL_CERT={files['cert']} NETSENTINEL_KEY={files['key']}
  {setup.bin}/netsentinelctl ranking
  {setup.bin}/netsentinelctl routers
  {setup.bin}/netsentinelctl report now --render
  grpcurl -cacert {files['ca']} -cert {files['cert']} -key {files['key']} \\
    localhost:{setup.ports['aggregator']} list
  grpcurl -cacert {files['ca']} -cert {files['cert']} -key {files['key']} \\
    -d '{{"limit": 5}}' localhost:{setup.ports['aggregator']} netsentinel.v1.UsageService/GetRanking
""", flush=True)


def run_once(options, setup, fleet):
    begun = time.monotonic()
    parts, boundary_us = start_all(options, setup, fleet)
    story = Story(setup, fleet, Simulator(setup.folder / "control.sock"), parts)
    story.play(options.kill, boundary_us)
    story.ranking()
    prove(story, setup.folder / "truth.jsonl")
    codes = fleet.stop()
    bad = {name: code for name, code in codes.items() if code not in (0, None)}
    bad.pop("mariadb", None)
    if bad:
        raise Failure(f"these did not stop cleanly: {bad}; see {setup.folder}/logs")
    took = time.monotonic() - begun
    killed = f", with the {options.kill} killed midway" if options.kill else ""
    if took > STORY_LIMIT_S:
        raise Failure(f"the story held{killed}, but took {took:.1f} s; {STORY_LIMIT_S} s is the "
                      "limit")
    say(f"the story held{killed}, in {took:.1f} s of at most {STORY_LIMIT_S} s")


def run_live(options, setup, fleet):
    start_all(options, setup, fleet)
    describe(setup, options)
    simulator = None if options.router else Simulator(setup.folder / "control.sock")
    rounds = 0
    reported = False
    while True:
        time.sleep(5)
        fleet.check()
        rounds += 1
        try:
            ranking = setup.ctl("ranking")
            print("\n" + ranking, flush=True)
            if "\n0 subscribers" in ranking:
                print(setup.ctl("routers"), flush=True)  # says what keeps the figures away
            if simulator is not None and rounds == 2:
                say("alice moves 70 MiB: her quota is 64 MiB")
                simulator.do("hq-core", "move", queue="alice", up=1, down=70 << 20)
            if not reported and rounds >= 4:
                page = setup.folder / "report.html"
                setup.ctl("report", "now", "--render", "--site", SITE, "--html", str(page))
                say(f"the ranked report, as it would be sent at 18:15: {page}")
                reported = True
        except Failure as failure:
            say(str(failure))


def run(options):
    """The whole run; its exit code. Whatever happens, what was started is stopped."""
    folder, lock = fresh_folder(options.dir)
    setup = Setup(folder, pathlib.Path(options.bin).resolve())
    fleet = Fleet(folder)
    with lock:
        try:
            try:
                (run_once if options.once else run_live)(options, setup, fleet)
            except Failure as failure:
                raise Failure(f"{failure}\nquickstart: logs are in {folder}/logs") from failure
            finally:
                SIGNALS.ignore()
        finally:
            fleet.stop()
    return 0


def main():
    options = parse()
    ensure_root()
    if options.check:
        return 0
    SIGNALS.install()
    try:
        return run(options)
    except Failure as failure:
        print(f"quickstart: FAILED: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"quickstart: FAILED: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        # To be stopped is how a live run ends; a story that did not reach its end proved nothing.
        say(f"stopped by {interrupted}")
        return exit_code(interrupted) if options.once else 0


if __name__ == "__main__":
    sys.exit(main())
