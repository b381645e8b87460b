#include "collector/routeros/word_codec.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/check.h"

namespace netsentinel::routeros {
namespace {

constexpr std::size_t kSmallestBuffer = 4096;

// How many bytes a prefix takes and which bits of its first byte belong to the length. Zero bytes:
// not a prefix.
struct PrefixForm {
  std::size_t bytes;
  std::uint8_t mask;
};

PrefixForm FormOf(std::uint8_t first) {
  if (first < 0x80) return {1, 0x7F};
  if (first < 0xC0) return {2, 0x3F};
  if (first < 0xE0) return {3, 0x1F};
  if (first < 0xF0) return {4, 0x0F};
  if (first == 0xF0) return {5, 0x00};
  return {0, 0};
}

void AppendBigEndian(std::string& out, std::uint32_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((value >> shift) & 0xFF));
  }
}

}  // namespace

void AppendLength(std::string& out, std::uint32_t length) {
  if (length < 0x80) {
    AppendBigEndian(out, length, 1);
  } else if (length < 0x4000) {
    AppendBigEndian(out, length | 0x8000U, 2);
  } else if (length < 0x200000) {
    AppendBigEndian(out, length | 0xC00000U, 3);
  } else if (length < 0x10000000) {
    AppendBigEndian(out, length | 0xE0000000U, 4);
  } else {
    out.push_back(static_cast<char>(0xF0));
    AppendBigEndian(out, length, 4);
  }
}

void AppendWord(std::string& out, absl::string_view word) {
  NS_CHECK(word.size() <= std::numeric_limits<std::uint32_t>::max(), absl::StrCat(word.size()));
  AppendLength(out, static_cast<std::uint32_t>(word.size()));
  out.append(word.data(), word.size());
}

SentenceBuilder& SentenceBuilder::Word(absl::string_view word) {
  NS_CHECK(!word.empty(), "an empty word ends a sentence");
  AppendWord(out_, word);
  return *this;
}

SentenceBuilder& SentenceBuilder::Attribute(absl::string_view key, absl::string_view value) {
  NS_CHECK(key.find('=') == absl::string_view::npos, key);
  AppendLength(out_, static_cast<std::uint32_t>(key.size() + value.size() + 2));
  out_.push_back('=');
  out_.append(key.data(), key.size());
  out_.push_back('=');
  out_.append(value.data(), value.size());
  return *this;
}

SentenceBuilder& SentenceBuilder::Tag(absl::string_view tag) {
  return Word(absl::StrCat(".tag=", tag));
}

void SentenceBuilder::End() { out_.push_back('\0'); }

void SentenceDecoder::MoveTo(char* base) {
  // Words of the sentence under way point into the buffer and move with it.
  const char* old_start = buffer_.get() + begin_;
  if (end_ > begin_) std::memmove(base, old_start, end_ - begin_);
  for (absl::string_view& word : words_) {
    word = absl::string_view(base + (word.data() - old_start), word.size());
  }
  scan_ -= begin_;
  end_ -= begin_;
  begin_ = 0;
}

absl::Span<char> SentenceDecoder::WriteSpace(std::size_t minimum) {
  if (finished_sentence_) {
    words_.clear();
    finished_sentence_ = false;
  }
  const std::size_t held = end_ - begin_;
  if (capacity_ - end_ < minimum) {
    if (capacity_ >= held + minimum && capacity_ >= 2 * held) {
      MoveTo(buffer_.get());
    } else {
      capacity_ = std::max({kSmallestBuffer, 2 * held, held + minimum});
      auto bigger = std::make_unique_for_overwrite<char[]>(capacity_);
      MoveTo(bigger.get());
      buffer_ = std::move(bigger);
    }
  } else if (held == 0) {
    begin_ = scan_ = end_ = 0;
  }
  return absl::MakeSpan(buffer_.get() + end_, capacity_ - end_);
}

void SentenceDecoder::Commit(std::size_t count) {
  NS_CHECK(count <= capacity_ - end_, absl::StrCat(count, " of ", capacity_ - end_));
  end_ += count;
}

void SentenceDecoder::Feed(absl::string_view bytes) {
  if (bytes.empty()) return;
  const absl::Span<char> space = WriteSpace(bytes.size());
  std::memcpy(space.data(), bytes.data(), bytes.size());
  Commit(bytes.size());
}

SentenceDecoder::Result SentenceDecoder::Fail(absl::Status status) {
  status_ = std::move(status);
  words_.clear();
  begin_ = scan_ = end_;
  return Result::kError;
}

bool SentenceDecoder::ReadPrefix(std::size_t* prefix_bytes, std::size_t* word_bytes) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(buffer_.get()) + scan_;
  const std::size_t available = end_ - scan_;
  if (available == 0) return false;
  if (bytes[0] < 0x80) [[likely]] {
    *prefix_bytes = 1;
    *word_bytes = bytes[0];
    return true;
  }
  const PrefixForm form = FormOf(bytes[0]);
  if (form.bytes == 0) {
    Fail(absl::InvalidArgumentError(
        absl::StrFormat("byte 0x%02X is not a length prefix of the RouterOS API", bytes[0])));
    return false;
  }
  if (available < form.bytes) return false;
  std::size_t length = bytes[0] & form.mask;
  for (std::size_t i = 1; i < form.bytes; ++i) length = (length << 8) | bytes[i];
  *prefix_bytes = form.bytes;
  *word_bytes = length;
  return true;
}

SentenceDecoder::Result SentenceDecoder::Next() {
  if (!status_.ok()) return Result::kError;
  if (finished_sentence_) {
    words_.clear();
    finished_sentence_ = false;
  }
  while (true) {
    std::size_t prefix_bytes = 0;
    std::size_t word_bytes = 0;
    if (!ReadPrefix(&prefix_bytes, &word_bytes)) {
      return status_.ok() ? Result::kNeedMore : Result::kError;
    }
    if (word_bytes == 0) {
      scan_ += prefix_bytes;
      sentence_bytes_ = scan_ - begin_;
      begin_ = scan_;
      if (words_.empty()) {
        skipped_bytes_ += sentence_bytes_;
        continue;
      }
      finished_sentence_ = true;
      return Result::kSentence;
    }
    // Limits are judged by the claim, before the bytes have come.
    if (word_bytes > limits_.max_word_bytes) {
      return Fail(absl::ResourceExhaustedError(absl::StrCat(
          "a word of ", word_bytes, " bytes; at most ", limits_.max_word_bytes, " are accepted")));
    }
    if (words_.size() == limits_.max_words_per_sentence) {
      return Fail(absl::ResourceExhaustedError(
          absl::StrCat("a sentence of more than ", limits_.max_words_per_sentence, " words")));
    }
    if (scan_ + prefix_bytes + word_bytes - begin_ > limits_.max_sentence_bytes) {
      return Fail(absl::ResourceExhaustedError(
          absl::StrCat("a sentence of more than ", limits_.max_sentence_bytes, " bytes")));
    }
    if (end_ - scan_ < prefix_bytes + word_bytes) return Result::kNeedMore;
    words_.emplace_back(buffer_.get() + scan_ + prefix_bytes, word_bytes);
    scan_ += prefix_bytes + word_bytes;
  }
}

}  // namespace netsentinel::routeros
