#include "tools/simulator/wire_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace netsentinel::simulator {
namespace {

std::uint32_t NeededPrefix(std::size_t length) {
  if (length < 0x80) return 1;
  if (length < 0x4000) return 2;
  if (length < 0x200000) return 3;
  if (length < 0x10000000) return 4;
  return 5;
}

// The piece that a fault puts into a reply, or after which it ends.
WirePiece FaultPiece(const Fault& fault, const Reply& reply, const WireStyle& style,
                     base::RandomSource& random) {
  WirePiece piece;
  switch (fault.kind) {
    case FaultKind::kControlByte:
      AppendWireWord(piece.bytes, "!re", style.prefix_bytes);
      piece.bytes.push_back('\xF8');
      return piece;
    case FaultKind::kGiantLength:
      AppendWireWord(piece.bytes, "!re", style.prefix_bytes);
      piece.bytes.append("\xF0\xFF\xFF\xFF\xFF=name=", 11);
      return piece;
    case FaultKind::kEofMidWord:
      AppendWireWord(piece.bytes, "!re", style.prefix_bytes);
      piece.bytes.append("\x14=name=torn", 11);
      piece.after = After::kClose;
      return piece;
    case FaultKind::kEofMidReply:
      piece.after = After::kClose;
      return piece;
    case FaultKind::kStall:
      piece.after = After::kStall;
      piece.stall_ms = fault.value;
      return piece;
    case FaultKind::kTrapMidList:
      return EncodeSentence({"!trap", "=category=2", "=message=interrupted"}, reply.tag, style,
                            random);
    case FaultKind::kFatalMidReply:
      piece = EncodeSentence({"!fatal", "simulated failure"}, "", style, random);
      piece.after = After::kClose;
      return piece;
    case FaultKind::kUnknownReply:
      return EncodeSentence({"!news", "=kind=unheard-of"}, reply.tag, style, random);
    case FaultKind::kEmptySentences:
      piece.bytes.assign(3, '\0');
      return piece;
    default:
      return piece;
  }
}

// Faults that change the rows themselves leave nothing to do on the wire.
bool StrikesOnWire(FaultKind kind) {
  switch (kind) {
    case FaultKind::kRowsWithoutBytes:
    case FaultKind::kZeroCounters:
    case FaultKind::kDuplicateKeys:
    case FaultKind::kDuplicateId:
    case FaultKind::kBadNumber:
    case FaultKind::kDropRows:
      return false;
    default:
      return true;
  }
}

// True when nothing of the reply follows this fault.
bool EndsReply(FaultKind kind) {
  return kind == FaultKind::kEofMidWord || kind == FaultKind::kEofMidReply ||
         kind == FaultKind::kFatalMidReply;
}

}  // namespace

void AppendWireWord(std::string& out, absl::string_view word, std::uint32_t prefix_bytes) {
  const std::uint32_t size = std::max(NeededPrefix(word.size()), prefix_bytes);
  const auto length = static_cast<std::uint32_t>(word.size());
  // The marks of the prefixes of one to four bytes; the fifth form is F0 and the plain length.
  constexpr std::uint32_t kMarks[] = {0, 0, 0x8000, 0xC00000, 0xE0000000};
  const std::uint32_t value = size <= 4 ? (length | kMarks[size]) : length;
  if (size == 5) out.push_back('\xF0');
  for (std::uint32_t shift = std::min<std::uint32_t>(size, 4); shift > 0; --shift) {
    out.push_back(static_cast<char>((value >> ((shift - 1) * 8)) & 0xFF));
  }
  out.append(word.data(), word.size());
}

WirePiece EncodeSentence(const std::vector<std::string>& words, const std::string& tag,
                         const WireStyle& style, base::RandomSource& random) {
  WirePiece piece;
  std::size_t total = 8 + tag.size();
  for (const std::string& word : words) total += word.size() + style.prefix_bytes + 1;
  piece.bytes.reserve(total);
  const std::string tag_word = tag.empty() ? "" : absl::StrCat(".tag=", tag);
  const bool tag_second = !tag.empty() && (random.Next() >> 32) % 2 == 0;
  const auto append = [&piece, &style](const std::string& word) {
    // A prefix of one byte is torn from its word, a longer one in its middle.
    if (style.split_prefix) {
      piece.tears.push_back(static_cast<std::uint32_t>(piece.bytes.size()) + 1);
    }
    AppendWireWord(piece.bytes, word, style.prefix_bytes);
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    append(words[i]);
    if (i == 0 && tag_second) append(tag_word);
  }
  if (!tag.empty() && !tag_second) append(tag_word);
  piece.bytes.push_back('\0');
  return piece;
}

std::deque<WirePiece> EncodeReply(Reply& reply, const WireStyle& style,
                                  base::RandomSource& random) {
  std::deque<WirePiece> pieces;
  std::vector<const Fault*> waiting;
  for (const Fault& fault : reply.faults) {
    if (StrikesOnWire(fault.kind)) waiting.push_back(&fault);
  }
  const std::size_t count = reply.sentences.size();
  for (std::size_t i = 0; i < count; ++i) {
    for (auto fault = waiting.begin(); fault != waiting.end();) {
      // A reply shorter than the fault's place is struck before its last sentence.
      if (std::min<std::uint64_t>((*fault)->after_rows, count - 1) > i) {
        ++fault;
        continue;
      }
      pieces.push_back(FaultPiece(**fault, reply, style, random));
      if (EndsReply((*fault)->kind)) {
        reply.sentences.clear();
        return pieces;
      }
      fault = waiting.erase(fault);
    }
    // !fatal carries no tag: it ends the session, not a command.
    const bool fatal = !reply.sentences[i].empty() && reply.sentences[i][0] == "!fatal";
    pieces.push_back(
        EncodeSentence(reply.sentences[i], fatal ? std::string() : reply.tag, style, random));
    // Long replies hold each row once.
    std::vector<std::string>().swap(reply.sentences[i]);
  }
  if (reply.close_after) {
    if (pieces.empty()) pieces.emplace_back();
    pieces.back().after = After::kClose;
  }
  reply.sentences.clear();
  return pieces;
}

}  // namespace netsentinel::simulator
