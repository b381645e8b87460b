#!/usr/bin/env python3
"""tools/lint/configuration_page.py on copies of the page and the sources with something changed."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tools/lint"))

import configuration_page  # noqa: E402

PAGE = "docs/configuration.md"


class ConfigurationPageTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        sources = [source for names, _ in configuration_page.PROGRAMS.values() for source in names]
        for path in (PAGE, *configuration_page.COMMON, *sources):
            os.makedirs(self.root / os.path.dirname(path), exist_ok=True)
            shutil.copy(ROOT / path, self.root / path)

    def change(self, path, old, new):
        text = (self.root / path).read_text()
        self.assertIn(old, text)
        (self.root / path).write_text(text.replace(old, new, 1))

    def found(self):
        return configuration_page.problems(self.root)

    def test_page_and_sources_agree(self):
        self.assertEqual([], self.found())

    def test_a_key_is_known_by_its_whole_path(self):
        # `poll_interval` stands in another program's table as well.
        self.change(PAGE, "| `routers[].poll_interval` | duration | 1s to 1h | 30s",
                    "| `routers[].other` | duration | 1s to 1h | 30s")
        self.assertEqual(["lacks `routers[].poll_interval`", "has `routers[].other`"],
                         [" ".join(problem.split()[2:4]).rstrip(":,") for problem in self.found()])

    def test_a_key_that_is_no_longer_read_is_found(self):
        self.change("aggregator/app/settings.cc", 'retention.OptionalString("monthly", "24mo");', "")
        self.assertEqual(1, len(self.found()))
        self.assertIn("aggregator.yaml has `retention.monthly`", self.found()[0])

    def test_a_key_of_all_files_that_one_program_does_not_read_is_found(self):
        self.change(PAGE, "| `log.format` |", "| `log.format`, `smtp.ca` |")
        self.assertEqual(3, len(self.found()))  # two do not read it, one has it twice
        self.assertIn("`smtp.ca` stands both in notifier.yaml", self.found()[-1])

    def test_keys_behind_functions_lists_and_names_are_followed(self):
        keys = configuration_page.read_by_programs(self.root)
        for title, key in (("collector.yaml", "routers[].tls.pin_sha256"),
                           ("collector.yaml", "aggregator.tls"), ("collector.yaml", "tls.cert"),
                           ("aggregator.yaml", "quota.NAME.limit"),
                           ("aggregator.yaml", "sites[].cut_times"),
                           ("notifier.yaml", "reports[].to"), ("notifier.yaml", "listen.web"),
                           ("notifier.yaml", "log.level")):
            self.assertIn(key, keys[title][0], title)

    def test_sources_that_the_patterns_no_longer_fit_are_said(self):
        self.change("notifier/app/settings.cc", "NotifierSettings ReadNotifierSettings(config::Section",
                    "NotifierSettings ReadAll(config::Section")
        self.assertEqual(1, len(self.found()))
        self.assertIn("keys of notifier.yaml found in the sources: fit the patterns",
                      self.found()[0])


if __name__ == "__main__":
    unittest.main()
