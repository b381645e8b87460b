#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/mutex.h"
#include "notifier/delivery/grouping.h"
#include "notifier/delivery/sqlite_delivery_queue.h"
#include "notifier/report/html_renderer.h"

namespace netsentinel::delivery {

struct AlertSettings {
  std::string channel;
  std::vector<std::string> recipients;
  GroupPolicy group;
};

// What forming letters came to.
struct Forming {
  // When to look again.
  absl::Time look_again = absl::InfiniteFuture();
  // The first thing that kept an alert from becoming a letter; it is tried again.
  absl::Status failure;
};

// Makes letters of the alerts that wait in the queue. One thread; Change() from any.
class AlertDesk {
 public:
  // The queue and the renderer must outlive it.
  AlertDesk(AlertSettings settings, SqliteDeliveryQueue& queue,
            const report::HtmlRenderer& renderer)
      : settings_(std::move(settings)), queue_(queue), renderer_(renderer) {}

  // New settings, for letters that are not formed yet.
  void Change(AlertSettings settings);

  // Alerts of the last five days whose mail nobody got, and nobody who is a recipient now will get,
  // become alerts without a mail again. For the start and after Change(). Errors are the queue's.
  absl::Status TellAnew(absl::Time now);

  // Forms every letter that is due at `now`. What fails for one site leaves the others alone.
  Forming FormLetters(absl::Time now);

 private:
  absl::StatusOr<absl::Time> FormSite(const AlertSettings& settings, const std::string& site_id,
                                      absl::Time now);
  // One letter of at most `most` alerts; how many it tells. An error also when the letter was
  // formed and some alert is not in it.
  absl::StatusOr<std::size_t> Form(const AlertSettings& settings, const std::string& site_id,
                                   std::size_t most, absl::Time now);

  base::Mutex mutex_;
  AlertSettings settings_ ABSL_GUARDED_BY(mutex_);
  SqliteDeliveryQueue& queue_;
  const report::HtmlRenderer& renderer_;
  // By site: why its last letter left alerts out, or is none. The forming thread's.
  std::map<std::string, absl::Status> failures_;
};

// Says why an alert can never be delivered, or OK: a breach id that is not 64 hexadecimal digits, a
// site that is no name, texts that are longer than 4 KiB, an instant or date out of range.
absl::Status CheckAlert(const report::Alert& alert);

}  // namespace netsentinel::delivery
