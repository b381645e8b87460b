#!/usr/bin/env python3
"""tools/lint/condition_table.py on copies of the page and the sources with something changed."""

import pathlib
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tools/lint"))

import condition_table  # noqa: E402

DESK = "notifier/delivery/report_desk.cc"


class ConditionTableTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        for folders in condition_table.PROGRAMS.values():
            for folder in folders.split():
                for path in (ROOT / folder).rglob("*.cc"):
                    self.copy(path.relative_to(ROOT))
        self.copy(condition_table.PAGE)

    def copy(self, path):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, self.root / path)

    def change(self, path, old, new):
        text = (self.root / path).read_text()
        self.assertIn(old, text)
        (self.root / path).write_text(text.replace(old, new))

    def found(self):
        return condition_table.problems(self.root)

    def test_table_and_sources_agree(self):
        self.assertEqual([], self.found())

    def test_conditions_behind_constants_and_loops_are_known(self):
        conditions, unknown = condition_table.shown_by(self.root, "notifier")
        self.assertEqual({"smtp": "shown", "aggregator": "shown", "alerts": "shown",
                          "reports": "shown", "queue": "not ready", "intake": "not ready",
                          "worker": "not ready", "delivery": "shown", "damage": "shown",
                          "audit": "shown", "audit_damage": "shown"},
                         conditions)
        self.assertEqual([], unknown)

    def test_a_condition_without_a_row_and_a_row_without_a_condition_are_found(self):
        self.change(condition_table.PAGE, "| notifier | `reports` | shown |",
                    "| notifier | `letters` | shown |")
        self.assertEqual(2, len(self.found()))
        self.assertIn("the table lacks `reports` of notifier (shown)", self.found()[0])
        self.assertIn("notifier has no condition `letters`", self.found()[1])

    def test_a_row_that_errs_in_what_the_condition_stops_is_found(self):
        self.change(condition_table.PAGE, "| collector | `spool` | not ready |",
                    "| collector | `spool` | shown |")
        self.assertEqual(1, len(self.found()))
        self.assertIn('`spool` of collector is "not ready", not "shown"', self.found()[0])

    def test_a_condition_whose_name_cannot_be_read_is_said(self):
        self.change(DESK, 'readiness.NotReady("reports"', "readiness.NotReady(somewhere")
        self.assertEqual([f"{DESK}: somewhere: which condition is that? Name it by a literal or a "
                          "constant"], self.found())

    def test_sources_that_the_patterns_no_longer_fit_are_said(self):
        for path in (self.root / "collector").rglob("*.cc"):
            path.write_text(path.read_text().replace("readiness_", "conditions_"))
        self.change("collector/app/collector_app.cc", "context_.readiness.", "context_.conditions.")
        self.assertIn("conditions found in collector: fit the patterns", self.found()[0])


if __name__ == "__main__":
    unittest.main()
