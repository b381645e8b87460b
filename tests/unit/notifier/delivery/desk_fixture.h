#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/log/capturing_logger.h"
#include "notifier/delivery/delivery_worker.h"
#include "notifier/delivery/report_desk.h"
#include "tests/support/fake_clock.h"
#include "tests/support/sample_report.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::delivery {

struct Sent {
  std::string letter_id;
  std::string recipient;
  std::string subject;
  absl::Time date;
  std::string csv_name;
  std::string csv;
  std::string text;
};

// Answers what the test says; by default it delivers.
class ScriptedChannel final : public channel::Channel {
 public:
  absl::string_view name() const override { return "smtp"; }
  channel::SendResult Send(const channel::Letter& letter, const std::string& recipient) override {
    sent.push_back({letter.id, recipient, letter.subject, letter.date, letter.csv_name, letter.csv,
                    letter.text});
    if (on_send) on_send();
    const auto answer = answers.find(recipient);
    return {.outcome = answer == answers.end() ? otherwise : answer->second, .detail = "as told"};
  }
  channel::SendResult Probe() override {
    ++probes;
    if (on_probe) on_probe();
    return {.outcome = probe, .detail = "as probed"};
  }
  std::map<std::string, channel::Outcome> answers;
  channel::Outcome probe = channel::Outcome::kDelivered;
  int probes = 0;
  channel::Outcome otherwise = channel::Outcome::kDelivered;
  std::vector<Sent> sent;
  // Called while a mail or a probe is under way.
  std::function<void()> on_send;
  std::function<void()> on_probe;
};

class FakeSource final : public UsageSource {
 public:
  absl::StatusOr<std::vector<Site>> ListSites() override {
    ++lists;
    if (on_list) on_list();
    if (!up.ok()) return up;
    return sites;
  }
  absl::StatusOr<report::DayRanking> GetRanking(const std::string& site_id,
                                                const std::string& day) override {
    if (on_ranking) on_ranking(site_id);
    if (const auto answer = failing.find(site_id); answer != failing.end()) return answer->second;
    asked.push_back(absl::StrCat(site_id, " ", day));
    report::DayRanking ranking = test::SampleDay(2, day, false);
    for (const Site& site : sites) {
      if (site.id == site_id) ranking.so_far = day >= site.current_day;
    }
    return ranking;
  }
  absl::Status up;
  std::map<std::string, absl::Status> failing;
  std::vector<Site> sites;
  std::vector<std::string> asked;
  int lists = 0;
  std::function<void()> on_list;
  std::function<void(const std::string&)> on_ranking;
};

inline report::Alert SampleAlert(int number, const std::string& site = "lahore") {
  return {.breach_id = absl::StrFormat("%064x", number),
          .site_id = site,
          .router_id = "hq-core",
          .name = absl::StrCat("user-", number),
          .quota_id = "default",
          .period = report::QuotaPeriod::kDay,
          .period_start = "2026-01-01",
          .time_zone = "Asia/Karachi",
          .basis = report::QuotaBasis::kDownload,
          .limit_bytes = 10ULL << 30,
          .threshold_percent = 100,
          .used = {0, 11ULL << 30},
          .crossed_at = absl::FromUnixSeconds(1767225600 + number),
          .crossed_at_local = "2026-01-01 05:00:01 +05:00"};
}

// A notifier without its gRPC services, on a clock that the test moves. Start() again is a restart.
class DeskTest : public ::testing::Test {
 protected:
  DeskTest() { Start(); }

  void Start() {
    worker_.reset();
    reports_.reset();
    desk_.reset();
    queue_.reset();
    auto queue = SqliteDeliveryQueue::Open(Path(), {}, clock_.WallNow(), limits_);
    ASSERT_THAT(queue, test::IsOk());
    queue_ = *std::move(queue);
    auto renderer = report::HtmlRenderer::Create();
    ASSERT_THAT(renderer, test::IsOk());
    renderer_ = *std::move(renderer);
    desk_ = std::make_unique<AlertDesk>(
        AlertSettings{.channel = "smtp", .recipients = recipients_, .group = {}}, *queue_,
        *renderer_);
    worker_ = std::make_unique<DeliveryWorker>(
        WorkerParts{clock_, *queue_, channel_, *desk_, wakeup_, logger_, metrics_, readiness_,
                    liveness_.AddPulse("worker", absl::Hours(1))},
        RetryPolicy{});
    reports_ = std::make_unique<ReportDesk>(
        report_settings_, "smtp",
        ReportParts{clock_, *queue_, source_, *renderer_, wakeup_, logger_, readiness_});
  }

  std::string Path() const { return folder_.path() + "/queue.db"; }
  // Between two processes.
  void ChangeFile(const std::string& sql) {
    worker_.reset();
    reports_.reset();
    desk_.reset();
    queue_.reset();
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<sqlite::Database> file,
                         sqlite::Database::Open(Path(), {}));
    ASSERT_THAT(file->Execute(sql), test::IsOk());
  }
  absl::Duration Work() { return worker_->RunOnce(std::stop_token()); }
  void Accept(const std::vector<report::Alert>& alerts) {
    ASSERT_THAT(queue_->Accept(alerts, clock_.WallNow()), test::IsOk());
  }
  std::vector<std::string> Recipients() const {
    std::vector<std::string> out;
    for (const Sent& sent : channel_.sent) out.push_back(sent.recipient);
    return out;
  }
  std::vector<std::string> Subjects() const {
    std::vector<std::string> out;
    for (const Sent& sent : channel_.sent) out.push_back(sent.subject);
    return out;
  }
  Status StatusFor(const std::string& recipient) {
    auto list = queue_->List(1000);
    EXPECT_THAT(list, test::IsOk());
    for (const DeliveryRecord& record : *list) {
      if (record.recipient == recipient) return record.status;
    }
    ADD_FAILURE() << "no delivery for " << recipient;
    return Status::kWaiting;
  }
  void AddKarachi(const std::string& id = "lahore") {
    Site site{.id = id, .zone = {}, .day_start = {}, .current_day = ""};
    ASSERT_TRUE(absl::LoadTimeZone("Asia/Karachi", &site.zone));
    source_.sites.push_back(site);
    Today();
  }
  // The source's current day by the clock.
  void Today() {
    for (Site& site : source_.sites) {
      site.current_day = IsoDate(LocalDayOf(clock_.WallNow(), site.day_start, site.zone));
    }
  }

  test::TempFolder folder_;
  test::FakeClock clock_{absl::FromUnixSeconds(1767225600)};  // 2026-01-01 05:00 in Asia/Karachi
  QueueLimits limits_;
  std::vector<std::string> recipients_ = {"noc@example"};
  std::vector<ReportSettings> report_settings_ = {
      {.name = "daily", .at = {18, 15}, .sites = {}, .recipients = {"boss@example"}}};
  ScriptedChannel channel_;
  FakeSource source_;
  Wakeup wakeup_;
  log::CapturingLogger logger_;
  metrics::Registry metrics_;
  http::Readiness readiness_;
  http::Liveness liveness_{clock_};
  std::unique_ptr<SqliteDeliveryQueue> queue_;
  std::unique_ptr<report::HtmlRenderer> renderer_;
  std::unique_ptr<AlertDesk> desk_;
  std::unique_ptr<DeliveryWorker> worker_;
  std::unique_ptr<ReportDesk> reports_;
};

}  // namespace netsentinel::delivery
