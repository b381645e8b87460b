#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "netsentinel/v1/common.pb.h"

namespace netsentinel::ctl {

// Columns of text, padded by code points; the first row is the heading.
class Table {
 public:
  // One letter a column: 'l' left, 'r' right.
  explicit Table(std::string alignment) : alignment_(std::move(alignment)) {}
  void Add(std::vector<std::string> cells);
  // Every row on a line of its own, without trailing spaces.
  std::string Text() const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

std::string GradeText(v1::Grade grade);
// "2026-03-29 18:15:00 +0500" in the zone (UTC when it is not known); "-" for 0.
std::string InstantText(std::int64_t at_us, const std::string& zone = "");

}  // namespace netsentinel::ctl
