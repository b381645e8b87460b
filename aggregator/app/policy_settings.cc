#include "aggregator/app/policy_settings.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "aggregator/accounting/mapping.h"
#include "aggregator/app/policy_text.h"
#include "common/base/quantity_text.h"

namespace netsentinel::app {
namespace {

using accounting::MappingRule;
using config::Section;

const config::Choices<counters::Menu> kMenus = {{"simple", counters::Menu::kSimple},
                                                {"tree", counters::Menu::kTree}};
const config::Choices<accounting::ParentsMode> kParents = {
    {"residue", accounting::ParentsMode::kResidue}, {"roots", accounting::ParentsMode::kRoots}};
const config::Choices<accounting::Direction> kDirections = {
    {"both", accounting::Direction::kBoth},
    {"download", accounting::Direction::kDownload},
    {"upload", accounting::Direction::kUpload}};
const config::Choices<quota::Period> kPeriods = {
    {"day", quota::Period::kDay}, {"week", quota::Period::kWeek}, {"month", quota::Period::kMonth}};
const config::Choices<quota::Basis> kBases = {{"download", quota::Basis::kDownload},
                                              {"upload", quota::Basis::kUpload},
                                              {"total", quota::Basis::kTotal}};

// "HH:MM" or "HH:MM:SS" as time since midnight; nothing when it is neither.
std::optional<absl::Duration> ParseLocalTime(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() != 2 && parts.size() != 3) return std::nullopt;
  int values[3] = {0, 0, 0};
  constexpr int kMost[3] = {23, 59, 59};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].size() != 2 || !absl::SimpleAtoi(parts[i], &values[i]) || values[i] < 0 ||
        values[i] > kMost[i]) {
      return std::nullopt;
    }
  }
  return absl::Hours(values[0]) + absl::Minutes(values[1]) + absl::Seconds(values[2]);
}

absl::Duration ReadLocalTime(Section& section, absl::string_view key, const std::string& text) {
  const std::optional<absl::Duration> time = ParseLocalTime(text);
  if (!time.has_value()) {
    section.Fail(key, absl::StrCat("\"", text, "\" is not a local time"),
                 "\"HH:MM\" or \"HH:MM:SS\"");
  }
  return time.value_or(absl::ZeroDuration());
}

void ReadSites(Section& root, AggregatorSettings& settings) {
  config::UniqueIds ids("site");
  for (Section& section : root.RequiredSectionList("sites", 5000)) {
    accounting::SiteSettings site;
    const std::string id = section.RequiredName("id");
    site.id = base::SiteId(id);
    ids.Add(section, "id", id);
    site.zone = section.RequiredTimeZone("time_zone");
    const std::string start = section.OptionalString("day_start", "00:00");
    site.day_start = ReadLocalTime(section, "day_start", start);
    std::vector<std::string> cuts =
        section.OptionalStringList("cut_times", {}, accounting::kMaxCutTimes);
    for (const std::string& cut : cuts) {
      site.cuts.push_back(ReadLocalTime(section, "cut_times", cut));
    }
    std::sort(site.cuts.begin(), site.cuts.end());
    if (std::adjacent_find(site.cuts.begin(), site.cuts.end()) != site.cuts.end() ||
        std::find(site.cuts.begin(), site.cuts.end(), site.day_start) != site.cuts.end()) {
      section.Fail("cut_times", "a time is listed twice, or is day_start itself", "", "remove one");
    }
    settings.catalog.sites.push_back(
        {.id = site.id, .time_zone = site.zone.name(), .day_start = start, .routers = {}});
    settings.policy.accounting.sites.push_back(std::move(site));
  }
}

void ReadRouters(Section& root, AggregatorSettings& settings) {
  config::UniqueIds ids("router");
  for (Section& section : root.RequiredSectionList("routers", 20000)) {
    accounting::RouterSettings router;
    ingest::RouterAdmission admission;
    const std::string id = section.RequiredName("id");
    const std::string site_id = section.RequiredName("site");
    router.id = base::RouterId(id);
    router.site = base::SiteId(site_id);
    admission.site = router.site;
    for (std::string& collector : section.RequiredNameList("collectors")) {
      admission.collectors.emplace_back(std::move(collector));
    }
    router.account = section.OptionalEnum("account", kMenus, counters::Menu::kSimple);
    router.parents = section.OptionalEnum("parents", kParents, accounting::ParentsMode::kResidue);
    router.line_rate_bps =
        section.OptionalBitRate("line_rate", 10'000'000'000ULL, {1000, 1'000'000'000'000'000ULL});
    admission.poll_interval = section.OptionalDuration("poll_interval", absl::ZeroDuration(),
                                                       {absl::Seconds(1), absl::Hours(1)});
    if (admission.poll_interval > absl::ZeroDuration()) {
      router.poll_interval = admission.poll_interval;
    }
    const auto site =
        std::find_if(settings.catalog.sites.begin(), settings.catalog.sites.end(),
                     [&](const query::Catalog::Site& one) { return one.id == router.site; });
    if (site != settings.catalog.sites.end()) {
      site->routers.push_back(router.id);
    } else if (!site_id.empty()) {
      section.Fail("site", absl::StrCat("there is no site \"", site_id, "\" under sites:"));
    }
    ids.Add(section, "id", id);
    settings.policy.admission.emplace(router.id, std::move(admission));
    settings.policy.accounting.routers.push_back(std::move(router));
  }
}

// Whether the rule can be used at all; what is wrong is reported at the key that it is wrong in.
void CheckRule(Section& section, const MappingRule& rule) {
  if (rule.name_pattern.empty() || rule.subscriber.empty()) return;  // Reported already.
  const absl::Status status = accounting::Mapper::Compile({rule}).status();
  if (status.ok()) return;
  absl::string_view words = status.message();
  absl::ConsumePrefix(&words, absl::StrCat("map rule 1 (\"", rule.name_pattern, "\"): "));
  const bool of_template = absl::StartsWith(words, "subscriber ");
  absl::ConsumePrefix(&words, of_template ? "subscriber " : "name ");
  section.Fail(of_template ? "subscriber" : "name", words,
               of_template ? "text with $1 to $9 for the groups of name, $$ for a $"
                           : "a regular expression such as \"^(.*)-down$\"");
}

void ReadMapping(Section& root, AggregatorSettings& settings) {
  for (Section& section : root.OptionalSectionList("map", accounting::kMaxMappingRules)) {
    MappingRule rule;
    rule.menu = section.RequiredEnum("menu", kMenus);
    rule.site = base::SiteId(section.OptionalName("site", ""));
    rule.router = base::RouterId(section.OptionalName("router", ""));
    rule.name_pattern =
        section.RequiredString("name", {.min = 1, .max = accounting::kMaxPatternBytes});
    rule.subscriber = section.RequiredString("subscriber");
    rule.direction = section.OptionalEnum("direction", kDirections, accounting::Direction::kBoth);
    rule.join_routers = section.OptionalBool("join_routers", false);
    if (rule.menu == counters::Menu::kTree && rule.direction == accounting::Direction::kBoth) {
      section.Fail("direction", "a tree queue has one counter", "download or upload",
                   "say which way the bytes of these queues go");
    }
    CheckRule(section, rule);
    settings.policy.accounting.mapping.push_back(std::move(rule));
  }
}

// 0 when it is reported.
std::uint64_t ReadLimit(Section& section, const std::string& limit) {
  constexpr absl::string_view kForm = "a size such as 10GiB, or unlimited";
  if (!section.has("limit")) {
    section.Fail("limit", "is missing", kForm);
    return 0;
  }
  // What is no text was reported already.
  if (limit.empty()) return 0;
  const absl::StatusOr<std::uint64_t> size = base::ParseByteSize(limit);
  if (size.ok() && *size >= 1 && *size <= config::kAnySize.max) return *size;
  const absl::string_view words =
      size.ok() ? "is no size from 1B to 8388607TiB" : size.status().message();
  section.Fail("limit", words.substr(0, words.find("; expected ")), kForm);
  return 0;
}

void ReadQuotas(Section& root, AggregatorSettings& settings) {
  Section quotas = root.OptionalSection("quota");
  if (!quotas.present()) {
    // A network without a word about quotas gets the product's default: 10 GiB download a day.
    quota::Rule rule;
    rule.id = "default";
    rule.limit_bytes = 10ULL << 30;
    settings.policy.accounting.quotas.push_back(rule);
  }
  for (auto& [id, section] : quotas.NamedSections()) {
    quota::Rule rule;
    rule.id = id;
    rule.period = section.OptionalEnum("period", kPeriods, quota::Period::kDay);
    rule.basis = section.OptionalEnum("basis", kBases, quota::Basis::kDownload);
    rule.start_day =
        static_cast<int>(section.OptionalInteger("start_day", 1, {.min = 1, .max = 28}));
    const std::string limit = section.OptionalString("limit", "");
    if (limit == "unlimited") {
      rule.unlimited = true;
    } else {
      rule.limit_bytes = ReadLimit(section, limit);
    }
    if (section.has("thresholds")) rule.thresholds_percent.clear();
    for (const std::int64_t percent :
         section.OptionalIntegerList("thresholds", {.min = 1, .max = 1000})) {
      rule.thresholds_percent.push_back(static_cast<std::uint32_t>(percent));
    }
    // A limit that is none was reported as what it is.
    quota::Rule judged = rule;
    if (judged.limit_bytes == 0) judged.unlimited = true;
    if (absl::Status status = quota::Validate(judged); !status.ok()) {
      section.Fail("", status.message());
    }
    settings.policy.accounting.quotas.push_back(std::move(rule));
  }
  settings.catalog.quotas = settings.policy.accounting.quotas;
}

}  // namespace

void ReadPolicy(Section& root, AggregatorSettings& settings) {
  ReadSites(root, settings);
  ReadRouters(root, settings);
  ReadMapping(root, settings);
  ReadQuotas(root, settings);
  // A router that is listed twice was reported, and has no admission of its own to show.
  if (settings.policy.admission.size() == settings.policy.accounting.routers.size()) {
    settings.policy.text = PolicyText(settings.policy);
  }
}

}  // namespace netsentinel::app
