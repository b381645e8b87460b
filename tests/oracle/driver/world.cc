#include "tests/oracle/driver/world.h"

#include <algorithm>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "common/base/status_macros.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/merge.h"
#include "common/counters/snapshot_codec.h"
#include "tests/oracle/driver/words.h"

namespace netsentinel::oracle {
namespace {

using accounting::Book;
using accounting::EventRecord;
using accounting::Incoming;
using accounting::StagedBatch;
using accounting::StagedFlush;
using counters::Menu;
using counters::Snapshot;
using counters::SnapshotHeader;

// The snapshot with its descriptors numbered in `table`.
Snapshot InTable(const counters::SelfContained& decoded, counters::DescriptorTable& table) {
  Snapshot snapshot = decoded.snapshot;
  const auto renumber = [&](counters::DescriptorIndex index) {
    return table.Intern(*decoded.table.Find(index));
  };
  for (counters::QueueReading& r : snapshot.readings) r.descriptor = renumber(r.descriptor);
  for (counters::MergedStep& step : snapshot.steps) {
    for (counters::QueueReading& r : step.readings) r.descriptor = renumber(r.descriptor);
    for (counters::DescriptorIndex& gone : step.gone) gone = renumber(gone);
  }
  return snapshot;
}

}  // namespace

absl::Status World::Run(Words words, std::string& out) {
  const absl::string_view command = words[0];
  if (command == "row") return Row(words);
  if (command == "snap") return Snap(words);
  if (command == "deliver") return Deliver(words, out);
  if (command == "usage") return Usage(words, out);
  if (command == "thin") return Thin(words, out);
  if (command == "bytes" || command == "ask" || command == "session" || command == "hangup") {
    return Line(words);
  }
  if (command == "take") return Take(words, out);
  if (command == "clock") return Clock(words);
  if (command == "reboot") return Reboot(words);
  if (command == "site") return Site(words);
  if (command == "router") return Router(words);
  if (command == "rule") return Rule(words);
  if (command == "rows") return Rows(out), absl::OkStatus();
  if (command == "events") return Events(out), absl::OkStatus();
  NS_RETURN_IF_ERROR(Need(words, 2));
  const std::int64_t now_us = Receipt(words[1]);
  if (command == "start" || command == "policy") return book_.SetPolicy(policy_, now_us);
  if (command == "flush") return Flush(now_us, /*fails=*/false);
  if (command == "failflush") return Flush(now_us, /*fails=*/true);
  if (command == "restart") {
    if (words[1] != "agreed" || time_ == nullptr) return Restart(now_us);
    BeginTime();
    return Restart(time_->At(true_us_ - booted_us_));
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown command ", command));
}

absl::Status World::Site(Words words) {
  NS_RETURN_IF_ERROR(Need(words, 4));
  accounting::SiteSettings site;
  site.id = base::SiteId(Text(words[1]));
  if (!absl::LoadTimeZone(words[2], &site.zone)) {
    return absl::InvalidArgumentError(absl::StrCat("no such zone: ", words[2]));
  }
  site.day_start = absl::Seconds(Number<std::int64_t>(words[3]));
  for (const absl::string_view cut : words.subspan(4)) {
    site.cuts.push_back(absl::Seconds(Number<std::int64_t>(cut)));
  }
  policy_.sites.push_back(std::move(site));
  return absl::OkStatus();
}

absl::Status World::Router(Words words) {
  NS_RETURN_IF_ERROR(Need(words, 7));
  accounting::RouterSettings router;
  router.id = base::RouterId(Text(words[1]));
  router.site = base::SiteId(Text(words[2]));
  router.account = MenuOf(words[3]);
  router.line_rate_bps = Number<std::uint64_t>(words[4]);
  router.poll_interval = absl::Seconds(Number<std::int64_t>(words[5]));
  router.parents =
      words[6] == "roots" ? accounting::ParentsMode::kRoots : accounting::ParentsMode::kResidue;
  policy_.routers.push_back(std::move(router));
  return absl::OkStatus();
}

absl::Status World::Rule(Words words) {
  NS_RETURN_IF_ERROR(Need(words, 6));
  accounting::MappingRule rule;
  rule.menu = MenuOf(words[1]);
  rule.name_pattern = Text(words[2]);
  rule.subscriber = Text(words[3]);
  rule.direction = words[4] == "upload"     ? accounting::Direction::kUpload
                   : words[4] == "download" ? accounting::Direction::kDownload
                                            : accounting::Direction::kBoth;
  rule.join_routers = words[5] == "join";
  policy_.mapping.push_back(std::move(rule));
  return absl::OkStatus();
}

// snap ROUTER MENU HOST BEGIN END SESSION STAMP UPTIME SERIAL FINGERPRINT BOUNDARY SKEW PAUSED
//      DECIDED ROWS
absl::Status World::Snap(Words words) {
  NS_RETURN_IF_ERROR(Need(words, 16));
  if (rows_to_come_ != 0)
    return absl::InvalidArgumentError("rows of the last snapshot are lacking");
  building_ = Snapshot();
  building_table_ = counters::DescriptorTable();
  building_.router = base::RouterId(Text(words[1]));
  building_.menu = MenuOf(words[2]);
  SnapshotHeader& h = building_.header;
  h.host_boot_id = Text(words[3]);
  h.begin_us = Number<std::int64_t>(words[4]);
  h.end_us = Number<std::int64_t>(words[5]);
  h.session_id = Number<std::uint64_t>(words[6]);
  h.attribution_us = Number<std::int64_t>(words[7]);
  h.clock = counters::AttributionClock::kAggregator;
  h.router_uptime_s = Number<std::uint64_t>(words[8]);
  h.device.serial_number = Text(words[9]);
  h.settings_fingerprint = Number<std::uint64_t>(words[10]);
  h.at_boundary = words[11] == "1";
  h.boundary_skew_ms = Number<std::uint32_t>(words[12]);
  h.host_paused_us = Number<std::int64_t>(words[13]);
  h.pause_decided = words[14] == "1";
  rows_to_come_ = Number<std::size_t>(words[15]);
  return rows_to_come_ == 0 ? Spool() : absl::OkStatus();
}

// row ID NAME TARGET PARENT DYNAMIC MAX_UP MAX_DOWN BURST_UP BURST_DOWN UPLOAD DOWNLOAD PACKETS
absl::Status World::Row(Words words) {
  NS_RETURN_IF_ERROR(Need(words, 13));
  if (rows_to_come_ == 0) return absl::InvalidArgumentError("a row without a snapshot");
  counters::QueueDescriptor d;
  d.row_id = Number<std::uint64_t>(words[1]);
  d.name = Text(words[2]);
  d.target = Text(words[3]);
  d.parent = Text(words[4]);
  d.dynamic = words[5] == "1";
  d.max_limit_upload = Number<std::uint64_t>(words[6]);
  d.max_limit_download = Number<std::uint64_t>(words[7]);
  d.burst_limit_upload = Number<std::uint64_t>(words[8]);
  d.burst_limit_download = Number<std::uint64_t>(words[9]);
  building_.readings.push_back({building_table_.Intern(d), Number<std::uint64_t>(words[10]),
                                Number<std::uint64_t>(words[11]),
                                Number<std::uint64_t>(words[12])});
  return --rows_to_come_ == 0 ? Spool() : absl::OkStatus();
}

absl::Status World::Spool() {
  spool_.push_back({building_.router, building_.menu,
                    counters::EncodeSelfContained(building_, building_table_)});
  return absl::OkStatus();
}

// thin INDEX BOUNDARY...: merges the snapshot of that number into the next of its menu, as a spool
// does that is short of room. Says whether it could.
absl::Status World::Thin(Words words, std::string& out) {
  NS_RETURN_IF_ERROR(Need(words, 2));
  const auto a = Number<std::size_t>(words[1]);
  if (a >= spool_.size() || spool_[a].delivered) {
    out += "thin 0\n";
    return absl::OkStatus();
  }
  std::vector<std::int64_t> boundaries;
  for (const absl::string_view word : words.subspan(2)) {
    boundaries.push_back(Number<std::int64_t>(word));
  }
  // The two before it and the one after it, of its router and menu.
  std::vector<std::size_t> around;
  std::size_t at = 0;
  for (std::size_t i = 0; i < spool_.size(); ++i) {
    if (spool_[i].router != spool_[a].router || spool_[i].menu != spool_[a].menu) continue;
    if (i == a) at = around.size();
    around.push_back(i);
  }
  bool merged = false;
  if (at >= 2 && at + 1 < around.size()) {
    counters::DescriptorTable table;
    std::vector<Snapshot> four;
    for (std::size_t i = at - 2; i <= at + 1; ++i) {
      absl::StatusOr<counters::SelfContained> decoded =
          counters::DecodeSelfContained(spool_[around[i]].payload);
      NS_RETURN_IF_ERROR(decoded.status());
      four.push_back(InTable(*decoded, table));
      four.back().router = spool_[a].router;
      four.back().menu = spool_[a].menu;
    }
    const std::optional<Snapshot> b =
        counters::Merge({&four[0], &four[1], &four[2], &four[3], boundaries}, table);
    if (b.has_value()) {
      merged = true;
      spool_[around[at + 1]].payload = counters::EncodeSelfContained(*b, table);
      spool_.erase(spool_.begin() + static_cast<std::ptrdiff_t>(a));
    }
  }
  absl::StrAppend(&out, "thin ", merged ? 1 : 0, "\n");
  return absl::OkStatus();
}

// deliver COUNT NOW TOGETHER: the oldest COUNT of the spool; together: neighbours of different
// routers and menus in one batch.
absl::Status World::Deliver(Words words, std::string& out) {
  NS_RETURN_IF_ERROR(Need(words, 4));
  auto count = Number<std::size_t>(words[1]);
  const std::int64_t now_us = Receipt(words[2]);
  const bool together = words[3] == "1";
  std::vector<std::size_t> batch;
  std::vector<std::pair<std::string, Menu>> keys;
  for (std::size_t i = 0; i < spool_.size() && count > 0; ++i) {
    if (spool_[i].delivered) continue;
    --count;
    const std::pair<std::string, Menu> key(spool_[i].router.value(), spool_[i].menu);
    if (!batch.empty() && (!together || std::find(keys.begin(), keys.end(), key) != keys.end())) {
      NS_RETURN_IF_ERROR(DeliverBatch(batch, now_us, out));
      batch.clear();
      keys.clear();
    }
    batch.push_back(i);
    keys.push_back(key);
  }
  return batch.empty() ? absl::OkStatus() : DeliverBatch(batch, now_us, out);
}

absl::Status World::DeliverBatch(absl::Span<const std::size_t> which, std::int64_t now_us,
                                 std::string& out) {
  std::vector<Snapshot> snapshots(which.size());
  std::vector<Incoming> incoming;
  for (std::size_t i = 0; i < which.size(); ++i) {
    Spooled& row = spool_[which[i]];
    absl::StatusOr<counters::SelfContained> decoded = counters::DecodeSelfContained(row.payload);
    NS_RETURN_IF_ERROR(decoded.status());
    accounting::StreamDictionary& stream =
        streams_[{std::string(row.router.value()), static_cast<int>(row.menu)}];
    snapshots[i] = InTable(*decoded, stream.table);
    snapshots[i].router = row.router;
    snapshots[i].menu = row.menu;
    incoming.push_back({&snapshots[i], &stream, now_us});
    row.delivered = true;
  }
  StagedBatch batch = book_.Stage(incoming);
  for (std::size_t i = 0; i < which.size(); ++i) {
    if (!batch.results[i].ok()) {
      absl::StrAppend(&out, "refused ", which[i], " ", batch.results[i].message(), "\n");
    }
  }
  for (accounting::StagedJournal& row : batch.journal) {
    row.journal_id = next_journal_id_++;
    journal_.push_back({row.journal_id, row.router, row.menu, row.received_us, row.payload});
  }
  events_.insert(events_.end(), batch.events.begin(), batch.events.end());
  for (const accounting::Breach& b : batch.breaches) {
    stored_.fired.push_back({b.subscriber, b.quota_id, b.period_start, b.threshold_percent});
  }
  book_.Install(std::move(batch));
  return absl::OkStatus();
}

absl::Status World::Flush(std::int64_t now_us, bool fails) {
  StagedFlush flush = book_.StageFlush(now_us, {});
  if (fails) {
    book_.FlushFailed(std::move(flush));
    return absl::OkStatus();
  }
  for (const auto& [key, part] : flush.dropped_checkpoints) checkpoints_.erase({key, part});
  for (const accounting::CheckpointBlob& blob : flush.checkpoints) {
    checkpoints_[{blob.state_key, blob.part}] = blob.payload;
  }
  events_.insert(events_.end(), flush.events.begin(), flush.events.end());
  stored_.queues.insert(stored_.queues.end(), flush.queues.begin(), flush.queues.end());
  stored_.subscribers.insert(stored_.subscribers.end(), flush.subscribers.begin(),
                             flush.subscribers.end());
  for (const StagedFlush::Reopened& r : flush.reopened_days) {
    std::erase_if(stored_.closed_days, [&](const accounting::ClosedDay& closed) {
      return closed.router == r.router && closed.day >= r.first;
    });
  }
  stored_.closed_days.insert(stored_.closed_days.end(), flush.closed_days.begin(),
                             flush.closed_days.end());
  for (const accounting::NumberedUsage& u : flush.usage) usage_[RowKey(u.row)] = u.row;
  for (const StagedFlush::Trim& trim : flush.trims) {
    std::erase_if(journal_, [&](const accounting::StoredJournal& row) {
      return row.router == trim.router && row.menu == trim.menu &&
             row.journal_id <= trim.journal_id;
    });
  }
  stored_.next_queue_id = flush.next_queue_id;
  stored_.next_subscriber_id = flush.next_subscriber_id;
  book_.InstallFlush(std::move(flush));
  return absl::OkStatus();
}

absl::Status World::Restart(std::int64_t now_us) {
  book_ = Book();
  NS_RETURN_IF_ERROR(book_.SetPolicy(policy_, now_us));
  accounting::RecoveryInput input = stored_;
  input.now_us = now_us;
  for (const auto& [key, payload] : checkpoints_) {
    input.checkpoints.push_back({key.first, key.second, payload});
  }
  NS_RETURN_IF_ERROR(book_.Recover(input));
  NS_RETURN_IF_ERROR(book_.Replay(journal_));
  streams_.clear();
  return absl::OkStatus();
}

}  // namespace netsentinel::oracle
