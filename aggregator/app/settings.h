#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"

#include "aggregator/app/retention.h"
#include "aggregator/ingest/engine.h"
#include "aggregator/query/catalog.h"
#include "aggregator/store/store.h"
#include "common/config/section.h"
#include "common/config/shared_sections.h"

namespace netsentinel::app {

// Everything of aggregator.yaml; docs/configuration.md describes each key.
struct AggregatorSettings {
  config::Listen listen;
  config::Security security;

  std::string store_url;
  store::StoreLocation store;
  config::SecretSource store_password;
  std::string store_ca;  // CA that the database's certificate must come from; empty: not checked
  absl::Duration flush_interval;
  absl::Duration store_lease_ttl;

  std::optional<config::Peer> notifier;
  absl::Duration router_lease_ttl;
  Retention retention;

  ingest::EnginePolicy policy;
  query::Catalog catalog;
};

// Reads aggregator.yaml; mistakes go to the section.
AggregatorSettings ReadAggregatorSettings(config::Section root);

}  // namespace netsentinel::app
