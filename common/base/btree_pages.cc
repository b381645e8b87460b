#include "common/base/btree_pages.h"

#include <algorithm>
#include <optional>

namespace netsentinel::base {
namespace {

constexpr char kTableLeaf = 0x0D;
constexpr std::size_t kFileHeader = 100;
constexpr std::size_t kMaxColumns = 64;

std::uint64_t BigEndian(absl::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
  return value;
}

// A SQLite varint from the front: seven bits a byte, eight in the ninth.
std::optional<std::uint64_t> TakeVarint(absl::string_view& bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size() && i < 9; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    value = i == 8 ? (value << 8) | byte : (value << 7) | (byte & 0x7FU);
    if (byte < 0x80 || i == 8) {
      bytes.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

std::int64_t Signed(absl::string_view bytes) {
  const std::uint64_t value = BigEndian(bytes);
  const std::size_t bits = 8 * bytes.size();
  if (bits == 64 || (value >> (bits - 1)) == 0) return static_cast<std::int64_t>(value);
  return static_cast<std::int64_t>(value | (~std::uint64_t{0} << bits));
}

std::optional<PageValue> TakeValue(std::uint64_t type, absl::string_view& bytes) {
  constexpr std::size_t kSizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  if (type >= 12) {
    const std::uint64_t size = (type - 12) / 2;
    if (size > bytes.size()) return std::nullopt;
    std::string text(bytes.substr(0, size));
    bytes.remove_prefix(size);
    return PageValue(std::move(text));
  }
  if (type >= 10 || kSizes[type] > bytes.size()) return std::nullopt;
  const absl::string_view part = bytes.substr(0, kSizes[type]);
  bytes.remove_prefix(part.size());
  if (type == 0 || type == 7) return PageValue();
  if (type >= 8) return PageValue(static_cast<std::int64_t>(type - 8));
  return PageValue(Signed(part));
}

std::optional<std::vector<PageValue>> DecodeRecord(absl::string_view record) {
  absl::string_view header = record;
  const std::optional<std::uint64_t> size = TakeVarint(header);
  const std::size_t begun = record.size() - header.size();
  if (!size.has_value() || *size < begun || *size > record.size()) return std::nullopt;
  header = header.substr(0, *size - begun);
  absl::string_view body = record.substr(*size);
  std::vector<PageValue> values;
  while (!header.empty()) {
    const std::optional<std::uint64_t> type = TakeVarint(header);
    if (!type.has_value() || values.size() == kMaxColumns) return std::nullopt;
    std::optional<PageValue> value = TakeValue(*type, body);
    if (!value.has_value()) return std::nullopt;
    values.push_back(*std::move(value));
  }
  if (!body.empty()) return std::nullopt;
  return values;
}

// The pages of one file.
struct Pages {
  std::uint32_t usable;
  std::uint32_t count;
  std::uint64_t max_row_bytes;
  const std::function<std::string(std::uint32_t)>& page;
};

// The payload of a cell: what stands on the page, and what goes on on pages behind it.
std::optional<std::string> Payload(const Pages& pages, absl::string_view cell, std::uint64_t size) {
  const std::uint64_t usable = pages.usable;
  if (size > pages.max_row_bytes) return std::nullopt;
  std::uint64_t local = size;
  if (size > usable - 35) {
    const std::uint64_t least = (usable - 12) * 32 / 255 - 23;
    const std::uint64_t fitting = least + (size - least) % (usable - 4);
    local = fitting <= usable - 35 ? fitting : least;
  }
  if (cell.size() < local + (local < size ? 4 : 0)) return std::nullopt;
  std::string payload(cell.substr(0, local));
  std::uint64_t next = local < size ? BigEndian(cell.substr(local, 4)) : 0;
  // Each page adds to it, so a circle ends too.
  while (payload.size() < size) {
    if (next == 0 || next > pages.count) return std::nullopt;
    const std::string more = pages.page(static_cast<std::uint32_t>(next));
    if (more.size() < usable) return std::nullopt;
    next = BigEndian(absl::string_view(more).substr(0, 4));
    payload.append(more, 4, std::min<std::uint64_t>(usable - 4, size - payload.size()));
  }
  return payload;
}

void TakeRowsOf(const Pages& pages, absl::string_view page, std::size_t header,
                const std::function<void(const PageRow&)>& take) {
  if (page.size() < header + 8 || page[header] != kTableLeaf) return;
  const std::uint64_t cells = BigEndian(page.substr(header + 3, 2));
  for (std::uint64_t i = 0; i < cells; ++i) {
    const std::size_t pointer = header + 8 + 2 * i;
    if (pointer + 2 > page.size()) return;
    const std::uint64_t at = BigEndian(page.substr(pointer, 2));
    if (at >= pages.usable) continue;
    absl::string_view cell = page.substr(at, pages.usable - at);
    const std::optional<std::uint64_t> size = TakeVarint(cell);
    const std::optional<std::uint64_t> number = TakeVarint(cell);
    if (!size.has_value() || !number.has_value()) continue;
    const std::optional<std::string> payload = Payload(pages, cell, *size);
    if (!payload.has_value()) continue;
    std::optional<std::vector<PageValue>> values = DecodeRecord(*payload);
    if (!values.has_value()) continue;
    take({.number = static_cast<std::int64_t>(*number), .values = *std::move(values)});
  }
}

}  // namespace

void ForEachPageRow(std::uint32_t page_size, std::uint32_t reserved, std::uint32_t count,
                    std::uint64_t max_row_bytes,
                    const std::function<std::string(std::uint32_t number)>& page,
                    const std::function<void(const PageRow&)>& take) {
  // What SQLite itself asks of a file.
  if (page_size < 512 || page_size > 65536 || reserved > page_size - 480) return;
  const Pages pages{
      .usable = page_size - reserved, .count = count, .max_row_bytes = max_row_bytes, .page = page};
  for (std::uint32_t number = 1; number <= count; ++number) {
    const std::string bytes = page(number);
    if (bytes.size() < pages.usable) continue;
    TakeRowsOf(pages, bytes, number == 1 ? kFileHeader : 0, take);
  }
}

}  // namespace netsentinel::base
