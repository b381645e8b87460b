#pragma once

#include <memory>
#include <utility>

#include "absl/status/status.h"

#include "aggregator/store/store.h"
#include "common/base/mutex.h"

namespace netsentinel::query {

// A store that may be opened long after those who ask it have started. Thread-safe: one call to the
// store at a time.
class StoreSlot {
 public:
  void Fill(std::unique_ptr<store::Store> store) {
    base::MutexLock lock(mutex_);
    store_ = std::move(store);
  }
  // What `call` (store::Store& → absl::Status or StatusOr) answers; kUnavailable before Fill.
  template <typename Call>
  auto Ask(Call call) -> decltype(call(std::declval<store::Store&>())) {
    base::MutexLock lock(mutex_);
    if (store_ == nullptr) {
      return absl::UnavailableError("the store is not open yet; /readyz says why");
    }
    return call(*store_);
  }

 private:
  base::Mutex mutex_;
  std::unique_ptr<store::Store> store_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::query
