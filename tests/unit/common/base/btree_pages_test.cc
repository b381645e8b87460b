#include "common/base/btree_pages.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::base {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint32_t kPage = 512;

// A leaf page with the given cells, from the end on.
std::string Leaf(const std::vector<std::string>& cells, std::size_t header = 0) {
  std::string page(kPage, '\0');
  page[header] = 0x0D;
  page[header + 4] = static_cast<char>(cells.size());
  std::size_t at = kPage;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    at -= cells[i].size();
    page.replace(at, cells[i].size(), cells[i]);
    page[header + 8 + 2 * i] = static_cast<char>(at >> 8);
    page[header + 9 + 2 * i] = static_cast<char>(at & 0xFF);
  }
  return page;
}

std::vector<PageRow> RowsOf(const std::vector<std::string>& pages,
                            std::uint64_t max_row_bytes = 1 << 20) {
  std::vector<PageRow> rows;
  ForEachPageRow(
      kPage, 0, static_cast<std::uint32_t>(pages.size()), max_row_bytes,
      [&](std::uint32_t number) { return pages.at(number - 1); },
      [&](const PageRow& row) { rows.push_back(row); });
  return rows;
}

// Number 7: NULL, 300, -2, 1, "ab".
const std::string kCell(
    "\x0b\x07\x06\x00\x02\x01\x09\x11\x01\x2c\xfe"
    "ab",
    13);

TEST(BtreePagesTest, ReadsTheRowsOfALeaf) {
  const std::vector<PageRow> rows = RowsOf({Leaf({kCell}, 100), Leaf({kCell, kCell})});
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].number, 7);
  EXPECT_THAT(rows[0].values,
              ElementsAre(PageValue(), PageValue(std::int64_t{300}), PageValue(std::int64_t{-2}),
                          PageValue(std::int64_t{1}), PageValue(std::string("ab"))));
}

TEST(BtreePagesTest, FollowsALongRowAndRefusesACircle) {
  // 1000 bytes of text: record of 3 + 1000 bytes, of which 39 stand on the page
  // (least 39; 39 + (1003 - 39) % 508 is 495, which is more than 477).
  const std::string text(1000, 'x');
  std::string record("\x03\x8f\x5d", 3);
  record += text;
  const std::string cell =
      std::string("\x87\x6b\x01", 3) + record.substr(0, 39) + std::string("\0\0\0\x03", 4);
  std::string third("\0\0\0\x04", 4);
  third += record.substr(39, 508);
  std::string fourth(4, '\0');
  fourth += record.substr(39 + 508);
  fourth.resize(kPage);
  const std::string none(kPage, '\0');
  const std::vector<PageRow> rows = RowsOf({none, Leaf({cell}), third, fourth});
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_THAT(rows[0].values, ElementsAre(PageValue(text)));
  EXPECT_THAT(RowsOf({none, Leaf({cell}), third, fourth}, 1002), IsEmpty());
  EXPECT_THAT(RowsOf({none, Leaf({cell}), third}), IsEmpty());
  third[3] = 3;  // leads to itself: the row ends with its length, and is no row any more
  EXPECT_THAT(RowsOf({none, Leaf({cell}), third, fourth}), SizeIs(1));
  third[3] = 9;
  EXPECT_THAT(RowsOf({none, Leaf({cell}), third, fourth}), IsEmpty());
}

TEST(BtreePagesTest, PassesOverWhatIsNoRow) {
  for (std::size_t size = 0; size < kCell.size(); ++size) {
    std::string cut = kCell.substr(0, size);
    EXPECT_THAT(RowsOf({std::string(kPage, '\0'), Leaf({cut})}), IsEmpty()) << size;
  }
  EXPECT_THAT(RowsOf({std::string(kPage, '\x0D')}), IsEmpty());
  EXPECT_THAT(RowsOf({std::string(kPage, '\xFF'), "short"}), IsEmpty());
}

}  // namespace
}  // namespace netsentinel::base
