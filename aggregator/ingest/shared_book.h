#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "aggregator/accounting/book.h"

namespace netsentinel::ingest {

// The Book between its one writer, the engine, and whoever asks questions. Thread-safe.
class SharedBook {
 public:
  template <typename Question>
  auto Read(Question&& question) const {
    const std::shared_lock lock(mutex_);
    return std::forward<Question>(question)(static_cast<const accounting::Book&>(*book_));
  }
  // The engine only.
  template <typename Change>
  auto Write(Change&& change) {
    const std::unique_lock lock(mutex_);
    return std::forward<Change>(change)(*book_);
  }
  // Puts another Book in its place. The engine only.
  void Replace(std::unique_ptr<accounting::Book> book) {
    const std::unique_lock lock(mutex_);
    book_ = std::move(book);
  }

 private:
  mutable std::shared_mutex mutex_;
  std::unique_ptr<accounting::Book> book_ = std::make_unique<accounting::Book>();
};

}  // namespace netsentinel::ingest
