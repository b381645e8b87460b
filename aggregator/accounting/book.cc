#include "aggregator/accounting/book.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/accounting/applier.h"
#include "aggregator/accounting/book_state.h"
#include "aggregator/accounting/checkpoint.h"
#include "common/base/check.h"
#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::accounting {

StagedBatch::StagedBatch() : internals_(std::make_unique<StagedInternals>()) {}
StagedBatch::StagedBatch(StagedBatch&&) noexcept = default;
StagedBatch& StagedBatch::operator=(StagedBatch&&) noexcept = default;
StagedBatch::~StagedBatch() = default;

Book::Book() : impl_(std::make_unique<Impl>()) {}
Book::~Book() = default;
Book::Book(Book&&) noexcept = default;
Book& Book::operator=(Book&&) noexcept = default;

StagedBatch Book::Stage(absl::Span<const Incoming> incoming) {
  StagedBatch batch;
  ++impl_->batch_serial;
  std::set<std::pair<base::RouterId, counters::Menu>> seen;
  for (std::size_t i = 0; i < incoming.size(); ++i) {
    const counters::Snapshot& snapshot = *incoming[i].snapshot;
    if (!seen.emplace(snapshot.router, snapshot.menu).second) {
      batch.results.push_back(absl::FailedPreconditionError(
          "a batch takes one snapshot of a router's menu: stage this one next"));
      continue;
    }
    batch.results.push_back(impl_->StageOne(incoming[i], i, batch));
  }
  impl_->TakeLate(batch);
  impl_->Judge(batch);
  return batch;
}

absl::Status Book::Impl::StageOne(const Incoming& incoming, std::size_t input, StagedBatch& batch) {
  RouterBook* router = FindRouter(incoming.snapshot->router);
  if (router == nullptr || !router->in_policy) {
    return absl::NotFoundError(absl::StrCat("router \"", incoming.snapshot->router.value(),
                                            "\" is not in the aggregator's configuration"));
  }
  auto owned = std::make_unique<MenuChange>();
  MenuChange& change = *owned;
  change.router = router;
  change.menu = &router->menu(incoming.snapshot->menu);
  change.received_us = incoming.received_us;

  std::vector<EventRecord> device_events;
  ChooseDevice(incoming.snapshot->header, change, device_events);
  counters::Snapshot snapshot;
  NS_RETURN_IF_ERROR(Translate(incoming, change, snapshot));
  NS_RETURN_IF_ERROR(CheckNames(change, snapshot.readings.size()));

  MenuState& state = change.target().state;
  NS_ASSIGN_OR_RETURN(change.staged, accounting::Stage(state, InputOf(change, snapshot)));

  for (EventRecord& event : device_events) {
    event.at_us = change.staged.header.attribution_us;
    batch.events.push_back(std::move(event));
  }
  JudgeTwins(change, snapshot, batch.internals_->by_device, batch.events);
  LeaveBehind(change, batch);
  Expand(change.staged.effects, change.target(), change);

  StagedJournal journal;
  journal.input = input;
  journal.router = snapshot.router;
  journal.menu = snapshot.menu;
  journal.attribution_us = change.staged.header.attribution_us;
  journal.steps_us = std::move(change.staged.steps_us);
  journal.received_us = incoming.received_us;
  journal.payload = SealJournal(counters::EncodeJournal(state.base(), snapshot, change.added),
                                change.target().snapshots + 1);
  change.journal = batch.journal.size();
  batch.journal.push_back(std::move(journal));

  Effects& effects = change.staged.effects;
  const auto append = [](auto& to, auto& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  append(batch.epochs, effects.epochs);
  append(batch.holds, effects.holds);
  append(batch.events, effects.events);
  const std::string key = snapshot.header.device.Key();
  if (!key.empty()) batch.internals_->by_device[key].push_back(owned.get());
  batch.internals_->changes.push_back(std::move(owned));
  return absl::OkStatus();
}

// Which device the snapshot comes from: the present one, one that returns, or a new one. Without a
// serial number or system id on either side it is the present one.
void Book::Impl::ChooseDevice(const counters::SnapshotHeader& header, MenuChange& change,
                              std::vector<EventRecord>& events) {
  const std::string key = header.device.Key();
  DeviceState* current = change.menu->current;
  const auto event = [&](absl::string_view kind, absl::string_view detail) {
    events.push_back({0, change.router->settings.id, change.menu->menu, "", std::string(kind),
                      std::string(detail)});
  };
  DeviceState* known = nullptr;
  for (const auto& device : change.menu->devices) {
    if (!key.empty() && device->device_key == key) known = device.get();
  }
  if (current != nullptr &&
      (key.empty() || current == known || (current->device_key.empty() && known == nullptr))) {
    change.device = current;
    if (current->device_key.empty()) change.adopted_key = key;
    return;
  }
  if (known != nullptr) {
    change.device = known;
    event("device_returned", absl::StrCat("device ", base::DisplayName(key),
                                          " is back and continues from its own counters"));
    return;
  }
  change.new_device = std::make_unique<DeviceState>();
  change.new_device->device_key = key;
  change.new_device->ordinal = change.menu->next_ordinal;
  change.new_device->serial = next_serial;
  if (current != nullptr) {
    event("device_replaced", absl::StrCat("device ", base::DisplayName(key), " stands where ",
                                          base::DisplayName(current->device_key), " was"));
  }
}

MenuPlace Book::Impl::PlaceOf(const RouterBook& router, const MenuBook& menu) {
  return {router.settings.id, menu.menu, {router.settings.parents, router.settings.line_rate_bps}};
}

StageInput Book::Impl::InputOf(const MenuChange& change, const counters::Snapshot& snapshot) {
  StageInput stage;
  stage.snapshot = &snapshot;
  stage.added = &change.added;
  stage.received_us = change.received_us;
  stage.settings = PlaceOf(*change.router, *change.menu).settings;
  const DeviceState* before = change.menu->current;
  if (before == nullptr) return stage;
  stage.not_before_us = before->state.newest_us();
  if (change.new_device != nullptr && before->state.last.has_value()) {
    stage.replaces = &*before->state.last;
  }
  return stage;
}

absl::Status Book::Impl::Translate(const Incoming& incoming, MenuChange& change,
                                   counters::Snapshot& out) {
  const counters::Snapshot& in = *incoming.snapshot;
  StreamDictionary& dictionary = *incoming.dictionary;
  change.dictionary = &dictionary;
  const DeviceState& device = change.target();
  const MenuState& state = device.state;
  if (dictionary.state_serial_ != device.serial) {
    dictionary.translated_.clear();
    dictionary.state_serial_ = device.serial;
  }
  dictionary.translated_.resize(dictionary.table.next_index(), kNoRow);
  out.router = in.router;
  out.menu = in.menu;
  out.header = in.header;
  out.readings = in.readings;
  out.steps = in.steps;

  absl::flat_hash_map<DescriptorIndex, DescriptorIndex> fresh;
  DescriptorIndex next = state.dictionary.next_index();
  const auto translate = [&](DescriptorIndex& index) {
    const DescriptorIndex cached =
        index < dictionary.translated_.size() ? dictionary.translated_[index] : kNoRow;
    if (state.RowOf(cached) != kNoRow) {
      index = cached;
      return true;
    }
    if (const auto known = fresh.find(index); known != fresh.end()) {
      index = known->second;
      return true;
    }
    const counters::QueueDescriptor* descriptor = dictionary.table.Find(index);
    if (descriptor == nullptr) return false;
    DescriptorIndex translated = 0;
    if (const auto found = state.dictionary.IndexOf(*descriptor); found.has_value()) {
      translated = *found;
      dictionary.translated_[index] = translated;
    } else {
      translated = next++;
      change.added.emplace_back(translated, *descriptor);
      change.translations.emplace_back(index, translated);
    }
    fresh.emplace(index, translated);
    index = translated;
    return true;
  };
  bool ok = true;
  for (counters::MergedStep& step : out.steps) {
    for (counters::QueueReading& reading : step.readings) ok = ok && translate(reading.descriptor);
    for (DescriptorIndex& gone : step.gone) ok = ok && translate(gone);
  }
  for (counters::QueueReading& reading : out.readings) ok = ok && translate(reading.descriptor);
  if (!ok) {
    return absl::InvalidArgumentError(
        "the snapshot names a queue that its dictionary does not hold");
  }
  if (next > kMaxDescriptorIndex) {
    return absl::ResourceExhaustedError(absl::StrCat("router \"", in.router.value(),
                                                     "\" has shown more than ", kMaxDescriptorIndex,
                                                     " different queues in one menu"));
  }
  return absl::OkStatus();
}

// A device that gives way to another will not explain its open holds, nor decide what is pending;
// and what it moved since, nobody saw.
void Book::Impl::LeaveBehind(MenuChange& change, StagedBatch& batch) {
  DeviceState* current = change.menu->current;
  if (current == nullptr || current == change.device) return;
  change.left_behind = std::make_unique<MenuState>(current->state);
  Effects effects;
  const MenuPlace place = PlaceOf(*change.router, *change.menu);
  ResolveOpen(*change.left_behind, place, effects);
  const bool is_new = change.new_device != nullptr;
  MarkUnseen(*change.left_behind, place, {change.staged.header, is_new, &change.added}, effects);
  Expand(effects, *current, change);
  batch.epochs.insert(batch.epochs.end(), effects.epochs.begin(), effects.epochs.end());
  batch.holds.insert(batch.holds.end(), effects.holds.begin(), effects.holds.end());
  batch.events.insert(batch.events.end(), effects.events.begin(), effects.events.end());
}

// --- from effects to rows

std::uint32_t Book::Impl::SpanIndex(MenuChange& change, std::int64_t at_us) {
  for (std::size_t i = change.spans.size(); i-- > 0;) {
    if (change.spans[i].Holds(at_us)) return static_cast<std::uint32_t>(i);
  }
  change.spans.push_back(change.router->site->calendar.SpanAt(at_us));
  return static_cast<std::uint32_t>(change.spans.size() - 1);
}

// --- names

std::uint32_t Book::Impl::QueueOf(DeviceState& device, DescriptorIndex descriptor,
                                  MenuChange& change) {
  if (descriptor < device.queue_of.size() && device.queue_of[descriptor] != kNoRow) {
    return device.queue_of[descriptor];
  }
  if (const auto* known = device.state.dictionary.Find(descriptor); known != nullptr) {
    const std::uint32_t queue = QueueNamed(*change.router, *change.menu, known->name);
    if (descriptor >= device.queue_of.size()) {
      device.queue_of.resize(device.state.dictionary.next_index(), kNoRow);
    }
    device.queue_of[descriptor] = queue;
    return queue;
  }
  for (const auto& [index, added] : change.added) {
    // Indices ascend without gaps.
    const auto& entry = change.added[descriptor - index];
    NS_CHECK(entry.first == descriptor, "descriptors are added in order");
    const std::uint32_t queue = QueueNamed(*change.router, *change.menu, entry.second.name);
    change.queue_of.emplace_back(descriptor, queue);
    return queue;
  }
  NS_CHECK(false, "an effect on a queue that no dictionary knows");
}

std::uint32_t Book::Impl::QueueNamed(RouterBook& router, MenuBook& menu, const std::string& name) {
  const auto next = static_cast<std::uint32_t>(menu.queues.size());
  const std::uint32_t queue = AddQueue(menu, name);
  if (queue == next) Resolve(router, menu, queue);
  return queue;
}

std::uint32_t Book::Impl::AddQueue(MenuBook& menu, const std::string& name) {
  const auto next = static_cast<std::uint32_t>(menu.queues.size());
  const auto [it, fresh] = menu.queue_by_name.try_emplace(name, next);
  if (fresh) {
    QueueInfo info;
    info.name = name;
    info.id = next_queue_id++;
    menu.queues.push_back(std::move(info));
    menu.router->names.Add(name);
    name_bytes += name.size();
  }
  return it->second;
}

void Book::Impl::Resolve(RouterBook& router, MenuBook& menu, std::uint32_t queue) {
  QueueInfo& info = menu.queues[queue];
  const QueueTarget target =
      mapper.Resolve({router.settings.id, menu.menu, info.name}, router.settings);
  info.counts = target.counts;
  info.direction = target.direction;
  info.subscriber = SubscriberNamed(target.subscriber);
  auto& queues = subscribers[info.subscriber].queues;
  const std::pair<MenuBook*, std::uint32_t> entry{&menu, queue};
  if (std::find(queues.begin(), queues.end(), entry) == queues.end()) queues.push_back(entry);
}

std::uint32_t Book::Impl::SubscriberNamed(const SubscriberKey& key) {
  const auto next = static_cast<std::uint32_t>(subscribers.size());
  const auto [it, fresh] = subscriber_by_key.try_emplace(key, next);
  if (fresh) {
    SubscriberInfo info;
    info.key = key;
    info.id = next_subscriber_id++;
    info.uses.resize(quotas.size());
    subscribers.push_back(std::move(info));
  }
  return it->second;
}

RouterBook* Book::Impl::FindRouter(const base::RouterId& id) const {
  const auto found = routers.find(id);
  return found == routers.end() ? nullptr : found->second.get();
}

}  // namespace netsentinel::accounting
