#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "notifier/channel/channel.h"

namespace netsentinel::channel {

// A channel whose inside can be replaced while it is in use: the new one takes over with the next
// letter or probe. Replace() from any thread, the rest as Channel. The new one must have the same
// name.
class ReplaceableChannel final : public Channel {
 public:
  explicit ReplaceableChannel(std::unique_ptr<Channel> inside) : inside_(std::move(inside)) {}

  void Replace(std::unique_ptr<Channel> next) {
    base::MutexLock lock(mutex_);
    next_ = std::move(next);
  }
  absl::string_view name() const override { return inside_->name(); }
  SendResult Send(const Letter& letter, const std::string& recipient) override {
    TakeOver();
    return inside_->Send(letter, recipient);
  }
  SendResult Probe() override {
    TakeOver();
    return inside_->Probe();
  }
  void Rest() override { inside_->Rest(); }

 private:
  void TakeOver() {
    base::MutexLock lock(mutex_);
    if (next_ != nullptr) inside_ = std::move(next_);
  }

  std::unique_ptr<Channel> inside_;
  base::Mutex mutex_;
  std::unique_ptr<Channel> next_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::channel
