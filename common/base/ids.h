#pragma once

#include <compare>
#include <string>
#include <utility>

namespace netsentinel::base {

// A string that names one kind of thing; two kinds do not mix.
template <typename Tag>
class StrongName {
 public:
  StrongName() = default;
  explicit StrongName(std::string value) : value_(std::move(value)) {}
  const std::string& value() const { return value_; }
  bool empty() const { return value_.empty(); }
  auto operator<=>(const StrongName&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const StrongName& name) {
    return H::combine(std::move(state), name.value_);
  }

 private:
  std::string value_;
};

// Names from configuration: [A-Za-z0-9._-]{1,64}.
using RouterId = StrongName<struct RouterIdTag>;
using SiteId = StrongName<struct SiteIdTag>;
using CollectorId = StrongName<struct CollectorIdTag>;

}  // namespace netsentinel::base
