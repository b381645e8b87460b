#include "collector/spool/pending_readings.h"

#include <algorithm>
#include <utility>

namespace netsentinel::spool {

void PendingReadings::Add(NewRow row) {
  bytes_ += row.payload.size();
  std::vector<NewRow>& rows = menus_[row.key];
  if (!rows.empty() && !rows.back().at_boundary) {
    bytes_ -= rows.back().payload.size();
    rows.pop_back();
    ++replaced_;
  }
  rows.push_back(std::move(row));
  const auto boundaries = static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [](const NewRow& r) { return r.at_boundary; }));
  if (boundaries > limits_.boundaries_per_menu) {
    bytes_ -= rows.front().payload.size();
    rows.erase(rows.begin());
    ++replaced_;
  }
  while (bytes_ > limits_.bytes_max) {
    const std::uint64_t before = bytes_;
    DropOldestBoundary();
    if (bytes_ == before) return;
  }
}

// Only where something newer of the same menu stands behind it.
void PendingReadings::DropOldestBoundary() {
  std::vector<NewRow>* oldest = nullptr;
  for (auto& [key, rows] : menus_) {
    if (rows.size() < 2) continue;
    if (oldest == nullptr || rows.front().attribution_us < oldest->front().attribution_us) {
      oldest = &rows;
    }
  }
  if (oldest == nullptr) return;
  bytes_ -= oldest->front().payload.size();
  oldest->erase(oldest->begin());
  ++replaced_;
}

std::vector<NewRow> PendingReadings::All() const {
  std::vector<NewRow> all;
  for (const auto& [key, rows] : menus_) all.insert(all.end(), rows.begin(), rows.end());
  return all;
}

void PendingReadings::Clear() {
  menus_.clear();
  bytes_ = 0;
}

}  // namespace netsentinel::spool
