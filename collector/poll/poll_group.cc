#include "collector/poll/poll_group.h"

#include <algorithm>
#include <set>
#include <utility>

namespace netsentinel::poll {

void PollGroup::SetRouters(std::vector<RouterSetup> routers, const std::string& waiting_words) {
  Sweep();
  waiting_words_ = waiting_words;
  std::set<base::RouterId> wanted;
  for (const RouterSetup& setup : routers) wanted.insert(setup.options.router);
  for (auto entry = routers_.begin(); entry != routers_.end();) {
    const auto next = std::next(entry);
    if (!wanted.contains(entry->first)) {
      Retire(std::move(entry->second));
      routers_.erase(entry);
    }
    entry = next;
  }
  for (RouterSetup& setup : routers) {
    const auto known = routers_.find(setup.options.router);
    if (known != routers_.end()) {
      if (known->second.fingerprint == setup.fingerprint) continue;
      Retire(std::move(known->second));
      routers_.erase(known);
    }
    StartRouter(std::move(setup));
  }
  if (waiting_words_.empty()) return;
  for (auto& [router, entry] : routers_) entry.poller->SetWaitingWords(waiting_words_);
}

void PollGroup::StartRouter(RouterSetup setup) {
  const base::RouterId router = setup.options.router;
  SessionFactory sessions = parts_.sessions
                                ? parts_.sessions(setup)
                                : AsioSessions(parts_.executor, parts_.workers, setup.endpoint);
  auto poller = std::make_unique<RouterPoller>(
      setup.options, RouterPoller::Parts{.executor = parts_.executor,
                                         .sessions = std::move(sessions),
                                         .clock = parts_.clock,
                                         .aggregator_clock = parts_.aggregator_clock,
                                         .random = parts_.random,
                                         .sink = parts_.sink,
                                         .host_pauses = host_pauses_,
                                         .budget = parts_.budget,
                                         .workers = parts_.workers});
  if (!waiting_words_.empty()) poller->SetWaitingWords(waiting_words_);
  if (const auto known = knowledge_.find(router); known != knowledge_.end()) {
    poller->SetPlan(known->second.boundaries_us, known->second.interval);
    poller->SetMayPoll(known->second.may_poll);
    poller->RaiseFloor(known->second.floor_us);
  }
  poller->Start();
  routers_[router] = {.fingerprint = std::move(setup.fingerprint), .poller = std::move(poller)};
}

void PollGroup::Retire(Entry entry) {
  entry.poller->Stop();
  retired_.push_back(std::move(entry.poller));
}

void PollGroup::Sweep() {
  std::erase_if(retired_, [](const auto& poller) { return poller->done(); });
}

void PollGroup::SetPlan(const base::RouterId& router, std::vector<std::int64_t> boundaries_us,
                        absl::Duration interval) {
  Knowledge& known = knowledge_[router];
  known.boundaries_us = boundaries_us;
  known.interval = interval;
  if (const auto entry = routers_.find(router); entry != routers_.end()) {
    entry->second.poller->SetPlan(std::move(boundaries_us), interval);
  }
}

void PollGroup::SetMayPoll(const base::RouterId& router, bool may_poll) {
  knowledge_[router].may_poll = may_poll;
  if (const auto entry = routers_.find(router); entry != routers_.end()) {
    entry->second.poller->SetMayPoll(may_poll);
  }
}

void PollGroup::RaiseFloor(const base::RouterId& router, std::int64_t attribution_us) {
  std::int64_t& floor = knowledge_[router].floor_us;
  floor = std::max(floor, attribution_us);
  if (const auto entry = routers_.find(router); entry != routers_.end()) {
    entry->second.poller->RaiseFloor(attribution_us);
  }
}

void PollGroup::Stop() {
  for (auto& [router, entry] : routers_) Retire(std::move(entry));
  routers_.clear();
}

void PollGroup::Abort() {
  for (const auto& poller : retired_) poller->Abort();
}

bool PollGroup::done() {
  Sweep();
  return routers_.empty() && retired_.empty();
}

}  // namespace netsentinel::poll
