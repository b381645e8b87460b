#include "common/rpc/asio_front.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/base/status_macros.h"
#include "common/io/descriptors.h"
#include "common/rpc/asio_carriers.h"
#include "common/rpc/asio_opening.h"
#include "common/rpc/asio_pulse.h"
#include "common/rpc/asio_shuttle.h"
#include "common/rpc/front_socket.h"
#include "common/rpc/peer_certificate.h"
#include "common/rpc/server_tls.h"

namespace netsentinel::rpc {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using boost::system::error_code;
using Outcome = AsioOpening::Outcome;
using Verdict = Admission::Verdict;

constexpr char kCertificates[] = "certificates";
constexpr int kAcceptsATurn = 64;
constexpr absl::Duration kSweepEvery = absl::Milliseconds(250);
constexpr absl::Duration kPulseSilence = absl::Seconds(30);
constexpr absl::Duration kBringOut = absl::Seconds(2);

std::string NameOf(const PeerIdentity& peer) {
  return peer.authenticated ? absl::StrCat(RoleName(peer.role), " ", peer.id) : "local";
}

// Of a newcomer: empty until it has shown a certificate.
std::string NameIfKnown(const PeerIdentity& peer) { return peer.id.empty() ? "" : NameOf(peer); }

}  // namespace

class AsioFront::Impl {
 public:
  Impl(const FrontOptions& options, const PeerAuthority& authority, Handover handover,
       const Surroundings& around, std::optional<ServerTls> tls, io::FileDescriptor listening)
      : options_(options),
        authority_(authority),
        handover_(std::move(handover)),
        around_(around),
        tls_(std::move(tls)),
        port_(LocalPort(listening.get())),
        door_(io_, listening.Release()),
        spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
        again_(io_),
        sweep_(io_),
        refresh_(io_),
        pulse_timer_(io_),
        beat_(around.liveness.AddPulse("grpc", kPulseSilence)),
        admission_(options.limits),
        carriers_(io_, [this] { BeatIfAllTurn(); }) {}

  void Start();
  void StopAccepting();
  void Stop();
  std::uint16_t port() const { return port_; }

 private:
  struct Newcomer {
    std::shared_ptr<AsioOpening> opening;
    PeerIdentity identity;  // once it is known
    std::string chain;
    bool counted = false;  // not the pulse's
  };
  struct Peer {
    std::shared_ptr<AsioShuttle> shuttle;
    AsioCarriers::Carrier* carrier;
    std::string name, address, chain, token;
  };
  using Id = Admission::Id;

  template <typename Then>
  void Every(asio::steady_timer& timer, absl::Duration pause, Then then);
  void AwaitAccept();
  void AcceptSome();
  void AcceptFailed(int error);
  void Admit(io::FileDescriptor socket, const sockaddr_storage& from);
  absl::Status Prove(Id id, const std::string& chain);
  absl::Status JudgeCertificate(Newcomer& newcomer, const std::string& chain);
  absl::Status Refused(absl::string_view reason, const Newcomer& newcomer, std::string words);
  void OpeningDone(Id id, Outcome outcome, const std::string& words);
  void CutOff(const http2::FrameFilter::Violation& violation, const std::string& address,
              const std::string& name);
  void HandOver(Id id, Newcomer newcomer);
  void PeerDone(Id id, const std::optional<http2::FrameFilter::Violation>& violation);
  void Sweep();
  void Refresh();
  void EndRevoked();
  void Pulse();
  void BeatIfAllTurn();
  void ShowCounts();
  void CutAll();

  const FrontOptions options_;
  const PeerAuthority authority_;
  const Handover handover_;
  const Surroundings around_;
  asio::io_context io_{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{
      io_.get_executor()};
  std::optional<ServerTls> tls_;
  const std::uint16_t port_;
  stream_descriptor door_;
  io::FileDescriptor spare_;
  asio::steady_timer again_, sweep_, refresh_, pulse_timer_;
  http::Liveness::Pulse& beat_;
  std::shared_ptr<AsioPulse> pulse_;
  bool pulse_answered_ = false;
  Admission admission_;
  Id next_id_ = 0;
  std::map<Id, Newcomer> newcomers_;
  std::map<Id, Peer> peers_;
  std::string certificate_trouble_;
  bool stopping_ = false;
  AsioCarriers carriers_;
  std::thread thread_;
  base::Mutex mutex_;
  std::condition_variable changed_;
  bool accepting_ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t inside_ ABSL_GUARDED_BY(mutex_) = 0;  // peers_.size(), for whoever waits
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

template <typename Then>
void AsioFront::Impl::Every(asio::steady_timer& timer, absl::Duration pause, Then then) {
  timer.expires_after(absl::ToChronoNanoseconds(pause));
  timer.async_wait([this, &timer, pause, then](const error_code& error) {
    if (error || stopping_) return;
    then();
    Every(timer, pause, then);
  });
}

void AsioFront::Impl::Start() {
  around_.readiness.MakeAdvisory(kCertificates);
  AwaitAccept();
  Every(sweep_, kSweepEvery, [this] { Sweep(); });
  if (tls_.has_value()) Every(refresh_, options_.certificate_refresh, [this] { Refresh(); });
  asio::post(io_, [this] { Pulse(); });
  Every(pulse_timer_, options_.pulse_every, [this] { Pulse(); });
  beat_.Beat();
  thread_ = std::thread([this] { RunLoop(io_); });
}

void AsioFront::Impl::AwaitAccept() {
  door_.async_wait(stream_descriptor::wait_read, [this](const error_code& error) {
    if (!error && door_.is_open()) AcceptSome();
  });
}

void AsioFront::Impl::AcceptSome() {
  for (int turn = 0; turn < kAcceptsATurn; ++turn) {
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    io::FileDescriptor socket(::accept4(door_.native_handle(), reinterpret_cast<sockaddr*>(&from),
                                        &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      Admit(std::move(socket), from);
      continue;
    }
    if (errno == EAGAIN) break;
    // Of these, another try at once would fail as well; at any other error the connection was gone
    // before it was taken, or the like: the next one.
    for (const int lasting : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF, EINVAL}) {
      if (errno == lasting) return AcceptFailed(lasting);
    }
  }
  AwaitAccept();
}

void AsioFront::Impl::AcceptFailed(int error) {
  authority_.refusals().Refuse(
      {"accept", "", "", absl::StrCat("cannot accept connections: ", std::strerror(error))});
  // With the last descriptor the connection is taken and closed, so that its peer tries again later
  // instead of waiting for an answer.
  spare_.Close();
  const io::FileDescriptor turned_away(::accept4(door_.native_handle(), nullptr, nullptr, 0));
  spare_ = io::FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  again_.expires_after(std::chrono::milliseconds(20));
  again_.async_wait([this](const error_code& cancelled) {
    if (!cancelled && door_.is_open()) AcceptSome();
  });
}

void AsioFront::Impl::Admit(io::FileDescriptor socket, const sockaddr_storage& from) {
  std::string host;
  const std::string address = AddressText(from, &host);
  const bool own = pulse_ != nullptr && pulse_->address() == address;
  if (!own && socket.get() >= io::MaxPeerDescriptor()) {
    authority_.refusals().Refuse(
        {"descriptors", address, "",
         absl::StrCat("only ", io::kReservedDescriptors,
                      " descriptors are left, which are kept for the process itself; raise its "
                      "limit of open files")});
    return;
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const Id id = ++next_id_;
  Newcomer& newcomer = newcomers_[id];
  newcomer.counted = !own;
  newcomer.opening = std::make_shared<AsioOpening>(AsioOpening::Parts{
      .loop = io_,
      .clock = around_.clock,
      .socket = std::move(socket),
      .context = [this] { return tls_.has_value() ? tls_->context() : nullptr; },
      .address = address,
      .prove = [this, id](const std::string& chain) { return Prove(id, chain); },
      .done = [this, id](Outcome outcome,
                         const std::string& words) { OpeningDone(id, outcome, words); }});
  newcomer.opening->Start();
  if (own) return pulse_->Accepted();
  const std::optional<Id> evicted = admission_.Enter(id, host);
  if (!evicted.has_value()) return;
  const auto gone = newcomers_.find(*evicted);
  authority_.refusals().Refuse(
      {"crowded", gone->second.opening->address(), "",
       "too many connections that have not shown a certificate; the oldest had to go"});
  gone->second.opening->Drop();
  newcomers_.erase(gone);
}

absl::Status AsioFront::Impl::Refused(absl::string_view reason, const Newcomer& newcomer,
                                      std::string words) {
  const std::string& address = newcomer.opening->address();
  const std::string name = NameIfKnown(newcomer.identity);
  authority_.refusals().Refuse({std::string(reason), address, name, words});
  return absl::PermissionDeniedError(words);
}

absl::Status AsioFront::Impl::JudgeCertificate(Newcomer& newcomer, const std::string& chain) {
  absl::StatusOr<PeerIdentity> identity = IdentifyCertificate(chain);
  if (!identity.ok()) {
    return Refused("name", newcomer, std::string(identity.status().message()));
  }
  newcomer.identity = *std::move(identity);
  newcomer.chain = chain;
  if (const absl::Status revoked = tls_->CheckRevoked(chain); !revoked.ok()) {
    return Refused("revoked", newcomer, std::string(revoked.message()));
  }
  const auto& admits = options_.admits;
  if (std::find(admits.begin(), admits.end(), newcomer.identity.role) == admits.end()) {
    return Refused("role", newcomer,
                   absl::StrCat(NameOf(newcomer.identity),
                                " may not connect here; this server takes the role ",
                                absl::StrJoin(admits, " or ", [](std::string* out, Role role) {
                                  absl::StrAppend(out, RoleName(role));
                                })));
  }
  return absl::OkStatus();
}

absl::Status AsioFront::Impl::Prove(Id id, const std::string& chain) {
  Newcomer& newcomer = newcomers_.at(id);
  if (!newcomer.counted) return absl::OkStatus();
  if (tls_.has_value()) {
    NS_RETURN_IF_ERROR(JudgeCertificate(newcomer, chain));
  } else {
    newcomer.identity = {Role::kLocal, "", false};
  }
  const std::string name = NameOf(newcomer.identity);
  switch (admission_.Prove(id, name)) {
    case Verdict::kTaken:
      return absl::OkStatus();
    case Verdict::kNameFull:
      return Refused("name_limit", newcomer,
                     absl::StrCat(name, " has ", options_.limits.peers_per_name,
                                  " connections already (listen.max_connections_per_name)"));
    case Verdict::kFull:
      return Refused("full", newcomer,
                     absl::StrCat("all ", options_.limits.peers,
                                  " connections are taken (listen.max_connections)"));
    case Verdict::kKeptForOthers:
      return Refused(
          "kept", newcomer,
          absl::StrCat("of ", options_.limits.peers,
                       " connections (listen.max_connections) the rest is kept for those "
                       "who were here before"));
  }
  return absl::InternalError("unknown verdict");
}

void AsioFront::Impl::OpeningDone(Id id, Outcome outcome, const std::string& words) {
  auto node = newcomers_.extract(id);
  Newcomer& newcomer = node.mapped();
  if (outcome == Outcome::kReady && newcomer.counted) return HandOver(id, std::move(newcomer));
  admission_.Leave(id);
  if (!newcomer.counted) return;
  const std::string& address = newcomer.opening->address();
  const std::string name = NameIfKnown(newcomer.identity);
  switch (outcome) {
    case Outcome::kReady:
    case Outcome::kRefused:
      return;
    case Outcome::kGone:
      return authority_.refusals().Count("left");
    case Outcome::kHandshake:
      return authority_.refusals().Refuse(
          {"handshake", address, name, absl::StrCat("the TLS handshake failed: ", words)});
    case Outcome::kProtocol:
      return CutOff(newcomer.opening->violation(), address, name);
  }
}

void AsioFront::Impl::CutOff(const http2::FrameFilter::Violation& violation,
                             const std::string& address, const std::string& name) {
  authority_.refusals().Refuse({absl::StrCat("http2_", FaultName(violation.fault)), address, name,
                                absl::StrCat("the connection was cut: it ", violation.words)});
}

void AsioFront::Impl::HandOver(Id id, Newcomer newcomer) {
  AsioOpening& opening = *newcomer.opening;
  const std::string name = NameOf(newcomer.identity);
  absl::StatusOr<InProcess> made = ConnectInProcess(around_.random);
  if (!made.ok() || std::max(made->ours.get(), made->theirs.get()) >= io::MaxPeerDescriptor()) {
    admission_.Leave(id);
    return authority_.refusals().Refuse(
        {"descriptors", opening.address(), name,
         "too few descriptors are left for another connection; raise the limit of open files"});
  }
  AsioCarriers::Carrier& carrier = carriers_.For(id);
  authority_.peers().Put(made->token, {newcomer.identity, opening.address(),
                                       MarkOf(newcomer.chain).value_or(CertificateMark())});
  auto shuttle = std::make_shared<AsioShuttle>(
      AsioShuttle::Parts{.loop = carrier.io,
                         .clock = around_.clock,
                         .scratch = carrier.scratch,
                         .peer = opening.TakeStream(),
                         .local = std::move(made->ours),
                         .filter = std::move(opening.filter()),
                         .opening = std::move(opening.bytes()),
                         .done = [this, id](const http2::FrameFilter::Violation* violation) {
                           std::optional<http2::FrameFilter::Violation> why;
                           if (violation != nullptr) why = *violation;
                           asio::post(io_, [this, id, why = std::move(why)] { PeerDone(id, why); });
                         }});
  peers_[id] = {shuttle, &carrier, name, opening.address(), std::move(newcomer.chain), made->token};
  {
    base::MutexLock lock(mutex_);
    inside_ = peers_.size();
  }
  handover_(made->theirs.Release());
  asio::post(carrier.io, [shuttle] { shuttle->Start(); });
}

void AsioFront::Impl::PeerDone(Id id,
                               const std::optional<http2::FrameFilter::Violation>& violation) {
  const auto at = peers_.find(id);
  if (at == peers_.end()) return;
  if (violation.has_value()) {
    CutOff(*violation, at->second.address, at->second.name);
  }
  authority_.peers().Retire(at->second.token, around_.clock.MonotonicNow());
  admission_.Leave(id);
  peers_.erase(at);
  base::MutexLock lock(mutex_);
  inside_ = peers_.size();
  changed_.notify_all();
}

void AsioFront::Impl::Sweep() {
  const absl::Duration now = around_.clock.MonotonicNow();
  // Ids grow with time: the first that is young enough ends the look.
  while (!newcomers_.empty()) {
    const auto oldest = newcomers_.begin();
    if (now - oldest->second.opening->begun() < options_.opening_time) break;
    if (oldest->second.counted && oldest->second.opening->where() != "refused") {
      authority_.refusals().Refuse(
          {"slow", oldest->second.opening->address(), NameIfKnown(oldest->second.identity),
           absl::StrCat("was not done with opening the connection after ",
                        absl::FormatDuration(options_.opening_time),
                        "; it stopped at: ", oldest->second.opening->where())});
    }
    oldest->second.opening->Drop();
    admission_.Leave(oldest->first);
    newcomers_.erase(oldest);
  }
  ShowCounts();
}

void AsioFront::Impl::ShowCounts() {
  const auto show = [&](const char* state, std::size_t count) {
    around_.metrics
        .AddGauge("netsentinel_grpc_connections",
                  "Connections of listen.grpc: newcomers have not shown yet who they are.",
                  {{"state", state}})
        .Set(static_cast<double>(count));
  };
  show("newcomer", admission_.newcomers());
  show("peer", admission_.peers());
}

void AsioFront::Impl::Refresh() {
  bool renewed = false;
  const absl::Status status = tls_->Refresh(renewed);
  if (!status.ok()) {
    const std::string words =
        absl::StrCat("the new files are not used, the old ones stay in use: ", status.message());
    around_.readiness.NotReady(kCertificates, words);
    if (std::exchange(certificate_trouble_, words) != words) {
      around_.logger.Warn("rpc.certificates_unusable", words);
    }
  } else {
    certificate_trouble_.clear();
    around_.readiness.Ready(kCertificates);
  }
  if (!renewed) return;
  if (status.ok()) {
    around_.logger.Info("rpc.certificates", "new certificates or revocation lists are in use");
  }
  EndRevoked();
}

void AsioFront::Impl::EndRevoked() {
  for (const auto& [id, peer] : peers_) {
    const absl::Status revoked = tls_->CheckRevoked(peer.chain);
    if (revoked.ok()) continue;
    authority_.refusals().Refuse({"revoked", peer.address, peer.name,
                                  absl::StrCat("the connection was cut: ", revoked.message())});
    asio::post(peer.carrier->io, [shuttle = peer.shuttle] { shuttle->Cut(); });
  }
  // Those as well that have shown their certificate and not begun to speak.
  for (auto at = newcomers_.begin(); at != newcomers_.end();) {
    const auto& [id, newcomer] = *at;
    const absl::Status revoked =
        newcomer.chain.empty() ? absl::OkStatus() : tls_->CheckRevoked(newcomer.chain);
    if (revoked.ok() || newcomer.opening->where() == "refused") {
      ++at;
      continue;
    }
    Refused("revoked", newcomer, absl::StrCat("the connection was cut: ", revoked.message()))
        .IgnoreError();
    newcomer.opening->Drop();
    admission_.Leave(id);
    at = newcomers_.erase(at);
  }
}

void AsioFront::Impl::Pulse() {
  if (!door_.is_open()) return;
  if (pulse_ != nullptr) pulse_->Drop();
  pulse_ = nullptr;
  absl::StatusOr<io::FileDescriptor> dialled = DialOwn(door_.native_handle());
  absl::StatusOr<InProcess> within = ConnectInProcess(around_.random);
  if (!dialled.ok() || !within.ok()) return;
  pulse_answered_ = false;
  pulse_ = std::make_shared<AsioPulse>(io_, *std::move(dialled), std::move(within->ours),
                                       tls_.has_value(), [this] {
                                         pulse_answered_ = true;
                                         BeatIfAllTurn();
                                       });
  carriers_.Ask();
  handover_(within->theirs.Release());
  pulse_->Start();
}

void AsioFront::Impl::BeatIfAllTurn() {
  if (pulse_ != nullptr && pulse_answered_ && carriers_.AllTurn()) beat_.Beat();
}

void AsioFront::Impl::StopAccepting() {
  {
    base::MutexLock lock(mutex_);
    if (accepting_ended_ || stopped_) return;
  }
  asio::post(io_, [this] {
    error_code ignored;
    door_.close(ignored);
    beat_.Stop();
    if (pulse_ != nullptr) pulse_->Drop();
    pulse_ = nullptr;
    for (auto& [id, newcomer] : newcomers_) {
      newcomer.opening->Drop();
      admission_.Leave(id);
    }
    newcomers_.clear();
    base::MutexLock lock(mutex_);
    accepting_ended_ = true;
    changed_.notify_all();
  });
  base::MutexLock lock(mutex_);
  changed_.wait(lock.native(),
                [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return accepting_ended_; });
}

void AsioFront::Impl::CutAll() {
  for (const auto& [id, peer] : peers_) {
    asio::post(peer.carrier->io, [shuttle = peer.shuttle] { shuttle->Cut(); });
  }
}

void AsioFront::Impl::Stop() {
  StopAccepting();
  {
    base::MutexLock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    const auto empty = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return inside_ == 0; };
    if (!changed_.wait_for(lock.native(), absl::ToChronoNanoseconds(kBringOut), empty)) {
      asio::post(io_, [this] { CutAll(); });
      changed_.wait(lock.native(), empty);
    }
  }
  asio::post(io_, [this] {
    stopping_ = true;
    for (asio::steady_timer* timer : {&again_, &sweep_, &refresh_, &pulse_timer_}) timer->cancel();
    work_.reset();
  });
  thread_.join();
  carriers_.Stop();
}

absl::StatusOr<std::unique_ptr<AsioFront>> AsioFront::Start(const FrontOptions& options,
                                                            const PeerAuthority& authority,
                                                            Handover handover,
                                                            const Surroundings& around) {
  std::optional<ServerTls> tls;
  if (!options.security.insecure) {
    NS_ASSIGN_OR_RETURN(tls, ServerTls::Load(options.security.tls, around.clock));
  }
  NS_ASSIGN_OR_RETURN(io::FileDescriptor listening, Listen(options.address));
  auto impl = std::make_unique<Impl>(options, authority, std::move(handover), around,
                                     std::move(tls), std::move(listening));
  impl->Start();
  return std::unique_ptr<AsioFront>(new AsioFront(std::move(impl)));
}

AsioFront::AsioFront(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AsioFront::~AsioFront() { Stop(); }

std::uint16_t AsioFront::port() const { return impl_->port(); }
void AsioFront::StopAccepting() { impl_->StopAccepting(); }
void AsioFront::Stop() { impl_->Stop(); }

}  // namespace netsentinel::rpc
