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

std::optional<DescriptorIndex> DescriptorTable::IndexOf(const QueueDescriptor& descriptor) const {
  const auto bucket = by_hash_.find(HashOf(descriptor));
  if (bucket == by_hash_.end()) return std::nullopt;
  for (const DescriptorIndex index : bucket->second) {
    if (*entries_[index] == descriptor) return index;
  }
  return std::nullopt;
}

DescriptorIndex DescriptorTable::Intern(const QueueDescriptor& descriptor) {
  if (const auto known = IndexOf(descriptor); known.has_value()) return *known;
  const DescriptorIndex index = next_index();
  InsertAt(index, descriptor);
  return index;
}

bool DescriptorTable::InsertAt(DescriptorIndex index, QueueDescriptor descriptor) {
  if (index < next_index()) return false;
  entries_.resize(index);
  by_hash_[HashOf(descriptor)].push_back(index);
  entries_.emplace_back(std::move(descriptor));
  ++live_;
  return true;
}

const QueueDescriptor* DescriptorTable::Find(DescriptorIndex index) const {
  if (index >= entries_.size() || !entries_[index].has_value()) return nullptr;
  return &*entries_[index];
}

void DescriptorTable::Drop(DescriptorIndex index) {
  if (Find(index) == nullptr) return;
  const auto bucket = by_hash_.find(HashOf(*entries_[index]));
  std::erase(bucket->second, index);
  if (bucket->second.empty()) by_hash_.erase(bucket);
  entries_[index].reset();
  --live_;
}

}  // namespace netsentinel::counters
