#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "aggregator/accounting/book.h"
#include "aggregator/ingest/router_board.h"
#include "aggregator/query/ranking.h"
#include "aggregator/query/usage_reader.h"
#include "aggregator/quota/standing.h"
#include "aggregator/store/store.h"
#include "netsentinel/v1/admin.pb.h"
#include "netsentinel/v1/usage.pb.h"

// Between answers in plain types and the messages of usage.proto and admin.proto.
namespace netsentinel::query {

v1::Name NameToWire(const std::string& raw);
// A sentence of ours for people. The names in it are display names already, so they are not escaped
// once more; what is not UTF-8 is.
std::string DetailToWire(const std::string& detail);
v1::SubscriberRef ToWire(const accounting::SubscriberKey& key);
// Takes the raw name, else the display name. kInvalidArgument without either or with a bad escape.
absl::StatusOr<accounting::SubscriberKey> FromWire(const v1::SubscriberRef& wire);
// The raw name, else that of the display name, else none. kInvalidArgument for a bad escape.
absl::StatusOr<std::string> NameFromWire(const v1::Name& wire);
v1::Usage ToWire(const accounting::UsageSum& sum);
v1::Standing ToWire(const quota::Standing& standing);
v1::Observation ToWire(const Catalog::Site& site, const Observed& observed);
v1::Epoch ToWire(const accounting::EpochRecord& epoch);
void FillQueue(const accounting::QueueKey& key, v1::SubscriberQueue* queue);
v1::QueueEvidence ToWire(const accounting::Book::RowEvidence& evidence);
v1::Event ToWire(const store::StoredEvent& event);
v1::BreachRecord ToWire(const store::BreachRow& row);
v1::Quota ToWire(const quota::Rule& rule);
v1::QuotaOverride ToWire(const store::QuotaOverrideRow& row);
v1::Menu MenuToWire(counters::Menu menu);
v1::DeviceIdentity DeviceToWire(const counters::DeviceIdentity& device);

// UNSPECIFIED is the total.
absl::StatusOr<quota::Basis> BasisFromWire(v1::QuotaBasis basis);
v1::QuotaBasis BasisToWire(quota::Basis basis);

}  // namespace netsentinel::query
