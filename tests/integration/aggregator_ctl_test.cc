#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/integration/aggregator_fixture.h"

// What netsentinelctl says of a real aggregator, and which aggregator it asks.
namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

using Words = std::vector<std::string>;

class CtlTest : public AggregatorFixture {
 protected:
  // It is about noon at the site: no midnight divides what a test moves.
  CtlTest() {
    const int ahead = 12 - absl::ToCivilHour(absl::Now(), absl::UTCTimeZone()).hour();
    time_zone_ = absl::StrCat("Etc/GMT", ahead > 0 ? "-" : "+", std::abs(ahead));
    EXPECT_TRUE(absl::LoadTimeZone(time_zone_, &zone_)) << time_zone_;
    WriteConfig();
  }
  // The site's day that many days ago.
  std::string Day(int ago) const {
    return absl::FormatCivilTime(absl::ToCivilDay(absl::Now(), zone_) - ago);
  }
  void Begin(const std::string& limit) {
    limit_ = limit;
    WriteConfig();
    Start();
  }
  struct Said {
    int code = -1;
    std::string out, err;
  };
  // In an environment of `variables` ("NAME=value") beside the test's own.
  static Said Run(const Words& variables, const Words& words) {
    Words all = variables;
    all.emplace_back(NS_CTL);
    all.insert(all.end(), words.begin(), words.end());
    test::Subprocess process("env", all);
    Said said;
    said.code = process.Wait(absl::Seconds(60));
    said.out = process.Stdout();
    said.err = process.Stderr();
    return said;
  }
  std::string Target() { return absl::StrCat("127.0.0.1:", ports_.at("grpc")); }
  Said Ctl(const Words& words) {
    return Run({"NETSENTINEL_AGGREGATOR=" + Target(), "NETSENTINEL_CA=" + files_.ca,
                "NETSENTINEL_CERT=" + files_.cert, "NETSENTINEL_KEY=" + files_.key},
               words);
  }
  // What a command that is to succeed prints.
  std::string Out(const Words& words) {
    const Said said = Ctl(words);
    EXPECT_EQ(said.code, 0) << words[0] << ": " << said.err;
    return said.out;
  }
  // What a command that is to fail complains of.
  std::string Complaint(const Words& words) {
    const Said said = Ctl(words);
    EXPECT_EQ(said.code, 1) << words[0] << ": " << said.out;
    return said.err;
  }
  // Three subscribers on r1, one of the same name on r2, with the bytes they moved.
  void Move() {
    const auto client = Hello("c1", {"r1", "r2"});
    const auto send = [&](const std::string& router, std::uint64_t sequence,
                          const std::vector<test::ClientQueue>& rows) {
      client->Send(test::MakeSnapshot({router, Epoch(router), kSpool, sequence, sequence - 1}, rows,
                                      absl::Now()));
      ASSERT_TRUE(client->ReadAck().has_value()) << Log();
    };
    send("r1", 1, {{"alice", 0, 0}, {"bob", 0, 0}, {"carol", 0, 0}});
    send("r2", 1, {{"alice", 0, 0}});
    send("r1", 2, {{"alice", 40 << 20, 83 << 20}, {"bob", 0, 104 << 20}, {"carol", 0, 5 << 20}});
    send("r2", 2, {{"alice", 0, 120 << 20}});
  }

  absl::TimeZone zone_;
  const config::TlsFiles files_ = certificates_.Issue(rpc::Role::kOperator, "olga");
};

TEST_F(CtlTest, AFlagBeatsTheEnvironmentForEverySubcommand) {
  Start();
  Move();
  const std::vector<Words> commands = {{"ranking"},
                                       {"usage", "bob"},
                                       {"routers"},
                                       {"events"},
                                       {"breaches"},
                                       {"quota", "list"},
                                       {"quota", "set", "bob", "--limit", "1GiB"}};
  const Words tls = {"NETSENTINEL_CA=" + files_.ca, "NETSENTINEL_CERT=" + files_.cert,
                     "NETSENTINEL_KEY=" + files_.key};
  const auto with = [](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  for (const Words& command : commands) {
    const Said elsewhere = Run(with(tls, {"NETSENTINEL_AGGREGATOR=" + Target()}),
                               with(command, {"--aggregator", "127.0.0.1:1", "--timeout", "5"}));
    EXPECT_EQ(elsewhere.code, 1) << command[0] << ": " << elsewhere.out;
    EXPECT_THAT(elsewhere.err, HasSubstr("127.0.0.1:1")) << command[0];
    EXPECT_EQ(elsewhere.out, "") << command[0];
    const Said here = Run(with(tls, {"NETSENTINEL_AGGREGATOR=127.0.0.1:1"}),
                          with(command, {"--aggregator", Target()}));
    EXPECT_EQ(here.code, 0) << command[0] << ": " << here.err;
    const Said wrong = Run(with(tls, {"NETSENTINEL_AGGREGATOR=" + Target()}),
                           with(command, {"--cert", "/nowhere.crt", "--timeout", "5"}));
    EXPECT_EQ(wrong.code, 1) << command[0] << ": " << wrong.out;
    EXPECT_THAT(wrong.err, HasSubstr("/nowhere.crt")) << command[0];
    const Said right =
        Run({"NETSENTINEL_AGGREGATOR=" + Target(), "NETSENTINEL_CA=/nowhere",
             "NETSENTINEL_CERT=/nowhere", "NETSENTINEL_KEY=/nowhere"},
            with(command, {"--ca", files_.ca, "--cert", files_.cert, "--key", files_.key}));
    EXPECT_EQ(right.code, 0) << command[0] << ": " << right.err;
  }
  const Said report = Run(with(tls, {"NETSENTINEL_NOTIFIER=127.0.0.1:1"}),
                          {"report", "now", "--notifier", "127.0.0.1:2", "--timeout", "5"});
  EXPECT_EQ(report.code, 1);
  EXPECT_THAT(report.err, HasSubstr("127.0.0.1:2"));
}

TEST_F(CtlTest, RankingSaysWhoIsNearAndOverAndHowManyItDoesNotShow) {
  Begin("100MiB, thresholds: [80, 100]");
  Move();
  const std::string all = Out({"ranking"});
  EXPECT_THAT(all, ContainsRegex("alice \\(r2\\).* OVER, 120 %  +100.00 MiB download/day"));
  EXPECT_THAT(all, ContainsRegex("bob \\(r1\\).* OVER, 104 %"));
  EXPECT_THAT(all, ContainsRegex("alice \\(r1\\).* near, 83 %"));
  EXPECT_THAT(all, ContainsRegex("carol \\(r1\\).* within, 5 %"));
  EXPECT_THAT(all, Not(HasSubstr("shown")));
  EXPECT_THAT(all, HasSubstr("\n4 subscribers, "));
  EXPECT_THAT(Out({"ranking", "--limit", "2"}), HasSubstr("\n2 of 4 shown (--limit 2)\n"));
  const std::string over = Out({"ranking", "--over"});
  EXPECT_THAT(over, AllOf(HasSubstr("bob (r1)"), HasSubstr("alice (r2)"),
                          HasSubstr("2 over the limit, of 4 subscribers, ")));
  EXPECT_THAT(over, AllOf(Not(HasSubstr("alice (r1)")), Not(HasSubstr("carol"))));
  EXPECT_THAT(Out({"ranking", "--over", "--limit", "1"}), HasSubstr("1 of 2 shown (--limit 1)"));
  EXPECT_THAT(Out({"ranking", "--near"}),
              AllOf(HasSubstr("alice (r1)"), HasSubstr("3 near or over the limit, of")));
  EXPECT_EQ(Ctl({"ranking", "--near", "--over"}).code, 2);
}

TEST_F(CtlTest, BreachesSayOfWhomAndWhatTheQuotaCounts) {
  Begin("100MiB");
  Move();
  ASSERT_TRUE(test::WaitUntil([&] { return Out({"breaches"}).find("bob") != std::string::npos; }));
  const std::string all = Out({"breaches"});
  EXPECT_THAT(all, ContainsRegex("WHEN \\(SITE'S TIME\\) +SUBSCRIBER +SITE +ROUTER +QUOTA"));
  EXPECT_THAT(all, ContainsRegex("bob +lab +r1 +default 100 % +20..-..-.. +104.00 MiB +100.00 MiB"
                                 " +download  waiting"));
  EXPECT_THAT(all, ContainsRegex("alice +lab +r2 +default 100 %"));
  EXPECT_THAT(Out({"breaches", "--router", "r2"}),
              AllOf(HasSubstr("120.00 MiB"), Not(HasSubstr("bob"))));
  EXPECT_THAT(Out({"breaches", "--name", "bob", "--site", "lab"}), Not(HasSubstr("alice")));
  EXPECT_THAT(Out({"breaches", "--limit", "1"}), HasSubstr("\n1 of 2 shown (--limit 1)\n"));
  const std::string yesterday = Day(1);
  EXPECT_THAT(Out({"breaches", "--day", yesterday}), Not(HasSubstr("bob")));
  EXPECT_THAT(Out({"breaches", "--from", yesterday}), HasSubstr("bob"));
  EXPECT_THAT(Out({"events", "--from", yesterday, "--site", "lab", "--limit", "1"}),
              HasSubstr("WHAT"));
}

TEST_F(CtlTest, AQuotaWithoutALimitIsListedAsThat) {
  Begin("unlimited");
  Move();
  EXPECT_THAT(Out({"quota", "list"}),
              ContainsRegex("default +\\(all\\) +day +download +unlimited\n"));
  EXPECT_THAT(Out({"ranking"}), ContainsRegex("bob \\(r1\\).*  -  "));
}

TEST_F(CtlTest, EveryQuestionTakesDaysByTheSameRules) {
  Start();
  Move();
  for (const Words& command :
       std::vector<Words>{{"ranking"}, {"usage", "bob"}, {"events"}, {"breaches"}}) {
    const auto complaint = [&](const Words& flags) {
      Words words = command;
      words.insert(words.end(), flags.begin(), flags.end());
      return Complaint(words);
    };
    EXPECT_EQ(complaint({"--to", "2026-01-01"}),
              "netsentinelctl: --to 2026-01-01 needs --from: the day to begin with\n");
    EXPECT_EQ(complaint({"--day", "2026-01-01", "--from", "2026-01-01"}),
              "netsentinelctl: give --day for one day, or --from and --to, not both\n");
    EXPECT_THAT(complaint({"--day", "2987-01-01"}),
                HasSubstr("the day 2987-01-01 has not begun at site lab, where it is "));
    EXPECT_THAT(complaint({"--from", "2987-01-01"}), HasSubstr("has not begun at site lab"));
  }
  const std::string yesterday = Day(1);
  EXPECT_THAT(Out({"ranking", "--from", yesterday}),
              AllOf(HasSubstr("bob"), HasSubstr(absl::StrCat(yesterday, " to "))));
  EXPECT_THAT(Out({"usage", "bob", "--from", yesterday}), HasSubstr("104.00 MiB"));
}

TEST_F(CtlTest, ADayBeforeReadingBeganIsNotCalledEmpty) {
  Start();
  const std::string before = Day(2);
  EXPECT_THAT(Out({"ranking", "--day", before}),
              HasSubstr("lab: not observed, no router has been read yet\n"));
  Move();
  for (int start = 0; start < 2; ++start) {
    EXPECT_THAT(
        Out({"ranking", "--day", before}),
        ContainsRegex("lab: not observed, reading began on 20..-..-.. ..:..:.. [-+]..00\n"));
    EXPECT_THAT(Out({"usage", "bob", "--day", before}),
                AllOf(HasSubstr("no usage on these days"),
                      HasSubstr("lab: not observed, reading began on ")));
    EXPECT_THAT(
        Out({"ranking", "--day", Day(0)}),
        AllOf(HasSubstr("lab: not read in this time: r3 (never read yet), other (never "
                        "read yet)\n"),
              ContainsRegex(
                  "lab: reading began in this time: r1 at 20..-..-.. ..:..:.. [-+]..00, r2 at ")));
    // It is known after a restart too.
    Kill();
    Start();
  }
}

}  // namespace
}  // namespace netsentinel
