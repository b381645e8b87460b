#include "common/counters/descriptor_table.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"

namespace netsentinel::counters {
namespace {

std::size_t HashOf(const QueueDescriptor& descriptor) {
  return absl::Hash<QueueDescriptor>{}(descriptor);
}

}  // namespace

std::optional<DescriptorIndex> DescriptorTable::FindEqual(std::size_t hash,
                                                          const QueueDescriptor& descriptor) const {
  const auto first = by_hash_.find(hash);
  if (first == by_hash_.end()) return std::nullopt;
  if (*entries_[first->second] == descriptor) return first->second;
  const auto more = collisions_.find(hash);
  if (more == collisions_.end()) return std::nullopt;
  for (const DescriptorIndex index : more->second) {
    if (*entries_[index] == descriptor) return index;
  }
  return std::nullopt;
}

std::optional<DescriptorIndex> DescriptorTable::IndexOf(const QueueDescriptor& descriptor) const {
  return FindEqual(HashOf(descriptor), descriptor);
}

DescriptorIndex DescriptorTable::Append(std::size_t hash,
                                        std::shared_ptr<const QueueDescriptor> descriptor) {
  const DescriptorIndex index = next_index();
  if (!by_hash_.try_emplace(hash, index).second) collisions_[hash].push_back(index);
  entries_.push_back(std::move(descriptor));
  ++live_;
  return index;
}

DescriptorIndex DescriptorTable::Intern(const QueueDescriptor& descriptor) {
  const std::size_t hash = HashOf(descriptor);
  if (const auto known = FindEqual(hash, descriptor); known.has_value()) return *known;
  return Append(hash, std::make_shared<const QueueDescriptor>(descriptor));
}

DescriptorIndex DescriptorTable::Intern(const std::shared_ptr<const QueueDescriptor>& descriptor) {
  const std::size_t hash = HashOf(*descriptor);
  if (const auto known = FindEqual(hash, *descriptor); known.has_value()) return *known;
  return Append(hash, descriptor);
}

void DescriptorTable::Reserve(std::size_t more) {
  const std::size_t needed = entries_.size() + more;
  // At least twice as much, so that many small additions do not copy all entries each time.
  if (needed > entries_.capacity()) entries_.reserve(std::max(needed, 2 * entries_.capacity()));
  by_hash_.reserve(live_ + more);
}

bool DescriptorTable::SkipTo(DescriptorIndex next) {
  if (next <= next_index()) return true;
  if (next - next_index() > kMaxGap) return false;
  entries_.resize(next);
  return true;
}

bool DescriptorTable::InsertAt(DescriptorIndex index, QueueDescriptor descriptor) {
  if (index < next_index() || !SkipTo(index)) return false;
  const std::size_t hash = HashOf(descriptor);
  Append(hash, std::make_shared<const QueueDescriptor>(std::move(descriptor)));
  return true;
}

void DescriptorTable::Renumber(const std::vector<DescriptorIndex>& kept) {
  std::vector<std::shared_ptr<const QueueDescriptor>> old = std::exchange(entries_, {});
  by_hash_ = {};
  collisions_ = {};
  entries_.reserve(kept.size());
  for (const DescriptorIndex index : kept) {
    const DescriptorIndex now = next_index();
    entries_.push_back(std::move(old[index]));
    const std::size_t hash = HashOf(*entries_.back());
    if (!by_hash_.try_emplace(hash, now).second) collisions_[hash].push_back(now);
  }
  live_ = kept.size();
}

void DescriptorTable::Drop(DescriptorIndex index) {
  if (Find(index) == nullptr) return;
  const std::size_t hash = HashOf(*entries_[index]);
  const auto first = by_hash_.find(hash);
  const auto more = collisions_.find(hash);
  if (first->second != index) {
    std::erase(more->second, index);
  } else if (more != collisions_.end()) {
    first->second = more->second.front();
    more->second.erase(more->second.begin());
  } else {
    by_hash_.erase(first);
  }
  if (more != collisions_.end() && more->second.empty()) collisions_.erase(more);
  entries_[index].reset();
  --live_;
}

}  // namespace netsentinel::counters
