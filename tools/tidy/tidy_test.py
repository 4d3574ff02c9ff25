#!/usr/bin/python3
"""Each rule of tidy.py passes what is right and finds what is wrong, shown on small trees."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import file_rules  # noqa: E402
import include_rules  # noqa: E402
import reason_rules  # noqa: E402
from tree import Tree  # noqa: E402


class RuleTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)

    def write(self, name, text, executable=False):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if executable else 0o644)

    def violations(self, rule, *arguments):
        return list(rule(Tree(self.root), *arguments))

    def assert_one(self, rule, text, *arguments):
        found = self.violations(rule, *arguments)
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])


class IncludeTest(RuleTest):
    def includes(self, file, *names):
        lines = [f"#include {name}" if name[0] in '<"' else f'#include "{name}"' for name in names]
        self.write(file, "\n".join(lines) + "\n")

    def test_what_the_table_allows(self):
        for header in ("base/ids.h", "net/parser.h", "fwd/interfaces.h"):
            self.write(f"dataplane/{header}", "")
        self.write("config/schema.h", "")
        self.includes("dataplane/lb/a.cc", "<vector>", "<sys/stat.h>", "dataplane/base/ids.h", "dataplane/net/parser.h")
        self.includes("dataplane/stage/a.cc", "<rte_mbuf.h>", "dataplane/fwd/interfaces.h")
        self.includes("dataplane/runtime/a.cc", "<rte_ethdev.h>", "<netlink/netlink.h>", "absl/status/status.h")
        self.includes("controlplane/model/a.cc", "config/schema.h", "absl/status/status.h")
        self.includes("controlplane/rpc/a.cc", "<grpcpp/grpcpp.h>", "sluice/v1/a.pb.h", "dataplane/fwd/interfaces.h")
        self.assertEqual(self.violations(include_rules.check_includes), [])

    def test_what_the_table_forbids(self):
        forbidden = [
            ("dataplane/base/a.h", "absl/status/status.h"),
            ("dataplane/net/a.cc", "<rte_mbuf.h>"),
            ("dataplane/net/a.cc", "dataplane/lb/maglev.h"),
            ("dataplane/lb/a.cc", "dataplane/fwd/ladder.h"),
            ("dataplane/fwd/a.cc", "<rte_mbuf.h>"),
            ("dataplane/stage/a.cc", "absl/status/status.h"),
            ("dataplane/stage/a.cc", "dataplane/runtime/port.h"),
            ("dataplane/runtime/a.cc", "config/schema.h"),
            ("config/a.cc", "dataplane/fwd/interfaces.h"),
            ("controlplane/model/a.cc", "config/load.h"),
            ("controlplane/model/a.cc", "dataplane/fwd/interfaces.h"),
            ("controlplane/reconcile/a.cc", "<grpcpp/grpcpp.h>"),
            ("controlplane/rpc/a.cc", "dataplane/fwd/state_builder.h"),
            ("controlplane/rpc/a.cc", "<rte_mbuf.h>"),
            ("controlplane/metrics/a.cc", "sluice/v1/types.pb.h"),
            ("controlplane/app/a.cc", "<rte_build_config.h>"),
            ("controlplane/app/a.cc", "<grpcpp/grpcpp.h>"),
            ("tools/x/a.cc", "tests/support/oracle_vectors.h"),
        ]
        for file, name in forbidden:
            with self.subTest(file=file, name=name):
                if name.split("/")[0] in ("dataplane", "config", "tests"):
                    self.write(name, "")
                self.includes(file, name)
                self.assert_one(include_rules.check_includes, f"{file}: may not include {name.strip('<>')}")
                (self.root / file).unlink()

    def test_how_includes_are_written(self):
        self.write("dataplane/net/b.h", "")
        self.includes("dataplane/net/a.cc", "b.h")
        self.assert_one(include_rules.check_includes, "write it from the root")
        self.includes("dataplane/net/a.cc", "../net/b.h")
        self.assert_one(include_rules.check_includes, "write it from the root")
        self.includes("dataplane/net/a.cc", "dataplane/net/gone.h")
        self.assert_one(include_rules.check_includes, "does not exist")
        self.includes("dataplane/net/a.cc", "controlplane/app/main.cc")
        self.assert_one(include_rules.check_includes, "includes the source file")

    def test_a_file_outside_the_rooms(self):
        self.includes("elsewhere/a.cc", "<vector>")
        self.assert_one(include_rules.check_includes, "lies in no room")


class FileTest(RuleTest):
    def test_sizes(self):
        self.write("a.cc", "\n" * 450)
        self.assertEqual(self.violations(file_rules.check_sizes), [])
        self.write("a.py", "\n" * 451)
        self.assert_one(file_rules.check_sizes, "a.py: 451 lines")

    def test_guards(self):
        good = "#ifndef SLUICE_X_A_B_H_\n#define SLUICE_X_A_B_H_\n#endif  // SLUICE_X_A_B_H_\n"
        self.write("x/a_b.h", good)
        self.assertEqual(self.violations(file_rules.check_guards), [])
        self.write("x/a_b.h", "// first\n" + good)
        self.assert_one(file_rules.check_guards, "does not begin with the include guard SLUICE_X_A_B_H_")
        self.write("x/a_b.h", good + "int a;\n")
        self.assert_one(file_rules.check_guards, "does not end with")

    def test_names(self):
        self.write("good_name.cc", "")
        self.write("BadName.cc", "")
        self.assert_one(file_rules.check_names, "BadName.cc")

    def test_columns(self):
        self.write("a.py", "#" * 120 + "\n")
        self.assertEqual(self.violations(file_rules.check_columns), [])
        self.write("b.py", "\n" + "#" * 121 + "\n")
        self.assert_one(file_rules.check_columns, "b.py:2: 121 columns")

    def test_format(self):
        self.write(".clang-format", "BasedOnStyle: Google\n")
        self.write("a.cc", "int a;\n")
        self.assertEqual(self.violations(file_rules.check_format), [])
        self.write("b.cc", "int  b ;\n")
        self.assert_one(file_rules.check_format, "b.cc: not formatted")

    def test_words(self):
        self.write("a.md", "all is done\n")
        self.write("LICENSE", "XX" + "X\n")
        self.assertEqual(self.violations(file_rules.check_words), [])
        self.write("b.sh", "fine\n# TO" + "DO: later\n")
        self.assert_one(file_rules.check_words, "b.sh:2: TO" + "DO")

    def test_top_level(self):
        for name in ("README.md", "dataplane/a.h", ".clang-format", "build/x", ".git/x"):
            self.write(name, "")
        self.assertEqual(self.violations(file_rules.check_top_level), [])
        self.write("notes.txt", "")
        self.assert_one(file_rules.check_top_level, "notes.txt")

    def test_scripts(self):
        self.write("a", "#!/bin/sh\n", executable=True)
        self.write("b", "text\n")
        self.assertEqual(self.violations(file_rules.check_scripts), [])
        self.write("b", "text\n", executable=True)
        self.assert_one(file_rules.check_scripts, "b: is executable but has no shebang")


class ReasonTest(RuleTest):
    def setUp(self):
        super().setUp()
        self.write(reason_rules.REASONS_HEADER, 'X(kOne, "one", "help") \\\nX(kTwo, \\\n    "two", "help")\n')
        self.write(reason_rules.OTHER_TESTS, "two: tests/unit/two_test.cc\n")
        self.write("tests/unit/two_test.cc", "EXPECT_EQ(reason, DropReason::kTwo);\n")

    def check(self, text, covered):
        self.assert_one(reason_rules.check_reasons, text, covered)

    def test_all_shown(self):
        self.assertEqual(self.violations(reason_rules.check_reasons, {"one"}), [])

    def test_a_reason_without_a_case(self):
        self.check("one: no golden case", set())

    def test_a_case_for_no_reason(self):
        self.check("expects three", {"one", "three"})

    def test_a_reason_listed_twice(self):
        self.check("two has a golden case", {"one", "two"})

    def test_a_test_that_does_not_mention_it(self):
        self.write("tests/unit/two_test.cc", "\n")
        self.check("mentions neither kTwo nor", {"one"})

    def test_a_test_in_python(self):
        self.write(reason_rules.OTHER_TESTS, "two: tests/e2e/two.py\n")
        self.write("tests/e2e/two.py", 'dropped["two"]\n')
        self.assertEqual(self.violations(reason_rules.check_reasons, {"one"}), [])

    def test_a_test_that_does_not_exist(self):
        (self.root / "tests/unit/two_test.cc").unlink()
        self.check("there is no tests/unit/two_test.cc", {"one"})

    def test_a_listed_word_that_is_no_reason(self):
        self.write(reason_rules.OTHER_TESTS, "two: tests/unit/two_test.cc\nfour: x\n")
        self.check("four is no drop reason", {"one"})

    def test_a_header_that_is_not_understood(self):
        self.write(reason_rules.REASONS_HEADER, "\n")
        self.check("no drop reasons were found", {"one"})


class GuideTest(RuleTest):
    def check(self, *rows):
        self.write(reason_rules.REASONS_HEADER, 'X(kOne, "one", "help") \\\nX(kTwo, \\\n    "two", "help")\n')
        self.write(reason_rules.GUIDE, "\n".join(["", "## By drop reason", *rows, ""]))
        return self.violations(reason_rules.check_guide)

    def test_every_reason_is_explained(self):
        self.assertEqual(self.check("| `one` | cause | remedy |", "| `two` | cause | remedy |"), [])
        self.assertEqual(self.check("| `one`, `two` | cause | remedy |"), [])

    def test_what_is_wrong(self):
        two = "| `two` | cause | remedy |"
        for rows, text in [([two], "no row explains the drop reason one"),
                           ([two, "| `one` | cause |  |"], "no row explains the drop reason one"),
                           ([two, "| `one` | cause | remedy |", "| `six` | cause | remedy |"], "six is no drop reason"),
                           ([two, "| `one`, `two` | cause | remedy |"], "two is explained twice")]:
            with self.subTest(text):
                found = self.check(*rows)
                self.assertEqual(len(found), 1, found)
                self.assertIn(text, found[0])

    def test_a_guide_without_the_table(self):
        self.write(reason_rules.REASONS_HEADER, 'X(kOne, "one", "help")\n')
        self.write(reason_rules.GUIDE, "\n")
        self.assert_one(reason_rules.check_guide, "there is no part")


if __name__ == "__main__":
    unittest.main()
