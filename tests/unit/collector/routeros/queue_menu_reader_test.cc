#include "collector/routeros/queue_menu_reader.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "collector/routeros/router_error.h"
#include "common/base/random.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::routeros {
namespace {

using counters::DescriptorTable;
using counters::Menu;
using counters::QueueDescriptor;
using counters::QueueReading;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using RowWords = std::vector<std::string>;

void Add(QueueMenuReader& reader, const RowWords& row) {
  const std::vector<absl::string_view> words(row.begin(), row.end());
  reader.AddRow(words);
}

class QueueMenuReaderTest : public testing::Test {
 protected:
  absl::Status Read(const std::vector<RowWords>& rows) {
    reader_.Begin();
    for (const RowWords& row : rows) Add(reader_, row);
    return reader_.Finish(readings_);
  }
  const QueueDescriptor& DescriptorOf(std::size_t row) {
    return *table_.Find(readings_.at(row).descriptor);
  }
  DescriptorTable table_;
  QueueMenuReader reader_{Menu::kSimple, table_};
  std::vector<QueueReading> readings_;
};

RowWords Simple(int id, const std::string& name, const std::string& bytes,
                const std::string& packets = "0/0") {
  return {".tag=2",
          absl::StrCat("=.id=*", id),
          absl::StrCat("=name=", name),
          "=target=10.0.0.1/32",
          "=parent=none",
          absl::StrCat("=bytes=", bytes),
          absl::StrCat("=packets=", packets),
          "=disabled=false"};
}

TEST_F(QueueMenuReaderTest, TakesThePasswordOutOfNamesAndMessagesAlsoWhenItIsChanged) {
  const auto rows = {Simple(1, "alice", "1/1"), Simple(2, "customer-12", "1/1")};
  reader_.BeginSession(base::SecretMask(base::Secret("something else")));
  ASSERT_THAT(Read(rows), test::IsOk());
  EXPECT_EQ(DescriptorOf(1).name, "customer-12");
  reader_.BeginSession(base::SecretMask(base::Secret("customer")));
  ASSERT_THAT(Read(rows), test::IsOk());
  EXPECT_EQ(DescriptorOf(0).name, "alice");
  EXPECT_EQ(DescriptorOf(1).name, "[password]-12");
  EXPECT_EQ(table_.live(), 2U);
  EXPECT_THAT(Read({Simple(1, "customer-13", "one/1")}),
              test::StatusIs(absl::StatusCode::kAborted, HasSubstr("'[password]-13'")));
  // So short a password stands in names by chance; in messages it is taken out all the same.
  reader_.BeginSession(base::SecretMask(base::Secret("custom")));
  ASSERT_THAT(Read(rows), test::IsOk());
  EXPECT_EQ(DescriptorOf(1).name, "customer-12");
  EXPECT_THAT(Read({Simple(1, "customer-13", "one/1")}),
              test::StatusIs(absl::StatusCode::kAborted, HasSubstr("'[password]er-13'")));
}

TEST_F(QueueMenuReaderTest, ReadsEveryFieldOfASimpleQueue) {
  ASSERT_THAT(Read({{".tag=2", "=.id=*1A", "=name=<pppoe-a=b>", "=target=<pppoe-a=b>",
                     "=parent=all", "=bytes=1024/4096", "=packets=3/4",
                     "=max-limit=1000000/12000000000", "=burst-limit=2M/0", "=comment=roof = 2",
                     "=dynamic=yes", "=disabled=false", "=invalid=true", "=about=new"}}),
              test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{0, 1024, 4096, 7}));
  EXPECT_EQ(DescriptorOf(0), (QueueDescriptor{.row_id = 26,
                                              .name = "<pppoe-a=b>",
                                              .target = "<pppoe-a=b>",
                                              .parent = "all",
                                              .comment = "roof = 2",
                                              .dynamic = true,
                                              .disabled = false,
                                              .invalid = true,
                                              .max_limit_upload = 1000000,
                                              .max_limit_download = 12000000000,
                                              .burst_limit_upload = 2000000,
                                              .burst_limit_download = 0}));
}

TEST(QueueMenuReaderTreeTest, ReadsOneDirectionIntoDownload) {
  DescriptorTable table;
  QueueMenuReader reader(Menu::kTree, table);
  std::vector<QueueReading> readings;
  reader.Begin();
  Add(reader,
      {"=.id=*1000003", "=name=alice-down", "=packet-mark=alice-d", "=parent=bridge",
       "=bytes=28841743", "=packets=55519", "=dropped=0", "=rate=254232", "=max-limit=5000000",
       "=burst-limit=7000000", "=disabled=false", "=invalid=false", "=comment=x"});
  ASSERT_THAT(reader.Finish(readings), test::IsOk());
  EXPECT_THAT(readings, ElementsAre(QueueReading{0, 0, 28841743, 55519}));
  EXPECT_EQ(*table.Find(0), (QueueDescriptor{.row_id = 0x1000003,
                                             .name = "alice-down",
                                             .target = "alice-d",
                                             .parent = "bridge",
                                             .comment = "x",
                                             .max_limit_download = 5000000,
                                             .burst_limit_download = 7000000}));
}

TEST_F(QueueMenuReaderTest, AsksForWhatItReads) {
  EXPECT_EQ(reader_.PrintCommand()[0], "/queue/simple/print");
  EXPECT_THAT(std::string(reader_.PrintCommand()[1]), HasSubstr(".id,name,target,parent,bytes,"));
  EXPECT_EQ(reader_.CountCommand()[1], "=count-only=");
  const QueueMenuReader tree(Menu::kTree, table_);
  EXPECT_NE(tree.settings_fingerprint(), reader_.settings_fingerprint());
}

TEST_F(QueueMenuReaderTest, TakesParentNoneForNone) {
  ASSERT_THAT(Read({Simple(1, "a", "1/2")}), test::IsOk());
  EXPECT_EQ(DescriptorOf(0).parent, "");
}

TEST_F(QueueMenuReaderTest, TakesAnEmptyMenuForNoQueues) {
  EXPECT_THAT(Read({}), test::IsOk());
  EXPECT_THAT(readings_, IsEmpty());
}

TEST_F(QueueMenuReaderTest, KeepsCountersOfSixtyFourBits) {
  ASSERT_THAT(Read({Simple(1, "a", "18446744073709551615/0", "18446744073709551615/2")}),
              test::IsOk());
  EXPECT_EQ(readings_[0].upload, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(readings_[0].packets, std::numeric_limits<std::uint64_t>::max()) << "sum saturates";
}

TEST_F(QueueMenuReaderTest, KeepsNamesOfAnyBytesApart) {
  ASSERT_THAT(Read({Simple(1, "caf\xE9", "1/1"), Simple(2, "caf\xC3\xA9", "2/2")}), test::IsOk());
  EXPECT_EQ(DescriptorOf(0).name, "caf\xE9");
  EXPECT_EQ(DescriptorOf(1).name, "caf\xC3\xA9");
}

struct BadRow {
  const char* name;
  RowWords row;
  const char* why;
};
class BadRowTest : public QueueMenuReaderTest, public testing::WithParamInterface<BadRow> {};

TEST_P(BadRowTest, RefusesTheWholeReplyAndChangesNothing) {
  ASSERT_THAT(Read({Simple(1, "a", "1/2"), Simple(2, "b", "3/4")}), test::IsOk());
  const std::vector<QueueReading> before = readings_;
  const absl::Status status =
      Read({Simple(1, "a", "5/6"), GetParam().row, Simple(9, "new", "1/1")});
  EXPECT_THAT(status, test::StatusIs(absl::StatusCode::kAborted, HasSubstr(GetParam().why)));
  EXPECT_THAT(std::string(status.message()), HasSubstr("row 2"));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kIncompleteReply);
  EXPECT_EQ(readings_, before);
  EXPECT_EQ(table_.live(), 2u);
  ASSERT_THAT(Read({Simple(1, "a", "7/8"), Simple(2, "b", "9/9")}), test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{0, 7, 8, 0}, QueueReading{1, 9, 9, 0}));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadRowTest,
    testing::Values(
        BadRow{"NoBytes", {"=.id=*2", "=name=b", "=packets=1/1"}, "absent is not zero"},
        BadRow{"KnownWithoutBytes",
               {".tag=2", "=.id=*2", "=name=b", "=target=10.0.0.1/32", "=parent=none",
                "=packets=0/0", "=disabled=false"},
               "absent is not zero"},
        BadRow{"EmptyBytes", {"=.id=*2", "=name=b", "=bytes="}, "`bytes`"},
        BadRow{"OneHalf", {"=.id=*2", "=name=b", "=bytes=5"}, "`bytes`"},
        BadRow{"Negative", {"=.id=*2", "=name=b", "=bytes=-1/5"}, "`bytes`"},
        BadRow{"Overflow", {"=.id=*2", "=name=b", "=bytes=18446744073709551616/0"}, "`bytes`"},
        BadRow{"BytesTwice", {"=.id=*2", "=name=b", "=bytes=1/1", "=bytes=1/1"}, "twice"},
        BadRow{"BadPackets", {"=.id=*2", "=name=b", "=bytes=1/1", "=packets=x"}, "`packets`"},
        BadRow{"NoId", {"=name=b", "=bytes=1/1"}, "no `.id`"},
        BadRow{"BadId", {"=.id=2", "=name=b", "=bytes=1/1"}, "`.id`"},
        BadRow{"IdTwice", {"=.id=*2", "=.id=*3", "=name=b", "=bytes=1/1"}, "`.id` twice"},
        BadRow{"NoName", {"=.id=*2", "=bytes=1/1"}, "no `name`"}, BadRow{"NoWords", {}, "no `.id`"},
        BadRow{"BadBool", {"=.id=*2", "=name=b", "=bytes=1/1", "=dynamic=maybe"}, "`dynamic`"},
        BadRow{"LongName",
               {"=.id=*2", "=name=" + std::string(2049, 'b'), "=bytes=1/1"},
               "a `name` of 2049 bytes; names of at most 2048"},
        BadRow{"LongParent",
               {"=.id=*2", "=name=b", "=bytes=1/1", "=parent=" + std::string(2049, 'p')},
               "a `parent` of 2049 bytes"},
        BadRow{"SameIdKnown", Simple(1, "a", "1/1"), "another row"},
        BadRow{"SameIdOtherName", Simple(1, "c", "1/1"), "another row"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(QueueMenuReaderTest, RefusesTheSameIdInTwoNewRows) {
  EXPECT_THAT(Read({Simple(5, "a", "1/1"), Simple(5, "b", "1/1")}),
              test::StatusIs(absl::StatusCode::kAborted, HasSubstr("another row")));
  EXPECT_EQ(table_.live(), 0u);
}

TEST_F(QueueMenuReaderTest, RefusesANewRowAndTheRememberedOneOfTheSameId) {
  ASSERT_THAT(Read({Simple(1, "a", "1/2")}), test::IsOk());
  EXPECT_THAT(Read({Simple(1, "renamed", "1/1"), Simple(1, "a", "1/2")}),
              test::StatusIs(absl::StatusCode::kAborted, HasSubstr("another row")));
}

TEST_F(QueueMenuReaderTest, NamesTheFirstBadRow) {
  EXPECT_THAT(Read({{"=.id=*1", "=name=\x01", "=bytes=x"}, {"=.id=*2"}}),
              test::StatusIs(absl::StatusCode::kAborted, HasSubstr("row 1 ('\\x01')")));
}

TEST_F(QueueMenuReaderTest, RefusesPacketsInSomeRowsOnly) {
  EXPECT_THAT(Read({Simple(1, "a", "1/2"), {"=.id=*2", "=name=b", "=bytes=1/1"}}),
              test::StatusIs(absl::StatusCode::kAborted, HasSubstr("only 1 of 2")));
}

TEST_F(QueueMenuReaderTest, TakesNamesUpToTheLimit) {
  RowWords row = Simple(1, std::string(2048, 'n'), "1/2");
  row[4] = "=parent=" + std::string(2048, 'p');
  ASSERT_THAT(Read({row}), test::IsOk());
  EXPECT_EQ(DescriptorOf(0).name.size(), 2048U);
  EXPECT_EQ(DescriptorOf(0).parent.size(), 2048U);
}

TEST_F(QueueMenuReaderTest, ShortensALongTargetAndCommentTheSameWayEachTime) {
  const std::string at_limit(4096, 't');
  RowWords row = Simple(1, "a", "1/2");
  row[3] = "=target=" + at_limit;
  row.push_back("=comment=" + at_limit);
  ASSERT_THAT(Read({row}), test::IsOk());
  EXPECT_EQ(DescriptorOf(0).target, at_limit);
  EXPECT_EQ(DescriptorOf(0).comment, at_limit);

  row[3] += "u";
  row.back() += "v";
  ASSERT_THAT(Read({row}), test::IsOk());
  const QueueDescriptor longer = DescriptorOf(0);
  EXPECT_EQ(longer.target.size(), 4096U);
  EXPECT_EQ(longer.comment.size(), 4096U);
  EXPECT_NE(longer.target, longer.comment) << "they differ in the last byte";

  DescriptorTable other_table;
  QueueMenuReader other(Menu::kSimple, other_table);
  other.Begin();
  Add(other, row);
  std::vector<QueueReading> readings;
  ASSERT_THAT(other.Finish(readings), test::IsOk());
  EXPECT_EQ(*other_table.Find(0), longer);
}

TEST_F(QueueMenuReaderTest, TakesALimitThatIsNoRateForNoneAndSaysSo) {
  RowWords odd = Simple(1, "a\x01", "1/2");
  odd.push_back("=max-limit=fast/1M");
  RowWords good = Simple(2, "b", "3/4");
  good.push_back("=max-limit=1M/2M");
  ASSERT_THAT(Read({odd, good}), test::IsOk());
  EXPECT_EQ(DescriptorOf(0).max_limit_upload, 0U);
  EXPECT_EQ(DescriptorOf(0).max_limit_download, 0U);
  EXPECT_EQ(DescriptorOf(1).max_limit_download, 2'000'000U);
  EXPECT_THAT(reader_.remark(), HasSubstr("a limit of 'a\\x01' in /queue/simple is no rate"));
  ASSERT_THAT(Read({odd, good}), test::IsOk());
  EXPECT_THAT(reader_.remark(), HasSubstr("a\\x01")) << "as long as it is so";
  ASSERT_THAT(Read({Simple(1, "a\x01", "1/2"), good}), test::IsOk());
  EXPECT_EQ(reader_.remark(), "");
}

TEST_F(QueueMenuReaderTest, DropsTheDescriptorsOfQueuesThatHaveGone) {
  ASSERT_THAT(Read({Simple(1, "a", "1/1"), Simple(2, "b", "2/2"), Simple(3, "c", "3/3")}),
              test::IsOk());
  ASSERT_THAT(Read({Simple(1, "a", "1/1"), Simple(3, "renamed", "3/3")}), test::IsOk());
  EXPECT_EQ(table_.live(), 2U);
  EXPECT_EQ(table_.Find(1), nullptr);
  ASSERT_THAT(Read({}), test::IsOk());
  EXPECT_EQ(table_.live(), 0U);
}

TEST_F(QueueMenuReaderTest, KeepsADescriptorWhoseWordsComeInAnotherOrder) {
  RowWords row = Simple(1, "a", "1/1");
  ASSERT_THAT(Read({row}), test::IsOk());
  std::swap(row[1], row[2]);
  ASSERT_THAT(Read({row}), test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{0, 1, 1, 0}));
  EXPECT_EQ(table_.live(), 1U);
  ASSERT_NE(table_.Find(0), nullptr);
}

TEST_F(QueueMenuReaderTest, StaysSmallHoweverManyQueuesComeAndGo) {
  for (int round = 0; round < 20'000; ++round) {
    ASSERT_THAT(Read({Simple(1, "stays", "1/1"), Simple(100 + round, "passes", "2/2")}),
                test::IsOk());
    ASSERT_LE(table_.next_index(), 4200U);
    ASSERT_EQ(DescriptorOf(0).name, "stays");
    ASSERT_EQ(DescriptorOf(1).name, "passes");
  }
  EXPECT_EQ(table_.live(), 2U);
}

TEST_F(QueueMenuReaderTest, TakesPacketsForGoneInANewSession) {
  const RowWords without = {"=.id=*2", "=name=b", "=bytes=1/1"};
  ASSERT_THAT(Read({Simple(2, "b", "1/1", "5/5")}), test::IsOk());
  EXPECT_THAT(Read({without}), test::StatusIs(absl::StatusCode::kAborted, HasSubstr("0 of 1")));
  reader_.BeginSession();
  EXPECT_THAT(Read({without}), test::IsOk());
}

TEST_F(QueueMenuReaderTest, RefusesPacketsThatAreGoneFromAllRows) {
  const RowWords without = {"=.id=*2", "=name=b", "=bytes=1/1"};
  ASSERT_THAT(Read({without}), test::IsOk());
  EXPECT_EQ(readings_[0].packets, 0u);
  ASSERT_THAT(Read({Simple(2, "b", "1/1", "5/5")}), test::IsOk());
  EXPECT_THAT(Read({without}), test::StatusIs(absl::StatusCode::kAborted, HasSubstr("0 of 1")));
  EXPECT_THAT(Read({}), test::IsOk());
}

TEST_F(QueueMenuReaderTest, KeepsTheIndexOfAQueueThatOnlyCounted) {
  ASSERT_THAT(Read({Simple(1, "a", "1/2"), Simple(2, "b", "3/4")}), test::IsOk());
  ASSERT_THAT(Read({Simple(1, "a", "10/20"), Simple(2, "b", "30/40")}), test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{0, 10, 20, 0}, QueueReading{1, 30, 40, 0}));
  EXPECT_EQ(table_.live(), 2u);
}

TEST_F(QueueMenuReaderTest, GivesANewIndexToAQueueThatChanged) {
  ASSERT_THAT(Read({Simple(1, "a", "1/2"), Simple(2, "b", "3/4")}), test::IsOk());
  ASSERT_THAT(Read({Simple(1, "renamed", "1/2"), Simple(2, "b", "3/4")}), test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{2, 1, 2, 0}, QueueReading{1, 3, 4, 0}));
  EXPECT_EQ(DescriptorOf(0).name, "renamed");
}

TEST_F(QueueMenuReaderTest, FollowsRowsThatMoved) {
  ASSERT_THAT(Read({Simple(1, "a", "1/1"), Simple(2, "b", "2/2"), Simple(3, "c", "3/3")}),
              test::IsOk());
  ASSERT_THAT(Read({Simple(4, "new", "9/9"), Simple(3, "c", "3/3"), Simple(1, "a", "1/1")}),
              test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{3, 9, 9, 0}, QueueReading{2, 3, 3, 0},
                                     QueueReading{0, 1, 1, 0}));
}

TEST_F(QueueMenuReaderTest, InternsAgainWhatOthersDroppedFromTheTable) {
  ASSERT_THAT(Read({Simple(1, "a", "1/1"), Simple(2, "b", "2/2")}), test::IsOk());
  const QueueDescriptor before = DescriptorOf(1);
  table_.Drop(readings_[1].descriptor);
  ASSERT_THAT(Read({Simple(1, "a", "1/1"), Simple(2, "b", "2/2")}), test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{0, 1, 1, 0}, QueueReading{2, 2, 2, 0}));
  EXPECT_EQ(DescriptorOf(1), before);
}

TEST_F(QueueMenuReaderTest, ForgetsAReplyThatWasBegunAndDropped) {
  reader_.Begin();
  Add(reader_, Simple(1, "half", "1/1"));
  ASSERT_THAT(Read({Simple(2, "b", "2/2")}), test::IsOk());
  EXPECT_THAT(readings_, SizeIs(1));
  EXPECT_EQ(table_.live(), 1u);
}

TEST_F(QueueMenuReaderTest, TakesPropertiesNobodyAskedForInAnyOrder) {
  ASSERT_THAT(Read({Simple(1, "a", "1/2")}), test::IsOk());
  RowWords row = Simple(1, "a", "3/4");
  row.push_back("=rate=1/1");
  row.insert(row.begin(), "=queued-bytes=7/7");
  ASSERT_THAT(Read({row}), test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{0, 3, 4, 0}));
  std::reverse(row.begin(), row.end());
  ASSERT_THAT(Read({row}), test::IsOk());
  EXPECT_THAT(readings_, ElementsAre(QueueReading{0, 3, 4, 0}));
  EXPECT_EQ(table_.live(), 1u);
}

// Random menus that live on: rows come, go, move and change; a reader with a memory must say what
// one without says.
TEST(QueueMenuReaderPropertyTest, ReadsTheSameWithAndWithoutAMemory) {
  base::SeededRandom random(7);
  DescriptorTable table;
  QueueMenuReader reader(Menu::kSimple, table);
  std::vector<std::pair<int, int>> menu;  // .id and version of the description
  for (int round = 0; round < 300; ++round) {
    for (std::uint64_t changes = random.Next() % 4; changes > 0; --changes) {
      const std::size_t at = menu.empty() ? 0 : random.Next() % menu.size();
      switch (random.Next() % 4) {
        case 0:
          menu.insert(menu.begin() + static_cast<std::ptrdiff_t>(at),
                      {round * 8 + int(changes), 0});
          break;
        case 1:
          if (!menu.empty()) menu.erase(menu.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        case 2:
          if (!menu.empty()) ++menu[at].second;
          break;
        default:
          if (!menu.empty()) std::swap(menu[at], menu[0]);
      }
    }
    DescriptorTable fresh_table;
    QueueMenuReader fresh(Menu::kSimple, fresh_table);
    fresh.Begin();
    reader.Begin();
    for (const auto& [id, version] : menu) {
      const RowWords row = Simple(id, absl::StrCat("q", id, "v", version),
                                  absl::StrCat(random.Next(), "/", random.Next()));
      Add(fresh, row);
      Add(reader, row);
    }
    std::vector<QueueReading> expected;
    std::vector<QueueReading> readings;
    ASSERT_THAT(fresh.Finish(expected), test::IsOk());
    ASSERT_THAT(reader.Finish(readings), test::IsOk());
    ASSERT_EQ(readings.size(), expected.size());
    for (std::size_t i = 0; i < readings.size(); ++i) {
      EXPECT_EQ(*table.Find(readings[i].descriptor), *fresh_table.Find(expected[i].descriptor));
      EXPECT_EQ(readings[i].upload, expected[i].upload);
      EXPECT_EQ(readings[i].download, expected[i].download);
    }
  }
}

}  // namespace
}  // namespace netsentinel::routeros
