#include "tests/support/ingest_recorder.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "common/base/check.h"

namespace netsentinel::test {

IngestRecorder::IngestRecorder(int port) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                           &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  NS_CHECK(server_ != nullptr && port_ != 0, "the recorder's port is taken");
}

IngestRecorder::~IngestRecorder() {
  Disconnect();
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
}

std::string IngestRecorder::target() const { return absl::StrCat("127.0.0.1:", port_); }

void IngestRecorder::WithholdAcks(bool withhold) {
  base::MutexLock lock(mutex_);
  withhold_ = withhold;
}

void IngestRecorder::Refuse(const std::string& router, v1::RefusalReason reason) {
  base::MutexLock lock(mutex_);
  refusals_[router] = reason;
}

void IngestRecorder::Disconnect() {
  base::MutexLock lock(mutex_);
  for (grpc::ServerContext* context : open_) context->TryCancel();
}

void IngestRecorder::SetCredit(std::uint64_t bytes) {
  base::MutexLock lock(mutex_);
  credit_ = bytes;
}

void IngestRecorder::SetBoundaries(std::vector<std::int64_t> boundary_us) {
  base::MutexLock lock(mutex_);
  boundaries_ = std::move(boundary_us);
}

std::vector<v1::SnapshotFrame> IngestRecorder::frames() const {
  base::MutexLock lock(mutex_);
  return frames_;
}

std::vector<v1::RouterStateReport> IngestRecorder::states() const {
  base::MutexLock lock(mutex_);
  return states_;
}

std::vector<v1::Hello> IngestRecorder::hellos() const {
  base::MutexLock lock(mutex_);
  return hellos_;
}

std::set<std::uint64_t> IngestRecorder::acknowledged(const std::string& router,
                                                     v1::Menu menu) const {
  base::MutexLock lock(mutex_);
  const auto found = acknowledged_.find({router, menu});
  return found == acknowledged_.end() ? std::set<std::uint64_t>() : found->second;
}

std::uint64_t IngestRecorder::unanswered_bytes_max() const {
  base::MutexLock lock(mutex_);
  return unanswered_max_;
}

bool IngestRecorder::WaitUntil(const std::function<bool()>& condition,
                               absl::Duration timeout) const {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(timeout);
  while (!condition()) {
    base::MutexLock lock(mutex_);
    if (std::chrono::steady_clock::now() >= until) return false;
    changed_.wait_for(lock.native(), std::chrono::milliseconds(50));
  }
  return true;
}

v1::IngestResponse IngestRecorder::WelcomeTo(const v1::Hello& hello) {
  v1::IngestResponse response;
  v1::Welcome* welcome = response.mutable_welcome();
  welcome->set_protocol_version(1);
  welcome->set_aggregator_id("recorder");
  welcome->set_aggregator_time_us(absl::GetCurrentTimeNanos() / 1000);
  welcome->set_credit_bytes(credit_);
  for (const v1::RouterOffer& offer : hello.routers()) {
    // A spool not seen before asks for a lease of its own.
    if (spool_of_router_[offer.router_id()] != hello.spool_uuid()) {
      spool_of_router_[offer.router_id()] = hello.spool_uuid();
      ++epochs_[offer.router_id()];
    }
    v1::RouterWelcome* router = welcome->add_routers();
    router->set_router_id(offer.router_id());
    router->mutable_lease()->set_router_id(offer.router_id());
    router->mutable_lease()->set_lease_epoch(epochs_[offer.router_id()]);
    router->mutable_lease()->set_ttl_ms(30'000);
    for (const std::int64_t boundary : boundaries_) router->add_boundary_us(boundary);
    for (const auto& [key, position] : resume_) {
      if (key.first != offer.router_id()) continue;
      v1::ResumePoint* point = router->add_resume_points();
      point->set_menu(static_cast<v1::Menu>(key.second));
      point->set_spool_uuid(position.first);
      point->set_sequence(position.second);
    }
  }
  return response;
}

bool IngestRecorder::Answer(const v1::SnapshotFrame& frame, v1::IngestResponse* response) {
  if (!frame.last_part()) return false;
  const auto refusal = refusals_.find(frame.router_id());
  if (refusal != refusals_.end() && refusal->second != v1::REFUSAL_REASON_UNSPECIFIED) {
    v1::Refusal* refused = response->mutable_refusal();
    refused->set_router_id(frame.router_id());
    refused->set_menu(frame.menu());
    refused->set_sequence(frame.sequence());
    refused->set_reason(refusal->second);
    refused->set_detail("as the test wants");
    return true;
  }
  if (withhold_) return false;
  const MenuKey key{frame.router_id(), frame.menu()};
  acknowledged_[key].insert(frame.sequence());
  std::pair<std::string, std::uint64_t>& position = resume_[key];
  position = {frame.spool_uuid(), frame.sequence()};
  v1::Ack* ack = response->mutable_ack();
  ack->set_router_id(frame.router_id());
  ack->set_menu(frame.menu());
  ack->set_lease_epoch(frame.lease_epoch());
  ack->set_sequence(frame.sequence());
  ack->set_aggregator_time_us(absl::GetCurrentTimeNanos() / 1000);
  return true;
}

grpc::Status IngestRecorder::Ingest(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) {
  {
    base::MutexLock lock(mutex_);
    open_.insert(context);
    unanswered_ = 0;
  }
  v1::IngestRequest request;
  while (stream->Read(&request)) {
    v1::IngestResponse response;
    bool answer = false;
    {
      base::MutexLock lock(mutex_);
      if (request.has_hello()) {
        hellos_.push_back(request.hello());
        response = WelcomeTo(request.hello());
        answer = true;
      } else if (request.has_snapshot()) {
        unanswered_ += request.ByteSizeLong();
        unanswered_max_ = std::max(unanswered_max_, unanswered_);
        frames_.push_back(request.snapshot());
        answer = Answer(request.snapshot(), &response);
        if (answer) unanswered_ = 0;
      } else if (request.has_router_state()) {
        states_.push_back(request.router_state());
      }
    }
    changed_.notify_all();
    if (answer && !stream->Write(response)) break;
  }
  base::MutexLock lock(mutex_);
  open_.erase(context);
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the recorder ended the stream");
}

}  // namespace netsentinel::test
