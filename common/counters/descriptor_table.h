#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "common/counters/snapshot.h"

namespace netsentinel::counters {

// The dictionary of one (router, menu): descriptors by index. Indices are given in order and never
// reused; an entry may be dropped when its queue has gone. Copies share the descriptors. One
// thread.
class DescriptorTable {
 public:
  // The index of an equal descriptor, or of a new entry.
  DescriptorIndex Intern(const QueueDescriptor& descriptor);
  // The same without a copy; not null.
  DescriptorIndex Intern(const std::shared_ptr<const QueueDescriptor>& descriptor);
  // Makes room for so many new entries at once.
  void Reserve(std::size_t more);
  // Puts an entry at the given index, which must be `next_index()` or later (gaps are dropped
  // entries); for decoding a dictionary somebody else numbered. False if it is earlier, or so much
  // later that the gap itself would be an attack (more than kMaxGap).
  bool InsertAt(DescriptorIndex index, QueueDescriptor descriptor);
  // Null when the index was never given or its entry was dropped.
  const QueueDescriptor* Find(DescriptorIndex index) const {
    return index < entries_.size() ? entries_[index].get() : nullptr;
  }
  std::optional<DescriptorIndex> IndexOf(const QueueDescriptor& descriptor) const;
  void Drop(DescriptorIndex index);
  // Numbers anew: kept[i], which must be in use and ascend, becomes i; all others are dropped.
  void Renumber(const std::vector<DescriptorIndex>& kept);
  // The index the next new entry gets: one past the highest ever given.
  DescriptorIndex next_index() const { return static_cast<DescriptorIndex>(entries_.size()); }
  // Makes `next_index()` at least this, as if entries up to it had been dropped. False beyond
  // kMaxGap.
  bool SkipTo(DescriptorIndex next);
  // Entries that are not dropped.
  std::size_t live() const { return live_; }

  static constexpr DescriptorIndex kMaxGap = 1U << 26;

 private:
  std::optional<DescriptorIndex> FindEqual(std::size_t hash,
                                           const QueueDescriptor& descriptor) const;
  DescriptorIndex Append(std::size_t hash, std::shared_ptr<const QueueDescriptor> descriptor);

  std::vector<std::shared_ptr<const QueueDescriptor>> entries_;
  // The first entry of a hash, and for the rare further ones a list apart.
  absl::flat_hash_map<std::size_t, DescriptorIndex> by_hash_;
  absl::flat_hash_map<std::size_t, std::vector<DescriptorIndex>> collisions_;
  std::size_t live_ = 0;
};

}  // namespace netsentinel::counters
