#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "collector/spool/spool.h"
#include "common/base/random.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::spool {

inline MenuKey Simple(const std::string& router) {
  return {base::RouterId(router), counters::Menu::kSimple};
}
inline MenuKey Tree(const std::string& router) {
  return {base::RouterId(router), counters::Menu::kTree};
}

inline NewRow RowOf(const MenuKey& key, std::string payload, std::int64_t attribution_us = 0) {
  return {.key = key,
          .lease_epoch = 3,
          .attribution_us = attribution_us,
          .at_boundary = false,
          .payload = std::move(payload)};
}

class SpoolFixture : public ::testing::Test {
 protected:
  SpoolOptions Options() const { return {.folder = folder_.path()}; }
  std::string DatabasePath() const { return folder_.path() + "/spool.db"; }

  std::unique_ptr<Spool> Open(const SpoolOptions& options) {
    auto spool = Spool::Open(options, clock_, random_);
    EXPECT_THAT(spool, test::IsOk());
    return spool.ok() ? *std::move(spool) : nullptr;
  }
  std::unique_ptr<Spool> Open() { return Open(Options()); }

  static std::vector<std::uint64_t> Put(Spool& spool, const std::vector<NewRow>& rows) {
    auto sequences = spool.Append(rows);
    EXPECT_THAT(sequences, test::IsOk());
    return sequences.ok() ? *sequences : std::vector<std::uint64_t>();
  }
  static std::vector<SpoolRow> ReadAll(Spool& spool, const MenuKey& key, std::uint64_t after = 0) {
    auto rows = spool.ReadAfter(key, after, 1000, 1 << 30);
    EXPECT_THAT(rows, test::IsOk());
    return rows.ok() ? *std::move(rows) : std::vector<SpoolRow>();
  }

  test::TempFolder folder_;
  test::FakeClock clock_;
  base::SeededRandom random_{7};
};

}  // namespace netsentinel::spool
