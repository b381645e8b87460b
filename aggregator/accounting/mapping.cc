#include "aggregator/accounting/mapping.h"

#include <array>
#include <regex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "aggregator/accounting/pattern_shape.h"

namespace netsentinel::accounting {
namespace {

// Longer names match no rule: matching takes time and stack with the length.
constexpr std::size_t kMaxMappedNameBytes = 1024;
// What the store takes of a subscriber's name; a template may make more of a queue's.
constexpr std::size_t kMaxSubscriberNameBytes = 2048;

absl::Status CheckTemplate(const std::string& text, std::size_t groups) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') continue;
    if (++i == text.size()) return absl::InvalidArgumentError("ends with a lone $: write $$");
    if (text[i] == '$') continue;
    if (text[i] < '1' || text[i] > '9') {
      return absl::InvalidArgumentError("has a $ that is followed by neither $ nor 1 to 9");
    }
    if (static_cast<std::size_t>(text[i] - '0') > groups) {
      return absl::InvalidArgumentError(absl::StrCat("uses $", std::string(1, text[i]),
                                                     ", but the name has only ", groups,
                                                     " groups in parentheses"));
    }
  }
  return absl::OkStatus();
}

std::string Expand(const std::string& text, const std::smatch& match) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      out.push_back(text[i]);
    } else if (text[++i] == '$') {
      out.push_back('$');
    } else {
      out += match[static_cast<std::size_t>(text[i] - '0')].str();
    }
  }
  return out;
}

bool Concerns(const MappingRule& rule, counters::Menu menu, const RouterSettings& router) {
  return rule.menu == menu && (rule.site.empty() || rule.site == router.site) &&
         (rule.router.empty() || rule.router == router.id);
}

}  // namespace

struct Mapper::Compiled {
  MappingRule rule;
  std::regex pattern;
};

Mapper::Mapper() = default;
Mapper::~Mapper() = default;
Mapper::Mapper(Mapper&&) noexcept = default;
Mapper& Mapper::operator=(Mapper&&) noexcept = default;

absl::StatusOr<Mapper> Mapper::Compile(const std::vector<MappingRule>& rules) {
  if (rules.size() > kMaxMappingRules) {
    return absl::InvalidArgumentError(
        absl::StrCat("map has ", rules.size(), " rules, at most ", kMaxMappingRules, " are taken"));
  }
  Mapper mapper;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const MappingRule& rule = rules[i];
    const auto bad = [&](absl::string_view what) {
      return absl::InvalidArgumentError(
          absl::StrCat("map rule ", i + 1, " (\"", rule.name_pattern, "\"): ", what));
    };
    if (rule.name_pattern.size() > kMaxPatternBytes) return bad("name is longer than 512 bytes");
    if (rule.subscriber.empty()) return bad("subscriber is empty");
    Compiled compiled{rule, {}};
    const absl::StatusOr<Matching> matching = MatchingOf(rule.name_pattern);
    if (!matching.ok()) return bad(absl::StrCat("name ", matching.status().message()));
    auto flags = std::regex::ECMAScript | std::regex::optimize;
    if (*matching == Matching::kInStep) flags |= std::regex_constants::__polynomial;
    try {
      compiled.pattern.assign(rule.name_pattern, flags);
    } catch (const std::regex_error& e) {
      if (e.code() == std::regex_constants::error_complexity) {
        return bad("name has a back reference or is too complex: write it without");
      }
      return bad(absl::StrCat("name is not a regular expression: ", e.what()));
    }
    if (const absl::Status status = CheckTemplate(rule.subscriber, compiled.pattern.mark_count());
        !status.ok()) {
      return bad(absl::StrCat("subscriber \"", rule.subscriber, "\" ", status.message()));
    }
    mapper.rules_.push_back(std::move(compiled));
  }
  return mapper;
}

bool Mapper::Names(counters::Menu menu, const RouterSettings& router) const {
  for (const Compiled& compiled : rules_) {
    if (Concerns(compiled.rule, menu, router)) return true;
  }
  return false;
}

QueueTarget Mapper::Resolve(const QueueKey& queue, const RouterSettings& router) const {
  QueueTarget target;
  target.subscriber.site = router.site;
  for (const Compiled& compiled : rules_) {
    if (!Concerns(compiled.rule, queue.menu, router)) continue;
    if (queue.name.size() > kMaxMappedNameBytes) break;
    std::smatch match;
    bool matched = false;
    try {
      matched = std::regex_match(queue.name, match, compiled.pattern);
    } catch (const std::regex_error&) {
      matched = false;  // too complex for this name: the next rule decides
    }
    if (!matched) continue;
    std::string name = Expand(compiled.rule.subscriber, match);
    if (name.empty() || name.size() > kMaxSubscriberNameBytes) continue;
    target.subscriber.name = std::move(name);
    if (!compiled.rule.join_routers) target.subscriber.router = router.id;
    target.direction = compiled.rule.direction;
    return target;
  }
  target.subscriber.router = router.id;
  target.subscriber.name = UserOfQueueName(queue.name);
  target.counts = queue.menu == router.account;
  return target;
}

std::string UserOfQueueName(absl::string_view name) {
  static constexpr std::array<absl::string_view, 6> kKinds = {"pppoe-", "l2tp-", "pptp-",
                                                              "sstp-",  "ovpn-", "hotspot-"};
  if (name.size() > 2 && name.front() == '<' && name.back() == '>') {
    const absl::string_view inner = name.substr(1, name.size() - 2);
    for (const absl::string_view kind : kKinds) {
      if (absl::StartsWith(inner, kind) && inner.size() > kind.size()) {
        return std::string(inner.substr(kind.size()));
      }
    }
  }
  return std::string(name);
}

base::TrafficBytes Directed(Direction direction, counters::Menu menu,
                            const base::TrafficBytes& bytes) {
  if (direction == Direction::kBoth) return bytes;
  if (menu == counters::Menu::kTree) {
    return direction == Direction::kUpload ? base::TrafficBytes{bytes.download, 0} : bytes;
  }
  return direction == Direction::kUpload ? base::TrafficBytes{bytes.upload, 0}
                                         : base::TrafficBytes{0, bytes.download};
}

}  // namespace netsentinel::accounting
