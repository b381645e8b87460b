// What a World says of its Book.
#include <algorithm>
#include <set>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "common/base/status_macros.h"
#include "tests/oracle/driver/words.h"
#include "tests/oracle/driver/world.h"

namespace netsentinel::oracle {
namespace {

using accounting::EventRecord;
using accounting::UsageRow;
using accounting::UsageSum;
using base::TrafficBytes;

std::string Pair(const TrafficBytes& bytes) {
  return absl::StrCat(bytes.upload, " ", bytes.download);
}

}  // namespace

std::string RowKey(const UsageRow& r) {
  return absl::StrCat(r.queue.router.value(), "/", counters::MenuName(r.queue.menu), "/",
                      r.queue.name, "/", r.subscriber.site.value(), "/",
                      r.subscriber.router.value(), "/", r.subscriber.name, "/",
                      absl::FormatCivilTime(r.day), "/", r.segment);
}

std::vector<UsageRow> World::WithStored(std::vector<UsageRow> rows, absl::CivilDay first,
                                        absl::CivilDay last) const {
  std::set<std::string> seen;
  for (const UsageRow& row : rows) seen.insert(RowKey(row));
  for (const auto& [key, row] : usage_) {
    if (row.day >= first && row.day <= last && !seen.contains(key)) rows.push_back(row);
  }
  return rows;
}

// usage SITE ROUTER SUBSCRIBER FIRST LAST [SEGMENT]
//   -> usage SURE_UP SURE_DOWN COUNTED_UP COUNTED_DOWN UNSEEN_UP UNSEEN_DOWN GRADE
absl::Status World::Usage(Words words, std::string& out) const {
  if (words.size() < 6) return absl::InvalidArgumentError("usage needs 5 words");
  absl::CivilDay first;
  absl::CivilDay last;
  if (!absl::ParseCivilTime(words[4], &first) || !absl::ParseCivilTime(words[5], &last)) {
    return absl::InvalidArgumentError("usage needs two days");
  }
  accounting::SubscriberKey key;
  key.site = base::SiteId(std::string(words[1]));
  if (words[2] != "-") key.router = base::RouterId(std::string(words[2]));
  key.name = std::string(words[3]);
  std::vector<UsageRow> rows = WithStored(book_.SubscriberUsage(key, first, last), first, last);
  std::erase_if(rows, [&key](const UsageRow& row) { return !(row.subscriber == key); });
  if (words.size() > 6) {
    const auto segment = Number<int>(words[6]);
    std::erase_if(rows, [segment](const UsageRow& row) { return row.segment != segment; });
  }
  const UsageSum sum = accounting::SumUsage(rows, first, last);
  absl::StrAppend(&out, "usage ", Pair(sum.sure), " ", Pair(sum.counted), " ", Pair(sum.unseen),
                  " ", static_cast<int>(sum.grade), "\n");
  return absl::OkStatus();
}

void World::Rows(std::string& out) const {
  std::vector<std::string> lines;
  const absl::CivilDay first(2000, 1, 1);
  const absl::CivilDay last(2100, 1, 1);
  for (const UsageRow& r : WithStored(book_.Usage(base::SiteId(), first, last), first, last)) {
    lines.push_back(absl::StrCat(
        "day ", absl::FormatCivilTime(r.day), " ", r.segment, " ", r.queue.router.value(), " ",
        counters::MenuName(r.queue.menu), " ", r.queue.name, " for ", r.subscriber.name,
        " counted ", Pair(r.counted), " doubt ", Pair(r.doubt), " unseen ", Pair(r.unseen),
        " begin ", Pair(r.begin_inside), " ", Pair(r.begin_outside), " end ", Pair(r.end_inside),
        " ", Pair(r.end_outside), " blind ", r.blind_us, " seen ", r.observed_us, " ",
        r.first_reading_us, " ", r.last_reading_us, " epochs ", r.epochs, " grade ",
        static_cast<int>(r.grade), "\n"));
  }
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) out += line;
}

void World::Events(std::string& out) const {
  for (const EventRecord& e : events_) {
    absl::StrAppend(&out, "event ", e.at_us, " ", e.router.value(), " ", e.kind, " ",
                    e.queue.empty() ? "-" : e.queue, "\n");
  }
}

}  // namespace netsentinel::oracle
