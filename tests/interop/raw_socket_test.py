"""The simulator seen through a bare socket.

Written from the description of the RouterOS API alone: it shares no code with the programs under
test, so a mistake that reader and writer have in common shows here.
"""

import hashlib
import os
import select
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from raw_client import BadPrefix, Client, EndOfStream, attributes, counters, rows  # noqa: E402
from simulator_process import SimulatorProcess  # noqa: E402

USER = {"name": "ns", "password": "s3cret"}


def truth_counters(snapshot):
    return {bytes.fromhex(name): (up, down) for _, name, up, down, _, _ in snapshot["rows"]}


def scenario(**router):
    base = {"id": "r1", "users": [USER], "uptime_s": 93784, "queues": [
        {"name": "alice", "target": "10.0.0.1/32"},
        {"name_hex": "cef1f2e0ede0", "comment": "a=b", "target": "10.0.0.2/32"},
        {"name": "room 12/<left>=x", "target": "10.0.0.3/32", "disabled": True},
        {"pppoe_user": "ali"},
        {"menu": "tree", "name": "all", "parent": "global"},
        {"menu": "tree", "name": "down", "parent": "all"}]}
    base.update(router)
    return {"routers": [base]}


class SimulatorTest(unittest.TestCase):
    def start(self, spec, **options):
        simulator = SimulatorProcess(spec, **options)
        simulator.__enter__()
        self.addCleanup(simulator.__exit__)
        return simulator

    def connect(self, simulator, login=True, router="r1", **options):
        client = Client(simulator.ports["routers"][router]["api"], **options)
        self.addCleanup(client.close)
        if login:
            self.assertEqual(client.login(), [[b"!done"]])
        return client

    def assert_ends(self, client):
        with self.assertRaises((EndOfStream, ConnectionResetError)):
            client.sentence()


class LoginTest(SimulatorTest):
    def test_plain_login_succeeds_and_wrong_password_traps_with_six(self):
        simulator = self.start(scenario(mode="v6"))
        client = self.connect(simulator, login=False)
        wrong = client.login(password="bad")
        self.assertEqual(wrong, [[b"!trap", b"=message=invalid user name or password (6)"],
                                 [b"!done"]])
        self.assertEqual(client.login(), [[b"!done"]])

    def test_legacy_login_answers_the_challenge_with_md5(self):
        simulator = self.start(scenario(mode="pre643"))
        client = self.connect(simulator, login=False)
        challenge = attributes(client.ask("/login")[0])["ret"]
        self.assertEqual(len(challenge), 32)
        digest = hashlib.md5(b"\0" + b"s3cret" + bytes.fromhex(challenge.decode()),
                             usedforsecurity=False).hexdigest()
        self.assertEqual(client.ask("/login", "=name=ns", "=response=00" + digest), [[b"!done"]])
        other = self.connect(simulator, login=False)
        other.ask("/login")
        self.assertEqual(other.ask("/login", "=name=ns", "=response=00" + digest),
                         [[b"!trap", b"=message=cannot log in"], [b"!done"]])

    def test_new_versions_give_a_challenge_and_refuse_the_answer(self):
        simulator = self.start(scenario())
        client = self.connect(simulator, login=False)
        challenge = attributes(client.ask("/login")[0])["ret"]
        digest = hashlib.md5(b"\0s3cret" + bytes.fromhex(challenge.decode()),
                             usedforsecurity=False).hexdigest()
        answer = client.ask("/login", "=name=ns", "=response=00" + digest)
        self.assertEqual(answer[0], [b"!trap", b"=message=invalid user name or password (6)"])

    def test_a_command_before_login_is_fatal(self):
        client = self.connect(self.start(scenario()), login=False)
        self.assertEqual(client.ask("/queue/simple/print")[0][0], b"!fatal")
        self.assert_ends(client)

    def test_quit_says_so_and_closes(self):
        client = self.connect(self.start(scenario()))
        self.assertEqual(client.ask("/quit"), [[b"!fatal", b"session terminated on request"]])
        self.assert_ends(client)

    def test_sessions_above_the_limit_and_denied_addresses_get_nothing(self):
        simulator = self.start(scenario(max_sessions=2))
        first, _ = self.connect(simulator), self.connect(simulator)
        self.assert_ends(self.connect(simulator, login=False))
        first.close()
        deadline = time.monotonic() + 10
        while simulator.send("list")["routers"][0]["connections"] > 1:
            self.assertLess(time.monotonic(), deadline)
        self.connect(simulator)
        simulator.control("r1", "deny", how="close")
        self.assert_ends(self.connect(simulator, login=False))
        simulator.control("r1", "deny", how="hang")
        hung = self.connect(simulator, login=False)
        hung.send("/login", "=name=ns", "=password=s3cret")
        self.assertEqual(select.select([hung.socket], [], [], 0.3)[0], [])


    def test_a_service_serves_the_addresses_in_its_list_only(self):
        for deny in ("close", "hang"):
            simulator = self.start(scenario(api_address=["127.0.0.2/32", "fd00::/8"], deny=deny))
            served = self.connect(simulator, source="127.0.0.2")
            shown = {r["name"]: r for r in rows(served.ask("/ip/service/print"))}
            self.assertEqual(shown[b"api"]["address"], b"127.0.0.2/32,fd00::/8")
            self.assertEqual(shown[b"api-ssl"]["address"], b"")
            other = self.connect(simulator, login=False, source="127.0.0.1")
            if deny == "close":
                self.assert_ends(other)
            else:
                other.send("/login", "=name=ns", "=password=s3cret")
                self.assertEqual(select.select([other.socket], [], [], 0.3)[0], [])

    def test_queues_are_added_set_and_removed_over_the_api(self):
        writer = dict(USER, policies=["read", "write", "api"])
        client = self.connect(self.start(scenario(users=[writer])))
        added = client.ask("/queue/simple/add", "=name=carol", "=max-limit=1M/2M")
        self.assertEqual(added[0][0], b"!done")
        new_id = attributes(added[0])["ret"]
        self.assertEqual(client.ask("/queue/simple/set", b"=.id=" + new_id, "=comment=x=y"),
                         [[b"!done"]])
        found = {r["name"]: r for r in rows(client.ask("/queue/simple/print"))}
        self.assertEqual(found[b"carol"]["comment"], b"x=y")
        self.assertEqual(found[b"carol"]["max-limit"], b"1000000/2000000")
        self.assertEqual(client.ask("/queue/simple/remove", b"=.id=" + new_id), [[b"!done"]])
        again = client.ask("/queue/simple/remove", b"=.id=" + new_id)
        self.assertEqual(attributes(again[0])["message"], b"no such item")


class MenuTest(SimulatorTest):
    def test_queues_equal_the_truth_with_raw_names_and_exact_bytes(self):
        simulator = self.start(scenario())
        client = self.connect(simulator)
        simulator.control("r1", "move", queue="alice", up=123, down=2**53 + 1)
        simulator.control("r1", "move", queue_hex="cef1f2e0ede0", up=1, down=2)
        simulator.control("r1", "move", queue="<pppoe-ali>", down=77)
        reply = client.ask("/queue/simple/print")
        seen = counters(reply)
        self.assertEqual(seen[b"alice"], (123, 2**53 + 1))
        self.assertEqual(seen[b"\xce\xf1\xf2\xe0\xed\xe0"], (1, 2))
        self.assertEqual(seen[b"room 12/<left>=x"], (0, 0))
        by_name = {row["name"]: row for row in rows(reply)}
        self.assertEqual(by_name[b"<pppoe-ali>"]["dynamic"], b"true")
        self.assertEqual(by_name[b"\xce\xf1\xf2\xe0\xed\xe0"]["comment"], b"a=b")
        self.assertNotIn("comment", by_name[b"alice"])
        snapshot = simulator.await_snapshots("r1", 1)[0]
        self.assertTrue(snapshot["complete"])
        self.assertEqual(truth_counters(snapshot), seen)

    def test_tree_parents_are_the_sum_of_their_children(self):
        simulator = self.start(scenario())
        client = self.connect(simulator)
        simulator.control("r1", "move", menu="tree", queue="down", down=4242)
        found = {r["name"]: r for r in rows(client.ask("/queue/tree/print"))}
        self.assertEqual(found[b"all"]["bytes"], b"4242")
        self.assertEqual(found[b"down"]["bytes"], b"4242")
        self.assertEqual(found[b"all"][".id"], b"*1000000")
        self.assertNotIn("dynamic", found[b"all"])

    def test_proplist_queries_and_count_only(self):
        client = self.connect(self.start(scenario()))
        only = rows(client.ask("/queue/simple/print", "=.proplist=name,bytes-in"))
        self.assertEqual([set(row) for row in only], [{"name"}] * 4)
        bare = client.ask("/queue/simple/print", "=.proplist=comment", "?name=alice")
        self.assertEqual(bare, [[b"!re"], [b"!done"]])
        self.assertEqual(client.ask("/queue/simple/print", "=count-only="), [[b"!done", b"=ret=4"]])
        cases = [(["?disabled=false"], 3), (["?comment"], 1), (["?-comment"], 3),
                 (["?name=alice", "?dynamic=true", "?#|"], 2), (["?name=alice", "?#!"], 3),
                 (["?disabled=false", "?dynamic=true"], 1), (["?>name=alice"], 2)]
        for words, count in cases:
            self.assertEqual(client.ask("/queue/simple/print", "=count-only=", *words),
                             [[b"!done", b"=ret=%d" % count]], words)

    def test_empty_replies_by_version(self):
        for mode, expected in (("v7.18", [[b"!empty"], [b"!done"]]), ("v7.17", [[b"!done"]])):
            client = self.connect(self.start(scenario(mode=mode)))
            self.assertEqual(client.ask("/queue/simple/print", "?name=nobody"), expected)

    def test_traps_for_absent_menus_and_missing_rights(self):
        simulator = self.start(scenario(chr=True, two_traps=True))
        client = self.connect(simulator)
        traps = client.ask("/system/routerboard/print", ".tag=x")
        self.assertEqual([s[0] for s in traps], [b"!trap", b"!trap", b"!done"])
        self.assertTrue(all(b".tag=x" in s for s in traps))
        self.assertEqual(attributes(traps[1])["message"], b"no such command prefix")
        self.assertEqual(attributes(client.ask("/queue/simple/reset-counters-all")[0])["message"],
                         b"not enough permissions (9)")
        # The session survives a trap.
        self.assertEqual(rows(client.ask("/system/identity/print"))[0]["name"], b"r1")

    def test_uptime_is_a_duration_and_falls_with_a_reboot(self):
        simulator = self.start(scenario())
        client = self.connect(simulator)
        before = rows(client.ask("/system/resource/print"))[0]["uptime"]
        self.assertTrue(before.startswith(b"1d2h3m"), before)
        simulator.control("r1", "reboot")
        self.assert_ends(client)
        after = rows(self.connect(simulator).ask("/system/resource/print"))[0]["uptime"]
        self.assertIn(after, [b"%ds" % n for n in range(20)])


class TagTest(SimulatorTest):
    def test_tags_come_second_and_last_and_replies_interleave(self):
        spec = scenario(queues=[{"name": "q{n}", "count": 300}])
        client = self.connect(self.start(spec))
        client.send_all(["/queue/simple/print", ".tag=one"], ["/queue/simple/print", ".tag=two"])
        order, places, done = [], set(), 0
        while done < 2:
            sentence = client.sentence()
            tags = [i for i, word in enumerate(sentence) if word.startswith(b".tag=")]
            self.assertEqual(len(tags), 1)
            if len(sentence) > 2:
                places.add("second" if tags[0] == 1 else "last")
            order.append(sentence[tags[0]])
            done += sentence[0] == b"!done"
        self.assertEqual(places, {"second", "last"})
        changes = sum(a != b for a, b in zip(order, order[1:]))
        self.assertGreater(changes, 10)
        self.assertEqual(order.count(b".tag=one"), 301)

    def test_cancel_interrupts_with_category_two_in_the_known_order(self):
        client = self.connect(self.start(scenario()))
        client.send("/queue/simple/listen", ".tag=l")
        client.send("/cancel", "=tag=l", ".tag=c")
        sentences = [client.sentence() for _ in range(3)]
        self.assertEqual([s[0] for s in sentences], [b"!trap", b"!done", b"!done"])
        self.assertEqual(attributes(sentences[0])["category"], b"2")
        self.assertEqual(attributes(sentences[0])["message"], b"interrupted")
        self.assertEqual([[w for w in s if w.startswith(b".tag=")][0] for s in sentences],
                         [b".tag=l", b".tag=c", b".tag=l"])


class FaultTest(SimulatorTest):
    def setUp(self):
        self.simulator = self.start(scenario())
        self.client = self.connect(self.simulator)
        self.simulator.control("r1", "move", queue="alice", up=1000, down=5000)

    def fault(self, kind, **keys):
        self.simulator.control("r1", "fault", kind=kind, **keys)

    def ask(self):
        return self.client.ask("/queue/simple/print", ".tag=7")

    def record(self, count):
        return self.simulator.await_snapshots("r1", count)[-1]

    def test_one_zero_reply_then_the_old_counters_again(self):
        self.fault("zero_counters")
        self.assertEqual(counters(self.ask())[b"alice"], (0, 0))
        self.assertEqual(self.record(1)["faults"], ["zero_counters"])
        self.assertEqual(counters(self.ask())[b"alice"], (1000, 5000))

    def test_control_byte(self):
        self.fault("control_byte", after_rows=1)
        self.client.send("/queue/simple/print")
        self.assertEqual(self.client.sentence()[0], b"!re")
        with self.assertRaises(BadPrefix) as caught:
            self.client.sentence()
        self.assertEqual(caught.exception.args, (0xF8,))

    def test_giant_length_claim(self):
        self.fault("giant_length")
        self.client.send("/queue/simple/print")
        with self.assertRaises(BadPrefix) as caught:
            self.client.sentence()
        self.assertEqual(caught.exception.args, (0xFFFFFFFF,))

    def test_end_of_stream_in_a_word_and_in_a_reply(self):
        for count, kind in enumerate(("eof_mid_word", "eof_mid_reply"), start=1):
            client = self.connect(self.simulator)
            self.fault(kind, after_rows=2)
            client.send("/queue/simple/print")
            self.assertEqual([client.sentence()[0] for _ in range(2)], [b"!re", b"!re"])
            self.assert_ends(client)
            record = self.record(count)
            self.assertEqual((record["complete"], record["faults"]), (False, [kind]))

    def test_stall_holds_the_reply_but_not_the_connection(self):
        self.fault("stall", after_rows=1, value=0)
        self.client.send("/queue/simple/print", ".tag=7")
        self.assertEqual(self.client.sentence()[0], b"!re")
        self.assertEqual(rows(self.client.ask("/system/identity/print", ".tag=8"))[0]["name"],
                         b"r1")
        self.assertEqual(select.select([self.client.socket], [], [], 0.2)[0], [])
        self.fault("stall", value=150)
        begun = time.monotonic()
        other = self.connect(self.simulator)
        self.assertEqual(len(rows(other.ask("/queue/simple/print"))), 4)
        self.assertGreater(time.monotonic() - begun, 0.14)

    def test_trap_in_the_list_and_unknown_and_empty_sentences(self):
        self.fault("trap_mid_list", after_rows=2)
        self.fault("unknown_reply", after_rows=1)
        self.fault("empty_sentences", after_rows=1)
        kinds = [s[0] for s in self.ask()]
        self.assertEqual(kinds, [b"!re", b"!news", b"!re", b"!trap", b"!re", b"!re", b"!done"])

    def test_fatal_in_the_list_ends_the_session(self):
        self.fault("fatal_mid_reply", after_rows=1)
        self.assertEqual([s[0] for s in self.ask()], [b"!re", b"!fatal"])
        self.assert_ends(self.client)

    def test_rows_without_bytes_with_duplicate_keys_and_bad_numbers(self):
        self.fault("rows_without_bytes", value=2)
        self.assertEqual(["bytes" in row for row in rows(self.ask())], [True, False, True, False])
        self.fault("duplicate_keys")
        row = self.ask()[0]
        self.assertEqual(sum(word.startswith(b"=name=") for word in row), 2)
        self.fault("bad_number", text="123456789012345678901/-5")
        self.assertEqual(rows(self.ask())[0]["bytes"], b"123456789012345678901/-5")
        self.fault("duplicate_id")
        self.assertEqual({row[".id"] for row in rows(self.ask())}, {b"*1"})

    def test_a_short_list_disagrees_with_the_count(self):
        self.fault("drop_rows", value=3)
        self.assertEqual(self.client.ask("/queue/simple/print", "=count-only="),
                         [[b"!done", b"=ret=4"]])
        self.assertEqual(len(rows(self.ask())), 1)

    def test_wire_styles_change_bytes_and_not_meaning(self):
        plain = counters(self.ask())
        for style in ({"chunk_bytes": 1}, {"split_prefix": True},
                      {"chunk_bytes": 7, "chunk_delay_us": 50}, {"prefix_bytes": 2},
                      {"prefix_bytes": 5, "split_prefix": True}):
            self.simulator.control("r1", "wire", **style)
            self.client.prefix_sizes.clear()
            self.client.reads.clear()
            self.assertEqual(counters(self.ask()), plain, style)
            if "prefix_bytes" in style:
                self.assertEqual(self.client.prefix_sizes, {style["prefix_bytes"]})
            if style.get("chunk_delay_us"):
                self.assertGreater(len(self.client.reads), 20)
        self.simulator.control("r1", "clear_faults")

    def test_faults_stay_until_cleared_when_told_so(self):
        self.fault("zero_counters", times=-1)
        for _ in range(3):
            self.assertEqual(counters(self.ask())[b"alice"], (0, 0))
        self.simulator.control("r1", "clear_faults")
        self.assertEqual(counters(self.ask())[b"alice"], (1000, 5000))


class LifeTest(SimulatorTest):
    def test_truth_adds_up_through_resets_reboots_reconnects_and_renames(self):
        queues = [{"name": "q{n}", "count": 20, "up_rate": 40000, "down_rate": 900000,
                   "active_permille": 600, "slot_ms": 50}, {"pppoe_user": "ali", "down_rate": 9000}]
        simulator = self.start(scenario(queues=queues), seed=11)
        client = self.connect(simulator)
        served = 0
        for step in ("none", "reset_counters", "pppoe_reconnect", "rename", "reboot", "recreate",
                     "disable", "enable", "none"):
            keys = {"reset_counters": {"queue": "q3"}, "pppoe_reconnect": {"user": "ali"},
                    "rename": {"queue": "q4", "to": "q4 renamed"}, "recreate": {"queue": "q5"},
                    "disable": {"queue": "q6"}, "enable": {"queue": "q6"}}.get(step, {})
            if step != "none":
                simulator.control("r1", step, **keys)
            if step == "reboot":
                client = self.connect(simulator)
            seen = counters(client.ask("/queue/simple/print", "=.proplist=name,bytes"))
            served += 1
            self.assertEqual(truth_counters(simulator.await_snapshots("r1", served)[-1]), seen)
        self.assertEqual(simulator.stop(), 0)
        self.check_truth(simulator.truth(), served)

    def check_truth(self, records, served):
        """Every counter shown is what moved since the instance began or was zeroed."""
        moved, snapshots = {}, 0
        for record in records:
            if record["t"] == "moved":
                for row in record["rows"]:
                    key = (row["id"], row["name"])
                    held = moved.get(key)
                    # Another instance of an id and name begins at zero.
                    if held is None or held[0] != row["instance"]:
                        held = moved[key] = [row["instance"], 0, 0]
                    held[1] += row["up"] - row["uncounted_up"]
                    held[2] += row["down"] - row["uncounted_down"]
            elif record["t"] == "event":
                self.apply(record, moved)
            elif record["t"] == "snapshot":
                snapshots += 1
                for row_id, name, up, down, _, _ in record["rows"]:
                    _, moved_up, moved_down = moved.get((row_id, name), (0, 0, 0))
                    self.assertEqual((up, down), (moved_up, moved_down), bytes.fromhex(name))
        self.assertEqual(snapshots, served)
        self.assertEqual(records[-1]["t"], "stop")

    @staticmethod
    def apply(record, moved):
        if record["do"] == "reboot":
            moved.clear()
        name = record["args"].get("queue", "").encode().hex()
        for key in [k for k in moved if k[1] == name]:
            if record["do"] in ("reset_counters", "recreate"):
                del moved[key]
            elif record["do"] == "rename":
                moved[(key[0], record["args"]["to"].encode().hex())] = moved.pop(key)

    def test_timed_events_and_simulated_speed(self):
        spec = scenario(uptime_s=0)
        spec["events"] = [{"at_ms": 60000, "router": "r1", "do": "move", "queue": "alice",
                           "down": 31}]
        simulator = self.start(spec, arguments=["--speed", "600"])
        client = self.connect(simulator)
        deadline = time.monotonic() + 10
        while counters(client.ask("/queue/simple/print"))[b"alice"] != (0, 31):
            self.assertLess(time.monotonic(), deadline)
        # Ten simulated minutes a second: what came at a minute finds at least that on the router.
        uptime = rows(client.ask("/system/resource/print"))[0]["uptime"]
        self.assertIn(b"m", uptime)

    def test_wait_answers_after_so_many_complete_snapshots(self):
        simulator = self.start(scenario())
        client = self.connect(simulator)
        client.ask("/queue/simple/print")
        simulator.await_snapshots("r1", 1)
        late = simulator.send("wait", router="r1", timeout_ms=50)
        self.assertFalse(late["ok"])
        self.assertIn("only 0 of 1", late["error"])
        stop = threading.Event()

        def poll():
            while not stop.is_set():
                client.ask("/queue/simple/print")

        poller = threading.Thread(target=poll)
        poller.start()
        try:
            self.assertEqual(simulator.control("r1", "wait", snapshots=3)["ok"], True)
        finally:
            stop.set()
            poller.join()
        self.assertGreaterEqual(len(simulator.snapshots("r1")), 4)

    def test_control_refuses_what_it_does_not_know(self):
        simulator = self.start(scenario())
        for do, keys in (("dance", {"router": "r1"}), ("reboot", {"router": "r2"}),
                         ("reboot", {"router": "r1", "when": "now"})):
            self.assertFalse(simulator.send(do, **keys)["ok"])
        self.assertTrue(simulator.send("ping")["ok"])

    def test_five_thousand_queues_in_one_reply(self):
        queues = [{"name": "subscriber-{n}", "count": 5000, "target": "10.1.{hi}.{lo}/32",
                   "bytes": "1/2"}]
        client = self.connect(self.start(scenario(queues=queues)))
        reply = client.ask("/queue/simple/print")
        self.assertEqual(len(rows(reply)), 5000)
        self.assertGreater(sum(client.reads), 1_000_000)

    def test_a_thousand_routers_of_two_hundred_queues(self):
        spec = scenario(count=1000, id="r{n}", queues=[
            {"name": "q{n}", "count": 200, "down_rate": 1000}])
        simulator = self.start(spec)
        for router in ("r1", "r500", "r1000"):
            client = self.connect(simulator, router=router)
            self.assertEqual(client.ask("/queue/simple/print", "=count-only="),
                             [[b"!done", b"=ret=200"]])
        with open("/proc/%d/status" % simulator.process.pid, encoding="utf-8") as file:
            resident = [line for line in file if line.startswith("VmRSS")][0].split()
        self.assertLess(int(resident[1]), 600 * 1024, "KiB resident")


class ScenarioTest(unittest.TestCase):
    def check(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "lab.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            program = os.path.join(os.environ["NS_BIN_DIR"], "netsentinel-simulator")
            done = subprocess.run([program, "--scenario", path, "--check"], capture_output=True,
                                  text=True, timeout=20, check=False)
            return done.returncode, done.stderr.replace(path, "lab.yaml")

    def test_good_scenarios_pass_the_check(self):
        self.assertEqual(self.check("routers: [{id: r1, queues: [{name: a}]}]"), (0, ""))

    def test_errors_name_the_place_and_the_key(self):
        cases = [("routers: []", "1:1", "at least one router"),
                 ("routers:\n  - id: r1\n    mod: v6", "2:5", 'unknown key "mod"'),
                 ("routers:\n  - id: r1\n    id: r2", "3:5", 'duplicate key "id"'),
                 ("routers:\n  - {id: r1, mode: v5}", "2:5", "v7.18"),
                 ("routers:\n  - id: r1\n    queues:\n      - {name: a, up_rate: fast}", "4:9",
                  "whole number"),
                 ("routers: [{id: r1}]\nevents:\n  - {at_ms: 1, router: r2, do: cut}", "3:5",
                  "no router r2"),
                 ("routers: [{id: r1}]\nevents:\n  - {at_ms: 1, router: r1, do: reboot, now: 1}", "3:5",
                  'unknown key "now"'),
                 ("routers: [{id: r1}", "1:", "")]
        for text, place, words in cases:
            code, message = self.check(text)
            self.assertEqual(code, 1, text)
            self.assertIn("lab.yaml:" + place, message)
            self.assertIn(words, message)
        code, message = self.check("routers: [{id: r1, queues: [{name: a}, {name: a}]}]")
        self.assertEqual(code, 1)
        self.assertIn('/queue/simple "a" is there already', message)


class TlsTest(SimulatorTest):
    def certificate(self, folder):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=router.example", "-addext", "subjectAltName=DNS:router.example",
             "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"],
            check=True, capture_output=True, timeout=60)

    def test_api_ssl_with_a_certificate_and_quit_without_an_answer(self):
        def make(folder):
            self.certificate(folder)
            return scenario(tls_cert=folder + "/cert.pem", tls_key=folder + "/key.pem")

        simulator = self.start(make)
        context = ssl.create_default_context(cafile=simulator.path + "/cert.pem")
        client = Client(simulator.ports["routers"]["r1"]["api_ssl"], tls=context)
        self.addCleanup(client.close)
        self.assertEqual(client.login(), [[b"!done"]])
        self.assertEqual(len(rows(client.ask("/queue/simple/print"))), 4)
        client.send("/quit")
        with self.assertRaises((EndOfStream, ssl.SSLError, ConnectionResetError)):
            client.sentence()

    def test_anonymous_diffie_hellman(self):
        simulator = self.start(scenario(tls_anonymous=True, plain=False))
        self.assertEqual(simulator.ports["routers"]["r1"]["api"], 0)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ADH:@SECLEVEL=0")
        client = Client(simulator.ports["routers"]["r1"]["api_ssl"], tls=context)
        self.addCleanup(client.close)
        self.assertEqual(client.login(), [[b"!done"]])
        self.assertTrue(client.socket.cipher()[0].startswith("ADH"))
        # A client that insists on a certificate cannot connect.
        with self.assertRaises(ssl.SSLError):
            Client(simulator.ports["routers"]["r1"]["api_ssl"], tls=ssl.create_default_context())


if __name__ == "__main__":
    unittest.main(verbosity=2)
