#pragma once

#include <functional>
#include <string>

#include "absl/time/time.h"

namespace netsentinel::store {

// What somebody who waits for a change of the schema wants to know.
struct SchemaChange {
  enum class Kind {
    kWaits,   // for the lease of an aggregator that writes the old schema
    kBegins,  // a step
    kGoesOn,  // the next slice of a step
    kDone,    // a step
  };
  Kind kind = Kind::kBegins;
  std::string text;  // for people
};

// How a schema is changed. Called by the thread that opens the store; every function is set.
struct MigrationHooks {
  std::function<void(const SchemaChange&)> tell = [](const SchemaChange&) {};
  // Waits for so long, or not at all; false ends the change where it can be gone on with.
  std::function<bool(absl::Duration)> wait;
  // In whose name the lease is taken while an older schema that others may write is changed, and
  // for how long at a time.
  std::string holder = "schema";
  absl::Duration lease_ttl = absl::Seconds(15);

  MigrationHooks();
};

}  // namespace netsentinel::store
