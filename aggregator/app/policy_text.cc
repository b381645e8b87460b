#include "aggregator/app/policy_text.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "aggregator/app/policy_settings.h"
#include "common/base/status_macros.h"
#include "common/config/document.h"

namespace netsentinel::app {
namespace {

// A double-quoted YAML scalar.
std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppend(&out, absl::StrFormat("\\x%02x", static_cast<unsigned char>(c)));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

std::string LocalTime(absl::Duration time) {
  const std::int64_t seconds = absl::ToInt64Seconds(time);
  return absl::StrFormat("\"%02d:%02d:%02d\"", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

template <typename Items, typename Format>
std::string List(const Items& items, Format format) {
  return absl::StrCat("[", absl::StrJoin(items, ", ", format), "]");
}

// The keys of one flow map, in the order they are added.
class FlowMap {
 public:
  void Add(absl::string_view key, absl::string_view value) {
    absl::StrAppend(&body_, body_.empty() ? "" : ", ", key, ": ", value);
  }
  std::string Text() const { return absl::StrCat("{", body_, "}"); }

 private:
  std::string body_;
};

std::string SiteText(const accounting::SiteSettings& site) {
  FlowMap map;
  map.Add("id", Quoted(site.id.value()));
  map.Add("time_zone", Quoted(site.zone.name()));
  if (site.day_start != absl::ZeroDuration()) map.Add("day_start", LocalTime(site.day_start));
  if (!site.cuts.empty()) {
    map.Add("cut_times", List(site.cuts, [](std::string* out, absl::Duration cut) {
              absl::StrAppend(out, LocalTime(cut));
            }));
  }
  return map.Text();
}

std::string RouterText(const accounting::RouterSettings& router,
                       const ingest::RouterAdmission& admission) {
  const accounting::RouterSettings defaults;
  FlowMap map;
  map.Add("id", Quoted(router.id.value()));
  map.Add("site", Quoted(router.site.value()));
  map.Add("collectors",
          List(admission.collectors, [](std::string* out, const base::CollectorId& one) {
            absl::StrAppend(out, Quoted(one.value()));
          }));
  if (router.account != defaults.account) map.Add("account", counters::MenuName(router.account));
  if (router.parents != defaults.parents) map.Add("parents", "roots");
  if (router.line_rate_bps != defaults.line_rate_bps) {
    map.Add("line_rate", absl::StrCat(router.line_rate_bps, "bps"));
  }
  if (admission.poll_interval > absl::ZeroDuration()) {
    map.Add("poll_interval",
            absl::StrCat(absl::ToInt64Milliseconds(admission.poll_interval), "ms"));
  }
  return map.Text();
}

std::string RuleText(const accounting::MappingRule& rule) {
  FlowMap map;
  map.Add("menu", counters::MenuName(rule.menu));
  if (!rule.site.empty()) map.Add("site", Quoted(rule.site.value()));
  if (!rule.router.empty()) map.Add("router", Quoted(rule.router.value()));
  map.Add("name", Quoted(rule.name_pattern));
  map.Add("subscriber", Quoted(rule.subscriber));
  if (rule.direction != accounting::Direction::kBoth) {
    map.Add("direction",
            rule.direction == accounting::Direction::kDownload ? "download" : "upload");
  }
  if (rule.join_routers) map.Add("join_routers", "true");
  return map.Text();
}

std::string QuotaText(const quota::Rule& rule) {
  constexpr absl::string_view kPeriodWords[] = {"day", "week", "month"};
  constexpr absl::string_view kBasisWords[] = {"download", "upload", "total"};
  FlowMap map;
  map.Add("period", kPeriodWords[static_cast<std::size_t>(rule.period) - 1]);
  map.Add("basis", kBasisWords[static_cast<std::size_t>(rule.basis) - 1]);
  map.Add("start_day", absl::StrCat(rule.start_day));
  map.Add("limit", rule.unlimited ? "unlimited" : absl::StrCat(rule.limit_bytes, "B"));
  map.Add("thresholds", List(rule.thresholds_percent, absl::AlphaNumFormatter()));
  return map.Text();
}

}  // namespace

std::string PolicyText(const ingest::EnginePolicy& policy) {
  std::string text = "sites:\n";
  for (const accounting::SiteSettings& site : policy.accounting.sites) {
    absl::StrAppend(&text, "- ", SiteText(site), "\n");
  }
  absl::StrAppend(&text, "routers:\n");
  for (const accounting::RouterSettings& router : policy.accounting.routers) {
    absl::StrAppend(&text, "- ", RouterText(router, policy.admission.at(router.id)), "\n");
  }
  if (!policy.accounting.mapping.empty()) absl::StrAppend(&text, "map:\n");
  for (const accounting::MappingRule& rule : policy.accounting.mapping) {
    absl::StrAppend(&text, "- ", RuleText(rule), "\n");
  }
  // Always there: without the key there is the product's default quota.
  absl::StrAppend(&text, "quota:", policy.accounting.quotas.empty() ? " {}\n" : "\n");
  for (const quota::Rule& rule : policy.accounting.quotas) {
    absl::StrAppend(&text, "  ", Quoted(rule.id), ": ", QuotaText(rule), "\n");
  }
  return text;
}

absl::StatusOr<ingest::EnginePolicy> ParsePolicyText(absl::string_view text) {
  NS_ASSIGN_OR_RETURN(const auto document, config::Document::Parse(text, "stored policy"));
  AggregatorSettings settings;
  config::Section root = document->root();
  ReadPolicy(root, settings);
  NS_RETURN_IF_ERROR(document->Finish());
  return std::move(settings.policy);
}

}  // namespace netsentinel::app
