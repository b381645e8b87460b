#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

#include "common/base/random.h"
#include "notifier/report/model.h"
#include "notifier/report/shares.h"

namespace netsentinel::test {

// Names that try to break a table, a page or a spreadsheet.
inline std::string HostileName(std::size_t index) {
  switch (index) {
    case 0:
      return std::string(200, 'W');
    case 1:
      return "<script>alert(1)</script><b>bold</b>&amp;";
    case 2:
      return "مشترك الطابق الثالث 42";
    case 3:
      return "=HYPERLINK(\"http://example\",\"x\"), \"quoted\"";
    case 4:
      return "right\u202Eto left";
    case 5:
      return std::string("caf\xE9 \x01 raw");
    default:
      return absl::StrFormat("customer-%05d", index);
  }
}

// A ranking of `count` subscribers, the same for the same arguments; the first six names are
// hostile and grades and standings of every kind occur.
inline report::DayRanking SampleDay(std::size_t count, std::string day, bool so_far) {
  base::SeededRandom random(count + (so_far ? 1 : 0));
  report::DayRanking out;
  out.day = std::move(day);
  out.so_far = so_far;
  out.as_of = absl::FromUnixSeconds(1774534495);  // 2026-03-26 19:14:55 in Asia/Karachi
  std::uint64_t size = 60ULL << 30;
  for (std::size_t i = 0; i < count; ++i) {
    report::RankedSubscriber row;
    row.rank = static_cast<std::uint32_t>(i + 1);
    row.router_id = i % 5 == 4 ? "" : "hq-core";
    row.name = HostileName(i);
    row.counted.download = size - size / 7;
    row.counted.upload = size / 7;
    row.sure = row.counted;
    row.grade = static_cast<report::Grade>(i % 4);
    if (row.grade == report::Grade::kEstimated) row.estimated.download = size / 50;
    if (row.grade == report::Grade::kBounded) row.unseen = {1ULL << 20, 300ULL << 20};
    if (row.grade == report::Grade::kPartial) row.unseen = {5ULL << 30, 7ULL << 30};
    if (i % 4 != 3) {
      // Over, near and within in turn; some were counted beyond what is certain.
      const bool doubted = i % 8 == 1;
      const std::uint64_t percent = doubted ? 101 : 104 - 21 * (i % 4);
      report::Standing standing;
      standing.limit_bytes = row.counted.download * 100 / percent;
      if (doubted) row.sure.download = standing.limit_bytes / 100 * 83;
      standing.used_bytes = row.sure.download;
      standing.percent =
          static_cast<std::uint32_t>(standing.used_bytes * 100 / standing.limit_bytes);
      standing.counted_percent = static_cast<std::uint32_t>(percent);
      standing.state = static_cast<report::StandingState>(2 - i % 4);
      standing.counted_state = doubted ? report::StandingState::kOver : standing.state;
      row.standing = standing;
    }
    size -= std::min<std::uint64_t>(size / 2, random.Next() % (size / 20 + 1));
    out.total += row.counted;
    out.rows.push_back(std::move(row));
  }
  out.subscriber_count = count;
  out.observation = report::Observation::kWhole;
  out.reading_began = absl::FromUnixSeconds(1774000000);
  report::NormalizeShares(out);
  return out;
}

// A report of today with `count` subscribers and of yesterday with as many and one open router.
inline report::RankedReport SampleReport(std::size_t count) {
  report::RankedReport out;
  out.site_id = "lahore";
  absl::LoadTimeZone("Asia/Karachi", &out.zone);
  out.day = SampleDay(count, "2026-03-26", true);
  out.day_before = SampleDay(count, "2026-03-25", false);
  if (count > 1) out.day_before->open_routers = {"gulberg-2"};
  return out;
}

}  // namespace netsentinel::test
