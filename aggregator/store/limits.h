#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"

#include "aggregator/store/store.h"

// What a store accepts. Both engines refuse the rest before any SQL, so that a call that passes
// here fails only for reasons of the database.
namespace netsentinel::store {

// Names of queues and subscribers, in bytes: what fits into an index of InnoDB beside the ids.
inline constexpr std::size_t kMaxNameBytes = 2048;
// Ids of sites, routers, quotas and breaches, kinds of events, time zones.
inline constexpr std::size_t kMaxIdBytes = 64;
inline constexpr std::size_t kMaxStateKeyBytes = 512;
inline constexpr std::size_t kMaxHolderBytes = 255;
// A lease or claim that would last longer yet (or ten times its length) is of another clock.
inline constexpr std::int64_t kLongestHoldUs = 3'600'000'000;
inline constexpr std::size_t kMaxSpoolUuidBytes = 16;
// One journal row or checkpoint part.
inline constexpr std::size_t kMaxPayloadBytes = 64 << 20;
// Longer details of events and deliveries are cut.
inline constexpr std::size_t kMaxDetailBytes = 16 * 1024;

// kInvalidArgument for a name, id or payload past its limit or a day outside 1970–9999, kOutOfRange
// for a number past 2⁶³−1; messages name the thing.
absl::Status Validate(const CommitBatch& batch);
absl::Status Validate(const FlushBatch& batch);
absl::Status Validate(const accounting::SubscriberKey& key);
absl::Status Validate(const accounting::EventRecord& event);
absl::Status Validate(const AuditRow& row);
absl::Status ValidateId(const char* what, const std::string& id);

// Valid UTF-8 of at most kMaxDetailBytes: what is not becomes \xHH.
std::string StorableText(const std::string& text);

// Whether a position comes after the newest committed one: see Store::Commit.
bool IsAfter(const counters::SnapshotPosition& position, const counters::SnapshotPosition& newest);

}  // namespace netsentinel::store
