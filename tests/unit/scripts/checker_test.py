#!/usr/bin/env python3
"""The checker of scripts/quickstart --once on a log and answers written by hand."""
import copy
import email
import email.policy
import os
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
sys.path.insert(0, os.path.join(ROOT, "scripts/support"))

import checker  # noqa: E402
import falsify  # noqa: E402
import readings  # noqa: E402
import truth  # noqa: E402
from processes import Failure  # noqa: E402

DAYS = ["2026-11-25", "2026-11-26"]
BOUNDARY_US = 100_000_000
LIMIT = 5000
ALICE, BOB, FLOOR = b"alice", b"bob", b"floor"


def us(seconds):
    return round(seconds * 1_000_000)


def moved(at, **rows):
    return {"t": "moved", "router": "hq-core", "wall_us": us(at), "boot_us": us(at), "rows": [
        {"menu": "simple", "id": "*1", "instance": 1, "name": name.encode().hex(), "up": up,
         "down": down, "uncounted_up": 0, "uncounted_down": 0}
        for name, (up, down) in rows.items()]}


def event(at, verb, **arguments):
    return {"t": "event", "router": "hq-core", "wall_us": us(at), "boot_us": us(at),
            "uptime_s": 1000, "do": verb, "args": arguments}


def snapshot(at, uptime_s=1000, **rows):
    return {"t": "snapshot", "router": "hq-core", "menu": "/queue/simple", "begin_wall_us": us(at),
            "begin_boot_us": us(at), "end_wall_us": us(at), "end_boot_us": us(at),
            "uptime_s": uptime_s, "complete": True, "count_only": False, "faults": [],
            "rows": [["*1", name.encode().hex(), up, down, 0, 0]
                     for name, (up, down) in rows.items()]}


def log():
    """A reset of bob and a renamed child on the first day, a crossing and a reboot on the second."""
    return [
        moved(97.5, alice=(10, 100), bob=(5, 50)),
        snapshot(97.5, alice=(10, 100), bob=(5, 50), floor=(0, 0), kid=(0, 0)),
        moved(98.5, alice=(1, 1000), bob=(2, 20), kid=(3, 30)),
        snapshot(98.5, alice=(11, 1100), bob=(7, 70), floor=(3, 30), kid=(3, 30)),
        moved(98.8, bob=(4, 40)),
        event(98.8, "reset_counters", queue="bob"),
        moved(99.5, bob=(6, 60), kid=(1, 10)),
        snapshot(99.5, alice=(11, 1100), bob=(6, 60), floor=(4, 40), kid=(4, 40)),
        moved(99.7, kid=(1, 1)),
        event(99.7, "rename", queue="kid", to="boy"),
        moved(100, boy=(2, 2)),
        # A snapshot's record may follow that of a later event; its instant is its begin.
        moved(101.5, alice=(3, 6000)),
        event(101.6, "pause"),
        snapshot(100, alice=(11, 1100), bob=(6, 60), floor=(7, 43), boy=(7, 43)),
        snapshot(101.5, alice=(14, 7100), bob=(6, 60), floor=(7, 43), boy=(7, 43)),
        moved(102, alice=(1, 1)),
        event(102, "reboot", down_ms="1500"),
        moved(105.5, alice=(2, 2)),
        snapshot(105.5, uptime_s=2, alice=(2, 2), bob=(0, 0), floor=(0, 0), boy=(0, 0)),
    ]


def observer(entries, poll_us=1_000_000):
    settings = truth.Settings(poll_us, 8_000_000, {ALICE: (800_000, 800_000)},
                              {FLOOR: [b"kid", b"boy"]})
    made = truth.Observer("hq-core", BOUNDARY_US, settings, LIMIT)
    made.read(entries)
    return made


# rank, name, upload, download, loss bound either way, grade, share in permille, quota
LEDGER = {
    DAYS[0]: [(1, "alice", 1, 1000, 0, "complete", 879, "within"),
              (2, "bob", 8, 80, 15_000_000, "bounded", 77, "within"),
              (3, "kid", 4, 40, 15_000_000, "bounded", 39, "within"),
              (4, "boy", 3, 3, 15_000_000, "bounded", 5, "within")],
    DAYS[1]: [(1, "alice", 5, 6002, 1_500_000, "bounded", 1000, "over"),
              (2, "bob", 0, 0, 15_000_000, "bounded", 0, "within"),
              (3, "boy", 0, 0, 15_000_000, "bounded", 0, "within"),
              (4, "floor", 0, 0, 15_000_000, "bounded", 0, "within")],
}
LIMIT_CELL = '<small> of 4.88 KiB (download, per day)</small></td>'
CELLS = {
    DAYS[0]: [("1000 B", "1 B", "1001 B", "87.9 %", "within, 20 %", "complete"),
              ("80 B", "8 B", "88 B", "7.7 %", "within, 1 %",
               "bounded<small> at most 28.61 MiB unseen</small>"),
              ("40 B", "4 B", "44 B", "3.9 %", "within, 0 %",
               "bounded<small> at most 28.61 MiB unseen</small>"),
              ("3 B", "3 B", "6 B", "0.5 %", "within, 0 %",
               "bounded<small> at most 28.61 MiB unseen</small>")],
    DAYS[1]: [("5.86 KiB", "5 B", "5.86 KiB", "100.0 %", "over, 120 %",
               "bounded<small> at most 2.86 MiB unseen</small>"),
              *[("0 B", "0 B", "0 B", "0.0 %", "within, 0 %",
                 "bounded<small> at most 28.61 MiB unseen</small>")] * 3],
}
TITLES = {DAYS[0]: "Wednesday 25 November 2026, complete",
          DAYS[1]: "Thursday 26 November 2026, so far"}
CSV_HEAD = ("site,day,state,rank,subscriber,router,download_bytes,upload_bytes,total_bytes,"
            "share_permille,quota_state,quota_percent,quota_used_bytes,quota_limit_bytes,quota_basis,"
            "quota_period,grade,"
            "sure_download_bytes,sure_upload_bytes,unseen_download_bytes,"
            "unseen_upload_bytes,estimated_download_bytes,estimated_upload_bytes\r\n")
MAIL = """From: NetSentinel <alerts@netsentinel.example>
Subject: NetSentinel lab: alice passed 100 % of 4.88 KiB download
To: noc@netsentinel.example
Message-Id: <be74@netsentinel.example>

alice passed 100 % of 4.88 KiB download for the day 2026-11-26: 5.85 KiB used.
Seen at 2026-11-26 03:48:13 +05:00 (Asia/Karachi), site lab, router hq-core, quota default; 5.85 KiB down, 3 B up so far.
"""


def both(up, down):
    return {"upload_bytes": str(up), "download_bytes": str(down)}


def ranking(day):
    return {"rows": [
        {"rank": rank, "subscriber": {"router_id": "hq-core", "name": {"display_name": name}},
         "usage": {"counted": both(up, down), "sure": both(up, down),
                   "unseen": both(loss, loss), "estimated": both(0, 0),
                   "grade": f"GRADE_{grade.upper()}"},
         "share_permille": share,
         "standing": {"state": f"STANDING_STATE_{quota.upper()}", "percent": down * 100 // LIMIT,
                      "used_bytes": str(down), "limit_bytes": str(LIMIT),
                      "basis": "QUOTA_BASIS_DOWNLOAD", "period": "QUOTA_PERIOD_DAY"}}
        for rank, name, up, down, loss, grade, share, quota in LEDGER[day]]}


def csv_of(days):
    return CSV_HEAD + "".join(
        f"lab,{day},so far,{rank},{name},hq-core,{down},{up},{up + down},{share},{quota},"
        f"{down * 100 // LIMIT},{down},{LIMIT},download,day,{grade},{down},{up},{loss},{loss},0,0\r\n"
        for day in days for rank, name, up, down, loss, grade, share, quota in LEDGER[day])


def page_of(days):
    parts = ["<h1>Usage</h1>"]
    for day in days:
        parts.append(f"<h2>{TITLES[day]}</h2>\n<table><thead><tr><th>#</th></tr></thead><tbody>")
        for (rank, name, *_), (down, up, total, share, quota, grade) in zip(LEDGER[day], CELLS[day]):
            parts.append(
                f'<tr><td class="r">{rank}</td><td><bdi>{name}</bdi><small> on <bdi>hq-core</bdi>'
                f"</small></td><td><i>Down </i>{down}</td><td><i>Up </i>{up}</td>"
                f"<td><i>Total </i>{total}</td><td><i>Share </i>{share}</td>"
                f"<td><i>Quota </i><span>{quota}</span>{LIMIT_CELL}<td><i>Grade </i>{grade}</td></tr>")
        parts.append("</tbody></table>")
    return "\n".join(parts)


def story():
    seen = observer(log())
    expected = [{("hq-core", name.decode()): row for name, row in day.items()}
                for day in seen.result()]
    crossings = [(("hq-core", one.name.decode()), one) for one in seen.crossings]
    return checker.Story("lab", DAYS, expected, crossings, LIMIT, False)


def read():
    documents = [readings.Document(name, days, readings.csv_tables(csv_of(days)),
                                   readings.pages_of(page_of(days)))
                 for name, days in (("first", DAYS[:1]), ("second", DAYS), ("mailed", DAYS))]
    message = email.message_from_string(MAIL, policy=email.policy.default)
    breaches = readings.breach_records({"breaches": [
        {"subscriber": {"router_id": "hq-core", "name": {"display_name": "alice"}},
         "period_start": DAYS[1], "threshold_percent": 100, "limit_bytes": str(LIMIT),
         "used": both(3, 6000), "delivery": "DELIVERY_STATE_HANDED_OVER"}]})
    return readings.Readings({day: readings.ledger_rows(ranking(day)) for day in DAYS}, documents,
                             [readings.mail_of(message, ["noc@netsentinel.example"])], breaches)


class TruthTest(unittest.TestCase):
    def test_bytes_are_split_into_seen_and_unseen_by_day(self):
        first, second = observer(log()).result()
        self.assertEqual([1, 1000], first[ALICE].seen)
        self.assertEqual(([8, 80], [4, 40]), (first[BOB].seen, first[BOB].unseen))
        self.assertEqual([4, 40], first[b"kid"].seen)
        self.assertEqual([3, 3], first[b"boy"].seen)
        self.assertEqual([0, 0], first[FLOOR].seen)
        self.assertEqual(([5, 6002], [1, 1]), (second[ALICE].seen, second[ALICE].unseen))
        self.assertNotIn(b"kid", second)

    def test_the_loss_bound_is_blind_time_at_the_queues_own_rate(self):
        first, second = observer(log()).result()
        # Ten seconds of bucket; one between two polls, one of slack either way; 2 % over. The
        # 6/60 bytes that were counted are not unseen.
        self.assertEqual([10_200_000 - 6, 10_200_000 - 60], first[BOB].loss_least)
        # Besides that, three seconds for the stamps and one of uptime.
        self.assertEqual([16_320_000] * 2, first[BOB].loss_most)
        # Two seconds until the boot, and a second more of doubt about it.
        self.assertEqual([1_020_000 - 2] * 2, second[ALICE].loss_least)
        self.assertEqual([1_836_000] * 2, second[ALICE].loss_most)
        late = log()[:-2] + [moved(110, alice=(2, 2)), snapshot(
            110, uptime_s=2, alice=(2, 2), bob=(0, 0), floor=(0, 0), boy=(0, 0))]
        self.assertEqual([1_479_000 - 2] * 2, observer(late).result()[1][ALICE].loss_least)
        self.assertEqual([0, 0], first[ALICE].loss_most)

    def test_a_rename_leaves_both_names_in_doubt_and_no_byte_unseen(self):
        first = observer(log()).result()[0]
        for name in (b"kid", b"boy"):
            self.assertEqual([0, 0], first[name].unseen)
            self.assertEqual([0, 0], first[name].loss_least)
            self.assertEqual([15_810_000] * 2, first[name].loss_most)
            self.assertEqual({"bounded"}, first[name].grades)

    def test_grades_follow_the_length_of_the_blind_time(self):
        first, second = observer(log()).result()
        self.assertEqual({"complete"}, first[ALICE].grades)
        self.assertEqual({"bounded"}, first[BOB].grades)
        self.assertEqual({"bounded"}, second[ALICE].grades)
        late = log()[:-2] + [moved(114, alice=(2, 2)), snapshot(
            114, uptime_s=2, alice=(2, 2), bob=(0, 0), floor=(0, 0), boy=(0, 0))]
        self.assertEqual({"partial"}, observer(late).result()[1][ALICE].grades)
        near = log()[:-2] + [moved(110.5, alice=(2, 2)), snapshot(
            110.5, uptime_s=2, alice=(2, 2), bob=(0, 0), floor=(0, 0), boy=(0, 0))]
        self.assertEqual({"bounded", "partial"}, observer(near).result()[1][ALICE].grades)

    def test_the_crossing_is_the_first_snapshot_at_the_limit(self):
        self.assertEqual([truth.Crossing(1, ALICE, (3, 6000))], observer(log()).crossings)

    def test_a_log_that_cannot_be_judged_is_refused(self):
        for entries, words in (
                (log() + [event(106, "freeze")], "freeze"),
                (log() + [moved(106, alice=(1, 0))], "after the last reading"),
                (log()[-2:], "within 5 s of the day's end"),
                (log()[:5] + log()[6:], "falling")):
            with self.subTest(words), self.assertRaisesRegex(Failure, words):
                observer(entries).result()


class CheckerTest(unittest.TestCase):
    def test_right_answers_pass(self):
        self.assertEqual([], checker.problems(story(), read()))

    def test_every_lie_is_noticed(self):
        for name in falsify.MUTATIONS:
            with self.subTest(name):
                told, heard = story(), read()
                falsify.falsify(name, told, heard)
                self.assertNotEqual([], checker.problems(told, heard))

    def test_a_lost_byte_is_said_as_such(self):
        told, heard = story(), read()
        falsify.falsify("lose_one_byte", told, heard)
        self.assertIn("2026-11-25 hq-core alice: observed 1/999, the ledger says 1/1000",
                      checker.problems(told, heard))

    def test_an_unknown_lie_is_refused(self):
        with self.assertRaisesRegex(Failure, "lose_one_bite is not one of lose_one_byte,"):
            falsify.falsify("lose_one_bite", story(), read())

    def test_a_loss_bound_below_what_moved_unseen_is_noticed(self):
        told, heard = story(), read()
        told.expected[0][("hq-core", "bob")].unseen[1] = 15_000_001
        self.assertEqual(["2026-11-25 hq-core bob: 15000001 bytes of download moved unseen, the "
                          "bound is 15000000"], checker.problems(told, heard))

    def test_the_same_mail_twice_is_allowed_only_after_a_kill_of_the_notifier(self):
        told, heard = story(), read()
        heard.mails.append(copy.copy(heard.mails[0]))
        self.assertEqual(["the alert <be74@netsentinel.example> came twice"],
                         checker.problems(told, heard))
        told.mails_may_repeat = True
        self.assertEqual([], checker.problems(told, heard))
        heard.mails[1].text += "more"
        self.assertNotEqual([], checker.problems(told, heard))

    def test_a_day_that_a_report_lacks_or_has_too_much_is_noticed(self):
        told, heard = story(), read()
        del heard.documents[1].tables[DAYS[1]]
        heard.documents[0].tables["2026-11-24"] = {}
        found = checker.problems(told, heard)
        self.assertIn("first has rows of 2026-11-24", found)
        self.assertTrue(any("second says None" in problem for problem in found), found)

    def test_a_doubled_row_of_a_report_is_noticed(self):
        told, heard = story(), read()
        text = csv_of(DAYS)
        heard.documents[1].tables = readings.csv_tables(text + text.splitlines(True)[1])
        self.assertNotEqual([], checker.problems(told, heard))

    def test_sizes_are_cut_off_after_two_decimals(self):
        for count, text in ((0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (6002, "5.86 KiB"),
                            ((1 << 20) - 1, "1023.99 KiB"), (70 << 20, "70.00 MiB"),
                            ((1 << 63) - 1, "7.99 EiB")):
            self.assertEqual(text, checker.size(count))


if __name__ == "__main__":
    unittest.main()
