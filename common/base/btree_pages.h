#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace netsentinel::base {

// NULL, an integer, or text or bytes; floating point reads as NULL.
using PageValue = std::variant<std::monostate, std::int64_t, std::string>;

// A row as a leaf page of a table holds it. A column that is the row's number is NULL in it.
struct PageRow {
  std::int64_t number = 0;
  std::vector<PageValue> values;
};

// Every row that stands whole on the table leaves of a SQLite 3 file, whatever else of the file is
// damaged (www.sqlite.org/fileformat2.html): rows of all tables, also ones that a page on the free
// list still has. So a caller must know its rows by something that damage does not keep, such as a
// checksum. `page` gives the pages from 1 to `count`, each of `page_size` bytes (a power of two,
// 512 to 65536) or something shorter where it cannot; called also for pages that long rows go on
// on. A row of more than `max_row_bytes` is left out. `reserved` is the space at each page's end
// that is not used. Pure.
void ForEachPageRow(std::uint32_t page_size, std::uint32_t reserved, std::uint32_t count,
                    std::uint64_t max_row_bytes,
                    const std::function<std::string(std::uint32_t number)>& page,
                    const std::function<void(const PageRow&)>& take);

}  // namespace netsentinel::base
