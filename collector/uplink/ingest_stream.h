#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/status.h"

#include "collector/uplink/messages.h"

namespace netsentinel::uplink {

// What a stream tells its owner, on the owner's thread. After OnClosed nothing more comes.
class IngestStreamListener {
 public:
  virtual ~IngestStreamListener() = default;
  virtual void OnMessage(AggregatorMessage message) = 0;
  virtual void OnClosed(absl::Status status) = 0;
};

// One call of IngestService.Ingest. Destroying it cancels the call and silences the listener.
class IngestStream {
 public:
  virtual ~IngestStream() = default;
  // Queues a message; how much it takes on the wire. The owner bounds what is under way.
  virtual std::size_t Send(CollectorMessage message) = 0;
};

// Opens streams to the configured aggregator.
class IngestConnector {
 public:
  virtual ~IngestConnector() = default;
  // Never fails at once: what goes wrong comes as OnClosed. `listener` must outlive the stream.
  virtual std::unique_ptr<IngestStream> Open(IngestStreamListener& listener) = 0;
};

// Runs a function later on the owner's thread. Thread-safe.
using Post = std::function<void(std::function<void()>)>;

}  // namespace netsentinel::uplink
