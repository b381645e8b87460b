#include "notifier/app/notifier_app.h"

#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/http/server.h"
#include "common/io/system_clock.h"
#include "common/io/usable_folder.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "common/rpc/tls_files.h"
#include "common/shell/health_follower.h"
#include "common/shell/private_state.h"
#include "common/shell/reload.h"
#include "notifier/app/report_page.h"
#include "notifier/audit/audit_sender.h"
#include "notifier/audit/grpc_audit_client.h"
#include "notifier/audit/grpc_audit_desk.h"
#include "notifier/audit/sqlite_audit_queue.h"
#include "notifier/channel/curl_smtp_channel.h"
#include "notifier/channel/replaceable_channel.h"
#include "notifier/delivery/alert_desk.h"
#include "notifier/delivery/delivery_worker.h"
#include "notifier/delivery/grpc_alert_service.h"
#include "notifier/delivery/grpc_notifier_service.h"
#include "notifier/delivery/grpc_usage_source.h"
#include "notifier/delivery/queue_watch.h"
#include "notifier/delivery/report_desk.h"
#include "notifier/delivery/sqlite_delivery_queue.h"
#include "notifier/report/html_renderer.h"

namespace netsentinel::app {
namespace {

constexpr absl::string_view kChannel = "smtp";
constexpr absl::string_view kDeliveryLoop = "delivery";
constexpr char kAuditDamage[] = "audit_damage";
constexpr absl::Duration kShowAuditDamage = absl::Hours(7 * 24);
constexpr absl::Duration kServerGrace = absl::Seconds(2);
// A transaction that a stop finds under way may go on for this long.
constexpr absl::Duration kSendGrace = absl::Seconds(5);
// The loops beat at least every 20 s; a transaction has its own deadline of 15 minutes.
constexpr absl::Duration kWorkerSilence = absl::Minutes(20);
constexpr absl::Duration kLookEvery = absl::Seconds(5);
constexpr absl::Duration kReportSilence = absl::Minutes(10);

// True once the stop was requested a while ago. One thread.
class StopGrace {
 public:
  StopGrace(const base::Clock& clock, std::stop_token stop)
      : clock_(clock), stop_(std::move(stop)) {}
  bool Over() {
    if (!stop_.stop_requested()) return false;
    if (!since_.has_value()) since_ = clock_.MonotonicNow();
    return clock_.MonotonicNow() - *since_ > kSendGrace;
  }

 private:
  const base::Clock& clock_;
  const std::stop_token stop_;
  std::optional<absl::Duration> since_;
};

absl::StatusOr<std::unique_ptr<channel::Channel>> MakeSmtp(const NotifierSettings& settings,
                                                           const shell::Context& context) {
  channel::SmtpSettings smtp = settings.smtp;
  if (settings.smtp_password.given()) {
    NS_ASSIGN_OR_RETURN(smtp.password, config::ReadSecret(settings.smtp_password));
  }
  if (settings.smtp_token.given()) {
    smtp.token = [source = settings.smtp_token] { return config::ReadSecret(source); };
  }
  const auto grace = std::make_shared<StopGrace>(context.clock, context.stop);
  smtp.abandon = [grace] { return grace->Over(); };
  return channel::CurlSmtpChannel::Create(std::move(smtp));
}

delivery::AlertSettings Alerts(const NotifierSettings& settings) {
  return {.channel = std::string(kChannel),
          .recipients = settings.alert_recipients,
          .group = settings.group};
}

// All parts of the notifier, in the order of dependence.
struct Parts {
  Parts(const NotifierSettings& settings, shell::Context& context,
        std::unique_ptr<channel::Channel> smtp_channel,
        std::unique_ptr<delivery::SqliteDeliveryQueue> delivery_queue,
        std::unique_ptr<audit::SqliteAuditQueue> changes,
        std::unique_ptr<report::HtmlRenderer> alert_renderer,
        std::unique_ptr<report::HtmlRenderer> report_renderer,
        const std::shared_ptr<grpc::Channel>& aggregator)
      : queue(std::move(delivery_queue)),
        audit_queue(std::move(changes)),
        smtp(std::move(smtp_channel)),
        alerts_html(std::move(alert_renderer)),
        reports_html(std::move(report_renderer)),
        authority(context.clock, context.logger, context.metrics),
        source(aggregator, rpc::NamesOf("aggregator", settings.aggregator), context.stop),
        audit_client(aggregator, rpc::NamesOf("aggregator", settings.aggregator), context.stop),
        audit_sender({*audit_queue, audit_client, context.random, context.logger, context.readiness,
                      context.liveness.AddPulse("audit", kReportSilence)}),
        audit_desk(authority, *audit_queue, audit_sender, context.clock, context.random,
                   context.logger),
        alerts(Alerts(settings), *queue, *alerts_html),
        worker({context.clock, *queue, smtp, alerts, wakeup, context.logger, context.metrics,
                context.readiness, context.liveness.AddPulse(kDeliveryLoop, kWorkerSilence)},
               delivery::RetryPolicy()),
        reports(settings.reports, std::string(kChannel),
                {context.clock, *queue, source, *reports_html, wakeup, context.logger,
                 context.readiness}),
        watch({context.clock, *queue, context.logger, context.metrics, context.readiness,
               context.liveness},
              std::string(kDeliveryLoop), kWorkerSilence),
        alert_service(authority, *queue, wakeup, look, context.clock, context.logger),
        notifier_service(authority, *queue, reports, audit_desk) {}

  std::unique_ptr<delivery::SqliteDeliveryQueue> queue;
  std::unique_ptr<audit::SqliteAuditQueue> audit_queue;
  channel::ReplaceableChannel smtp;
  // One for each thread that renders.
  std::unique_ptr<report::HtmlRenderer> alerts_html;
  std::unique_ptr<report::HtmlRenderer> reports_html;
  rpc::PeerAuthority authority;
  delivery::GrpcUsageSource source;
  audit::GrpcAuditClient audit_client;
  audit::AuditSender audit_sender;
  audit::GrpcAuditDesk audit_desk;
  delivery::Wakeup wakeup;
  delivery::AlertDesk alerts;
  delivery::DeliveryWorker worker;
  delivery::ReportDesk reports;
  delivery::QueueWatch watch;
  // Ends a wait of the watch.
  delivery::Wakeup look;
  delivery::GrpcAlertService alert_service;
  delivery::GrpcNotifierService notifier_service;
};

absl::StatusOr<std::unique_ptr<Parts>> MakeParts(const NotifierSettings& settings,
                                                 shell::Context& context) {
  NS_RETURN_IF_ERROR(shell::MakeStateFolder(settings.state_dir, context.logger));
  NS_ASSIGN_OR_RETURN(auto queue, delivery::SqliteDeliveryQueue::Open(
                                      absl::StrCat(settings.state_dir, "/delivery.db"),
                                      delivery::RetryPolicy(), context.clock.WallNow()));
  NS_ASSIGN_OR_RETURN(
      auto changes,
      audit::SqliteAuditQueue::Open(absl::StrCat(settings.state_dir, "/audit.db"), context.clock));
  NS_ASSIGN_OR_RETURN(auto smtp, MakeSmtp(settings, context));
  NS_ASSIGN_OR_RETURN(auto alerts_html, report::HtmlRenderer::Create());
  NS_ASSIGN_OR_RETURN(auto reports_html, report::HtmlRenderer::Create());
  rpc::ChannelOptions options;
  options.peer = settings.aggregator;
  options.max_receive_bytes = delivery::kMaxUsageAnswerBytes;
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> aggregator,
                      rpc::MakeChannel(options, context.clock));
  return std::make_unique<Parts>(settings, context, std::move(smtp), std::move(queue),
                                 std::move(changes), std::move(alerts_html),
                                 std::move(reports_html), aggregator);
}

rpc::ServerOptions ServerOptions(const NotifierSettings& settings) {
  rpc::ServerOptions options = rpc::FromListen(settings.listen, settings.security);
  options.admits = {rpc::Role::kAggregator, rpc::Role::kViewer, rpc::Role::kOperator,
                    rpc::Role::kAdmin};
  options.max_receive_bytes = delivery::kMaxAlertRequestBytes;
  return options;
}

void ShowAudit(metrics::Registry& metrics, audit::SqliteAuditQueue& queue) {
  const auto waiting =
      metrics.AddGauge("netsentinel_notifier_waiting_audit_entries",
                       "Changes that the aggregator's audit log does not have yet.");
  const auto refused = metrics.AddGauge("netsentinel_notifier_refused_audit_entries",
                                        "Changes that the aggregator's audit log never takes.");
  const absl::StatusOr<audit::AuditCounts> counts = queue.Counts();
  if (!counts.ok()) return;
  waiting.Set(static_cast<double>(counts->waiting));
  refused.Set(static_cast<double>(counts->refused));
}

// Damage of the file with changes that the audit log lacks: told once, and shown for a week.
void ShowAuditDamage(shell::Context& context, audit::SqliteAuditQueue& queue) {
  for (const std::string& incident : queue.TakeIncidents()) {
    delivery::DamagedCounter(context.metrics).Increment();
    context.logger.Error("audit.damaged", incident);
  }
  const std::optional<sqlite::DamagedFile> damage = queue.Damage();
  if (!damage.has_value() || context.clock.WallNow() - damage->at > kShowAuditDamage) {
    context.readiness.Ready(kAuditDamage);
    return;
  }
  context.readiness.NotReady(
      kAuditDamage,
      absl::StrCat("audit.db was damaged at ",
                   absl::FormatTime("%Y-%m-%d %H:%M UTC", damage->at, absl::UTCTimeZone()),
                   " and moved to ", damage->path,
                   ": the audit log may lack changes made here before. Mail goes on. Check the "
                   "disk; this is shown for 7 days"));
}

}  // namespace

absl::Status NotifierApp::Check(const NotifierSettings& settings) {
  const absl::Time now = io::SystemClock().WallNow();
  NS_RETURN_IF_ERROR(
      rpc::CheckSecurityAs(settings.security, rpc::Role::kNotifier, "tls", now).status());
  NS_RETURN_IF_ERROR(rpc::CheckSecurityAs(settings.aggregator.security, rpc::Role::kNotifier,
                                          "aggregator.tls", now)
                         .status());
  if (settings.smtp_password.given()) {
    NS_RETURN_IF_ERROR(config::ReadSecret(settings.smtp_password).status());
  }
  if (settings.smtp_token.given()) {
    NS_RETURN_IF_ERROR(config::ReadSecret(settings.smtp_token).status());
  }
  if (!settings.smtp.ca_file.empty()) {
    NS_RETURN_IF_ERROR(rpc::CheckAuthorityFile(settings.smtp.ca_file));
  }
  if (const absl::Status folder = io::CheckUsableFolder(settings.state_dir); !folder.ok()) {
    return absl::Status(folder.code(), absl::StrCat("state_dir: ", folder.message()));
  }
  return absl::OkStatus();
}

absl::Status NotifierApp::Run(const NotifierSettings& settings, shell::Context& context) {
  // Breaches are accepted and kept while the mail server is away, reports wait for the aggregator:
  // neither is a reason to bring breaches elsewhere.
  context.readiness.MakeAdvisory(kChannel);
  context.readiness.MakeAdvisory(kAuditDamage);
  for (const char* shown : {"aggregator", "alerts", "audit", "reports"}) {
    context.readiness.MakeAdvisory(shown);
  }
  context.readiness.NotReady("queue", "not opened yet");
  context.certificates.Add(settings.security);
  context.certificates.Add(settings.aggregator.security);
  NS_ASSIGN_OR_RETURN(const std::unique_ptr<Parts> parts, MakeParts(settings, context));
  NS_ASSIGN_OR_RETURN(const std::unique_ptr<rpc::Server> server,
                      rpc::Server::Start(ServerOptions(settings), parts->authority,
                                         std::vector<grpc::Service*>{&parts->alert_service,
                                                                     &parts->notifier_service},
                                         {context.clock, context.random, context.logger,
                                          context.metrics, context.readiness, context.liveness}));
  const shell::HealthFollower health(context.readiness, *server);
  std::map<std::string, std::uint16_t> ports = {{"grpc", server->port()}};
  std::unique_ptr<http::Server> web;
  if (settings.web.has_value()) {
    NS_ASSIGN_OR_RETURN(web, http::Server::Start({.address = *settings.web,
                                                  .hosts = settings.web_hosts,
                                                  .hosts_key = "listen.web_hosts"},
                                                 ReportPages(parts->reports), context.logger));
    ports["web"] = web->port();
  }
  // Ends the threads with the process, and also when the start fails below.
  std::stop_source loops;
  const std::stop_callback chain(context.stop, [&loops] { loops.request_stop(); });
  std::jthread worker([&] { parts->worker.Run(loops.get_token()); });
  std::jthread reports([&] {
    parts->reports.Run(loops.get_token(), context.liveness.AddPulse("reports", kReportSilence));
  });
  std::jthread audit([&] { parts->audit_sender.Run(loops.get_token()); });
  {
    base::MutexLock lock(mutex_);
    running_ = settings;
    take_settings_ = [&](const NotifierSettings& fresh) -> absl::Status {
      NS_ASSIGN_OR_RETURN(std::unique_ptr<channel::Channel> smtp, MakeSmtp(fresh, context));
      parts->smtp.Replace(std::move(smtp));
      parts->alerts.Change(Alerts(fresh));
      parts->reports.Change(fresh.reports);
      parts->worker.Unblock();
      return absl::OkStatus();
    };
    note_reload_ = [&](const absl::Status& outcome) {
      parts->audit_desk.Note(
          "config.reload", "the configuration file", "SIGHUP",
          outcome.ok() ? "taken over" : absl::StrCat("refused: ", outcome.message()));
    };
  }
  absl::Status result = context.started(ports);
  while (result.ok() && !context.stop.stop_requested()) {
    ShowAudit(context.metrics, *parts->audit_queue);
    ShowAuditDamage(context, *parts->audit_queue);
    parts->watch.Look();
    parts->look.Wait(kLookEvery, context.stop);
  }
  {
    base::MutexLock lock(mutex_);
    take_settings_ = nullptr;
    note_reload_ = nullptr;
  }
  loops.request_stop();
  server->Shutdown(kServerGrace);
  return result;
}

absl::Status NotifierApp::Reload(const NotifierSettings& settings, shell::Context& context) {
  base::MutexLock lock(mutex_);
  if (take_settings_ == nullptr) return absl::UnavailableError("nothing is running yet");
  shell::KeyChanges changes = {{"listen.web", settings.web != running_.web},
                               {"listen.web_hosts", settings.web_hosts != running_.web_hosts},
                               {"tls", settings.security != running_.security},
                               {"state_dir", settings.state_dir != running_.state_dir}};
  shell::AddListen(running_.listen, settings.listen, changes);
  shell::AddPeer("aggregator", running_.aggregator, settings.aggregator, changes);
  absl::Status outcome = shell::OnlyWithRestart(changes);
  if (outcome.ok()) outcome = take_settings_(settings);
  note_reload_(outcome);
  NS_RETURN_IF_ERROR(outcome);
  context.logger.Info("notifier.reloaded", "smtp, alerts and reports are as the file has them");
  return absl::OkStatus();
}

}  // namespace netsentinel::app
