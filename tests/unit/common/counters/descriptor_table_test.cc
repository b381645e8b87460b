#include "common/counters/descriptor_table.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include <gtest/gtest.h>

namespace netsentinel::counters {
namespace {

QueueDescriptor Named(const std::string& name, std::uint64_t id = 1) {
  QueueDescriptor descriptor;
  descriptor.row_id = id;
  descriptor.name = name;
  return descriptor;
}

TEST(DescriptorTableTest, EqualDescriptorsHaveOneIndex) {
  DescriptorTable table;
  EXPECT_EQ(table.Intern(Named("a")), 0U);
  EXPECT_EQ(table.Intern(Named("b")), 1U);
  EXPECT_EQ(table.Intern(Named("a")), 0U);
  EXPECT_EQ(table.Intern(Named("a", 2)), 2U);
  EXPECT_EQ(table.live(), 3U);
  EXPECT_EQ(table.IndexOf(Named("b")), 1U);
  EXPECT_EQ(table.IndexOf(Named("c")), std::nullopt);
  EXPECT_EQ(table.Find(3), nullptr);
}

TEST(DescriptorTableTest, AnIndexIsNeverGivenTwice) {
  DescriptorTable table;
  table.Intern(Named("a"));
  table.Drop(0);
  table.Drop(0);
  table.Drop(99);
  EXPECT_EQ(table.live(), 0U);
  EXPECT_EQ(table.Find(0), nullptr);
  EXPECT_EQ(table.IndexOf(Named("a")), std::nullopt);
  EXPECT_EQ(table.Intern(Named("a")), 1U);
}

TEST(DescriptorTableTest, AForeignNumberingHasGapsButNoWayBackAndNoHugeGap) {
  DescriptorTable table;
  EXPECT_TRUE(table.InsertAt(5, Named("a")));
  EXPECT_EQ(table.next_index(), 6U);
  EXPECT_EQ(table.Find(4), nullptr);
  EXPECT_FALSE(table.InsertAt(5, Named("b")));
  EXPECT_FALSE(table.InsertAt(6 + DescriptorTable::kMaxGap + 1, Named("b")));
  EXPECT_EQ(table.next_index(), 6U);
  EXPECT_TRUE(table.SkipTo(10));
  EXPECT_TRUE(table.SkipTo(3));
  EXPECT_EQ(table.next_index(), 10U);
  EXPECT_FALSE(table.SkipTo(10 + DescriptorTable::kMaxGap + 1));
}

TEST(DescriptorTableTest, ACopyIsItsOwn) {
  DescriptorTable table;
  table.Intern(Named("a"));
  DescriptorTable copy = table;
  table.Drop(0);
  ASSERT_NE(copy.Find(0), nullptr);
  EXPECT_EQ(copy.Find(0)->name, "a");
  EXPECT_EQ(copy.IndexOf(Named("a")), 0U);
}

TEST(DescriptorTableTest, NumbersAreGivenAnewToWhatIsKept) {
  DescriptorTable table;
  ASSERT_TRUE(table.InsertAt(3, Named("a")));
  ASSERT_TRUE(table.InsertAt(7, Named("b")));
  ASSERT_TRUE(table.InsertAt(8, Named("a")));  // equal to another
  ASSERT_TRUE(table.InsertAt(9, Named("c")));
  table.Renumber({3, 8, 9});
  EXPECT_EQ(table.next_index(), 3U);
  EXPECT_EQ(table.live(), 3U);
  EXPECT_EQ(table.Find(1)->name, "a");
  EXPECT_EQ(table.IndexOf(Named("c")), 2U);
  EXPECT_EQ(table.IndexOf(Named("b")), std::nullopt);
  table.Drop(0);
  EXPECT_EQ(table.IndexOf(Named("a")), 1U);
}

// Against a plain list, equal descriptors at several indices included.
TEST(DescriptorTableTest, RandomUseAgreesWithAList) {
  std::mt19937 random(11);
  DescriptorTable table;
  std::vector<std::optional<QueueDescriptor>> list;
  for (int i = 0; i < 4000; ++i) {
    const QueueDescriptor one = Named(absl::StrCat("q", random() % 20));
    const unsigned what = random() % 4;
    if (what == 0) {
      list.resize(list.size() + random() % 3);
      ASSERT_TRUE(table.InsertAt(static_cast<DescriptorIndex>(list.size()), one));
      list.emplace_back(one);
    } else if (what == 1 && !list.empty()) {
      const std::size_t index = random() % list.size();
      table.Drop(static_cast<DescriptorIndex>(index));
      list[index].reset();
    } else if (what == 2) {
      const DescriptorIndex index = table.Intern(one);
      if (index == list.size()) list.emplace_back(one);
      ASSERT_EQ(list[index], one);
    }
    const auto found = table.IndexOf(one);
    const bool there = std::find(list.begin(), list.end(), one) != list.end();
    ASSERT_EQ(found.has_value(), there);
    if (found.has_value()) {
      ASSERT_EQ(list[*found], one);
    }
    ASSERT_EQ(table.next_index(), list.size());
    ASSERT_EQ(table.live(), list.size() - static_cast<std::size_t>(
                                              std::count(list.begin(), list.end(), std::nullopt)));
  }
}

}  // namespace
}  // namespace netsentinel::counters
