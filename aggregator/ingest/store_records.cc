#include "aggregator/ingest/store_records.h"

#include <utility>

#include "aggregator/store/limits.h"
#include "common/counters/limits.h"
#include "common/io/sha256.h"

namespace netsentinel::ingest {

static_assert(counters::kMaxNameBytes <= store::kMaxNameBytes,
              "what the decoder lets through must fit the store");

store::BreachRow ToRow(const accounting::Breach& breach) {
  store::BreachRow row;
  row.breach_id = io::Sha256Hex(breach.key_bytes);
  row.subscriber = breach.subscriber;
  row.quota_id = breach.quota_id;
  row.period = static_cast<std::uint8_t>(breach.period);
  row.period_start = breach.period_start;
  row.time_zone = breach.time_zone;
  row.basis = static_cast<std::uint8_t>(breach.basis);
  row.limit_bytes = breach.limit_bytes;
  row.threshold_percent = breach.threshold_percent;
  row.used = breach.used;
  row.crossed_at_us = breach.crossed_at_us;
  return row;
}

store::FlushBatch ToBatch(const accounting::StagedFlush& flush) {
  store::FlushBatch batch;
  batch.queues.reserve(flush.queues.size());
  for (const auto& queue : flush.queues) {
    batch.queues.push_back({.queue_id = queue.id, .key = queue.key});
  }
  batch.subscribers.reserve(flush.subscribers.size());
  for (const auto& subscriber : flush.subscribers) {
    batch.subscribers.push_back({.subscriber_id = subscriber.id, .key = subscriber.key});
  }
  batch.usage.reserve(flush.usage.size());
  for (const auto& usage : flush.usage) {
    batch.usage.push_back(
        {.queue_id = usage.queue_id, .subscriber_id = usage.subscriber_id, .row = usage.row});
  }
  for (const auto& evidence : flush.evidence) {
    batch.evidence.push_back({.queue_id = evidence.queue_id,
                              .subscriber_id = evidence.subscriber_id,
                              .queue = {},
                              .day = evidence.day,
                              .segment = evidence.segment,
                              .evidence = evidence.evidence});
  }
  for (const auto& part : flush.checkpoints) {
    batch.checkpoints.push_back(
        {.state_key = part.state_key, .part = part.part, .payload = part.payload});
  }
  batch.dropped_checkpoints = flush.dropped_checkpoints;
  for (const auto& reopened : flush.reopened_days) {
    batch.reopened_days.push_back({.router = reopened.router, .first = reopened.first});
  }
  for (const auto& day : flush.closed_days) {
    batch.closed_days.push_back({.router = day.router,
                                 .day = day.day,
                                 .partial = day.partial,
                                 .closed_at_us = day.closed_at_us});
  }
  for (const auto& trim : flush.trims) {
    batch.trims.push_back(
        {.router = trim.router, .menu = trim.menu, .journal_id = trim.journal_id});
  }
  batch.next_queue_id = flush.next_queue_id;
  batch.next_subscriber_id = flush.next_subscriber_id;
  return batch;
}

accounting::RecoveryInput ToInput(store::RecoveredState state,
                                  const std::vector<store::BreachRow>& breaches,
                                  std::int64_t now_us) {
  accounting::RecoveryInput input;
  input.now_us = now_us;
  for (auto& queue : state.queues) {
    input.queues.push_back({.id = queue.queue_id, .key = std::move(queue.key)});
  }
  for (auto& subscriber : state.subscribers) {
    input.subscribers.push_back({.id = subscriber.subscriber_id, .key = std::move(subscriber.key)});
  }
  for (const auto& day : state.closed_days) {
    input.closed_days.push_back({.router = day.router,
                                 .day = day.day,
                                 .partial = day.partial,
                                 .closed_at_us = day.closed_at_us});
  }
  input.next_queue_id = state.next_queue_id;
  input.next_subscriber_id = state.next_subscriber_id;
  for (const store::BreachRow& breach : breaches) {
    input.fired.push_back({.subscriber = breach.subscriber,
                           .quota_id = breach.quota_id,
                           .period_start = breach.period_start,
                           .threshold_percent = breach.threshold_percent});
  }
  return input;
}

std::vector<accounting::StoredJournal> ToReplay(std::vector<store::JournalRow> rows) {
  std::vector<accounting::StoredJournal> replay;
  replay.reserve(rows.size());
  for (store::JournalRow& row : rows) {
    replay.push_back({.journal_id = row.journal_id,
                      .router = std::move(row.router),
                      .menu = row.menu,
                      .received_us = row.received_us,
                      .payload = std::move(row.payload)});
  }
  return replay;
}

}  // namespace netsentinel::ingest
