#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "gtest/gtest.h"

#include "aggregator/query/store_slot.h"
#include "aggregator/store/sqlite_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/local_caller.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/aggregator/ingest/flaky_store.h"

namespace netsentinel::query {

// What a service that changes things needs: a store with the lease whose calls can be made to end
// as they should not, a second one beside it, and a caller on this host.
class AdministrationFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(factory_, store::OpenSqliteStore(folder_.path() + "/store.db"));
    ASSERT_OK_AND_ASSIGN(other_, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         other_->AcquireLease("test", absl::Minutes(5)));
    fence_ = lease.fence;
    ASSERT_OK_AND_ASSIGN(auto store, factory_->Connect());
    auto flaky = std::make_unique<store::FlakyStore>(std::move(store));
    flaky_ = flaky.get();
    slot_.Fill(std::move(flaky));
  }

  test::TempFolder folder_;
  test::FakeClock clock_;
  std::unique_ptr<store::StoreFactory> factory_;
  std::unique_ptr<store::Store> other_;
  store::FlakyStore* flaky_ = nullptr;
  std::optional<store::Fence> fence_;
  StoreSlot slot_;
  const test::LocalCaller caller_{clock_};
};

}  // namespace netsentinel::query
