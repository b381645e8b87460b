#include "tests/support/queue_reply.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "collector/routeros/word_codec.h"
#include "common/base/random.h"

namespace netsentinel::test {

std::string MakeQueueReply(const QueueReplyOptions& options) {
  base::SeededRandom random(options.seed);
  std::string out;
  for (std::size_t row = 0; row < options.rows; ++row) {
    const bool dynamic = row % 4 == 3;
    const std::uint64_t moved = row % 10 < 3 ? options.moved_bytes : 0;
    const std::uint64_t upload = random.Next() % 40'000'000'000 + moved;
    const std::uint64_t download = random.Next() % 400'000'000'000 + 3 * moved;
    routeros::SentenceBuilder sentence(out);
    sentence.Word("!re");
    if (!options.tag.empty()) sentence.Tag(options.tag);
    sentence.Attribute(".id", absl::StrFormat("*%X", row + 1));
    sentence.Attribute("name", dynamic ? absl::StrCat("<pppoe-subscriber", row, ">")
                                       : absl::StrCat("subscriber-", row));
    sentence.Attribute("target",
                       absl::StrFormat("10.%d.%d.%d/32", row >> 16, (row >> 8) & 255, row & 255));
    if (!options.short_rows) sentence.Attribute("parent", "none");
    sentence.Attribute("bytes", absl::StrCat(upload, "/", download));
    sentence.Attribute("packets", absl::StrCat(upload / 300, "/", download / 900));
    if (!options.short_rows) {
      sentence.Attribute("max-limit", "10000000/50000000");
      sentence.Attribute("burst-limit", "0/0");
      if (row % 5 == 0) sentence.Attribute("comment", absl::StrCat("contract ", 700'000 + row));
      sentence.Attribute("invalid", "false");
      sentence.Attribute("dynamic", dynamic ? "true" : "false");
      sentence.Attribute("disabled", "false");
    }
    sentence.End();
  }
  routeros::SentenceBuilder done(out);
  done.Word("!done");
  if (!options.tag.empty()) done.Tag(options.tag);
  done.End();
  return out;
}

}  // namespace netsentinel::test
