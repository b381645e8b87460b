// The answers of a router to two queue prints, from bytes to readings: through the session, cut
// into pieces, and into the reader, the first one twice, so that remembered rows are compared with
// new ones. Input: a byte of flags (1: tree, 2: wire form), the piece size, then what the router
// sends after the login: words that end in a zero byte, an empty one ending the sentence, which
// mutations cannot get out of step; or the bytes of the wire. Three zero bytes divide the first
// answer from the second one; without them both are the same.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "collector/routeros/queue_menu_reader.h"
#include "collector/routeros/router_error.h"
#include "collector/routeros/session.h"
#include "common/base/check.h"
#include "common/counters/descriptor_table.h"
#include "tests/fuzz/planted_bug.h"

namespace netsentinel::routeros {
namespace {

using counters::QueueReading;

constexpr absl::string_view kLoggedIn("\x05!done\x06.tag=1\x00", 14);

void Give(Session& session, absl::string_view bytes) {
  const absl::Span<char> space = session.ReadSpace(bytes.size());
  std::copy(bytes.begin(), bytes.end(), space.begin());
  session.OnRead(bytes.size());
}

absl::StatusOr<std::vector<QueueReading>> Read(QueueMenuReader& reader, absl::string_view bytes,
                                               std::size_t piece) {
  Session session({.decoder = {.max_word_bytes = 1024}, .max_rows_per_reply = 64},
                  [](absl::string_view) { return std::array<std::uint8_t, 16>{}; });
  session.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
  session.OnWritten(session.output().size());
  Give(session, kLoggedIn);
  NS_CHECK(session.Next().kind == SessionEvent::Kind::kLoggedIn, "login");
  const absl::StatusOr<RequestTag> tag = session.Send(reader.PrintCommand());
  NS_CHECK(tag.ok() && *tag == 2, "the seeds answer tag 2");
  session.OnWritten(session.output().size());
  reader.Begin();
  while (true) {
    const SessionEvent event = session.Next();
    switch (event.kind) {
      case SessionEvent::Kind::kRow:
        reader.AddRow(event.row);
        break;
      case SessionEvent::Kind::kDone: {
        if (!event.result->status.ok()) return event.result->status;
        std::vector<QueueReading> readings;
        const absl::Status status = reader.Finish(readings);
        if (!status.ok()) return status;
        NS_CHECK(readings.size() == event.result->rows, "a row went missing");
        return readings;
      }
      case SessionEvent::Kind::kClosed:
        NS_CHECK(RouterErrorOf(session.failure()).has_value(), "a failure without a kind");
        return session.failure();
      case SessionEvent::Kind::kNeedInput:
        if (bytes.empty()) {
          session.OnDisconnect(absl::OkStatus());
        } else {
          Give(session, bytes.substr(0, piece));
          bytes.remove_prefix(std::min(piece, bytes.size()));
        }
        break;
      case SessionEvent::Kind::kLoggedIn:
        NS_CHECK(false, "logged in twice");
    }
  }
}

std::string ToWire(absl::string_view text) {
  std::string wire;
  while (!text.empty()) {
    const absl::string_view word = text.substr(0, text.find('\0'));
    AppendWord(wire, word);
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  return wire;
}

// A reader that remembers another reply must say what one without a memory says.
void CheckNext(counters::Menu menu, absl::string_view bytes, QueueMenuReader& reader,
               const counters::DescriptorTable& table) {
  reader.BeginSession();
  const absl::StatusOr<std::vector<QueueReading>> remembered =
      Read(reader, bytes, bytes.size() + 1);
  counters::DescriptorTable fresh_table;
  QueueMenuReader fresh(menu, fresh_table);
  const absl::StatusOr<std::vector<QueueReading>> alone = Read(fresh, bytes, bytes.size() + 1);
  NS_CHECK(remembered.status() == alone.status(), "the memory changed what is accepted");
  if (!alone.ok()) return;
  NS_CHECK(remembered->size() == alone->size(), "the memory changed the rows");
  for (std::size_t row = 0; row < alone->size(); ++row) {
    const QueueReading& with = (*remembered)[row];
    const QueueReading& without = (*alone)[row];
    NS_CHECK(table.Find(with.descriptor) != nullptr, "a reading without its descriptor");
    NS_CHECK(*table.Find(with.descriptor) == *fresh_table.Find(without.descriptor),
             "the memory changed a descriptor");
    NS_CHECK(with.upload == without.upload && with.download == without.download &&
                 with.packets == without.packets,
             "the memory changed a counter");
  }
  NS_CHECK(table.live() == alone->size(), "descriptors that no row has");
}

void Check(counters::Menu menu, absl::string_view bytes, absl::string_view next,
           std::size_t piece) {
  counters::DescriptorTable table;
  QueueMenuReader reader(menu, table);
  const absl::StatusOr<std::vector<QueueReading>> first = Read(reader, bytes, bytes.size() + 1);
  NS_CHECK(first.ok() || table.live() == 0, "a refused reply left descriptors");
  const absl::StatusOr<std::vector<QueueReading>> second = Read(reader, bytes, piece);
  NS_CHECK(first.status() == second.status(), "the same bytes failed differently");
  if (first.ok()) {
    NS_CHECK(*first == *second, "remembered rows read differently");
    std::set<std::uint64_t> row_ids;
    for (const QueueReading& reading : *first) {
      const counters::QueueDescriptor* descriptor = table.Find(reading.descriptor);
      NS_CHECK(descriptor != nullptr, "a reading without its descriptor");
      NS_CHECK(row_ids.insert(descriptor->row_id).second, "a row twice");
      NS_PLANT_BUG_IF(reading.upload > reading.download);
    }
    NS_CHECK(table.live() == first->size(), "descriptors that no row has");
  }
  CheckNext(menu, next, reader, table);
}

void CheckInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t divider = input.find(absl::string_view("\0\0\0", 3));
  const bool two = divider != absl::string_view::npos;
  // The first two zero bytes end the last sentence of the first answer.
  const absl::string_view first = two ? input.substr(0, divider + 2) : input;
  const absl::string_view second = two ? input.substr(divider + 3) : input;
  const counters::Menu menu = (data[0] & 1) == 0 ? counters::Menu::kSimple : counters::Menu::kTree;
  const std::size_t piece = 1 + data[1];
  if ((data[0] & 2) == 0) return Check(menu, ToWire(first), ToWire(second), piece);
  Check(menu, first, second, piece);
}

}  // namespace
}  // namespace netsentinel::routeros

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 2) netsentinel::routeros::CheckInput(data, size);
  return 0;
}
